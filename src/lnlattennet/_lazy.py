"""Public names of a package that are imported when they are first used (PEP 562)."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any


def lazy_names(package: str, init_file: str) -> Callable[[str], Any]:
    """Return a package's ``__getattr__``; it imports what the ``__init__`` lists under ``if TYPE_CHECKING``.

    Type checkers need that list of imports in any case, so it is the only one. It is read when the first name
    is used, which takes a millisecond.

    Args:
        package: ``__name__`` of the package.
        init_file: its ``__file__``.
    """
    modules: dict[str, str] = {}

    def import_name(name: str) -> Any:
        if not modules:
            for node in ast.walk(ast.parse(Path(init_file).read_bytes())):
                if isinstance(node, ast.ImportFrom) and node.module:
                    modules.update(dict.fromkeys((alias.name for alias in node.names), node.module))
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(modules[name]), name)

    return import_name
