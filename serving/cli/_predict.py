"""Command `lnlattennet predict`: images to a server, or to a bundle in this process."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lnlattennet._cli_options import Quiet, Verbose
from lnlattennet._command import configure_logging, print_json
from lnlattennet.errors import UsageError
from lnlattennet.serving.triton._model_names import ENSEMBLE, FUSED

if TYPE_CHECKING:
    from lnlattennet.bundle._prediction import Prediction

DEFAULT_URL = "grpc://127.0.0.1:8001"


class Model(enum.StrEnum):
    """Public models of a served bundle; they give the same predictions."""

    EXPRESSION = ENSEMBLE
    EXPRESSION_FUSED = FUSED


def predict(
    images: Annotated[list[Path], typer.Argument(help="JPEG or PNG files; - reads one from standard input.")],
    url: Annotated[
        str | None,
        typer.Option(
            help="Server: grpc://host:port or http://host:port, with TLS grpcs:// or https://.",
            show_default=DEFAULT_URL,
        ),
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Run this bundle here instead of asking a server.")
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            help="Engine of --bundle; any takes one that runs here.", show_default="the selected one"
        ),
    ] = None,
    model: Annotated[Model, typer.Option(help="Model of the server.")] = Model.EXPRESSION,
    overlay: Annotated[
        Path | None,
        typer.Option(help="Draw the region weights: a .png file for one image, or a folder."),
    ] = None,
    max_faces: Annotated[
        int | None,
        typer.Option(min=1, help="Predict at most N faces of each image.", show_default="the largest one"),
    ] = None,
    min_face: Annotated[
        float,
        typer.Option(min=0, help="With --max-faces: call smaller faces, in pixels, too small."),
    ] = 0,
    timeout: Annotated[float, typer.Option(help="Seconds that a server may take for one image.")] = 10.0,
    retries: Annotated[
        int, typer.Option(min=0, help="Ask a server again, at most N times, that is overloaded or away.")
    ] = 0,
    ca: Annotated[
        Path | None,
        typer.Option(
            help="PEM file of who signed the certificate of a server with TLS.",
            show_default="the usual authorities",
        ),
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(help="Send NAME:VALUE with every request; repeatable.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the predictions as JSON.")] = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Predict the expression on images, with region weights.

    An image that fails does not stop the others; the exit code is then 1.
    """
    configure_logging(verbose, quiet)
    from lnlattennet.serving.cli._console import print_results
    from lnlattennet.serving.cli._overlay_paths import overlay_paths
    from lnlattennet.serving.cli._results import predict_file, results_document

    if bundle is not None and url is not None:
        raise UsageError("--url asks a server and --bundle runs here: give one of the two")
    if bundle is not None and (retries or ca or header):
        raise UsageError("--retries, --ca and --header are for a server; --bundle runs here")
    if engine is not None and bundle is None:
        raise UsageError(f"--engine {engine} chooses an engine of a bundle: add --bundle DIR")
    if min_face and max_faces is None:
        raise UsageError(
            f"--min-face {min_face:g} has no effect on the largest face alone: add --max-faces N"
        )
    limits = None if max_faces is None else (max_faces, min_face)
    overlays = overlay_paths(overlay, images)
    options: dict[str, Any] = {"retries": retries, "headers": dict(map(_header, header or []))}
    with (
        _local(bundle, engine, limits)
        if bundle is not None
        else _served(url or DEFAULT_URL, model, timeout, ca, options, limits)
    ) as predict_image:
        results = [predict_file(predict_image, *paths) for paths in zip(images, overlays, strict=True)]
    if json:
        print_json(results_document(results))
    else:
        print_results(results)
    if any(result.error for result in results):
        raise typer.Exit(1)


@contextmanager
def _local(
    bundle: Path, engine: str | None, limits: tuple[int, float] | None
) -> Iterator[Callable[[bytes], Sequence[Prediction]]]:
    from lnlattennet.serving._predictor import load

    local = load(bundle, engine)
    yield lambda data: local.predict(data, *limits) if limits else [local.predict(data)]


@contextmanager
def _served(
    url: str,
    model: Model,
    timeout: float,
    ca: Path | None,
    options: dict[str, Any],
    limits: tuple[int, float] | None,
) -> Iterator[Callable[[bytes], Sequence[Prediction]]]:
    from lnlattennet.serving.client._client import Client
    from lnlattennet.serving.client._tls import TLSConfig

    tls = None if ca is None else TLSConfig(ca)
    with Client(url, model.value, timeout, tls=tls, **options) as client:
        yield lambda data: client.predict(data, *limits) if limits else [client.predict(data)]


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not (colon and name.strip()):
        raise UsageError(f"a header must be NAME:VALUE, got {text!r}")
    return name.strip(), value.strip()
