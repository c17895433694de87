"""Engines of a plan: named ones must be available, others are skipped with the reason."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, cast

import pytest

from lnlattennet.bundle._bundle import hash_file
from lnlattennet.bundle._export_options import ExportOptions
from lnlattennet.errors import UnavailableError, UsageError
from lnlattennet.export import _plan
from lnlattennet.export._engine_builder import EngineBuilder, RejectedError
from lnlattennet.export._pipeline import build_engines
from lnlattennet.export._plan import Job, choose_backends, plan_export, plan_jobs
from lnlattennet.model._checkpoint import Checkpoint, load_checkpoint
from lnlattennet.model._config import NetworkConfig
from lnlattennet.runtimes._base import Available
from lnlattennet.runtimes._precision import PrecisionPlan, uniform_plan
from lnlattennet.runtimes._registry import BACKENDS

CONFIG = NetworkConfig()


def asked(**fields: Any) -> ExportOptions:
    return ExportOptions(checkpoint=Path("c"), output=Path("o"), **fields)


def test_without_names_every_backend_is_used_or_skipped_with_its_reason() -> None:
    usable, skipped = choose_backends(())
    assert {*usable, *(item.backend for item in skipped)} == set(BACKENDS)
    assert {"onnxruntime", "openvino"} <= set(usable)
    assert all(item.reason and not item.precision for item in skipped)


def test_an_unknown_backend_is_a_wrong_call() -> None:
    with pytest.raises(UsageError, match="unknown backend 'tvm'"):
        choose_backends(("onnxruntime", "tvm"))


def test_every_backend_gets_every_precision_once() -> None:
    options = asked(backends=("openvino", "onnxruntime", "openvino"), precisions=("int8", "fp32", "int8"))
    jobs, skipped = plan_jobs(options, CONFIG)
    names = ["openvino-int8", "openvino-fp32", "onnxruntime-int8", "onnxruntime-fp32"]
    assert [job.name for job in jobs] == names
    assert [job.quantized for job in jobs] == [True, False, True, False]
    assert not any(job.search for job in jobs)
    assert skipped == []


@pytest.mark.parametrize("precision", ["fp16", "fp8"])
def test_a_named_backend_must_have_a_named_precision(precision: str) -> None:
    """No CPU has it in OpenVINO."""
    options = asked(backends=("openvino",), precisions=(precision,))
    with pytest.raises(UnavailableError, match=f"--backend openvino cannot give --precision {precision}: "):
        plan_jobs(options, CONFIG)


def test_a_backend_that_was_not_named_is_skipped_where_it_lacks_the_precision() -> None:
    jobs, skipped = plan_jobs(asked(precisions=("int8",)), CONFIG)
    assert {"onnxruntime-int8", "openvino-int8"} <= {job.name for job in jobs}
    reasons = {item.backend: item.reason for item in skipped if item.precision}
    assert "the plan has fp32 and int8" in reasons["torch"]
    assert "the plan has fp32 and int8" in reasons["aoti"]
    assert {item.precision for item in skipped} <= {"", "int8"}


def test_auto_takes_every_exact_precision_as_it_is_and_searches_in_int8() -> None:
    jobs, skipped = plan_jobs(asked(backends=("openvino",), precisions=("auto",)), CONFIG)
    found = {job.name: job.search for job in jobs}
    assert found["openvino-fp32"] is False
    assert found["openvino-int8"] is True
    assert "openvino-fp16" in {item.name for item in skipped}


@pytest.mark.parametrize("precision", ["auto", "int8"])
@pytest.mark.parametrize(("lacking", "rest"), [("fp16", "bf16"), ("bf16", "fp32")])
def test_what_int8_leaves_runs_in_bf16_where_the_backend_has_it(
    precision: str, lacking: str, rest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lnlattennet.runtimes import _openvino as openvino

    def unsupported_reason(plan: PrecisionPlan) -> str | None:
        return f"no {lacking}" if lacking in plan.precisions else None

    monkeypatch.setattr(openvino, "unsupported_reason", unsupported_reason)
    jobs, _ = plan_jobs(asked(backends=("openvino",), precisions=(precision,)), CONFIG)
    [job] = [job for job in jobs if job.name == "openvino-int8"]
    assert job.fallbacks == list(dict.fromkeys([rest, "fp32"]))
    blocks = job.plan.blocks
    assert {blocks[name] for name in ("attention", "local_networks", "fusion")} == {rest}
    assert {value for name, value in blocks.items() if name.startswith("unet.")} == {"int8"}


def test_if_nothing_can_be_built_every_reason_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    from lnlattennet.runtimes import _onnxruntime as onnxruntime
    from lnlattennet.runtimes import _openvino as openvino

    for backend in (onnxruntime, openvino):
        monkeypatch.setattr(backend, "unsupported_reason", lambda plan: "this CPU is too old")
    options = asked(backends=("onnxruntime", "openvino"), precisions=("auto",))
    with pytest.raises(
        UnavailableError, match=r"no backend here.*onnxruntime fp32: this.*openvino int8: this"
    ):
        plan_jobs(options, CONFIG)


def test_a_plan_is_built_as_it_stands_and_named_after_its_fastest_precision(tmp_path: Path) -> None:
    plan = uniform_plan("int8", CONFIG).raised({"unet.stem": "fp32"})
    (tmp_path / "plan.json").write_text(plan.to_json())
    jobs, _ = plan_jobs(asked(backends=("openvino",), plan_file=tmp_path / "plan.json"), CONFIG)
    assert [(job.name, job.plan, job.search) for job in jobs] == [("openvino-int8", plan, False)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"schema_version": 1, "blocks": {"unet.down9": "int8"}}',
            "unknown block 'unet.down9'; blocks: unet",
        ),
        (
            '{"schema_version": 1, "blocks": {"fusion": "int4"}}',
            "fusion has precision 'int4'; precisions: fp32",
        ),
        (
            '{"schema_version": 1, "blocks": {"attention": "int8"}}',
            "attention cannot run in int8; choose fp32",
        ),
        ('{"schema_version": 9, "blocks": {}}', 'must hold {"schema_version": 1'),
        ('{"schema_version": 1, "blocks": {"fusion": "fp16", "fusion": "fp32"}}', "'fusion' is in it twice"),
        ("[" * 100_000, "is not JSON"),
        ("int8", "is not JSON"),
    ],
)
def test_a_plan_that_breaks_a_rule_is_a_wrong_call(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(UsageError) as caught:
        plan_jobs(asked(plan_file=tmp_path / "plan.json"), CONFIG)
    assert message in str(caught.value)
    assert "plan.json" in str(caught.value)


def test_a_checkpoint_written_anew_while_it_is_read_has_the_hash_of_what_was_there(
    checkpoint_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the export sees in the end that the file is another."""
    checkpoint = Path(shutil.copy(checkpoint_path, tmp_path / "mine.safetensors"))
    before = hash_file(checkpoint).sha256

    def read_while_it_changes(path: Path, **options: bool) -> Checkpoint:
        read = load_checkpoint(path, **options)
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        return read

    monkeypatch.setattr(_plan, "load_checkpoint", read_while_it_changes)
    options = ExportOptions(checkpoint=checkpoint, output=tmp_path / "out", backends=("onnxruntime",))
    assert plan_export(options).checkpoint_sha256 == before
    assert hash_file(checkpoint).sha256 != before


def test_a_search_builds_no_plan_a_second_time() -> None:
    """Where no block can stay in int8 beside bf16, it begins again with fp32."""
    tried: list[PrecisionPlan] = []

    class Refusing:
        def build(self, job: Job, plan: PrecisionPlan) -> None:
            tried.append(plan)
            raise RejectedError("not today")

    job = Job("openvino", Available({}), uniform_plan("int8", CONFIG, rest="bf16"), search=True)
    _, [failed] = build_engines([job], cast(EngineBuilder, Refusing()))
    assert "without int8 it does not pass either (6 plans tried)" in failed.reason
    assert len(tried) == 6
    assert all(tried.count(plan) == 1 for plan in tried)
