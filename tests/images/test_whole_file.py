"""Files without an end: refused in every reader of images, before memory is full."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lnlattennet.errors import ImageError
from lnlattennet.images import _whole_file
from lnlattennet.images._decode import read_data_set_image
from lnlattennet.images._read import read

ENDLESS = Path("/dev/zero")


@pytest.fixture(autouse=True)
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_whole_file, "LARGEST_FILE", 2**20)


@pytest.mark.parametrize("reader", [read, read_data_set_image])
def test_an_endless_file_is_refused(reader: object) -> None:
    with pytest.raises(ImageError, match=r"may have at most 1,048,576 bytes, got more"):
        reader(ENDLESS)  # type: ignore[operator]


def test_a_pipe_is_read_to_its_end() -> None:
    program = "import sys; sys.stdout.buffer.write(bytes(200_000))"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        content = _whole_file.read_image_file(Path(f"/dev/fd/{writer.stdout.fileno()}"))
    assert content == bytes(200_000)
