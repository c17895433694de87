"""`lnlattennet evaluate`, from arguments to documents, tables and report files."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from lnlattennet.data.synthetic import EXPRESSIONS
from lnlattennet.errors import DataError, ImageError, UsageError
from lnlattennet.evaluation._cli import evaluate
from lnlattennet.model._checkpoint import load_checkpoint, save_checkpoint
from lnlattennet.model._preprocessing import center_square
from lnlattennet.serving.triton._process import TritonProcess
from tests.evaluation.provenances import provenance_of

pytestmark = pytest.mark.usefixtures("own_logging")


def run(*arguments: object) -> Result:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(evaluate)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def document(*arguments: object) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.exception
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def figures_of(found: dict[str, Any]) -> dict[str, Any]:
    """Figures that depend on the predictions only."""
    return {name: found[name] for name in ("faces", "accuracy", "macro_f1", "confusion", "classes")}


def test_the_figures_are_those_of_the_checkpoint_face_by_face(
    checkpoint_path: Path, face_folder: Path
) -> None:
    checkpoint = load_checkpoint(checkpoint_path)
    network, preprocessing = checkpoint.network(), checkpoint.info.preprocessing
    expected = np.zeros((7, 7), int)
    for path in face_folder.glob("test/*/*.png"):
        image = np.asarray(Image.open(path))
        face = preprocessing.normalize(preprocessing.crop(image, center_square(80, 64)))
        with torch.inference_mode():
            answer = int(network(torch.from_numpy(face)[None]).logits.argmax())
        expected[EXPRESSIONS.index(path.parent.name), answer] += 1
    found = document(checkpoint_path, "--data", face_folder)
    assert found["confusion"] == expected.tolist()
    assert found["accuracy"]["value"] == np.trace(expected) / 42
    assert found["class_names"] == list(EXPRESSIONS)
    assert found["data"]["split"] == "test"
    assert found["data"]["faces_per_class"] == dict.fromkeys(EXPRESSIONS, 6)
    speed = found["throughput"]
    assert speed["predict_faces_per_second"] > speed["total_faces_per_second"] > 0


@pytest.mark.parametrize("value", ["hot", 0, -1.0, True])
def test_a_stored_temperature_that_is_none_is_refused_where_it_is_needed(
    checkpoint_path: Path, tmp_path: Path, value: object
) -> None:
    checkpoint = load_checkpoint(checkpoint_path)
    info = dataclasses.replace(checkpoint.info, provenance={"temperature": value})
    save_checkpoint(tmp_path / "odd.safetensors", checkpoint.network(), info)
    arguments = (tmp_path / "odd.safetensors", "--data", "synthetic", "--images", 7)
    error = run(*arguments).exception
    assert isinstance(error, UsageError)
    assert f"must be a positive number, got {value!r}; give --temperature" in str(error)
    found = document(*arguments, "--temperature", 2)
    assert (found["temperature"], found["temperature_from"]) == (2, "command line")


def test_a_bundle_has_the_checkpoints_figures(
    checkpoint_path: Path, bundle_path: Path, face_folder: Path
) -> None:
    ours = document(checkpoint_path, "--data", face_folder)
    theirs = document(bundle_path, "--data", face_folder, "--engine", "openvino-fp32")
    assert figures_of(ours) == figures_of(theirs)
    assert theirs["model"]["engine"] == "openvino-fp32"
    assert ours["model"]["checkpoint_sha256"] == theirs["model"]["checkpoint_sha256"]
    assert ours["calibration"]["before"]["nll"] == pytest.approx(
        theirs["calibration"]["before"]["nll"], abs=1e-4
    )


@pytest.fixture
def trained_models(
    checkpoint_path: Path,
    bundle_path: Path,
    serve: Callable[[Path], AbstractContextManager[TritonProcess]],
    face_folder: Path,
    tmp_path: Path,
) -> Iterator[list[object]]:
    """Checkpoint, bundle and server of weights that say: fold 1 of 3, temperature 1.75, another filter."""
    provenance = provenance_of(face_folder, 3, 1) | {"temperature": 1.75}
    loaded = load_checkpoint(checkpoint_path)
    preprocessing = dataclasses.replace(loaded.info.preprocessing, resize_filter="lanczos")
    info = dataclasses.replace(loaded.info, provenance=provenance, preprocessing=preprocessing)
    save_checkpoint(tmp_path / "trained.safetensors", loaded.network(), info)
    bundle = Path(shutil.copytree(bundle_path, tmp_path / "bundle"))
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest |= {"provenance": provenance, "preprocessing": preprocessing.to_dict()}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with serve(bundle) as server:
        yield [tmp_path / "trained.safetensors", bundle, server.endpoints.grpc, server.endpoints.http]


@pytest.mark.slow
def test_checkpoint_bundle_and_live_server_have_the_same_figures(
    trained_models: list[object], face_folder: Path
) -> None:
    """Of the same faces, those that the fold held out, with the same filter and the same temperature."""
    for flags in ((), ("--covered-regions", 4, "--temperature", 2, "--split", "all")):
        first, *others = [document(model, "--data", face_folder, *flags) for model in trained_models]
        assert first["data"]["split"] == ("all" if flags else "held out")
        assert first["calibration"]["after"]["temperature"] == (2 if flags else 1.75)
        for other in others:
            for name in ("faces", "accuracy", "macro_f1", "confusion", "classes", "data", "notes"):
                assert other[name] == first[name]
            for name, entry in first["calibration"].items():
                assert other["calibration"][name]["temperature"] == entry["temperature"]
                assert other["calibration"][name]["ece"] == pytest.approx(entry["ece"], abs=1e-4)
                assert other["calibration"][name]["nll"] == pytest.approx(entry["nll"], abs=1e-4)


def test_without_json_a_table_is_printed(checkpoint_path: Path, face_folder: Path) -> None:
    result = run(checkpoint_path, "--data", face_folder, "--split", "train")
    assert result.exit_code == 0, result.exception
    for text in ("accuracy", "macro-F1", "ECE", "recall fear (1)", " to ", "faces/s", "NLL"):
        assert text in result.stdout


def test_the_report_is_one_page_that_loads_nothing(
    checkpoint_path: Path, face_folder: Path, tmp_path: Path
) -> None:
    found = document(checkpoint_path, "--data", face_folder, "--temperature", 3, "-o", tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)|@import|url\(""", page)
    body = page[page.index("<body>") : page.index("</html>")]
    # Void elements apart, the page is well-formed, so a browser shows what the template says.
    tree = ElementTree.fromstring(re.sub(r"<(img|br)((?:\s[^>]*)?)>", r"<\1\2/>", body))  # noqa: S314
    # A recall's interval per class; before and after the temperature, a reliability diagram and a histogram.
    charts = [svg for svg in tree.iter("svg") if svg.get("role") == "img"]
    assert len(charts) == 7 + 2 * 2
    assert all(chart.get("aria-label") for chart in charts)
    wrong = 42 - np.trace(found["confusion"])
    assert len(tree.findall(".//img")) == min(12, wrong) > 0
    rows = tree.findall(".//table[@class='matrix']/tbody/tr")
    assert [[int(cell.text or 0) for cell in row.iter("td")] for row in rows] == found["confusion"]
    text = " ".join(tree.itertext())
    for words in (*EXPRESSIONS, "42 faces", "After: temperature 3.000", found["model"]["checkpoint_sha256"]):
        assert words in text
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == found


