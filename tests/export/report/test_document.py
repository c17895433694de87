"""`report_document`: its content, as valid JSON."""

from __future__ import annotations

import json
from collections.abc import Callable

from lnlattennet.bundle._manifest import Check, FileRecord, Manifest, SkippedEngine
from lnlattennet.export.report._document import report_document

Samples = dict[str, dict[int, list[float]]]


def test_every_sample_is_in_it_rounded(make_manifest: Callable[..., Manifest], samples: Samples) -> None:
    document = report_document(make_manifest(), samples)
    assert {engine["name"] for engine in document["engines"] if engine["samples_ms"]} == set(samples)
    for engine in document["engines"]:
        expected = samples.get(engine["name"], {})
        assert engine["samples_ms"] == {
            str(batch): [round(value, 4) for value in values] for batch, values in expected.items()
        }


def test_it_holds_what_the_manifest_says_but_no_hashes(make_manifest: Callable[..., Manifest]) -> None:
    manifest = make_manifest()
    document = report_document(manifest, {})
    assert "files" not in document
    for engine in document["engines"]:
        assert engine.pop("samples_ms") == {}
        engine.pop("file_bytes")
    assert document.pop("command") == manifest.options.command()
    for entry in document["skipped"]:
        entry.pop("name")
    document["files"] = manifest.model_dump(mode="json")["files"]
    assert Manifest.model_validate(document) == manifest


def test_a_file_and_its_weights_count_together(make_manifest: Callable[..., Manifest]) -> None:
    def record(size: int) -> FileRecord:
        return FileRecord(sha256="0" * 64, size=size)

    files = {
        "engines/openvino-auto/model.xml": record(1000),
        "engines/openvino-auto/model.bin": record(20_000),
        "engines/openvino-fp32/model.xml": record(7),
        "model.onnx": record(300_000),
    }
    document = report_document(make_manifest(files=files), {})
    sizes = {engine["name"]: engine["file_bytes"] for engine in document["engines"]}
    assert (sizes["openvino-auto"], sizes["openvino-fp32"], sizes["torch-fp32"]) == (21_000, 7, None)


def test_numbers_that_json_lacks_become_text(make_manifest: Callable[..., Manifest]) -> None:
    broken = [
        Check(metric="max_abs", output="logits", value=value, limit=1.0, passed=False)
        for value in (float("inf"), float("-inf"), float("nan"))
    ]
    manifest = make_manifest(skipped=[SkippedEngine(backend="openvino", reason="broken", checks=broken)])
    document = report_document(manifest, {})
    text = json.dumps(document, allow_nan=False)
    values = [check["value"] for check in json.loads(text)["skipped"][0]["checks"]]
    assert values == ["Infinity", "-Infinity", "NaN"]
