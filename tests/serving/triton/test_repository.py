"""The deployable copy: its files, its fit to the bundle, and refusals to overwrite."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._manifest import EngineRecord
from lnlattennet.errors import BundleError, ServingError
from lnlattennet.runtimes._requirements import Requirements
from lnlattennet.serving.triton._deployment import Deployment
from lnlattennet.serving.triton._deployment_check import check_deployment
from lnlattennet.serving.triton._model_config import read_config
from lnlattennet.serving.triton._repository import deploy, rotate_logs
from lnlattennet.serving.triton._topology import Topology

pytest.importorskip("tritonclient.grpc")

ON_CPU = Requirements(device="cpu", packages={"onnxruntime": ">=1.20"})
ON_GPU = Requirements(device="cuda", packages={"tensorrt": "==10.16.1.11"})
ON_RTX = Requirements(device="cuda", packages={"tensorrt_rtx": "==1.7.1"})
PUBLIC = {"expression", "expression_faces", "expression_fused", "expression_stream", "expression_tensor"}
FUSED = PUBLIC | {"expression_pipeline", "expression_smoothing", "lnlattennet"}
MODELS = FUSED | {"expression_postprocess", "lnlattennet_engine"}
TEMPLATES = Path(str(resources.files("lnlattennet") / "triton_repo"))


@pytest.fixture(scope="session")
def bundle(bundle_path: Path) -> Bundle:
    return Bundle.load(bundle_path)


def with_engine(bundle: Bundle, **changes: Any) -> Bundle:
    """The bundle, its selected engine's record changed."""
    manifest = bundle.manifest
    selected = manifest.engine().model_copy(update=changes)
    return Bundle(bundle.path, manifest.model_copy(update={"engines": [selected]}))


def steps_of(deployment: Deployment, model: str) -> list[str]:
    config = read_config(deployment.models / model / "config.pbtxt")
    return [step.model_name for step in config.ensemble_scheduling.step]


def selected(bundle: Bundle) -> EngineRecord:
    return bundle.manifest.engine()


@pytest.mark.parametrize("name", sorted(MODELS - {"lnlattennet_engine"}))
def test_every_committed_config_names_its_folder_and_bounds_its_queue(name: str) -> None:
    config = read_config(TEMPLATES / name / "config.pbtxt")
    assert config.name == name
    assert config.max_batch_size > 0
    if name == "expression_smoothing":
        # A sequence batcher has no queue policy; it takes one request of a stream at a time.
        assert config.sequence_batching.oldest.max_candidate_sequences > 0
        assert config.sequence_batching.max_sequence_idle_microseconds > 0
    elif name == "expression_postprocess":
        # The last step, and the fastest: the queues before it have the bounds.
        assert not config.dynamic_batching.HasField("default_queue_policy")
    elif config.platform != "ensemble":
        # With a policy, Triton 2.51 holds requests for 500 ms at times if there is one instance.
        assert config.instance_group[0].count == 2
        queue = config.dynamic_batching.default_queue_policy
        assert queue.max_queue_size > 0
        assert queue.default_timeout_microseconds > 0
        assert queue.timeout_action == queue.REJECT


def test_the_ensemble_and_the_fused_model_look_alike() -> None:
    ensemble, fused = (
        read_config(TEMPLATES / name / "config.pbtxt") for name in ("expression", "expression_fused")
    )
    assert list(ensemble.input) == list(fused.input)
    assert list(ensemble.output) == list(fused.output)


@pytest.mark.parametrize(("topology", "models"), [(None, FUSED), ("fused", FUSED), ("ensemble", MODELS)])
def test_models_and_bundle_are_copied_whole(
    bundle: Bundle, tmp_path: Path, topology: Topology | None, models: set[str]
) -> None:
    deployment = deploy(bundle, tmp_path / "deployment", topology=topology)
    check_deployment(deployment)
    assert {path.name for path in deployment.models.iterdir()} == models
    assert all((deployment.models / name / "1").is_dir() for name in models)
    assert list(deployment.path.rglob("__pycache__")) == []
    assert Bundle.load(deployment.bundle).manifest == bundle.manifest


