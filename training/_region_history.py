"""History of the region weights during training, for `lnlattennet explain`."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import lightning as L

from lnlattennet._atomic import replace_file
from lnlattennet.training._module import REGION_METRIC


class RegionHistory(L.Callback):
    """Writes `region_weights.csv`: every epoch's mean weight of each region over the validation faces.

    Columns: ``step`` (of the optimizer), ``region_0`` .. ``region_{K-1}``. The rows travel with the training
    checkpoint, so that a resumed run continues the file where that checkpoint was made.

    Args:
        path: the file.
        regions: K.
    """

    def __init__(self, path: Path, regions: int) -> None:
        self.path = path
        self.regions = regions
        self.rows: list[list[float]] = []

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add the epoch's row; the trial batches before training are none."""
        if trainer.sanity_checking:
            return
        weights = [float(trainer.callback_metrics[f"{REGION_METRIC}{k}"]) for k in range(self.regions)]
        self.rows.append([trainer.global_step, *weights])
        if trainer.is_global_zero:
            self._write()

    def state_dict(self) -> dict[str, Any]:
        """Return the rows so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the rows of the checkpoint that is continued."""
        self.rows = [list(row) for row in state_dict["rows"]]

    def _write(self) -> None:
        with replace_file(self.path) as draft, draft.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["step", *(f"region_{k}" for k in range(self.regions))])
            writer.writerows([step, *(f"{weight:.6f}" for weight in weights)] for step, *weights in self.rows)
