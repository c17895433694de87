"""Parser of the report that ptxas prints about kernels (`-Xptxas -v`)."""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass

_FIRST_WITH_CLUSTERS = 90


@dataclass(frozen=True, order=True)
class KernelResources:
    """Resources of one kernel on one architecture; memory in bytes, registers and stack per thread."""

    source: str
    kernel: str
    architecture: str
    registers: int
    stack: int
    spills: int
    static_shared: int

    @property
    def empty(self) -> bool:
        """True if the kernel has no body on this architecture: there are no thread block clusters."""
        return "/cluster/" in self.source and int(self.architecture) < _FIRST_WITH_CLUSTERS


def parse_ptxas(source: str, architecture: str, report: str) -> list[KernelResources]:
    """Read `ptxas -v`: one block of lines per kernel, the functions that it calls included."""
    blocks = re.split(r"Compiling entry function '(\w+)'.*\n", report)[1:]
    return [
        KernelResources(
            source,
            readable(name),
            architecture,
            registers=_sum(r"Used (\d+) registers", block),
            stack=_sum(r"(\d+) bytes stack frame", block),
            spills=_sum(r"(\d+) bytes spill", block),
            static_shared=_sum(r"(\d+) bytes smem", block),
        )
        for name, block in zip(blocks[::2], blocks[1::2], strict=True)
    ]


def _sum(pattern: str, text: str) -> int:
    return sum(int(number) for number in re.findall(pattern, text))


def readable(mangled: str) -> str:
    """Return a kernel's name and template arguments: no namespaces, return type, parameters or casts."""
    demangle = ctypes.CDLL("libstdc++.so.6").__cxa_demangle
    demangle.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int)]
    demangle.restype = ctypes.c_void_p
    status = ctypes.c_int()
    address = demangle(mangled.encode(), None, None, ctypes.byref(status))
    if status.value != 0:
        return mangled
    name = ctypes.string_at(address).decode()
    ctypes.CDLL(None).free(ctypes.c_void_p(address))
    name = re.sub(r"\((?:\w+::)+(\w+)\)(\d+)", r"\1(\2)", name)  # (a::Variant)1 -> Variant(1)
    name = re.sub(r"\((?:unsigned )?(?:int|long|bool)\)", "", name)  # (int)4 -> 4
    name = re.sub(r"^void |(?:\w+|\(anonymous namespace\))::", "", name)
    return _without_parameters(name)


def _without_parameters(function: str) -> str:
    depth = 0
    for index, character in enumerate(function):
        depth += {"<": 1, ">": -1}.get(character, 0)
        if character == "(" and depth == 0:
            return function[:index]
    return function
