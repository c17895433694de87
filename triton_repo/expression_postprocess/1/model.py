"""Checked engine outputs, probabilities and label."""

from __future__ import annotations

from lnlattennet.bundle._bundle import Bundle
from lnlattennet.serving.triton._python_model import PythonModel
from lnlattennet.serving.triton._stages import AnswerStep, Stage, each


class TritonPythonModel(PythonModel):
    """Each request is handled alone: an engine output that breaks a rule fails only its own request."""

    def stages(self, bundle: Bundle) -> list[Stage]:
        """Check, then name the most probable class."""
        return [each(AnswerStep(bundle.manifest))]
