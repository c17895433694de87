"""One module per inference runtime, all of the same shape (see ``base``)."""

from __future__ import annotations

import importlib
from typing import cast

from lnlattennet.errors import UsageError
from lnlattennet.runtimes._base import Backend

_MODULES = {
    "torch": "torch._backend",
    "aoti": "torch._aot_inductor",
    "onnxruntime": "_onnxruntime",
    "openvino": "_openvino",
    "tensorrt": "tensorrt._backend",
}
BACKENDS = tuple(_MODULES)
"""Names of the backend modules: those that run the checkpoint itself, then those that run its ONNX graph."""


def backend_named(name: str) -> Backend:
    """Import the backend module ``name``; raise UsageError with the known names otherwise."""
    if name not in BACKENDS:
        raise UsageError(f"unknown backend {name!r}; known: {', '.join(BACKENDS)}")
    return cast(Backend, importlib.import_module(f"{__name__}.{_MODULES[name]}"))
