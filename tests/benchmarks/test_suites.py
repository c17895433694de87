"""`lnlattennet bench`: runs suites, skips those that cannot run, and keeps what was measured."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lnlattennet._cli import main
from lnlattennet.benchmarks import _run, _suites
from lnlattennet.benchmarks._run import run_suites
from lnlattennet.benchmarks._suites import SUITES, Suite
from lnlattennet.benchmarks.harness._load import processes
from lnlattennet.benchmarks.startup.__main__ import BARE, NOW, WHOLE
from lnlattennet.errors import UnavailableError
from tests.commands import call

SHORT = Suite("startup", "the shortest", "startup", 0.1, ("{bundle}",), ("--rounds", "3"), ("--rounds", "3"))
BUNDLE = {"bundle": "bundle"}


def bench(*arguments: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return call(main, "lnlattennet", "bench", *arguments, folder=folder)


def test_one_document_tells_of_measured_skipped_and_failed_suites(
    bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Suite("broken", "a benchmark that is not there", "nothing", 0)
    monkeypatch.setattr(_suites, "SUITES", {"startup": SHORT, "broken": broken, "faces": SUITES["faces"]})
    records = tmp_path / "records"
    done = bench("--bundle", bundle_path, "-o", records, "--json", folder=tmp_path)
    assert done.returncode == 1, done.stderr
    assert done.stderr.endswith("error: broken failed; what they wrote above says why\n")
    measured, failed, skipped = json.loads(done.stdout)["suites"]
    assert (measured["suite"], measured["status"], measured["reason"]) == ("startup", "measured", "")
    assert measured["command"][-2:] == ["--output", str(records / "startup.json")]
    assert failed["status"] == "failed"
    assert "No module named lnlattennet.benchmarks.nothing" in failed["reason"]
    assert failed["record"] is None
    assert (skipped["status"], skipped["command"]) == ("skipped", [])
    assert "--portraits" in skipped["reason"]

    record = json.loads((records / "startup.json").read_text())
    assert record == measured["record"]
    cases = {case["name"]: case["candidates"] for case in record["cases"]}
    assert list(cases) == ["import", "load the bundle", "first answer", "second answer", "the whole process"]
    for candidates in cases.values():
        assert list(candidates) == [NOW, BARE]
        for result in candidates.values():
            assert result["timings"]["warm"]["starts"] == [1, 1, 1]
    assert min(record["memory_mb"][WHOLE][NOW]) > 20

    again = bench("startup", "--bundle", bundle_path, "-o", records)
    assert again.returncode == 2
    assert "has a record of startup already" in again.stderr


def test_ctrl_c_ends_the_suite_with_all_that_it_started(bundle_path: Path, tmp_path: Path) -> None:
    endless = Suite("startup", "endless", "startup", 0, (str(bundle_path), "--rounds", "100000"))

    # Earlier tests of this process may have left some, such as a server of forks.
    before = children()

    def interrupt() -> None:
        while not children() - before:
            time.sleep(0.1)
        time.sleep(1)
        groups.extend(children() - before)
        os.kill(os.getpid(), signal.SIGINT)

    groups: list[int] = []
    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run_suites([endless], tmp_path, {})
    thread.join()
    (group,) = groups
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)


STUBBORN = """
import signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
server = subprocess.Popen(["sleep", "600"], start_new_session=True)
print(server.pid, flush=True)
server.wait()
"""


def test_a_suite_that_does_not_end_is_killed_with_the_servers_that_it_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_run, "_SECONDS_TO_END", 0.5)
    with subprocess.Popen(
        [sys.executable, "-I", "-c", STUBBORN], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as suite:
        assert suite.stdout is not None
        server = int(suite.stdout.readline())
        _run._end(suite)
    assert suite.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while Path(f"/proc/{server}/exe").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{server}/exe").exists()


def children() -> set[int]:
    return {process for process, fields in processes() if int(fields[1]) == os.getpid()}


@pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
def test_a_suite_says_what_it_needs(suite: Suite) -> None:
    if any("{" in argument for argument in suite.arguments):
        with pytest.raises(UnavailableError, match="give"):
            suite.command({}, (), quick=True)
    given = dict.fromkeys(("bundle", "checkpoint", "perf_analyzer", "portraits", "faceless"), "x")
    command = suite.command(given, (), quick=False)
    assert command[0] == f"lnlattennet.benchmarks.{suite.module}"
    assert not any("{" in argument for argument in command)


@pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
def test_a_benchmark_knows_the_arguments_of_its_suite(
    suite: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    given = dict.fromkeys(("bundle", "checkpoint", "perf_analyzer", "portraits", "faceless"), "x")
    options = [("--earlier", sys.executable), ("--program", f"fer={sys.executable}")]
    for quick in (False, True):
        if quick and suite.quick is None:
            continue
        module, *arguments = suite.command(given, (), options, quick=quick)
        benchmark = importlib.import_module(module)
        if hasattr(benchmark, "__path__"):
            benchmark = importlib.import_module(f"{module}.__main__")
        with pytest.raises(SystemExit):
            benchmark.run([*arguments, "--not-known"])
        assert capsys.readouterr().err.endswith("error: unrecognized arguments: --not-known\n")


def test_a_filter_takes_the_place_of_a_suites_own_cases() -> None:
    command = SUITES["images"].command({}, ["12*", "50*"], quick=True)
    assert [word for before, word in itertools.pairwise(command) if before == "--case"] == [
        "12*",
        "50*",
    ]
    with pytest.raises(UnavailableError, match="without --quick"):
        SUITES["network"].command({}, (), quick=True)
    with pytest.raises(UnavailableError, match="no cases to choose from"):
        SUITES["streams"].command(BUNDLE, ["12*"], quick=True)


def test_options_go_to_the_suites_that_have_them() -> None:
    given = [("--program", "fer=x"), ("--program", "facex=y"), ("--earlier", "z")]
    programs = SUITES["programs"].command(BUNDLE, (), given, quick=True)
    assert programs[2:6] == ["--program", "fer=x", "--program", "facex=y"]
    assert SUITES["startup"].command(BUNDLE, (), given, quick=True)[2:4] == ["--earlier", "z"]
    assert "z" not in programs + SUITES["scaling"].command(BUNDLE, (), given, quick=True)


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        (("--program", "nothing=python"), "--program must be NAME=PYTHON with a NAME of fer, facex"),
        (("--program", "fer=nowhere/python"), "--program must be a Python that can be started"),
        (("--earlier", "nowhere/python"), "--earlier must be a Python that can be started"),
    ],
)
def test_a_program_that_cannot_be_started_is_refused_before_any_suite(
    option: tuple[str, str], reason: str, bundle_path: Path, tmp_path: Path
) -> None:
    done = bench("startup", "--bundle", bundle_path, *option, "-o", tmp_path / "records")
    assert done.returncode == 2
    assert f"error: {reason}" in done.stderr
    assert not (tmp_path / "records").exists()


def test_without_torch_its_suites_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_suites, "find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match=r"pip install 'lnlattennet\[train\]'"):
        SUITES["kernels"].command({}, (), quick=True)
    assert SUITES["streams"].command(BUNDLE, (), quick=True)


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (
            ["nothing"],
            2,
            "no suite is called 'nothing'; the suites are startup, programs, images, export, engines",
        ),
        (
            ["streams", "--bundle", "nowhere"],
            1,
            "--bundle must name a file or a folder; nowhere is not there",
        ),
        (["streams"], 4, "export-engine"),
    ],
)
def test_a_run_that_cannot_be_is_refused(
    arguments: list[str], code: int, reason: str, tmp_path: Path
) -> None:
    done = bench(*arguments, folder=tmp_path)
    assert done.returncode == code
    assert reason in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_suites_are_listed(tmp_path: Path) -> None:
    done = bench("--list")
    assert done.returncode == 0
    assert sum(suite.minutes for suite in SUITES.values()) < 30
    assert [line.split()[0] for line in done.stdout.splitlines()[2:]] == list(SUITES)


def test_the_documents_minutes_are_those_of_the_list() -> None:
    page = (Path(__file__).parents[2] / "docs/howto/measure.md").read_text(encoding="utf-8")
    minutes = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+)", page, flags=re.MULTILINE))
    del minutes["programs"]  # the page has those with other packages' programs
    assert {name: float(text) for name, text in minutes.items()} == {
        name: suite.minutes for name, suite in SUITES.items() if name != "programs"
    }
