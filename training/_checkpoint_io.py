"""Training checkpoints on the disk: written as a whole, and named if they are damaged."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from lnlattennet._atomic import replace_file
from lnlattennet.errors import CheckpointError


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints that replace the earlier one at once.

    Lightning's own are written to the system's temporary folder and moved: into another file system that is a
    copy, of which a kill leaves a part, and what was moved may not be on the disk yet.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write ``checkpoint`` to ``path``; an error leaves the file that was there."""
        with replace_file(Path(path)) as draft:
            torch.save(checkpoint, draft)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint.

        Raises:
            CheckpointError: the file is damaged.
            OSError: it cannot be read.
        """
        try:
            return dict(torch.load(path, map_location=map_location, weights_only=weights_only))
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
            # In a file that was cut torch seeks to before its start: an OSError without a name. A file that
            # the system does not open may be whole, and to remove it would lose it.
            if isinstance(error, OSError) and error.filename is not None:
                raise
            raise CheckpointError(
                f"the training checkpoint {path} is damaged or cut off: remove it, and the same command with "
                "--resume begins the run anew"
            ) from error