def test_every_prediction_is_in_a_table(checkpoint_path: Path, face_folder: Path, tmp_path: Path) -> None:
    found = document(checkpoint_path, "--data", face_folder, "-o", tmp_path)
    with (tmp_path / "predictions.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 42
    assert len({row["face"] for row in rows}) == 42
    confusion = np.zeros((7, 7), int)
    for row in rows:
        shares = [float(row[f"p({name})"]) for name in EXPRESSIONS]
        assert sum(shares) == pytest.approx(1, abs=1e-5)
        assert row["class"] in row["face"]
        assert shares[EXPRESSIONS.index(row["answer"])] == max(shares)
        confusion[EXPRESSIONS.index(row["class"]), EXPRESSIONS.index(row["answer"])] += 1
    assert confusion.tolist() == found["confusion"]


def test_names_that_are_no_utf8_are_reported(
    checkpoint_path: Path, face_folder: Path, tmp_path: Path
) -> None:
    tree = Path(shutil.copytree(face_folder, tmp_path / os.fsdecode(b"tree\xe9")))
    (tree / "test" / "fear" / "2.png").rename(tree / "test" / "fear" / os.fsdecode(b"\xe9.png"))
    shutil.copytree(tree / "test" / "fear", tree / "test" / os.fsdecode(b"peur\xe9"))
    result = run(checkpoint_path, "--data", tree, "--common-classes", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.exception
    assert "tree\ufffd, test" in result.stdout
    assert "test/fear/\ufffd.png" in (tmp_path / "out" / "predictions.csv").read_text(encoding="utf-8")
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert "peur\ufffd" in " ".join(report["notes"])
    assert "tree\ufffd" in report["data"]["name"]


def test_covered_regions_are_the_same_for_a_seed_and_change_the_predictions(
    checkpoint_path: Path, face_folder: Path
) -> None:
    def nll(*flags: object) -> float:
        value: float = document(checkpoint_path, "--data", face_folder, *flags)["calibration"]["before"][
            "nll"
        ]
        return value

    covered = nll("--covered-regions", 6)
    assert covered == nll("--covered-regions", 6)
    assert len({covered, nll(), nll("--covered-regions", 6, "--seed", 1)}) == 3


def test_rendered_faces_need_no_files(checkpoint_path: Path) -> None:
    found = document(checkpoint_path, "--data", "synthetic", "--images", 14, "--seed", 9)
    assert found["faces"] == 14
    assert found["data"]["faces_per_class"] == dict.fromkeys(EXPRESSIONS, 2)
    assert any("rendered faces" in note for note in found["notes"])


def test_other_classes_are_refused_unless_only_the_common_ones_count(
    checkpoint_path: Path, face_folder: Path, tmp_path: Path
) -> None:
    tree = Path(shutil.copytree(face_folder, tmp_path / "tree"))
    for split in ("test", "train"):
        (tree / split / "fear").rename(tree / split / "contempt")
    result = run(checkpoint_path, "--data", tree)
    assert isinstance(result.exception, UsageError)
    assert "only the model has fear and only the data has contempt" in str(result.exception)
    result = run(checkpoint_path, "--data", tree, "--common-classes", "--json")
    assert " on 36 faces of " in result.stderr
    found = json.loads(result.stdout)
    assert found["class_names"] == [name for name in EXPRESSIONS if name != "fear"]
    assert found["faces"] == 36
    assert any("faces of contempt were left out" in note for note in found["notes"])


def test_a_damaged_image_is_named(checkpoint_path: Path, face_folder: Path, tmp_path: Path) -> None:
    tree = Path(shutil.copytree(face_folder, tmp_path / "tree"))
    (tree / "test" / "fear" / "2.png").write_bytes(b"not an image")
    result = run(checkpoint_path, "--data", tree, "-o", tmp_path / "out")
    assert isinstance(result.exception, ImageError)
    assert "test/fear/2.png" in str(result.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--data", "TREE", "--images", "14"], "--images 14 is for --data synthetic only"),
        (["--data", "synthetic", "--format", "folder"], "--format folder names a layout of files"),
        (["--data", "synthetic", "--faces", "as-is"], "--faces as-is is for data sets"),
        (["--data", "synthetic", "--split", "all"], "--split of rendered faces must be one of"),
        (["--data", "TREE", "--temperature", "0"], "--temperature must be from 0.01 to 100, got 0"),
        (["--data", "TREE", "--temperature", "nan"], "--temperature must be from 0.01 to 100, got nan"),
        (["--data", "TREE", "--split", "dev"], "--split must be one of train, val, test or all"),
        (["--data", "TREE", "--format", "png"], "--format must be one of"),
        (["--data", "TREE", "--covered-regions", "17"], "16 regions"),
        (["--data", "TREE", "--engine", "onnxruntime-fp32"], "is no bundle folder"),
        (["--data", "TREE", "-o", "FILE"], "must be a folder, and is a file"),
        (["--data", "TREE", "-o", "FILE/out"], "cannot be written"),
        (["--data", "TREE", "-o", "a.html"], "--output must be a folder, got a.html: leave out .html"),
    ],
)
def test_flags_that_break_a_rule_are_refused(
    checkpoint_path: Path, face_folder: Path, tmp_path: Path, flags: list[str], message: str
) -> None:
    (tmp_path / "file").write_text("")
    names = {"TREE": str(face_folder), "FILE": str(tmp_path / "file")}
    words = [re.sub("TREE|FILE", lambda match: names[match[0]], flag) for flag in flags]
    result = run(checkpoint_path, *words)
    assert isinstance(result.exception, UsageError), result.output
    assert message in str(result.exception)


def test_a_split_or_folder_that_is_missing_is_a_fault_of_the_data(
    checkpoint_path: Path, face_folder: Path, tmp_path: Path
) -> None:
    result = run(checkpoint_path, "--data", face_folder, "--split", "val")
    assert isinstance(result.exception, DataError)
    assert "has no split 'val'; it has: train, test" in str(result.exception)
    result = run(checkpoint_path, "--data", tmp_path / "nowhere", "--output", tmp_path / "report")
    assert isinstance(result.exception, DataError)
    assert not (tmp_path / "report").exists()
