"""Preprocessing of an RGB image into the network's input, the same in training, verification and serving.

It needs numpy and Pillow only, so that a server needs no torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lnlattennet.errors import ConfigError

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the image; right and bottom are exclusive."""

FaceAlignment = Literal["none", "five-points"]

_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_REACH = 4
"""Pixels of the result that a filter reaches beyond the box: 3, and one for rounding."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """Preprocessing options, stored in every checkpoint and bundle.

    Attributes:
        size: S, side of the network's square input in pixels.
        color_order: order of the three channels.
        mean: subtracted per channel from values in 0..1.
        std: divided by per channel afterwards.
        resize_filter: Pillow's antialiased filter: bilinear, bicubic or lanczos.
        face_finder: name of the face finder in ``images.finders``.
        face_finder_version: its version where the checkpoint was made; empty if unknown.
        face_margin: fraction of a detected face's box that is added on each side before cropping.
        face_alignment: "none" crops an upright square around the box; "five-points" one turned by landmarks.

    Raises:
        ConfigError: a field breaks its rule.
    """

    size: int = 112
    color_order: Literal["RGB"] = "RGB"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)
    resize_filter: str = "bilinear"
    face_finder: str = "haar"
    face_finder_version: str = ""
    face_margin: float = 0.1
    face_alignment: FaceAlignment = "none"

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or not 16 <= self.size <= 1024:
            raise ConfigError(f"preprocessing size must be an integer from 16 to 1024, got {self.size!r}")
        if self.color_order != "RGB":
            raise ConfigError(f"preprocessing color_order must be 'RGB', got {self.color_order!r}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != 3 or not all(np.isfinite(values)):
                raise ConfigError(f"preprocessing {name} must be 3 finite numbers, got {values!r}")
        if min(self.std) <= 0:
            raise ConfigError(f"preprocessing std must be positive, got {self.std!r}")
        if self.resize_filter not in _FILTERS:
            raise ConfigError(
                f"preprocessing resize_filter must be one of {sorted(_FILTERS)}, got {self.resize_filter!r}"
            )
        if not 0 <= self.face_margin <= 1:
            raise ConfigError(f"preprocessing face_margin must be from 0 to 1, got {self.face_margin!r}")
        if self.face_alignment not in get_args(FaceAlignment):
            raise ConfigError(
                f"preprocessing face_alignment must be one of {sorted(get_args(FaceAlignment))}, "
                f"got {self.face_alignment!r}"
            )

    @property
    def id(self) -> str:
        """Identifier of these options: the first 16 hexadecimal digits of the SHA-256 of their JSON."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def crop(self, image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
        """Cut ``box`` out of ``image`` [H, W, 3] and resize it, antialiased, to uint8 [S, S, 3]."""
        return self.resize(image, box, self.size)

    def resize(self, image: NDArray[np.uint8], box: Box, size: int) -> NDArray[np.uint8]:
        """Cut ``box`` out of ``image`` [H, W, 3] and resize it, antialiased, to uint8 [size, size, 3]."""
        # Pillow takes the box in float32; less a whole number each side is as exact, so the pixels are equal.
        left, top, right, bottom = np.array(box, np.float32).tolist()
        reach = _REACH * max(1.0, max(right - left, bottom - top) / size)
        x, y = max(0, int(left - reach)), max(0, int(top - reach))
        # Pillow would gather a part of an image value by value.
        around = np.ascontiguousarray(image[y : int(bottom + reach) + 1, x : int(right + reach) + 1])
        return np.asarray(
            Image.fromarray(around).resize(
                (size, size), _FILTERS[self.resize_filter], box=(left - x, top - y, right - x, bottom - y)
            )
        )

    def normalize(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn RGB faces uint8 [..., S, S, 3] into the network's float32 input [..., 3, S, S]."""
        # The bytes are moved, not the floats that become of them: a quarter of the time.
        scale, shift = self._scale_and_shift()
        values = np.moveaxis(faces, -1, -3).astype(np.float32, order="C")
        values *= scale[:, None, None]
        values -= shift[:, None, None]
        return values

    def normalize_pixels(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the very values of ``normalize`` with the channels last, float32 [..., S, S, 3]."""
        scale, shift = self._scale_and_shift()
        values = faces.astype(np.float32)
        values *= scale
        values -= shift
        return values

    def _scale_and_shift(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        # One multiply and one subtraction per value; float32 throughout, so every caller gets the same bits.
        mean, std = np.asarray(self.mean), np.asarray(self.std)
        return (1 / (255 * std)).astype(np.float32), (mean / std).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return dataclasses.asdict(self) | {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Preprocessing:
        """Build the options from JSON values; unknown fields are refused by name."""
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(fields) - known)
        if unknown:
            raise ConfigError(f"unknown preprocessing field {unknown[0]!r}; known: {sorted(known)}")
        values = dict(fields)
        for name in {"mean", "std"} & set(values):
            values[name] = tuple(values[name])
        return cls(**values)


def square_box(box: Box, margin: float, width: int, height: int) -> Box:
    """Grow ``box`` by ``margin`` on each side to a square that lies inside a width x height image.

    A square that sticks out is moved inside; one larger than the image shrinks to its short side.
    """
    left, top, right, bottom = box
    side = min(max(right - left, bottom - top) * (1 + 2 * margin), width, height)
    x = min(max((left + right - side) / 2, 0), width - side)
    y = min(max((top + bottom - side) / 2, 0), height - side)
    return (x, y, x + side, y + side)


def center_square(width: int, height: int) -> Box:
    """Return the largest square around the center of a width x height image."""
    return square_box((0, 0, width, height), 0, width, height)
