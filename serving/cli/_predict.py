"""`lnlattennet predict`: the expression on photos, asked of a server or computed from a bundle."""

from __future__ import annotations

import enum
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

import typer
from PIL import Image
from rich.table import Table
from rich.text import Text

from lnlattennet._command import configure_logging, print_json, printable
from lnlattennet._console import stdout
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._prediction import Prediction
from lnlattennet.errors import ImageError, ServingError, UsageError
from lnlattennet.images._decode import decode_image
from lnlattennet.serving.cli._overlay import draw_overlay, weight_table
from lnlattennet.serving.cli._overlay_paths import overlay_paths
from lnlattennet.serving.client._client import Client
from lnlattennet.serving.inference._predictor import LocalPredictor

DEFAULT_URL = "grpc://127.0.0.1:8001"

_logger = logging.getLogger(__name__)


class Model(enum.StrEnum):
    """Public models of a served bundle; they give the same answers."""

    EXPRESSION = "expression"
    EXPRESSION_FUSED = "expression_fused"


class _Predictor(Protocol):
    def predict(self, images: Sequence[bytes]) -> list[Prediction]: ...


@dataclass(frozen=True)
class _Answer:
    """What became of one photo: a prediction, an error, or both if only its overlay failed."""

    photo: str
    prediction: Prediction | None = None
    error: str = ""


def predict(
    photos: Annotated[list[Path], typer.Argument(help="JPEG or PNG files.")],
    url: Annotated[
        str | None,
        typer.Option(help="Server: grpc://host:port or http://host:port.", show_default=DEFAULT_URL),
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="Run this bundle here instead of a server.")] = None,
    engine: Annotated[
        str | None, typer.Option(help="Engine of --bundle.", show_default="the selected one")
    ] = None,
    model: Annotated[Model, typer.Option(help="Model of the server.")] = Model.EXPRESSION,
    overlay: Annotated[
        Path | None,
        typer.Option(help="Draw the regions' weights: a .png file for one photo, or a folder."),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that a server may take for one photo.")] = 10.0,
    json: Annotated[bool, typer.Option("--json", help="Print the predictions as JSON.")] = False,
    verbose: Annotated[int, typer.Option("--verbose", "-v", count=True, help="Log more.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log warnings only.")] = False,
) -> None:
    """Predict the expression on images, with region weights.

    A photo that fails does not stop the others; the exit code is 1 then.
    """
    configure_logging(verbose, quiet)
    if bundle is not None and url is not None:
        raise UsageError("--url asks a server and --bundle runs here: give one of the two")
    if engine is not None and bundle is None:
        raise UsageError(f"--engine {engine} chooses an engine of a bundle: add --bundle DIR")
    overlays = overlay_paths(overlay, photos)
    with _predictor(url or DEFAULT_URL, model, timeout, bundle, engine) as predictor:
        answers = [_answer(predictor, *pair) for pair in zip(photos, overlays, strict=True)]
    if json:
        print_json(_document(answers))
    else:
        _print_for_people(answers)
    if any(answer.error for answer in answers):
        raise typer.Exit(1)


@contextmanager
def _predictor(
    url: str, model: Model, timeout: float, bundle: Path | None, engine: str | None
) -> Iterator[_Predictor]:
    if bundle is not None:
        yield LocalPredictor(Bundle.load(bundle), engine)
        return
    with Client(url, model.value, timeout) as client:
        yield client


def _answer(predictor: _Predictor, photo: Path, overlay: Path | None) -> _Answer:
    name = printable(photo)
    try:
        data = photo.read_bytes()
        prediction = predictor.predict([data])[0]
    except OSError as error:
        return _Answer(name, error=f"cannot read the file: {error.strerror}")
    except (ImageError, ServingError) as error:
        return _Answer(name, error=str(error))
    try:
        if overlay is not None:
            _write_overlay(data, prediction, overlay)
    except OSError as error:
        return _Answer(name, prediction, f"cannot write its overlay: {error.strerror}")
    return _Answer(name, prediction)


def _write_overlay(data: bytes, prediction: Prediction, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw_overlay(decode_image(data), prediction)).save(path, "PNG")
    _logger.info("wrote %s", printable(path))


def _document(answers: list[_Answer]) -> dict[str, object]:
    return {
        "predictions": [{"photo": a.photo} | a.prediction.to_dict() for a in answers if a.prediction],
        "errors": [{"photo": a.photo, "error": a.error} for a in answers if a.error],
    }


def _print_for_people(answers: list[_Answer]) -> None:
    console = stdout()
    table = Table("photo", "expression", "face", "all probabilities")
    for answer in answers:
        if answer.prediction is not None:
            table.add_row(Text(answer.photo), *_cells(answer.prediction))
        if answer.error:
            table.add_row(Text(answer.photo), Text("error", "bold red"), "", Text(answer.error, "red"))
    console.print(table)
    for answer in answers:
        if answer.prediction is not None:
            console.print(Text(f"\nregion weights of {answer.photo}"))
            console.print(weight_table(answer.prediction.region_weights))


def _cells(prediction: Prediction) -> tuple[Text, Text, Text]:
    left, top, right, bottom = (round(value) for value in prediction.face_box)
    how = "found" if prediction.face_found else "centre square"
    ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
    return (
        Text(f"{prediction.label} {prediction.probabilities[prediction.label]:.1%}", "bold"),
        Text(f"{how}\n({left}, {top}) to ({right}, {bottom})"),
        Text(", ".join(f"{name} {probability:.3f}" for name, probability in ranked)),
    )
