"""Check of paths for Triton's python backend, which starts its processes through a shell, unquoted."""

from __future__ import annotations

import re
from pathlib import Path

from lnlattennet.errors import ServingError

_SAFE = re.compile(r"[A-Za-z0-9_./+@%:,=-]*")


def require_shell_safe_path(path: Path, hint: str) -> None:
    """Refuse a path that a shell would split or execute.

    Raises:
        ServingError: the path holds a character other than letters, digits and ``_./+@%:,=-``.
    """
    if not _SAFE.fullmatch(str(path)):
        raise ServingError(
            f"Triton's python backend cannot start from {str(path)!r}: a path may hold only letters, digits "
            f"and _ . / + @ % : , = - ; {hint}"
        )
