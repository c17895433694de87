"""First use of an op: compiled kernels, or the reference and one warning that says why."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lnlattennet.errors import ConfigError, UnavailableError
from lnlattennet.kernels._cache import host, is_complete, library_path, write_checksum
from lnlattennet.kernels._loader import _target, architectures, implementation
from lnlattennet.kernels._toolchain import find_cxx
from tests.kernels.support.cached_compiler import write_caching_compiler
from tests.kernels.support.marks import slow

USE = """
from concurrent.futures import ThreadPoolExecutor
import torch
from lnlattennet.kernels import _reference as reference
from lnlattennet.kernels import local_nonlocal_attention

torch.manual_seed(0)
features, query = torch.randn(2, 5, 4, 4, requires_grad=True), torch.randn(4, 2, 5)
parameters = [torch.randn(shape) for shape in [(4, 5), (3, 5), (3, 5), (3, 5), (3,), (3,)]]
with ThreadPoolExecutor(3) as pool:
    calls = [pool.submit(local_nonlocal_attention, features, query, 2, *parameters) for _ in range(6)]
expected = reference.local_nonlocal_attention(features, query, 2, *parameters)
for call in calls:
    torch.testing.assert_close(call.result(), expected)
(gradient,) = torch.autograd.grad(calls[0].result()[0].sum(), features)
torch.testing.assert_close(gradient, torch.autograd.grad(expected[0].sum(), features)[0])
print("right")
"""
REFUSED = """
import torch
import lnlattennet.kernels
torch.ops.lnlattennet.region_attention(torch.zeros(3, 4, 6), torch.zeros(4, 1, 3), 2)
"""
# It answers when asked for its version, and compiles nothing.
BROKEN_COMPILER = """#!/bin/sh
case "$*" in *--version*) echo "broken 1.0"; exit 0;; esac
echo "fatal error: out of ideas" >&2
exit 1
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, for this process and those that it starts."""
    monkeypatch.setenv("LNLATTENNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LNLATTENNET_KERNELS", raising=False)
    return tmp_path / "cache" / "kernels"


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("CXX", raising=False)


@pytest.fixture
def broken_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / "broken-c++"
    compiler.write_text(BROKEN_COMPILER)
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))


@pytest.fixture
def caching_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that compiles what it has not compiled before, without optimizing; it links every time."""
    compiler = write_caching_compiler(tmp_path / "caching-c++", str(find_cxx()), "-O0")
    monkeypatch.setenv("CXX", str(compiler))


def run(code: str, timeout: int = 120) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)


@slow
def test_the_first_use_builds_and_every_later_one_is_silent(cache: Path, caching_compiler: None) -> None:
    first = run(USE, timeout=290)
    assert first.stdout == "right\n", first.stderr
    assert first.stderr.startswith("building the CPU kernels")
    assert first.stderr.count("\n") == 1
    second = run(USE)
    assert (second.stdout, second.stderr) == ("right\n", "")
    assert implementation("cpu").kind == "compiled"
    assert implementation("cpu").target in ("avx512_bf16", "avx512", "avx2", "generic")


def test_without_a_compiler_the_reference_runs_with_one_warning(cache: Path, no_compiler: None) -> None:
    done = run(USE)
    assert done.stdout == "right\n", done.stderr
    assert done.stderr.count("RuntimeWarning") == 1
    assert "no C++ compiler is on PATH; install one" in done.stderr
    running = implementation("cpu")
    assert running.kind == "reference"
    assert "no C++ compiler is on PATH" in running.reason


