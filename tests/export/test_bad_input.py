"""Everything that a user, an attacker or a power cut may give an export or a bundle."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

from lnlattennet.bundle._bundle import Bundle, hash_file
from lnlattennet.bundle._export_options import CalibrationOptions, VerificationOptions
from lnlattennet.bundle._files import MANIFEST_NAME
from lnlattennet.errors import BundleError, DataError, GateError, ImageError, LnlAttenNetError, UsageError
from lnlattennet.export._pipeline import export_engine
from lnlattennet.export._plan import plan_export
from lnlattennet.model._checkpoint import load_checkpoint, save_checkpoint
from tests.export.exports import quick_options, write_images


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Folders that calibration must refuse."""
    write_images(tmp_path / "few", 5)
    cut = write_images(tmp_path / "damaged", 32) / "20.png"
    cut.write_bytes(cut.read_bytes()[:500])
    for name in ("empty", "texts"):
        (tmp_path / name).mkdir()
    for index in range(40):
        (tmp_path / "texts" / f"{index}.txt").write_text("a face")
    (tmp_path / "file").write_text("a face")
    return tmp_path


@pytest.mark.parametrize(
    ("folder", "kind", "message"),
    [
        ("few", DataError, "few has 5 images, calibration needs at least 32"),
        ("empty", DataError, "empty has 0 images"),
        ("texts", DataError, "texts has 0 images"),
        ("damaged", ImageError, "20.png: the PNG file .* is damaged or cut off"),
        ("file", DataError, "there is no folder"),
        ("nowhere", DataError, "there is no folder"),
    ],
)
def test_calibration_images_are_refused_before_anything_is_built(
    folder: str, kind: type[LnlAttenNetError], message: str, images: Path, checkpoint_path: Path
) -> None:
    options = quick_options(
        checkpoint_path,
        images / "out",
        precisions=("int8",),
        calibration=CalibrationOptions(images=images / folder),
    )
    for attempt in (plan_export, export_engine):
        with pytest.raises(kind, match=message):
            attempt(options)
    assert not [path for path in images.iterdir() if "out" in path.name]


def test_an_impossible_gate_names_output_batch_face_and_region(checkpoint_path: Path, tmp_path: Path) -> None:
    impossible = VerificationOptions(faces=32, limits={"atol": ("region_weights:0",), "min_cosine": ("1",)})
    with pytest.raises(GateError) as caught:
        export_engine(quick_options(checkpoint_path, tmp_path / "out", verification=impossible))
    assert "onnxruntime fp32: failed the gate: region_weights is" in str(caught.value)
    assert "0 allowed (worst at batch " in str(caught.value)
    assert ", sample " in str(caught.value)
    assert ", region " in str(caught.value)
    # What fails is never written with so few digits that it reads as if it passed.
    assert "cosine 1 with" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_labeled_faces_of_other_classes_are_refused_by_name(checkpoint_path: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(checkpoint_path)
    names = ("calm", *checkpoint.info.class_names[1:])
    other = tmp_path / "other.safetensors"
    save_checkpoint(other, checkpoint.network(), replace(checkpoint.info, class_names=names))
    options = quick_options(
        other, tmp_path / "out", verification=VerificationOptions(faces=32, data="synthetic")
    )
    for attempt in (plan_export, export_engine):
        with pytest.raises(
            UsageError, match="only the checkpoint has calm and only rendered faces has anger"
        ):
            attempt(options)
    missing = VerificationOptions(faces=32, data=str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="nowhere"):
        plan_export(quick_options(checkpoint_path, tmp_path / "out", verification=missing))
    assert list(tmp_path.iterdir()) == [other]


def keep_elsewhere(model: ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../etc/passwd")


def claim_40_gigabytes(model: ModelProto) -> None:
    model.graph.initializer[0].dims[0] = 10**10


def fill_40_gigabytes(model: ModelProto) -> None:
    model.graph.initializer.append(helper.make_tensor("shape", TensorProto.INT64, [1], [10**10]))
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["shape"], ["filled"], name="filler"))


def name_no_operator(model: ModelProto) -> None:
    model.graph.node[0].op_type = "Unheard"


