"""Compiler that keeps its object files: `python cached_compiler.py COMPILER ARGUMENTS...`.

An object is taken from build/test-objects while the compiler, its arguments and the preprocessed source are
the same. Every other call goes to the compiler as it is.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OBJECTS = Path(__file__).parents[3] / "build" / "test-objects"
_UNUSED_SECONDS = 30 * 24 * 3600


def caching(compiler: str) -> list[str]:
    """Return the command that calls ``compiler`` through this program."""
    return [sys.executable, "-S", __file__, compiler]


def write_caching_compiler(path: Path, compiler: str, *flags: str) -> Path:
    """Write a program that calls ``compiler`` through this one, for the environment variable CXX.

    Its ``flags`` come last: they overrule those of a call.
    """
    path.write_text(f'#!/bin/sh\nexec {" ".join(caching(compiler))} "$@" {" ".join(flags)}\n')
    path.chmod(0o755)
    return path


def _object_for(command: list[str]) -> Path | None:
    """Return where the object of a call is kept; None if the source cannot be preprocessed."""
    preprocessed = subprocess.run(
        [*(argument for argument in command if argument != "-c"), "-E"], capture_output=True, check=False
    )
    if preprocessed.returncode:
        return None
    version = subprocess.run([command[0], "--version"], capture_output=True, check=True).stdout
    key = hashlib.sha256(b"\0".join([version, repr(command[1:]).encode(), preprocessed.stdout]))
    return OBJECTS / f"{key.hexdigest()[:32]}.o"


def _store(target: Path, kept: Path) -> None:
    OBJECTS.mkdir(parents=True, exist_ok=True)
    for old in OBJECTS.iterdir():
        if old.stat().st_mtime < time.time() - _UNUSED_SECONDS:
            old.unlink(missing_ok=True)
    with tempfile.NamedTemporaryFile(dir=OBJECTS, delete=False) as copy:
        copy.write(target.read_bytes())
    Path(copy.name).replace(kept)


def main(command: list[str]) -> int:
    """Run one call of a compiler; return its exit status."""
    if "-c" not in command or "-o" not in command:
        return subprocess.call(command)
    place = command.index("-o")
    target, rest = Path(command[place + 1]), command[:place] + command[place + 2 :]
    kept = _object_for(rest)
    if kept is not None and kept.exists():
        os.utime(kept)
        shutil.copyfile(kept, target)
        return 0
    status = subprocess.call(command)
    if status == 0 and kept is not None:
        _store(target, kept)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
