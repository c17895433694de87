"""uvicorn's log, with this package's as JSON: one line a request, with fields."""

from __future__ import annotations

import logging


def log_requests() -> None:
    """Send uvicorn's log where this package's goes."""
    package = logging.getLogger("lnlattennet")
    for name in ("uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers[:] = package.handlers
        logger.setLevel(package.level)
        logger.propagate = False
    logging.getLogger("uvicorn.access").addFilter(_add_fields)


def _add_fields(record: logging.LogRecord) -> bool:
    """Turn the arguments of uvicorn's sentence about a request into fields."""
    if isinstance(record.args, tuple) and len(record.args) == 5:
        client, method, path, _, status = record.args
        record.__dict__.update(event="request", client=client, method=method, path=path, status=status)
    return True
