"""LNLAttenNet on Triton: from a training checkpoint to a verified, fast, served engine.

Importing this package imports neither torch nor any runtime; each room does so when it is used.

    from lnlattennet import Bundle, ExportOptions, export_engine
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lnlattennet._version import __version__

if TYPE_CHECKING:
    from lnlattennet.bundle._bundle import Bundle
    from lnlattennet.bundle._export_options import ExportOptions
    from lnlattennet.export._pipeline import export_engine


__all__ = ["Bundle", "ExportOptions", "__version__", "export_engine"]

_HOMES = {
    "Bundle": "lnlattennet.bundle._bundle",
    "ExportOptions": "lnlattennet.bundle._export_options",
    "export_engine": "lnlattennet.export._pipeline",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
