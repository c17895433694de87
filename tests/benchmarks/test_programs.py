"""Whole programs: each answers in processes of its own, and those that cannot are named with the reason."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lnlattennet.benchmarks.figures import render
from lnlattennet.benchmarks.harness._samples import read_starts
from lnlattennet.benchmarks.programs import __main__ as benchmark
from lnlattennet.benchmarks.programs import _programs
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


@pytest.fixture
def facex(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An interpreter that can import a stand-in for facex."""
    (tmp_path / "facex.py").write_text(FACEX)
    (tmp_path / "facex-9.9.dist-info").mkdir()
    (tmp_path / "facex-9.9.dist-info" / "METADATA").write_text("Name: facex\nVersion: 9.9\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
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
    assert [row.case for row in record.requirements] == [
        "later answers, every core",
        "later answers, one core",
    ]
    assert {row.against for row in record.requirements} == {"facex"}
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
    assert "- DeepFace is left out: deepface 0.0.103 downloads" in page


def test_ours_must_answer(bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_programs.PROGRAMS, OURS, Program("lnlattennet", "answer = None.load(bundle)"))
    with pytest.raises(LnlAttenNetError, match="lnlattennet does not answer: AttributeError: 'NoneType'"):
        measure(bundle_path, {}, starts=1, rounds=1)
    with pytest.raises(BundleError):
        measure(bundle_path / "nothing", {}, starts=1, rounds=1)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("nothing=python", "must be NAME=PYTHON with a NAME of fer, facex"),
        ("DeepFace=python", "deepface 0.0.103 downloads its networks"),
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
