"""Exceptions that this package raises deliberately, with the exit code of a command that ends with one.

    LnlAttenNetError            1
    ├── UsageError              2
    ├── ConfigError             2
    ├── CheckpointError         1
    ├── DataError               1
    ├── ImageError              1
    │   └── ImageTypeError      1   (a TypeError, too)
    ├── BundleError             1
    ├── ExportError             1
    │   └── GateError           3
    ├── ServingError            1
    │   ├── OverloadedError     1
    │   ├── UnreachableError    1
    │   ├── DeadlineError       1
    │   └── EngineOutputError   1
    ├── RegressionError         5
    └── UnavailableError        4

A message names the rule, the value that breaks it and a remedy.
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
    """A flag, an argument, or a file of them, breaks a rule."""

    exit_code = 2


class ConfigError(LnlAttenNetError):
    """A field of a configuration breaks a rule."""

    exit_code = 2


class CheckpointError(LnlAttenNetError):
    """A checkpoint file is damaged, of another program or inconsistent."""


class DataError(LnlAttenNetError):
    """A data set, table or record is missing, damaged, ambiguous or too small."""


class ImageError(LnlAttenNetError):
    """An image is damaged, of an unsupported format, too small or too large."""


class ImageTypeError(ImageError, TypeError):
    """An object is no image in a form that is taken."""


class BundleError(LnlAttenNetError):
    """A bundle is damaged, is not a bundle, or cannot be written."""


class ExportError(LnlAttenNetError):
    """An engine could not be built."""


class GateError(ExportError):
    """No engine passed the accuracy gate, so nothing was published."""

    exit_code = 3


class ServingError(LnlAttenNetError):
    """A server refused a request, failed, or could not be reached."""


class OverloadedError(ServingError):
    """A server has more requests than it takes on; the same request may succeed later."""


class UnreachableError(ServingError):
    """No server answers there, or it is stopping; the same request may succeed later."""


class DeadlineError(ServingError):
    """A server took longer to answer than it was given."""


class EngineOutputError(ServingError):
    """An engine gave an output that is not finite, has another shape or type, or does not sum to 1."""


class RegressionError(LnlAttenNetError):
    """A measurement is worse than allowed, or cannot be compared with another."""

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
