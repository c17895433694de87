"""Client of the public models of a server, over gRPC or HTTP."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from lnlattennet.bundle._prediction import Prediction, check_outputs, predictions_from_outputs
from lnlattennet.errors import ImageError, ServingError, UsageError
from lnlattennet.images._batch import for_each, renumber, without_number
from lnlattennet.images._encoded import EncodedImage, require_encoded
from lnlattennet.images._face_crop import check_face_limits
from lnlattennet.model._io_spec import OUTPUT_NAMES
from lnlattennet.serving._face_tensors import FACE_TENSORS, face_locations
from lnlattennet.serving.client._transport import Outputs, connect
from lnlattennet.serving.triton._model_names import ENSEMBLE, FACES, FUSED

_OUTPUTS = (*OUTPUT_NAMES, *FACE_TENSORS)


@dataclass(frozen=True)
class ModelDescription:
    """Facts that a served model states about itself.

    Attributes:
        class_names: in the order of the logits.
        grid: g; the face has g * g regions.
        license: note on the license of the training data; "" if the server has none.
        max_batch_size: maximum number of images per request.
        parameters: every parameter of its configuration: name -> text.
    """

    class_names: list[str]
    grid: int
    license: str
    max_batch_size: int
    parameters: dict[str, str]


class Client:
    """A connection to one served model; usable as a context manager.

        with Client("grpc://127.0.0.1:8001") as client:
            print(client.predict(Path("face.jpg").read_bytes()).label)

    A ``grpc://`` client may be shared by threads; an ``http://`` client belongs to the thread that made it.

    Args:
        url: ``grpc://host:port`` or ``http://host:port``.
        model: ``expression`` or ``expression_fused``, for the largest face of each image. For every face it
            asks ``expression_faces``.
        timeout: seconds that one request may take.

    Raises:
        UsageError: the URL is of another form, the timeout is not positive, or ``model`` is the one for every
            face.
        ServingError: nothing answers there, or it does not serve this model.
        UnavailableError: tritonclient is not installed.
    """

    def __init__(self, url: str, model: str = ENSEMBLE, timeout: float = 10.0) -> None:
        if model == FACES:
            raise UsageError(f"a client asks {FACES!r} in predict(images, max_faces=N); give another model")
        self._model = model
        self._connection = connect(url, timeout)
        try:
            self.description = _describe(model, self._connection.model_config(model))
        except BaseException:
            self.close()
            raise

    @overload
    def predict(self, images: EncodedImage) -> Prediction: ...

    @overload
    def predict(self, images: Sequence[EncodedImage]) -> list[Prediction]: ...

    @overload
    def predict(self, images: EncodedImage, max_faces: int, min_face: float = 0) -> list[Prediction]: ...

    @overload
    def predict(
        self, images: Sequence[EncodedImage], max_faces: int, min_face: float = 0
    ) -> list[list[Prediction]]: ...

    def predict(self, images: Any, max_faces: int | None = None, min_face: float = 0) -> Any:
        """Predict the expression on the largest face, or on every face, of an image or of each of a list.

        ``LocalPredictor.predict`` takes the same, and answers and refuses alike; it takes paths and pixels,
        too. Here they are an ``ImageTypeError``, and nothing of them is sent.

        Args:
            images: a JPEG or PNG file as bytes, as an object like bytes or as the array that
                ``cv2.imencode`` gives; or a list of them.
            max_faces: predict at most this many faces of each image; None predicts the largest.
            min_face: with ``max_faces``: size in pixels below which a face gets the status "too_small".

        Returns:
            One prediction for an image, a list in the same order for a list. With ``max_faces`` there is a
            list of predictions in place of each, largest face first. An image without a face has one
            prediction, of its center square.

        Raises:
            ImageTypeError: an image is not like bytes; nothing was sent.
            ImageError: the server refused an image; no image of a list is predicted then.
            OverloadedError: the server has too many requests; try again.
            EngineOutputError: the served engine gave an output that breaks a rule of ``check_outputs``.
            ServingError: the server cannot be reached, is too slow or failed.
            UsageError: ``max_faces`` or ``min_face`` is out of range.
        """
        check_face_limits(max_faces, min_face)
        if not isinstance(images, list | tuple):
            image = require_encoded(images)
            if max_faces is None:
                return self._largest_face(image)
            return self._every_face(image, max_faces, min_face)
        encoded = for_each(images, require_encoded)
        if max_faces is None:
            return self._largest_faces(encoded)
        return for_each(encoded, lambda image: self._every_face(image, max_faces, min_face))

    def _largest_face(self, image: bytes) -> Prediction:
        try:
            return self._largest_faces([image])[0]
        except ImageError as error:
            raise ImageError(without_number(str(error))) from error

    def _largest_faces(self, images: Sequence[bytes]) -> list[Prediction]:
        predictions: list[Prediction] = []
        for start in range(0, len(images), self.description.max_batch_size):
            batch = images[start : start + self.description.max_batch_size]
            try:
                outputs = self._connection.infer(self._model, _tensor(batch), _OUTPUTS)
            except ImageError as error:
                raise ImageError(renumber(str(error), start)) from error
            predictions += self._checked(outputs, len(batch))
        return predictions

    def _every_face(self, image: bytes, max_faces: int, min_face: float) -> list[Prediction]:
        limits = {"max_faces": int(max_faces), "min_face": float(min_face)}
        outputs = self._connection.infer(FACES, _tensor([image]), _OUTPUTS, limits)
        rows = {name: array[0] for name, array in outputs.items()}
        return self._checked(rows, len(rows["status"]))

    def _checked(self, outputs: Outputs, faces: int) -> list[Prediction]:
        about = self.description
        check_outputs(outputs, faces, len(about.class_names), about.grid**2)
        return predictions_from_outputs(outputs, about.class_names, face_locations(outputs))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _tensor(images: Sequence[bytes]) -> NDArray[np.object_]:
    return np.array(images, dtype=np.object_)[:, None]


def _describe(model: str, config: dict[str, Any]) -> ModelDescription:
    try:
        parameters = {name: str(value["string_value"]) for name, value in config["parameters"].items()}
        names = json.loads(parameters["class_names"])
        grid = int(parameters["grid"])
        note = str(json.loads(parameters.get("license", '""')))
    except (KeyError, TypeError, ValueError) as error:
        raise ServingError(
            f"model {model!r} has no usable parameters class_names and grid, so it is not one that "
            f"`lnlattennet serve BUNDLE` serves; ask for {ENSEMBLE!r} or {FUSED!r}"
        ) from error
    # A model without batching states a maximum batch size of 0.
    return ModelDescription(names, grid, note, max(1, int(config.get("max_batch_size", 0))), parameters)
