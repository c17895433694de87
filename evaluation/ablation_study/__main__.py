"""Command that writes docs/records/ablations.md.

python -m lnlattennet.evaluation.ablation_study ...                          # what `make ablations` runs
python -m lnlattennet.evaluation.ablation_study --data TREE --recipe NAME ...
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Annotated

import typer

from lnlattennet._atomic import replace_file
from lnlattennet._command import configure_logging, run_app
from lnlattennet._console import stdout
from lnlattennet.errors import UsageError
from lnlattennet.evaluation.ablation_study._options import DataSetStudyOptions, StudyOptions
from lnlattennet.evaluation.ablation_study._record import StudyRecord
from lnlattennet.evaluation.ablation_study._study import run_study
from lnlattennet.evaluation.ablation_study._tables import ablation_table, occlusion_figure
from lnlattennet.evaluation.explain._drawing import save_png
from lnlattennet.model._provenance import SYNTHETIC
from lnlattennet.training._ablations import ABLATIONS
from lnlattennet.training._recipes import read_recipe

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_START, _END = "<!-- ablations: made by `make ablations` -->", "<!-- end of ablations -->"


@app.command()
def ablation_study(
    record: Annotated[Path, typer.Option(help="File of every run's figures; continued if it exists.")],
    page: Annotated[Path, typer.Option(help="Markdown page whose table is replaced.")],
    chart: Annotated[Path, typer.Option("--picture", help="PNG file for the occlusion curves.")],
    data: Annotated[str, typer.Option(help="synthetic, or the folder or file of a data set.")] = SYNTHETIC,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe of `lnlattennet train`, or a TOML file, for a data set.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=2, help="Number of trainings of every ablation.")] = 3,
    train_images: Annotated[int, typer.Option(min=64, help="Faces to train on.")] = StudyOptions.train_images,
    test_images: Annotated[int, typer.Option(min=7, help="Faces to evaluate on.")] = StudyOptions.test_images,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Epochs of every training.", show_default="8, or the recipe's"),
    ] = None,
) -> None:
    """Train the network and its ablations, and write a table of their figures."""
    configure_logging(0, False)
    if (data == SYNTHETIC) != (recipe is None):
        raise UsageError("--data of a data set and --recipe are given together: the recipe says how to train")
    options: StudyOptions | DataSetStudyOptions
    if recipe is not None:
        options = DataSetStudyOptions(
            seeds=tuple(range(seeds)), data=Path(data), recipe=read_recipe(recipe), epochs=epochs
        )
    else:
        options = StudyOptions(
            seeds=tuple(range(seeds)),
            train_images=train_images,
            test_images=test_images,
            epochs=epochs or StudyOptions.epochs,
        )
    study = run_study(options, record)
    save_png(occlusion_figure(study), chart)
    write_between(page, f"{_setup(study)}\n\n{ablation_table(study)}")
    stdout().print(f"wrote {page}, {chart} and {record}")


def write_between(page: Path, text: str) -> None:
    """Replace what stands between the page's two marks, or begin a page that has them."""
    before, after = "# Results\n\n", "\n"
    if page.exists():
        before, _, rest = page.read_text(encoding="utf-8").partition(_START)
        after = rest.partition(_END)[2]
    with replace_file(page) as draft:
        draft.write_text(f"{before}{_START}\n\n{text}\n\n{_END}{after}", encoding="utf-8")


def _setup(record: StudyRecord) -> str:
    settings = record.settings
    # Not the mean: the clock also runs while a training is stopped.
    seconds = statistics.median(run.training_seconds for run in record.runs)
    fields = json.dumps({name: settings["network"][name] for name in ("image_size", "widths", "channels")})
    if "recipe" in settings:
        faces = f"{settings['data']} by the recipe {settings['recipe']}, {settings['epochs']} epochs"
    else:
        faces = (
            f"{settings['train_images']:,} rendered faces to train on, "
            f"{settings['epochs']} epochs, {settings['test_images']:,} held-out faces"
        )
    return (
        f"{len(record.runs) // len(ABLATIONS)} seeds; {faces}; network {fields}; "
        f"{seconds:.0f} s a training (median) on the machine of the record. Mean ± standard deviation over "
        "the seeds, in percent or points of accuracy but for the factor."
    )


if __name__ == "__main__":
    run_app(app)
