"""The command `lnlattennet train`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from lnlattennet._atomic import output_errors, try_folder
from lnlattennet._cli_options import Faces, Quiet, Verbose
from lnlattennet._command import configure_logging, print_json, printable
from lnlattennet._console import stdout
from lnlattennet.errors import UsageError, require
from lnlattennet.machine._hardware import usable_cpus
from lnlattennet.model._presets import PRESETS
from lnlattennet.model._provenance import SYNTHETIC
from lnlattennet.training._options import (
    Augmentation,
    Balance,
    Precision,
    Schedule,
    TrainingOptions,
    fold_option,
    folds_option,
    is_helper,
    network_option,
)
from lnlattennet.training._recipes import read_recipe, recipe_names

if TYPE_CHECKING:
    from lnlattennet.data._records import FacesOption, Targets
    from lnlattennet.model._preprocessing import FaceAlignment
    from lnlattennet.training._results import CrossValidationResult, TrainingResult

_data_option = partial(typer.Option, rich_help_panel="Data")
_recipe_option = partial(typer.Option, rich_help_panel="Recipe")
_machine_option = partial(typer.Option, rich_help_panel="Machine")
_IMAGES = {"train": 16_000, "val": 700, "test": 2_100}


def _use_recipe(context: typer.Context, name: str | None) -> str | None:
    """Take the recipe's values as defaults of the other options, before those are read."""
    if name is not None:
        options = {
            option.removeprefix("--"): parameter
            for parameter in context.command.params
            for option in parameter.opts
            if option.startswith("--") and parameter.expose_value and parameter.name != "recipe"
        }
        names = {option: str(parameter.name) for option, parameter in options.items()}
        repeated = {option for option, parameter in options.items() if getattr(parameter, "multiple", False)}
        context.default_map = read_recipe(name).defaults(names, repeated)
    return name


