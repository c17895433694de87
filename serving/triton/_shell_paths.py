"""Paths that Triton's python backend can take: it starts its processes through a shell, unquoted."""

from __future__ import annotations

import re
from pathlib import Path

from lnlattennet.errors import ServingError

_PLAIN = re.compile(r"[A-Za-z0-9_./+@%:,=-]*")


def require_plain_path(path: Path, way_out: str) -> None:
    """Refuse a path that a shell would take apart, or worse, run.

    Raises:
        ServingError: a character other than letters, digits and ``_./+@%:,=-`` is in it.
    """
    if not _PLAIN.fullmatch(str(path)):
        raise ServingError(
            f"Triton's python backend cannot start from {str(path)!r}: a path may hold only letters, digits "
            f"and _ . / + @ % : , = - ; {way_out}"
        )
