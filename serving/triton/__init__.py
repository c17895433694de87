"""Triton model repository, server process, and stages of the Python models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lnlattennet._lazy import lazy_names

if TYPE_CHECKING:
    from lnlattennet.serving.triton._discovery import TritonServer, find_server
    from lnlattennet.serving.triton._endpoints import Endpoints, choose_endpoints
    from lnlattennet.serving.triton._health import probe_model
    from lnlattennet.serving.triton._process import TritonProcess
    from lnlattennet.serving.triton._python_model import PythonModel
    from lnlattennet.serving.triton._repository import Deployment, deploy

__all__ = [
    "Deployment",
    "Endpoints",
    "PythonModel",
    "TritonProcess",
    "TritonServer",
    "choose_endpoints",
    "deploy",
    "find_server",
    "probe_model",
]

__getattr__ = lazy_names(__name__, __file__)
