"""Evaluation of checkpoints, bundles and servers: metrics with intervals, reports and explanations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lnlattennet._lazy import lazy_names

if TYPE_CHECKING:
    from lnlattennet.evaluation._evaluate import Evaluation, EvaluationDocument, EvaluationOptions, evaluate
    from lnlattennet.evaluation._report import write_report
    from lnlattennet.evaluation.explain._explain import ExplanationOptions, explain_checkpoint
    from lnlattennet.evaluation.predictors._base import Predictor
    from lnlattennet.evaluation.predictors._open import open_predictor

__all__ = [
    "Evaluation",
    "EvaluationDocument",
    "EvaluationOptions",
    "ExplanationOptions",
    "Predictor",
    "evaluate",
    "explain_checkpoint",
    "open_predictor",
    "write_report",
]

__getattr__ = lazy_names(__name__, __file__)
