"""Names of what was sent in place of an image file, with the way out."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from lnlattennet.errors import ImageError
from lnlattennet.images._decode import decode_image


def encoded(file_format: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.arange(1200, dtype=np.uint8).reshape(20, 20, 3)).save(stream, file_format)
    return stream.getvalue()


WRAPPED = {
    "base64": (base64.b64encode, "a KIND file as base64 text; decode it"),
    "base64 for URLs": (base64.urlsafe_b64encode, "a KIND file as base64 text; decode it"),
    "base64 in lines": (base64.encodebytes, "a KIND file as base64 text; decode it"),
    "base64 in quotes": (
        lambda data: json.dumps(base64.b64encode(data).decode()).encode(),
        "a KIND file as base64 text; decode it",
    ),
    "data URL": (
        lambda data: b"data:image/jpeg;base64," + base64.b64encode(data),
        "a data URL of a KIND file; decode it",
    ),
    "data URL without a type": (
        lambda data: b"Data:;base64," + base64.b64encode(data),
        "a data URL of a KIND file; decode it",
    ),
    "digits": (lambda data: data.hex().encode(), "a KIND file as hexadecimal text; decode it"),
    "digits with colons": (lambda data: data.hex(":").encode(), "a KIND file as hexadecimal text"),
    "str(bytes)": (lambda data: str(data).encode(), "a KIND file as Python prints bytes; send the bytes"),
    "characters": (
        lambda data: data.decode("latin-1").encode(),
        "a KIND file that was encoded as UTF-8 text; send its bytes unchanged",
    ),
    "read as text": (
        lambda data: data.decode(errors="replace").encode(),
        "a KIND file that was read as text, which loses bytes; read it in binary mode",
    ),
    "length in front": (
        lambda data: len(data).to_bytes(4, "little") + data,
        "a KIND file behind its length; leave the length out",
    ),
    "multipart form": (
        lambda data: b'--x7\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + data,
        "a multipart form; send the file itself as the body",
    ),
    "JSON of numbers": (lambda data: json.dumps([*data]).encode(), "JSON; send the bytes of the file"),
    "JSON": (
        lambda data: json.dumps({"b64": base64.b64encode(data).decode()}).encode(),
        "JSON; send the bytes of the file",
    ),
}


@pytest.mark.parametrize("wrapping", WRAPPED)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_wrapped_file_is_named_with_the_way_out(wrapping: str, kind: str) -> None:
    wrap, message = WRAPPED[wrapping]
    with pytest.raises(ImageError, match=f"must be a JPEG or PNG file, got {message.replace('KIND', kind)}"):
        decode_image(wrap(encoded(kind)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"an empty file \(0 bytes\); send the whole file"),
        (b"some words", "text; convert it to one of these"),
        (b"AAAABBBBCCCC", "text; convert it"),
        (b"/home/anna/Face.JPG\n", "the name of a file; send the bytes of the file"),
        (b"https://example.org/face.jpg?size=2", "a URL; download it, and send the bytes of the file"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n",
            "a git-lfs pointer in place",
        ),
        (
            encoded("PNG").replace(b"\r\n", b"\n"),
            "a PNG file whose line ends were changed; transfer it in binary",
        ),
        (b"\x1f\x8b\x08\x00", "gzip; unpack it first"),
        (b"GIF89a", "GIF; convert it to one of these"),
        (b"\0\1\2\3", "an unknown format that starts with the bytes 00 01 02 03"),
    ],
)
def test_what_stands_for_an_image_is_named(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=f"must be a JPEG or PNG file, got {message}"):
        decode_image(data)


def test_the_name_of_a_file_is_not_repeated() -> None:
    with pytest.raises(ImageError) as caught:
        decode_image(b"/home/anna/face.jpg")
    assert "anna" not in str(caught.value)
