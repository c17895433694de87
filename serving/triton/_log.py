"""Reasons for a server's failure, read from tritonserver's log."""

from __future__ import annotations

import re
from pathlib import Path

_LOAD_FAILURE = re.compile(r"failed to load '(?P<model>[^']+)' version \d+: (?P<reason>.*)")
_LAST_LINES = 5
_LONGEST_LINE = 300


def failure_reasons(log: Path) -> str:
    """Return why a server failed, each reason on an indented line of its own; "" if the log is empty.

    Reasons are the models that did not load; where all did, the log's last lines.
    """
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    reasons = _load_failures(lines) or [line[:_LONGEST_LINE] for line in lines[-_LAST_LINES:]]
    return "".join(f"\n  {reason}" for reason in reasons)


def _load_failures(lines: list[str]) -> list[str]:
    models: dict[str, list[str]] = {}
    for match in filter(None, map(_LOAD_FAILURE.search, lines)):
        # The log escapes line ends; python models append their traceback on the lines after the first.
        reason = match["reason"].split(r"\n")[0].rstrip('"')
        models.setdefault(reason, []).append(match["model"])
    return [f"{', '.join(names)}: {reason}" for reason, names in models.items()]
