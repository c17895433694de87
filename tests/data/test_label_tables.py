"""Lists of labels as other tools write them anew: the same faces, or a message that says what is wrong."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lnlattennet.data import FaceData, load_dataset
from lnlattennet.data._label_table import read_table, whole_number
from lnlattennet.errors import DataError
from tests.data import trees

Table = list[list[str]]
AFFECTNET = "Manually_Annotated_file_lists/training.csv"
TABLES = {
    "affectnet": (trees.build_affectnet, AFFECTNET),
    "ferplus": (trees.build_ferplus, "fer2013new.csv"),
    "ferplus-folders": (trees.build_ferplus_folders, "FER2013Valid/label.csv"),
    "ferplus-boxes": (trees.build_ferplus_boxes, "FER2013Valid/label.csv"),
    "fer2013": (trees.build_fer2013, "fer2013.csv"),
}


def text_of(table: Table, delimiter: str = ",", end: str = "\n", quoting: int = csv.QUOTE_MINIMAL) -> str:
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(table)  # type: ignore[arg-type]
    return stream.getvalue()


def with_index(table: Table) -> Table:
    """As pandas writes it, where nobody says index=False; a list without a header gets none."""
    named = not any(field.isdecimal() for field in table[0])
    return [["" if named and row == 0 else str(row), *fields] for row, fields in enumerate(table)]


def as_floats(table: Table) -> Table:
    """As pandas writes whole numbers of a column with gaps."""
    return [[f"{field}.0" if field.isdecimal() else field for field in fields] for fields in table]


WRITERS: dict[str, Callable[[Table], bytes]] = {
    "mark": lambda table: text_of(table).encode("utf-8-sig"),
    "crlf": lambda table: text_of(table, end="\r\n").encode(),
    "semicolons": lambda table: text_of(table, ";").encode(),
    "tabs": lambda table: text_of(table, "\t", "\r\n").encode("utf-8-sig"),
    "bars": lambda table: text_of(table, "|").encode(),
    "quotes": lambda table: text_of(table, quoting=csv.QUOTE_ALL).encode(),
    "index": lambda table: text_of(with_index(table)).encode(),
    "index and semicolons": lambda table: text_of(with_index(table), ";").encode(),
    "floats": lambda table: text_of(as_floats(table)).encode(),
    "spaces": lambda table: text_of([[f" {field} " for field in fields] for fields in table]).encode(),
    "blank lines": lambda table: ("\n" + text_of(table, end="\n\n") + "\n").encode(),
    "one more column": lambda table: text_of(
        [[*table[0], "note"], *([*row, "x"] for row in table[1:])]
    ).encode(),
    "reverse": lambda table: text_of([fields[::-1] for fields in table]).encode(),
    "upper case": lambda table: text_of([[name.upper() for name in table[0]], *table[1:]]).encode(),
    "underscores": lambda table: text_of(
        [[name.replace(" ", "_") for name in table[0]], *table[1:]]
    ).encode(),
    "utf-16": lambda table: text_of(table, "\t", "\r\n").encode("utf-16"),
}
NEED_A_HEADER = {"one more column", "reverse", "upper case", "underscores"}


def labels(data: FaceData) -> list[tuple[str | None, int]]:
    return [(face.split, face.label) for face in data.faces]


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("name", TABLES)
def test_a_list_that_another_tool_wrote_gives_the_same_faces(name: str, writer: str, tmp_path: Path) -> None:
    build, list_name = TABLES[name]
    headed = "folders" not in name and "boxes" not in name
    if (writer in NEED_A_HEADER and not headed) or (
        name == "fer2013" and writer in ("utf-16", "blank lines")
    ):
        pytest.skip("columns by name need names; of fer2013.csv every row is found by its place in bytes")
    build(tmp_path)
    before = load_dataset(tmp_path)
    shown = (0, len(before) // 2, len(before) - 1)
    images = [before.read(before.faces[index]) for index in shown]
    file = tmp_path / list_name
    with file.open(newline="") as stream:
        table = list(csv.reader(stream))
    file.write_bytes(WRITERS[writer](table))
    data = load_dataset(tmp_path)
    assert labels(data) == labels(before)
    for index, image in zip(shown, images, strict=True):
        assert np.array_equal(data.read(data.faces[index]), image)


def test_usage_may_be_in_another_case(tmp_path: Path) -> None:
    for build, name in ((trees.build_fer2013, "fer2013.csv"), (trees.build_ferplus, "fer2013new.csv")):
        folder = tmp_path / name
        build(folder)
        before = labels(load_dataset(folder))
        file = folder / name
        file.write_text(file.read_text().replace("Training", "training").replace("PublicTest", "publictest"))
        assert labels(load_dataset(folder)) == before


@pytest.mark.parametrize(
    "line",
    [
        "{name}\t{label}", "{name},{label}", "{name};{label}", "{name}  {label}  ", '"{name}","{label}"',
        "{number},{name},{label}", "{number} {name} {label}", "{name} {label}.0", "Image/x/{name} {label}",
        "aligned\\{name} {label}", "{stem}_aligned.jpg {label}", "{stem} {label}", "{stem}.png {label}",
        "{stem}.JPG,{label}", "./{stem}_aligned.png|{label}",
    ],
)  # fmt: skip
def test_lines_of_rafdb_in_other_hands(line: str, tmp_path: Path) -> None:
    trees.build_rafdb(tmp_path, ("aligned",))
    faces = load_dataset(tmp_path).faces
    file = tmp_path / "EmoLabel" / "list_patition_label.txt"
    lines = []
    for number, published in enumerate(file.read_text().split("\n")[:-1]):
        name, label = published.split(" ")
        lines.append(line.format(name=name, stem=name.removesuffix(".jpg"), label=label, number=number))
    for frame in ("{}", "\ufeff{}", "image,label\n{}", "{}\x1a", "\n{}\n\n"):
        file.write_text(frame.format("\r\n".join(lines) + "\r\n"))
        assert load_dataset(tmp_path).faces == faces


@pytest.mark.parametrize(
    "line", ["train_00001.jpg", "train_00001.jpg 8", "train_00001.jpg 1 2", "val_1.jpg 1", "1 2"]
)
def test_other_lines_of_rafdb_are_refused_as_they_stand(line: str, tmp_path: Path) -> None:
    trees.build_rafdb(tmp_path)
    file = tmp_path / "EmoLabel" / "list_patition_label.txt"
    file.write_text(f"{line}\n{file.read_text()}")
    with pytest.raises(
        DataError, match=r"line 1 of EmoLabel/list_patition_label\.txt must have a name that"
    ) as caught:
        load_dataset(tmp_path)
    assert f"got {line!r}" in str(caught.value)


def test_the_list_of_rafdb_may_be_spelled_right_and_aligned_images_called_like_the_list(
    tmp_path: Path,
) -> None:
    trees.build_rafdb(tmp_path)
    before = labels(load_dataset(tmp_path))
    folder = tmp_path / "EmoLabel"
    (folder / "list_patition_label.txt").rename(folder / "list_partition_label.txt")
    for image in (tmp_path / "Image" / "aligned").iterdir():
        image.rename(image.with_name(image.name.replace("_aligned", "")))
    assert labels(load_dataset(tmp_path)) == before


def test_affectnet_as_windows_and_its_archive_leave_it(tmp_path: Path) -> None:
    trees.build_affectnet(tmp_path)
    before = labels(load_dataset(tmp_path))
    for name in ("training", "validation"):
        file = tmp_path / "Manually_Annotated_file_lists" / f"{name}.csv"
        file.write_text(file.read_text().replace("/", "\\"))
    (tmp_path / "Manually_Annotated").mkdir()
    (tmp_path / "Manually_Annotated_Images").rename(
        tmp_path / "Manually_Annotated" / "Manually_Annotated_Images"
    )
    assert labels(load_dataset(tmp_path)) == before


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a,b\n1,2\n", "must name each of these columns once, in any order: a, b, c; missing: c; correct"),
        ("a,b,A,c\n1,2,3,4\n", "repeated: a"),
        ("a,b," + "x" * 200_000 + "\n", "is no table: field larger than field limit"),
    ],
)
def test_tables_without_their_columns_are_refused(text: str, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=problem):
        list(read_table(file, ["a", "b", "c"]))


def test_a_row_with_more_fields_than_names_has_no_values(tmp_path: Path) -> None:
    """A name with a comma that nobody quoted would move all labels behind it."""
    file = tmp_path / "table.csv"
    file.write_text("b,a\n1,2\n1,2,\n1\n1,2,3\n")
    assert [row.values for row in read_table(file, ["a", "b"])] == [
        {"b": "1", "a": "2"}, {"b": "1", "a": "2"}, {"b": "1"}, {},
    ]  # fmt: skip
    file.write_text("")
    assert not list(read_table(file, ["a", "b"]))


def test_whole_numbers() -> None:
    values = [whole_number(text) for text in ("5", " 5.0 ", "-1", "5.5", "", "x", "nan", "inf")]
    assert values == [5, 5, -1, None, None, None, None, None]
