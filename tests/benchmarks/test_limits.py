"""The benchmark of a machine's limits: the network's layers, the roofline, and a small run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch.utils.flop_counter import FlopCounterMode

from lnlattennet.benchmarks.figures import render
from lnlattennet.benchmarks.harness._record import ExperimentResult, Record, warm_results
from lnlattennet.benchmarks.limits import __main__ as benchmark
from lnlattennet.benchmarks.limits import _candidates, _models
from lnlattennet.benchmarks.limits._entries import Layer, Limit
from lnlattennet.benchmarks.limits._layers import dominant_convolution, network_layers
from lnlattennet.benchmarks.limits._models import Chain, convolutions, matrix_product, onnx_model
from lnlattennet.benchmarks.limits._picture import picture
from lnlattennet.benchmarks.limits._roofline import Roofline
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.errors import UsageError
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.model._presets import PRESETS
from lnlattennet.runtimes import _openvino
from lnlattennet.runtimes._precision import block_names

CONFIGS = {"default": NetworkConfig(), **PRESETS}


@pytest.mark.parametrize("name", CONFIGS)
def test_every_operation_of_a_network_belongs_to_one_layer(name: str) -> None:
    config = CONFIGS[name]
    layers = network_layers(config)
    with torch.device("meta"), torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network = LNLAttenNet(config).eval().requires_grad_(False)
        network(torch.zeros(1, 3, config.image_size, config.image_size))
    assert sum(layer.flops for layer in layers) == counter.get_total_flops()
    assert {layer.block for layer in layers} == set(block_names(config))
    weights = {name: parameter.numel() for name, parameter in network.named_parameters()}
    for layer in layers:
        if layer.weight_shape:
            outputs, inputs, height, width = layer.weight_shape
            positions = np.prod(layer.input_shape[1:])
            assert layer.flops == 2 * outputs * inputs * height * width * positions
            assert layer.activations == (inputs + outputs) * positions
            assert layer.weights >= weights[f"{layer.name}.weight"]


def test_layers_have_the_sizes_of_an_exported_graph(bundle_path: Path) -> None:
    """Names and sizes of weights are those of the ONNX file; batch norm is part of its convolution there."""
    config = benchmark._bundle(bundle_path)[0]
    stored = {
        tensor.name: numpy_helper.to_array(tensor).size
        for tensor in onnx.load(bundle_path / "model.onnx").graph.initializer
        if tensor.name.startswith("unet.") and tensor.name.endswith(".weight")
    }
    assert stored
    counted = {f"{layer.name}.weight": layer for layer in network_layers(config) if "unet" in layer.name}
    assert counted.keys() == stored.keys()
    for name, layer in counted.items():
        assert stored[name] <= layer.weights < 1.05 * stored[name] + 200


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_chain_is_computed_in_its_precision(precision: str, tmp_path: Path) -> None:
    layer = dominant_convolution(network_layers(PRESETS["small"]))
    chain = convolutions(layer)
    onnx.save_model(onnx_model(chain, precision), tmp_path / "chain.onnx")
    assert chain.flops == layer.flops * chain.input_shape[0] * len(chain.weight_shapes)
    model = _openvino._core().read_model(tmp_path / "chain.onnx")
    compiled = _openvino._compiled(model, chain.input_shape[0], 1)
    assert _openvino._layers(compiled) == {precision: len(chain.weight_shapes)}
    assert matrix_product().flops == 2 * _models.MATRIX**3


@pytest.fixture
def record() -> Record:
    """Two layers on a machine that is twice as fast on two threads."""
    limits = [
        Limit(f"{name}, x", kind, threads, work)
        for threads in (1, 2)
        for name, kind, work in (
            ("memory read", "memory", 40_000_000),
            ("cache read", "cache", 10_000_000),
            ("int8 product", "int8", 100_000_000),
            ("slow int8 product", "int8", 50_000_000),
            ("fp32 product", "fp32", 25_000_000),
        )
    ]
    result = Record(benchmark="limits")
    result.machine |= {"cpu": "a CPU", "threads": 2, "torch": "2"}
    for batch in (1, 8):
        seconds = {"an engine": [2e-3 * batch] * 5} | {
            limit.candidate: [1e-3 if limit.threads == 2 else 2e-3] * 5 for limit in limits
        }
        result.add(ExperimentResult(f"b{batch}", {"batch": batch}, warm_results(seconds)))
    result.facts = {
        "layers": [
            asdict(Layer("a", "unet.stem", 80_000_000, 2_000_000, 8_000_000)),
            asdict(Layer("b", "attention", 10_000_000, 500_000, 2_000_000)),
        ],
        "limits": [asdict(limit) for limit in limits],
        "engines": {"an engine": {"unet.stem": "int8", "attention": "fp32"}},
    }
    return result


def test_the_bound_is_the_sum_over_layers(record: Record) -> None:
    one, eight = Roofline(record.to_json()).points
    # The first layer computes 0.8 ms and moves 10 MB of the cache in 1 ms; the second takes 0.4 and 1 ms.
    assert one.bound == pytest.approx(2e-3)
    assert one.starved == 2
    # 66 MB each are more than fits the cache: 1.65 ms at the memory's bandwidth, and 6.4 and 3.2 to compute.
    assert eight.moved == 132_000_000
    assert eight.bound == pytest.approx(6.4e-3 + 3.2e-3)
    assert eight.starved == 0
    assert eight.precision == "int8"


def test_a_record_becomes_tables_and_a_picture(record: Record, tmp_path: Path) -> None:
    record.write(tmp_path / "2030-01-01-limits.json")
    text = render(tmp_path / "2030-01-01-limits.json")
    assert "| int8 product, x, GFLOP/s | 50.0 (median 50.0) | 100.0 (median 100.0) |" in text
    assert "| an engine | 8 | 16.00 | 16.00 | 45.0 | 45% of int8 | 9.60 | 60% | 0 of 2 |" in text
    texts = {part.text for part in ElementTree.fromstring(picture(record.to_json())).iter()}  # noqa: S314
    assert texts >= {"int8 100 GFLOP/s", "cache 10 GB/s", "a"}
    assert "2  an engine, batch 8: 45 GFLOP/s, 60% of its roofline bound" in texts


def test_engines_as_fast_as_each_other_share_a_mark(record: Record) -> None:
    document = record.to_json()
    document["engines"]["its twin"] = document["engines"]["an engine"]
    for case in document["cases"]:
        case["candidates"]["its twin"] = case["candidates"]["an engine"]
    parts = list(ElementTree.fromstring(picture(document)).iter())  # noqa: S314
    assert {part.text for part in parts} >= {"1, 3", "2, 4"}
    assert sum(part.get("class") == "point" for part in parts) == 2


def test_a_bundle_that_cannot_be_measured_is_refused(
    bundle_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "BATCHES", (1, 9))
    with pytest.raises(UsageError, match="takes batches of 1 to 9, and has none: export one with --batch 1:"):
        benchmark.run([str(bundle_path)])


def test_the_selected_engine_comes_first(bundle_path: Path) -> None:
    manifest = Bundle.load(bundle_path).manifest
    first, *others = benchmark._bundle(bundle_path)[1]
    assert first == manifest.selected
    assert others


def test_limits_and_engines_take_turns(
    checkpoint_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark, "STARTS", 1)
    monkeypatch.setattr(_candidates, "last_level_cache", lambda: 2**16)
    monkeypatch.setattr(_candidates, "matrix_product", lambda: Chain((1, 8, 4, 2), ((8, 8, 1, 1),)))
    monkeypatch.setattr(_candidates, "MATRIX", 8)
    monkeypatch.setattr(_candidates, "_ONNX_PRODUCTS", (("onnxruntime", "int8"),))
    monkeypatch.setattr(benchmark, "usable_cpus", lambda: 1)
    svg = tmp_path / "roofline.svg"
    assert benchmark.run([str(checkpoint_path), "--rounds", "3", "--picture", str(svg), "--json"]) == 0
    printed = capfd.readouterr()
    found: dict[str, Any] = json.loads(printed.out)
    assert [case["name"] for case in found["cases"]] == ["b1", "b8"]
    engines, limits = found["engines"], found["limits"]
    for case in found["cases"]:
        assert len(case["candidates"]) == len(engines) + len(limits)
        for result in case["candidates"].values():
            assert len(result["timings"]["warm"]["samples_us"]) == 3
    # A CPU with instructions for bfloat16 has a rate of that, too.
    assert {limit["kind"] for limit in limits} - {"bf16"} == {"memory", "cache", "fp32", "int8"}
    assert "share of the bound" in printed.err
    assert svg.read_text() == picture(found)
