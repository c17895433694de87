"""Client of a served bundle over gRPC or HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lnlattennet._lazy import lazy_names

if TYPE_CHECKING:
    from lnlattennet.serving.client._client import Client, ModelDescription

__all__ = [
    "Client",
    "ModelDescription",
]

__getattr__ = lazy_names(__name__, __file__)