def vouch_for_everything(bundle: Path) -> None:
    """Write a manifest whose hashes are right, as someone who changed the files would."""
    manifest = json.loads((bundle / MANIFEST_NAME).read_text())
    files = [path for path in bundle.rglob("*") if path.is_file() and path.name != MANIFEST_NAME]
    manifest["files"] = {path.relative_to(bundle).as_posix(): hash_file(path).model_dump() for path in files}
    (bundle / MANIFEST_NAME).write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (keep_elsewhere, r"keeps its data in another file \('../../../etc/passwd'\)"),
        (claim_40_gigabytes, "must hold the 1,080,000,000,000 bytes of its shape"),
        (fill_40_gigabytes, r"node 'filler' fills the shape \[10000000000\]"),
        (name_no_operator, "engine onnxruntime-fp32 of .* failed to load: InvalidGraph"),
    ],
)
def test_a_changed_onnx_file_is_refused_though_its_hash_is_right(
    change: Callable[[ModelProto], None], message: str, bundle_copy: Path
) -> None:
    record = Bundle.load(bundle_copy).manifest.engine("onnxruntime-fp32")
    model = onnx.load_model(str(bundle_copy / record.file))
    change(model)
    (bundle_copy / record.file).write_bytes(model.SerializeToString())
    with pytest.raises(BundleError, match="was changed after the export"):
        Bundle.load(bundle_copy)
    vouch_for_everything(bundle_copy)
    with pytest.raises(BundleError, match=message):
        Bundle.load(bundle_copy).runner("onnxruntime-fp32")


@pytest.mark.parametrize("suffix", [".xml", ".bin"])
def test_a_cut_openvino_engine_is_refused_though_its_hash_is_right(suffix: str, bundle_copy: Path) -> None:
    record = Bundle.load(bundle_copy).manifest.engine("openvino-fp32")
    file = (bundle_copy / record.file).with_suffix(suffix)
    file.write_bytes(file.read_bytes()[:100])
    vouch_for_everything(bundle_copy)
    with pytest.raises(
        BundleError, match=r"engine openvino-fp32 of .* failed to load: RuntimeError"
    ) as caught:
        Bundle.load(bundle_copy).runner("openvino-fp32")
    assert "\n" not in str(caught.value)


def kill_when(found: Callable[[], bool], command: list[str]) -> None:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 200
        while not found():
            assert process.poll() is None, "the export ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_after_a_kill_the_old_bundle_is_whole_and_the_next_export_cleans_up(
    bundle_copy: Path, checkpoint_path: Path, tmp_path: Path
) -> None:
    before = {path: hash_file(path) for path in bundle_copy.rglob("*") if path.is_file()}
    command = [str(Path(sys.executable).with_name("export-engine")), "--verification-faces", "32", "--force"]
    command += ["-c", str(checkpoint_path), "-o", str(bundle_copy)]
    command += ["--backend", "onnxruntime", "--batch", "1:2:3"]
    for moment in (".copy.*/model.onnx", ".copy.*/faces.npy"):
        kill_when(lambda pattern=moment: any(tmp_path.glob(pattern)), command)  # type: ignore[misc]
        assert {path: hash_file(path) for path in bundle_copy.rglob("*") if path.is_file()} == before
    assert len(list(tmp_path.glob(".copy.*"))) > 1
    export_engine(quick_options(checkpoint_path, bundle_copy, force=True))
    assert list(tmp_path.iterdir()) == [bundle_copy]
    assert [engine.name for engine in Bundle.load(bundle_copy).manifest.engines] == ["onnxruntime-fp32"]


def test_of_two_exports_to_one_folder_the_second_is_refused(checkpoint_path: Path, tmp_path: Path) -> None:
    from lnlattennet._atomic import sole_writer

    output = tmp_path / "out"
    with (
        sole_writer(output, BundleError),
        pytest.raises(BundleError, match=r"another process is writing .*out; let it end, or choose another"),
    ):
        export_engine(quick_options(checkpoint_path, output))
    assert list(tmp_path.iterdir()) == []
