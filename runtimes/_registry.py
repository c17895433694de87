"""Registry of the backends: a new runtime is one module with the names of ``Backend``, and one line here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from lnlattennet.errors import UsageError

if TYPE_CHECKING:
    from lnlattennet.runtimes._base import Backend, BackendInfo

BACKENDS = {
    "torch": "torch._backend",
    "aoti": "torch._aot_inductor",
    "onnxruntime": "_onnxruntime",
    "openvino": "_openvino",
    "tensorrt": "tensorrt._backend",
}
"""Name -> module: first the backends that run the checkpoint itself, then those that run its ONNX graph."""


def backend_named(name: str) -> Backend:
    """Import the backend module ``name``, which imports no runtime yet.

    Raises:
        UsageError: there is no such backend; lists the known ones.
    """
    if name not in BACKENDS:
        raise UsageError(f"unknown backend {name!r}; known: {', '.join(BACKENDS)}")
    return cast("Backend", importlib.import_module(f"lnlattennet.runtimes.{BACKENDS[name]}"))


def unknown_backend(name: str) -> str:
    """Return why an engine of a backend that is not registered cannot run: a newer version built it."""
    return f"this version of lnlattennet knows no backend {name!r}; update it"


def backend_infos() -> list[BackendInfo]:
    """Return the facts about every backend, in the order of ``BACKENDS``."""
    return [backend_named(name).INFO for name in BACKENDS]
