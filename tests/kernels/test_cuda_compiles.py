"""Every line of CUDA compiles for every architecture, without a GPU, and stays in registers.

Seven architectures take minutes. `make kernels-report` compiles for all of them, with warnings as errors,
and stamps its table with a digest of the sources: no change gets past these tests without it. Here this
machine's compilers compile for one architecture: one file, and in `make test-all` every file.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest

# The report is a developer's tool: a bare GPU machine does not have what it prints with.
pytest.importorskip("rich")

from lnlattennet._atomic import replace_file
from lnlattennet.errors import LnlAttenNetError, UnavailableError
from lnlattennet.kernels import _resources as resources
from lnlattennet.kernels._cache import cache_key
from lnlattennet.kernels._ptxas import KernelResources, parse_ptxas, readable
from lnlattennet.kernels._resources import TABLE, spilling
from lnlattennet.kernels._toolchain import ARCHITECTURES, compiler_version, find_compilers, find_nvcc
from tests.kernels.support.cached_compiler import OBJECTS
from tests.kernels.support.cpu_targets import SOURCES
from tests.kernels.support.marks import exhaustive, slow

COMPILED = ("90",)
"""The first with clusters: on older ones their kernels are empty."""

CSRC = SOURCES.resolve()
SAMPLE = ("cuda/cluster/float.cu",)
EVERY_FILE = tuple(source.relative_to(CSRC).as_posix() for source in resources.cuda_sources())

REPORT = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_ZN1a4poolIfLi8ELNS_7VariantE1EEEvNS_9ArgumentsE' for 'sm_90'
ptxas info    : Function properties for _ZN1a4poolIfLi8ELNS_7VariantE1EEEvNS_9ArgumentsE
    24 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 96 registers, used 1 barriers, 24 bytes cumulative stack size, 512 bytes smem
ptxas info    : Compile time = 12.255 ms
ptxas info    : Compiling entry function 'plain' for 'sm_90'
ptxas info    : Function properties for plain
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 10 registers, used 0 barriers, 368 bytes cmem[0]
"""


def skip_without_nvcc() -> None:
    try:
        find_nvcc()
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(
    scope="module",
    params=[pytest.param(SAMPLE, id="one file"), pytest.param(EVERY_FILE, id="every file", marks=exhaustive)],
)
def sources(request: pytest.FixtureRequest) -> tuple[str, ...]:
    chosen: tuple[str, ...] = request.param
    return chosen


@pytest.fixture(scope="module")
def compiled(sources: tuple[str, ...]) -> list[KernelResources]:
    """Their kernels on these architectures; a warning fails it. Kept for these sources and compilers."""
    skip_without_nvcc()
    versions = "".join(compiler_version(compiler) for compiler in find_compilers("cuda"))
    what = repr((COMPILED, sources))
    key = cache_key([resources.sources_digest().encode(), versions.encode(), what.encode()])
    kept = OBJECTS / f"ptxas-{key}.json"
    if kept.exists():
        return [KernelResources(**fields) for fields in json.loads(kept.read_text())]
    kernels = resources.compile_everywhere([CSRC / name for name in sources], COMPILED)
    OBJECTS.mkdir(parents=True, exist_ok=True)
    with replace_file(kept) as path:
        path.write_text(json.dumps([dataclasses.asdict(kernel) for kernel in kernels]))
    return kernels


def rows(table: str, sources: tuple[str, ...]) -> set[tuple[str, str]]:
    """Source and kernel of each row in the sections of ``sources``."""
    found = set()
    for section in re.split("^## ", table, flags=re.MULTILINE)[1:]:
        source, *lines = section.splitlines()
        if source in sources:
            found |= {(source, line.partition(" |")[0]) for line in lines if line.startswith("| `")}
    return found


@slow
@pytest.mark.timeout(1200)
def test_no_kernel_keeps_values_in_local_memory(compiled: list[KernelResources]) -> None:
    assert spilling(compiled) == []


@slow
@pytest.mark.timeout(1200)
def test_the_committed_table_has_the_kernels_that_there_are(
    sources: tuple[str, ...], compiled: list[KernelResources]
) -> None:
    found = rows(resources.table(compiled), sources)
    assert found
    assert rows(TABLE.read_text(), sources) == found, "run `make kernels-report`"


def test_the_committed_table_is_of_these_sources_for_every_architecture_without_local_memory() -> None:
    text = TABLE.read_text()
    assert f"Made from sources {resources.sources_digest()}." in text, "run `make kernels-report`"
    assert f"| kernel | smem | {' | '.join(ARCHITECTURES)} |" in text
    cells = [cell for line in text.splitlines() if line.startswith("| `") for cell in line.split(" | ")[2:]]
    assert cells
    assert not [cell for cell in cells if not re.fullmatch(r"\d+( \|)?|-( \|)?", cell)]


def test_a_report_of_ptxas_is_read_kernel_by_kernel() -> None:
    assert parse_ptxas("cuda/a.cu", "90", REPORT) == [
        KernelResources(
            "cuda/a.cu",
            "pool<float, 8, Variant(1)>",
            "90",
            registers=96,
            stack=24,
            spills=20,
            static_shared=512,
        ),
        KernelResources("cuda/a.cu", "plain", "90", registers=10, stack=0, spills=0, static_shared=0),
    ]


@pytest.mark.parametrize(
    ("mangled", "name"),
    [
        ("_ZN3lnl4cuda6kernelI4HalfLb1ELi4EEEvPKT_", "kernel<Half, true, 4>"),
        ("_ZN3lnl4cuda6kernelINS0_4TileIfLi4EEEEEvNS0_4ViewIT_EE", "kernel<Tile<float, 4> >"),
        ("_ZN12_GLOBAL__N_16kernelEPf", "kernel"),
        ("extern_c_kernel", "extern_c_kernel"),
    ],
)
def test_kernels_have_readable_names(mangled: str, name: str) -> None:
    assert readable(mangled) == name


def test_a_table_shows_spills_and_where_a_kernel_is_empty() -> None:
    kernels = [
        KernelResources("cuda/cluster/a.cu", "pool<float>", sm, 40, 8 * (sm == "90"), 12 * (sm == "90"), 0)
        for sm in ARCHITECTURES
    ]
    assert "| `pool<float>` | 0 | - | - | - | - | 40 st 8 sp 12 | 40 | 40 |" in resources.table(kernels)


def test_without_a_compiler_the_report_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(UnavailableError, match=re.escape("set CUDA_HOME")) as failure:
        resources.main()
    assert failure.value.exit_code == 4


def test_a_warning_of_the_compiler_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_without_nvcc()
    source = tmp_path / "cuda" / "unused.cu"
    source.parent.mkdir()
    source.write_text("__global__ void kernel(int* x) { int unused; x[0] = 1; }\n")
    monkeypatch.setattr(resources, "_CSRC", tmp_path)
    with pytest.raises(LnlAttenNetError, match=r"cuda/unused\.cu does not compile for sm_75"):
        resources.compile_everywhere([source])