def test_every_config_fits_the_manifest(bundle: Bundle, tmp_path: Path) -> None:
    deployment = deploy(bundle, tmp_path / "deployment", topology="ensemble")
    manifest = bundle.manifest
    size, classes, regions = (
        manifest.preprocessing.size,
        len(manifest.class_names),
        manifest.network["grid"] ** 2,
    )
    shapes = {
        "face": [3, size, size],
        "logits": [classes],
        "probabilities": [classes],
        "region_weights": [regions],
        "region_affinity": [regions, regions],
        "label": [1],
        "face_box": [4],
        "face_found": [1],
        "face_score": [1],
        "face_landmarks": [5, 2],
        "status": [1],
        "crop": [-1, -1, 3],
        "time": [1],
        "smoothed_label": [1],
        "smoothed_probabilities": [classes],
    }
    for name in MODELS:
        config = read_config(deployment.models / name / "config.pbtxt")
        assert config.max_batch_size == selected(bundle).batch[2]
        image = [3, size, size] if name.startswith("lnlattennet") else [1]
        for tensor in config.input:
            assert tensor.dims == (shapes | {"image": image})[tensor.name], (name, tensor.name)
        for tensor in config.output:
            faces = [-1] if name == "expression_faces" or tensor.name.startswith("every_") else []
            assert tensor.dims == faces + shapes[tensor.name.removeprefix("every_")], (name, tensor.name)


def test_clients_get_what_an_evaluation_needs_and_nothing_private(bundle: Bundle, tmp_path: Path) -> None:
    settings = {"folds": "loso", "fold": 1, "seed": 5, "images": None}
    known = {"temperature": 1.75, "format": "folder", "counts": {"train": {"a": 3}}, "fingerprint": "ab"}
    private = {
        "command": "lnlattennet train -o /home/maker/a",
        "data": "patients",
        "protocol": "without S005",
    }
    provenance = known | private | {"settings": settings | {"data": "/home/maker/patients"}}
    note = "Trained on the data set 'patients' (format folder). The weights inherit its license."
    manifest = bundle.manifest.model_copy(update={"provenance": provenance, "license": note})
    _save(Bundle(bundle.path, manifest), tmp_path / "bundle")
    deployment = deploy(Bundle.load(tmp_path / "bundle"), tmp_path / "deployment")
    for model in PUBLIC:
        parameters = read_config(deployment.models / model / "config.pbtxt").parameters
        assert json.loads(parameters["preprocessing"].string_value) == manifest.preprocessing.to_dict()
        assert json.loads(parameters["preprocessing_id"].string_value) == manifest.preprocessing.id
        assert json.loads(parameters["model_hash"].string_value) == manifest.model_hash(manifest.selected)
        assert json.loads(parameters["provenance"].string_value) == known | {"settings": settings}
        told = "Trained on a data set (format folder). The weights inherit its license."
        assert json.loads(parameters["license"].string_value) == told


def test_other_sizes_reach_the_configs(bundle: Bundle, tmp_path: Path) -> None:
    names = ["glad", "sad", 'with "quotes" and ü']
    manifest = bundle.manifest.model_copy(
        update={"class_names": names, "network": bundle.manifest.network | {"grid": 2}}
    )
    _save(Bundle(bundle.path, manifest), tmp_path / "bundle")
    deployment = deploy(Bundle.load(tmp_path / "bundle"), tmp_path / "deployment")
    config = read_config(deployment.models / "expression" / "config.pbtxt")
    assert json.loads(config.parameters["class_names"].string_value) == names
    assert config.parameters["grid"].string_value == "2"
    shapes = {tensor.name: list(tensor.dims) for tensor in config.output}
    assert (shapes["logits"], shapes["region_affinity"]) == ([3], [4, 4])


