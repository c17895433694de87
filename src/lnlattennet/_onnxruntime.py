"""Import of ONNX Runtime, which decides on its telemetry when it is first imported."""

from __future__ import annotations

import os
from typing import Any

NO_TELEMETRY = {"ORT_DISABLE_TELEMETRY": "1"}
"""Environment of a process that runs ONNX Runtime: since 1.29 it reports its use to Microsoft by default."""


def import_onnxruntime() -> Any:
    """Import ONNX Runtime without its telemetry."""
    for name, value in NO_TELEMETRY.items():
        os.environ.setdefault(name, value)
    import onnxruntime

    return onnxruntime
