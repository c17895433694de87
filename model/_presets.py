"""Sizes of the network that have a name, for `lnlattennet train --network`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from lnlattennet.errors import ConfigError
from lnlattennet.model._config import NetworkConfig

# Faces of the usual data sets are 48 pixels wide; a larger input would only enlarge them.
PRESETS: Mapping[str, NetworkConfig] = MappingProxyType(
    {
        "small": NetworkConfig(
            image_size=48,
            out_stride=4,
            widths=(32, 64, 96),
            blocks=(1, 1, 1),
            channels=128,
            local_channels=64,
            weight_temperature=0.1,
        ),
        "base": NetworkConfig(
            image_size=48, out_stride=4, widths=(64, 112, 160), blocks=(2, 2, 2), channels=96
        ),
        "large": NetworkConfig(
            image_size=48, out_stride=4, widths=(96, 144, 208), blocks=(2, 2, 2), channels=128
        ),
    }
)
"""Name -> configuration; its class count is replaced by the data's."""


def from_preset(fields: Mapping[str, Any]) -> NetworkConfig:
    """Build a configuration from JSON values, which may name a ``preset`` that they start from.

    Raises:
        ConfigError: there is no such preset, or a field is unknown or breaks a rule.
    """
    values = dict(fields)
    name = values.pop("preset", None)
    if name is None:
        return NetworkConfig.from_dict(values)
    if not isinstance(name, str) or name not in PRESETS:
        raise ConfigError(f"the network's preset must be one of {', '.join(PRESETS)}, got {name!r}")
    return NetworkConfig.from_dict(PRESETS[name].to_dict() | values)
