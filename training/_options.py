"""Options of `lnlattennet train`, and their rules."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from lnlattennet._command import printable
from lnlattennet.errors import CheckpointError, UsageError
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._preprocessing import FaceAlignment
from lnlattennet.model._presets import PRESETS, from_preset
from lnlattennet.model._provenance import SYNTHETIC

if TYPE_CHECKING:
    from lnlattennet.data._records import FacesOption, Targets

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
Schedule = Literal["one-cycle", "cosine"]
Balance = Literal["none", "loss", "sampler"]
Augmentation = Literal["none", "light", "full", "faces"]

FEWEST_STEPS = 3
"""A schedule with a rise and a fall needs three steps."""

LARGEST_HOLDOUT = 0.5
"""More held out than trained on is a typing error: 20 for 0.2."""


_INTEGERS = {
    "epochs": (1, math.inf),
    "batch_size": (2, math.inf),
    "patience": (1, math.inf),
    "seed": (0, 4095),
    "devices": (1, math.inf),
    "nodes": (1, math.inf),
    "workers": (1, math.inf),
}
"""Option -> its least and its largest value."""

_FEWEST_RENDERED = 7
"""One face of every expression."""


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """One run, or one run per fold.

    Attributes:
        output: the `.safetensors` file to write.
        run_folder: Lightning's logs and the training checkpoints that --resume continues.
        force: whether ``output`` may be overwritten.
        resume: continue the run in ``run_folder``.
        init: checkpoint whose weights the training starts from; None for random ones.
        teachers: checkpoints whose predictions are half of every training target.
        network: the network's configuration; its class count is replaced by the data's.
        data: ``synthetic``, or the path of a data set.
        format: the data set's format; None detects it.
        faces: how faces are made from a data set's images: auto, crop or as-is.
        face_finder, face_margin, face_alignment: recipe of the face's crop, for the checkpoint; None takes
            that of the data set's face crops where it is known, or else the default.
        targets: what training faces with votes are fitted to: the majority's class, or the votes' shares.
        drop_duplicates: leave images out of training that validation or test also have.
        folds: number of folds, "loso" for leave-one-subject-out, None for the official split.
        fold: the one fold to train, from 0; None for all.
        holdout: share of a data set without official split that becomes its test split; None for no such.
        images: split -> number of synthetic faces: of train, val and, if there is to be one, test; none for
            a data set.
        epochs: epochs of the run.
        first_epoch: epochs that a finished run had before ``epochs`` was raised; those that follow have a
            schedule of their own.
        batch_size: faces per step and process.
        schedule: learning rate schedule: one-cycle, or cosine after a linear warm-up.
        warmup_epochs: length of the cosine schedule's warm-up; None for one epoch, or 0 in a run of one.
        balance: compensation for rare classes: weights in the loss, or more frequent sampling.
        label_smoothing: share of every target that is spread over all classes.
        augmentation: random changes of the faces, from the second epoch on.
        magnitude: scale of the changes of ``faces``.
        mixup, cutmix: alpha of the mixing of faces, from the second epoch on; 0 for none.
        ema: decay of the moving average of the weights that is validated and saved; None for none.
        patience: epochs without a better validation accuracy that end the run; None for never.
        precision: Lightning's name: 32-true, bf16-mixed (CPUs and GPUs with bf16 units), 16-mixed (CUDA).
        devices, nodes: processes (GPUs, where there are any) per machine, and machines.
        workers: processes that render and threads that decode; with a GPU also those that load.
        recipe: name and digest of the recipe, for the checkpoint's provenance.
        command: the command line, for the checkpoint's provenance.
    """

    output: Path
    run_folder: Path
    force: bool = False
    resume: bool = False
    init: Path | None = None
    teachers: tuple[Path, ...] = ()
    network: NetworkConfig = field(default_factory=NetworkConfig)
    data: str = SYNTHETIC
    format: str | None = None
    faces: FacesOption = "auto"
    face_finder: str | None = None
    face_margin: float | None = None
    face_alignment: FaceAlignment | None = None
    targets: Targets = "majority"
    drop_duplicates: bool = False
    folds: int | Literal["loso"] | None = None
    fold: int | None = None
    holdout: float | None = None
    images: dict[str, int] = field(default_factory=dict)
    epochs: int
    first_epoch: int = 0
    batch_size: int
    learning_rate: float
    weight_decay: float
    schedule: Schedule = "one-cycle"
    warmup_epochs: float | None = None
    balance: Balance = "none"
    label_smoothing: float = 0.0
    augmentation: Augmentation = "full"
    magnitude: float = 1.0
    mixup: float = 0.0
    cutmix: float = 0.0
    ema: float | None = None
    patience: int | None = None
    seed: int
    precision: Precision = "32-true"
    devices: int = 1
    nodes: int = 1
    workers: int = 1
    recipe: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()

    @property
    def processes(self) -> int:
        """Processes that train together."""
        return self.devices * self.nodes

    @property
    def cosine_warmup(self) -> float:
        """Epochs of warm-up of the cosine schedule."""
        return float(self.scheduled_epochs > 1) if self.warmup_epochs is None else self.warmup_epochs

    @property
    def scheduled_epochs(self) -> int:
        """Epochs that the learning rate's schedule spans."""
        return self.epochs - self.first_epoch

    def settings(self) -> dict[str, Any]:
        """Return the options that affect the result, as plain JSON values."""
        indifferent = {
            "output",
            "run_folder",
            "force",
            "resume",
            "first_epoch",
            "init",
            "teachers",
            "network",
            "data",
            "workers",
            "recipe",
            "command",
        }
        fields = [field.name for field in dataclasses.fields(self) if field.name not in indifferent]
        source: dict[str, Any] = {
            "network": self.network.to_dict(),
            "data": printable(Path(self.data).resolve().name),
            "init": self.init and hashlib.sha256(self.init.read_bytes()).hexdigest(),
            # None without teachers, as in the settings of runs that know no teachers.
            "teachers": [hashlib.sha256(path.read_bytes()).hexdigest() for path in self.teachers] or None,
        }
        return source | {name: getattr(self, name) for name in fields}

    def check(self) -> None:
        """Raise an error for options that are invalid whatever the data: UsageError, or CheckpointError."""
        self._check_integers()
        self._check_ranges()
        given = [("init", self.init)] if self.init else []
        for name, path in (*given, *(("teacher", teacher) for teacher in self.teachers)):
            if not path.is_file():
                raise CheckpointError(f"--{name} {printable(path)}: there is no such checkpoint")
        if self.data == SYNTHETIC and (self.folds is not None or self.format is not None):
            raise UsageError("--folds and --format are for data sets; synthetic faces have fixed splits")
        if self.data == SYNTHETIC and self.faces != "auto":
            raise UsageError(f"--faces {self.faces} is for data sets: rendered faces are crops already")
        if self.drop_duplicates and self.data == SYNTHETIC:
            raise UsageError("--drop-duplicates is for data sets: no two rendered faces are the same")
        if self.targets != "majority" and (self.data == SYNTHETIC or self.folds is not None):
            raise UsageError(
                f"--targets {self.targets} is for the official split of a data set with votes: rendered "
                "faces have none, and a fold would be judged on faces whose votes have no majority"
            )
        self._check_images()
        self._check_holdout()
        if self.folds is None and self.fold is not None:
            raise UsageError(f"--fold {self.fold} needs --folds: how many, or loso")
        if self.folds is not None and self.fold is None and self.processes > 1:
            raise UsageError("--fold all trains in one process; with --devices or --nodes choose one --fold")

    def _check_holdout(self) -> None:
        if self.holdout is None:
            return
        if not 0 < self.holdout <= LARGEST_HOLDOUT:
            raise UsageError(
                f"--holdout must be a share above 0, up to {LARGEST_HOLDOUT}, such as 0.2; got "
                f"{self.holdout:g}"
            )
        if self.data == SYNTHETIC or self.folds is not None:
            other = (
                "--data synthetic has a test split" if self.folds is None else "--folds tests on every fold"
            )
            raise UsageError(f"--holdout {self.holdout:g} makes a test split; {other}: leave one of them out")

    def check_steps(self, faces: int) -> None:
        """Refuse a run of too few steps on this many training faces; raises UsageError."""
        if faces // (self.batch_size * self.processes) * self.scheduled_epochs < FEWEST_STEPS:
            epochs = f"--epochs {self.epochs}" + (f" after {self.first_epoch}" if self.first_epoch else "")
            raise UsageError(
                f"{faces} training faces at --batch-size {self.batch_size} and {epochs} make "
                f"less than three steps of training; give more images or a smaller batch"
            )

    def _check_integers(self) -> None:
        for name, (least, most) in _INTEGERS.items():
            value = getattr(self, name)
            if value is None and name == "patience":
                continue
            # True is an int to Python.
            if type(value) is not int or not least <= value <= most:
                rule = f"an integer from {least}" + (f" to {most}" if most < math.inf else "")
                raise UsageError(f"--{name.replace('_', '-')} must be {rule}, got {value!r}")

    def _check_images(self) -> None:
        if self.data != SYNTHETIC:
            for split, count in self.images.items():
                raise UsageError(
                    f"--{split}-images {count} is for --data synthetic; a data set has its own faces"
                )
            return
        splits = set(self.images)
        few = [count for count in self.images.values() if type(count) is not int or count < _FEWEST_RENDERED]
        if few or not {"train", "val"} <= splits <= {"train", "val", "test"}:
            raise UsageError(
                f"--data synthetic needs images: how many faces, {_FEWEST_RENDERED} or more, are rendered "
                f"for train, for val and, if there is to be one, for test; got {self.images}"
            )

    def _check_ranges(self) -> None:
        for name, value, kind in (
            ("precision", self.precision, Precision),
            ("schedule", self.schedule, Schedule),
            ("balance", self.balance, Balance),
            ("augmentation", self.augmentation, Augmentation),
        ):
            if value not in get_args(kind):
                raise UsageError(f"--{name} must be one of {', '.join(get_args(kind))}, got {value!r}")
        for name, number in (
            ("learning-rate", self.learning_rate),
            ("weight-decay", self.weight_decay),
            ("mixup", self.mixup),
            ("cutmix", self.cutmix),
        ):
            if not 0 <= number < math.inf:
                raise UsageError(f"--{name} must be a finite number from 0, got {number}")
        if not 0 < self.magnitude <= 3:
            raise UsageError(f"--magnitude must be above 0, up to 3; 1 is usual; got {self.magnitude}")
        if self.magnitude != 1 and self.augmentation != "faces":
            raise UsageError(f"--magnitude is for --augmentation faces, got {self.augmentation!r}")
        if self.ema is not None and not 0 < self.ema < 1:
            raise UsageError(f"--ema must be a decay between 0 and 1, such as 0.999, got {self.ema}")
        if not 0 <= self.label_smoothing < 1:
            raise UsageError(f"--label-smoothing must be from 0 to below 1, got {self.label_smoothing}")
        if self.schedule == "one-cycle":
            if self.warmup_epochs is not None:
                raise UsageError(
                    "--warmup-epochs is for --schedule cosine: one-cycle rises over a tenth of the steps"
                )
        elif not 0 <= self.cosine_warmup < self.scheduled_epochs:
            epochs = f"--epochs {self.epochs}" + (f" less {self.first_epoch}" if self.first_epoch else "")
            raise UsageError(f"--warmup-epochs must be from 0 to below {epochs}, got {self.cosine_warmup:g}")


