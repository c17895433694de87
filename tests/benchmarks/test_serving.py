"""The serving benchmark: arrivals, the requests of an export, required figures, and the peer's answers."""

from __future__ import annotations

import json
import re
import stat
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http

from lnlattennet.benchmarks.harness._images import photographs
from lnlattennet.benchmarks.harness._memory import proportional_set_size
from lnlattennet.benchmarks.harness._record import ExperimentResult, Record, warm_results
from lnlattennet.benchmarks.serving import _perf_analyzer, stalls
from lnlattennet.benchmarks.serving.__main__ import _case_rows, serving_tables
from lnlattennet.benchmarks.serving._anatomy import Steps, anatomy
from lnlattennet.benchmarks.serving._bare_processes import open_bare_processes
from lnlattennet.benchmarks.serving._measure import BURSTS, POISSON, timed_loads
from lnlattennet.benchmarks.serving._peer_servers import PEERS, Peer, peer_server
from lnlattennet.benchmarks.serving._perf_analyzer import Load, Served, open_perf_analyzer, read_export
from lnlattennet.benchmarks.serving._requirements import BARE, EARLIER, FUSED, HERE, PEER, requirements
from lnlattennet.errors import LnlAttenNetError, UnavailableError
from lnlattennet.machine._hardware import usable_cpus
from lnlattennet.serving import load
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.triton._model_names import FUSED as FUSED_MODEL
from lnlattennet.serving.triton._process import TritonProcess


def test_timed_arrivals_have_the_rate_that_was_asked_for() -> None:
    poisson, bursts = timed_loads(50.0, 4000)
    assert (poisson.name, bursts.name) == (POISSON, BURSTS)
    assert np.mean(poisson.gaps_us) == pytest.approx(20_000, rel=0.05)
    # The gaps of a Poisson process are as long as they are spread.
    assert np.std(poisson.gaps_us) == pytest.approx(np.mean(poisson.gaps_us), rel=0.1)
    assert np.mean(bursts.gaps_us) == pytest.approx(20_000)
    assert list(bursts.gaps_us[:5]) == [80_000, 0, 0, 0, 80_000]


def _export(path: Path, ends: list[list[int]]) -> Path:
    requests = b",".join(
        # As the program writes them: the image's bytes as they are.
        b'{"timestamp":%d,"request_inputs":{"image":"\xff\xd8\\u0000"},"response_timestamps":%s}'
        % (1_000_000 * i, json.dumps(end).encode())
        for i, end in enumerate(ends)
    )
    path.write_bytes(b'{"experiments":[{"requests":[' + requests + b"]}]}")
    return path


def test_every_request_of_an_export_is_kept(tmp_path: Path) -> None:
    served = read_export(_export(tmp_path / "export.json", [[3_000_000], [4_000_000], [2_500_000]]))
    assert served.latencies == pytest.approx([0.003, 0.003, 0.0005])
    assert served.seconds == pytest.approx(0.004)


def test_a_request_without_an_answer_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LnlAttenNetError, match="1 of 2 requests of perf_analyzer had no answer"):
        read_export(_export(tmp_path / "export.json", [[3_000_000], []]))


def test_the_program_is_taken_from_a_wheel(tmp_path: Path) -> None:
    wheel, script = tmp_path / "tritonclient-0-py3-none-any.whl", "#!/bin/sh\necho no server >&2\nexit 9\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tritonclient-0.data/data/bin/perf_analyzer", script)
    with open_perf_analyzer(wheel) as generator:
        assert generator.program.stat().st_mode & stat.S_IXUSR
        with pytest.raises(LnlAttenNetError, match="perf_analyzer failed on m at grpc://h:1: no server"):
            generator.run("grpc://h:1", "m", b"image", Load("one", concurrency=1), 10)
    assert not generator.program.exists()


def test_a_program_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "perf_analyzer"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr(_perf_analyzer, "_TIMEOUT_SECONDS", 0.2)
    with open_perf_analyzer(program) as generator:
        load = Load("one at a time", concurrency=1)
        with pytest.raises(LnlAttenNetError, match=r"did not finish 3 requests to m at http://h:1 \(one"):
            generator.run("http://h:1", "m", b"image", load, 3)


