"""Bundles whose engines cannot run: manifests for the tests of `doctor`, `compare` and `info`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lnlattennet.bundle._bundle import hash_file
from lnlattennet.bundle._export_options import ExportOptions
from lnlattennet.bundle._manifest import (
    Check,
    EngineRecord,
    FileRecord,
    Latency,
    Manifest,
    SkippedEngine,
    VerificationRecord,
)
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.runtimes._requirements import Requirements

OPTIONS = ExportOptions(checkpoint=Path("face net.safetensors"), output=Path("build/x"), precisions=("auto",))


def latency(batch: int, median: float, spread: float = 0.01, threads: int = 2) -> Latency:
    return Latency(
        batch=batch,
        threads=threads,
        median_ms=median,
        low_ms=median * (1 - spread),
        high_ms=median * (1 + spread),
        p90_ms=median * 1.1,
        samples=50,
    )


def agreement(value: float) -> Check:
    return Check(metric="top1_agreement", output="logits", value=value, limit=0.99, passed=value >= 0.99)


def engine(name: str = "openvino-int8", **changes: Any) -> EngineRecord:
    backend, _, precision = name.rpartition("-")
    fields: dict[str, Any] = {
        "name": name,
        "backend": backend,
        "precision": precision,
        "plan": {"unet.stem": precision, "unet.project": precision, "attention": "fp32"},
        "file": f"engines/{name}.xml",
        "batch": (1, 4, 8),
        "versions": {"openvino": "2026.4.1"},
        "requires": Requirements(device="cpu", packages={"openvino": ">=2026.0"}),
        "status": "passed",
        "layers": {precision: 30},
        "checks": [agreement(0.996)],
        "latency": [latency(1, 0.5), latency(8, 3.0)],
    }
    return EngineRecord(**fields | changes)


def manifest(*engines: EngineRecord, **changes: Any) -> Manifest:
    engines = engines or (engine(),)
    files = {one.file: FileRecord(sha256=f"{index:064x}", size=2**20) for index, one in enumerate(engines)}
    fields: dict[str, Any] = {
        "schema_version": 3,
        "created": "2026-11-24T10:00:00+00:00",
        "options": OPTIONS,
        "toolkit_version": "0.1.0",
        "checkpoint_sha256": "a" * 64,
        "provenance": {"data": "none"},
        "class_names": ["anger", "joy"],
        "preprocessing": Preprocessing(size=48),
        "network": NetworkConfig().to_dict(),
        "engines": list(engines),
        "skipped": [SkippedEngine(backend="tensorrt", reason="TensorRT is not installed")],
        "verification": VerificationRecord(faces=256),
        "selected": engines[0].name,
        "selected_because": "it is the fastest",
        "files": files,
    }
    return Manifest(**fields | changes)


def write_bundle(folder: Path, content: Manifest, files: dict[str, bytes] | None = None) -> Path:
    """Write a bundle whose hashes are right; engine files hold their own name unless ``files`` says else."""
    contents = {one.file: one.name.encode() for one in content.engines} | (files or {})
    for name, data in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    records = {name: hash_file(folder / name) for name in contents}
    written = content.model_copy(update={"files": records})
    (folder / "manifest.json").write_text(written.model_dump_json())
    return folder
