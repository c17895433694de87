"""The commands `lnlattennet data inspect`, `prepare` and `render`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.text import Text

from lnlattennet._atomic import output_errors, replace_file, replace_folder, sole_writer, try_folder
from lnlattennet._cli_options import Faces, Quiet, Verbose
from lnlattennet._command import configure_logging, on_one_line, print_json, printable
from lnlattennet._console import Table, progress, stdout
from lnlattennet.errors import UsageError
from lnlattennet.machine._hardware import usable_cpus

if TYPE_CHECKING:
    from lnlattennet.data._records import FaceData, FacesOption
    from lnlattennet.model._preprocessing import FaceAlignment

_CPUS = usable_cpus()

app = typer.Typer(help="Inspect and prepare data sets of faces.", no_args_is_help=True)


_Source = Annotated[Path, typer.Argument(help="The data set's folder, or FER2013's csv file.")]
_Format = Annotated[str | None, typer.Option(help="Format of the data set.", show_default="detected")]
_Finder = Annotated[
    str | None,
    typer.Option(help="Face finder, where faces must be found.", show_default="the standard one"),
]
_Force = Annotated[bool, typer.Option("--force", help="Overwrite the folder of an earlier run.")]
_Workers = Annotated[int, typer.Option(min=1, help="Threads that read images.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.callback()
def data() -> None:
    """Inspect and prepare data sets of faces."""


@app.command()
def inspect(
    path: _Source,
    format: _Format = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a .png file with some faces of every class.")
    ] = None,
    faces: Faces = "auto",
    finder: _Finder = None,
    workers: _Workers = _CPUS,
    json_output: _Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Read every image of a data set; report counts, sizes, subjects, duplicates and damaged files.

    The exit code is 1 if an image cannot be read.
    """
    configure_logging(verbose, quiet)
    _check_output(output)
    from lnlattennet.data import load_dataset
    from lnlattennet.data.inspect._contact_sheet import draw_sheet
    from lnlattennet.data.inspect._inspection import THUMBNAIL, inspect_data
    from lnlattennet.data.inspect._report import describe
    from lnlattennet.data.preparation._framing import face_preprocessing

    opened = load_dataset(path, format, faces=cast("FacesOption", faces))
    preprocessing = face_preprocessing(THUMBNAIL.size, opened, finder)
    with progress("reading images", len(opened)) as advance:
        inspection = inspect_data(opened, workers, advance, preprocessing)
    if output is not None:
        with replace_file(output) as temporary:
            draw_sheet(inspection).save(temporary, "PNG")
    document = describe(inspection, output)
    if json_output:
        print_json(document)
    else:
        _print_tables(document)
    if inspection.unreadable:
        raise typer.Exit(1)


