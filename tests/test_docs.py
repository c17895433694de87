"""Links, commands, flags and names in the documentation exist."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from lnlattennet._cli import SUBCOMMANDS, load_command
from lnlattennet.export._cli import export_engine

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "checkpoints/*.md", "examples/*.md", ".github/*.md")
    for path in ROOT.glob(pattern)
)
FOREIGN_FLAGS = {
    "--device", "--quick", "--help", "--disable-auto-complete-config",
    "--grpc-infer-allocation-pool-size", "--spider",
}  # fmt: skip
"""Options of other programs and of the benchmarks."""


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _prose(page: Path) -> str:
    return re.sub(r"^ *```.*?^ *```", "", _text(page), flags=re.MULTILINE | re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as MkDocs makes them."""
    titles = re.findall(r"^#+ (.+)$", _prose(page), flags=re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", title).strip().lower() for title in titles)
    return {re.sub(r"[-\s]+", "-", title) for title in plain}


def _commands() -> Iterator[tuple[Path, str]]:
    """Every call of this project's commands in shell blocks and in inline code."""
    for page in PAGES:
        blocks = re.findall(r"^ *```sh\n(.*?)^ *```", _text(page), flags=re.MULTILINE | re.DOTALL)
        lines = [line.strip() for block in blocks for line in block.splitlines()]
        lines += [code.replace("\n", " ") for code in re.findall(r"`([^`]+)`", _prose(page))]
        yield from ((page, line) for line in lines if re.match(r"(lnlattennet|export-engine) ", line))


@cache
def _command(name: str) -> Any:
    if name != "export-engine":
        return load_command(name)
    app = typer.Typer()
    app.command()(export_engine)
    return get_command(app)


def _flags(command: Any) -> set[str]:
    return {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), target
        if anchor:
            assert anchor in _anchors(linked), target


def test_commands_have_the_options_that_the_documents_use() -> None:
    calls = list(_commands())
    assert len(calls) > 50
    for page, line in calls:
        words = shlex.split(line, comments=True)
        words = words[: words.index("|")] if "|" in words else words
        command = _command(words[0]) if words[0] == "export-engine" else None
        if command is None and words[1].startswith("-"):
            assert words[1] in ("--help", "--version", "--install-completion"), f"{page.name}: {line}"
            continue
        if command is None:
            assert words[1] in SUBCOMMANDS, f"{page.name}: {line}"
            command = _command(words[1])
            if hasattr(command, "commands") and len(words) > 2:
                # `bench` runs suites where no other command of it is named.
                inner = "run" if words[1] == "bench" and words[2] not in command.commands else words[2]
                assert inner in command.commands, f"{page.name}: {line}"
                command = command.commands[inner]
        for word in words[1:]:
            flag = word.partition("=")[0]
            if re.fullmatch(r"--?[a-z][\w-]*", flag) and flag != "--help":
                assert flag in _flags(command), f"{page.name}: {line}"


def test_flags_in_how_to_and_reference_exist() -> None:
    commands = [_command("export-engine"), *map(_command, SUBCOMMANDS)]
    commands += [inner for command in commands for inner in getattr(command, "commands", {}).values()]
    known = set().union(*map(_flags, commands)) | FOREIGN_FLAGS
    for page in PAGES:
        if page.parent.name not in ("howto", "reference") or page.name == "triton.md":
            continue
        for code in re.findall(r"`([^`]+)`", _prose(page)):
            if not re.match(r"(chrt|docker|python|pip|make|tritonserver|tensorboard) ", code):
                flags = re.findall(r"(?<![\w-])--[a-z][\w-]*", code)
                assert set(flags) <= known, f"{page.name}: {code}"


def test_dotted_names_exist() -> None:
    pattern = r"(?<![\w./:-])lnlattennet(?:\.[A-Za-z_]\w*)+"
    names = {name for page in PAGES for name in re.findall(pattern, _text(page))} - {
        "lnlattennet.benchmarks.X"
    }
    names.discard("lnlattennet.NAME")
    missing = sorted(name for name in names if not _resolves(name))
    assert not missing


def test_imported_names_exist() -> None:
    pattern = r"^from (lnlattennet[\w.]*) import ([\w, ]+)$"
    imports = {pair for page in PAGES for pair in re.findall(pattern, _text(page), flags=re.MULTILINE)}
    missing = [
        f"{module}.{name}"
        for module, names in imports
        for name in names.split(", ")
        if not _resolves(f"{module}.{name}")
    ]
    assert not missing


def _resolves(name: str) -> bool:
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        try:
            for attribute in parts[count:]:
                found = getattr(found, attribute)
        except AttributeError:
            return False
        return True
    return False


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", _text(ROOT / "Makefile"), flags=re.MULTILINE))
    used = {name for page in PAGES for name in re.findall(r"`make ([a-z-]+)", _text(page))}
    assert used
    assert used <= targets


def test_the_quick_start_names_every_extra() -> None:
    extras = tomllib.loads(_text(ROOT / "pyproject.toml"))["project"]["optional-dependencies"]
    named = re.findall(r"'lnlattennet\[(\w+)\]'", _text(ROOT / "docs" / "quickstart.md"))
    assert sorted(named) == sorted(extras.keys() - {"dev", "docs"})


def test_files_that_the_documents_name_exist() -> None:
    folders = (
        "benchmarks|bundle|data|docs|evaluation|export|images|kernels|machine|model|runtimes|serving|streams|"
        "training|tests|triton_repo|examples"
    )
    pattern = rf"(?:`|\b)((?:{folders})/[\w./-]+\.(?:py|md|json|cuh|cu|h|cpp|pbtxt))\b"
    for page in PAGES:
        for name in re.findall(pattern, _prose(page)):
            if "NAME" in name:
                continue
            assert (ROOT / name).exists(), f"{page.name}: {name}"


def test_every_environment_variable_is_documented() -> None:
    sources = [
        path
        for folder in ("images", "kernels", "machine", "runtimes", "serving", "src", "streams")
        for path in _sources(ROOT / folder)
    ]
    read_directly = r"(?:environ|getenv)\W{1,4}(?:get\W{1,3}|setdefault\W{1,3})?\"([A-Z][A-Z_]+)\""
    patterns = (read_directly, r"\"(LNLATTENNET_[A-Z_]+)\"")
    texts = [path.read_text(encoding="utf-8") for path in sources]
    read = {name for text in texts for pattern in patterns for name in re.findall(pattern, text)}
    assert "LNLATTENNET_CPU_TARGET" in read
    page = _text(ROOT / "docs" / "reference" / "environment.md")
    assert not {name for name in read if f"`{name}`" not in page}


def test_messages_in_troubleshooting_exist() -> None:
    """Headings quote error messages; `...` stands for a value."""
    messages = "\n".join(_messages())
    page = _text(ROOT / "docs" / "troubleshooting.md")
    quotes = [
        quote
        for title in re.findall(r"^### (.+)$", page, flags=re.MULTILINE)
        for quote in re.findall(r"`(.+?)`", title)
    ]
    assert len(quotes) > 25
    parts = [part.strip() for quote in quotes for part in quote.split("...")]
    assert not [part for part in parts if part not in messages]


def _messages() -> Iterator[str]:
    """Every string of the sources, with the constant parts of f-strings only."""
    for folder in (
        "bundle",
        "data",
        "evaluation",
        "export",
        "images",
        "kernels",
        "model",
        "runtimes",
        "serving",
        "src",
        "training",
    ):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def _sources(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix in (".py", ".cpp", ".h", ".cu")]
