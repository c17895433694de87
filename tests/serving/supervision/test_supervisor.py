"""`lnlattennet serve` under faults: what is killed or hangs answers again, and a stop loses nothing."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import numpy as np
import pytest

from lnlattennet.bundle._prediction import Prediction
from lnlattennet.errors import LnlAttenNetError, OverloadedError, ServingError
from lnlattennet.serving import Client, load
from lnlattennet.serving.supervision import _known_face
from lnlattennet.serving.supervision._known_face import KnownAnswers, WrongAnswerError, known_face
from lnlattennet.serving.supervision._status import Status
from lnlattennet.serving.supervision._supervisor import MOST_FAILURES, Supervisor
from lnlattennet.serving.triton._endpoints import Endpoints
from lnlattennet.serving.triton._health import probe_model
from lnlattennet.serving.triton._model_names import ENGINE_MODEL, ENSEMBLE, FUSED, PIPELINE, PUBLIC_MODELS
from lnlattennet.serving.triton._process import TritonProcess
from tests.serving.supervision.asker import Asker, asking

COMMAND = Path(sys.executable).with_name("lnlattennet")
OPTIONS = ["--http-port", "0", "--grpc-port", "0", "--metrics-port", "0", "--health-port", "0", "--json"]
OPTIONS += ["--log-format", "json"]
RECOVERY_SECONDS = 90
"""Far more than a recovery takes: a test does not judge time."""

ProcessesOf = Callable[[Path], list[int]]


@pytest.fixture(scope="module")
def served(
    bundle_path: Path, triton_server: object, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SimpleNamespace]:
    folder = tmp_path_factory.mktemp("supervised")
    command = [str(COMMAND), "serve", str(bundle_path), *OPTIONS, "--deploy-to", str(folder / "deployment")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout
    text = "".join(iter(process.stdout.readline, "}\n"))
    try:
        yield SimpleNamespace(process=process, folder=folder, log=folder / "log", **json.loads(text + "}"))
    finally:
        process.kill()
        process.communicate(timeout=30)


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - an address of this machine
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def metric(served: SimpleNamespace, name: str) -> float:
    lines = get(f"{served.health}/metrics")[1].splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(name + " ")))


def events(served: SimpleNamespace) -> list[dict[str, Any]]:
    """Every line of the log, each of which is a JSON object."""
    found = [json.loads(line) for line in served.log.read_text().splitlines()]
    assert all({"time", "level", "logger", "message"} <= event.keys() for event in found)
    return [event for event in found if "event" in event]


def pids(served: SimpleNamespace, processes_of: ProcessesOf, model: str) -> list[int]:
    found = []
    for pid in processes_of(served.folder / "deployment"):
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        is_model = any(argument.endswith(f"/loaded/{model}/1/model.py") for argument in arguments)
        if is_model if model else not any(argument.endswith("/model.py") for argument in arguments):
            found.append(pid)
    return found


def ask_until_right(served: SimpleNamespace, model: str, expected: Any) -> None:
    deadline = time.monotonic() + RECOVERY_SECONDS
    while True:
        try:
            with Client(served.grpc, model, timeout=5) as client:
                answer = client.predict(known_face())
            assert answer.probabilities == pytest.approx(expected.probabilities, abs=1e-4)
            if get(f"{served.health}/readyz")[0] == 200:
                return
        except LnlAttenNetError:
            pass
        assert time.monotonic() < deadline, served.log.read_text()
        time.sleep(0.1)


SMOOTHING = "expression_smoothing"

FAULTS = [
    pytest.param([("", 0)], signal.SIGKILL, id="killed server"),
    pytest.param([("", 0)], signal.SIGSTOP, id="hung server"),
    pytest.param([(PIPELINE, 0), (SMOOTHING, 0)], signal.SIGKILL, id="killed python models"),
    pytest.param([(PIPELINE, 1), (SMOOTHING, 0)], signal.SIGSTOP, id="hung python models"),
]
"""Model and which of its processes; "" is the server."""


@pytest.mark.slow
@pytest.mark.parametrize(("broken", "fault"), FAULTS)
def test_what_is_killed_or_hangs_answers_again(
    served: SimpleNamespace,
    processes_of: ProcessesOf,
    bundle_path: Path,
    broken: list[tuple[str, int]],
    fault: signal.Signals,
) -> None:
    expected = load(bundle_path).predict(known_face())
    restarts = metric(served, "lnlattennet_restarts_total")
    models = [model for model, _ in broken if model]
    before = [pids(served, processes_of, model)[number] for model, number in broken]
    logged = len(events(served))
    with asking(
        askers := [
            Asker(url, lambda client: client.predict(known_face()), asked, retries=10)
            for url, asked in itertools.product((served.grpc, served.http), (ENSEMBLE, FUSED))
        ]
    ):
        for pid in before:
            os.kill(pid, fault)
        deadline = time.monotonic() + RECOVERY_SECONDS
        # A model's other process answers meanwhile, so answers do not tell that it is mended.
        while not mended(events(served)[logged:], models) and time.monotonic() < deadline:
            time.sleep(0.1)
        for asked in (ENSEMBLE, FUSED):
            ask_until_right(served, asked, expected)
    for answer in itertools.chain.from_iterable(asker.answers for asker in askers):
        assert answer.probabilities == pytest.approx(expected.probabilities, abs=1e-4)
    assert not alive(served, processes_of, before)
    assert mended(events(served)[logged:], models)
    # A python model is started again alone; the others go on answering.
    assert metric(served, "lnlattennet_restarts_total") - restarts == (not models)


def mended(new_events: list[dict[str, Any]], models: list[str]) -> bool:
    """Whether the models, or the server, were started again and everything answered rightly after that."""
    kind, end = ("restart_models", "recovered") if models else ("restart", "ready")
    names = [event["event"] for event in new_events]
    again = {name for event in new_events if event["event"] == kind for name in event.get("models", ())}
    return kind in names and again == {*models} and end in names[::-1][: names[::-1].index(kind)]


def alive(served: SimpleNamespace, processes_of: ProcessesOf, numbers: list[int]) -> set[int]:
    return {*numbers} & {*processes_of(served.folder / "deployment")}


def pending(served: SimpleNamespace) -> int:
    """Requests that the server has taken and not begun, beyond those that it works on."""
    lines = get(served.metrics)[1].splitlines()
    counts = [line.split() for line in lines if line.startswith("nv_inference_pending_request_count{")]
    return sum(int(count) for _, count in counts)


@pytest.mark.slow
def test_a_stop_answers_what_was_accepted_and_refuses_the_rest(
    served: SimpleNamespace, processes_of: ProcessesOf, images: list[bytes]
) -> None:
    """The server tells when it has them: the queue holds what the two instances have not begun."""
    instances, sent = 2, images * 2
    faces = np.zeros((len(sent), 3, 48, 48), np.float32)

    def ask(client: Client, model: str) -> int | str:
        try:
            return len(client.predict_crops(faces) if model == ENGINE_MODEL else client.predict(sent))
        except LnlAttenNetError as error:
            return str(error)

    with ExitStack() as stack:
        models = [ENSEMBLE, FUSED, ENGINE_MODEL] * 4
        asked = [FUSED if model == FUSED else ENSEMBLE for model in models]
        clients = [stack.enter_context(Client(served.grpc, model, timeout=60)) for model in asked]
        pool = stack.enter_context(ThreadPoolExecutor(len(clients)))
        seen = False
        while not seen:
            requests = [pool.submit(ask, *pair) for pair in zip(clients, models, strict=True)]
            while not seen and not all(request.done() for request in requests):
                seen = pending(served) >= len(clients) - instances
        served.process.send_signal(signal.SIGTERM)
        answers = [request.result() for request in requests]
        while isinstance(refusal := ask(clients[0], ENSEMBLE), int):
            pass
    lost = [answer for answer in answers if answer != len(sent)]
    # One of those that wait may be the supervisor's own, and the last of the clients' too late.
    assert len(lost) <= 1, lost
    for text in [*map(str, lost), refusal]:
        assert re.search("unload|not ready|no available versions|failed to connect|refused", text), text
    assert served.process.wait(60) == 0, served.log.read_text()
    assert [events(served)[i]["event"] for i in (0, 1, -1)] == ["start", "ready", "stop"]
    assert processes_of(served.folder) == []
    assert list(Path("/dev/shm").glob(f"lnlattennet-{served.process.pid}-*")) == []  # noqa: S108


class Failing:
    """A server that answers at its start, and dies at once."""

    endpoints = Endpoints("127.0.0.1", 1, 2, 3)
    pid = 4
    starts = 0
    looks = 0

    def __enter__(self) -> Self:
        Failing.starts += 1
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        pass

    def check(self) -> None:
        """Die when it is looked at for the first time after the probes of the start."""
        self.looks += 1
        if self.looks > len(PUBLIC_MODELS):
            raise ServingError("the server stopped by itself (exit code 7)")


def test_a_server_that_fails_again_and_again_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    delays: list[float] = []
    monkeypatch.setattr(time, "sleep", delays.append)
    monkeypatch.setattr(KnownAnswers, "check", lambda *_: True)
    monkeypatch.setattr(Failing, "starts", 0)
    announced: list[object] = []
    status = Status()
    supervisor = Supervisor(lambda: Failing(), status, announced.append)  # type: ignore[arg-type, return-value]
    with pytest.raises(ServingError, match=r"failed 6 times within 300 s.*\(exit code 7\)"):
        supervisor.run()
    assert Failing.starts == MOST_FAILURES + 1
    assert len(announced) == 1
    assert status.phase == "failing"
    assert [delay for delay in delays if delay != 0.25] == [0.0, 0.5, 1.0, 2.0, 4.0]


def test_a_changed_answer_is_wrong(server: TritonProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = KnownAnswers()
    answers.check(server, ENSEMBLE)
    answers.check(server, ENSEMBLE)

    def changed(*arguments: Any) -> Any:
        prediction = probe_model(*arguments)
        values = list(prediction.probabilities.values())
        rotated = dict(zip(prediction.probabilities, values[1:] + values[:1], strict=True))
        return type(prediction)(**{**vars(prediction), "probabilities": rotated})

    monkeypatch.setattr(_known_face, "probe_model", changed)
    with pytest.raises(WrongAnswerError, match=f"model {ENSEMBLE} answers a known face with"):
        answers.check(server, ENSEMBLE)


class BusyServer:
    """One whose answers, counts of requests and processor time are given; time passes in probes and pauses.

    Attributes:
        results: what it does with the next probes: the last one for good.
    """

    endpoints = Endpoints("127.0.0.1", 1, 2, 3)
    startup_timeout = 120.0

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.answered, self.results = 0.0, 0, ["answer"]
        self.computes = True
        clock = SimpleNamespace(monotonic=lambda: self.now, sleep=self.wait)
        monkeypatch.setattr(_known_face, "time", clock)
        monkeypatch.setattr(_known_face, "probe_model", self.probe)
        monkeypatch.setattr(_known_face, "answered_requests", lambda *_: self.answered)

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def probe(self, *_: object) -> Prediction:
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if result == "refuse":
            raise OverloadedError("Exceeds maximum queue size")
        if result == "answer":
            return SimpleNamespace(probabilities={"happiness": 1.0})  # type: ignore[return-value]
        self.wait(_known_face.PROBE_SECONDS)
        self.answered += result == "answer another"
        raise ServingError("no answer within 3 s")

    def check(self) -> None:
        pass

    def cpu_seconds(self, models: bool = True) -> float:
        return self.now if models and self.computes else 0.0

    def has_work(self) -> bool:
        return False


def check_for(answers: KnownAnswers, process: BusyServer, seconds: float) -> None:
    """Ask as often as the supervisor does."""
    end = process.now + seconds
    while process.now < end:
        answers.check(process, ENSEMBLE)  # type: ignore[arg-type]
        process.wait(1.0)


def started(process: BusyServer) -> KnownAnswers:
    answers = KnownAnswers()
    assert answers.check(process, ENSEMBLE)  # type: ignore[arg-type]
    return answers


def test_a_server_that_computes_without_an_answer_has_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    process = BusyServer(monkeypatch)
    answers = started(process)
    process.results = ["be late"]
    check_for(answers, process, 55)
    with pytest.raises(ServingError, match="no answer"):
        check_for(answers, process, 10)
    # The next server has as long.
    answers.started()
    check_for(answers, process, 55)
    process.computes = False
    with pytest.raises(ServingError, match="no answer"):
        answers.check(process, ENSEMBLE)  # type: ignore[arg-type]


@pytest.mark.parametrize("sign", ["refuse", "answer another", "answer"])
def test_an_overloaded_server_that_works_goes_on(sign: str, monkeypatch: pytest.MonkeyPatch) -> None:
    process = BusyServer(monkeypatch)
    answers = started(process)
    for _ in range(10):
        process.results = ["be late", "be late", "be late", sign, "be late"]
        check_for(answers, process, 30)


def test_a_start_needs_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    process = BusyServer(monkeypatch)
    process.results = ["refuse", "answer another", "answer"]
    assert KnownAnswers().check(process, ENSEMBLE)  # type: ignore[arg-type]
    assert process.results == ["answer"]
    process.results = ["refuse"]
    with pytest.raises(ServingError, match=r"too busy .* within 120 s .* --startup-timeout"):
        KnownAnswers().check(process, ENSEMBLE)  # type: ignore[arg-type]
    assert process.now > process.startup_timeout


def test_the_known_face_is_found(bundle_path: Path) -> None:
    assert load(bundle_path).predict(known_face()).face_found
