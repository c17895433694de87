"""LNLAttenNet on Triton: from a training checkpoint to a verified, fast, served engine.

    import lnlattennet

    model = lnlattennet.load("build/demo")
    print(model.predict("face.jpg").label)

Importing this package imports neither torch nor any runtime; each public name is imported when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lnlattennet._lazy import lazy_names
from lnlattennet._version import __version__

if TYPE_CHECKING:
    from lnlattennet.bundle._bundle import Bundle
    from lnlattennet.bundle._export_options import ExportOptions
    from lnlattennet.bundle._prediction import Prediction
    from lnlattennet.errors import LnlAttenNetError
    from lnlattennet.export._pipeline import export_engine
    from lnlattennet.serving._predictor import load
    from lnlattennet.serving.client._async_client import AsyncClient
    from lnlattennet.serving.client._client import Client

__all__ = [
    "AsyncClient",
    "Bundle",
    "Client",
    "ExportOptions",
    "LnlAttenNetError",
    "Prediction",
    "__version__",
    "export_engine",
    "load",
]

__getattr__ = lazy_names(__name__, __file__)
