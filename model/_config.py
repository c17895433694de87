"""Configuration of the network, from which every part reads its sizes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lnlattennet.errors import ConfigError

_INTEGER_RANGES = {
    "classes": (2, 1000),
    "image_size": (16, 1024),
    "grid": (1, 16),
    "channels": (1, 2048),
    "heads": (1, 64),
    "local_features": (1, 4096),
    "affinity_features": (1, 4096),
}
_OUT_STRIDES = (1, 2, 4, 8)


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Sizes of LNLAttenNet (docs/reference/network.md gives the equations that use them).

    Attributes:
        classes: number of expressions.
        image_size: S, side of the square input in pixels; divisible by ``out_stride`` times the least
            common multiple of ``grid`` and ``2 ** (len(widths) - 1)``.
        out_stride: input pixels per feature position along a side: 1, 2, 4 or 8.
        grid: g; the face is cut into K = g * g regions.
        widths: channels of the U-Net's levels, finest first; its length is the depth.
        blocks: residual blocks on the way down, one count of 1 or more per level; empty for plain
            convolutions.
        channels: C, channels of the feature map that the regions are cut from.
        local_channels: how many of them come from the finest level alone, which sees little beyond a region;
            the local networks then get these only, and say how much they tell. At 0 they get all C, of the
            whole face.
        heads: attention heads of every local network.
        local_features: D, number of features from each local network.
        affinity_features: d, width of the non-local queries, keys and values.
        lambda_local: weight of the local networks' term in the joint loss.
        lambda_nonlocal: weight of the non-local network's term in the joint loss.
        weight_temperature: tau of the joint loss: the higher, the more evenly regions share the weight; at 0
            nothing keeps it from collapsing onto one region.

    Raises:
        ConfigError: a field breaks its rule; the message names field, rule and value.
    """

    classes: int = 7
    image_size: int = 112
    out_stride: int = 2
    grid: int = 4
    widths: tuple[int, ...] = (24, 48, 64, 96)
    blocks: tuple[int, ...] = ()
    channels: int = 64
    local_channels: int = 0
    heads: int = 1
    local_features: int = 64
    affinity_features: int = 32
    lambda_local: float = 0.2
    lambda_nonlocal: float = 0.5
    weight_temperature: float = 0.0

    def __post_init__(self) -> None:
        for name, (low, high) in _INTEGER_RANGES.items():
            _check_integer(name, getattr(self, name), low, high)
        if not _is_integer(self.out_stride) or self.out_stride not in _OUT_STRIDES:
            raise ConfigError(f"out_stride must be one of {_OUT_STRIDES}, got {self.out_stride!r}")
        self._check_widths()
        self._check_blocks()
        _check_integer("local_channels", self.local_channels, 0, self.channels - 1)
        for name in ("lambda_local", "lambda_nonlocal", "weight_temperature"):
            _check_weight(name, getattr(self, name))
        self._check_image_size()

    @property
    def regions(self) -> int:
        """Number K of face regions."""
        return self.grid * self.grid

    @property
    def feature_size(self) -> int:
        """Side H = W of the feature map in positions."""
        return self.image_size // self.out_stride

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        fields = dataclasses.asdict(self) | {"widths": list(self.widths), "blocks": list(self.blocks)}
        # Versions that do not know these fields read checkpoints that do without them.
        for name in ("blocks", "local_channels", "weight_temperature"):
            if not fields[name]:
                del fields[name]
        return fields

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> NetworkConfig:
        """Build a configuration from JSON values; unknown fields are refused by name."""
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(fields) - known)
        if unknown:
            raise ConfigError(f"unknown network config field {unknown[0]!r}; known: {sorted(known)}")
        values = dict(fields)
        for name in ("widths", "blocks"):
            if isinstance(values.get(name), list):
                values[name] = tuple(values[name])
        return cls(**values)

    def _check_widths(self) -> None:
        if not isinstance(self.widths, tuple) or not 1 <= len(self.widths) <= 7:
            raise ConfigError(f"widths must be 1 to 7 channel counts, got {self.widths!r}")
        for index, width in enumerate(self.widths):
            _check_integer(f"widths[{index}]", width, 1, 4096)

    def _check_blocks(self) -> None:
        if not isinstance(self.blocks, tuple) or len(self.blocks) not in (0, len(self.widths)):
            raise ConfigError(
                f"blocks must be empty, or {len(self.widths)} counts like widths, got {self.blocks!r}"
            )
        for index, count in enumerate(self.blocks):
            _check_integer(f"blocks[{index}]", count, 1, 64)

    def _check_image_size(self) -> None:
        """Raise ConfigError unless regions and U-Net levels both divide the feature map evenly."""
        divisor = self.out_stride * math.lcm(self.grid, 2 ** (len(self.widths) - 1))
        if self.image_size % divisor:
            raise ConfigError(
                f"image_size must be divisible by {divisor} (out_stride {self.out_stride}, grid {self.grid}, "
                f"{len(self.widths)} widths), got {self.image_size}; "
                f"the nearest is {max(1, round(self.image_size / divisor)) * divisor}"
            )


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_integer(name: str, value: object, low: int, high: int) -> None:
    if not _is_integer(value) or not low <= value <= high:  # type: ignore[operator]
        raise ConfigError(f"{name} must be an integer from {low} to {high}, got {value!r}")


def _check_weight(name: str, value: object) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not 0 <= value <= 100:  # type: ignore[arg-type, operator]
        raise ConfigError(f"{name} must be a number from 0 to 100, got {value!r}")
