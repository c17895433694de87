"""An engine on its way from the build to the selection."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lnlattennet.bundle._manifest import EngineRecord


@dataclass
class Candidate:
    """An engine that was built.

    Attributes:
        record: the manifest's record, complete once the engine was verified and timed.
        path: the file that its backend loads.
        planned: precision -> layers that the plan puts in it.
        plans_tried: how many plans a search tried until it found this one; 1 without a search.
        samples: batch size -> every timed call in milliseconds.
    """

    record: EngineRecord
    path: Path
    planned: dict[str, int]
    plans_tried: int = 1
    samples: dict[int, list[float]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the engine."""
        return self.record.name

    @property
    def passed(self) -> bool:
        """Whether it ran and passed the gate."""
        return self.record.status == "passed"
