"""Bundles: whole, atomic, verified before use."""

from __future__ import annotations

import copy
import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

import lnlattennet
from lnlattennet.bundle._bundle import Bundle, hash_file
from lnlattennet.bundle._cli import examine
from lnlattennet.bundle._manifest import FileRecord, read_manifest
from lnlattennet.bundle.doctor._triton_releases import triton_release
from lnlattennet.data._face_images import verification_faces
from lnlattennet.errors import BundleError, ImageError, UnavailableError, UsageError
from lnlattennet.model._checkpoint import load_checkpoint
from tests.bundle.manifests import latency


def edit_manifest(bundle: Path, **fields: Any) -> None:
    path = bundle / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_bundle_holds_what_its_manifest_says(bundle_path: Path, checkpoint_path: Path) -> None:
    bundle = Bundle.load(bundle_path)
    manifest = bundle.manifest
    files = {path.relative_to(bundle_path).as_posix() for path in bundle_path.rglob("*") if path.is_file()}
    assert files == set(manifest.files) | {"manifest.json"}
    assert {"model.onnx", "model-function.onnx", "report.html", "report.json"} <= files
    assert manifest.checkpoint_sha256 == hash_file(checkpoint_path).sha256
    outcomes = {engine.backend: engine.status for engine in manifest.engines}
    assert outcomes["onnxruntime"] == outcomes["openvino"] == "passed"
    assert any(file.endswith(".plan") for file in files)
    for engine in manifest.engines:
        if engine.status == "passed":
            assert engine.checks
            assert all(check.passed for check in engine.checks)
            assert [item.batch for item in engine.latency] == [1, 4]
        else:
            assert "no GPU" in engine.reason


def test_every_engine_has_a_hash_of_its_own_that_covers_its_weights(bundle_path: Path) -> None:
    manifest = read_manifest(bundle_path)
    hashes = {engine.name: manifest.model_hash(engine.name) for engine in manifest.engines}
    assert len(set(hashes.values())) == len(hashes)
    single = manifest.engine("onnxruntime-fp32")
    assert hashes[single.name] == manifest.files[single.file].sha256
    weights = str(PurePosixPath(manifest.engine("openvino-fp32").file).with_suffix(".bin"))
    other = FileRecord(sha256="0" * 64, size=manifest.files[weights].size)
    changed = manifest.model_copy(update={"files": manifest.files | {weights: other}})
    assert changed.model_hash("openvino-fp32") != hashes["openvino-fp32"]
    assert changed.model_hash(single.name) == hashes[single.name]


def test_every_timed_call_is_kept(bundle_path: Path) -> None:
    manifest = Bundle.load(bundle_path).manifest
    assert manifest.engine().status == "passed"
    report = json.loads((bundle_path / "report.json").read_text())
    for engine in report["engines"]:
        for item in engine["latency"]:
            samples = engine["samples_ms"][str(item["batch"])]
            assert np.median(samples) == pytest.approx(item["median_ms"], abs=1e-3)


def test_an_engine_of_the_bundle_gives_what_the_checkpoint_gives(
    bundle_path: Path, checkpoint_path: Path
) -> None:
    import torch

    bundle, checkpoint = Bundle.load(bundle_path), load_checkpoint(checkpoint_path)
    faces = verification_faces(3, bundle.manifest.preprocessing)
    expected = checkpoint.network()(torch.from_numpy(faces)).logits.detach().numpy()
    for name in ("onnxruntime-fp32", "openvino-fp32", None):
        np.testing.assert_allclose(bundle.runner(name)({"image": faces})["logits"], expected, atol=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["onnxruntime-fp32", "openvino-fp32"])
