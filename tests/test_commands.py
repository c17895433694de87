"""The list of subcommands: its summaries, its cost, and the version."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

import lnlattennet
from lnlattennet._cli import SUBCOMMANDS, app, load_command
from lnlattennet._command import print_json

RUNNER = CliRunner()


def output(*arguments: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_summaries_in_the_list_equal_those_of_the_commands(name: str) -> None:
    text = load_command(name).help or ""
    assert SUBCOMMANDS[name][1] == text.partition("\n\n")[0].replace("\n", " ")
    assert f"  {name} " in RUNNER.invoke(app, ["--help"]).output


def helps(command: Any) -> Iterator[str]:
    yield command.help or ""
    for subcommand in getattr(command, "commands", {}).values():
        yield from helps(subcommand)


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_no_line_of_a_help_breaks_early(name: str) -> None:
    """Typer joins the lines of the first paragraph only; the others break where the source does."""
    for text in helps(load_command(name)):
        assert not [paragraph for paragraph in text.strip().split("\n\n")[1:] if "\n" in paragraph]


def test_the_list_imports_no_command_and_nothing_heavy() -> None:
    code = (
        "import sys; from lnlattennet._cli import app; app(['--help'], standalone_mode=False); "
        "print(*sys.modules)"
    )
    modules = set(output("-c", code).splitlines()[-1].split())
    assert not {"numpy", "pydantic", "rich", "torch"} & modules
    own = {name for name in modules if name.startswith("lnlattennet.")}
    light = ("_cli", "_cli_options", "_command", "_interrupt", "_lazy", "_version", "errors")
    assert own == {f"lnlattennet.{name}" for name in light}


PROGRAMS = {
    "lnlattennet": ["-m", "lnlattennet"],
    "export-engine": ["-c", "from lnlattennet.export._cli import main; main()"],
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_shows_its_version_and_takes_the_short_help(program: str) -> None:
    assert output(*PROGRAMS[program], "--version") == f"lnlattennet {lnlattennet.__version__}\n"
    assert output(*PROGRAMS[program], "-h") == output(*PROGRAMS[program], "--help")


@pytest.mark.parametrize("words", [["predict"], ["data"], ["data", "inspect"], ["kernels", "build"]])
def test_every_subcommand_takes_the_short_help(words: list[str]) -> None:
    result = RUNNER.invoke(app, [*words, "-h"])
    assert result.exit_code == 0
    assert f"{' '.join(words)} [OPTIONS]" in result.output


DOCUMENT = {
    "names": ["悲しみ", "[1,\n2]", "\x9b31m", "[ a  b ]"],
    "rows": [[1.5, 2], [None, True]],
    "empty": [],
    "nested": [{"x": [1]}],
}


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "utf-16"])
def test_json_is_readable_and_unchanged(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(stream, encoding))
    print_json(DOCUMENT)
    text = stream.getvalue().decode(encoding)
    assert json.loads(text) == DOCUMENT
    assert "    [1.5, 2],\n    [null, true]\n" in text
    assert ("悲しみ" in text) == encoding.startswith("utf")
    assert "\x9b" not in text


def test_a_text_that_is_no_unicode_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(stream, "utf-8"))
    print_json({"name": "\udce9"})
    assert json.loads(stream.getvalue()) == {"name": "\udce9"}


def test_a_mistyped_command_is_a_usage_error_with_the_nearest_name() -> None:
    result = RUNNER.invoke(app, ["predit"])
    assert result.exit_code == 2
    assert "Did you mean 'predict'" in result.output


def test_the_shell_completes_the_options_of_a_command() -> None:
    environment = {
        "_LNLATTENNET_COMPLETE": "complete_bash",
        "COMP_WORDS": "lnlattennet predict --over",
        "COMP_CWORD": "2",
    }
    result = RUNNER.invoke(app, [], prog_name="lnlattennet", env=environment)
    assert result.output.split() == ["--overlay"]
