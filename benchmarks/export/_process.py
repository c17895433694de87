"""One export in a process that does nothing else, and the seconds of its steps.

    python -P -m lnlattennet.benchmarks.export._process OPTIONS

OPTIONS are ``ExportOptions`` as JSON. It prints one JSON object: step -> seconds.
"""

from __future__ import annotations

import json
import logging
import sys

from lnlattennet._console import STATUS_TOOK
from lnlattennet.benchmarks.harness._command import main
from lnlattennet.bundle._export_options import ExportOptions
from lnlattennet.export._pipeline import export_engine


class Steps(logging.Handler):
    """Handler that adds up how long the steps took that the export names while it runs.

    Attributes:
        seconds: step -> seconds; steps that differ in what they name after their first word are one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Add a step's duration."""
        if record.msg == STATUS_TOOK and isinstance(record.args, tuple):
            text, seconds = record.args
            step = str(text).partition(" ")[0]
            self.seconds[step] = self.seconds.get(step, 0.0) + float(str(seconds))


def run(options: str) -> int:
    """Run as the program that this module describes; return the exit code."""
    steps, logger = Steps(), logging.getLogger("lnlattennet")
    logger.addHandler(steps)
    logger.setLevel(logging.DEBUG)
    export_engine(ExportOptions.model_validate_json(options))
    sys.stdout.write(json.dumps(steps.seconds))
    return 0


if __name__ == "__main__":
    main(lambda: run(sys.argv[1]))