def is_helper() -> bool:
    """Return whether this process only helps the first one train, by the number its launcher gave it."""
    return any(
        os.environ.get(name, "0") != "0" for name in ("LOCAL_RANK", "RANK", "NODE_RANK", "SLURM_PROCID")
    )


def network_option(text: str | None) -> NetworkConfig:
    """Read `--network`: a preset, a JSON file, or the text of a JSON object.

    Raises:
        UsageError: there is no such preset or file, or it holds no JSON object.
        ConfigError: a field is unknown or breaks a rule.
    """
    if text is None:
        return NetworkConfig()
    if text in PRESETS:
        return PRESETS[text]
    try:
        fields = json.loads(text if text.startswith("{") else Path(text).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"--network {text} is neither a preset ({', '.join(PRESETS)}) nor a readable JSON file: {error}"
        ) from error
    if not isinstance(fields, dict):
        raise UsageError(f"--network {text} must hold a JSON object of config fields")
    return from_preset(fields)


def folds_option(text: str | None) -> int | Literal["loso"] | None:
    """Read `--folds`: a number or loso; raises UsageError."""
    if text is None or text == "loso":
        return text  # type: ignore[return-value]
    if not text.isdecimal():
        raise UsageError(f"--folds must be a number of folds or loso, got {text!r}")
    return int(text)


def fold_option(text: str | None) -> int | None:
    """Read `--fold`: a number from 0, or all, which is None; raises UsageError."""
    if text is None or text == "all":
        return None
    if not text.isdecimal():
        raise UsageError(f"--fold must be a number from 0, or all, got {text!r}")
    return int(text)
