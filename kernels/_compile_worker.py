"""Program that compiles one library with torch.utils.cpp_extension: a build is one group of processes.

Its only argument is a JSON object: the arguments of ``compile_library``. It works in the current folder, and
leaves the library there. The compilers' output is its own; its exit status is 0 if they succeeded.
"""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from setuptools import Distribution
from torch.utils.cpp_extension import BuildExtension, CppExtension


def compile_library(
    name: str,
    commands: list[list[str]],
    objects: list[str],
    binding: str,
    flags: list[str],
    libraries: list[str],
    workers: int,
) -> None:
    """Compile ``name``.so.

    Args:
        name: the library's name, without its suffix.
        commands: compiler calls that write ``objects`` from the framework-free code, run side by side.
        objects: object files to link.
        binding: the C++ file between torch and that code.
        flags: compiler flags of the binding.
        libraries: further arguments of the linker.
        workers: compilers that run at once.
    """
    with ThreadPoolExecutor(workers) as pool:
        for call in [pool.submit(subprocess.run, command, check=True) for command in commands]:
            call.result()
    extension = CppExtension(  # type: ignore[no-untyped-call]
        name,
        [binding],
        extra_compile_args=flags,
        extra_objects=objects,
        extra_link_args=libraries,
        py_limited_api=True,  # there is no Python in it, so nothing of this Python's version either
    )
    distribution = Distribution({"name": name, "ext_modules": [extension]})
    build = BuildExtension(distribution, use_ninja=False, no_python_abi_suffix=True)
    build.build_lib, build.build_temp = ".", "objects"
    build.ensure_finalized()
    build.run()


if __name__ == "__main__":
    compile_library(**json.loads(sys.argv[1]))