def test_a_program_that_waits_for_good_is_started_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = _export(tmp_path / "answers.json", [[2_000_000], [3_000_000]])
    program = tmp_path / "perf_analyzer"
    program.write_text(
        f"#!/bin/sh\n[ -e {tmp_path}/before ] || {{ touch {tmp_path}/before; exec sleep 60; }}\n"
        f'while [ "$1" != --profile-export-file ]; do shift; done; cp {export} "$2"\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr(_perf_analyzer, "_TIMEOUT_SECONDS", 1)
    with open_perf_analyzer(program) as generator:
        served = generator.run("http://h:1", "m", b"image", Load("one at a time", concurrency=1), 2)
    assert len(served.latencies) == 2


@pytest.mark.parametrize("name", ["missing", "missing.whl", "empty.whl"])
def test_a_missing_program_is_named_with_the_way_out(name: str, tmp_path: Path) -> None:
    zipfile.ZipFile(tmp_path / "empty.whl", "w").close()
    with pytest.raises(UnavailableError, match=name), open_perf_analyzer(tmp_path / name):
        pass


def test_required_figures_come_from_the_samples() -> None:
    record = Record(benchmark="serving")
    times = {HERE: 0.010, FUSED: 0.0105, EARLIER: 0.021, PEER: 0.012}
    samples = {name: [seconds] * 99 + [seconds * 40] for name, seconds in times.items()}
    config = {"rounds": 5}
    record.add(ExperimentResult("512, one at a time", config, warm_results(samples)))
    record.add(ExperimentResult("512, 8 in flight", config, warm_results(samples)))
    rates = {FUSED: [230.0] * 3, PEER: [100.0] * 3, BARE: [240.0] * 3}
    record.facts["requests_per_second"] = {"512, 8 in flight": rates}
    found = {(item.text, item.case): item for item in requirements(record)}
    ratio = found["p50 over the earlier version's", "512, one at a time"]
    assert ratio.status == "reached"
    assert ratio.value == pytest.approx(0.5)
    hop = found[f"p50 of {FUSED} minus that in process, microseconds", "512, one at a time"]
    assert hop.status == "reached"
    assert hop.value == pytest.approx(500)
    # One request of a hundred is 40 times as slow: p99 lies between the two.
    tail = found[f"p99 over p50 of {FUSED}", "512, one at a time"]
    assert tail.value == pytest.approx(np.percentile([1] * 99 + [40], 99), rel=0.01)
    rate = found[f"requests a second of {FUSED} over FastAPI's", "512, 8 in flight"]
    assert rate.status == "reached"
    assert rate.value == pytest.approx(2.3)
    assert found[f"requests a second of {BARE} over FastAPI's", "512, 8 in flight"].value == pytest.approx(
        2.4
    )
    assert found["p50 over the earlier version's", "1080p, one at a time"].status == "not measured"


def test_memory_is_judged_beside_an_earlier_version() -> None:
    record = Record(benchmark="serving")
    record.facts["servers"] = {"this version": {"memory_bytes": 300e6, "largest_peak_bytes": 140e6}}
    assert not [item for item in requirements(record) if item.text.startswith("memory")]
    record.facts["servers"]["earlier"] = {"memory_bytes": 600e6, "largest_peak_bytes": 160e6}
    found = [item for item in requirements(record) if item.text.startswith("memory")]
    assert [(item.value, item.status) for item in found] == [(0.5, "reached"), (0.875, "missed")]


def test_a_table_has_no_99th_percentile_of_few_requests() -> None:
    record = Record(benchmark="serving")
    few = ExperimentResult("512, one at a time", {}, warm_results({"few": [0.01] * 99, "many": [0.01] * 100}))
    record.add(few)
    record.facts["requests_per_second"] = {few.name: {"few": [100.0], "many": [100.0]}}
    times = {name: cells[:4] for name, *cells in _case_rows(record, few)[1:]}
    assert times == {"few": ["10.00 ms", "10.00 ms", "", "10.00 ms"], "many": ["10.00 ms"] * 4}
    text = stalls.table(record)
    assert re.search(r"few +99 +0 +10\.0 +10\.0$", text, re.MULTILINE)
    assert re.search(r"many +100 +0 +10\.0 +10\.0 +10\.0$", text, re.MULTILINE)


def test_required_figures_are_printed_with_their_intervals() -> None:
    record = Record(benchmark="serving")
    samples = {HERE: [0.010, 0.011, 0.010, 0.010], FUSED: [0.0105, 0.0125, 0.0105, 0.0105]}
    case = ExperimentResult("512, one at a time", {"rounds": 2}, warm_results(samples))
    record.add(case)
    record.facts["requests_per_second"] = {case.name: {name: [100.0, 90.0] for name in samples}}
    record.facts["anatomy_ms"] = {"512": {"decode": 2.0, "engine": 3.0}}
    server = {"start_seconds": 2.0, "memory_bytes": 5e8, "largest_peak_bytes": 3e8}
    record.facts["servers"] = {"this version": server}
    record.requirements = requirements(record)
    [hop] = [item for item in record.requirements if item.interval]
    low, high = hop.interval or ()
    text = serving_tables(record)
    assert re.search(rf"in process, microseconds .* at most 1000 .* {low:.2f} - {high:.2f} +undecided", text)
    assert re.search(r"together, the mean +5\.00$", text, re.MULTILINE)


def test_a_tail_of_few_requests_is_not_judged() -> None:
    record = Record(benchmark="serving")
    record.add(ExperimentResult("512, one at a time", {"rounds": 5}, warm_results({FUSED: [0.01] * 99})))
    [tail] = [item for item in requirements(record) if item.text.startswith("p99")]
    assert tail.status == "not measured"


@pytest.mark.parametrize(
    ("rounds", "paces", "status"),
    [(4, (0, 0, 0, 0), "reached"), (4, (0, 2, 0, 2), "undecided"), (1, (9,), "missed")],
)
def test_a_hop_is_judged_by_the_rounds_and_not_by_their_many_requests(
    rounds: int, paces: tuple[float, ...], status: str
) -> None:
    """``paces`` are the milliseconds by which the served answers of each round are slower."""
    record = Record(benchmark="serving")
    served = [0.0105 + pace / 1e3 for pace in paces for _ in range(100)]
    results = warm_results({HERE: [0.010] * len(served), FUSED: served})
    record.add(ExperimentResult("512, one at a time", {"rounds": rounds}, results))
    [hop] = [item for item in requirements(record) if item.text.endswith("in process, microseconds")]
    assert hop.status == status
    assert hop.value == pytest.approx(500 + 1000 * np.mean(paces))


@pytest.mark.slow
def test_bare_processes_share_the_requests_and_keep_every_time(bundle_path: Path) -> None:
    image = photographs()["crop 112"]
    with open_bare_processes(bundle_path) as bare:
        assert bare.run(image, Load("Poisson", gaps_us=[5]), 8) is None
        served = bare.run(image, Load("8 in flight", concurrency=8), 4 * usable_cpus() - 1)
        with pytest.raises(LnlAttenNetError, match="ended; what it wrote above says why"):
            bare.run(b"no image", Load("8 in flight", concurrency=8), 8)
    assert served is not None
    assert len(served.latencies) == 4 * usable_cpus()
    assert max(served.latencies) < served.seconds <= sum(served.latencies)


@pytest.mark.slow
def test_parts_of_a_request_add_up_to_what_the_client_waits(bundle_path: Path, server: TritonProcess) -> None:
    image, url = photographs()["crop 112"], server.endpoints.grpc
    steps, sent = Steps(bundle_path).milliseconds(image, 3), list[float]()

    def send() -> Served:
        with Client(url, FUSED_MODEL) as client:
            for _ in range(10):
                start = time.perf_counter()
                client.predict(image)
                sent.append(time.perf_counter() - start)
        return Served(sent, sum(sent))

    parts = anatomy(steps, url, FUSED_MODEL, send)
    assert sum(parts.values()) == pytest.approx(1e3 * np.mean(sent))
    assert parts.items() >= steps.items()
    assert min(steps.values()) > 0
    measured = ("tensors in", "tensors out", "wire and client")
    assert min(parts[name] for name in measured) > 0


def test_a_peer_that_is_not_installed_is_named_with_the_way_out(bundle_path: Path) -> None:
    peer = Peer("Other", "_other", ("package_of_nobody",))
    reason = "'package_of_nobody', which is not installed: pip install 'lnlattennet[bench,server]'"
    with pytest.raises(UnavailableError, match=re.escape(reason)), peer_server(peer, bundle_path):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_answers_as_the_bundle_does(peer: Peer, bundle_path: Path) -> None:
    image = photographs()["crop 112"]
    with peer_server(peer, bundle_path) as server:
        client = tritonclient.http.InferenceServerClient(server.urls["http"].removeprefix("http://"))
        tensor = tritonclient.http.InferInput("image", [1, 1], "BYTES")
        tensor.set_data_from_numpy(np.array([[image]], dtype=np.object_))
        # What perf_analyzer asks before it sends.
        assert client.get_model_metadata("expression")["inputs"][0]["name"] == "image"
        assert client.get_model_config("expression")["max_batch_size"] > 0
        answer = client.infer("expression", [tensor])
        client.close()
        assert 50e6 < server.written_bytes() < server.memory_bytes()
        assert 50e6 < server.largest_peak_bytes() < 400e6
        started = server.pids()
    deadline = time.monotonic() + 10
    while any(map(proportional_set_size, started)):
        assert time.monotonic() < deadline, "processes of the peer go on"
        time.sleep(0.1)
    expected = load(bundle_path).predict(image)
    assert answer.as_numpy("label").item().decode() == expected.label
    assert answer.as_numpy("probabilities")[0] == pytest.approx(
        list(expected.probabilities.values()), abs=1e-5
    )
    assert answer.as_numpy("region_weights").sum() == pytest.approx(1, abs=1e-5)
