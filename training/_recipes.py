"""Recipes: TOML files of options of `lnlattennet train`, one for each published result."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnlattennet.errors import UsageError

_FOLDER = Path(__file__).with_name("recipes")


@dataclass(frozen=True)
class Recipe:
    """Options that a file gives.

    Attributes:
        name: name of the file, without its extension.
        sha256: digest of its content.
        values: option, as `batch-size`, -> value; ``network`` is a preset or a table of fields.
    """

    name: str
    sha256: str
    values: dict[str, Any]

    def defaults(self, parameters: Mapping[str, str], repeated: Set[str]) -> dict[str, Any]:
        """Return the values as a command line would give them, by parameter.

        Args:
            parameters: option, without its dashes, -> name of its parameter.
            repeated: options that may be given several times; one value of theirs needs no list.

        Raises:
            UsageError: the recipe has an option that is not among them, or an empty value.
        """
        unknown = sorted(set(self.values) - set(parameters))
        if unknown:
            raise UsageError(
                f"--recipe {self.name}: there is no option {unknown[0]!r}; known: "
                f"{', '.join(sorted(parameters))}"
            )
        arguments: dict[str, Any] = {}
        for option, value in self.values.items():
            if value == "":
                raise UsageError(f"--recipe {self.name}: {option!r} must not be empty; leave it out")
            listed = option in repeated and not isinstance(value, list)
            arguments[parameters[option]] = _as_argument([value] if listed else value)
        return arguments

    def provenance(self) -> dict[str, str]:
        """Return what a checkpoint says of its recipe."""
        return {"name": self.name, "sha256": self.sha256}


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with this package."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def read_recipe(name: str) -> Recipe:
    """Read a recipe of this package by its name, or a TOML file; raises UsageError if it is neither."""
    path = _FOLDER / f"{name}.toml" if name in recipe_names() else Path(name)
    try:
        content = path.read_bytes()
        values = tomllib.loads(content.decode())
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--recipe {name} is neither a recipe ({', '.join(recipe_names())}) nor a readable TOML file: "
            f"{error}"
        ) from error
    return Recipe(path.stem, hashlib.sha256(content).hexdigest(), values)


def _as_argument(value: Any) -> str | list[str]:
    """Return a value as an argument, so that it is checked like one: 2.5 and true are no number of epochs."""
    if isinstance(value, list):
        return [str(item) for item in value]
    return json.dumps(value) if isinstance(value, dict) else str(value)
