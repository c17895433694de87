"""Recipes: what of them reaches the training, what is refused, and what the checkpoint says."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from lnlattennet.errors import ConfigError, UsageError
from lnlattennet.model._presets import PRESETS
from lnlattennet.training import _train
from lnlattennet.training._cli import train
from lnlattennet.training._options import TrainingOptions
from lnlattennet.training._recipes import recipe_names

RECIPES = Path(_train.__file__).with_name("recipes")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_logging: None) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def options(*arguments: str) -> TrainingOptions:
    """Return the options that the command trains with; nothing is trained."""
    given: list[TrainingOptions] = []
    app = typer.Typer()
    app.command()(train)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_train, "train", given.append)
        result = CliRunner().invoke(app, ["-o", "a.safetensors", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return given[0]


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.toml")))
def test_a_recipe_of_the_package_is_a_valid_command(name: str, folder: Path) -> None:
    assert name in recipe_names()
    chosen = options("--recipe", name, *([] if name == "demo" else ["--data", "faces"]))
    digest = hashlib.sha256((RECIPES / f"{name}.toml").read_bytes()).hexdigest()
    assert chosen.recipe == {"name": name, "sha256": digest}
    assert "recipe" not in chosen.settings()


def test_options_of_the_command_win_over_those_of_the_recipe(folder: Path) -> None:
    recipe = folder / "mine.toml"
    recipe.write_text(
        'data = "faces"\nepochs = 7\nseed = 4\nema = 0.9\n[network]\npreset = "small"\ngrid = 2\n'
    )
    chosen = options("--recipe", "mine.toml", "--seed", "0")
    assert (chosen.data, chosen.epochs, chosen.seed, chosen.ema) == ("faces", 7, 0, 0.9)
    assert chosen.network == replace(PRESETS["small"], grid=2)
    assert chosen.recipe["name"] == "mine"
    assert options("--seed", "5", "--recipe", "mine.toml", "--network", "base").network == PRESETS["base"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "there is no option 'epoch'; known: augmentation, balance, "),
        ('recipe = "demo"', "there is no option 'recipe'"),
        ("epochs = ", "neither a recipe"),
        ('init = ""', "'init' must not be empty; leave it out"),
        ('[network]\nchanels = 3', "unknown network config field 'chanels'"),
    ],
)  # fmt: skip
def test_a_wrong_recipe_is_refused_by_name(text: str, message: str, folder: Path) -> None:
    (folder / "mine.toml").write_text(f"{text}\n")
    with pytest.raises((UsageError, ConfigError), match=message):
        options("--data", "faces", "--recipe", "mine.toml")


@pytest.mark.parametrize("value", ['"t.safetensors"', '["t.safetensors"]'])
def test_one_value_of_an_option_that_may_be_repeated_needs_no_list(value: str, folder: Path) -> None:
    (folder / "t.safetensors").touch()
    (folder / "mine.toml").write_text(f"teacher = {value}\n")
    assert options("--data", "faces", "--recipe", "mine.toml").teachers == (Path("t.safetensors"),)


@pytest.mark.parametrize("value", ["true", "false"])
def test_a_flag_is_true_or_false(value: str, folder: Path) -> None:
    (folder / "mine.toml").write_text(f"drop-duplicates = {value}\nforce = {value}\n")
    chosen = options("--data", "faces", "--recipe", "mine.toml")
    assert (chosen.drop_duplicates, chosen.force) == (value == "true",) * 2


@pytest.mark.parametrize("value", ["2.5", "true"])
def test_values_are_checked_like_arguments(value: str, folder: Path) -> None:
    (folder / "mine.toml").write_text(f"epochs = {value}\n")
    with pytest.raises(AssertionError, match="Invalid value for '--epochs'"):
        options("--data", "faces", "--recipe", "mine.toml")


def test_a_recipe_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(UsageError, match=r"--recipe none is neither a recipe \(demo, .*ferplus-base.*\) nor"):
        options("--recipe", "none")
