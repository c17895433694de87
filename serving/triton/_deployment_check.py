"""Check of a deployment on disk: what Triton would refuse, or accept and do wrongly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.errors import BundleError, ServingError
from lnlattennet.serving.triton._deployment import Deployment, Version
from lnlattennet.serving.triton._model_config import CONFIG_NAME, TENSORRT, label_files, read_config
from lnlattennet.serving.triton._model_names import PUBLIC_MODELS

Configs = Mapping[str, Any]
"""Name of a model's folder -> its ``ModelConfig`` message."""


Folders = Deployment | Version
"""What has models and their bundle."""


def check_deployment(deployment: Folders) -> None:
    """Check the models of a deployment against each other and against its bundle.

    Raises:
        ServingError: at least one rule is broken; the message has a line for each.
    """
    problems: list[str] = []
    configs = _read(deployment, problems)
    try:
        bundle = Bundle.load(deployment.bundle)
    except BundleError as error:
        problems.append(f"bundle: {error}")
    else:
        for rule in _RULES:
            problems += rule(configs, deployment, bundle)
    if problems:
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise ServingError(
            f"the deployment {deployment.path} cannot be served as it is; mend it, or write it again with "
            f"`lnlattennet deploy`:{lines}"
        )


def _read(deployment: Folders, problems: list[str]) -> Configs:
    configs = {}
    for path in sorted(deployment.models.glob(f"*/{CONFIG_NAME}")):
        name = path.parent.name
        try:
            configs[name] = read_config(path)
        # google.protobuf.text_format.ParseError derives from nothing more special.
        except Exception as error:
            problems.append(f"{name}: {CONFIG_NAME} cannot be read: {error}")
    return configs


def _models_are_there(configs: Configs, deployment: Folders, _: Bundle) -> Iterator[str]:
    for name in PUBLIC_MODELS:
        if name not in configs:
            yield f"{name}: the model is missing"
    for name, config in configs.items():
        if config.name and config.name != name:
            yield f"{name}: its {CONFIG_NAME} says name: {config.name!r}, which must be that of its folder"
        folder = deployment.models / name
        # Triton takes the number that a folder's name begins with for its version: "1_old" is another 1.
        versions = [path for path in folder.iterdir() if path.is_dir() and path.name[0] in "0123456789"]
        if not versions:
            yield f"{name}: it has no version folder, such as 1"
        for version in versions:
            if version.name != str(_leading_number(version.name)):
                yield f"{name}: Triton reads the folder {version.name!r} as a version; move it elsewhere"
            elif config.platform != "ensemble" and not any(version.iterdir()):
                yield f"{name}: its version {version.name} is empty"


def _leading_number(name: str) -> int:
    return int(name[: len(name) - len(name.lstrip("0123456789"))])


def _steps_fit(configs: Configs, _: Folders, __: Bundle) -> Iterator[str]:
    for name, config in configs.items():
        tensors = {tensor.name: (tensor.data_type, list(tensor.dims)) for tensor in config.input}
        for step in config.ensemble_scheduling.step:
            inner = configs.get(step.model_name)
            if inner is None:
                yield f"{name}: its step {step.model_name!r} is no model of the deployment"
                continue
            inputs = {tensor.name: (tensor.data_type, list(tensor.dims)) for tensor in inner.input}
            required = {tensor.name for tensor in inner.input if not tensor.optional}
            outputs = {tensor.name: (tensor.data_type, list(tensor.dims)) for tensor in inner.output}
            for key in sorted(required - step.input_map.keys()):
                yield f"{name}: its step {step.model_name!r} gets no input {key!r}"
            for key, tensor in step.input_map.items():
                if key not in inputs:
                    yield f"{name}: its step {step.model_name!r} has no input {key!r}"
                elif tensor not in tensors:
                    yield f"{name}: no step before {step.model_name!r} gives {tensor!r}, which it takes"
                elif not _same(tensors[tensor], inputs[key]):
                    yield f"{name}: {tensor!r} has another type or shape than {step.model_name!r} takes"
            for key, tensor in step.output_map.items():
                if key not in outputs:
                    yield f"{name}: its step {step.model_name!r} has no output {key!r}"
                else:
                    tensors[tensor] = outputs[key]
        for output in config.output if config.platform == "ensemble" else ():
            if output.name not in tensors:
                yield f"{name}: no step gives its output {output.name!r}"
            elif not _same(tensors[output.name], (output.data_type, list(output.dims))):
                yield f"{name}: its output {output.name!r} has another type or shape than its step gives"


