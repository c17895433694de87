"""WebDataset shards: tar files in which an image and its class share a key.

Source: the format of the package webdataset; `classnames.txt` is what published classification sets call it.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath

from lnlattennet._command import printable
from lnlattennet.data._files import first_few, ignored_notes, listing, read_lines, readable
from lnlattennet.data._format import DatasetFormat, ExpectedTree
from lnlattennet.data._records import Face, FaceData
from lnlattennet.data.formats._class_folders import SPLIT_NAMES
from lnlattennet.data.formats._distinct_names import require_distinct_names
from lnlattennet.errors import DataError, ImageError
from lnlattennet.images._decode import FILE_SUFFIXES, DecodedImage, Detail, decode_file
from lnlattennet.images._whole_file import read_stream

NAMES = "classnames.txt"

TREE = ExpectedTree(
    "WebDataset",
    f"""\
train-000000.tar, val-000000.tar, ...    or train/000000.tar, ..., or without splits; in each:
    KEY.jpg (or another image)
    KEY.cls                              the class: its name, or its number
{NAMES}                           the names, one a line from 0, if classes are numbers""",
)

_LONGEST_CLASS = 1000
"""Bytes of the name of a class, at most."""


@dataclass(frozen=True, slots=True)
class _Sample:
    """One image: its name, its class as in its `cls` file, and where in which shard it lies."""

    name: str
    label: str
    shard: str
    start: int
    size: int


def detect(path: Path) -> bool:
    """Return whether there are tar files, and neither images nor folders of classes beside them."""
    if not path.is_dir():
        return False
    folders = [path, *(path / name for name in _split_folders(path))]
    inside = [listing(folder) for folder in folders]
    others = len(inside[0].folders) - len(folders[1:]) + sum(len(here.folders) for here in inside[1:])
    return not others and not any(here.images for here in inside) and bool(_shards(path))


def load(path: Path) -> FaceData:
    """Read the class of every sample, and where its image is; the shards stay as they are.

    Raises:
        DataError: a shard is damaged or cut off, or a sample or the classes break a rule.
    """
    shards, ignored = _shards(path), list[str]()
    splits = {shard: _split(shard) for shard in shards}
    if None in splits.values() and len(set(splits.values())) > 1:
        without = first_few([shard for shard, split in splits.items() if split is None])
        raise TREE.error(path, f"shards without a split in their name beside those with one: {without}")
    samples = [sample for shard in shards for sample in _samples(path, shard, ignored)]
    if not samples:
        raise TREE.error(path, "no shard (*.tar, not compressed) holds an image with its class")
    names, labels = _classes(path, {sample.label for sample in samples})
    require_distinct_names(path, names)
    faces = tuple(Face(sample.name, labels[sample.label], splits[sample.shard]) for sample in samples)
    data = FaceData("webdataset", path, names, faces, _reader(path, samples), ignored_notes(ignored))
    missing = set(range(len(names))) - set(labels.values())
    if missing:
        raise TREE.error(
            path, f"no image of {', '.join(printable(names[label]) for label in sorted(missing))}"
        )
    return data


def _split_folders(path: Path) -> list[str]:
    return [name for name in listing(path).folders if name.lower() in SPLIT_NAMES]


def _shards(path: Path) -> list[str]:
    """Return the tar files at the top and in folders called like splits, relative to ``path``."""
    folders = ["", *(f"{name}/" for name in _split_folders(path))]
    return [
        folder + name
        for folder in folders
        for name in listing(path / folder).ignored
        if name.lower().endswith(".tar") and not name.startswith(".")
    ]


def _split(shard: str) -> str | None:
    """Return the split that a shard's folder, or the letters that its name begins with, stand for."""
    folder, _, name = shard.rpartition("/")
    letters = re.match("[a-z]*", name.lower())
    return SPLIT_NAMES.get(folder.lower() or (letters.group() if letters else ""))


