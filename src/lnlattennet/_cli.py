"""The command `lnlattennet`: every room brings its own commands, this file only gathers them."""

from __future__ import annotations

import typer

from lnlattennet._command import run_app
from lnlattennet.bundle._cli import compare, doctor, info
from lnlattennet.data._cli import app as data
from lnlattennet.evaluation._cli import evaluate
from lnlattennet.evaluation.explain._cli import explain
from lnlattennet.kernels._cli import app as kernels
from lnlattennet.serving.cli import predict, serve
from lnlattennet.training._cli import train

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
