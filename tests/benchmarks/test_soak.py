"""The soak: its visitors end as they should on a real server, and what goes wrong is found."""

from __future__ import annotations

import dataclasses
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from lnlattennet.benchmarks.serving.soak._expected import Expected, WrongAnswerError, compare
from lnlattennet.benchmarks.serving.soak._load import Tally
from lnlattennet.benchmarks.serving.soak._requirements import Findings, requirements
from lnlattennet.benchmarks.serving.soak._resources import Holding, growth
from lnlattennet.benchmarks.serving.soak._visitor import KINDS, Visitor
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.errors import ServingError
from lnlattennet.serving.triton._process import TritonProcess


@pytest.fixture(scope="module")
def expected(bundle_path: Path) -> Expected:
    return Expected.of(Bundle.load(bundle_path))


@pytest.fixture(scope="module")
def visitor(server: TritonProcess, expected: Expected) -> Iterator[Visitor]:
    urls = {"grpc": server.endpoints.grpc, "http": server.endpoints.http}
    visitor = Visitor(urls, expected, seed=1)
    yield visitor
    visitor.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_visit_ends_as_it_should(visitor: Visitor, kind: str) -> None:
    tally = Tally()
    tally.count(getattr(visitor, kind))
    assert (dict(tally.done), tally.messages) == ({kind: 1}, [])


@pytest.mark.parametrize("kind", ["late", "canceled", "gone_http"])
def test_a_server_that_is_gone_fails_every_visit(expected: Expected, kind: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        visitor = Visitor({"grpc": f"grpc://{address}", "http": f"http://{address}"}, expected, seed=1)
        tally = Tally()
        tally.count(getattr(visitor, kind))
    assert (tally.failed, tally.done.total()) == (1, 0), tally.messages


def test_another_answer_is_wrong(expected: Expected) -> None:
    right = expected.largest["512"]
    compare([right], [right])
    others = (
        dataclasses.replace(right, status="no_face"),
        dataclasses.replace(right, label=min({*right.probabilities} - {right.label})),
        dataclasses.replace(right, face_box=(*right.face_box[:3], right.face_box[3] + 0.01)),
        dataclasses.replace(right, probabilities={name: float("nan") for name in right.probabilities}),
        dataclasses.replace(right, probabilities=expected.largest["no face"].probabilities),
    )
    for other in others:
        with pytest.raises(WrongAnswerError):
            compare([other], [right])
    with pytest.raises(WrongAnswerError):
        compare([right, right], [right])


def test_a_failed_visit_is_counted() -> None:
    def wrong() -> None:
        raise WrongAnswerError("another")

    def failed() -> None:
        raise ServingError("none")

    total = Tally()
    for visit in (wrong, failed, failed):
        tally = Tally()
        tally.count(visit)
        total.add(tally)
    assert (total.wrong, total.failed, total.done.total()) == (1, 2, 0)
    assert total.messages == ["wrong answer to wrong: another", *["no answer to failed: none"] * 2]


def test_growth_is_told_from_noise() -> None:
    assert growth([100, 103, 99, 180, 101, 100, 102]) < 0.05
    assert growth([100, 101, 103, 104, 90, 107, 109]) > 0.05


def missed(findings: Findings) -> set[str]:
    return {item.text for item in requirements(findings) if item.status != "reached"}


def test_every_leak_is_a_missed_figure() -> None:
    held = Holding(seconds=1, memory_bytes=10**9, descriptors=130, segments=12, folders=2, processes=12)
    good = Findings(
        Tally(done=Counter(dict.fromkeys(KINDS, 1))),
        [held] * 10,
        held,
        {"restarts": 0, "failed probes": 0},
        {"processes": [], "segments": [], "folders": []},
    )
    assert missed(good) == set()
    leaks = {
        "memory_bytes": "growth of memory after the warm-up, as a share",
        "descriptors": "more descriptors after the warm-up",
        "segments": "more shared memory segments",
        "folders": "more temporary folders",
        "processes": "more processes",
    }
    for name, text in leaks.items():
        grown = [dataclasses.replace(held, **{name: getattr(held, name) * (2 + n) // 2}) for n in range(10)]
        assert text in missed(dataclasses.replace(good, holdings=grown)), name
    large = dataclasses.replace(held, memory_bytes=12 * 10**8)
    assert missed(dataclasses.replace(good, after_large=large)) == {
        "memory after large batches over that before"
    }
    for name in good.left:
        assert missed(dataclasses.replace(good, left={**good.left, name: ["one"]})) == {f"{name} left behind"}
    restarted = dataclasses.replace(good, counters={"restarts": 1, "failed probes": 0})
    assert missed(restarted) == {"restarts of the supervisor"}
    assert missed(dataclasses.replace(good, tally=Tally())) == {"kinds of visits that never happened"}
