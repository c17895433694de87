"""Cases of films: how many times faster than they play, and the memory that a long one takes."""

from __future__ import annotations

import sys
from pathlib import Path

from lnlattennet._statistics import median_interval
from lnlattennet.benchmarks.harness._command import say
from lnlattennet.benchmarks.harness._memory import peak_memory
from lnlattennet.benchmarks.harness._record import WARM, Record, RequirementResult
from lnlattennet.benchmarks.harness._versions import EARLIER
from lnlattennet.benchmarks.streams._commands import (
    ALL_CORES,
    ONE_AT_A_TIME,
    measure_turns,
    predict_command,
)
from lnlattennet.benchmarks.streams._films import RATE, write_film

LEAST_REAL_TIME = 2.0
"""Required seconds of a 720p film with one face that are judged in a second."""

MOST_GROWTH = 1.1
"""Required memory of a long film, at most, over that of a short one."""

_HD, _SMALL = (1280, 720), (320, 240)

_LOOP = """
import sys, av, lnlattennet
model = lnlattennet.load(sys.argv[1])
with av.open(sys.argv[2]) as film:
    for frame in film.decode(video=0):
        model.predict(frame.to_ndarray(format="rgb24"))
"""
"""What one would write without `predict`: no table, no tracks."""


def measure_film(
    record: Record, bundle: Path, place: Path, seconds: int, rounds: int, earlier: Path | None
) -> None:
    """Let every candidate judge each frame of the same 720p film in turn, ``rounds`` times.

    Args:
        record: gets the case and what is required of it.
        bundle: folder of the bundle.
        place: folder for temporary files.
        seconds: length of the film.
        rounds: counted runs of each candidate.
        earlier: interpreter of an environment with an earlier version, which judges the film, too.

    Raises:
        LnlAttenNetError: a candidate failed, or PyAV is not installed.
    """
    film, output = place / "film.mp4", place / "rows.parquet"
    write_film(film, *_HD, seconds)
    loop = [sys.executable, "-P", "-c", _LOOP, str(bundle.resolve()), str(film)]
    commands = {ALL_CORES: predict_command(None, [film], bundle, output), ONE_AT_A_TIME: loop}
    if earlier is not None:
        commands[EARLIER] = predict_command(earlier, [film], bundle, output)
    case = f"{seconds} s of 720p"
    result = measure_turns(record, case, seconds * RATE, commands, output, rounds)
    required = RequirementResult(text="times real time", case=case, state=WARM, bound=LEAST_REAL_TIME)
    timing = result.timing(ALL_CORES)
    if timing is not None:
        median, low, high = (1e6 / RATE / value for value in median_interval(timing.samples_us))
        record.requirements.append(required.with_value(median, high, low))


def measure_memory(record: Record, bundle: Path, place: Path, short: int, long: int) -> None:
    """Compare the peak memory, of all processes, of a long film with that of short ones before and after.

    Args:
        record: gets the peaks as a fact, and what is required.
        bundle: folder of the bundle.
        place: folder for temporary files.
        short: seconds of the short film.
        long: seconds of the long one.

    Raises:
        LnlAttenNetError: a run failed, or PyAV is not installed.
    """
    peaks: dict[int, list[int]] = {short: [], long: []}
    for seconds in (short, long, short):
        film, output = place / f"{seconds}.mp4", place / "memory.parquet"
        write_film(film, *_SMALL, seconds)
        output.unlink(missing_ok=True)
        peaks[seconds].append(peak_memory(predict_command(None, [film], bundle, output)))
        say(f"{seconds} s of a film: {peaks[seconds][-1] / 1e6:.0f} MB")
    record.facts["peak_memory_bytes"] = {f"{seconds} s": values for seconds, values in peaks.items()}
    case = f"{long} s of a film over {short} s"
    required = RequirementResult(text="peak memory", case=case, bound=MOST_GROWTH, upper=True)
    record.requirements.append(required.with_value(max(peaks[long]) / min(peaks[short])))
    record.note_time()
