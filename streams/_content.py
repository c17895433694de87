"""Content of a frame, read where the frame is judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import ImageError
from lnlattennet.images._read import FileBytes
from lnlattennet.images._whole_file import read_image_file
from lnlattennet.streams._frame import Frame


def read_content(frame: Frame) -> FileBytes | NDArray[np.uint8] | str:
    """Return an image file, RGB pixels uint8 [H, W, 3], or why there is no image."""
    image = frame.image
    if isinstance(image, str | np.ndarray):
        return image
    try:
        return FileBytes(read_image_file(image) if isinstance(image, Path) else image)
    except IsADirectoryError:
        return "is a folder that cannot be read; change its permissions"
    except FileNotFoundError:
        return "there is no such file; check the path"
    except OSError as error:
        return f"cannot read the file: {error.strerror}"
    except ImageError as error:
        return str(error)
