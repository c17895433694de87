"""Precision plan: the precision of every named block of the network, and its file.

{"schema_version": 1, "blocks": {"unet.stem": "int8", ..., "attention": "fp32", "fusion": "fp32"}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lnlattennet.errors import UsageError
from lnlattennet.model._config import NetworkConfig

PRECISIONS = ("fp32", "bf16", "fp16", "fp8", "int8")
"""From the most exact and most widely supported to the fastest."""

QUANTIZED = ("int8", "fp8")
"""Precisions that need calibration: Q/DQ pairs in the graph."""

_NEVER_QUANTIZED = ("attention", "local_networks", "fusion")
"""Blocks without a convolution, which is what int8 and fp8 quantize: 0.3% of the network's work."""

_FORMER_NAMES = {"nonlocal": "attention"}
"""Block names in plan files of earlier versions -> present names."""

_SCHEMA_VERSION = 1
_MAX_BYTES = 2**20


@dataclass(frozen=True)
class PrecisionPlan:
    """The precision of every block.

    Attributes:
        blocks: block name -> one of ``PRECISIONS``, in the network's order; covers every block.
    """

    blocks: Mapping[str, str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", MappingProxyType(dict(self.blocks)))

    @property
    def precision(self) -> str:
        """Return the fastest precision in it: an engine of this plan has it in its name."""
        return max(self.blocks.values(), key=PRECISIONS.index)

    @property
    def precisions(self) -> frozenset[str]:
        """Return every precision in it."""
        return frozenset(self.blocks.values())

    def raised(self, blocks: Mapping[str, str]) -> PrecisionPlan:
        """Return this plan with the precision of some blocks replaced."""
        return PrecisionPlan({name: blocks.get(name, value) for name, value in self.blocks.items()})

    def to_json(self) -> str:
        """Return the text of a plan file."""
        return json.dumps({"schema_version": _SCHEMA_VERSION, "blocks": dict(self.blocks)}, indent=2) + "\n"


def block_names(config: NetworkConfig) -> tuple[str, ...]:
    """Return the network's named blocks in order; level 1 of the U-Net is the finest.

    ``attention`` is the head's fused attention, local and non-local.
    """
    levels = range(1, len(config.widths))
    return (
        "unet.stem",
        *(f"unet.down{level}" for level in levels),
        *(f"unet.up{level}" for level in reversed(levels)),
        "unet.project",
        "attention",
        "local_networks",
        "fusion",
    )


def uniform_plan(precision: str, config: NetworkConfig, rest: str = "fp32") -> PrecisionPlan:
    """Return the plan of one precision for all blocks.

    Args:
        precision: one of ``PRECISIONS``.
        config: configuration of the network.
        rest: precision of the blocks that cannot run in int8 and fp8; ignored for other precisions.
    """
    quantized = precision in QUANTIZED
    return PrecisionPlan(
        {name: rest if quantized and name in _NEVER_QUANTIZED else precision for name in block_names(config)}
    )


def read_plan(path: Path, config: NetworkConfig) -> PrecisionPlan:
    """Read a plan file for a network; blocks that it does not name run in fp32.

    Raises:
        UsageError: no such file, not a plan, an unknown block or an unknown precision; names the known ones.
    """
    known = block_names(config)
    blocks = _blocks(path)
    for former, name in _FORMER_NAMES.items():
        if former in blocks and name in blocks:
            raise UsageError(f"--precision-plan {path}: {former!r} is the former name of {name!r}; keep one")
        if former in blocks:
            blocks[name] = blocks.pop(former)
    for name, precision in blocks.items():
        if name not in known:
            raise UsageError(f"--precision-plan {path}: unknown block {name!r}; blocks: {', '.join(known)}")
        if precision not in PRECISIONS:
            raise UsageError(
                f"--precision-plan {path}: block {name} has precision {precision!r}; "
                f"precisions: {', '.join(PRECISIONS)}"
            )
        if precision in QUANTIZED and name in _NEVER_QUANTIZED:
            raise UsageError(
                f"--precision-plan {path}: block {name} cannot run in {precision}; choose fp32, bf16 or fp16"
            )
    return PrecisionPlan({name: blocks.get(name, "fp32") for name in known})


def _blocks(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UsageError(f"--precision-plan {path}: there is no such file")
    if path.stat().st_size > _MAX_BYTES:
        raise UsageError(f"--precision-plan {path} is larger than {_MAX_BYTES} bytes: not a precision plan")
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--precision-plan {path} is not JSON: {error}") from error
    except OSError as error:
        raise UsageError(f"--precision-plan {path} cannot be read: {error.strerror}") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    blocks = content.get("blocks") if isinstance(content, dict) else None
    if version != _SCHEMA_VERSION or not isinstance(blocks, dict):
        raise UsageError(
            f'--precision-plan {path} must hold {{"schema_version": {_SCHEMA_VERSION}, "blocks": '
            "{BLOCK: PRECISION}}"
        )
    return blocks


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name!r} is in it twice")
    return dict(pairs)
