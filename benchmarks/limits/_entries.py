"""Entries of a record: layers of the network and limits of the machine, without torch or onnx."""

from __future__ import annotations

from dataclasses import dataclass

ITEM_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}
"""Precision -> bytes of a number."""


@dataclass(frozen=True)
class Layer:
    """A layer with matrix products; an engine computes batch norm, activations and skips along with them.

    Attributes:
        name: path of its module.
        block: its block in a precision plan.
        flops: operations an image; a multiply-add is two.
        weights: numbers that a call reads, whatever the batch.
        activations: numbers read and written an image.
        input_shape: [channels, height, width] of what a convolution that keeps the resolution reads, else
            empty.
        weight_shape: [outputs, inputs, height, width] of such a convolution.
    """

    name: str
    block: str
    flops: int
    weights: int
    activations: int
    input_shape: tuple[int, ...] = ()
    weight_shape: tuple[int, ...] = ()

    def moved_bytes(self, precision: str, batch: int) -> int:
        """Return the bytes that a call reads and writes at least."""
        return ITEM_BYTES[precision] * (self.weights + batch * self.activations)


@dataclass(frozen=True)
class Limit:
    """Something that a machine does at a rate.

    Attributes:
        name: what it is, without the threads.
        kind: "memory" or "cache", whose work is bytes, else a precision, whose work is operations.
        threads: threads of the candidate.
        work: bytes read and written, or operations (a multiply-add is two), of one call.
    """

    name: str
    kind: str
    threads: int
    work: int

    @property
    def candidate(self) -> str:
        """Name in the record."""
        return f"{self.name}, {self.threads} thread{'s' * (self.threads != 1)}"
