"""The check of a deployment: every rule, broken once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._files import MANIFEST_NAME
from lnlattennet.errors import ServingError
from lnlattennet.runtimes._requirements import Requirements
from lnlattennet.serving.triton._deployment import Deployment
from lnlattennet.serving.triton._deployment_check import check_deployment
from lnlattennet.serving.triton._model_config import read_config, write_config
from lnlattennet.serving.triton._repository import deploy


@pytest.fixture(scope="module")
def sound(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    folder = tmp_path_factory.mktemp("sound") / "deployment"
    return deploy(Bundle.load(bundle_path), folder, {"python", "onnxruntime"}, "onnxruntime-fp32")


@pytest.fixture
def deployment(sound: Deployment, tmp_path: Path) -> Deployment:
    return Deployment(Path(shutil.copytree(sound.path, tmp_path / "deployment")))


def test_what_deploy_writes_is_sound(sound: Deployment) -> None:
    check_deployment(sound)


def _drop_input(config: Any) -> None:
    del config.ensemble_scheduling.step[1].input_map["image"]


def _unknown_step(config: Any) -> None:
    config.ensemble_scheduling.step[1].model_name = "engine"


def _unknown_tensor(config: Any) -> None:
    config.ensemble_scheduling.step[1].input_map["image"] = "faces"


def _other_shape(config: Any) -> None:
    config.input[0].dims[:] = [3, 64, 65]


def _other_output_type(config: Any) -> None:
    config.output[1].data_type = config.output[0].data_type


def _large_batch(config: Any) -> None:
    config.max_batch_size = 4096


def _large_warmup(config: Any) -> None:
    config.model_warmup[0].batch_size = 4096


def _one_instance(config: Any) -> None:
    config.instance_group[0].count = 1


def _no_batch(config: Any) -> None:
    config.max_batch_size = 0


def _other_name(config: Any) -> None:
    config.name = "emotion"


def _large_preferred_batch(config: Any) -> None:
    config.dynamic_batching.preferred_batch_size[:] = [4, 9]


def _cpu_instances(config: Any) -> None:
    config.instance_group[0].kind = config.instance_group[0].KIND_CPU


def _other_profile(config: Any) -> None:
    config.instance_group[0].profile[:] = ["0", "1"]


def _large_graph(config: Any) -> None:
    config.optimization.cuda.graph_spec.add(batch_size=9)


def _other_graph(config: Any) -> None:
    config.optimization.cuda.graph_spec[1].input["image"].dim[:] = [3, 49, 48]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_cpu_instances, "TensorRT runs on a GPU, and an instance_group says KIND_CPU"),
        (_other_profile, "names a profile beside 0, the only one"),
        (_large_graph, "a graph_spec has batch_size 9, not from 1 to max_batch_size"),
        (_other_graph, "the graph_spec of batch_size 2 has other inputs or shapes"),
        (_large_batch, "max_batch_size 4096 is above 8, the largest batch of the engine"),
    ],
)
def test_what_tensorrt_would_refuse_is_named(
    bundle_path: Path, tmp_path: Path, change: Callable[[Any], None], message: str
) -> None:
    bundle = Bundle.load(bundle_path)
    engine = bundle.manifest.engine()
    # Only the record: no plan is deserialized here.
    on_gpu = Requirements(device="cuda", packages={"tensorrt": "==10.16.1.11"})
    changed = engine.model_copy(update={"backend": "tensorrt", "requires": on_gpu})
    shutil.copytree(bundle_path, tmp_path / "bundle")
    manifest = bundle.manifest.model_copy(update={"engines": [changed]})
    (tmp_path / "bundle" / MANIFEST_NAME).write_text(manifest.model_dump_json())
    sound = deploy(Bundle.load(tmp_path / "bundle"), tmp_path / "deployment", {"python", "tensorrt"})
    check_deployment(sound)
    path = sound.models / "lnlattennet_engine" / "config.pbtxt"
    config = read_config(path)
    change(config)
    write_config(config, path)
    with pytest.raises(ServingError, match="cannot be served as it is") as caught:
        check_deployment(sound)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("model", "change", "message"),
    [
        ("expression", _drop_input, "expression: its step 'lnlattennet_engine' gets no input 'image'"),
        ("expression", _unknown_step, "expression: its step 'engine' is no model of the deployment"),
        ("expression", _unknown_tensor, "no step before 'lnlattennet_engine' gives 'faces'"),
        ("lnlattennet_engine", _other_shape, "has another type or shape than 'lnlattennet_engine' takes"),
        ("expression", _other_output_type, "'probabilities' has another type or shape than its step gives"),
        ("expression_fused", _large_batch, "max_batch_size 4096 is above 8, the largest batch of the engine"),
        (
            "lnlattennet_engine",
            _large_warmup,
            "warm-up 'one_face' has a larger batch than max_batch_size",
        ),
        (
            "expression_pipeline",
            _one_instance,
            "with one instance and a default_queue_policy",
        ),
        ("expression_pipeline", _large_preferred_batch, "preferred_batch_size 9 is not from 1 to max_batch"),
        ("expression_pipeline", _no_batch, "dynamic_batching forms no batch"),
        ("expression_faces", _other_name, "says name: 'emotion', which must be that of its folder"),
    ],
)
def test_a_broken_configuration_is_named(
    deployment: Deployment, model: str, change: Callable[[Any], None], message: str
) -> None:
    path = deployment.models / model / "config.pbtxt"
    config = read_config(path)
    change(config)
    write_config(config, path)
    with pytest.raises(ServingError, match="cannot be served as it is") as caught:
        check_deployment(deployment)
    assert message in str(caught.value)


def test_broken_files_are_all_named(deployment: Deployment) -> None:
    models = deployment.models
    shutil.rmtree(models / "expression_faces")
    (models / "expression_fused" / "config.pbtxt").write_text("name: {")
    (models / "lnlattennet_engine" / "1_old").mkdir()
    (models / "lnlattennet_engine" / "01").mkdir()
    shutil.rmtree(models / "expression_pipeline" / "1")
    (models / "expression" / "labels.txt").write_text("joy\n")
    with pytest.raises(ServingError) as caught:
        check_deployment(deployment)
    for message in (
        "expression_faces: the model is missing",
        "expression_fused: config.pbtxt cannot be read",
        "lnlattennet_engine: Triton reads the folder '1_old' as a version",
        "lnlattennet_engine: Triton reads the folder '01' as a version",
        "expression_pipeline: it has no version folder",
        "expression: labels.txt does not hold the bundle's class names",
    ):
        assert message in str(caught.value)


def test_a_changed_bundle_is_named(deployment: Deployment) -> None:
    manifest = Bundle.load(deployment.bundle).manifest
    (deployment.bundle / manifest.engine().file).write_bytes(b"damaged")
    with pytest.raises(ServingError, match=r"bundle: .*was changed after the export"):
        check_deployment(deployment)
