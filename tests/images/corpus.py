"""Image files of every kind that a reader meets, each with the pixels that it shows."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """A file, what it shows without its orientation, and the orientation.

    Attributes:
        others: readers that show the same: "pillow", "opencv" or both.
    """

    name: str
    data: bytes
    stored: NDArray[np.uint8]
    turn: int = 1
    others: tuple[str, ...] = ("pillow", "opencv")

    def upright(self) -> NDArray[np.uint8]:
        """Return the pixels that a viewer shows."""
        image = Image.fromarray(self.stored)
        return np.array(image.transpose(_TRANSPOSE[self.turn]) if self.turn in _TRANSPOSE else image)


def corpus() -> Iterator[Sample]:
    """Yield every file of the corpus."""
    yield from turned_files()
    yield from colored_files()
    yield from files_without_end()


def scene(height: int = 48, width: int = 64, seed: int = 0) -> NDArray[np.uint8]:
    """Return smooth colors, [height, width, 3], from dark to bright in no symmetric way."""
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    shares = np.random.default_rng(seed).uniform(0.2, 0.8, 3)
    channels = [share * rows + (1 - share) * columns**2 for share in shares]
    pixels: NDArray[np.uint8] = (255 * np.stack(channels, axis=-1)).astype(np.uint8)
    return pixels


def encode(pixels: NDArray[np.uint8] | Image.Image, kind: str, **options: object) -> bytes:
    """Encode by Pillow."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def shown(data: bytes) -> NDArray[np.uint8]:
    """Return the stored pixels as Pillow decodes them."""
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image.convert("RGB"), np.uint8)


def exif(turn: int, kind: int = 3, order: str = "<") -> bytes:
    """Return a block of EXIF whose orientation has a type of its own."""
    layout = {1: "B3x", 3: "H2x", 4: "I", 6: "b3x", 8: "h2x", 9: "i"}[kind]
    head = b"II" if order == "<" else b"MM"
    fields = struct.pack(order + "HIHHHI", 42, 8, 1, 0x112, kind, 1) + struct.pack(order + layout, turn)
    return b"Exif\0\0" + head + fields + bytes(4)


def xmp(turn: int, form: str = 'tiff:Orientation="{}"') -> bytes:
    """Return an XMP packet with an orientation."""
    inside = form.format(turn)
    where = f"><rdf:Description>{inside}</rdf:Description>" if inside.startswith("<") else f" {inside}/>"
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description{where}</rdf:RDF></x:xmpmeta>'.encode()
    )


def with_segments(jpeg: bytes, *payloads: bytes, marker: int = 0xE1) -> bytes:
    """Insert segments after a JPEG file's first marker."""
    inserted = (bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload for payload in payloads)
    return jpeg[:2] + b"".join(inserted) + jpeg[2:]


def xmp_segment(packet: bytes) -> bytes:
    """Return the payload of a JPEG segment with XMP."""
    return b"http://ns.adobe.com/xap/1.0/\0" + packet


def chunk(name: bytes, payload: bytes) -> bytes:
    """Return a PNG chunk."""
    return struct.pack(">I", len(payload)) + name + payload + struct.pack(">I", zlib.crc32(name + payload))


def with_chunks(png: bytes, *chunks: bytes, last: bool = False) -> bytes:
    """Insert chunks before a PNG file's pixels, or behind them."""
    place = png.index(b"IEND" if last else b"IDAT") - 4
    return png[:place] + b"".join(chunks) + png[place:]


def profile(name: bytes, block: bytes, chunk_name: bytes = b"zTXt") -> bytes:
    """Return a text chunk as ImageMagick writes a JPEG's block: in hexadecimal."""
    text = b"\n%s\n%8d\n" % (name, len(block)) + b"\n".join(
        block.hex().encode()[start : start + 72] for start in range(0, 2 * len(block), 72)
    )
    body = b"\0" + zlib.compress(text) if chunk_name == b"zTXt" else text
    return chunk(chunk_name, b"Raw profile type " + name + b"\0" + body)


def xmp_text(packet: bytes, compressed: bool = False) -> bytes:
    """Return the iTXt chunk of XMP."""
    flag, body = (b"\1", zlib.compress(packet)) if compressed else (b"\0", packet)
    return chunk(b"iTXt", b"XML:com.adobe.xmp\0" + flag + b"\0\0\0" + body)