def test_faces_that_are_not_finite_never_get_an_answer(bundle_path: Path, name: str, value: float) -> None:
    """OpenVINO's ReLU turns NaN into 0, and its answer looks like any other."""
    bundle = Bundle.load(bundle_path)
    faces = np.zeros((3, 3, 48, 48), np.float32)
    faces[2, 1, 5, 5] = value
    for run in (bundle.engine(name), lambda faces: bundle.runner(name)({"image": faces})):
        with pytest.raises(ImageError, match="face 2 holds numbers that are not finite"):
            run(faces)


_ONES = np.ones((2, 3, 48, 48), np.float32)


@pytest.mark.parametrize(
    ("faces", "given"),
    [
        (_ONES.astype(np.float64), r"float64 \[2, 3, 48, 48\]"),
        (_ONES.astype(">f4"), ">f4"),
        (_ONES.tolist(), r"float64 \[2, 3, 48, 48\]|list"),
        (_ONES[:, :1], r"float32 \[2, 1, 48, 48\]"),
        (_ONES.transpose(0, 2, 3, 1), r"float32 \[2, 48, 48, 3\]"),
        (_ONES[:, :, :47, :47], r"float32 \[2, 3, 47, 47\]"),
        (_ONES[0], r"float32 \[3, 48, 48\]"),
    ],
)
@pytest.mark.parametrize("name", ["onnxruntime-fp32", "openvino-fp32"])
def test_no_runtime_sees_faces_of_another_form(bundle_path: Path, name: str, faces: Any, given: str) -> None:
    """AOTInductor's code would read other memory than the array's, and torch would take another size."""
    bundle = Bundle.load(bundle_path)
    for run in (bundle.engine(name), lambda faces: bundle.runner(name)({"image": faces})):
        with pytest.raises(ImageError, match=rf"must be float32 \[n, 3, 48, 48\], got ({given})"):
            run(faces)


def test_an_engine_that_cannot_run_here_is_refused_with_the_reason(bundle_path: Path) -> None:
    bundle = Bundle.load(bundle_path)
    for name in ("x", ""):
        with pytest.raises(BundleError, match=f"no engine '{name}'; it has: onnxruntime-fp32"):
            bundle.runner(name)
        with pytest.raises(BundleError, match=f"no engine '{name}'; it has: onnxruntime-fp32"):
            bundle.engine_name(name)
    plan = bundle.manifest.engine("tensorrt-fp32")
    if plan.status == "built, not run":
        with pytest.raises(UnavailableError, match="tensorrt-fp32 cannot run here: no GPU"):
            bundle.runner("tensorrt-fp32")


@pytest.mark.parametrize("threads", [-1, 1.5, "2"])
def test_a_number_of_threads_that_is_none_is_refused(bundle_path: Path, threads: Any) -> None:
    with pytest.raises(UsageError, match=f"threads must be a whole number, .* got {threads!r}"):
        Bundle.load(bundle_path).engine(threads=threads)


def test_copies_of_a_bundle_answer_alike_in_every_process(bundle_path: Path) -> None:
    """As workers of a pool get it: pickled, with engines loaded or not."""
    bundle, faces = Bundle.load(bundle_path), np.zeros((2, 48, 48, 3), np.uint8)
    predictor = lnlattennet.load(bundle_path, "openvino-fp32", threads=1)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        expected = bundle.predict(faces)
        assert pool.submit(bundle.predict, faces).result() == expected
        [found] = pool.submit(predictor.predict, [faces[0]]).result()
    assert found == predictor.predict(faces[0])
    assert copy.deepcopy(bundle) == bundle
    assert hash(Bundle.load(bundle_path)) == hash(bundle)


@pytest.mark.parametrize("position", [0, -1, 1000])
def test_one_flipped_byte_in_any_file_is_refused(bundle_copy: Path, position: int) -> None:
    for name in Bundle.load(bundle_copy).manifest.files:
        path = bundle_copy / name
        original = path.read_bytes()
        damaged = bytearray(original)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(BundleError, match="was changed after the export"):
            Bundle.load(bundle_copy)
        path.write_bytes(original)
    Bundle.load(bundle_copy)


