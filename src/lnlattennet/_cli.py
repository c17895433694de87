"""Command `lnlattennet`: a list of subcommands, each imported when it runs.

Importing all of them takes several times as long as printing the list, so this module repeats
their summaries; a test compares each with the docstring of its command.
"""

from __future__ import annotations

import importlib
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from lnlattennet._cli_options import HELP_FLAGS, Version
from lnlattennet._command import run_app

SUBCOMMANDS = {
    "info": ("bundle._cli:info", "Describe a network or a bundle."),
    "doctor": ("bundle._cli:doctor", "Check which engines of a bundle run here or in a Triton release."),
    "compare": ("bundle._cli:compare", "Compare two bundles: engines, latency, agreement and size."),
    "train": ("training._cli:train", "Train the network and write a checkpoint."),
    "evaluate": (
        "evaluation._cli:evaluate",
        "Evaluate a checkpoint, a bundle or a running server on labeled faces.",
    ),
    "explain": (
        "evaluation.explain._cli:explain",
        "Show what the network looks at: weights, affinity and attention.",
    ),
    "deploy": ("serving.cli._deploy:deploy", "Write a bundle's Triton model repository, and check it."),
    "versions": (
        "serving.cli._versions:versions",
        "List a deployment's versions, or serve another one.",
    ),
    "serve": ("serving.cli._serve:serve", "Serve a bundle with NVIDIA Triton until Ctrl-C or SIGTERM."),
    "gateway": (
        "serving.gateway._command:gateway",
        "Answer clients on the network for a Triton server on this machine.",
    ),
    "predict": ("streams.cli._predict:predict", "Predict the expression on images, with region weights."),
    "bench": ("benchmarks._cli:app", "Measure speed, and compare records."),
    "score": ("streams.cli._score:score", "Predict the expression on millions of images, on a Ray cluster."),
    "timeline": (
        "streams.cli._timeline:timeline",
        "Show the expressions of every person over time, as a page.",
    ),
    "data": ("data._cli:app", "Inspect and prepare data sets of faces."),
    "kernels": ("_kernels_cli:app", "Build the compiled attention kernels, or show which run."),
}
"""Name -> location of the command, and its summary."""


class _LazyGroup(TyperGroup):
    """A group whose commands are placeholders until one of them is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command that ``args`` names, then resolve it as usual."""
        if args[0] in SUBCOMMANDS:
            self.commands[args[0]] = load_command(args[0])
        return super().resolve_command(ctx, args)


def load_command(name: str) -> Any:
    """Import a subcommand and return it as the command object that Typer runs."""
    module, _, attribute = SUBCOMMANDS[name][0].partition(":")
    command = getattr(importlib.import_module(f"lnlattennet.{module}"), attribute)
    if not isinstance(command, typer.Typer):
        function, command = command, typer.Typer(pretty_exceptions_enable=False)
        command.command(name)(function)
    return typer.main.get_command(command)


app = typer.Typer(
    help="From a facial-expression checkpoint to a verified, fast, served engine.",
    cls=_LazyGroup,
    # rich would only draw frames around the list, and importing it takes longer than everything else.
    rich_markup_mode=None,
    context_settings=HELP_FLAGS,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _options(version: Version = False) -> None:
    pass


def _placeholder() -> None:
    """Stand for a command that was not called."""


for _name, (_, _summary) in SUBCOMMANDS.items():
    app.command(_name, help=_summary)(_placeholder)


def main() -> NoReturn:
    """Entry point of the console script."""
    run_app(app)
