"""Prediction of images: in this process, by a Triton server, and by a client of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lnlattennet._lazy import lazy_names

if TYPE_CHECKING:
    from lnlattennet.serving._predictor import LocalPredictor, load
    from lnlattennet.serving.client._client import Client, ModelDescription
    from lnlattennet.serving.triton._discovery import TritonServer, find_server
    from lnlattennet.serving.triton._endpoints import Endpoints, choose_endpoints
    from lnlattennet.serving.triton._process import TritonProcess
    from lnlattennet.serving.triton._repository import Deployment, deploy

__all__ = [
    "Client",
    "Deployment",
    "Endpoints",
    "LocalPredictor",
    "ModelDescription",
    "TritonProcess",
    "TritonServer",
    "choose_endpoints",
    "deploy",
    "find_server",
    "load",
]

__getattr__ = lazy_names(__name__, __file__)
