"""Case of a folder of photographs, each with a row in a table."""

from __future__ import annotations

import sys
from pathlib import Path

from lnlattennet.benchmarks.harness._record import Record
from lnlattennet.benchmarks.streams._commands import ALL_CORES, ONE_AT_A_TIME, measure_turns, predict_command
from lnlattennet.benchmarks.streams._folder import write_photographs

FER = "fer"

_LOOP = """
import sys, pathlib, lnlattennet
model = lnlattennet.load(sys.argv[1])
for path in sorted(pathlib.Path(sys.argv[2]).iterdir()):
    model.predict(path.read_bytes())
"""
_FER_LOOP = """
import sys, pathlib, cv2
from fer.fer import FER
model = FER()
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    model.detect_emotions(cv2.imread(str(path)))
"""
"""The package's own way through a folder: its default finder, and its model on every face."""


def measure_folder(
    record: Record,
    bundle: Path,
    place: Path,
    images: int,
    rounds: int,
    earlier: Path | None,
    fer: Path | None,
) -> None:
    """Let every candidate go through the same folder in turn, ``rounds`` times.

    Args:
        record: gets the case.
        bundle: folder of the bundle.
        place: folder for temporary files.
        images: how many photographs the folder has.
        rounds: counted runs of each candidate.
        earlier: interpreter of an environment with an earlier version; None takes a loop of this one.
        fer: interpreter of an environment with the package fer; None leaves it out.

    Raises:
        LnlAttenNetError: a candidate failed.
    """
    folder, output = place / "images", place / "rows.jsonl"
    write_photographs(folder, images)
    commands = {ALL_CORES: predict_command(None, [folder], bundle, output)}
    if earlier is None:
        commands[ONE_AT_A_TIME] = [sys.executable, "-P", "-c", _LOOP, str(bundle.resolve()), str(folder)]
    else:
        before = [str(earlier), "-P", "-m", "lnlattennet", "predict"]
        names = [str(path) for path in sorted(folder.iterdir())]
        commands[ONE_AT_A_TIME] = [*before, *names, "--bundle", str(bundle.resolve()), "--json"]
    if fer is not None:
        commands[FER] = [str(fer), "-P", "-c", _FER_LOOP, str(folder)]
    measure_turns(record, f"{images} photographs", images, commands, output, rounds)
