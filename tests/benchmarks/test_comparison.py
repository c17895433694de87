"""`lnlattennet bench compare`: what counts as slower, and what as chance or the machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lnlattennet._cli import main
from lnlattennet.benchmarks.comparison._changes import Change, changes
from lnlattennet.benchmarks.harness._record import CandidateResult, ExperimentResult, Record, warm_results
from lnlattennet.benchmarks.harness._samples import Starts, read_starts
from tests.commands import call

OURS, PEER, OTHER = "engine", "peer", "other peer"
CALLS, STARTS = 40, 5


def record(
    seed: int, times: Mapping[str, float], machine: float = 1.0, starts: int = STARTS, others: float = 0.0
) -> Record:
    """A run: every start of a candidate is 1% off, every call 3%, and one call in ten takes twice as long.

    Starts differ by ``others``, for all candidates alike: other programs took a share of the machine.
    """
    rng = np.random.default_rng(seed)
    seconds: dict[str, list[float]] = {}
    share = rng.lognormal(0, others, starts)
    for name, time in times.items():
        levels = machine * time * np.repeat(share * rng.lognormal(0, 0.01, starts), CALLS)
        noise = rng.lognormal(0, 0.03, levels.size) * np.where(rng.random(levels.size) < 0.1, 2, 1)
        seconds[name] = (levels * noise).tolist()
    made = Record(benchmark="bundle")
    made.add(ExperimentResult("b1", {}, warm_results(seconds, [CALLS] * starts)))
    return made


def starts_of(run: Record) -> Starts:
    return read_starts(json.loads(json.dumps(run.to_json())))


SAME = {OURS: 2e-3, PEER: 3e-3, OTHER: 9e-3}


def verdicts(found: Sequence[Change]) -> dict[str, str]:
    return {change.candidate: change.verdict for change in found}


def test_two_runs_of_the_same_are_not_told_apart() -> None:
    old = starts_of(record(0, SAME))
    for seed in range(1, 41):
        found = changes(old, starts_of(record(seed, SAME)), tolerance=0.05)
        assert verdicts(found) == dict.fromkeys(SAME, "no significant difference")


def test_a_slowed_engine_is_found_on_a_machine_that_is_slower_too() -> None:
    new = record(1, SAME | {OURS: 1.15 * SAME[OURS]}, machine=1.2)
    found = changes(starts_of(record(0, SAME)), starts_of(new), tolerance=0.05)
    assert verdicts(found)[OURS] == "slower"
    [own] = [change for change in found if change.candidate == OURS]
    assert own.subject
    assert own.ratio.value == pytest.approx(1.15 * 1.2, rel=0.03)
    assert own.controlled is not None
    assert own.controlled.value == pytest.approx(1.15, rel=0.03)


def test_a_slower_machine_alone_is_no_change() -> None:
    found = changes(starts_of(record(0, SAME)), starts_of(record(1, SAME, machine=1.3)))
    assert "slower" not in verdicts(found).values()


def test_a_faster_peer_does_not_make_the_engine_slower() -> None:
    faster = {name: time * (1 if name == OURS else 0.7) for name, time in SAME.items()}
    found = verdicts(changes(starts_of(record(0, SAME)), starts_of(record(1, faster))))
    assert found[OURS] == "no significant difference"


BUSY = 0.2


def test_two_busy_runs_of_the_same_are_not_told_apart() -> None:
    old = starts_of(record(0, SAME, others=BUSY))
    for seed in range(1, 41):
        found = changes(old, starts_of(record(seed, SAME, others=BUSY)), quiet=False)
        assert verdicts(found)[OURS] == "no significant difference"


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_slowed_engine_is_found_between_busy_starts(seed: int) -> None:
    slowed = starts_of(record(seed, SAME | {OURS: 1.3 * SAME[OURS]}, others=BUSY))
    old = starts_of(record(0, SAME, others=BUSY))
    [own] = [change for change in changes(old, slowed, 0.05, quiet=False) if change.subject]
    assert own.verdict == "slower"
    assert own.controlled is not None
    assert own.controlled.value == pytest.approx(1.3, rel=0.03)
    # The times alone are too far apart from start to start.
    assert own.ratio.low < 1.05


def test_one_faster_peer_does_not_make_the_engine_slower_between_busy_starts() -> None:
    faster = starts_of(record(1, SAME | {PEER: 0.5 * SAME[PEER]}, others=BUSY))
    found = verdicts(changes(starts_of(record(0, SAME, others=BUSY)), faster, 0.05, quiet=False))
    assert found == {OURS: "no significant difference", PEER: "faster", OTHER: "no significant difference"}


def test_a_busy_run_without_other_candidates_gets_no_verdict() -> None:
    old, new = (starts_of(record(seed, {OURS: (1 + seed) * 2e-3}, others=BUSY)) for seed in range(2))
    [change] = changes(old, new, quiet=False)
    assert change.verdict == "too busy to tell"


def test_a_run_in_one_process_gets_no_verdict() -> None:
    slow = record(1, {OURS: 1.0}, starts=1)
    [change] = changes(starts_of(record(0, SAME)), starts_of(slow))
    assert change.verdict == "too few starts"
    assert change.to_json()["ratio"]["high"] is None


def written(folder: Path, name: str, run: Record) -> str:
    run.write(folder / name)
    return str(folder / name)


def test_the_command_fails_when_the_subject_became_slower(tmp_path: Path) -> None:
    old = written(tmp_path, "old.json", record(0, SAME))
    new = written(tmp_path, "new.json", record(1, SAME | {OURS: 3e-3}))
    found = call(main, "lnlattennet", "bench", "compare", old, new, "--fail-on-regression", "5%")
    assert found.returncode == 5
    assert "slower by more than 5%: engine in b1 (1.5" in found.stderr
    assert "(peer)" in found.stdout
    assert (
        call(main, "lnlattennet", "bench", "compare", old, old, "--fail-on-regression", "5%").returncode == 0
    )
    told = call(main, "lnlattennet", "bench", "compare", old, new, "--json")
    assert told.returncode == 0
    document = json.loads(told.stdout)
    assert {change["candidate"]: change["verdict"] for change in document["changes"]}[OURS] == "slower"


@pytest.mark.parametrize(
    ("times", "starts", "reason"),
    [
        (SAME, 2, "engine in b1, warm: too few starts"),
        ({PEER: SAME[PEER], OTHER: SAME[OTHER]}, STARTS, "engine in b1, warm: not in the new record"),
    ],
)
def test_a_gate_without_a_verdict_does_not_pass(
    times: dict[str, float], starts: int, reason: str, tmp_path: Path
) -> None:
    old = written(tmp_path, "old.json", record(0, SAME))
    new = written(tmp_path, "new.json", record(1, times, starts=starts))
    told = call(main, "lnlattennet", "bench", "compare", old, new, "--fail-on-regression", "5%")
    assert told.returncode == 5
    assert reason in told.stderr


def test_a_gate_does_not_pass_whose_subject_failed_in_the_old_record(tmp_path: Path) -> None:
    failed = record(0, SAME)
    [case] = failed.cases
    failed.cases = [replace(case, candidates={**case.candidates, OURS: CandidateResult(failed="no kernel")})]
    old, new = written(tmp_path, "old.json", failed), written(tmp_path, "new.json", record(1, SAME))
    told = call(main, "lnlattennet", "bench", "compare", old, new, "--fail-on-regression", "5%")
    assert told.returncode == 5
    assert "there is none on engine in b1: not measured in the old record" in told.stderr


def test_the_oldest_records_of_another_machine_are_refused(tmp_path: Path) -> None:
    """They have the name of the machine alone, in place of its facts."""
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    for path, machine in zip(paths, ("2 cores", "4 cores"), strict=True):
        samples = {"expression": [1.0, 2.0]}
        path.write_text(json.dumps({"benchmark": "latency", "machine": machine, "samples_ms": samples}))
    old, new = map(str, paths)
    assert call(main, "lnlattennet", "bench", "compare", old, old).returncode == 0
    refused = call(main, "lnlattennet", "bench", "compare", old, new)
    assert refused.returncode == 5
    assert "their name is '2 cores' and '4 cores'" in refused.stderr


def test_a_record_of_a_busy_machine_is_named(tmp_path: Path) -> None:
    busy = record(1, SAME)
    busy.load = replace(busy.load, others=0.4, quiet=False)
    old, new = written(tmp_path, "old.json", record(0, SAME)), written(tmp_path, "new.json", busy)
    told = call(main, "lnlattennet", "bench", "compare", old, new)
    assert told.returncode == 0
    assert f"{new} is of a machine that was not quiet: others took up to 40% of the CPUs" in told.stderr
    assert old not in told.stderr
    assert "times are not trusted: the ratio over the other candidates decides\nalone" in told.stdout
    assert (
        json.loads(call(main, "lnlattennet", "bench", "compare", old, new, "--json").stdout)["quiet"] is False
    )


def test_what_became_slower_on_a_busy_machine_is_told_by_its_ratio(tmp_path: Path) -> None:
    busy = record(1, SAME | {OURS: 1.3 * SAME[OURS]}, machine=0.8, others=BUSY)
    busy.load = replace(busy.load, others=0.4, quiet=False)
    old = written(tmp_path, "old.json", record(0, SAME))
    new = written(tmp_path, "new.json", busy)
    told = call(main, "lnlattennet", "bench", "compare", old, new, "--fail-on-regression", "5%")
    assert told.returncode == 5
    assert "slower by more than 5%: engine in b1 (1.3" in told.stderr
    assert "times over the others)" in told.stderr


@pytest.mark.parametrize(
    ("old", "new", "flags", "code", "reason"),
    [
        ("{}", "{}", [], 1, 'has the key "benchmark"'),
        ("not JSON", "{}", [], 1, "a record is a JSON file that a benchmark wrote"),
        ('{"benchmark": "a"}', '{"benchmark": "b"}', [], 5, "these are of 'a' and 'b'"),
        (
            '{"benchmark": "a", "machine": {"cpu": "x"}}',
            '{"benchmark": "a", "machine": {"cpu": "y"}}',
            [],
            5,
            "their cpu is 'x' and 'y'",
        ),
        (
            '{"benchmark": "a", "machine": {"cpu_flags": ["avx2"]}}',
            '{"benchmark": "a", "machine": {"cpu_flags": ["avx2", "avx512f"]}}',
            [],
            5,
            "their cpu_flags is ['avx2'] and ['avx2', 'avx512f']",
        ),
        ('{"benchmark": "a", "quick": true}', '{"benchmark": "a", "quick": false}', [], 5, "a --quick run"),
        ('{"benchmark": "a"}', '{"benchmark": "a"}', [], 5, "no candidate of a case in common"),
        ("{}", "{}", ["--fail-on-regression", "much"], 2, "a share of 0% or more, such as 5%, got 'much'"),
        ("{}", "{}", ["--fail-on-regression", "0.05"], 2, "may mean 0.05% or 5%; write one with its %"),
    ],
)
def test_records_that_cannot_be_compared_are_refused(
    tmp_path: Path, old: str, new: str, flags: list[str], code: int, reason: str
) -> None:
    (tmp_path / "old.json").write_text(old)
    (tmp_path / "new.json").write_text(new)
    refused = call(
        main,
        "lnlattennet",
        "bench",
        "compare",
        str(tmp_path / "old.json"),
        str(tmp_path / "new.json"),
        *flags,
    )
    assert refused.returncode == code
    assert reason in refused.stderr
