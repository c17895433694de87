"""Requirements against Triton's containers, and the table of releases."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from lnlattennet import __version__
from lnlattennet.bundle.doctor._triton import check_triton
from lnlattennet.bundle.doctor._triton_releases import (
    SAFE_SINCE,
    is_safe,
    known_releases,
    triton_release,
)
from lnlattennet.errors import UsageError
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.runtimes._requirements import Requirements
from tests.bundle.manifests import engine, manifest


def test_every_fact_about_a_release_has_the_page_it_was_read_from() -> None:
    for name, release in known_releases().items():
        known = {"tensorrt", "onnxruntime", "cuda", "driver", "python"} | (
            {"server"} if release.server else set()
        )
        assert set(release.sources) == known, name
        assert all(source.startswith("https://") for source in release.sources.values())
    assert list(known_releases()) == sorted(known_releases())
    assert is_safe(SAFE_SINCE)
    assert not is_safe("25.12")


def test_an_unknown_release_lists_the_known_ones() -> None:
    told = r"--target-triton '99\.01': the contents .* known: 24\.10, .*26\.04"
    with pytest.raises(UsageError, match=told):
        triton_release("99.01")


def test_an_unknown_face_finder_is_a_verdict_as_it_is_on_this_machine() -> None:
    """As in a bundle of a later version of this package."""
    preprocessing = dataclasses.replace(Preprocessing(), face_finder="later")
    bundle = manifest(engine()).model_copy(update={"preprocessing": preprocessing})
    [found] = check_triton(bundle, triton_release("26.04"))
    assert found.verdict == "cannot"
    assert found.reasons[-1].startswith("unknown face finder 'later'; known: haar")


def test_a_container_runs_what_its_libraries_and_its_python_allow() -> None:
    plan: dict[str, Any] = {"device": "cuda", "compute_capabilities": ["8.9"]}
    bundle = manifest(
        engine("onnxruntime-fp32", requires=Requirements(device="cpu", packages={"onnxruntime": ">=1.20"})),
        engine("onnxruntime-int8", requires=Requirements(device="cpu", packages={"onnxruntime": ">=1.30"})),
        engine("tensorrt-fp16", requires=Requirements(packages={"tensorrt": "==10.16.1.11"}, **plan)),
        engine("tensorrt-fp32", requires=Requirements(packages={"tensorrt": "==11.2.1.2"}, **plan)),
        engine("tensorrt-fp8", requires=Requirements(packages={"tensorrt_rtx": "==1.7.1.116"}, **plan)),
        engine(),
        engine("aoti-fp32", requires=Requirements(device="cpu", packages={}, cpu_features=["avx512f"])),
        engine("onnxruntime-fp16", requires=Requirements(packages={"onnxruntime-gpu": ">=1.14"}, **plan)),
    )
    found = check_triton(bundle, triton_release("26.04"))
    assert [(one.where, one.verdict) for one in found] == [
        ("onnxruntime", "runs"),
        ("onnxruntime", "cannot"),
        ("tensorrt", "runs"),
        ("tensorrt", "cannot"),
        ("python", "runs"),
        ("python", "runs"),
        ("python", "runs"),
        ("onnxruntime", "runs"),
    ]
    assert found[6].reasons[0] == "the host's CPU should have avx512f: without these, the process crashes"
    assert "it needs tensorrt ==11.2.1.2, 26.04 has 10.16.1.11" in found[3].reasons
    assert found[3].remedies[0].startswith("pip install 'tensorrt==10.16.1.11' and then: export-engine")
    older = check_triton(bundle, triton_release("25.10"))
    assert (
        older[2]
        .remedies[0]
        .startswith("take one of the releases 26.04, 26.05, or: pip install 'tensorrt==10.13.3.9'")
    )
    assert found[1].remedies == ("serve another engine",)
    wheel = f"lnlattennet-{__version__}-py3-none-any.whl"
    assert found[5].remedies == (
        f"in the container: pip install './{wheel}[triton]' 'openvino>=2026.0' "
        f"(pip wheel --no-deps CLONE makes {wheel})",
    )
    assert "[triton]' (pip" in found[0].remedies[0], "Triton's own backend brings the runtime"
    assert "'tensorrt_rtx==1.7.1.116' 'cuda-bindings>=12.8'" in found[4].remedies[0]
    assert "GPU of compute capability 8.9; CUDA 13.2.1 of 26.04 comes with driver" in found[2].reasons[0]


def test_a_container_with_an_older_python_cannot_run_the_model_repository() -> None:
    found = check_triton(manifest(), triton_release("24.10"))[0]
    assert found.verdict == "cannot"
    assert "need Python >=3.11, 24.10 has 3.10.12" in found.reasons[0]
    assert "26.04" in found.remedies[0]
