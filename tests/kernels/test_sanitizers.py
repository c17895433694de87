"""The CPU kernels under the sanitizers of addresses, undefined behavior and threads (see driver.cpp).

The driver puts every tensor at the very end or start of its memory, lets two threads share the work, and
compares the answers with plain loops. Faults made on purpose show that it would notice.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kernels.support.cached_compiler import caching
from tests.kernels.support.cpu_targets import SOURCES, supported_targets, targets_in_sources
from tests.kernels.support.marks import slow

pytestmark = slow

DRIVER = Path(__file__).parent / "sanitizers"
# Watching for pointers that wrap around the address space would double the compile time.
MEMORY = ["-fsanitize=address,undefined", "-fno-sanitize=pointer-overflow", "-fno-sanitize-recover=all"]
THREADS = ["-fsanitize=thread"]
# -w: GCC 12 reports its own vector headers once sanitizers rearrange the code; the real build warns.
FLAGS = ["-std=c++17", "-O1", "-g1", "-w", f"-I{SOURCES}"]
TENSORS = [
    "features", "query", "pooled", "mean", "grad_pooled", "grad_mean", "grad_features", "grad_query",
    "mean_input", "position", "query_weight", "key_weight", "value_weight", "value_bias", "score_weight",
    "weights", "affinity", "context",
]  # fmt: skip
PROBE = "#include <thread>\nint main() { std::thread([] {}).join(); }\n"


def compiler() -> str:
    program = shutil.which(os.environ.get("CXX", "c++"))
    if program is None:
        pytest.skip("no C++ compiler")
    return program


def run(command: list[str | Path], **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if key != "LNLATTENNET_CPU_TARGET"}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=240, env={**inherited, **environment}
    )


def skip_unless_it_runs(sanitizer: list[str], folder: Path) -> None:
    """Some compilers come without the sanitizers' libraries, and some kernels forbid their address space."""
    source, program = folder / "probe.cpp", folder / "probe"
    source.write_text(PROBE, encoding="utf-8")
    built = run([compiler(), *sanitizer, "-pthread", source, "-o", program])
    if built.returncode or run([program]).returncode:
        pytest.skip(f"this machine cannot build or run a program with {sanitizer[0]}")


def own_flags(source: Path, sanitizer: list[str]) -> list[str]:
    """The kernels are watched, the driver need not be; what this CPU does not run is only linked."""
    if source.parent != SOURCES / "cpu":
        return []
    target = source.stem.removeprefix("target_")
    if target in targets_in_sources() and target not in supported_targets():
        return ["-O0"]
    return sanitizer


def build(sanitizer: list[str], folder: Path) -> Path:
    skip_unless_it_runs(sanitizer, folder)
    # The one that takes longest, the generic target, comes first.
    sources = [*sorted((SOURCES / "cpu").glob("*.cpp"), reverse=True), DRIVER / "driver.cpp"]
    objects = [folder / f"{source.stem}.o" for source in sources]

    def compile_one(source: Path, to: Path) -> None:
        done = run([*caching(compiler()), *FLAGS, *own_flags(source, sanitizer), "-c", source, "-o", to])
        assert done.returncode == 0, done.stderr

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(compile_one, sources, objects))
    program = folder / "driver"
    done = run([compiler(), *sanitizer, "-pthread", *objects, "-o", program])
    assert done.returncode == 0, done.stderr
    return program


@pytest.fixture(scope="module")
def memory_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(MEMORY, tmp_path_factory.mktemp("memory"))


@pytest.fixture(scope="module")
def thread_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(THREADS, tmp_path_factory.mktemp("threads"))


def skip_unless_supported(target: str) -> None:
    if target not in supported_targets():
        pytest.skip(f"this CPU has no {target}")


@pytest.mark.parametrize("target", targets_in_sources())
def test_random_problems_touch_only_their_own_memory(target: str, memory_driver: Path) -> None:
    skip_unless_supported(target)
    done = run([memory_driver, "200", "1"], LNLATTENNET_CPU_TARGET=target)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"200 cases on {target}\n"


@pytest.mark.parametrize("target", targets_in_sources())
def test_two_threads_on_disjoint_ranges_do_not_race(target: str, thread_driver: Path) -> None:
    skip_unless_supported(target)
    done = run([thread_driver, "60", "2"], LNLATTENNET_CPU_TARGET=target)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"60 cases on {target}\n"


@pytest.mark.parametrize("target", targets_in_sources())
@pytest.mark.parametrize("guard", ["red_zone", "page"])
def test_a_tensor_one_element_too_short_is_noticed(guard: str, target: str, memory_driver: Path) -> None:
    skip_unless_supported(target)
    # Naming the functions of a report takes ten times as long as the run.
    environment = {"LNLATTENNET_CPU_TARGET": target, "ASAN_OPTIONS": "symbolize=0"}
    for tensor in TENSORS:
        done = run([memory_driver, "40", "3", tensor, guard], **environment)
        assert done.returncode != 0, f"no sanitizer reports that {tensor} is too short"
        assert "ERROR: AddressSanitizer" in done.stderr, done.stderr
        assert re.search(r"\bT[1-9]\d*\b", done.stderr), f"{tensor}: not in a kernel's thread\n{done.stderr}"


def test_two_threads_on_the_same_range_are_noticed(thread_driver: Path) -> None:
    done = run([thread_driver, "20", "4", "same_work"])
    assert done.returncode != 0
    assert "data race" in done.stderr


def test_an_unknown_target_is_refused_with_the_choices(memory_driver: Path) -> None:
    done = run([memory_driver, "1", "1"], LNLATTENNET_CPU_TARGET="sse9")
    assert done.returncode != 0
    assert "sse9" in done.stderr
    assert "generic" in done.stderr
