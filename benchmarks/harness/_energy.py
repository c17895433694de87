"""Energy that the machine's processors took, as the files of Linux's powercap (RAPL) tell it."""

from __future__ import annotations

from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
COUNTED = "counted"
"""State of a counter that this machine has; another state is the reason why it has not."""


class Energy:
    """Energy that the machine's processors took: other programs and idling count too.

    Args:
        powercap: folder of the zones; those of whole processors are `intel-rapl:N`, of AMD's too.

    Attributes:
        state: "counted", or why it is not.
    """

    def __init__(self, powercap: Path = POWERCAP) -> None:
        self._zones = sorted(powercap.glob("intel-rapl:[0-9]"))
        self._total = 0
        try:
            self._last = [_number(zone / "energy_uj") for zone in self._zones]
            self.state = COUNTED if self._zones else f"there is no zone intel-rapl:N in {powercap}"
        except OSError as error:
            self.state = f"{error.filename}: {error.strerror}"

    def joules(self) -> float:
        """Return the joules since the creation; a zone's counter begins again at its range."""
        now = [_number(zone / "energy_uj") for zone in self._zones]
        for zone, before, after in zip(self._zones, self._last, now, strict=True):
            self._total += (after - before) % (_number(zone / "max_energy_range_uj") + 1)
        self._last = now
        return self._total / 1e6


def _number(file: Path) -> int:
    return int(file.read_text())
