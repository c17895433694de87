"""Tiny trees in the layout of every data set: random faces-to-be of 32 x 32 pixels, the same every time.

Every builder takes a folder, which may be missing, and fills it. Where a layout names people there are
three of them, and every class has at least two images in every split.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lnlattennet.data import load_dataset
from lnlattennet.data.preparation._tree_writer import write_prepared
from lnlattennet.model._preprocessing import Preprocessing

SIDE = 32
SUBJECTS = 3
PER_CLASS = 2
FER2013_USAGES = ("Training", "PublicTest", "PrivateTest")
FER2013_NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
JAFFE_CODES = ("AN", "DI", "FE", "HA", "NE", "SA", "SU")
OULU_NAMES = ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise")
CK48_NAMES = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
FERPLUS_FOLDERS = ("FER2013Train", "FER2013Valid", "FER2013Test")


def pixels(name: str, size: tuple[int, int] = (SIDE, SIDE), channels: int = 3) -> NDArray[np.uint8]:
    """A smooth random image [height, width, channels] that only its name decides."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    coarse = generator.integers(0, 256, (4, 4, channels), dtype=np.uint8)
    width, height = size
    planes = [Image.fromarray(coarse[..., channel]).resize((width, height)) for channel in range(channels)]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)


def write_image(path: Path, size: tuple[int, int] = (SIDE, SIDE), *, gray: bool = False) -> None:
    """Write an image whose pixels its name decides, in the kind of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = pixels("/".join(path.parts[-3:]), size, 1 if gray else 3)
    Image.fromarray(values[..., 0] if gray else values).save(path)


def build_rafdb(folder: Path, kinds: Sequence[str] = ("aligned", "original")) -> None:
    """RAF-DB with its list, aligned faces and original images (larger, wider than high)."""
    lines = []
    for split in ("train", "test"):
        for number in range(7 * PER_CLASS):
            stem = f"{split}_{number + 1:05d}"
            lines.append(f"{stem}.jpg {number % 7 + 1}")
            if "aligned" in kinds:
                write_image(folder / "Image" / "aligned" / f"{stem}_aligned.jpg")
            if "original" in kinds:
                write_image(folder / "Image" / "original" / f"{stem}.jpg", (48, 40))
    _write(folder / "EmoLabel" / "list_patition_label.txt", "\n".join(lines) + "\n")


def build_rafdb_original(folder: Path) -> None:
    """RAF-DB without its aligned faces."""
    build_rafdb(folder, ("original",))


def build_rafdb_digits(folder: Path, first: int = 1) -> None:
    """A mirror of RAF-DB: folders 1 to 7, or from ``first`` on."""
    names = [str(first + index) for index in range(7)]
    build_folder(folder, splits=("train", "test"), classes=names, suffix=".jpg")


def build_rafdb_digits0(folder: Path) -> None:
    """The other mirror: folders 0 to 6."""
    build_rafdb_digits(folder, 0)


def fer2013_rows(
    usages: Sequence[str] = FER2013_USAGES, per_class: int = PER_CLASS
) -> list[tuple[int, str, str]]:
    """Rows of fer2013.csv: emotion, pixels, Usage."""
    return [
        (number % 7, _pixel_text(f"{usage}{number}"), usage)
        for usage in usages
        for number in range(7 * per_class)
    ]


def build_fer2013(folder: Path) -> None:
    """FER2013 with Usage."""
    rows = [f"{emotion},{text},{usage}" for emotion, text, usage in fer2013_rows()]
    _write(folder / "fer2013.csv", "\n".join(["emotion,pixels,Usage", *rows]) + "\n")


def build_fer2013_train(folder: Path) -> None:
    """The variant train.csv without Usage, quoted as it is published."""
    rows = [f'{emotion},"{text}"' for emotion, text, _ in fer2013_rows()]
    _write(folder / "train.csv", "\n".join(["emotion,pixels", *rows]) + "\n")


def build_fer2013_folders(folder: Path) -> None:
    """The mirror of FER2013 with folders of names."""
    build_folder(folder, splits=("train", "test"), classes=FER2013_NAMES, suffix=".jpg")


def ferplus_votes(number: int) -> list[int]:
    """Votes of ten people: class ``number`` of 8 wins; 8 is unknown, 9 no face, 10 has no majority."""
    if number == 10:
        return [4, 4, 2, 0, 0, 0, 0, 0, 0, 0]
    votes = [0] * 10
    votes[number] = 7
    votes[(number + 3) % 8] += 2
    votes[(number + 5) % 8] += 1
    return votes


def build_ferplus(folder: Path) -> None:
    """FERPlus's csv file beside FER2013's; the last row of every Usage has no image name."""
    numbers = [*range(8), *range(8), 8, 9, 10, 0]
    labels = ["Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"]
    rows = ["emotion,pixels,Usage"]
    for usage in FER2013_USAGES:
        for index, number in enumerate(numbers):
            name = f"fer{len(rows) - 1:07d}.png" if index + 1 < len(numbers) else ""
            labels.append(",".join([usage, name, *map(str, ferplus_votes(number))]))
            rows.append(f"0,{_pixel_text(f'{usage}{index}')},{usage}")
    _write(folder / "fer2013new.csv", "\n".join(labels) + "\n")
    _write(folder / "fer2013.csv", "\n".join(rows) + "\n")


def build_ferplus_folders(folder: Path, box: bool = False) -> None:
    """FERPlus as its scripts unpack it; with ``box``, label.csv has the older copies' extra column."""
    for split in FERPLUS_FOLDERS:
        lines = []
        for index, number in enumerate([*range(8), *range(8), 8, 9, 10]):
            name = f"fer{index:07d}.png"
            write_image(folder / split / name, (48, 48), gray=True)
            middle = ['"(0, 0, 48, 48)"'] if box else []
            lines.append(",".join([name, *middle, *map(str, ferplus_votes(number))]))
        _write(folder / split / "label.csv", "\n".join(lines) + "\n")