def test_a_bundle_with_the_former_names_of_its_models_runs_as_before(
    bundle_path: Path, bundle_copy: Path
) -> None:
    """`model.onnx` was the form with the function, `model-standard.onnx` the engine of ONNX Runtime."""
    text = (bundle_copy / "manifest.json").read_text()
    for name, former in (("model.onnx", "model-standard.onnx"), ("model-function.onnx", "model.onnx")):
        (bundle_copy / name).rename(bundle_copy / former)
        text = text.replace(f'"{name}"', f'"{former}"')
    (bundle_copy / "manifest.json").write_text(text)
    faces = np.random.default_rng(5).integers(0, 256, (2, 60, 60, 3), dtype=np.uint8)
    found, wanted = (
        Bundle.load(path).predict(faces, engine="onnxruntime-fp32", threads=1)
        for path in (bundle_copy, bundle_path)
    )
    assert [one.probabilities for one in found] == [one.probabilities for one in wanted]


def test_a_missing_truncated_or_linked_file_is_refused(bundle_copy: Path) -> None:
    model = bundle_copy / "model.onnx"
    content = model.read_bytes()
    model.write_bytes(content[:-1])
    with pytest.raises(BundleError, match="was changed"):
        Bundle.load(bundle_copy)
    model.unlink()
    with pytest.raises(BundleError, match="missing or not a regular file"):
        Bundle.load(bundle_copy)
    elsewhere = bundle_copy.parent / "elsewhere.onnx"
    elsewhere.write_bytes(content)
    model.symlink_to(elsewhere)
    with pytest.raises(BundleError, match=r"model\.onnx is a link or is not listed"):
        Bundle.load(bundle_copy)


def test_a_file_that_no_hash_covers_is_refused(bundle_copy: Path) -> None:
    """OpenVINO would read the weights beside its .xml, whatever they are."""
    manifest = json.loads((bundle_copy / "manifest.json").read_text())
    weights = next(name for name in manifest["files"] if name.endswith(".bin"))
    edit_manifest(bundle_copy, files={k: v for k, v in manifest["files"].items() if k != weights})
    with pytest.raises(BundleError, match=r"\.bin is a link or is not listed in the manifest"):
        Bundle.load(bundle_copy)


def test_a_linked_folder_is_refused(bundle_copy: Path, tmp_path: Path) -> None:
    (bundle_copy / "engines").rename(tmp_path / "elsewhere")
    (bundle_copy / "engines").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="engines is a link"):
        Bundle.load(bundle_copy)


def test_a_manifest_cannot_point_outside_its_bundle(bundle_copy: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.onnx"
    outside.write_bytes(b"x")
    record = hash_file(outside).model_dump()
    files = json.loads((bundle_copy / "manifest.json").read_text())["files"]
    for name in ("../../outside.onnx", str(outside)):
        edit_manifest(bundle_copy, files=files | {name: record})
        with pytest.raises(BundleError, match="must lie inside the bundle"):
            Bundle.load(bundle_copy)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"schema_version": 1}, "schema version 1, this version reads"),
        ({"surprise": 1}, "schema version 3: surprise = 1: Extra inputs"),
        ({"preprocessing": {"size": "wide"}}, r"preprocessing\.size = 'wide': .* a valid integer"),
        ({"selected": "nothing"}, "no engine 'nothing'"),
        ({"class_names": ["one"]}, r"class_names = \['one'\]: "),
        ({"files": {}}, "is not listed in the manifest"),
    ],
)
def test_a_manifest_that_breaks_the_schema_is_refused(
    bundle_copy: Path, fields: dict[str, Any], reason: str
) -> None:
    edit_manifest(bundle_copy, **fields)
    with pytest.raises(BundleError, match=reason):
        Bundle.load(bundle_copy)


def test_a_manifest_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(BundleError, match="recursion limit"):
        Bundle.load(tmp_path)


