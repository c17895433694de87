"""Faces to verify and time engines with: rendered ones, since a checkpoint brings no images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lnlattennet.model.preprocessing import Preprocessing
from lnlattennet.training.synthetic import EXPRESSIONS, HELD_OUT, render_face

# Beyond every data set's seeds, so that the gate never sees a face from training.
_FIRST_SEED = 2**40


def verification_faces(count: int, recipe: Preprocessing) -> NDArray[np.float32]:
    """Render ``count`` different faces, normalised by ``recipe``: float32 [count, 3, S, S]."""
    pictures = [
        render_face(
            _FIRST_SEED + index,
            EXPRESSIONS[index % len(EXPRESSIONS)],
            size=recipe.size,
            nuisance=HELD_OUT,
            with_regions=False,
        ).image
        for index in range(count)
    ]
    return recipe.normalize(np.stack(pictures))
