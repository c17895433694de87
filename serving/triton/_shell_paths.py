"""Check of paths for Triton's python backend, which starts its processes through a shell, unquoted."""

from __future__ import annotations

from pathlib import Path

from lnlattennet._program_folder import is_plain
from lnlattennet.errors import ServingError


def require_shell_safe_path(path: Path, hint: str) -> None:
    """Refuse a path that a shell would split or execute.

    Raises:
        ServingError: the path holds a character other than letters, digits and ``_./+@%:,=-``.
    """
    if not is_plain(path):
        raise ServingError(
            f"Triton's python backend cannot start from {str(path)!r}: a path may hold only letters, digits "
            f"and _ . / + @ % : , = - ; {hint}"
        )