FORMS = {
    "attribute": 'tiff:Orientation="{}"',
    "single quotes": "tiff:Orientation='{}'",
    "spaces": 'tiff:Orientation = "{}"',
    "element": "<tiff:Orientation>{}</tiff:Orientation>",
    "another prefix": 'xmlns:ns1="http://ns.adobe.com/tiff/1.0/" ns1:Orientation="{}"',
    "element with another prefix": "<t:Orientation xmlns:t='http://ns.adobe.com/tiff/1.0/'>{}</t:Orientation>",
    "default namespace": '<Orientation xmlns="http://ns.adobe.com/tiff/1.0/">{}</Orientation>',
    "another property first": 'crs:Orientation="2" tiff:Orientation="{}"',
}


def turned_files() -> Iterator[Sample]:
    """Yield files with every orientation in every place where one may stand."""
    jpeg, png = encode(scene(), "JPEG", quality=95), encode(scene(), "PNG")
    seen = {"JPEG": shown(jpeg), "PNG": shown(png)}
    filler = with_segments(b"\xff\xd8", b"x" * 60_000, b"y" * 60_000, marker=0xE2)[2:]
    both, pillow = ("pillow", "opencv"), ("pillow",)
    ours: tuple[str, ...] = ()
    others: tuple[str, ...]
    for turn in range(1, 9):
        for kind, order in itertools.product((1, 3, 4, 6, 8, 9), "<>"):
            block = exif(turn, kind, order)
            others = pillow if kind not in (1, 6) else ours
            name = f"type {kind} {order} {turn}"
            yield Sample(f"jpeg {name}", with_segments(jpeg, block), seen["JPEG"], turn, others)
            yield Sample(
                f"png {name}", with_chunks(png, chunk(b"eXIf", block[6:])), seen["PNG"], turn, others
            )
        for form, text in FORMS.items():
            packet = xmp(turn, text)
            others = pillow if form in ("attribute", "element") else ours
            yield Sample(
                f"jpeg xmp {form} {turn}",
                with_segments(jpeg, xmp_segment(packet)),
                seen["JPEG"],
                turn,
                others,
            )
            yield Sample(
                f"png xmp {form} {turn}", with_chunks(png, xmp_text(packet)), seen["PNG"], turn, others
            )
        block, upright = exif(turn), xmp_segment(xmp(9 - turn))
        for name, data, others in (
            ("exif after xmp", with_segments(jpeg, upright, block), pillow),
            ("exif after 120 kB", jpeg[:2] + filler + with_segments(jpeg, block)[2:], both),
            ("long exif", with_segments(jpeg, block + bytes(60_000), b"Exif\0\0" + bytes(60_000)), pillow),
            ("empty exif, then one", with_segments(jpeg, b"Exif\0\0", block), pillow),
            ("damaged exif, then xmp", with_segments(jpeg, b"Exif\0\0II*\0", xmp_segment(xmp(turn))), ours),
            ("trailer", with_segments(jpeg, block) + b"trailer", both),
        ):
            yield Sample(f"jpeg {name} {turn}", data, seen["JPEG"], turn, others)
        for name, data, others in (
            ("eXIf with a JPEG's head", with_chunks(png, chunk(b"eXIf", block)), pillow),
            ("eXIf behind the pixels", with_chunks(png, chunk(b"eXIf", block[6:]), last=True), pillow),
            ("exif profile", with_chunks(png, profile(b"exif", block)), pillow),
            ("exif profile as tEXt", with_chunks(png, profile(b"exif", block, b"tEXt")), pillow),
            ("APP1 profile", with_chunks(png, profile(b"APP1", block)), ours),
            ("APP1 profile of xmp", with_chunks(png, profile(b"APP1", xmp_segment(xmp(turn)))), ours),
            ("xmp behind the pixels", with_chunks(png, xmp_text(xmp(turn)), last=True), pillow),
            ("compressed xmp", with_chunks(png, xmp_text(xmp(turn), compressed=True)), pillow),
            (
                "2 MB of text",
                with_chunks(
                    png, chunk(b"tEXt", b"a\0" + bytes(2_000_000 if turn == 6 else 10)), xmp_text(xmp(turn))
                ),
                ours,
            ),
        ):
            yield Sample(f"png {name} {turn}", data, seen["PNG"], turn, others)


