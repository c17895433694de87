"""OpenVINO for real: what it computes, in what, and what it must refuse."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import openvino as ov
import pytest

from lnlattennet.errors import ExportError
from lnlattennet.export.precision._apply import planned_layers
from lnlattennet.machine._hardware import usable_cpus
from lnlattennet.runtimes._base import Arrays, BuildSpec
from lnlattennet.runtimes._registry import backend_named
from tests.runtimes.engines import BATCH, BuildEngine, assert_agrees, assert_takes_threads, faces, plan

BACKEND = backend_named("openvino")
NO_BF16 = BACKEND.unsupported_reason(plan("bf16"))
needs_bf16 = pytest.mark.skipif(NO_BF16 is not None, reason=NO_BF16 or "bf16 is there")


def test_fp32_gives_what_the_checkpoint_gives(build_engine: BuildEngine, reference: Arrays) -> None:
    """On CPUs with bf16 units its default would be bf16, off by about 1e-2."""
    engine = build_engine("openvino", plan("fp32"))
    assert set(engine.layers) == {"fp32"}
    assert_agrees(BACKEND.load(engine.path, 2), reference, 1e-5, 1e-4)


def test_int8_runs_in_int8(
    build_engine: BuildEngine, reference: Arrays, small_standard: onnx.ModelProto
) -> None:
    engine = build_engine("openvino", plan("int8"))
    # It needs no Q/DQ pair behind a layer, so the last of a run of them is in 8 bits too.
    assert engine.layers["int8"] >= planned_layers(small_standard, plan("int8"))["int8"] > 0
    assert engine.layers["fp32"] > 0
    assert_agrees(BACKEND.load(engine.path, 2), reference, 2e-3, 0.1)


@needs_bf16
def test_bf16_runs_in_bf16(build_engine: BuildEngine, reference: Arrays) -> None:
    engine = build_engine("openvino", plan("bf16"))
    assert set(engine.layers) == {"bf16"}
    runner = BACKEND.load(engine.path, 2)
    assert_agrees(runner, reference, 2e-3, 0.05)
    assert np.abs(runner({"image": faces(8)})["logits"] - reference["logits"]).max() > 1e-3


@needs_bf16
def test_blocks_keep_their_own_precisions(
    build_engine: BuildEngine, reference: Arrays, small_standard: onnx.ModelProto
) -> None:
    mixed = plan("int8", {"unet.stem": "bf16", "unet.project": "bf16", "fusion": "fp32"})
    engine = build_engine("openvino", mixed)
    planned = planned_layers(small_standard, mixed)
    assert engine.layers["int8"] >= planned["int8"] > 0
    assert engine.layers["bf16"] == planned["bf16"] == 3
    assert_agrees(BACKEND.load(engine.path, 2), reference, 2e-3, 0.1)


@needs_bf16
def test_where_every_block_is_in_int8_or_bf16_so_is_every_layer(
    build_engine: BuildEngine, reference: Arrays, small_standard: onnx.ModelProto, tmp_path: Path
) -> None:
    """The file says so itself: under another name it computes the same."""
    rest = plan("int8", dict.fromkeys(("attention", "local_networks", "fusion"), "bf16"))
    engine = build_engine("openvino", rest)
    assert set(engine.layers) == {"int8", "bf16"}
    assert engine.layers["int8"] >= planned_layers(small_standard, rest)["int8"] > 0
    runner = BACKEND.load(engine.path, 2)
    assert_agrees(runner, reference, 5e-3, 0.1)
    for suffix in (".xml", ".bin"):
        shutil.copy(engine.path.with_suffix(suffix), tmp_path / f"other{suffix}")
    found = BACKEND.load(tmp_path / "other.xml", 2)({"image": faces(8)})
    np.testing.assert_array_equal(found["logits"], runner({"image": faces(8)})["logits"])
    exact = BACKEND.load(build_engine("openvino", plan("int8")).path, 2)({"image": faces(8)})
    assert np.abs(found["logits"] - exact["logits"]).max() > 1e-4


def test_precisions_that_the_cpu_lacks_are_refused() -> None:
    capabilities = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert BACKEND.unsupported_reason(plan("fp32")) is None
    assert bool(BACKEND.unsupported_reason(plan("int8"))) == ("INT8" not in capabilities)
    assert "OpenVINO has no fp16 on this CPU; it has fp32" in str(BACKEND.unsupported_reason(plan("fp16")))
    assert "OpenVINO has no fp8 on this CPU" in str(BACKEND.unsupported_reason(plan("fp8")))
    assert "OpenVINO has no fp16" in str(BACKEND.unsupported_reason(plan("fp32", {"fusion": "fp16"})))


def test_a_graph_in_fp16_is_caught_running_in_fp32(build_engine: BuildEngine) -> None:
    assert set(build_engine("openvino", plan("fp16")).layers) == {"fp32"}


def test_a_request_may_be_called_from_several_threads(build_engine: BuildEngine) -> None:
    assert_takes_threads(BACKEND.load(build_engine("openvino", plan("fp32")).path, 1))


def test_an_answer_keeps_its_values_in_later_calls(build_engine: BuildEngine) -> None:
    runner = BACKEND.load(build_engine("openvino", plan("fp32")).path, 1)
    answer = runner({"image": faces(2)})
    before = {name: values.copy() for name, values in answer.items()}
    runner({"image": faces(2, seed=1)})
    for name, values in before.items():
        np.testing.assert_array_equal(answer[name], values)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 19])
def test_a_face_of_a_batch_gets_what_it_gets_alone(build_engine: BuildEngine, count: int) -> None:
    """A batch is computed in pieces of the sizes that graphs are compiled for."""
    runner = BACKEND.load(build_engine("openvino", plan("int8")).path, 2)
    images = faces(count, seed=3)
    single = runner({"image": faces(1)})
    for name, values in runner({"image": images}).items():
        assert values.shape == (count, *single[name].shape[1:])
        alone = [runner({"image": image[None]})[name] for image in images]
        np.testing.assert_allclose(
            values, np.concatenate([single[name][:0], *alone]), atol=1e-4, err_msg=name
        )


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core only")
@pytest.mark.parametrize(("threads", "pinned"), [(0, True), (2, False)])
def test_threads_are_pinned_where_the_process_has_every_core(
    build_engine: BuildEngine, threads: int, pinned: bool
) -> None:
    # A thread is pinned when it first takes part, and a batch may be done before a second thread wakes.
    program = """
