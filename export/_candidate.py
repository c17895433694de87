"""Record of an engine between its build and the selection."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lnlattennet.bundle._manifest import EngineRecord


@dataclass
class Candidate:
    """Engine that was built.

    Attributes:
        record: the manifest's record, complete once the engine was verified and timed.
        path: the file that its backend loads.
        planned: precision -> number of layers that the plan puts in it.
        plans_tried: number of plans that a search tried; 1 without a search.
        samples: batch size -> milliseconds of every timed call.
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
