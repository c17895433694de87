"""Calls that a client makes, as data: what to ask, and how to read the answer.

``start`` gives the answer of a client of tritonclient, or of its asyncio client an awaitable of it.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import require
from lnlattennet.serving.client._protocols import Protocol
from lnlattennet.serving.client._shared_memory import Region

Outputs = dict[str, NDArray[Any]]

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Place:
    """Where a request stands in a sequence of Triton's."""

    number: int
    start: bool
    end: bool


@dataclass(frozen=True)
class Infer:
    """A request for a prediction.

    Attributes:
        model: name of the served model.
        inputs: name -> array; objects are encoded images.
        outputs: names of the outputs to return.
        parameters: parameters of the request.
        region: shared memory that already holds the only input.
        sequence: its place in a sequence, if it belongs to one.
        about_images: whether a refusal is about an image that the caller gave.
        timeout: seconds that it may take; the server does not begin it later.
    """

    model: str
    inputs: Mapping[str, NDArray[Any]]
    outputs: Sequence[str]
    parameters: Mapping[str, float] = field(default_factory=dict)
    region: Region | None = None
    sequence: Place | None = None
    about_images: bool = True
    timeout: float = 0.0

    def start(self, protocol: Protocol, client: Any) -> Any:
        """Send it."""
        place = self.sequence
        order = place and {
            "sequence_id": place.number,
            "sequence_start": place.start,
            "sequence_end": place.end,
        }
        return client.infer(
            self.model,
            [self._tensor(protocol, name, array) for name, array in self.inputs.items()],
            outputs=[protocol.triton.InferRequestedOutput(name) for name in self.outputs],
            parameters=dict(self.parameters),
            timeout=max(1, int(self.timeout * 1e6)),
            **(order or {}),
            **protocol.options(self.timeout),
        )

    def read(self, protocol: Protocol, reply: Any) -> tuple[Outputs, str]:
        """Return the outputs, and the version of the model that gave them."""
        outputs = {name: reply.as_numpy(name) for name in self.outputs}
        return outputs, protocol.read_version(reply.get_response())

    def _tensor(self, protocol: Protocol, name: str, array: NDArray[Any]) -> Any:
        datatype = require("tritonclient.utils", "triton").np_to_triton_dtype(array.dtype)
        tensor = protocol.triton.InferInput(name, list(array.shape), datatype)
        if self.region is None:
            tensor.set_data_from_numpy(np.ascontiguousarray(array))
        else:
            tensor.set_shared_memory(self.region.name, array.nbytes)
        return tensor


@dataclass(frozen=True)
class ReadConfig:
    """A question for the configuration of a model; of its newest version, if none is named."""

    model: str
    timeout: float
    version: str = ""
    about_images: bool = False

    def start(self, protocol: Protocol, client: Any) -> Any:
        """Send it."""
        options = {**protocol.config_options, **protocol.options(self.timeout)}
        return client.get_model_config(self.model, self.version, **options)

    def read(self, protocol: Protocol, reply: Any) -> dict[str, Any]:
        """Return the configuration."""
        return protocol.read_config(reply)


@dataclass(frozen=True)
class Register:
    """A request to the server to map a region of shared memory, or to let go of it."""

    region: Region
    timeout: float
    mapped: bool = True
    about_images: bool = False

    def start(self, protocol: Protocol, client: Any) -> Any:
        """Send it."""
        options, name = protocol.options(self.timeout), self.region.name
        if not self.mapped:
            return client.unregister_system_shared_memory(name, **options)
        return client.register_system_shared_memory(name, f"/{name}", self.region.size, **options)

    def read(self, protocol: Protocol, reply: Any) -> None:
        """Return nothing: an answer without an error is all there is."""


@dataclass(frozen=True)
class Pause:
    """A wait before the next call."""

    seconds: float


Call = Infer | ReadConfig | Register
Dialog = Generator[Call | Pause, Any, _Result]
"""What a client says to a server one call after the other; each answer, or its error, is sent in."""
