"""Choice of the predictor for a model that the user names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lnlattennet.errors import CheckpointError, UsageError, require
from lnlattennet.evaluation.predictors._base import Predictor


@contextmanager
def open_predictor(
    model: str, engine: str | None = None, *, allow_pickle: bool = False
) -> Iterator[Predictor]:
    """Open a model; its connection is closed on leaving the context.

    Args:
        model: checkpoint file, bundle folder, or ``grpc://host:port`` or ``http://host:port``.
        engine: name of a bundle's engine; None takes the selected one, "any" one that runs here.
        allow_pickle: accept a pickled training checkpoint.

    Raises:
        UsageError: there is no such model, or an engine is named for something other than a bundle.
        CheckpointError, BundleError, ServingError, UnavailableError: it cannot be used.
    """
    is_server, path = "://" in model, Path(model)
    if engine is not None and (is_server or not path.is_dir()):
        raise UsageError(f"--engine {engine} chooses an engine of a bundle, and {model} is no bundle folder")
    if is_server:
        from lnlattennet.evaluation.predictors._server import server_predictor

        with server_predictor(model) as predictor:
            yield predictor
    elif path.is_dir():
        from lnlattennet.evaluation.predictors._bundle import bundle_predictor

        yield bundle_predictor(path, engine)
    elif path.exists():
        require("torch", "export")
        from lnlattennet.evaluation.predictors._checkpoint import checkpoint_predictor

        yield checkpoint_predictor(path, allow_pickle=allow_pickle)
    else:
        raise CheckpointError(
            f"MODEL must be a checkpoint file, a bundle folder, or a server's grpc://host:port or "
            f"http://host:port; there is nothing at {model}"
        )