@pytest.mark.parametrize("file", ["../outside.onnx", "engines/missing.onnx"])
def test_an_engine_must_be_one_of_the_hashed_files(bundle_copy: Path, file: str) -> None:
    (bundle_copy.parent / "outside.onnx").write_bytes(b"x")
    engines = json.loads((bundle_copy / "manifest.json").read_text())["engines"]
    edit_manifest(bundle_copy, engines=[engine | {"file": file} for engine in engines])
    with pytest.raises(BundleError, match="which no hash covers"):
        Bundle.load(bundle_copy)


def test_a_folder_without_a_manifest_is_not_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"has no manifest\.json; make one with export-engine"):
        Bundle.load(tmp_path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schema_version": 4, "toolkit_version": "0.9", "more": 1}, "version 4, .* update .*: version 0.9"),
        ({"schema_version": 2, "engines": None}, "version 2, .* export the bundle again"),
        ({"class_names": ["joy"] * 7}, "class names must differ"),
        ({"network": {"grid": 0}}, "grid must be an integer from 1 to 16, got 0; export the bundle again"),
        ({"batch": [0, 0, 0]}, "batch of engine onnxruntime-fp32: .* 1 <= MIN"),
        ({"batch": [8, 4, 1]}, "MIN <= OPT <= MAX"),
        ({"name": "onnxruntime-fp32"}, "names of engines must differ"),
        ({"latency": [latency(1, 1.0).model_dump() | {"median_ms": 0}]}, "median_ms = 0: .* greater than 0"),
    ],
)
def test_a_manifest_that_cannot_be_right_is_refused(
    bundle_copy: Path, fields: dict[str, Any], message: str
) -> None:
    if set(fields) <= {"batch", "latency", "name"}:
        engines = json.loads((bundle_copy / "manifest.json").read_text())["engines"]
        fields = {"engines": [engine | fields for engine in engines]}
    edit_manifest(bundle_copy, **fields)
    with pytest.raises(BundleError, match=message):
        Bundle.load(bundle_copy)


def test_a_backend_of_a_later_version_leaves_the_other_engines(bundle_copy: Path) -> None:
    manifest = json.loads((bundle_copy / "manifest.json").read_text())
    for engine in manifest["engines"]:
        if engine["name"] == manifest["selected"]:
            engine["backend"] = "acme"
    edit_manifest(bundle_copy, engines=manifest["engines"])
    bundle, faces = Bundle.load(bundle_copy), np.zeros((1, 48, 48, 3), np.uint8)
    with pytest.raises(UnavailableError, match="knows no backend 'acme'; update it"):
        bundle.predict(faces)
    assert bundle.predict(faces, engine="any")
    for release in (None, triton_release("26.04")):
        verdicts = {report["engine"]: report for report in examine(bundle, release)["engines"]}
        assert "'acme'" in verdicts[manifest["selected"]]["reasons"][0]


def test_what_systems_leave_in_folders_is_passed_over(bundle_copy: Path) -> None:
    for name in (".DS_Store", "engines/._model.onnx", "Thumbs.db", "@eaDir/model.onnx@SynoEAStream"):
        (bundle_copy / name).parent.mkdir(exist_ok=True)
        (bundle_copy / name).write_bytes(b"x")
    Bundle.load(bundle_copy)
    (bundle_copy / ".DS_Store").unlink()
    (bundle_copy / ".DS_Store").symlink_to("/etc/passwd")
    with pytest.raises(BundleError, match="DS_Store is a link"):
        Bundle.load(bundle_copy)


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx", "engines", ".."])
def test_a_path_beside_a_bundle_names_the_bundle(bundle_copy: Path, name: str) -> None:
    path = bundle_copy.parent if name == ".." else bundle_copy / name
    with pytest.raises(BundleError, match=f"the bundle is {bundle_copy}"):
        Bundle.load(path)
