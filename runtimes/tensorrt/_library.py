"""The installed TensorRT package, and the one logger that it allows a process."""

from __future__ import annotations

import collections
import importlib
import importlib.util
import logging
from types import ModuleType
from typing import Any

from lnlattennet.errors import UnavailableError
from lnlattennet.runtimes.tensorrt._cuda_memory import why_no_gpu

RTX = "tensorrt_rtx"
_MODULES = ("tensorrt", RTX)
_MAX_MESSAGE = 600
_log = logging.getLogger(__name__)
_errors: collections.deque[str] = collections.deque(maxlen=3)
_loggers: dict[str, Any] = {}

NOT_INSTALLED = (
    "neither 'tensorrt' nor 'tensorrt_rtx' is installed: pip install 'lnlattennet[tensorrt]' "
    "(GPU machines) or 'lnlattennet[rtx]' (builds anywhere)"
)


def module_name() -> str | None:
    """Return TensorRT proper where it can build, else TensorRT-RTX, which builds anywhere, else None."""
    installed = [name for name in _MODULES if importlib.util.find_spec(name) is not None]
    if len(installed) > 1 and why_no_gpu():
        return RTX
    return installed[0] if installed else None


def module() -> ModuleType:
    """Import the module that ``module_name`` chooses; raise UnavailableError if none is installed."""
    name = module_name()
    if name is None:
        raise UnavailableError(NOT_INSTALLED)
    return importlib.import_module(name)


def display_name(trt: ModuleType) -> str:
    """Return "TensorRT 10.9.0.34" or "TensorRT-RTX 1.7.1.116"."""
    return f"{'TensorRT-RTX' if trt.__name__ == RTX else 'TensorRT'} {trt.__version__}"


def logger(trt: ModuleType) -> Any:
    """Return the process's TensorRT logger; its messages join this package's log."""
    if trt.__name__ not in _loggers:

        class Logger(trt.ILogger):  # type: ignore[misc, name-defined]
            def log(self, severity: Any, message: str) -> None:
                _record(severity.name, message)

        _loggers[trt.__name__] = Logger()
    return _loggers[trt.__name__]


def forget_errors() -> None:
    """Clear what ``errors`` returns, before an operation whose failure it is to explain."""
    _errors.clear()


def errors() -> str:
    """Return the last error messages since ``forget_errors``, at most three."""
    return "; ".join(_errors) or "it does not say why"


def _record(severity: str, message: str) -> None:
    # Errors end up in an exception's message, so the log need not show them by default.
    level = {"WARNING": logging.WARNING, "VERBOSE": 5}.get(severity, logging.DEBUG)
    if "ERROR" in severity:
        _errors.append(message[:_MAX_MESSAGE].strip())
    _log.log(level, "TensorRT: %s", message)
