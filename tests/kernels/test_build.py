"""Builds: once, complete or not at all, also beside other builds; with a tiny library and a real compiler."""

from __future__ import annotations

import ctypes
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lnlattennet._cache_folder import cache_folder
from lnlattennet.errors import LnlAttenNetError, UnavailableError
from lnlattennet.kernels import _build, _cache
from lnlattennet.kernels._build import build_library, failed_build
from lnlattennet.kernels._cache import architectures_of, find_library, host, library_path
from lnlattennet.kernels._toolchain import find_cxx
from tests.kernels.support.marks import slow

ANSWER = 'extern "C" __attribute__((visibility("default"))) int answer() { return 42; }'
# The compiler, which also counts its calls and takes its time.
SLOW_COMPILER = """#!/bin/sh
case "$*" in *" -c "*) echo $$ >> "{calls}"; sleep {seconds};; esac
exec {compiler} "$@"
"""
BUILD = """
import sys
from pathlib import Path
from lnlattennet.kernels import _build, _cache
_build.CSRC = _cache.CSRC = Path(sys.argv[1])
print(_build.build_library("cpu", _cache.host()))
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LNLATTENNET_CACHE", str(tmp_path / "my cache"))
    return tmp_path / "my cache" / "kernels"


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library of one function for each device, in the folders of the real one."""
    csrc = tmp_path / "the sources"
    for name in ("core", "cpu", "cuda", "torch"):
        (csrc / name).mkdir(parents=True)
    (csrc / "cpu" / "answer.cpp").write_text(ANSWER)
    (csrc / "torch" / "cpu.cpp").touch()
    (csrc / "cuda" / "answer.cu").write_text(
        'extern "C" int answer() { int n; cudaGetDeviceCount(&n); return 7; }'
    )
    (csrc / "torch" / "cuda.cpp").touch()
    monkeypatch.setattr(_build, "CSRC", csrc)
    monkeypatch.setattr(_cache, "CSRC", csrc)
    return csrc


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with one line per call of the compiler, which is now a slow one."""
    path, compiler = tmp_path / "calls", tmp_path / "slow-c++"
    text = SLOW_COMPILER.format(calls=path, seconds=0.5, compiler=find_cxx())
    compiler.write_text(text)
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    return path


def start_build(sources: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BUILD, str(sources)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ended(process: int) -> bool:
    """Return whether a process has ended; a zombie has."""
    status = Path(f"/proc/{process}/status")
    return not status.exists() or "\nState:\tZ" in status.read_text()


@slow
def test_a_library_is_built_once_with_one_line_of_progress(
    cache: Path, sources: Path, calls: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    library = build_library("cpu", host())
    assert ctypes.CDLL(str(library)).answer() == 42
    progress = capfd.readouterr()
    assert progress.out == ""
    assert progress.err.startswith("building the CPU kernels (about ")
    assert progress.err.endswith(f"s: {library}\n")
    assert progress.err.count("\n") == 1
    assert {path.suffix for path in cache.iterdir()} == {".so", ".sha256", ".log", ".lock"}

    before = calls.read_text()
    assert build_library("cpu", host()) == library == find_library("cpu", host())
    assert calls.read_text() == before
    assert capfd.readouterr().err == ""
    build_library("cpu", host(), force=True)
    assert calls.read_text() != before


@pytest.mark.parametrize("change", ["core/new.h", "cpu/answer.cpp", "torch/cpu.cpp", "flags", "compiler"])
def test_any_change_is_another_library(
    cache: Path, sources: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    before = library_path("cpu", host())
    if change == "flags":
        monkeypatch.setattr(_cache, "CXX_FLAGS", ("-O2",))
    elif change == "compiler":
        monkeypatch.setattr(_cache, "compiler_version", lambda compiler: "g++ 99")
    else:
        (sources / change).write_text("// another version")
    assert library_path("cpu", host()) != before


def test_the_other_devices_sources_do_not_matter(cache: Path, sources: Path) -> None:
    before = library_path("cpu", host())
    (sources / "cuda" / "answer.cu").write_text("// another version")
    (sources / "torch" / "cuda.cpp").write_text("// another version")
    assert library_path("cpu", host()) == before


@slow
def test_two_processes_at_once_build_once(cache: Path, sources: Path, calls: Path) -> None:
    processes = [start_build(sources) for _ in range(2)]
    results = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert results[0][0] == results[1][0]
    assert len(calls.read_text().splitlines()) == 2, "one source and one binding"
    assert sorted(errors.count("building the CPU kernels") for _, errors in results) == [0, 1]


@slow
def test_a_killed_build_does_not_hinder_the_next(cache: Path, sources: Path, calls: Path) -> None:
    with start_build(sources) as process:
        wait_for(calls)
        process.kill()
    assert any(cache.glob(".cpu.*"))
    # What stays if it is killed while the library is copied.
    (cache / f".{library_path('cpu', host()).name}.0123abcd").touch()
    library = build_library("cpu", host())
    assert ctypes.CDLL(str(library)).answer() == 42
    assert not any(cache.glob(".*"))


@slow
def test_an_interrupted_build_leaves_nothing_and_stops_its_compilers(
    cache: Path, sources: Path, calls: Path
) -> None:
    with start_build(sources) as process:
        wait_for(calls)
        compiler = int(calls.read_text().splitlines()[0])
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "once) ... interrupted\n" in errors
    assert not any(cache.glob(".cpu.*"))
    assert not any(cache.glob("*.so"))
    assert ended(compiler)


@slow
def test_a_failed_build_shows_the_compilers_words_and_names_their_log(
    cache: Path, sources: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (sources / "cpu" / "answer.cpp").write_text("no such type;")
    with pytest.raises(LnlAttenNetError, match="could not be built") as failure:
        build_library("cpu", host())
    log = failed_build("cpu", host())
    assert log is not None
    assert str(log) in str(failure.value)
    assert "no such type" in log.read_text()
    errors = capfd.readouterr().err
    assert "answer.cpp" in errors
    assert errors.endswith("failed\n")

    (sources / "cpu" / "answer.cpp").write_text(ANSWER)
    assert failed_build("cpu", host()) is None
    build_library("cpu", host())


@slow
def test_sources_that_change_meanwhile_are_not_taken_for_what_they_were(
    cache: Path, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_ = _build._compile

    def edited(*arguments: object) -> None:
        compile_(*arguments)  # type: ignore[arg-type]
        (sources / "core" / "new.h").write_text("")

    monkeypatch.setattr(_build, "_compile", edited)
    with pytest.raises(LnlAttenNetError, match="changed while they were compiled"):
        build_library("cpu", host())
    assert not any(cache.glob("*.so"))


def test_without_a_compiler_a_library_from_elsewhere_is_found(
    cache: Path, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = library_path("cpu", host())
    cache.mkdir(parents=True)
    library.touch()
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("CXX", raising=False)
    assert find_library("cpu", host()) == library
    with pytest.raises(UnavailableError, match=r"no C\+\+ compiler is on PATH; install one"):
        build_library("cpu", host())
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UnavailableError, match="CXX names 'no-such-compiler', which is no program"):
        build_library("cpu", host())


@pytest.mark.parametrize(
    ("compiled", "gpu", "fits"),
    [
        ("80.90", "90", True),
        ("80", "89", True),
        ("80", "90", False),
        ("90", "80", False),
        ("89", "86", False),
        ("100", "103", True),
        ("90", "100", False),
    ],
)
def test_gpu_code_runs_on_its_own_and_later_gpus_of_its_major_version(
    cache: Path, sources: Path, monkeypatch: pytest.MonkeyPatch, compiled: str, gpu: str, fits: bool
) -> None:
    monkeypatch.setattr(_cache, "find_compilers", lambda device: [])
    library = library_path("cuda", compiled.split("."))
    cache.mkdir(parents=True)
    library.touch()
    assert find_library("cuda", (gpu,)) == (library if fits else None)


def test_a_cache_that_cannot_be_written_is_named(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even root may create a folder in /proc."""
    monkeypatch.setenv("LNLATTENNET_CACHE", "/proc/cache")
    with pytest.raises(
        LnlAttenNetError, match=r"/proc/cache/kernels cannot be used .* set LNLATTENNET_CACHE"
    ):
        build_library("cpu", host())


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LNLATTENNET_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/shared")
    assert cache_folder("kernels") == Path("/shared/lnlattennet/kernels")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_folder("kernels") == Path("/home/me/.cache/lnlattennet/kernels")


@slow
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no CUDA compiler on PATH")
def test_a_cuda_library_is_built_without_a_gpu_and_loads_without_cuda(cache: Path, sources: Path) -> None:
    library = build_library("cuda", ("80", "90"))
    assert architectures_of(library) == ("80", "90")
    assert ctypes.CDLL(str(library)).answer() == 7
