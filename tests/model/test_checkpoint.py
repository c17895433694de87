"""Checkpoint files: what is written comes back; everything else is refused with a reason."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lnlattennet.errors import CheckpointError, ConfigError
from lnlattennet.model._checkpoint import METADATA_KEY, CheckpointInfo, load_checkpoint, save_checkpoint
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.model._preprocessing import Preprocessing


def metadata_of(path: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return dict(file.metadata())


def rewritten(source: Path, target: Path, **fields: object) -> Path:
    metadata = json.loads(metadata_of(source)[METADATA_KEY])
    metadata.update(fields)
    save_file(load_file(source), target, metadata={METADATA_KEY: json.dumps(metadata)})
    return target


def test_a_checkpoint_comes_back_whole(checkpoint_path: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(checkpoint_path)
    copy = tmp_path / "new" / "copy.safetensors"
    save_checkpoint(copy, checkpoint.network(), checkpoint.info)
    again = load_checkpoint(copy)
    assert again.info == checkpoint.info
    image = torch.randn(2, 3, 48, 48)
    for first, second in zip(checkpoint.network()(image), again.network()(image), strict=True):
        assert torch.equal(first, second)
    assert [path.name for path in copy.parent.iterdir()] == ["copy.safetensors"]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.99])
def test_a_truncated_file_is_refused(checkpoint_path: Path, tmp_path: Path, share: float) -> None:
    data = checkpoint_path.read_bytes()
    damaged = tmp_path / "cut.safetensors"
    damaged.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CheckpointError, match=r"cut\.safetensors: not a whole \.safetensors file"):
        load_checkpoint(damaged)


def test_a_path_that_is_no_utf8_is_not_called_a_broken_file(checkpoint_path: Path, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.safetensors")
    shutil.copyfile(checkpoint_path, path)
    with pytest.raises(CheckpointError, match="only paths in UTF-8; rename the file"):
        load_checkpoint(path)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(3)}, foreign)
    with pytest.raises(CheckpointError, match="without LNLAttenNet metadata"):
        load_checkpoint(foreign)
    text = tmp_path / "notes.safetensors"
    text.write_text("these are not the weights you are looking for")
    with pytest.raises(CheckpointError, match="truncated or foreign"):
        load_checkpoint(text)
    with pytest.raises(CheckpointError, match="no checkpoint file at"):
        load_checkpoint(tmp_path / "missing.safetensors")
    with pytest.raises(CheckpointError, match="no checkpoint file at"):
        load_checkpoint(tmp_path)


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_a_pickle_is_refused_and_never_runs_code(tmp_path: Path, writer: str) -> None:
    trace = tmp_path / "code-ran"
    path = tmp_path / "evil.ckpt"
    if writer == "torch":
        torch.save({"state_dict": Malicious(trace)}, path)
    else:
        path.write_bytes(pickle.dumps(Malicious(trace)))
    with pytest.raises(CheckpointError, match="--allow-pickle"):
        load_checkpoint(path)
    with pytest.raises(CheckpointError, match="weights_only loader refuses"):
        load_checkpoint(path, allow_pickle=True)
    assert not trace.exists()


@pytest.mark.parametrize("share", [0.001, 0.01, 0.5, 0.99])
def test_a_truncated_pickle_is_refused(tmp_path: Path, share: float) -> None:
    whole, cut = tmp_path / "whole.ckpt", tmp_path / "cut.ckpt"
    torch.save({"state_dict": {"weight": torch.zeros(50_000)}}, whole)
    data = whole.read_bytes()
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CheckpointError, match="it is truncated or foreign"):
        load_checkpoint(cut, allow_pickle=True)


def test_a_header_length_that_looks_like_a_pickle_is_none(checkpoint_path: Path, tmp_path: Path) -> None:
    """The first byte of a safetensors file is the low byte of a length; pickles begin with 0x80."""
    path, length = tmp_path / "a.safetensors", 0
    for padding in range(0, 256, 4):
        rewritten(checkpoint_path, path, licence="x" * padding)
        if (length := path.read_bytes()[0]) == 0x80:
            break
    assert length == 0x80
    assert load_checkpoint(path).info.license.startswith("x") or not load_checkpoint(path).info.license


def test_a_training_checkpoint_is_accepted_on_request(checkpoint_path: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(checkpoint_path)
    weights = {f"network.{name}": tensor for name, tensor in checkpoint.weights.items()}
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": weights, METADATA_KEY: checkpoint.info.to_json()}, path)
    assert load_checkpoint(path, allow_pickle=True).info == checkpoint.info
    torch.save({"state_dict": weights}, path)
    with pytest.raises(CheckpointError, match=f"without the keys 'state_dict' and '{METADATA_KEY}'"):
        load_checkpoint(path, allow_pickle=True)


def test_a_config_that_does_not_match_its_tensors_is_refused(checkpoint_path: Path, tmp_path: Path) -> None:
    config = load_checkpoint(checkpoint_path).info.config.to_dict()
    wrong = rewritten(checkpoint_path, tmp_path / "a.safetensors", config=config | {"local_features": 9})
    with pytest.raises(CheckpointError, match=r"needs 'local_networks.weight' to be \[16, 16, 9\]"):
        load_checkpoint(wrong)
    wrong = rewritten(checkpoint_path, tmp_path / "b.safetensors", config=config | {"widths": [8, 12, 12]})
    with pytest.raises(CheckpointError, match="which is missing"):
        load_checkpoint(wrong)
    wrong = rewritten(checkpoint_path, tmp_path / "c.safetensors", config=config | {"grid": 0})
    with pytest.raises(ConfigError, match=r"c\.safetensors: grid must be"):
        load_checkpoint(wrong)


def test_damaged_metadata_is_refused(checkpoint_path: Path, tmp_path: Path) -> None:
    wrong = rewritten(checkpoint_path, tmp_path / "a.safetensors", schema_version=2)
    with pytest.raises(CheckpointError, match="schema version 2 is not 1"):
        load_checkpoint(wrong)
    wrong = rewritten(checkpoint_path, tmp_path / "b.safetensors", class_names=["one", "two"])
    with pytest.raises(ConfigError, match="7 classes, but there are 2 names"):
        load_checkpoint(wrong)
    path = tmp_path / "c.safetensors"
    for text in ("{not json", "[" * 100_000):
        save_file(load_file(checkpoint_path), path, metadata={METADATA_KEY: text})
        with pytest.raises(CheckpointError, match="metadata is damaged"):
            load_checkpoint(path)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"class_names": "abcdefg"}, "class_names must be a list"),
        ({"class_names": [1, 2, 3, 4, 5, 6, 7]}, "class names and license must be strings"),
        ({"licence": 7}, "class names and license must be strings"),
        ({"provenance": []}, "provenance must be a JSON object"),
        ({"config": 3}, "metadata is damaged"),
    ],
)
def test_metadata_of_the_wrong_type_is_refused(
    checkpoint_path: Path, tmp_path: Path, fields: dict[str, Any], reason: str
) -> None:
    wrong = rewritten(checkpoint_path, tmp_path / "a.safetensors", **fields)
    with pytest.raises((CheckpointError, ConfigError), match=reason):
        load_checkpoint(wrong)


def test_a_config_that_declares_a_huge_network_is_refused_without_building_it(
    checkpoint_path: Path, tmp_path: Path
) -> None:
    """550 GB of local networks, declared by a file of some kilobytes."""
    config = load_checkpoint(checkpoint_path).info.config.to_dict()
    huge = config | {"grid": 12, "heads": 64, "channels": 2048, "local_features": 4096}
    wrong = rewritten(checkpoint_path, tmp_path / "huge.safetensors", config=huge)
    with pytest.raises(CheckpointError, match="its config needs"):
        load_checkpoint(wrong)


def test_a_training_checkpoint_without_tensors_is_refused(checkpoint_path: Path, tmp_path: Path) -> None:
    text = load_checkpoint(checkpoint_path).info.to_json()
    for state in ([1], {"network.fusion.bias": 3}):
        path = tmp_path / "last.ckpt"
        torch.save({"state_dict": state, METADATA_KEY: text}, path)
        with pytest.raises(CheckpointError, match="state_dict must map names to tensors"):
            load_checkpoint(path, allow_pickle=True)


def test_extra_and_non_finite_tensors_are_refused(checkpoint_path: Path, tmp_path: Path) -> None:
    tensors, metadata = load_file(checkpoint_path), metadata_of(checkpoint_path)
    path = tmp_path / "extra.safetensors"
    save_file(tensors | {"zz.extra": torch.zeros(1)}, path, metadata=metadata)
    with pytest.raises(CheckpointError, match=r"'zz\.extra' that its config does not know"):
        load_checkpoint(path)
    tensors["fusion.bias"][0] = float("nan")
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(CheckpointError, match=r"'fusion\.bias' holds values that are not finite"):
        load_checkpoint(path)


def test_class_names_and_sizes_must_be_consistent() -> None:
    config = NetworkConfig(classes=2)
    for names in (("a", "a"), ("a", ""), ("a", "b\n")):
        with pytest.raises(ConfigError, match="class names must be"):
            CheckpointInfo(config=config, class_names=names, preprocessing=Preprocessing())
    with pytest.raises(ConfigError, match="preprocessing size 48 must equal image_size 112"):
        CheckpointInfo(config=config, class_names=("a", "b"), preprocessing=Preprocessing(size=48))


def test_a_failed_write_leaves_the_old_file(checkpoint_path: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(checkpoint_path)
    path = tmp_path / "kept.safetensors"
    path.write_text("old")
    with pytest.raises(ConfigError, match="differs from the config"):
        save_checkpoint(path, LNLAttenNet(NetworkConfig()), checkpoint.info)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
