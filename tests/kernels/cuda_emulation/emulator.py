"""Builds the CUDA sources as C++ and runs single launches of them on the CPU; main.cpp has the protocol."""

from __future__ import annotations

import os
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from lnlattennet import kernels
from tests.kernels.support.cached_compiler import caching

HERE = Path(__file__).parent
SOURCES = Path(kernels.__file__).parent / "csrc" / "cuda"
# Built for other things than the emulation: they call the CUDA runtime itself.
NOT_EMULATED = {"counters.cu"}
# Out of bounds, and words not aligned to their size; all of "undefined" would double the compile time.
_SANITIZERS = "address,alignment,bounds,signed-integer-overflow"
FLAGS = [
    *("-std=c++17", "-O1", "-g1", "-Wall", "-Wextra", "-Wno-unknown-pragmas", "-Werror"),
    "-fno-strict-aliasing",  # nvcc has no strict aliasing on the device
    *(f"-fsanitize={_SANITIZERS}", "-fno-sanitize-recover=all"),
    *("-DLNLATTENNET_CUDA_EMULATION", f"-I{HERE}", f"-I{SOURCES}"),
]
DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64]  # in the order of core/problem.h
VARIANTS = ["automatic", "portable", "cluster_bands", "cluster_regions"]
PROBES = ["correct", "missing_barrier", "skipped_barrier", "unwritten_memory", "outside"]
FORWARD, NONLOCAL, BACKWARD, _PROBE = 0, 1, 2, 3


class EmulationError(Exception):
    """The launch was refused, met a deadlock or misused a barrier; or a sanitizer ended the process."""


@dataclass(frozen=True)
class Device:
    """Properties of the emulated GPU that the launchers see."""

    capability: int = 75
    processors: int = 40
    shared_bytes: int = 64 * 1024


@dataclass(frozen=True)
class Launch:
    """One launch: `arrays` are the inputs in main.cpp's order; features first.

    Attributes:
        operation: FORWARD, NONLOCAL or BACKWARD.
        arrays: the input tensors; only the features (the first of FORWARD and BACKWARD) may have strides.
        grid: regions per side.
        heads: attention heads.
        nonlocal_width: d, 0 for none.
        gradient_strides: of grad_features (BACKWARD), in elements.
        variant: one of VARIANTS.
        seed: decides the order in which threads run.
        device: the emulated GPU.
    """

    operation: int
    arrays: list[Tensor]
    grid: int
    heads: int = 1
    nonlocal_width: int = 0
    gradient_strides: tuple[int, ...] = (0, 0, 0, 0)
    variant: str = "portable"
    seed: int = 0
    device: Device = field(default_factory=Device)


def build(program: Path) -> None:
    """Compile kernels/csrc/cuda and the emulation into one program; two compilers at a time."""
    sources = [path for path in sorted(SOURCES.rglob("*.cu")) if path.name not in NOT_EMULATED]
    sources += sorted(HERE.glob("*.cpp"))
    objects = [program.with_name(f"{number}-{source.stem}.o") for number, source in enumerate(sources)]
    commands = [
        [*caching("g++"), *FLAGS, "-x", "c++", "-c", str(source), "-o", str(target)]
        for source, target in zip(sources, objects, strict=True)
    ]
    with ThreadPoolExecutor(max_workers=2) as pool:
        for result in pool.map(_compile, commands):
            if result:
                raise EmulationError(result)
    link = ["g++", f"-fsanitize={_SANITIZERS}", *map(str, objects), "-o", str(program)]
    if failure := _compile(link):
        raise EmulationError(failure)


def _compile(command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stderr if result.returncode else ""


class Emulator:
    """A running emulation: launches go in, output tensors come out."""

    def __init__(self, program: Path) -> None:
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def run(self, launch: Launch) -> list[Tensor]:
        """Run one launch.

        Returns:
            Flat output tensors in main.cpp's order, every byte 0xff where the kernel wrote nothing.

        Raises:
            EmulationError: with the launcher's, the scheduler's or the sanitizer's words.
        """
        return self._ask(_encode(launch), _output_types(launch))

    def probe(self, name: str, seed: int, threads: int = 64) -> list[Tensor]:
        """Run one of the kernels of probes.cpp, which have a mistake each."""
        numbers = [_PROBE, seed, PROBES.index(name), 0, 0, threads * 4, 0, 0, threads, *([0] * 23)]
        return self._ask(struct.pack("32q", *numbers), [torch.float32])

    def _ask(self, request: bytes, types: list[torch.dtype]) -> list[Tensor]:
        process = self._start()
        assert process.stdin is not None
        try:
            process.stdin.write(request)
            process.stdin.flush()
            (failed,) = struct.unpack("q", self._read(8))
            if failed:
                raise EmulationError(self._read_block().decode())
            return [_decode(self._read_block(), dtype) for dtype in types]
        except (BrokenPipeError, EOFError) as error:
            raise EmulationError(self._stop()) from error

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(
                [self._program],
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                env=os.environ | {"ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0"},
            )
        return self._process

    def _stop(self) -> str:
        if self._process is None:
            return ""
        _, errors = self._process.communicate()
        self._process = None
        return errors.decode(errors="replace")

    def _read_block(self) -> bytes:
        (size,) = struct.unpack("q", self._read(8))
        return self._read(size)

    def _read(self, size: int) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        data = self._process.stdout.read(size)
        if len(data) < size:
            raise EOFError
        return data


def _encode(launch: Launch) -> bytes:
    features, query = launch.arrays[:2]
    parameters = launch.arrays[2].dtype if launch.operation == NONLOCAL else query.dtype
    if launch.operation == NONLOCAL:  # the mean [B, K, C] stands in for the features
        sizes = [features.shape[0], features.shape[2], 1, 1]
        strides = [0, 0, 0, 0]
    else:
        sizes, strides = list(features.shape), list(features.stride())
    device = launch.device
    numbers = [
        *(launch.operation, launch.seed, VARIANTS.index(launch.variant)),
        *(device.capability, device.processors, device.shared_bytes),
        *(DTYPES.index(features.dtype), DTYPES.index(parameters)),
        *(*sizes, *strides, launch.grid, launch.heads, launch.nonlocal_width, *launch.gradient_strides),
        *([0] * 9),
    ]
    return b"".join([struct.pack("32q", *numbers), *map(_array, launch.arrays)])


def _array(tensor: Tensor) -> bytes:
    """Bytes, offset and content of the memory from a view's first to its last element."""
    span = 0
    if tensor.numel():
        span = 1 + sum(
            (size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True)
        )
    offset = tensor.storage_offset() * tensor.element_size() % 256
    flat = tensor.as_strided((span,), (1,)).contiguous().view(torch.uint8)
    return struct.pack("2q", flat.numel(), offset) + flat.numpy().tobytes()


def _decode(data: bytes, dtype: torch.dtype) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)


def _output_types(launch: Launch) -> list[torch.dtype]:
    features = launch.arrays[0].dtype
    if launch.operation == BACKWARD:
        return [features, torch.float64 if features == torch.float64 else torch.float32]
    parameters = launch.arrays[2 if launch.operation == NONLOCAL else 1].dtype
    return [features, features, parameters, parameters, parameters]