def train(
    data: Annotated[str, typer.Option(help="Training data: synthetic, or the folder or file of a data set.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .safetensors file to write.")],
    recipe: Annotated[
        str | None,
        typer.Option(
            callback=_use_recipe,
            is_eager=True,
            help=f"A recipe ({', '.join(recipe_names())}), or a TOML file of options. Those given here win.",
        ),
    ] = None,
    run_folder: Annotated[
        Path | None, typer.Option(help="Logs and training checkpoints; default: runs/NAME of the output.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing output.")] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Continue the run in the run folder, or add --epochs to a finished one."
        ),
    ] = False,
    init: Annotated[
        Path | None,
        typer.Option("--init", "--from", help="Fine-tune: start from the weights of this checkpoint."),
    ] = None,
    teachers: Annotated[
        list[Path] | None,
        typer.Option(
            "--teacher",
            help="Distill: half of every target is what this checkpoint predicts; may be repeated.",
        ),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(help=f"A preset ({', '.join(PRESETS)}), or a JSON file of network config fields."),
    ] = None,
    data_format: Annotated[
        str | None, _data_option("--format", help="Format of the data set; default: detected.")
    ] = None,
    folds: Annotated[str | None, _data_option(help="Cross-validate: number of folds, or loso.")] = None,
    faces: Faces = "auto",
    finder: Annotated[
        str | None,
        _data_option(help="Face finder of the checkpoint; default: that of the data's crops, else haar."),
    ] = None,
    face_margin: Annotated[
        float | None,
        _data_option(help="Share of a found face's box added on each side; default: as the data's crops."),
    ] = None,
    face_alignment: Annotated[
        str | None, _data_option(help="none, or five-points: turn faces by their landmarks.")
    ] = None,
    targets: Annotated[
        str, _data_option(help="What votes become: majority (a label) or probability (of every class).")
    ] = "majority",
    drop_duplicates: Annotated[
        bool,
        _data_option(
            "--drop-duplicates/--keep-duplicates",
            help="Leave images out of training that validation or test also have.",
        ),
    ] = False,
    fold: Annotated[str | None, _data_option(help="The fold to train, from 0; default: all.")] = None,
    holdout: Annotated[
        float | None,
        _data_option(help="Share of a data set without official split to test on, such as 0.2."),
    ] = None,
    train_images: Annotated[
        int | None, _data_option(min=7, help="Synthetic faces to train on; default: 16,000.")
    ] = None,
    val_images: Annotated[
        int | None, _data_option(min=7, help="Synthetic faces for validation; default: 700.")
    ] = None,
    test_images: Annotated[
        int | None, _data_option(min=7, help="Held-out synthetic faces for the test; default: 2,100.")
    ] = None,
    epochs: Annotated[int, _recipe_option(min=1)] = 10,
    batch_size: Annotated[int, _recipe_option(min=2, help="Per process.")] = 64,
    learning_rate: Annotated[float, _recipe_option(min=0.0)] = 2e-3,
    weight_decay: Annotated[float, _recipe_option(min=0.0)] = 1e-2,
    schedule: Annotated[
        str, _recipe_option(help="Learning rate schedule: one-cycle or cosine.")
    ] = "one-cycle",
    warmup_epochs: Annotated[
        float | None,
        _recipe_option(help="Linear warm-up of the cosine schedule; default: 1, or 0 for one epoch."),
    ] = None,
    balance: Annotated[
        str, _recipe_option(help="Class balancing: none, loss (weights) or sampler.")
    ] = "none",
    label_smoothing: Annotated[float, _recipe_option(help="Label smoothing, from 0 to below 1.")] = 0.0,
    augmentation: Annotated[
        str, _recipe_option(help="none, light, full, or faces (for crops of real faces).")
    ] = "full",
    magnitude: Annotated[float, _recipe_option(help="Scale of the changes of --augmentation faces.")] = 1.0,
    mixup: Annotated[float, _recipe_option(min=0.0, help="Alpha of mixup; 0 for none.")] = 0.0,
    cutmix: Annotated[float, _recipe_option(min=0.0, help="Alpha of CutMix; 0 for none.")] = 0.0,
    ema: Annotated[
        float | None, _recipe_option(help="Decay of the moving average of the weights, which is then saved.")
    ] = None,
    patience: Annotated[
        int | None,
        _recipe_option(min=1, help="Stop after this many epochs without a better validation accuracy."),
    ] = None,
    seed: Annotated[int, _recipe_option(min=0, max=4095)] = 0,
    precision: Annotated[str, _machine_option(help="32-true, bf16-mixed or 16-mixed (CUDA).")] = "32-true",
    devices: Annotated[int, _machine_option(min=1, help="Processes, or GPUs, per machine.")] = 1,
    nodes: Annotated[int, _machine_option(min=1, help="Machines.")] = 1,
    workers: Annotated[
        int, _machine_option(min=1, help="Processes that render, threads that decode.")
    ] = usable_cpus(),
    json_output: Annotated[
        bool, typer.Option("--json", help="Print the figures as one JSON document.")
    ] = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Train the network and write a checkpoint."""
    configure_logging(verbose, quiet or (devices * nodes > 1 and is_helper()))
    options = TrainingOptions(
        output=output,
        run_folder=run_folder or Path("runs") / output.stem,
        force=force,
        resume=resume,
        init=init,
        teachers=tuple(teachers or ()),
        network=network_option(network),
        data=data,
        format=data_format,
        faces=cast("FacesOption", faces),
        face_finder=finder,
        face_margin=face_margin,
        face_alignment=cast("FaceAlignment | None", face_alignment),
        targets=cast("Targets", targets),
        drop_duplicates=drop_duplicates,
        folds=folds_option(folds),
        fold=fold_option(fold),
        holdout=holdout,
        images=_images(data, {"train": train_images, "val": val_images, "test": test_images}),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        schedule=cast(Schedule, schedule),
        warmup_epochs=warmup_epochs,
        balance=cast(Balance, balance),
        label_smoothing=label_smoothing,
        augmentation=cast(Augmentation, augmentation),
        magnitude=magnitude,
        mixup=mixup,
        cutmix=cutmix,
        ema=ema,
        patience=patience,
        seed=seed,
        precision=cast(Precision, precision),
        devices=devices,
        nodes=nodes,
        workers=workers,
        recipe=read_recipe(recipe).provenance() if recipe else {},
        command=("lnlattennet", *map(printable, sys.argv[1:])),
    )
    options.check()
    _check_output(output)
    for module in ("lightning", "tensorboard"):
        require(module, "train")
    from lnlattennet.training._train import train as run

    result = run(options)
    if result is None:  # a process that only helped the first
        return
    print_json(result.to_dict()) if json_output else stdout().print(_sentence(result))


def _images(data: str, chosen: dict[str, int | None]) -> dict[str, int]:
    """Return the number of synthetic faces per split: those chosen, and the usual ones without a data set."""
    usual = _IMAGES if data == SYNTHETIC else {}
    return usual | {split: count for split, count in chosen.items() if count is not None}


def _sentence(result: TrainingResult | CrossValidationResult) -> str:
    from lnlattennet.training._results import CrossValidationResult

    if isinstance(result, CrossValidationResult):
        return (
            f"wrote {result.summary}: {result.mean_accuracy:.1%} mean accuracy of {len(result.folds)} folds "
            f"(standard deviation {result.standard_deviation:.1%}), {result.pooled_accuracy:.1%} of "
            f"{result.faces} faces"
        )
    tested = "there is no test split"
    if result.test_accuracy is not None:
        tested = f"{result.test_accuracy:.1%} on {result.judged_faces} held-out faces"
    return (
        f"wrote {result.checkpoint}: {tested}, {result.val_accuracy:.1%} on validation, "
        f"{result.training_seconds} s of training"
    )


def _check_output(output: Path) -> None:
    """Raise if the output could not be written at the end of the training, before it begins."""
    if output.suffix != ".safetensors":
        raise UsageError(f"--output must end in .safetensors, got {output}")
    if output.is_dir():
        raise UsageError(f"--output {output} is a folder: choose another")
    with output_errors(output):
        try_folder(output.parent)
