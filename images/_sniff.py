"""Names of what data look like from their first bytes, for the message that refuses them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\1\0", "ICO"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"%PDF", "PDF"),
    (b"PK\3\4", "ZIP"),
    (b"\x1f\x8b", "gzip"),
)
_MARKUP = ((b"<!doctype html", "HTML"), (b"<html", "HTML"), (b"<svg", "SVG"), (b"<?xml", "XML"))

_KINDS = {*dict(_SIGNATURES).values(), *dict(_MARKUP).values(), "WebP", "PPM", "AVIF", "HEIC or video"}
_CONVERT = "convert it to one of these"

_HEAD = 512
"""Bytes that decide what a text is."""


def sniff(data: bytes) -> str:
    """Name what ``data`` looks like from its first bytes: "PNG", "GIF", "text", ..."""
    if not data:
        return "an empty file (0 bytes)"
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if re.match(rb"P[1-6][\s#]", data):
        return "PPM"
    if data[4:8] == b"ftyp":
        return "AVIF" if data[8:12] == b"avif" else "HEIC or video"
    return _sniff_text(data[:256])


def _sniff_text(head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for tag, name in _MARKUP:
        if start.startswith(tag):
            return name
    if all(byte >= 32 or byte in b"\t\r\n\f" for byte in head):
        return "text"
    return f"an unknown format that starts with the bytes {head[:4].hex(' ')}"


def describe_refused(data: bytes) -> str:
    """Name data that are no JPEG or PNG file, and the way out: "GIF; convert it to one of these"."""
    kind = sniff(data)
    if kind not in _KINDS:
        return (
            describe_wrapped(data)
            or _describe_text(data[:_HEAD])
            or f"{kind}; {_CONVERT if data else 'send the whole file'}"
        )
    return f"{kind}; {'unpack it first' if kind in ('gzip', 'ZIP') else _CONVERT}"


def describe_wrapped(data: bytes) -> str | None:
    """Name an image file that something turned into another form, with the way back; None if it is none."""
    for unwrap, name, remedy in _WRAPPED:
        inner = unwrap(data, data[:_HEAD])
        if inner and (kind := sniff(inner)) in ("JPEG", "PNG", "GIF", "WebP", "TIFF"):
            return f"{name.format(kind)}; {remedy}"
    return None


def _describe_text(head: bytes) -> str | None:
    return next((f"{name}; {remedy}" for pattern, name, remedy in _TEXTS if pattern.match(head)), None)


def _base64(_: bytes, head: bytes) -> bytes | None:
    text = re.sub(rb"[\s\"']", b"", head).translate(bytes.maketrans(b"-_", b"+/"))
    return _decoded(lambda: base64.b64decode(text[: len(text) // 4 * 4], validate=True))


def _data_url(_: bytes, head: bytes) -> bytes | None:
    match = re.match(rb"\s*[\"']?data:[^,]*,", head, re.IGNORECASE)
    return match and _base64(b"", head[match.end() :])


def _hexadecimal(_: bytes, head: bytes) -> bytes | None:
    digits = re.sub(rb"0x|\\x|[\s,:\"']", b"", head)
    return _decoded(lambda: binascii.unhexlify(digits[: len(digits) // 2 * 2]))


def _python_bytes(_: bytes, head: bytes) -> bytes | None:
    match = re.match(rb"b(['\"])((?:\\x[0-9a-f]{2}|\\[rnt\\'\"]|[ -\[\]-~])+)", head)
    return match and _decoded(lambda: match[2].decode("unicode_escape").encode("latin-1"))


def _characters(_: bytes, head: bytes) -> bytes | None:
    """Undo the UTF-8 of a text that had one character for each byte."""
    return _decoded(lambda: head[:32].decode(errors="ignore").encode("latin-1"))


def _replaced(_: bytes, head: bytes) -> bytes | None:
    """Return the signature that ``head`` had before all that is no UTF-8 became U+FFFD."""
    lost = ((signature, signature.decode(errors="replace").encode()) for signature, _ in _SIGNATURES[:2])
    return next((signature for signature, left in lost if head.startswith(left)), None)


def _length_first(data: bytes, head: bytes) -> bytes | None:
    lengths = (int.from_bytes(head[:4], order) for order in ("little", "big"))
    return head[4:] if len(data) - 4 in lengths else None


def _decoded(decode: Callable[[], bytes]) -> bytes | None:
    try:
        return decode()
    except ValueError:
        return None


_AS_BINARY = "decode it and send the bytes; to Triton over HTTP, behind the JSON (binary tensor data)"

_WRAPPED: tuple[tuple[Callable[[bytes, bytes], bytes | None], str, str], ...] = (
    (_data_url, "a data URL of a {} file", _AS_BINARY),
    (_base64, "a {} file as base64 text", _AS_BINARY),
    (_hexadecimal, "a {} file as hexadecimal text", _AS_BINARY),
    (_python_bytes, "a {} file as Python prints bytes", "send the bytes, not str() of them"),
    (_characters, "a {} file that was encoded as UTF-8 text", "send its bytes unchanged"),
    (_replaced, "a {} file that was read as text, which loses bytes", "read it in binary mode"),
    (_length_first, "a {} file behind its length", "leave the length out: client libraries add it"),
)
"""Ways to a form that no reader takes, what to call the file in it, and the way out."""

_TEXTS = tuple(
    (re.compile(pattern, re.IGNORECASE), name, remedy)
    for pattern, name, remedy in (
        (rb"\x89PNG", "a PNG file whose line ends were changed", "transfer it in binary mode"),
        (rb"version https://git-lfs", "a git-lfs pointer in place of the file", "run `git lfs pull`"),
        (
            rb"--[^\r\n]+\r?\nContent-",
            "a multipart form",
            "send the file itself as the body, as `curl --data-binary @face.jpg` does",
        ),
        (rb"\s*[\[{]\s*[\[{\"\d]", "JSON", "send the bytes of the file"),
        (rb"\s*[a-z][a-z0-9+]*://\S+\s*\Z", "a URL", "download it, and send the bytes of the file"),
        (rb"[^\r\n]+\.(jpe?g|png)\s*\Z", "the name of a file", "send the bytes of the file"),
    )
)
"""Texts that stand for an image."""
