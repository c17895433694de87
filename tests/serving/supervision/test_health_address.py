"""The health address: 200 while the answers are right, 503 with the reason otherwise."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from http.server import ThreadingHTTPServer

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lnlattennet.errors import ServingError
from lnlattennet.serving.supervision._health_address import health_address
from lnlattennet.serving.supervision._status import Status


def ask(address: str, path: str, method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_it_follows_the_status() -> None:
    status = Status()
    with health_address(status, "127.0.0.1", 0) as address:
        assert ask(address, "/readyz") == (503, "starting\n")
        status.enter("serving")
        assert ask(address, "/readyz") == (200, "serving\n")
        assert ask(address, "/readyz", "HEAD") == (200, "")
        status.enter("failing", "a process of the model lnlattennet hangs")
        assert ask(address, "/readyz") == (503, "failing: a process of the model lnlattennet hangs\n")
        assert ask(address, "/livez")[0] == 200
        assert ask(address, "/") == (404, "ask for /livez, /readyz or /metrics\n")


def test_prometheus_can_read_the_metrics() -> None:
    status = Status()
    status.enter("serving")
    status.count_probe("expression", 0.012, "right")
    status.count_probe("expression", 3.0, "busy")
    status.count_probe("expression", 2.0, "failed")
    status.count_model_restarts(["expression_pipeline"])
    with health_address(status, "127.0.0.1", 0) as address:
        families = list(text_string_to_metric_families(ask(address, "/metrics")[1]))
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }
    assert values.pop(("lnlattennet_phase_seconds", "serving")) >= 0
    assert values == {
        ("lnlattennet_ready",): 1,
        ("lnlattennet_restarts_total",): 0,
        ("lnlattennet_model_restarts_total", "expression_pipeline"): 1,
        ("lnlattennet_probes_total", "right"): 1,
        ("lnlattennet_probes_total", "busy"): 1,
        ("lnlattennet_probes_total", "failed"): 1,
        ("lnlattennet_probe_seconds", "expression"): 2.0,
    }
    assert all(family.type != "unknown" and family.documentation for family in families)


def test_a_connection_that_is_reset_prints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = threading.Event()
    monkeypatch.setattr(ThreadingHTTPServer, "handle_error", lambda *_: printed.set())
    with health_address(Status(), "127.0.0.1", 0) as address:
        for sent in (b"", b"GET /rea"):
            with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as connection:
                connection.sendall(sent)
                # Closed so, a connection is reset.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert not printed.wait(0.5)
        assert ask(address, "/livez")[0] == 200


def test_a_taken_port_is_named_with_its_flag() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(ServingError, match=rf"port {port} .*--health-port"),
            health_address(Status(), "127.0.0.1", port),
        ):
            pass
