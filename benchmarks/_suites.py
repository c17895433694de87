"""Table of the suites of `lnlattennet bench`: which benchmark each runs, and with which arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from lnlattennet.errors import UnavailableError

_WAYS_OUT = {
    "bundle": "it needs a bundle: write one by `export-engine -c CHECKPOINT -o build/auto`, or give --bundle",
    "checkpoint": "it needs the checkpoint that the bundle was exported from: give --checkpoint",
    "perf_analyzer": "it needs perf_analyzer: run `pip download --no-deps tritonclient==2.51.0`, and give "
    "the wheel with --perf-analyzer",
    "portraits": "it needs portraits with landmarks: give --portraits",
    "faceless": "it needs images without a face: give --faceless",
}
"""What a suite may need, named as the command's option, and how to come by it."""
_CASES = "it has no cases to choose from, so --filter leaves it out"
_TAKES_MINUTES = "it takes minutes: run it without --quick"
_NO_TORCH = "it needs the Python package 'torch', which is not installed: pip install 'lnlattennet[train]'"


@dataclass(frozen=True)
class Suite:
    """A benchmark, and how it is called.

    Attributes:
        name: on the command line, and of the record's file.
        summary: what is measured.
        module: below ``lnlattennet.benchmarks``.
        minutes: what a full run takes, about, on two idle cores.
        arguments: of every run; ``{bundle}``, ``{checkpoint}`` and so on stand for what was given.
        full: further arguments of a full run.
        quick: further arguments of a quick run; None for a suite that takes minutes whatever is asked of it.
        options: flags that are passed on to it where they are given.
        cases: whether ``--case`` chooses cases.
        torch: whether it needs torch.
    """

    name: str
    summary: str
    module: str
    minutes: float
    arguments: tuple[str, ...] = ()
    full: tuple[str, ...] = ()
    quick: tuple[str, ...] | None = ()
    options: tuple[str, ...] = ()
    cases: bool = False
    torch: bool = False

    def command(
        self,
        given: Mapping[str, str],
        patterns: Sequence[str],
        options: Iterable[tuple[str, str]] = (),
        *,
        quick: bool,
    ) -> list[str]:
        """Return the module and the arguments behind ``python -m``.

        Args:
            given: what there is: bundle, checkpoint, perf_analyzer, portraits, faceless.
            patterns: shell patterns of cases.
            options: flags and their values, of which it takes those that it has.
            quick: whether few rounds are enough.

        Raises:
            UnavailableError: something that the suite needs is missing.
        """
        if self.torch and find_spec("torch") is None:
            raise UnavailableError(_NO_TORCH)
        if patterns and not self.cases:
            raise UnavailableError(_CASES)
        for name, way_out in _WAYS_OUT.items():
            if f"{{{name}}}" in self.arguments and name not in given:
                raise UnavailableError(way_out)
        more = self.quick if quick else self.full
        if more is None:
            raise UnavailableError(_TAKES_MINUTES)
        arguments = [argument.format(**given) for argument in self.arguments]
        arguments += [word for flag, value in options if flag in self.options for word in (flag, value)]
        chosen = [flag for pattern in patterns for flag in ("--case", pattern)]
        if patterns:
            more = _without_cases(more)
        return [f"lnlattennet.benchmarks.{self.module}", *arguments, *more, *chosen]


def _without_cases(arguments: Sequence[str]) -> tuple[str, ...]:
    """Leave out a suite's own choice of cases, beside which another one would add cases."""
    pairs = zip(("", *arguments), arguments, strict=False)
    return tuple(argument for before, argument in pairs if "--case" not in (before, argument))


SUITES = {
    suite.name: suite
    for suite in (
        Suite(
            "startup",
            "import, load and first answer, each in fresh processes",
            "startup",
            0.3,
            ("{bundle}",),
            quick=("--rounds", "8"),
            options=("--earlier",),
        ),
        Suite(
            "programs",
            "whole programs from a photograph's bytes to the expression, beside other packages'",
            "programs",
            0.5,
            ("{bundle}",),
            quick=("--rounds", "5", "--starts", "1"),
            options=("--program",),
        ),
        Suite(
            "images",
            "from the bytes of a file to pixels, beside Pillow and OpenCV: time and memory",
            "images",
            1.9,
            full=("--reads", "3"),
            quick=("--rounds", "24", "--starts", "8", "--reads", "1", "--case", "512 *"),
            options=("--earlier",),
            cases=True,
        ),
        Suite(
            "export",
            "an export of the checkpoint and its steps, each in a fresh process",
            "export",
            2.7,
            ("--checkpoint", "{checkpoint}"),
            full=("--backend", "onnxruntime", "--backend", "openvino", "--precision", "auto"),
            quick=None,
            torch=True,
        ),
        Suite(
            "engines",
            "the bundle's engine beside torch, its compilers, ONNX Runtime and OpenVINO int8 by NNCF",
            "bundle",
            4.5,
            ("--bundle", "{bundle}", "--checkpoint", "{checkpoint}"),
            full=("--rounds", "120", "--starts", "6"),
            quick=("--rounds", "30", "--starts", "3", "--faces", "64", "--no-nncf", "--no-compilers"),
            options=("--earlier",),
            cases=True,
            torch=True,
        ),
        Suite(
            "limits",
            "the machine's best rates, and the share of them that the bundle's engines reach",
            "limits",
            2.2,
            ("{bundle}",),
            full=("--rounds", "12"),
            quick=None,
            torch=True,
        ),
        Suite(
            "serving",
            "served requests at every pattern of arrivals, beside this process and other servers",
            "serving",
            4.8,
            ("{bundle}", "--perf-analyzer", "{perf_analyzer}"),
            full=("--requests", "20", "--rounds", "5"),
            quick=("--requests", "10", "--rounds", "1", "--no-peer"),
            options=("--earlier",),
        ),
        Suite(
            "streams",
            "a folder of photographs and a film on all cores, beside one image at a time",
            "streams",
            1.1,
            ("{bundle}", "--minutes", "0"),
            full=("--images", "500", "--seconds", "30"),
            quick=("--images", "20", "--seconds", "0", "--rounds", "1"),
            options=("--earlier",),
        ),
        Suite(
            "scaling",
            "how time grows with batch, threads, size of the image and number of faces or requests",
            "scaling",
            0.5,
            ("{bundle}",),
            quick=("--rounds", "5"),
            cases=True,
        ),
        Suite(
            "kernels",
            "the attention operators beside eager torch, torch.compile and masked SDPA",
            "attention",
            1.9,
            full=("--time-limit", "150"),
            quick=("--quick", "--case", "attention/float32/channels_last/c64x56/b8"),
            cases=True,
            torch=True,
        ),
        Suite(
            "network",
            "the whole network in every runtime",
            "network",
            0.7,
            full=("--time-limit", "120"),
            quick=None,
            cases=True,
            torch=True,
        ),
        Suite(
            "training",
            "steps of the training beside plain torch loops",
            "training.throughput",
            0.9,
            full=("--epochs", "3"),
            quick=("--steps", "3", "--epochs", "2", "--batch-size", "16"),
            torch=True,
        ),
        Suite(
            "faces",
            "face finders: what they find, and how long they search",
            "faces",
            0.5,
            ("--portraits", "{portraits}", "--faceless", "{faceless}"),
            quick=("--rounds", "3", "--limit", "5"),
            torch=True,
        ),
    )
}
"""Suites by name, in the order in which they run."""
