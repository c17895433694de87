"""Training of the network with Lightning, on data sets or rendered faces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lnlattennet._lazy import lazy_names

if TYPE_CHECKING:
    from lnlattennet.training._options import TrainingOptions
    from lnlattennet.training._results import CrossValidationResult, TrainingResult
    from lnlattennet.training._train import train

__all__ = ["CrossValidationResult", "TrainingOptions", "TrainingResult", "train"]

__getattr__ = lazy_names(__name__, __file__)