@pytest.mark.parametrize("model", ["expression", "expression_fused"])
def test_class_names_are_written_for_the_classification_extension(
    bundle_copy: Path, tmp_path: Path, model: str
) -> None:
    manifest = json.loads((bundle_copy / "manifest.json").read_text())
    names = ["悲しみ", "very sad", "Ärger", "a:b", "\N{SMILING FACE WITH OPEN MOUTH}", "7", "calm"]
    manifest["class_names"] = names
    (bundle_copy / "manifest.json").write_text(json.dumps(manifest))
    folder = deploy(Bundle.load(bundle_copy), tmp_path / "deployment").models / model
    tensors = {tensor.name: tensor.label_filename for tensor in read_config(folder / "config.pbtxt").output}
    assert tensors["probabilities"] == tensors["logits"] == "labels.txt"
    assert (folder / "labels.txt").read_bytes() == "\n".join(names).encode()


def test_no_file_names_the_folder_it_was_written_in(bundle: Bundle, tmp_path: Path) -> None:
    deployment = deploy(bundle, tmp_path / "deployment")
    for path in deployment.models.rglob("*"):
        if path.is_file():
            assert str(tmp_path) not in path.read_text()
        assert not path.is_symlink()


def test_tensorrt_captures_graphs_of_the_usual_batches(bundle: Bundle, tmp_path: Path) -> None:
    largest = 32
    made = with_engine(bundle, backend="tensorrt", requires=ON_GPU, batch=(1, 8, largest))
    _save(made, tmp_path / "bundle")
    deployment = deploy(Bundle.load(tmp_path / "bundle"), tmp_path / "deployment", {"python", "tensorrt"})
    cuda = read_config(deployment.models / "lnlattennet_engine" / "config.pbtxt").optimization.cuda
    assert cuda.graphs
    assert [graph.batch_size for graph in cuda.graph_spec] == [*range(1, 9), largest]
    assert {tuple(graph.input["image"].dim) for graph in cuda.graph_spec} == {(3, 48, 48)}


@pytest.mark.parametrize(
    ("backend", "requires", "platform", "file", "kind"),
    [
        ("onnxruntime", ON_CPU, "onnxruntime_onnx", "model.onnx", "KIND_CPU"),
        ("tensorrt", ON_GPU, "tensorrt_plan", "model.plan", "KIND_GPU"),
    ],
)
def test_the_servers_own_backend_runs_the_engine_where_it_has_one(
    bundle: Bundle,
    tmp_path: Path,
    backend: str,
    requires: Requirements,
    platform: str,
    file: str,
    kind: str,
) -> None:
    changed = tmp_path / "bundle"
    made = with_engine(bundle, backend=backend, requires=requires)
    _save(made, changed)
    deployment = deploy(Bundle.load(changed), tmp_path / "deployment", {"python", backend})
    assert steps_of(deployment, "lnlattennet") == ["lnlattennet_engine"]
    config = read_config(deployment.models / "lnlattennet_engine" / "config.pbtxt")
    group = config.instance_group[0]
    assert (config.platform, config.backend, config.default_model_filename) == (platform, backend, file)
    assert group.Kind.Name(group.kind) == kind
    assert config.optimization.cuda.graphs == (backend == "tensorrt")
    assert [list(warmup.inputs["image"].dims) for warmup in config.model_warmup] == [[3, 48, 48]]
    assert steps_of(deployment, "expression") == [
        "expression_pipeline",
        "lnlattennet_engine",
        "expression_postprocess",
    ]
    version = deployment.models / "lnlattennet_engine" / "1"
    assert [path.name for path in version.iterdir()] == [file]
    assert (version / file).read_bytes() == (bundle.path / selected(bundle).file).read_bytes()


