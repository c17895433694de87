"""Command `lnlattennet explain`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from lnlattennet._cli_options import AllowPickle, Faces, Quiet, Verbose
from lnlattennet._command import configure_logging, on_one_line, print_json, printable
from lnlattennet.errors import UsageError, require
from lnlattennet.model._provenance import SYNTHETIC

if TYPE_CHECKING:
    from lnlattennet._console import Table
    from lnlattennet.data._records import FacesOption
    from lnlattennet.evaluation.explain._explain import ExplanationOptions


def explain(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint file.")],
    images: Annotated[list[Path] | None, typer.Argument(help="Image files of faces.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for the drawings and the tables of their values."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Data set to average over per expression: folder, file or 'synthetic'.")
    ] = None,
    format_: Annotated[
        str | None, typer.Option("--format", help="Layout of the data set.", show_default="detected")
    ] = None,
    faces: Faces = "auto",
    split: Annotated[
        str | None,
        typer.Option(
            help="Split: train, val, test or all.",
            show_default="held out by the model's training, else test, else val, else all",
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option("--images", min=1, help="Faces to average.", show_default="all; 350 synthetic ones"),
    ] = None,
    region: Annotated[
        int | None,
        typer.Option(
            min=0, help="Show the affinity around this region.", show_default="the highest weighted"
        ),
    ] = None,
    history: Annotated[
        Path | None, typer.Option(help="Folder of a training run: show how its region weights changed.")
    ] = None,
    faithfulness: Annotated[
        bool,
        typer.Option(
            "--faithfulness",
            help="Measure on --data whether the answers need the regions that weights, Grad-CAM and others "
            "rank high.",
        ),
    ] = False,
    common_classes: Annotated[
        bool,
        typer.Option(
            "--common-classes", help="With --faithfulness: only the classes that model and data share."
        ),
    ] = False,
    allow_pickle: AllowPickle = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print the values as one JSON document.")
    ] = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Show what the network looks at: weights, affinity and attention."""
    configure_logging(verbose, quiet)
    if not images and data is None and history is None:
        raise UsageError("there is nothing to explain: give images, --data or --history")
    _check_choice_of_faces(data, format_, split, count, faces)
    for module in ("torch", "matplotlib", "scipy"):
        require(module, "train")
    if faithfulness:
        if data is None or images or history or region is not None:
            raise UsageError("--faithfulness measures on --data alone, without images, --region or --history")
        _measure_faithfulness(
            output,
            json_output,
            checkpoint=checkpoint,
            data=data,
            format=format_,
            faces=faces,
            split=split,
            count=count,
            common_classes=common_classes,
            allow_pickle=allow_pickle,
        )
        return
    if common_classes:
        raise UsageError("--common-classes is for --faithfulness: other explanations count no right answers")
    if output is None:
        raise UsageError("explanations are drawings: name a folder for them with --output")
    from lnlattennet.evaluation.explain._explain import ExplanationOptions

    options = ExplanationOptions(
        checkpoint=checkpoint,
        output=output,
        images=tuple(images or ()),
        data=data,
        format=format_,
        faces=cast("FacesOption", faces),
        split=split,
        count=count,
        region=region,
        history=history,
        allow_pickle=allow_pickle,
    )
    _draw_explanations(options, json_output)


def _check_choice_of_faces(
    data: str | None, format: str | None, split: str | None, count: int | None, faces: str
) -> None:
    """Raise a UsageError if options choose faces where there are none to choose from."""
    if data is None and (format or split or count or faces != "auto"):
        raise UsageError("--format, --faces, --split and --images choose faces of a data set: add --data")
    if data == SYNTHETIC and (format or split):
        raise UsageError("--data synthetic renders held-out faces: it has no --format and no --split")
    if data == SYNTHETIC and faces != "auto":
        raise UsageError(f"--faces {faces} is for data sets: rendered faces are crops already")


def _draw_explanations(options: ExplanationOptions, json_output: bool) -> None:
    from lnlattennet._console import stdout
    from lnlattennet.evaluation._report import check_folder
    from lnlattennet.evaluation.explain._explain import explain_checkpoint

    check_folder(options.output)
    document = explain_checkpoint(options)
    if json_output:
        print_json(document)
        return
    if options.data == SYNTHETIC:
        stdout().print(_score_table(document["data"], regions=document["grid"] ** 2))
    for file in document["files"]:
        stdout().print(file)


def _measure_faithfulness(output: Path | None, json_output: bool, **options: Any) -> None:
    from lnlattennet._console import stdout
    from lnlattennet.evaluation._report import check_folder
    from lnlattennet.evaluation.faithfulness._console import readings_table
    from lnlattennet.evaluation.faithfulness._faithfulness import (
        FaithfulnessOptions,
        measure_faithfulness,
        write_faithfulness,
    )

    if output is not None:
        check_folder(output)
    command = ("lnlattennet", *map(printable, sys.argv[1:]))
    result = measure_faithfulness(FaithfulnessOptions(**options, command=command))
    files = [] if output is None else write_faithfulness(result, output)
    if json_output:
        print_json(result.document)
        return
    stdout().print(readings_table(result.document))
    for note in result.document["notes"]:
        stdout().print(f"note: {on_one_line(note)}")
    for file in files:
        stdout().print(f"wrote {printable(file)}")


def _score_table(scores: dict[str, Any], *, regions: int) -> Table:
    """Return crucial-region recall beside that of even weights, and the accuracy with regions covered."""
    from lnlattennet._console import Table

    def share(figure: dict[str, float]) -> tuple[str, str]:
        return f"{figure['value']:.1%}", f"{figure['low']:.1%} to {figure['high']:.1%}"

    crucial = scores["crucial_regions"]
    table = Table("figure", "value", "95% interval", "even weights", "at most")
    even = f"{crucial['uniform_share']:.1%}"
    table.add_row("weight on the true regions", *share(crucial["share_of_weight"]), even, "100.0%")
    times = crucial["times_uniform"]
    interval = f"{times['low']:.2f} to {times['high']:.2f}"
    table.add_row(
        "  times uniform", f"{times['value']:.2f}", interval, "1", f"{crucial['best_possible']:.2f}"
    )
    for k in (1, 3):
        hits = share(crucial[f"top_{k}_hit_rate"])
        table.add_row(f"top-{k} hit rate", *hits, f"{min(1, k / regions):.1%}", "100.0%")
    table.add_section()
    for point in scores["occlusion"]:
        name = f"accuracy, {point['covered']} of {regions} regions covered"
        table.add_row(name, *share(point["accuracy"]), "", "")
    return table