def build_ferplus_boxes(folder: Path) -> None:
    """FERPlus unpacked, with the extra column."""
    build_ferplus_folders(folder, box=True)


def build_ckplus(folder: Path, labels: str = "Emotion") -> None:
    """CK+: five frames per sequence, a sequence of every class per person and one without label."""
    for person in range(SUBJECTS):
        subject = f"S{person * 5 + 5:03d}"
        for code in range(1, 9):
            name = f"{subject}_{code:03d}"
            for frame in range(1, 6):
                file = f"{name}_{frame:08d}.png"
                write_image(folder / "cohn-kanade-images" / subject / f"{code:03d}" / file, gray=person > 0)
            label = folder / labels / subject / f"{code:03d}"
            label.mkdir(parents=True, exist_ok=True)
            if code < 8:
                _write(label / f"{name}_{5:08d}_emotion.txt", f"   {code:.7e}\n")
    _write(folder / "cohn-kanade-images" / ".DS_Store", "")


def build_ckplus_emotion_labels(folder: Path) -> None:
    """CK+ with the labels where the archive Emotion_labels.zip unpacks them."""
    build_ckplus(folder, "Emotion_labels/Emotion")


def build_ck48(folder: Path) -> None:
    """CK+48: three frames per person and class."""
    for label, name in enumerate(CK48_NAMES):
        for person in range(SUBJECTS):
            for frame in (15, 16, 17):
                file = f"S{person + 10:03d}_{label + 1:03d}_{frame:08d}.png"
                write_image(folder / name / file, (48, 48), gray=True)


def build_jaffe(folder: Path) -> None:
    """JAFFE: gray TIFF files, two takes per person and class."""
    serial = 0
    for subject in ("KA", "KL", "YM")[:SUBJECTS]:
        for code in JAFFE_CODES:
            for take in range(1, PER_CLASS + 1):
                serial += 1
                write_image(folder / f"{subject}.{code}{take}.{serial}.tiff", gray=True)
    _write(folder / "README", "who, what\n")


def build_oulu_casia(folder: Path, root: str = "OriginalImg") -> None:
    """Oulu-CASIA: four frames per sequence, and weak light and near infrared beside."""
    for person in range(1, SUBJECTS + 1):
        for name in OULU_NAMES:
            for frame in range(4):
                file = Path(f"P{person:03d}") / name / f"{frame:03d}.jpeg"
                write_image(folder / root / "VL" / "Strong" / file, (40, 32))
        write_image(folder / root / "VL" / "Weak" / f"P{person:03d}" / "Anger" / "000.jpeg")
        write_image(folder / root / "NI" / "Strong" / f"P{person:03d}" / "Anger" / "000.jpeg")


def build_affectnet(folder: Path) -> None:
    """AffectNet's csv release with all eleven codes; validation.csv has no header."""
    box = "face_x,face_y,face_width,face_height"
    header = f"subDirectory_filePath,{box},facial_landmarks,expression,valence,arousal"
    for split, first in (("training", [header]), ("validation", [])):
        lines = list(first)
        for number in range(11 * PER_CLASS):
            name = f"{number % 3 + 1}/{split}{number}.jpg"
            write_image(folder / "Manually_Annotated_Images" / name, (48, 40))
            lines.append(f"{name},8,4,{SIDE},{SIDE},1.5;2.5;3.5,{number % 11},0.1,-0.2")
        _write(folder / "Manually_Annotated_file_lists" / f"{split}.csv", "\n".join(lines) + "\n")


