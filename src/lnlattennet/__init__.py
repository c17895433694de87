"""LNLAttenNet on Triton: from a training checkpoint to a verified, fast, served engine.

    import lnlattennet

    model = lnlattennet.load("build/demo")
    print(model.predict("face.jpg").label)

Importing this package imports neither torch nor any runtime; each public name is imported when it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lnlattennet._version import __version__

if TYPE_CHECKING:
    from lnlattennet.bundle._bundle import Bundle
    from lnlattennet.bundle._export_options import ExportOptions
    from lnlattennet.bundle._prediction import Prediction
    from lnlattennet.errors import LnlAttenNetError
    from lnlattennet.export._pipeline import export_engine
    from lnlattennet.serving.client._client import Client
    from lnlattennet.serving.inference._predictor import load

__all__ = [
    "Bundle",
    "Client",
    "ExportOptions",
    "LnlAttenNetError",
    "Prediction",
    "__version__",
    "export_engine",
    "load",
]

_MODULES = {
    "Bundle": "lnlattennet.bundle._bundle",
    "Client": "lnlattennet.serving.client._client",
    "ExportOptions": "lnlattennet.bundle._export_options",
    "LnlAttenNetError": "lnlattennet.errors",
    "Prediction": "lnlattennet.bundle._prediction",
    "export_engine": "lnlattennet.export._pipeline",
    "load": "lnlattennet.serving.inference._predictor",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