def colored_files() -> Iterator[Sample]:
    """Yield files of every kind of color, and one for each way to encode a JPEG."""
    pixels = scene()
    gray = np.asarray(Image.fromarray(pixels).convert("L"))
    three = np.repeat(gray[..., None], 3, axis=2)
    alpha = np.where(np.arange(64) < 32, 255, 0).astype(np.uint8) * np.ones((48, 1), np.uint8)
    half = np.where(alpha[..., None] > 0, pixels, 255).astype(np.uint8)
    hidden = Image.fromarray(np.dstack([pixels, np.zeros_like(alpha)]))
    pillow, ours = ("pillow",), ()
    others: tuple[str, ...]
    for options in (
        {"subsampling": 0}, {"subsampling": 2}, {"progressive": True}, {"optimize": True, "quality": 100},
        {"restart_marker_rows": 1}, {"quality": 30}, {"comment": b"x" * 60_000},
        {"icc_profile": b"p" * 300_000},
    ):  # fmt: skip
        for mode in ("RGB", "L", "CMYK"):
            data = encode(Image.fromarray(pixels).convert(mode), "JPEG", **options)
            # OpenCV has another formula for four inks.
            others = pillow if mode == "CMYK" else ("pillow", "opencv")
            yield Sample(f"jpeg {mode} {options}", data, shown(data), 1, others)
    for kind in ("PNG", "TIFF", "BMP", "PPM", "WEBP"):
        yield Sample(f"{kind} color", encode(pixels, kind, lossless=True), pixels)
        yield Sample(f"{kind} gray", encode(gray, kind, lossless=True), three)
    for kind in ("PNG", "TIFF", "WEBP"):
        data = encode(np.dstack([pixels, alpha]), kind, lossless=True, exact=True)
        yield Sample(f"{kind} half transparent", data, half, 1, ours)
        data = encode(hidden, kind, lossless=True, exact=True)
        yield Sample(f"{kind} all transparent", data, pixels, 1, pillow)
    yield Sample("BMP with a fourth byte", bmp_with_zero_alpha(pixels), pixels, 1, ("opencv",))
    yield Sample("PNG gray and alpha", encode(Image.fromarray(np.dstack([gray, alpha])), "PNG"),
                 np.where(alpha[..., None] > 0, three, 255).astype(np.uint8), 1, ours)  # fmt: skip
    for bits in (8, 12, 16):
        deep = (np.arange(48 * 64).reshape(48, 64) % (1 << bits)).astype(np.uint16)
        deep[0, 0] = (1 << bits) - 1
        upper = np.repeat((deep >> (bits - 8)).astype(np.uint8)[..., None], 3, axis=2)
        for kind in ("PNG", "TIFF"):
            yield Sample(
                f"{kind} gray of {bits} bits in 16", encode(Image.fromarray(deep), kind), upper, 1, ours
            )
        color = np.stack([deep, deep // 2, deep // 3], axis=-1)
        shades = (color >> (bits - 8)).astype(np.uint8)
        for suffix in ("png", "tiff", "ppm"):
            data = cv2.imencode(f".{suffix}", color[..., ::-1])[1].tobytes()
            yield Sample(f"{suffix} color of {bits} bits in 16", data, shades, 1, ours)
        opaque = np.full((48, 64), 65535, np.uint16)
        data = cv2.imencode(".png", np.dstack([color[..., ::-1], opaque]))[1].tobytes()
        yield Sample(f"png color and alpha of {bits} bits in 16", data, shades, 1, ours)


def files_without_end() -> Iterator[Sample]:
    """Yield JPEG files that lack their end marker, or have something in its place; all pixels are there."""
    noise = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    for name, pixels in (("smooth", scene()), ("noise", noise), ("flat", np.full((48, 64, 3), 90, np.uint8))):
        for options in (
            {},
            {"progressive": True},
            {"restart_marker_rows": 1},
            {"quality": 100, "subsampling": 0},
        ):
            data = encode(pixels, "JPEG", **options)
            expected = shown(data)
            for trailer in (
                b"", b"\xff", bytes(9), bytes(3000), b"\xff" * 20,
                b"\0\0\1\x0aEmbedded" + bytes(3000), b"\0\0\1\x0aEmbedded" + noise.tobytes()[:3000],
                b"\0\0\0\x18ftypmp42" + noise.tobytes()[:3000], data, b"\n",
            ):  # fmt: skip
                if name == "flat" and len(trailer) >= 3000:
                    continue  # the pixels themselves end with zeros: where, nothing tells
                what = f"{name} {options} {trailer[:12]!r} {len(trailer)}"
                yield Sample(what, data[:-2] + trailer, expected, 1, ())


def bmp_with_zero_alpha(pixels: NDArray[np.uint8]) -> bytes:
    """Return a BMP file of 32 bits that declares an alpha channel, all of it 0."""
    height, width, _ = pixels.shape
    rows = np.dstack([pixels[::-1, :, ::-1], np.zeros((height, width), np.uint8)]).tobytes()
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    info = struct.pack("<IiiHHIIiiII", 124, width, height, 1, 32, 3, len(rows), 2835, 2835, 0, 0)
    header = (info + masks).ljust(124, b"\0")
    return b"BM" + struct.pack("<IHHI", 14 + 124 + len(rows), 0, 0, 14 + 124) + header + rows
