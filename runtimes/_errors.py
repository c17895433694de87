"""Translation of a runtime's exceptions into this project's errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lnlattennet._interrupt import caused_by_interrupt
from lnlattennet.errors import LnlAttenNetError


@contextmanager
def translate_runtime_errors(engine: str, action: str, kind: type[LnlAttenNetError]) -> Iterator[None]:
    """Turn whatever a runtime raises into one line that names the engine and what it failed to do.

    Runtimes raise undocumented types of their own. This project's errors pass as they are, and so do the
    operating system's (a full disk), which concern more than one engine.

    Raises:
        kind: the runtime failed.
    """
    try:
        yield
    except (LnlAttenNetError, OSError):
        raise
    except Exception as error:
        if caused_by_interrupt(error):
            raise KeyboardInterrupt from error
        reason = " ".join(str(error).split())
        raise kind(f"{engine} failed to {action}: {type(error).__name__}: {reason}") from error
