"""Client of the served models `expression` and `expression_fused`, over gRPC or HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lnlattennet.bundle._prediction import Prediction, check_outputs, predictions_from_outputs
from lnlattennet.errors import ImageError, ServingError
from lnlattennet.images._face_crop import FaceLocation
from lnlattennet.model._io_spec import OUTPUT_NAMES
from lnlattennet.serving.client._transport import connect
from lnlattennet.serving.triton._model_names import ENSEMBLE, FUSED

_OUTPUTS = (*OUTPUT_NAMES, "face_box", "face_found")


@dataclass(frozen=True)
class ModelDescription:
    """Facts that a served model states about itself.

    Attributes:
        class_names: in the order of the logits.
        grid: g; the face has g * g regions.
        max_batch_size: maximum number of images per request.
        parameters: every parameter of its configuration: name -> text.
    """

    class_names: list[str]
    grid: int
    max_batch_size: int
    parameters: dict[str, str]


class Client:
    """A connection to one served model; usable as a context manager.

        with Client("grpc://127.0.0.1:8001") as client:
            print(client.predict([Path("face.jpg").read_bytes()])[0].label)

    A ``grpc://`` client may be shared by threads; an ``http://`` client belongs to the thread that made it.

    Args:
        url: ``grpc://host:port`` or ``http://host:port``.
        model: ``expression`` or ``expression_fused``.
        timeout: seconds that one request may take.

    Raises:
        UsageError: the URL is of another form, or the timeout is not positive.
        ServingError: nothing answers there, or it does not serve this model.
        UnavailableError: tritonclient is not installed.
    """

    def __init__(self, url: str, model: str = ENSEMBLE, timeout: float = 10.0) -> None:
        self._model = model
        self._connection = connect(url, timeout)
        try:
            self.description = _describe(model, self._connection.model_config(model))
        except BaseException:
            self.close()
            raise

    def predict(self, images: Sequence[bytes]) -> list[Prediction]:
        """Predict the expression on each encoded JPEG or PNG image, in order.

        Raises:
            ImageError: ``images`` is not a list of bytes, or an image was refused; nothing is predicted then.
            EngineOutputError: the served engine gave an output that breaks a rule of ``check_outputs``.
            ServingError: the server cannot be reached, is too slow or failed.
        """
        wrong = next((image for image in images if not isinstance(image, bytes)), None)
        if wrong is not None:
            raise ImageError(
                "images must be a list of JPEG or PNG files as bytes, such as [Path(file).read_bytes()], got "
                f"{type(images).__name__} of {type(wrong).__name__}"
            )
        about = self.description
        predictions: list[Prediction] = []
        for start in range(0, len(images), about.max_batch_size):
            batch = np.array(images[start : start + about.max_batch_size], dtype=np.object_)[:, None]
            outputs = self._connection.infer(self._model, batch, _OUTPUTS)
            check_outputs(outputs, len(batch), len(about.class_names), about.grid**2)
            predictions += predictions_from_outputs(outputs, about.class_names, _locations(outputs))
        return predictions

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _locations(outputs: Mapping[str, NDArray[Any]]) -> list[FaceLocation]:
    found = outputs["face_found"][:, 0]
    return [
        FaceLocation(box=(left, top, right, bottom), status="ok" if face else "no_face")
        for (left, top, right, bottom), face in zip(outputs["face_box"].tolist(), found, strict=True)
    ]


def _describe(model: str, config: dict[str, Any]) -> ModelDescription:
    try:
        parameters = {name: str(value["string_value"]) for name, value in config["parameters"].items()}
        names = json.loads(parameters["class_names"])
        grid = int(parameters["grid"])
    except (KeyError, TypeError, ValueError) as error:
        raise ServingError(
            f"model {model!r} has no usable parameters class_names and grid, so it is not one that "
            f"`lnlattennet serve BUNDLE` serves; ask for {ENSEMBLE!r} or {FUSED!r}"
        ) from error
    # A model without batching states a maximum batch size of 0.
    return ModelDescription(names, grid, max(1, int(config.get("max_batch_size", 0))), parameters)
