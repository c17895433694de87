"""What a bundle and the messages name to install is what the code imports."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

PACKAGES = ("bundle", "data", "evaluation", "export", "images", "kernels", "model", "runtimes", "serving")
SOURCES = [*(ROOT / "src" / "lnlattennet").glob("*.py")] + [
    path for package in (*PACKAGES, "training") for path in (ROOT / package).rglob("*.py")
]
DISTRIBUTIONS = metadata.packages_distributions()


def closure(requirements: list[str]) -> set[str]:
    """The distributions that pip would install for some requirements, of those that are installed here."""
    found: set[str] = set()
    waiting = [(Requirement(text), "") for text in requirements]
    done = set()
    while waiting:
        requirement, parent_extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": parent_extra}):
            continue
        name = canonicalize_name(requirement.name)
        found.add(name)
        for extra in ("", *requirement.extras):
            if (name, extra) in done:
                continue
            done.add((name, extra))
            try:
                needed = metadata.requires(name) or []
            except metadata.PackageNotFoundError:
                continue
            waiting += [(Requirement(text), extra) for text in needed]
    return found


def distributions_of(module: str) -> set[str]:
    return {canonicalize_name(name) for name in DISTRIBUTIONS.get(module.partition(".")[0], [])}


def remedies() -> Iterator[tuple[str, str]]:
    """Every (module, extra) of a call of ``require`` or ``installed`` with literal arguments."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            values = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            if node.func.id == "require" and len(values) == 2:
                yield str(values[0]), str(values[1])
            elif node.func.id == "installed" and values and node.keywords:
                extra = node.keywords[0].value
                assert isinstance(extra, ast.Constant)
                yield from ((str(module), str(extra.value)) for module in values)


@pytest.mark.parametrize(
    ("module", "extra"),
    sorted({*remedies(), ("cuda.bindings", "tensorrt"), ("cuda.bindings", "rtx"), ("tensorrt_rtx", "rtx")}),
)
def test_the_extra_that_a_message_names_brings_the_module(module: str, extra: str) -> None:
    assert extra in (metadata.metadata("lnlattennet").get_all("Provides-Extra") or [])
    brought_by = distributions_of(module)
    if not brought_by:
        pytest.skip(f"{module} is not installed here")
    assert brought_by & closure([f"lnlattennet[{extra}]"])


def test_every_extra_that_a_text_names_exists() -> None:
    known = metadata.metadata("lnlattennet").get_all("Provides-Extra") or []
    for path in SOURCES:
        for extra in re.findall(r"lnlattennet\[([a-z,]+)\]", path.read_text()):
            assert set(extra.split(",")) <= set(known), path


@pytest.mark.parametrize(("proper", "extra"), [(True, "tensorrt"), (False, "rtx")])
def test_missing_cuda_bindings_are_of_the_extra_of_the_tensorrt_that_is_there(
    proper: bool, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lnlattennet.runtimes.tensorrt import _cuda_memory

    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if proper else None)
    assert _cuda_memory.why_no_gpu().endswith(f"pip install 'lnlattennet[{extra}]'")