@pytest.mark.parametrize(("backend", "requires"), [("openvino", ON_CPU), ("tensorrt", ON_RTX)])
def test_the_python_backend_runs_an_engine_that_triton_does_not_know(
    bundle: Bundle, tmp_path: Path, backend: str, requires: Requirements
) -> None:
    _save(with_engine(bundle, backend=backend, requires=requires), tmp_path / "bundle")
    deployment = deploy(Bundle.load(tmp_path / "bundle"), tmp_path / "deployment", {"python", backend})
    config = read_config(deployment.models / "expression_pipeline" / "config.pbtxt")
    assert config.backend == "python"
    assert config.parameters["bundle_path"].string_value == "../../bundle"
    for model in ("lnlattennet", "expression", "expression_tensor"):
        assert steps_of(deployment, model) == ["expression_pipeline"]
    assert steps_of(deployment, "expression_stream") == ["expression_pipeline", "expression_smoothing"]


def test_an_empty_folder_is_filled(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "deployment").mkdir()
    assert deploy(bundle, tmp_path / "deployment").bundle.is_dir()


def test_another_folder_is_left_unchanged(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ServingError, match=r"is not a deployment .*choose another folder"):
        deploy(bundle, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_bundle_damaged_meanwhile_replaces_nothing(bundle: Bundle, tmp_path: Path) -> None:
    _save(bundle, tmp_path / "bundle")
    verified = Bundle.load(tmp_path / "bundle")
    first = deploy(verified, tmp_path / "deployment")
    (tmp_path / "bundle" / selected(bundle).file).write_bytes(b"damaged")
    with pytest.raises(BundleError, match="was changed after the export"):
        deploy(verified, tmp_path / "deployment")
    assert Bundle.load(first.bundle).manifest == bundle.manifest
    assert {path.name for path in tmp_path.iterdir()} == {"bundle", "deployment"}


def test_an_engine_that_takes_no_single_images_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"takes no batch under 4.*batch range from 1"):
        deploy(with_engine(bundle, batch=(4, 8, 8)), tmp_path / "deployment")
    assert list(tmp_path.iterdir()) == []


def test_logs_of_earlier_starts_are_kept(bundle: Bundle, tmp_path: Path) -> None:
    deployment = deploy(bundle, tmp_path / "deployment")
    for start in range(9):
        deployment.log.write_text(f"start {start}")
        rotate_logs(deployment)
    deploy(bundle, tmp_path / "deployment")
    kept = {path.name: path.read_text() for path in deployment.path.glob("server.log*")}
    assert kept == {f"server.log.{i}": f"start {9 - i}" for i in range(1, 7)}


def test_another_engine_can_serve(bundle: Bundle, tmp_path: Path) -> None:
    other = selected(bundle).model_copy(update={"name": "other"})
    both = bundle.manifest.model_copy(update={"engines": [*bundle.manifest.engines, other]})
    deployment = deploy(Bundle(bundle.path, both), tmp_path / "deployment", engine="other")
    assert Bundle.load(deployment.bundle).manifest.selected == "other"
    for name in ("fast", ""):
        with pytest.raises(BundleError, match=rf"no engine '{name}'; it has: .*other"):
            deploy(Bundle(bundle.path, both), tmp_path / "deployment", engine=name)


@pytest.mark.parametrize("name", ["my models", "a;reboot", "a$HOME", "a'b", "a&b"])
def test_a_path_that_a_shell_would_split_is_refused(bundle: Bundle, tmp_path: Path, name: str) -> None:
    """Triton's python backend starts its processes through a shell, without quotes."""
    with pytest.raises(ServingError, match=r"a path may hold only letters, digits .* choose another folder"):
        deploy(bundle, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def _save(bundle: Bundle, folder: Path) -> None:
    for file in bundle.manifest.files:
        (folder / file).parent.mkdir(exist_ok=True, parents=True)
        (folder / file).write_bytes((bundle.path / file).read_bytes())
    (folder / "manifest.json").write_text(bundle.manifest.model_dump_json())
