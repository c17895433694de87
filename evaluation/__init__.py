"""Evaluation of checkpoints, bundles and servers: metrics with intervals, reports and explanations."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lnlattennet.evaluation._evaluate import Evaluation, EvaluationDocument, EvaluationOptions, evaluate
    from lnlattennet.evaluation._report import write_report
    from lnlattennet.evaluation.explain._explain import (
        ExplanationIndex,
        ExplanationOptions,
        explain_checkpoint,
    )
    from lnlattennet.evaluation.predictors._base import Predictor
    from lnlattennet.evaluation.predictors._open import open_predictor

__all__ = [
    "Evaluation",
    "EvaluationDocument",
    "EvaluationOptions",
    "ExplanationIndex",
    "ExplanationOptions",
    "Predictor",
    "evaluate",
    "explain_checkpoint",
    "open_predictor",
    "write_report",
]

_MODULES = {
    "ExplanationIndex": "explain._explain",
    "ExplanationOptions": "explain._explain",
    "Predictor": "predictors._base",
    "explain_checkpoint": "explain._explain",
    "open_predictor": "predictors._open",
    "write_report": "_report",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562): the command's module must load fast."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES.get(name, '_evaluate')}"), name)