def _same(given: tuple[int, list[int]], taken: tuple[int, list[int]]) -> bool:
    """Whether type and shape agree; -1 agrees with any size."""
    (type_a, shape_a), (type_b, shape_b) = given, taken
    sizes = zip(shape_a, shape_b, strict=False)
    return type_a == type_b and len(shape_a) == len(shape_b) and all(a == b or -1 in (a, b) for a, b in sizes)


def _batches_fit(configs: Configs, _: Folders, bundle: Bundle) -> Iterator[str]:
    engine = bundle.manifest.engine()
    for name, config in configs.items():
        if config.max_batch_size > engine.batch[2]:
            yield (
                f"{name}: max_batch_size {config.max_batch_size} is above {engine.batch[2]}, "
                f"the largest batch of the engine {engine.name}"
            )
        for warmup in config.model_warmup:
            if warmup.batch_size > max(1, config.max_batch_size):
                yield f"{name}: its warm-up {warmup.name!r} has a larger batch than max_batch_size"
        for size in config.dynamic_batching.preferred_batch_size:
            if not 1 <= size <= config.max_batch_size:
                yield f"{name}: its preferred_batch_size {size} is not from 1 to max_batch_size"


def _plans_fit(configs: Configs, _: Folders, __: Bundle) -> Iterator[str]:
    """Compare what TensorRT's backend is told with the engine, which has one optimization profile.

    It covers the engine's range of batches, which ``_batches_fit`` compares with max_batch_size.
    """
    for name, config in configs.items():
        if config.platform != TENSORRT:
            continue
        for group in config.instance_group:
            if group.kind == group.KIND_CPU:
                yield f"{name}: TensorRT runs on a GPU, and an instance_group says KIND_CPU; set KIND_GPU"
            if set(group.profile) - {"0"}:
                yield f"{name}: an instance_group names a profile beside 0, the only one that the engine has"
        inputs = {tensor.name: list(tensor.dims) for tensor in config.input}
        for graph in config.optimization.cuda.graph_spec:
            if not 1 <= graph.batch_size <= config.max_batch_size:
                yield f"{name}: a graph_spec has batch_size {graph.batch_size}, not from 1 to max_batch_size"
            elif graph.input and {key: list(one.dim) for key, one in graph.input.items()} != inputs:
                yield f"{name}: the graph_spec of batch_size {graph.batch_size} has other inputs or shapes"


def _queues_do_not_stall(configs: Configs, _: Folders, __: Bundle) -> Iterator[str]:
    for name, config in configs.items():
        instances = sum(max(1, group.count) for group in config.instance_group) or 1
        if config.dynamic_batching.HasField("default_queue_policy") and instances < 2:
            yield (
                f"{name}: with one instance and a default_queue_policy, Triton holds some requests for 500 "
                "ms; set instance_group count: 2, or drop the policy"
            )
        if config.HasField("dynamic_batching") and not config.max_batch_size:
            yield f"{name}: dynamic_batching forms no batch, and delays answers, where max_batch_size is 0"


def _labels_are_there(configs: Configs, deployment: Folders, bundle: Bundle) -> Iterator[str]:
    for name, config in configs.items():
        for file in sorted(label_files(config)):
            path = deployment.models / name / file
            if (
                not path.is_file()
                or path.read_text(encoding="utf-8").splitlines() != bundle.manifest.class_names
            ):
                yield f"{name}: {file} does not hold the bundle's class names, line by line"


_RULES: tuple[Callable[[Configs, Folders, Bundle], Iterator[str]], ...] = (
    _models_are_there,
    _steps_fit,
    _batches_fit,
    _plans_fit,
    _queues_do_not_stall,
    _labels_are_there,
)