def _samples(path: Path, shard: str, ignored: list[str]) -> Iterator[_Sample]:
    """Yield the samples of a shard; members that are neither image nor class are added to ``ignored``."""
    where = printable(path / shard)
    seen: set[str] = set()
    for key, members in _keys(path / shard):
        if key in seen:
            raise DataError(
                f"{where} has the key {printable(key)} in two places; the files of a sample must follow one "
                "another, as `tar --sort=name` writes them"
            )
        seen.add(key)
        images = [member for member, _ in members if _suffix(member) in FILE_SUFFIXES]
        labels = [text for member, text in members if _suffix(member) == ".cls"]
        others = {".cls", *FILE_SUFFIXES}
        ignored += [f"{shard}/{member.name}" for member, _ in members if _suffix(member) not in others]
        if len(images) > 1 or len(labels) != (1 if images else 0):
            found = ", ".join(printable(member.name) for member, _ in members)
            raise DataError(f"{where}: a sample must have one image and one .cls file, got {found}")
        for image in images:
            yield _Sample(f"{shard}/{image.name}", labels[0], shard, image.offset_data, image.size)


def _keys(file: Path) -> Iterator[tuple[str, list[tuple[tarfile.TarInfo, str]]]]:
    """Yield every key of a shard with its members, and what they hold if they are `cls` files."""
    try:
        with readable(file), tarfile.open(file, "r:") as archive:
            members = ((member, _text(archive, member)) for member in archive if member.isreg())
            for key, group in groupby(members, lambda pair: _key(pair[0].name)):
                yield key, list(group)
            # tarfile takes a file that is cut between two members for a whole one.
            if archive.offset + tarfile.BLOCKSIZE > file.stat().st_size:
                raise tarfile.ReadError("it has no end mark")
    except tarfile.TarError as error:
        raise DataError(
            f"{printable(file)} is damaged, cut off, compressed or no tar file ({error}): download it again, "
            "or decompress it, since no image can be read out of the middle of a compressed file"
        ) from error


def _key(name: str) -> str:
    """Return the path up to the first dot of the file's name, as WebDataset has it."""
    folder, slash, file = name.rpartition("/")
    return folder + slash + file.partition(".")[0]


def _suffix(member: tarfile.TarInfo) -> str:
    return PurePosixPath(member.name).suffix.lower()


def _text(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    if _suffix(member) != ".cls":
        return ""
    stream = archive.extractfile(member)
    text = stream.read(_LONGEST_CLASS + 1).decode(errors="replace").strip() if stream else ""
    if not text or len(text) > _LONGEST_CLASS:
        raise DataError(
            f"{printable(str(archive.name))}: {printable(member.name)} must hold the name of a class, or its "
            f"number, got {member.size:,} bytes"
        )
    return text


def _classes(path: Path, used: set[str]) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the names of the classes, and for every text in the `cls` files its label."""
    listed = (
        [line.strip() for line in read_lines(path / NAMES) if line.strip()] if (path / NAMES).exists() else []
    )
    numbers = {text for text in used if text.isdecimal()}
    if not numbers:
        unknown = used - set(listed)
        if listed and unknown:
            raise TREE.error(path, f"classes that {NAMES} does not name: {first_few(sorted(unknown))}")
        names = listed or sorted(used)
        return tuple(names), {name: label for label, name in enumerate(names)}
    if numbers != used:
        mixed = first_few([min(numbers), min(used - numbers)])
        raise TREE.error(path, f"some .cls files hold a class's number and some a name: {mixed}")
    if not listed:
        raise TREE.error(path, f".cls files hold numbers, and there is no {NAMES} that names them")
    labels = {text: int(text) for text in used}
    if max(labels.values()) >= len(listed):
        raise TREE.error(
            path, f"{NAMES} names {len(listed)} classes, and a .cls file holds {max(labels.values())}"
        )
    return tuple(listed), labels


def _reader(path: Path, samples: Sequence[_Sample]) -> Callable[[Face, Detail | None], DecodedImage]:
    places: Mapping[str, _Sample] = {sample.name: sample for sample in samples}

    def read(face: Face, enough: Detail | None) -> DecodedImage:
        place = places[face.name]
        try:
            with (path / place.shard).open("rb") as stream:
                stream.seek(place.start)
                return decode_file(read_stream(stream, place.size), 1, enough)
        except (OSError, ImageError) as error:
            raise ImageError(f"{printable(str(path / face.name))}: {error}") from error

    return read


FORMATS = (
    DatasetFormat("webdataset", "WebDataset shards: tar files, any class names", TREE, "mixed", load, detect),
)
