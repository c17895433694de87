"""The gateway does what its OpenAPI description says, also with requests that nobody would write."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from lnlattennet.serving.supervision._known_face import known_face
from lnlattennet.serving.triton._process import TritonProcess

pytest.importorskip("starlette")

import schemathesis

from tests.serving.gateway.in_thread import gateway_in_thread

EXAMPLES = 15
QUICKLY = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_answer_is_described(server: TritonProcess) -> None:
    with gateway_in_thread(server.endpoints.grpc) as gateway:
        url = f"http://127.0.0.1:{gateway.port}"
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
        # The model's answers to random bytes: 422, which the description cannot tell from 200.
        left_out = [schemathesis.checks.positive_data_acceptance]
        statuses = set()
        operation = schema["/v1/predict"]["POST"]
        for mode in schemathesis.GenerationMode:

            @QUICKLY
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case: Any) -> None:
                statuses.add(case.call_and_validate(excluded_checks=left_out).status_code)

            ask()
        assert {400, 422} <= statuses
        assert not statuses & {500, 502, 503, 504}


def test_a_prediction_is_as_described(server: TritonProcess) -> None:
    with gateway_in_thread(server.endpoints.grpc) as gateway:
        url = f"http://127.0.0.1:{gateway.port}"
        operation = schemathesis.openapi.from_url(f"{url}/openapi.json")["/v1/predict"]["POST"]
        for query in ({}, {"max_faces": 3}):
            case = operation.Case(body=known_face(), media_type="image/jpeg", query=query)
            assert case.call_and_validate().status_code == 200
