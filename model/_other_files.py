"""Names of what is no checkpoint although its name may say so, for the message that refuses it."""

from __future__ import annotations

from pathlib import Path

from lnlattennet._stand_in import describe_stand_in

_SIGNATURES = (
    (b"\x1f\x8b", "a gzip file; unpack it first"),
    (b"(\xb5/\xfd", "a zstd file; unpack it first"),
    (b"7z\xbc\xaf", "a 7-Zip file; unpack it first"),
    (b"\x89HDF", "an HDF5 file, which Keras writes and this network does not use"),
    (b"GGUF", "a GGUF file, which holds language models"),
    (b"\x93NUMPY", "a numpy array"),
    *(
        (bytes([0x08, version, 0x12]), "an ONNX model; give the checkpoint that it was exported from")
        for version in range(3, 16)
    ),
)


def is_safetensors(head: bytes) -> bool:
    """Return whether a file begins with the length of a header, below 4 GB, and the header's brace."""
    return head[4:9] == b"\0\0\0\0{"


def describe_other_file(head: bytes) -> str | None:
    """Name what a file is that begins with ``head``, with the way out; None if it may be a checkpoint."""
    if is_safetensors(head):
        return None
    if head[257:262] == b"ustar":
        return "a tar file; unpack it first"
    named = (meaning for signature, meaning in _SIGNATURES if head.startswith(signature))
    return next(named, None) or describe_stand_in(head)


def describe_no_file(path: Path) -> str:
    """Say what is at ``path``, which is no file; "" if nothing is."""
    if (path / "manifest.json").is_file():
        return ", which is a bundle; give the checkpoint that it was exported from"
    return ", which is a folder; give the .safetensors file in it" if path.is_dir() else ""
