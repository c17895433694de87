"""A loaded engine that takes any number of faces and gives checked numpy arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import ImageError
from lnlattennet.model._io_spec import INPUT_NAME
from lnlattennet.model._preprocessing import Preprocessing, center_square
from lnlattennet.runtimes._base import Arrays, Runner

Picture = NDArray[np.uint8]


class Engine:
    """Runs an engine on any number of faces, in batches that it accepts; may be called from several threads.

    Args:
        runner: the loaded engine.
        smallest: its smallest batch.
        largest: its largest batch.
        check: raises if the outputs of a batch of the given size break a rule.
    """

    def __init__(
        self, runner: Runner, smallest: int, largest: int, check: Callable[[Arrays, int], None]
    ) -> None:
        self._runner = runner
        self._smallest = smallest
        self._largest = largest
        self._check = check

    def __call__(self, faces: NDArray[np.float32]) -> Arrays:
        """Return logits, region_weights and region_affinity for normalized faces float32 [n, 3, S, S].

        Raises:
            EngineOutputError: an output breaks a rule of ``check_outputs``.
        """
        starts = range(0, max(len(faces), 1), self._largest)
        parts = [self._run(faces[start : start + self._largest]) for start in starts]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _run(self, faces: NDArray[np.float32]) -> Arrays:
        # Some engines have a smallest batch; answers do not depend on the neighbours that fill it up.
        missing = max(0, max(self._smallest, 1) - len(faces))
        outputs = self._runner({INPUT_NAME: np.pad(faces, ((0, missing), (0, 0), (0, 0), (0, 0)))})
        self._check(outputs, len(faces) + missing)
        return {name: array[: len(faces)] for name, array in outputs.items()}


def prepared_faces(pictures: Sequence[Picture] | Picture, recipe: Preprocessing) -> NDArray[np.float32]:
    """Cut every picture to its centre square, resize it by the recipe and normalise it.

    Args:
        pictures: RGB uint8 [n, H, W, 3], or n arrays [H, W, 3] of any sizes; each a cropped face.
        recipe: the bundle's preprocessing.

    Returns:
        float32 [n, 3, S, S].

    Raises:
        ImageError: a picture has another type or shape; names which.
    """
    faces = np.empty((len(pictures), recipe.size, recipe.size, 3), np.uint8)
    for index, picture in enumerate(pictures):
        face = np.asarray(picture)
        if face.dtype != np.uint8 or face.ndim != 3 or face.shape[2] != 3 or 0 in face.shape:
            raise ImageError(
                f"picture {index} must be RGB uint8 [height, width, 3], got {face.dtype} {list(face.shape)}"
            )
        same = face.shape[0] == face.shape[1] == recipe.size
        faces[index] = face if same else recipe.crop(face, center_square(face.shape[1], face.shape[0]))
    return recipe.normalize(faces)
