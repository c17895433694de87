"""Turns of programs on one photograph: first answers, later ones, and the memory that each takes."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from lnlattennet._interleave import interleave
from lnlattennet.benchmarks.harness._command import say
from lnlattennet.benchmarks.harness._jpeg import jpeg
from lnlattennet.benchmarks.harness._memory import proportional_set_size
from lnlattennet.benchmarks.harness._record import (
    WARM,
    CandidateResult,
    ExperimentResult,
    Record,
    RequirementResult,
    warm_results,
)
from lnlattennet.benchmarks.harness._versions import turn
from lnlattennet.benchmarks.programs._deepface import deepface_home, has_network, write_untrained_network
from lnlattennet.benchmarks.programs._process import Started, start
from lnlattennet.benchmarks.programs._programs import DEEPFACE, NEED_DOWNLOADS, OURS, PROGRAMS
from lnlattennet.bundle import read_manifest
from lnlattennet.errors import LnlAttenNetError, require

ALL_CORES, ONE_CORE = "every core", "one core"
_LATER = "later answers"

REQUIRED = 3.0
"""How many times as long as ours the fastest other program must take for a later answer."""

REQUIRED_OF_DEEPFACE = 10.0
"""How many times as long DeepFace must take."""

_WARM_UP = 2

Values = dict[str, list[float]]
"""Program -> what each of its processes gave, one after the other."""


def measure(bundle: Path, pythons: Mapping[str, Path], starts: int, rounds: int) -> Record:
    """Let all programs answer in turn, in ``starts`` processes of each, with every core and with one.

    Args:
        bundle: folder of the bundle that ours runs.
        pythons: other program -> interpreter of the environment that has it.
        starts: processes of every program, one after the other, for each number of cores.
        rounds: counted answers of each process after its first one.

    Raises:
        BundleError: there is no bundle.
        LnlAttenNetError: ours does not answer, or another program answered once and then failed.
        UnavailableError: scikit-image is not installed.
    """
    record = Record(benchmark="programs")
    record.facts["face_finder"] = read_manifest(bundle).preprocessing.face_finder
    record.facts["memory_bytes"] = {}
    cores = sorted(os.sched_getaffinity(0))
    with TemporaryDirectory() as folder:
        photograph = Path(folder, "photograph.jpg")
        photograph.write_bytes(jpeg(Image.fromarray(require("skimage.data", "dev").astronaut())))
        home = deepface_home()
        untrained = DEEPFACE in pythons and not has_network(home)
        if untrained:
            home = Path(folder)
            write_untrained_network(home)
        folders = {"bundle": bundle.resolve(), "deepface_home": home}
        programs = _Programs({OURS: Path(sys.executable), **pythons}, photograph, folders)
        left_out = _ask_once(programs, record, cores)
        if untrained and DEEPFACE in record.facts["answers"]:
            record.facts["answers"][DEEPFACE]["expression"] = "none: random weights"
        for case, chosen in {ALL_CORES: cores, ONE_CORE: cores[-1:]}.items():
            say(case)
            first, later, memory = _measure_starts(programs, chosen, starts, rounds)
            record.facts["memory_bytes"][case] = memory
            for name, seconds, counts in (("first answer", first, 1), (_LATER, later, rounds)):
                results = warm_results(seconds, [counts] * starts) | left_out
                record.add(ExperimentResult(f"{name}, {case}", {"cores": len(chosen)}, results))
    for measured in record.cases:
        if measured.name.startswith(_LATER):
            record.requirements += _requirements(measured)
    return record


def _requirements(case: ExperimentResult) -> list[RequirementResult]:
    others = [name for name in PROGRAMS if name != OURS]
    return [
        RequirementResult(text=text, case=case.name, state=WARM, bound=bound).with_ratio(case, OURS, names)
        for text, bound, names in (
            ("time of the fastest other program over ours", REQUIRED, others),
            ("time of DeepFace over ours", REQUIRED_OF_DEEPFACE, [DEEPFACE]),
        )
    ]


@dataclass(frozen=True)
class _Programs:
    """What is asked, and of what.

    Attributes:
        pythons: program -> interpreter.
        photograph: encoded image.
        folders: variables of the programs' code.
    """

    pythons: dict[str, Path]
    photograph: Path
    folders: Mapping[str, Path]

    def start(self, name: str, cores: Collection[int]) -> AbstractContextManager[Started]:
        """Start a program."""
        return start(PROGRAMS[name], self.pythons[name], self.photograph, self.folders, cores)


def _ask_once(programs: _Programs, record: Record, cores: Sequence[int]) -> dict[str, CandidateResult]:
    """Note every program's answer in the record; drop those that have none, and return why.

    It reads what the disk holds, too, so that the first start that counts is as quick as the others.
    """
    answers = record.facts.setdefault("answers", {})
    reasons = NEED_DOWNLOADS | {
        name: f"not asked for: `pip install {program.install}`, and give --program {name}=PYTHON"
        for name, program in PROGRAMS.items()
        if name not in programs.pythons
    }
    for name in list(programs.pythons):
        with programs.start(name, cores) as started:
            if not started.failed:
                answers[name] = {"expression": started.answer, "version": started.version}
                continue
        if name == OURS:
            raise LnlAttenNetError(f"{OURS} does not answer: {started.failed}")
        del programs.pythons[name]
        reasons[name] = started.failed
    return {name: CandidateResult(failed=reason) for name, reason in reasons.items()}


def _measure_starts(
    programs: _Programs, cores: Sequence[int], starts: int, rounds: int
) -> tuple[Values, Values, Values]:
    """Return the seconds of first answers and of later ones, and the bytes that processes take then."""
    names = list(programs.pythons)
    first, later, memory = (Values({name: [] for name in names}) for _ in range(3))
    image = programs.photograph.read_bytes()
    for _ in range(starts):
        with ExitStack() as stack:
            order = random.sample(names, len(names))
            started = {name: stack.enter_context(programs.start(name, cores)) for name in order}
            turns = {name: turn(program.process, image) for name, program in started.items()}
            interleave(turns, _WARM_UP)
            for name, seconds in interleave(turns, rounds).items():
                first[name].append(started[name].seconds)
                later[name].extend(seconds)
                memory[name].append(proportional_set_size(started[name].process.pid))
    return first, later, memory
