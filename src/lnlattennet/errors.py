"""Exceptions that this package raises deliberately, with the exit code of a command that ends with one.

    LnlAttenNetError            1
    ├── UsageError              2  a flag or argument breaks a rule
    ├── ConfigError             2  a field of a configuration breaks a rule
    ├── CheckpointError         1  a checkpoint file is damaged, foreign or inconsistent
    ├── DataError               1  a data set is missing, half unpacked, ambiguous or too small
    ├── ImageError              1  an image is damaged, unsupported or too large
    ├── BundleError             1  a bundle is damaged, foreign or cannot be written
    ├── ExportError             1  an engine could not be built
    │   └── GateError           3  no engine passed the accuracy gate
    ├── ServingError            1  a server refused, failed or could not be reached
    │   └── EngineOutputError   1  an engine gave an output that breaks a rule, in a server or in this process
    ├── RegressionError         5  what was measured is worse than allowed, or cannot be compared
    └── UnavailableError        4  a needed package, device or server is missing

A message says what was wrong (the rule and the value) and what to do about it.
"""

from __future__ import annotations

import importlib
from types import ModuleType

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as shells report it."""


class LnlAttenNetError(Exception):
    """Base of every deliberate error; ``exit_code`` is what a command returns for it."""

    exit_code = 1


class UsageError(LnlAttenNetError):
    """A flag or argument breaks a rule."""

    exit_code = 2


class ConfigError(LnlAttenNetError):
    """A field of a configuration breaks a rule."""

    exit_code = 2


class CheckpointError(LnlAttenNetError):
    """A checkpoint file is damaged, foreign or inconsistent."""


class DataError(LnlAttenNetError):
    """A data set is missing, half unpacked, ambiguous or too small."""


class ImageError(LnlAttenNetError):
    """An image is damaged, of an unsupported kind or too large."""


class BundleError(LnlAttenNetError):
    """A bundle is damaged, foreign or cannot be written."""


class ExportError(LnlAttenNetError):
    """An engine could not be built."""


class GateError(ExportError):
    """No engine passed the accuracy gate, so nothing was published."""

    exit_code = 3


class ServingError(LnlAttenNetError):
    """A server refused a request, failed, or could not be reached."""


class EngineOutputError(ServingError):
    """An engine gave an output that is not finite, has another shape or type, or does not sum to 1."""


class RegressionError(LnlAttenNetError):
    """A measurement is worse than allowed, or there is nothing that it could be compared with."""

    exit_code = 5


class UnavailableError(LnlAttenNetError):
    """A package, device or server that the command needs is missing."""

    exit_code = 4


def require(module: str, extra: str) -> ModuleType:
    """Import ``module``, or say which extra of this package installs it.

    Raises:
        UnavailableError: the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UnavailableError(
            f"this needs the Python package '{module}', which is not installed: "
            f"pip install 'lnlattennet[{extra}]'"
        ) from error
