"""Parser of JPEG and PNG files: the declared size and orientation, and the parts that carry pixels.

Only those parts go to the decoder, so that no comment, profile, animation or EXIF block can make it warn,
unpack megabytes or fail. All of it happens before a pixel is decoded.
"""

from __future__ import annotations

import struct

from lnlattennet.errors import ImageError
from lnlattennet.images._sniff import describe_refused, sniff
from lnlattennet.images.containers._base import Container
from lnlattennet.images.containers._jpeg import read_jpeg
from lnlattennet.images.containers._png import read_png

_READERS = {"JPEG": read_jpeg, "PNG": read_png}


def read_container(data: bytes) -> Container:
    """Parse an encoded image without decoding it.

    Raises:
        ImageError: neither JPEG nor PNG, or it ends before its size is known.
    """
    kind = sniff(data)
    if kind not in _READERS:
        raise ImageError(f"an image must be a JPEG or PNG file, got {describe_refused(data)}")
    try:
        return _READERS[kind](data)
    except (IndexError, ValueError, struct.error) as error:
        raise ImageError(
            f"the {kind} file is damaged: its {len(data)} bytes end or break off before its size is known; "
            "send the whole file"
        ) from error
