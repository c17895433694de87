"""Checkpoint files: one `.safetensors` file that carries everything needed to use the weights.

The file's string metadata holds schema version, network config, class names in order, preprocessing,
provenance and the license note of the training data. Pickles are refused unless the caller allows them.
"""

from __future__ import annotations

import json
import pickle
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lnlattennet._atomic import replace_file
from lnlattennet._stand_in import HEAD_BYTES
from lnlattennet.errors import CheckpointError, ConfigError
from lnlattennet.model._class_names import class_names_problem
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.model._other_files import describe_no_file, describe_other_file, is_safetensors
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.model._state_dict import check_weights, network_weights, unwrapped

SCHEMA_VERSION = 1
METADATA_KEY = "lnlattennet"
"""Key of the metadata in a safetensors header, and of the same JSON text in a training checkpoint."""
_PICKLE_MAGIC = (b"PK\x03\x04", b"\x80")


@dataclass(frozen=True, kw_only=True)
class CheckpointInfo:
    """Everything in a checkpoint except its weights.

    Attributes:
        config: the network's configuration.
        class_names: expressions in the order of the logits.
        preprocessing: how faces become the network's input.
        provenance: origin of the weights: command, versions, seeds, figures.
        license: note on the license of the training data, which weights inherit.

    Raises:
        ConfigError: class names and config, or preprocessing and config, contradict each other.
    """

    config: NetworkConfig
    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    provenance: dict[str, Any] = field(default_factory=dict)
    license: str = ""

    def __post_init__(self) -> None:
        names = self.class_names
        if not all(isinstance(text, str) for text in (*names, self.license)):
            raise ConfigError("class names and license must be strings")
        if not isinstance(self.provenance, dict):
            raise ConfigError("provenance must be a JSON object")
        if len(names) != self.config.classes:
            raise ConfigError(
                f"the config has {self.config.classes} classes, but there are {len(names)} names"
            )
        problem = class_names_problem(names)
        if problem:
            raise ConfigError(f"class names must be unique, printable and not empty: {problem}")
        if self.preprocessing.size != self.config.image_size:
            raise ConfigError(
                f"preprocessing size {self.preprocessing.size} must equal image_size {self.config.image_size}"
            )

    def to_json(self) -> str:
        """Return the text that is stored in the file."""
        fields = {
            "schema_version": SCHEMA_VERSION,
            "config": self.config.to_dict(),
            "class_names": list(self.class_names),
            "preprocessing": self.preprocessing.to_dict(),
            "provenance": self.provenance,
            "licence": self.license,  # the spelling of schema version 1
        }
        return json.dumps(fields, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> CheckpointInfo:
        """Parse the text of ``to_json``; raise CheckpointError for another schema, ConfigError for fields."""
        try:
            fields = json.loads(text)
            version, names = fields["schema_version"], fields["class_names"]
            if version != SCHEMA_VERSION:
                raise CheckpointError(
                    f"checkpoint schema version {version} is not {SCHEMA_VERSION}, which this version reads; "
                    "update lnlattennet, or save the checkpoint with the version installed here"
                )
            if not isinstance(names, list):
                raise TypeError(f"class_names must be a list, got {names!r}")
            return cls(
                config=NetworkConfig.from_dict(fields["config"]),
                class_names=tuple(names),
                preprocessing=Preprocessing.from_dict(fields["preprocessing"]),
                provenance=fields["provenance"],
                license=fields["licence"],
            )
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise CheckpointError(f"the checkpoint's metadata is damaged: {error!r}") from error


@dataclass(frozen=True)
class Checkpoint:
    """Weights of a network and the information to use them.

    Attributes:
        info: everything in the file except the weights.
        weights: name in the network's state dict -> tensor, in float32 or, in an engine file, less.

    Raises:
        CheckpointError: the tensors do not fit the config; names the first that does not.
    """

    info: CheckpointInfo
    weights: dict[str, Tensor]

    def __post_init__(self) -> None:
        # Shapes only: a config may declare far more memory than the file's tensors fill.
        expected = _network_without_weights(self.info.config).state_dict()
        object.__setattr__(self, "weights", unwrapped(self.weights, expected))
        check_weights(expected, self.weights)

    def network(self) -> LNLAttenNet:
        """Return a float32 network with a copy of these weights, in evaluation mode."""
        network = _network_without_weights(self.info.config)
        weights = {
            name: self.weights[name].to(tensor.dtype, copy=True)
            for name, tensor in network.state_dict().items()
        }
        network.load_state_dict(weights, assign=True)
        return network.eval()


def save_checkpoint(path: Path | str, network: nn.Module, info: CheckpointInfo) -> None:
    """Write the weights of ``network`` to ``path``, atomically.

    Args:
        path: the `.safetensors` file.
        network: an LNLAttenNet whose config is ``info.config``, or one module around it: compiled, in a
            DataParallel or an AveragedModel, pruned, parametrized, with tied weights.
        info: everything else that the file will hold.

    Raises:
        ConfigError: ``network`` is no module, or there is no such network in it, more than one, or one of
            another config.
        CheckpointError: its weights would not load again: they are quantized, not finite, or not all there.
    """
    if not isinstance(network, nn.Module):
        raise ConfigError(
            f"a checkpoint is made from an LNLAttenNet, got {type(network).__name__}; load a state dict into "
            "one first: network.load_state_dict(state)"
        )
    networks = [module for module in network.modules() if isinstance(module, LNLAttenNet)]
    if len(networks) != 1:
        raise ConfigError(
            f"a checkpoint holds one LNLAttenNet, but this {type(network).__name__} has {len(networks)}"
        )
    if networks[0].config != info.config:
        raise ConfigError("the network's config differs from the config that would be stored with it")
    weights = network_weights(networks[0], _network_without_weights(info.config).state_dict())
    with replace_file(Path(path)) as temporary:
        save_file(weights, temporary, metadata={METADATA_KEY: info.to_json()})


def load_checkpoint(path: Path | str, *, allow_pickle: bool = False) -> Checkpoint:
    """Read a checkpoint and check that its tensors fit its config.

    Args:
        path: a `.safetensors` file, or with ``allow_pickle`` a training checkpoint (`.ckpt`).
        allow_pickle: accept a pickle; it is loaded with ``weights_only=True``, which runs no code.

    Raises:
        CheckpointError: missing, truncated, foreign, a pickle without ``allow_pickle``, or inconsistent.
        ConfigError: a field of its configuration breaks a rule.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"no checkpoint file at {path}{describe_no_file(path)}")
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    other = describe_other_file(head)
    if other:
        raise CheckpointError(f"{path} is {other}")
    pickled = head.startswith(_PICKLE_MAGIC) and not is_safetensors(head)
    if pickled and not allow_pickle:
        raise CheckpointError(
            f"{path} is a pickle, which can run code when loaded; convert it to .safetensors, or pass "
            "--allow-pickle to load it with torch's weights_only unpickler"
        )
    try:
        return _load_pickle(path) if pickled else _load_safetensors(path)
    except (CheckpointError, ConfigError) as error:
        raise type(error)(f"{path}: {error}") from error


def _load_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        if METADATA_KEY not in metadata:
            raise CheckpointError(
                "a safetensors file without LNLAttenNet metadata: not a checkpoint of this network; "
                "write one with `lnlattennet train` or lnlattennet.model.save_checkpoint"
            )
        return Checkpoint(CheckpointInfo.from_json(metadata[METADATA_KEY]), load_file(path))
    except SafetensorError as error:
        if any("\ud800" <= character <= "\udfff" for character in str(path)):
            raise CheckpointError("safetensors opens only paths in UTF-8; rename the file") from error
        raise CheckpointError(f"not a whole .safetensors file (truncated or foreign): {error}") from error


def _load_pickle(path: Path) -> Checkpoint:
    try:
        with warnings.catch_warnings():
            # torch warns of foreign pickles before it refuses them; the error below is clearer.
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise  # It cannot be read; one without a name is torch's about what it read.
        raise CheckpointError(
            f"a pickle that torch's weights_only loader refuses: {_unpickling_reason(str(error))}"
        ) from error
    if not isinstance(content, dict) or not {METADATA_KEY, "state_dict"} <= set(content):
        raise CheckpointError(
            f"a pickle without the keys 'state_dict' and '{METADATA_KEY}': not a training checkpoint "
            "of this network"
        )
    state = content["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError("its state_dict must map names to tensors")
    return Checkpoint(CheckpointInfo.from_json(content[METADATA_KEY]), state)


def _unpickling_reason(message: str) -> str:
    """Return what a message of torch.load says about the file, without its advice to run the file's code."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", message)
    refused = re.search(r"GLOBAL (\S+)", text)
    if refused:
        return (
            f"it holds an object of {refused[1]!r}, which is no tensor, number or text; save it without "
            "(a plain number in place of a numpy scalar, a text in place of a path), or its weights alone"
        )
    if "WeightsUnpickler error: " in text:
        return text.rpartition("WeightsUnpickler error: ")[2].partition("\n")[0]
    return f"it is truncated or foreign ({text.partition(chr(10))[0]})" if text else "it is empty"


def _network_without_weights(config: NetworkConfig) -> LNLAttenNet:
    with torch.device("meta"):
        return LNLAttenNet(config)
