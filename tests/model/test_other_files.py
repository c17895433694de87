"""What is no checkpoint is called by its name, with the way to one."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lnlattennet._stand_in import describe_stand_in
from lnlattennet.errors import CheckpointError
from lnlattennet.model._checkpoint import load_checkpoint

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 6000000\n"
PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>" + b" " * 10_000

OTHERS = [
    (POINTER, "a git-lfs pointer in place of the file; run `git lfs pull`"),
    (b"../../.git/annex/objects/x/y/SHA256E-s1--z.safetensors", "git annex get"),
    (b"/annex/objects/MD5-s123--abc\n", "git annex get"),
    (b"outs:\n- md5: a304afb96060aad90176268345e10355\n  size: 37891850\n", "dvc pull"),
    (PAGE, "a web page in place of the file"),
    (b"\xef\xbb\xbf\r\n <html lang=de>", "a web page"),
    (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a server's error"),
    (b'{"error":"Repository not found"}', "a server's error"),
    (b'{"code":{"error": 404}}', "a server's error"),
    (b"Entry not found", "a server's error"),
    (b"404: Not Found", "a server's error"),
    (b"\x1f\x8b\x08\0\0\0\0\0\0\3", "a gzip file; unpack it first"),
    (b"\x08\x0a\x12\x07pytorch", "an ONNX model; give the checkpoint that it was exported from"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"model.pt".ljust(257, b"\0") + b"ustar\x0000", "a tar file; unpack it first"),
    (b"\x93NUMPY\1\0", "a numpy array"),
]


@pytest.mark.parametrize(("content", "name"), OTHERS)
@pytest.mark.parametrize("allow_pickle", [False, True])
def test_other_files_are_called_by_their_names(
    tmp_path: Path, content: bytes, name: str, allow_pickle: bool
) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path, allow_pickle=allow_pickle)
    assert f"{path} is " in str(caught.value)
    assert name in str(caught.value)


def test_a_checkpoint_is_no_stand_in(checkpoint_path: Path) -> None:
    assert describe_stand_in(checkpoint_path.read_bytes()[:512]) is None


def test_a_folder_is_told_from_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"which is a folder; give the \.safetensors file in it"):
        load_checkpoint(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(CheckpointError, match="which is a bundle; give the checkpoint that it was exported"):
        load_checkpoint(str(tmp_path))


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (np.float64(1.5), "multiarray.scalar"),
        (np.zeros(3), "multiarray._reconstruct"),
        (Path("runs"), "pathlib.PosixPath"),
        (datetime.date(2026, 1, 1), "datetime.date"),
        (torch.optim.SGD, "torch.optim.sgd.SGD"),
    ],
)
def test_the_object_that_the_unpickler_refuses_is_named(tmp_path: Path, value: Any, name: str) -> None:
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": {}, "hyper_parameters": value}, path)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path, allow_pickle=True)
    message = str(caught.value)
    assert f"{name}', which is no tensor, number or text; save it without" in message
    assert "\x1b" not in message
    assert "weights_only=False" not in message
