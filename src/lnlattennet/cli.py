"""The command `lnlattennet`: every room brings its own commands, this file only gathers them."""

from __future__ import annotations

import typer

from lnlattennet.command import run_app
from lnlattennet.evaluation.cli import evaluate
from lnlattennet.evaluation.cli_explain import explain
from lnlattennet.export.cli_bundle import compare, doctor, info
from lnlattennet.kernels_cli import app as kernels
from lnlattennet.serving.cli import predict, serve
from lnlattennet.training.cli import train
from lnlattennet.training.cli_data import app as data

app = typer.Typer(
    help="From a facial-expression checkpoint to a verified, fast, served engine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (info, doctor, compare, train, evaluate, explain, serve, predict):
    app.command()(command)
app.add_typer(data, name="data")
app.add_typer(kernels, name="kernels")


def main() -> None:
    """Entry point of the console script."""
    run_app(app)
