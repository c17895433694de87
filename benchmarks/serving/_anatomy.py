"""Where the time of one served request goes: parts that add up to what the client waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from lnlattennet.benchmarks.serving._perf_analyzer import Served
from lnlattennet.bundle import Bundle
from lnlattennet.bundle._prediction import predictions_from_outputs
from lnlattennet.errors import require
from lnlattennet.images._face_crop import FaceCropper
from lnlattennet.images._read import read

_WARM_UP = 3
_COUNTED = ("success", "queue", "compute_input", "compute_infer", "compute_output")
"""What Triton adds up for a model, in nanoseconds."""


class Steps:
    """The work of a request in this process, step by step.

    Args:
        folder: of a bundle.
    """

    def __init__(self, folder: Path) -> None:
        bundle = Bundle.load(folder)
        self._manifest = bundle.manifest
        self._cropper = FaceCropper(bundle.manifest.preprocessing)
        self._engine = bundle.engine()

    def milliseconds(self, image: bytes, times: int) -> dict[str, float]:
        """Return step -> its median over so many predictions of an encoded image."""
        for _ in range(_WARM_UP):
            dict(self._laps(image))
        laps = [dict(self._laps(image)) for _ in range(times)]
        return {step: 1e3 * float(np.median([lap[step] for lap in laps])) for step in laps[0]}

    def _laps(self, data: bytes) -> Iterator[tuple[str, float]]:
        preprocessing, start = self._manifest.preprocessing, time.perf_counter()

        def lap() -> float:
            nonlocal start
            before, start = start, time.perf_counter()
            return start - before

        image = read(data, self._cropper.enough)
        yield "decode", lap()
        faces = self._cropper.find(image.pixels)
        yield "find the face", lap()
        crop = self._cropper.crop_largest(image.pixels, faces)
        yield "crop", lap()
        pixels = preprocessing.normalize(crop.face[None])
        yield "normalize", lap()
        outputs = self._engine(pixels)
        yield "engine", lap()
        predictions_from_outputs(outputs, self._manifest.class_names, [crop])
        yield "answer", lap()


def anatomy(steps: dict[str, float], url: str, model: str, send: Callable[[], Served]) -> dict[str, float]:
    """Send requests to a model, and share out the mean of their times.

    Args:
        steps: milliseconds of the work in this process, where nothing else runs.
        url: ``grpc://host:port`` of the server.
        model: name of the model, which has one step.
        send: sends requests to it and to no other model.

    Returns:
        Part -> milliseconds; they add up to the mean that the client measures.
    """
    before = _totals(url, model)
    served = send()
    spent = {name: after - before[name] for name, after in _totals(url, model).items()}
    # The mean of all, as Triton's are; it counts the requests before the timed ones, too.
    mean = {name: spent[name] / spent["count"] / 1e6 for name in _COUNTED}
    inside = [mean[name] for name in _COUNTED[1:]]
    return {
        **steps,
        "to and from the process, and its slower work": mean["compute_infer"] - sum(steps.values()),
        "tensors in": mean["compute_input"],
        "tensors out": mean["compute_output"],
        "queue and scheduler": mean["queue"] + mean["success"] - sum(inside),
        "wire and client": 1e3 * float(np.mean(served.latencies)) - mean["success"],
    }


def _totals(url: str, model: str) -> dict[str, int]:
    client = require("tritonclient.grpc", "triton").InferenceServerClient(url.partition("://")[2])
    try:
        (counted,) = client.get_inference_statistics(model).model_stats
    finally:
        client.close()
    statistics = counted.inference_stats
    totals = {name: getattr(statistics, name).ns for name in _COUNTED}
    return {**totals, "count": statistics.success.count}
