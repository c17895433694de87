"""Record of an ablation study: a JSON file that is continued run by run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError

from lnlattennet._atomic import replace_file
from lnlattennet._validation import first_problem
from lnlattennet._version import __version__
from lnlattennet.errors import UsageError
from lnlattennet.evaluation._crucial_regions import CrucialRegions
from lnlattennet.evaluation._occlusion import OccludedAccuracy
from lnlattennet.evaluation.ablation_study._options import DataSetStudyOptions, StudyOptions


@dataclass(frozen=True, kw_only=True)
class Run:
    """Figures of one training.

    Attributes:
        ablation: name in ``ABLATIONS``.
        seed: seed of the faces and of the training.
        training_seconds: duration of the training.
        occlusion: accuracy with more and more regions covered.
        crucial_regions: scores of the region weights; None where the true regions are not known.
    """

    ablation: str
    seed: int
    training_seconds: int
    occlusion: list[OccludedAccuracy]
    crucial_regions: CrucialRegions | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        occlusion = [point.to_dict() for point in self.occlusion]
        regions = self.crucial_regions and self.crucial_regions.to_dict()
        return {**vars(self), "occlusion": occlusion, "crucial_regions": regions}


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """All runs of a study so far.

    Attributes:
        settings: ``StudyOptions.settings`` that all runs share.
        lnlattennet: version of this package.
        torch: version of torch.
        runs: in the order of their training.
    """

    settings: dict[str, Any]
    lnlattennet: str = __version__
    torch: str = torch.__version__
    runs: list[Run]

    def by_ablation(self) -> dict[str, list[Run]]:
        """Return ablation name to its runs, in the order of the record."""
        names = dict.fromkeys(run.ablation for run in self.runs)
        return {name: [run for run in self.runs if run.ablation == name] for name in names}

    def write(self, path: Path) -> None:
        """Replace the file."""
        document = {"study": "ablations"} | vars(self) | {"runs": [run.to_dict() for run in self.runs]}
        with replace_file(path) as draft:
            draft.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read_record(path: Path, options: StudyOptions | DataSetStudyOptions) -> StudyRecord:
    """Return the record of earlier runs, or an empty one.

    Raises:
        UsageError: the earlier runs have other settings, or the file cannot be read as a record.
    """
    if not path.exists():
        return StudyRecord(settings=options.settings(), runs=[])
    try:
        record = TypeAdapter(StudyRecord).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else error
        raise UsageError(
            f"{path} cannot be continued, because it is no record of an ablation study ({problem}): choose "
            "another --record, or remove it"
        ) from error
    if record.settings != json.loads(json.dumps(options.settings())):
        raise UsageError(
            f"{path} was begun with other settings, which cannot share a table with these: "
            "choose another --record, or remove it"
        )
    return record
