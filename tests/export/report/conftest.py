"""A manifest as an export writes it: engines that passed, were not run, and failed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lnlattennet.bundle._export_options import ExportOptions
from lnlattennet.bundle._manifest import (
    SCHEMA_VERSION,
    Check,
    EngineRecord,
    FileRecord,
    Latency,
    Manifest,
    SkippedEngine,
)
from lnlattennet.export.report._document import report_document
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.runtimes._precision import uniform_plan
from lnlattennet.runtimes._requirements import Requirements

CONFIG = NetworkConfig()
BATCHES = (1, 8, 32)
FACTORS = {1: 1.0, 8: 5.4, 32: 20.5}
Samples = dict[str, dict[int, list[float]]]

ENGINES: list[tuple[str, str, float, float, float]] = [
    # backend, precision, milliseconds at batch 1, KL, top-1 agreement
    ("torch", "fp32", 31.2, 0.0, 1.0),
    ("aoti", "fp32", 9.8, 3.1e-12, 1.0),
    ("onnxruntime", "fp32", 12.4, 8.4e-12, 1.0),
    ("onnxruntime", "int8", 5.1, 2.3e-3, 0.9922),
    ("openvino", "fp32", 8.9, 9.1e-12, 1.0),
    ("openvino", "auto", 3.42, 4.7e-4, 0.9961),
]


def checks(precision: str, kl: float, agreement: float, worse: float = 1.0) -> list[Check]:
    """Every check of the gate, ``worse`` times as bad as an ordinary engine of that precision."""
    exact = precision in ("fp32", "torch")
    atol = 1e-4 if exact else 0.5
    found: list[tuple[str, str, float, float | None, int | None, int | None]] = [
        ("max_abs", "logits", 0.08 * atol * worse, atol, 97, None),
        ("max_abs", "region_weights", 0.2 * atol * worse, atol, 12, 10),
        ("max_abs", "region_affinity", 0.03 * atol * worse, atol, 12, 6),
        ("cosine", "logits", 1 - (1e-9 if exact else 4e-4) * worse, 0.99999 if exact else 0.99, 201, None),
        (
            "cosine",
            "region_weights",
            1 - (1e-10 if exact else 6e-5) * worse,
            0.99999 if exact else 0.99,
            7,
            None,
        ),
        ("kl", "logits", kl, 1e-6 if exact else 0.01, None, None),
        ("top1_agreement", "logits", agreement, 1.0 if exact else 0.99, None, None),
        (
            "top3_overlap",
            "region_weights",
            1.0 if exact else 1 - 0.03 * worse,
            0.99 if exact else 0.9,
            None,
            None,
        ),
        ("sum", "region_weights", 2.4e-7, 1e-5, 44, None),
        ("cosine", "region_affinity", 0.9999, None, 12, 6),
        ("permutation", "logits", 0.0 if exact else 3e-5, 1e-4, 19, None),
    ]
    lower = {"cosine", "top1_agreement", "top3_overlap"}
    return [
        Check(
            metric=metric,
            output=output,
            value=value,
            limit=limit,
            passed=limit is None or (value >= limit if metric in lower else value <= limit),
            batch=None if sample is None else 8,
            sample=sample,
            region=region,
        )
        for metric, output, value, limit, sample, region in found
    ]


def _plan(precision: str) -> dict[str, str]:
    plan = uniform_plan("int8" if precision == "auto" else precision, CONFIG)
    return dict(plan.raised({"unet.stem": "fp32", "fusion": "bf16"} if precision == "auto" else {}).blocks)


def _requirements(backend: str) -> Requirements:
    packages = {backend: ">=1.20"}
    if backend.startswith("tensorrt"):
        return Requirements(
            device="cuda", packages={backend: "==10.9"}, compute_capabilities=["8.9"], driver="570.86"
        )
    return Requirements(
        device="cpu", packages=packages, platform="Linux x86_64", cpu_features=["avx512f", "avx512_vnni"]
    )


def _engine(backend: str, precision: str, **fields: Any) -> EngineRecord:
    quantized = precision in ("int8", "auto")
    return EngineRecord(
        name=f"{backend}-{precision}",
        backend=backend,
        precision="int8" if precision == "auto" else precision,
        plan=_plan(precision),
        file=f"engines/{backend}-{precision}/model.xml",
        batch=(1, 8, 32),
        versions={backend: "2.13.0+cpu"},
        requires=_requirements(backend),
        build_seconds=7.31,
        layers={"int8": 24, "fp32": 5} if quantized else {precision: 29},
        **fields,
    )


def timed(base: float, seed: int) -> tuple[list[Latency], dict[int, list[float]]]:
    """100 samples per batch size with the long tail of a shared machine, and their records."""
    random = np.random.default_rng(seed)
    records, samples = [], {}
    for batch in BATCHES:
        values = base * FACTORS[batch] * (1 + random.gamma(1.3, 0.03, 100))
        values[random.integers(0, 100, 3)] *= 1.6
        samples[batch] = [float(value) for value in values]
        median, p90 = np.percentile(values, [50, 90])
        records.append(
            Latency(
                batch=batch,
                threads=2,
                median_ms=float(median),
                low_ms=float(median) * 0.993,
                high_ms=float(median) * 1.008,
                p90_ms=float(p90),
                samples=100,
            )
        )
    return records, samples


def skipped() -> list[SkippedEngine]:
    return [
        SkippedEngine(
            backend="openvino",
            precision="int8",
            reason="it did not pass the gate: top1_agreement of logits is 0.9648, below 0.99",
            checks=checks("int8", 0.031, 0.9648, worse=9.0),
        ),
        SkippedEngine(
            backend="onnxruntime", precision="fp8", reason="ONNX Runtime has no fp8 convolution on the CPU"
        ),
        SkippedEngine(
            backend="tensorrt-rtx", reason="package 'tensorrt_rtx' is not installed: pip install 'x[rtx]'"
        ),
    ]


VERIFICATION: dict[str, Any] = {
    "faces": 512,
    "faces_source": "rendered",
    "labeled": {
        "name": "rendered test split",
        "faces": 2400,
        "checkpoint_accuracy": [0.9312, 0.9205, 0.941],
        "engines": {
            "torch-fp32": [0.9312, 0.9205, 0.941],
            "openvino-auto": [0.9292, 0.9183, 0.939],
            "onnxruntime-int8": [0.9271, 0.9161, 0.9371],
        },
    },
    "calibration": {"faces": 256, "source": "rendered", "method": "percentile"},
    "strategy": "min-latency",
    "latency_budget_ms": None,
    "threads": 2,
    "seconds": 214.6,
    "peak_memory_mb": 1843.2,
    "planned_layers": {"openvino-auto": {"int8": 26, "fp32": 2, "bf16": 1}, "torch-fp32": {"fp32": 29}},
}


@pytest.fixture
def samples() -> Samples:
    return {
        f"{backend}-{precision}": timed(base, seed)[1]
        for seed, (backend, precision, base, _, _) in enumerate(ENGINES)
    }


@pytest.fixture
def make_manifest() -> Callable[..., Manifest]:
    """Return the whole manifest, with the given fields replaced."""

    def make(**fields: Any) -> Manifest:
        engines = [
            _engine(
                backend,
                precision,
                status="passed",
                checks=checks(precision, kl, agreement),
                latency=timed(base, seed)[0],
            )
            for seed, (backend, precision, base, kl, agreement) in enumerate(ENGINES)
        ]
        engines += [
            _engine("tensorrt", precision, status="built, not run", reason="this machine has no NVIDIA GPU")
            for precision in ("fp16", "bf16")
        ]
        record = FileRecord(sha256=hashlib.sha256(b"").hexdigest(), size=1_234_567)
        whole: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "created": "2026-11-24T10:00:00+00:00",
            "options": ExportOptions(
                checkpoint=Path("demo.safetensors"), output=Path("build/auto"), precisions=("auto",)
            ),
            "toolkit_version": "0.1.0",
            "checkpoint_sha256": hashlib.sha256(b"checkpoint").hexdigest(),
            "provenance": {"data": "rendered faces", "epochs": 24},
            "class_names": ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"],
            "preprocessing": Preprocessing(),
            "network": CONFIG.to_dict(),
            "engines": engines,
            "skipped": skipped(),
            "verification": VERIFICATION,
            "selected": "openvino-auto",
            "selected_because": "the lowest median latency at batch 1: 3.54 ms, 1.49 times as fast",
            "files": {engine.file: record for engine in engines},
        }
        return Manifest(**(whole | fields))

    return make


@pytest.fixture
def document(make_manifest: Callable[..., Manifest], samples: Samples) -> dict[str, Any]:
    return report_document(make_manifest(), samples)
