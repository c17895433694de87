"""Prediction of images: in this process, by a Triton server, and by a client of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lnlattennet._lazy import lazy_names

if TYPE_CHECKING:
    from lnlattennet.serving._predictor import LocalPredictor, load
    from lnlattennet.serving.client._async_client import AsyncClient, AsyncStream
    from lnlattennet.serving.client._client import Client, Stream
    from lnlattennet.serving.client._description import ModelDescription
    from lnlattennet.serving.client._stream import StreamPrediction
    from lnlattennet.serving.client._tls import TLSConfig
    from lnlattennet.serving.triton._deployment import Deployment
    from lnlattennet.serving.triton._discovery import TritonServer, find_server
    from lnlattennet.serving.triton._endpoints import Endpoints, choose_endpoints
    from lnlattennet.serving.triton._process import TritonProcess
    from lnlattennet.serving.triton._repository import deploy

__all__ = [
    "AsyncClient",
    "AsyncStream",
    "Client",
    "Deployment",
    "Endpoints",
    "LocalPredictor",
    "ModelDescription",
    "Stream",
    "StreamPrediction",
    "TLSConfig",
    "TritonProcess",
    "TritonServer",
    "choose_endpoints",
    "deploy",
    "find_server",
    "load",
]

__getattr__ = lazy_names(__name__, __file__)