@slow
def test_a_cxx_library_of_the_kernels_own_does_not_meet_torchs(
    cache: Path, caching_compiler: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An H100 machine's compiler linked libstdc++ statically: every error was a segmentation fault there."""
    monkeypatch.setenv("LDFLAGS", "-static-libstdc++")
    done = run(REFUSED, timeout=290)
    assert done.returncode == 1
    assert "features must be [B, C, H, W], got [3, 4, 6]" in done.stderr


def test_after_a_failed_build_the_reference_runs_with_one_warning_that_names_the_log(
    cache: Path, broken_compiler: None
) -> None:
    assert implementation("cpu").reason.startswith("at first use, which builds it")
    done = run(USE)
    assert done.stdout == "right\n", done.stderr
    assert done.stderr.count("RuntimeWarning") == 1
    (log,) = cache.glob("*.log")
    assert f"the compilers' output is in {log}" in done.stderr
    assert "fatal error: out of ideas" in log.read_text()
    running = implementation("cpu")
    assert running.kind == "reference"
    assert str(log) in running.reason


def test_a_library_that_cannot_be_loaded_is_named(cache: Path) -> None:
    library = library_path("cpu", host())
    cache.mkdir(parents=True)
    library.write_text("not a library")
    done = run(USE)
    assert done.stdout == "right\n", done.stderr
    assert done.stderr.count("RuntimeWarning") == 1
    assert f"{library} is incomplete, or its .sha256 file is missing" in done.stderr
    assert "kernels build --force" in implementation("cpu").reason


@pytest.mark.parametrize("share", [0.0, 0.01, 0.9])
def test_a_library_whose_copy_broke_off_is_named_and_not_loaded(share: float, cache: Path) -> None:
    """Loading it would end the process with a bus error."""
    whole = Path(torch._C.__file__)
    library = library_path("cpu", host())
    cache.mkdir(parents=True)
    write_checksum(library, whole)
    library.write_bytes(whole.read_bytes())
    assert is_complete(library)
    library.write_bytes(whole.read_bytes()[: int(share * whole.stat().st_size)])
    assert f"{library} is incomplete" in implementation("cpu").reason


def test_kernels_that_are_switched_off_are_not_built_and_not_missed(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LNLATTENNET_KERNELS", "reference")
    done = run(USE)
    assert (done.stdout, done.stderr) == ("right\n", "")
    assert implementation("cpu").reason == "switched off by LNLATTENNET_KERNELS=reference"
    monkeypatch.setenv("LNLATTENNET_KERNELS", "refrence")
    assert "LNLATTENNET_KERNELS must be 'reference' or not set, got 'refrence'" in run(USE).stderr
    assert not cache.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU there is one to tell of")
def test_without_a_gpu_nothing_runs_on_cuda(cache: Path) -> None:
    assert implementation("cuda").kind == "none"


def test_gpus_decide_what_is_compiled_and_too_old_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    capabilities = [(9, 0), (8, 0), (9, 0), (12, 1)]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(capabilities))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: capabilities[index])
    assert architectures("cuda") == ("80", "90", "121")
    capabilities.append((7, 0))
    with pytest.raises(UnavailableError, match=r"need compute capability 7.5 or later, a GPU here has 7\.0"):
        architectures("cuda")


def test_a_cuda_variant_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Path("lnlattennet_cuda-80.90-a-b.so")
    monkeypatch.setenv("LNLATTENNET_CUDA_VARIANT", "portable")
    assert _target("cuda", library) == "sm_80 sm_90"
    monkeypatch.setenv("LNLATTENNET_CUDA_VARIANT", "clusters")
    with pytest.raises(ConfigError, match="is 'clusters': choose automatic, portable"):
        _target("cuda", library)


def test_importing_needs_only_torch_and_starts_nothing(cache: Path) -> None:
    code = "import sys, torch, lnlattennet.kernels\nprint(torch.cuda.is_initialized(), *sys.modules)"
    initialized, *modules = run(code).stdout.split()
    assert initialized == "False"
    assert not {"typer", "rich", "pydantic", "onnx", "setuptools"} & set(modules)
    assert not cache.exists()


def test_tracing_builds_and_computes_nothing(cache: Path) -> None:
    """Although a compiler is at hand; the traced program holds the op itself."""
    code = """
import torch
from lnlattennet.kernels import region_attention

class Pool(torch.nn.Module):
    def forward(self, features, query):
        return region_attention(features, query, 2)

inputs = torch.randn(3, 5, 4, 4), torch.randn(4, 2, 5)
batch = torch.export.Dim("batch")
program = torch.export.export(Pool(), inputs, dynamic_shapes=({0: batch}, None))
print([str(node.target) for node in program.graph.nodes if "lnlattennet" in str(node.target)])
region_attention(inputs[0].to("meta"), inputs[1].to("meta"), 2)
"""
    done = run(code)
    assert done.stdout == "['lnlattennet.region_attention.default']\n", done.stderr
    assert not cache.exists()
