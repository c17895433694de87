"""The CPU kernels under the sanitizers of addresses, undefined behavior and threads (see driver.cpp).

The driver puts every tensor at the very end or start of its memory, lets two threads share the work, and
compares the answers with plain loops. Faults made on purpose show that it would notice.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kernels.support.cached_compiler import caching
from tests.kernels.support.cpu_targets import NEEDS, SOURCES, supported_targets, targets_in_sources
from tests.kernels.support.marks import exhaustive, slow

pytestmark = slow

DRIVER = Path(__file__).parent / "sanitizers"
# Watching for pointers that wrap around the address space would double the compile time, as would inlining
# the checks of each access.
MEMORY = ["-fsanitize=address,undefined", "-fno-sanitize=pointer-overflow", "-fno-sanitize-recover=all"]
MEMORY += ["--param", "asan-instrumentation-with-call-threshold=0"]
THREADS = ["-fsanitize=thread"]
# -w: GCC 12 reports its own vector headers once sanitizers rearrange the code; the real build warns.
FLAGS = ["-std=c++17", "-Og", "-g1", "-w", f"-I{SOURCES}"]
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


def watched(target: str) -> set[str]:
    """Return the target and those it hands work to, such as all of float64 to the generic one."""
    texts = (SOURCES / "cpu" / name for name in (f"target_{target}.cpp", "kernels-inl.h"))
    return {target, *(name for text in texts for name in re.findall(r"(\w+)_kernels\.", text.read_text()))}


def own_flags(source: Path, target: str, sanitizer: list[str]) -> list[str]:
    """The kernels that the target runs are watched, the driver need not be; other targets are only linked."""
    if source.parent != SOURCES / "cpu":
        return []
    if source.stem.startswith("target_") and source.stem.removeprefix("target_") not in watched(target):
        return ["-O0"]
    return sanitizer


def build(target: str, sanitizer: list[str], folder: Path) -> Path:
    skip_unless_it_runs(sanitizer, folder)
    # The one that takes longest, the watched target, comes first.
    sources = sorted((SOURCES / "cpu").glob("*.cpp"), key=lambda path: path.stem != f"target_{target}")
    sources.append(DRIVER / "driver.cpp")
    objects = [folder / f"{source.stem}.o" for source in sources]

    def compile_one(source: Path, to: Path) -> None:
        done = run(
            [*caching(compiler()), *FLAGS, *own_flags(source, target, sanitizer), "-c", source, "-o", to]
        )
        assert done.returncode == 0, done.stderr

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(compile_one, sources, objects))
    program = folder / "driver"
    done = run([compiler(), *sanitizer, "-pthread", *objects, "-o", program])
    assert done.returncode == 0, done.stderr
    return program


BEST = max(supported_targets(), key=lambda target: len(NEEDS[target]))


def _choices() -> Iterator[object]:
    """The target that this CPU runs by default; with `make test-all` every other."""
    for target in targets_in_sources():
        supported = pytest.mark.skipif(target not in supported_targets(), reason=f"this CPU has no {target}")
        yield pytest.param(target, marks=[supported] if target == BEST else [supported, exhaustive])


@pytest.fixture(scope="module", params=_choices())
def target(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def memory_driver(target: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(target, MEMORY, tmp_path_factory.mktemp("memory"))


@pytest.fixture(scope="module")
def thread_driver(target: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(target, THREADS, tmp_path_factory.mktemp("threads"))


def test_random_problems_touch_only_their_own_memory(target: str, memory_driver: Path) -> None:
    done = run([memory_driver, "200", "1"], LNLATTENNET_CPU_TARGET=target)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"200 cases on {target}\n"


def test_two_threads_on_disjoint_ranges_do_not_race(target: str, thread_driver: Path) -> None:
    done = run([thread_driver, "60", "2"], LNLATTENNET_CPU_TARGET=target)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"60 cases on {target}\n"


@pytest.mark.parametrize("guard", ["red_zone", "page"])
def test_a_tensor_one_element_too_short_is_noticed(guard: str, target: str, memory_driver: Path) -> None:
    # Naming the functions of a report takes ten times as long as the run.
    environment = {"LNLATTENNET_CPU_TARGET": target, "ASAN_OPTIONS": "symbolize=0"}
    for tensor in TENSORS:
        done = run([memory_driver, "40", "3", tensor, guard], **environment)
        assert done.returncode != 0, f"no sanitizer reports that {tensor} is too short"
        assert "ERROR: AddressSanitizer" in done.stderr, done.stderr
        assert re.search(r"\bT[1-9]\d*\b", done.stderr), f"{tensor}: not in a kernel's thread\n{done.stderr}"


def test_two_threads_on_the_same_range_are_noticed(target: str, thread_driver: Path) -> None:
    done = run([thread_driver, "20", "4", "same_work"], LNLATTENNET_CPU_TARGET=target)
    assert done.returncode != 0
    assert "data race" in done.stderr


def test_an_unknown_target_is_refused_with_the_choices(memory_driver: Path) -> None:
    done = run([memory_driver, "1", "1"], LNLATTENNET_CPU_TARGET="sse9")
    assert done.returncode != 0
    assert "sse9" in done.stderr
    assert "generic" in done.stderr