import os, pathlib, sys
import numpy as np
from lnlattennet.runtimes._openvino import load
size = int(sys.argv[3])
run = load(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
def fewest():
    return min(len(os.sched_getaffinity(int(thread))) for thread in os.listdir("/proc/self/task"))
for _ in range(1000):
    run({"image": np.zeros((8, 3, size, size), np.float32)})
    if fewest() == 1:
        break
print(fewest())
"""
    path = build_engine("openvino", plan("fp32")).path
    command = [sys.executable, "-P", "-c", program, str(path), str(threads), str(faces(1).shape[-1])]
    cpus = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    cores = len(os.sched_getaffinity(0))
    assert cpus == (1 if pinned and usable_cpus() == cores else cores)


def test_ctrl_c_is_handled_after_engines_have_come_and_gone(build_engine: BuildEngine) -> None:
    program = """
import os, pathlib, signal, sys
from lnlattennet.runtimes._openvino import load
first, second = (load(pathlib.Path(sys.argv[1]), 1) for _ in range(2))
del first
del second
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("handled")
"""
    path = build_engine("openvino", plan("fp32")).path
    # Python then gives signal handlers a stack of their own, as pytest's plugin for crashes does.
    command = [sys.executable, "-X", "faulthandler", "-P", "-c", program, str(path)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "handled\n"


def test_it_names_what_it_cannot_convert(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not an onnx file")
    spec = BuildSpec(tmp_path, BATCH, 48, plan("fp32"), tmp_path / "unused.safetensors")
    with pytest.raises(ExportError, match=r"OpenVINO cannot convert broken\.onnx"):
        BACKEND.build(path, spec)


def test_the_import_leaves_the_converter_to_whoever_asks_for_it(
    small_standard: onnx.ModelProto, tmp_path: Path
) -> None:
    code = """
import sys
from lnlattennet.runtimes._openvino import import_openvino
openvino = import_openvino()
loaded = [name for name in sys.modules if name.startswith("openvino.tools.ovc")]
assert not loaded, loaded
assert not hasattr(openvino, "nothing")
model = openvino.convert_model(sys.argv[1])
assert "logits" in {name for output in model.outputs for name in output.names}
import openvino.tools.ovc
assert import_openvino() is openvino
"""
    onnx.save_model(small_standard, str(tmp_path / "model.onnx"))
    subprocess.run([sys.executable, "-P", "-c", code, "model.onnx"], check=True, cwd=tmp_path)
