"""Rule for the class names of a user's own data: two that look like one are one by mistake."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lnlattennet._command import printable
from lnlattennet.errors import DataError


def require_distinct_names(path: Path, names: Sequence[str]) -> None:
    """Refuse class names of the data set at ``path`` that differ in case, spaces or Unicode form only.

    Raises:
        DataError: there are some; it names them.
    """
    spelled = Counter(map(_spelling, names))
    alike = [printable(name) for name in names if spelled[_spelling(name)] > 1]
    if alike:
        raise DataError(
            f"{printable(path)} has classes whose names differ in case only, in spaces, or in the Unicode "
            f"form of their accents: {', '.join(alike)}; give each class one name"
        )


def _spelling(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())
