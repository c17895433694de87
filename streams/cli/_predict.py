"""Command `lnlattennet predict`: images to a server, or to a bundle on this machine's cores."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lnlattennet._cli_options import Quiet, Verbose
from lnlattennet._command import configure_logging
from lnlattennet.errors import DataError, UsageError
from lnlattennet.serving.triton._model_names import ENSEMBLE, FUSED
from lnlattennet.streams.tracks._names import Smoothing

if TYPE_CHECKING:
    from lnlattennet.streams._answers import FramePredictor

DEFAULT_URL = "grpc://127.0.0.1:8001"


class Model(enum.StrEnum):
    """Public models of a served bundle; they give the same predictions."""

    EXPRESSION = ENSEMBLE
    EXPRESSION_FUSED = FUSED


def predict(
    images: Annotated[
        list[str],
        typer.Argument(
            help="Images, videos, folders, patterns, @LIST with a path on each line; a camera's address, "
            "device or its number; - reads one image from standard input, @- a list."
        ),
    ],
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
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write a row for every image and face to a .csv, .jsonl or .parquet file."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with --output where a run was stopped.")
    ] = False,
    overlay: Annotated[
        Path | None,
        typer.Option(help="Draw the region weights: a .png file for one image, a folder, or a .mp4 file."),
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Of a video or camera, judge one of N frames.")] = 1,
    start: Annotated[
        str | None,
        typer.Option(help="Begin there: seconds, MM:SS or HH:MM:SS of a video or camera.", show_default="0"),
    ] = None,
    end: Annotated[
        str | None, typer.Option(help="End before that time.", show_default="the end of the video")
    ] = None,
    smooth: Annotated[
        Smoothing, typer.Option(help="How the probabilities of a person are smoothed over time.")
    ] = Smoothing.EXPONENTIAL,
    time_constant: Annotated[float, typer.Option(help="Seconds of the smoothing.")] = 0.5,
    max_faces: Annotated[
        int | None,
        typer.Option(min=1, help="Predict at most N faces of each image.", show_default="the largest one"),
    ] = None,
    min_face: Annotated[
        float,
        typer.Option(min=0, help="With --max-faces: call smaller faces, in pixels, too small."),
    ] = 0,
    timeout: Annotated[
        float | None,
        typer.Option(help="Seconds that a server may take for one image.", show_default="10"),
    ] = None,
    retries: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Ask a server again, at most N times, that is overloaded or away.",
            show_default="0, with --output 5",
        ),
    ] = None,
    in_flight: Annotated[
        int | None, typer.Option(min=1, help="Images that a server is sent at a time.", show_default="8")
    ] = None,
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
    from lnlattennet.images._face_crop import check_face_limits
    from lnlattennet.streams._local import BATCH, Faces, LocalFramePredictor
    from lnlattennet.streams._served import ServedFramePredictor, ServerOptions
    from lnlattennet.streams.cli._moving import Kinds, Moving, batch_of, check_moving
    from lnlattennet.streams.cli._overlay_paths import OverlayPaths
    from lnlattennet.streams.cli._print import print_answers, print_document, write_rows
    from lnlattennet.streams.sources._files import FOLDER_SUFFIXES, IMAGE_SUFFIXES, Files
    from lnlattennet.streams.sources._selection import Selection, parse_time

    if bundle is not None and url is not None:
        raise UsageError("--url asks a server and --bundle runs here: give one of the two")
    for_server = (timeout, in_flight, ca, retries or None, header or None)
    if bundle is not None and (
        model is not Model.EXPRESSION or any(given is not None for given in for_server)
    ):
        raise UsageError(
            "--model, --timeout, --retries, --in-flight, --ca and --header are for a server; "
            "--bundle runs here"
        )
    if engine is not None and bundle is None:
        raise UsageError(f"--engine {engine} chooses an engine of a bundle: add --bundle DIR")
    if min_face and max_faces is None:
        raise UsageError(
            f"--min-face {min_face:g} has no effect on the largest face alone: add --max-faces N"
        )
    # Whoever judges the images would refuse them, too, when a table has begun.
    check_face_limits(max_faces, min_face)
    if resume and output is None:
        raise UsageError("--resume goes on with a table: add --output FILE")
    selection = Selection(every, parse_time(start or "0"), None if end is None else parse_time(end))
    files = Files(images, IMAGE_SUFFIXES if output is None else FOLDER_SUFFIXES)
    kinds = Kinds.of(files)
    if files.repeatable and not (kinds.images or kinds.moving):
        raise DataError(
            f"there is no image in {', '.join(images)}: a file in a folder is one by its ending, such as .jpg"
        )
    only_moving = bool(kinds.moving) and not kinds.images
    drawn = overlay is not None and (overlay.suffix.lower() == ".mp4" or only_moving)
    moving = Moving(selection, smooth, time_constant, overlay if drawn else None)
    check_moving(files, kinds, moving, output, resume)
    overlays = OverlayPaths(None if drawn else overlay, files)
    faces = Faces(max_faces, min_face)

    def frame_predictor() -> FramePredictor:
        if bundle is not None:
            return LocalFramePredictor(bundle, engine, faces, batch_of(kinds, BATCH))
        headers = dict(map(_header, header or []))
        options = ServerOptions(
            url=url or DEFAULT_URL,
            model=model.value,
            timeout=10.0 if timeout is None else timeout,
            retries=(5 if output else 0) if retries is None else retries,
            headers=headers,
            ca=ca,
            in_flight=in_flight or 8,
            errors_stop=output is not None,
        )
        return ServedFramePredictor(options, faces)

    with frame_predictor() as predictor:
        if output is not None:
            failed = write_rows(
                files,
                overlays,
                predictor,
                output,
                faces,
                moving=moving,
                resume=resume,
                repeatable=not kinds.has_camera,
                json=json,
            )
        elif json:
            failed = print_document(files, overlays, predictor)
        else:
            failed = print_answers(files, overlays, predictor)
    if failed:
        raise typer.Exit(1)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not (colon and name.strip()):
        raise UsageError(f"a header must be NAME:VALUE, got {text!r}")
    return name.strip(), value.strip()