@app.command()
def prepare(
    path: _Source,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    format: _Format = None,
    faces: Faces = "auto",
    finder: _Finder = None,
    face_margin: Annotated[
        float | None,
        typer.Option(help="Share of a found face's box added on each side.", show_default="0.1"),
    ] = None,
    face_alignment: Annotated[
        str | None, typer.Option(help="none, or five-points: turn faces by their landmarks.")
    ] = None,
    size: Annotated[int, typer.Option(help="Side of the faces in pixels.")] = 112,
    force: _Force = False,
    workers: _Workers = _CPUS,
    json_output: _Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Write the faces of a data set as a network takes them, found and cropped where need be.

    The faces are [SPLIT/]CLASS/NAME.png; prepared.json says how they were made.

    faces.png shows some faces of every class, and the images in which no face was found.
    """
    configure_logging(verbose, quiet)
    _check_folder(output, force, "--output")
    from lnlattennet.data import load_dataset
    from lnlattennet.data.formats._prepared import SHEET
    from lnlattennet.data.inspect._prepared_sheet import draw_prepared
    from lnlattennet.data.preparation._framing import face_preprocessing
    from lnlattennet.data.preparation._tree_writer import write_prepared

    opened = load_dataset(path, format, faces=cast("FacesOption", faces))
    _check_apart(output, path, opened)
    alignment = cast("FaceAlignment | None", face_alignment)
    preprocessing = face_preprocessing(size, opened, finder, face_margin, alignment)
    with (
        sole_writer(output, UsageError),
        replace_folder(output) as draft,
        progress("preparing faces", len(opened)) as advance,
    ):
        tree = write_prepared(opened, preprocessing, draft, workers, advance)
        draw_prepared(opened, draft, tree.paths, tree.report.without_face).save(draft / SHEET, "PNG")
    if json_output:
        print_json(tree.document)
        return
    for note in tree.document["notes"]:
        stdout().print(Text(on_one_line(note)))
    stdout().print(Text(f"wrote {len(opened):,} faces to {on_one_line(printable(output))}"))


@app.command()
def render(
    output: Annotated[Path, typer.Argument(help="Folder to write.")],
    train_images: Annotated[int, typer.Option(min=7, help="Faces to train on.")] = 16_000,
    val_images: Annotated[int, typer.Option(min=7, help="Faces for validation.")] = 700,
    test_images: Annotated[int, typer.Option(min=7, help="Faces for the test, in other light.")] = 2_100,
    size: Annotated[int, typer.Option(min=16, max=1024, help="Side of the faces in pixels.")] = 112,
    seed: Annotated[int, typer.Option(min=0, max=4095, help="Each gives other persons.")] = 0,
    force: _Force = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes that render.")] = _CPUS,
    json_output: _Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Write rendered faces as a data set: those of `train --data synthetic` with these numbers and seed."""
    configure_logging(verbose, quiet)
    _check_folder(output, force, "the folder to write,")
    from lnlattennet.data.synthetic._tree_writer import write_rendered

    counts = {"train": train_images, "val": val_images, "test": test_images}
    with sole_writer(output, UsageError), replace_folder(output) as draft:
        document = write_rendered(draft, counts, size, seed, workers)
    if json_output:
        print_json(document)
        return
    stdout().print(Text(f"wrote {sum(counts.values()):,} faces to {on_one_line(printable(output))}"))


def _check_folder(output: Path, force: bool, name: str) -> None:
    """Raise if there is something else at ``output`` than faces of an earlier run that may be replaced."""
    from lnlattennet.data.formats._prepared import detect

    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not detect(output):
        raise UsageError(
            f"{name} {printable(output)} exists and holds no faces that this command wrote; choose another "
            "folder"
        )
    if not force:
        raise UsageError(f"{name} {printable(output)} exists; choose another folder, or give --force")


def _check_apart(output: Path, path: Path, data: FaceData) -> None:
    """Raise if images of the data set at ``path`` lie in the folder to write, or that in the data set."""
    root, folder = data.root.resolve(), output.resolve()
    if output.exists() and any((root / face.name).is_relative_to(folder) for face in data.faces):
        raise UsageError(
            f"--output {printable(output)} holds images of {printable(data.root)}, which --force would "
            "remove: choose another folder"
        )
    if path.is_dir() and folder.is_relative_to(path.resolve()):
        raise UsageError(
            f"--output {printable(output)} lies in {printable(path)}, which would be read with it the next "
            "time: choose a folder outside"
        )


def _check_output(output: Path | None) -> None:
    """Raise if the sheet could not be written, before every image is read."""
    if output is None:
        return
    if output.suffix.lower() != ".png" or output.is_dir():
        raise UsageError(f"--output must be a file that ends in .png, got {printable(output)}")
    with output_errors(output):
        try_folder(output.parent)


def _print_tables(document: dict[str, Any]) -> None:
    from lnlattennet.data.inspect._report import facts

    splits = document["splits"]
    counts = Table("class", title=f"{on_one_line(document['path'])}: {document['format']}")
    for name in (*splits, "all"):
        counts.add_column(name, justify="right")
    for name in document["class_names"]:
        row = [splits[split][name] for split in splits]
        counts.add_row(Text(on_one_line(name)), *(f"{count:,}" for count in (*row, sum(row))))
    counts.add_section()
    totals = [sum(splits[split].values()) for split in splits]
    counts.add_row("all", *(f"{count:,}" for count in (*totals, sum(totals))))
    console = stdout()
    console.print(counts)
    table = Table(show_header=False)
    for name, value in facts(document):
        table.add_row(name, Text(value))
    console.print(table)
