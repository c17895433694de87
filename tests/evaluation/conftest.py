"""Fixtures of the tests of evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from lnlattennet.data.synthetic import EXPRESSIONS, HELD_OUT, render_face


@pytest.fixture(scope="session")
def face_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of rendered faces, wider than high: 42 to test with, 7 to train with."""
    root = tmp_path_factory.mktemp("faces") / "tree"
    for split, first, count in (("test", 2**39, 42), ("train", 2**39 + 1000, 7)):
        for index in range(count):
            expression = EXPRESSIONS[index % len(EXPRESSIONS)]
            image = Image.fromarray(
                render_face(first + index, expression, size=64, nuisance=HELD_OUT, with_regions=False).image
            )
            path = root / split / expression / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.crop((-8, 0, 72, 64)).save(path)
    return root
