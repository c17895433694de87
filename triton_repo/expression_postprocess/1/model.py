"""Checked engine outputs, probabilities and label."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lnlattennet.serving.triton.python_models._python_model import PythonModel
from lnlattennet.serving.triton.python_models._stages import Stage, each
from lnlattennet.serving.triton.python_models._steps import AnswerStep


class TritonPythonModel(PythonModel):
    """Each request is handled alone: an engine output that breaks a rule fails only its own request."""

    def stages(self, config: Mapping[str, Any], folder: Path) -> list[Stage]:
        """Check, then name the most probable class."""
        facts = {
            name: json.loads(config["parameters"][name]["string_value"]) for name in ("class_names", "grid")
        }
        return [each(AnswerStep(facts["class_names"], facts["grid"] ** 2))]
