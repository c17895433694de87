"""Commands in processes of their own, as a user starts them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any


def run(program: str, *arguments: object, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run a program of this environment's `bin` folder (or any, by its path)."""
    command = [str(Path(sys.executable).parent / program), *map(str, arguments)]
    return subprocess.run(
        command, **{"capture_output": True, "text": True, "timeout": 120, "check": False} | settings
    )
