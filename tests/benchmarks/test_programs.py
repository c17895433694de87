"""Whole programs: each answers in processes of its own, and those that cannot are named with the reason."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime import InferenceSession

from lnlattennet.benchmarks.figures import render
from lnlattennet.benchmarks.harness._samples import read_starts
from lnlattennet.benchmarks.programs import __main__ as benchmark
from lnlattennet.benchmarks.programs import _deepface, _programs
from lnlattennet.benchmarks.programs._measure import measure
from lnlattennet.benchmarks.programs._programs import NEED_DOWNLOADS, OURS, Program
from lnlattennet.errors import BundleError, LnlAttenNetError

HERE = Path(sys.executable)
FACEX = """
print("what a package prints is no answer")
class PoolManager:
    def __init__(self, pool_size):
        self.shape = (512, 512, 3)
    def predict(self, pixels):
        return [{"emot": {"anger": 0.25, "happy": 0.75}}] if pixels.shape == self.shape else []
"""
"""Stands for the package, which needs TensorFlow: its interface, on the photograph's pixels."""
DEEPFACE = """
import os, pathlib
NETWORK = pathlib.Path(os.environ["DEEPFACE_HOME"], ".deepface/weights/facial_expression_model_weights.onnx")
class DeepFace:
    @staticmethod
    def analyze(pixels, actions, silent):
        assert NETWORK.is_file() and actions == ["emotion"] and pixels.shape == (512, 512, 3)
        return [{"dominant_emotion": "sad"}]
"""
"""Stands for the package: its interface, and where it looks for its network."""


@pytest.fixture
def facex(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An interpreter that can import a stand-in for facex."""
    return _with_package("facex", FACEX, tmp_path, monkeypatch)


@pytest.fixture
def deepface(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An interpreter that can import a stand-in for DeepFace, whose home has no network."""
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path / "home"))
    return _with_package("deepface", DEEPFACE, tmp_path, monkeypatch)


def _with_package(name: str, code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (folder / f"{name}.py").write_text(code)
    (folder / f"{name}-9.9.dist-info").mkdir()
    (folder / f"{name}-9.9.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: 9.9\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return HERE


def test_every_program_answers_in_turn_or_is_named_with_the_reason(
    bundle_path: Path, facex: Path, tmp_path: Path
) -> None:
    record = measure(bundle_path, {"facex": facex, "fer": HERE}, starts=2, rounds=3)
    names = ["first answer, every core", "later answers, every core"]
    assert [case.name for case in record.cases] == [
        *names,
        "first answer, one core",
        "later answers, one core",
    ]
    for case, counts in zip(record.cases, [[1, 1], [3, 3]] * 2, strict=True):
        assert next(iter(case.candidates)) == OURS
        for name in (OURS, "facex"):
            timing = case.timing(name)
            assert timing is not None
            assert list(timing.starts) == counts
            assert min(timing.samples_us) > 0
        assert case.candidates["fer"].failed.startswith("ModuleNotFoundError: No module named ")
        assert {name: case.candidates[name].failed for name in NEED_DOWNLOADS} == NEED_DOWNLOADS
    assert record.cases[0].config["cores"] >= record.cases[2].config["cores"] == 1
    assert record.facts["answers"]["facex"] == {"expression": "happy", "version": "9.9"}
    assert [(row.case, row.bound, row.against) for row in record.requirements] == [
        ("later answers, every core", 3, "facex"),
        ("later answers, every core", 10, ""),
        ("later answers, one core", 3, "facex"),
        ("later answers, one core", 10, ""),
    ]
    for memory in record.facts["memory_bytes"].values():
        assert min(memory[OURS]) > 30e6

    starts = read_starts(record.to_json())["later answers, every core"]["facex"]["warm"]
    assert [len(samples) for samples in starts] == [3, 3]

    table = benchmark.program_table(record)
    assert "facex        9.9      happy" in table
    assert "Py-Feat is left out: py-feat 2.1.5 downloads" in table
    record.write(tmp_path / "programs.json")
    page = render(tmp_path / "programs.json")
    assert "| later answers, one core | facex | " in page
    assert "- DeepFace is left out: not asked for: `pip install deepface==0.0.103" in page


def test_deepface_is_timed_without_its_own_network(bundle_path: Path, deepface: Path, tmp_path: Path) -> None:
    record = measure(bundle_path, {"DeepFace": deepface}, starts=1, rounds=1)
    assert record.facts["answers"]["DeepFace"] == {"expression": "none: random weights", "version": "9.9"}
    assert {(row.bound, row.against) for row in record.requirements} == {(3, "DeepFace"), (10, "DeepFace")}
    assert not (tmp_path / "home").exists()

    _deepface.write_untrained_network(tmp_path / "home")
    record = measure(bundle_path, {"DeepFace": deepface}, starts=1, rounds=1)
    assert record.facts["answers"]["DeepFace"]["expression"] == "sad", "its own network is there"


def test_the_untrained_network_has_the_size_of_deepfaces(tmp_path: Path) -> None:
    _deepface.write_untrained_network(tmp_path)
    network = InferenceSession(next(tmp_path.rglob("*.onnx")))
    faces = np.random.default_rng(0).random((1, 48, 48, 1), np.float32)
    [probabilities] = network.run(None, {network.get_inputs()[0].name: faces})
    assert probabilities.shape == (1, 7)
    assert probabilities.sum() == pytest.approx(1)
    # `EmotionModel` of DeepFace 0.0.103, which its torch backend runs, has as many.
    graph = onnx.load(next(tmp_path.rglob("*.onnx"))).graph
    weights = [onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer]
    assert sum(values.size for values in weights if values.dtype == np.float32) == 1_485_831


def test_ours_must_answer(bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_programs.PROGRAMS, OURS, Program("lnlattennet", "answer = None.load(bundle)"))
    with pytest.raises(LnlAttenNetError, match="lnlattennet does not answer: AttributeError: 'NoneType'"):
        measure(bundle_path, {}, starts=1, rounds=1)
    with pytest.raises(BundleError):
        measure(bundle_path / "nothing", {}, starts=1, rounds=1)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("nothing=python", "must be NAME=PYTHON with a NAME of fer, facex, DeepFace"),
        ("Py-Feat=python", "py-feat 2.1.5 downloads its networks"),
        ("fer=/nowhere/python", "must be a Python that can be started, got /nowhere/python"),
        ("fer", "must be a Python that can be started, got "),
    ],
)
def test_a_program_that_cannot_be_asked_for_is_refused(
    program: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        benchmark.run(["bundle", "--program", program])
    assert stopped.value.code == 2
    assert reason in capsys.readouterr().err
