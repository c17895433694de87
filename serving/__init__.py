"""Prediction of images: in this process, by a Triton server, and by a client of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lnlattennet._lazy import lazy_names

if TYPE_CHECKING:
    from lnlattennet.serving.client._client import Client
    from lnlattennet.serving.inference._predictor import LocalPredictor, load
    from lnlattennet.serving.triton._discovery import find_server
    from lnlattennet.serving.triton._process import TritonProcess
    from lnlattennet.serving.triton._repository import deploy

__all__ = [
    "Client",
    "LocalPredictor",
    "TritonProcess",
    "deploy",
    "find_server",
    "load",
]

__getattr__ = lazy_names(__name__, __file__)