def build_affectnet_npy(folder: Path, codes: int = 8) -> None:
    """AffectNet's npy release: codes are saved as text, as they are published; ids repeat in both splits."""
    for split in ("train_set", "val_set"):
        for number in range(codes * PER_CLASS):
            write_image(folder / split / "images" / f"{number}.jpg")
            annotations = folder / split / "annotations"
            annotations.mkdir(exist_ok=True)
            np.save(annotations / f"{number}_exp.npy", np.array(str(number % codes)))
            np.save(annotations / f"{number}_val.npy", np.array("0.5"))


def build_folder(
    folder: Path,
    splits: Sequence[str] = ("train", "val", "test"),
    classes: Sequence[str] = ("calm", "grin", "frown"),
    suffix: str = ".png",
) -> None:
    """A folder per split and class; without ``splits``, a folder per class."""
    for split in splits or ("",):
        for name in classes:
            for number in range(PER_CLASS):
                write_image(folder / split / name / f"{number}{suffix}")


def build_plain_folder(folder: Path) -> None:
    """A folder per class, no splits."""
    build_folder(folder, splits=())


def build_prepared(folder: Path) -> None:
    """What `data prepare` writes of JAFFE."""
    with tempfile.TemporaryDirectory() as source:
        build_jaffe(Path(source))
        data = load_dataset(Path(source), faces="as-is")
        write_prepared(data, Preprocessing(size=SIDE), folder)


def build_webdataset(
    folder: Path, splits: Sequence[str] = ("train", "val"), classes: Sequence[str] = ("calm", "grin", "frown")
) -> None:
    """Two shards of each split, as `tar` writes them from pairs of an image and its class."""
    for split in splits:
        for shard in range(2):
            write_shard(
                folder / f"{split}-{shard:06}.tar",
                {
                    f"{number:04}": (png(f"{split}/{shard}/{number}"), classes[number % len(classes)])
                    for number in range(PER_CLASS * len(classes))
                },
            )


def write_shard(path: Path, samples: Mapping[str, tuple[bytes, str]], suffix: str = ".png") -> None:
    """Write the image `KEY.png`, or of another ``suffix``, and `KEY.cls` of every sample."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for key, (image, label) in samples.items():
            for name, data in ((f"{key}{suffix}", image), (f"{key}.cls", label.encode())):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))


def png(name: str) -> bytes:
    """A PNG file whose pixels its name decides."""
    stream = io.BytesIO()
    Image.fromarray(pixels(name)).save(stream, "PNG")
    return stream.getvalue()


BUILDERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "rafdb": (build_rafdb, "rafdb"),
    "rafdb-original": (build_rafdb_original, "rafdb-original"),
    "rafdb-digits": (build_rafdb_digits, "rafdb-digits"),
    "rafdb-digits0": (build_rafdb_digits0, "rafdb-digits0"),
    "fer2013": (build_fer2013, "fer2013"),
    "fer2013-train": (build_fer2013_train, "fer2013"),
    "fer2013-folders": (build_fer2013_folders, "fer2013-folders"),
    "ferplus": (build_ferplus, "ferplus"),
    "ferplus-folders": (build_ferplus_folders, "ferplus"),
    "ferplus-boxes": (build_ferplus_boxes, "ferplus"),
    "ckplus": (build_ckplus, "ckplus"),
    "ckplus-emotion-labels": (build_ckplus_emotion_labels, "ckplus"),
    "ckplus-neutral": (build_ckplus, "ckplus-neutral"),
    "ck48": (build_ck48, "ck48"),
    "jaffe": (build_jaffe, "jaffe"),
    "oulu-casia": (build_oulu_casia, "oulu-casia"),
    "affectnet-8": (build_affectnet, "affectnet-8"),
    "affectnet-7": (build_affectnet, "affectnet-7"),
    "affectnet-npy-8": (build_affectnet_npy, "affectnet-8"),
    "affectnet-npy-7": (build_affectnet_npy, "affectnet-7"),
    "folder": (build_folder, "folder"),
    "plain-folder": (build_plain_folder, "folder"),
    "prepared": (build_prepared, "prepared"),
    "webdataset": (build_webdataset, "webdataset"),
}
"""Name of a tree -> its builder, and the format that reads it."""

MUST_BE_NAMED = {"rafdb-digits", "rafdb-digits0", "ckplus-neutral", "affectnet-7", "affectnet-npy-7"}
"""Trees whose format detection refuses or reads as the variant that leaves nothing out."""


def _pixel_text(name: str) -> str:
    return " ".join(map(str, pixels(name, (48, 48), 1).ravel()))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
