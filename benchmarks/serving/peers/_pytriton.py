"""PyTriton with a function a core; they share this process, and answer one image each."""

from __future__ import annotations

import os
import sysconfig
import tempfile
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from pytriton.model_config import ModelConfig, Tensor
from pytriton.proxy.types import Request
from pytriton.triton import Triton, TritonConfig, TritonSecurityConfig

from lnlattennet.benchmarks.serving.peers import _kserve as kserve
from lnlattennet.serving.triton._model_names import ENSEMBLE

Answers = list[dict[str, NDArray[np.generic]]]


def infer_function() -> Callable[[Sequence[Request]], Answers]:
    """Load the bundle and return a function that answers requests."""
    model = kserve.predictor()

    def infer(requests: Sequence[Request]) -> Answers:
        answers: Answers = []
        for request in requests:
            prediction = model.predict(request["image"].item())
            probabilities = np.array([list(prediction.probabilities.values())], np.float32)
            weights = np.asarray(prediction.region_weights, np.float32).reshape(1, -1)
            label = np.array([[prediction.label.encode()]], object)
            answers.append({"label": label, "probabilities": probabilities, "region_weights": weights})
        return answers

    return infer


def main() -> None:
    """Serve until the process is ended."""
    # The system's libpython need not be of the release whose standard library the server's process finds.
    libraries = sysconfig.get_config_var("LIBDIR"), os.environ.get("LD_LIBRARY_PATH", "")
    os.environ["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, libraries))
    # perf_analyzer asks for the model's configuration, too, which would need a token.
    open_to_all = TritonSecurityConfig(restricted_endpoints=[])
    # It asks over HTTP; nothing else listens.
    config = TritonConfig(
        http_address="127.0.0.1", http_port=kserve.port(), allow_grpc=False, allow_metrics=False
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        Triton(config=config, workspace=f"{folder}/pytriton", security_config=open_to_all) as server,
    ):
        server.bind(
            model_name=ENSEMBLE,
            infer_func=[infer_function() for _ in os.sched_getaffinity(0)],
            inputs=[Tensor(name="image", dtype=bytes, shape=(1,))],
            outputs=[
                Tensor(name="label", dtype=bytes, shape=(1,)),
                Tensor(name="probabilities", dtype=np.float32, shape=(-1,)),
                Tensor(name="region_weights", dtype=np.float32, shape=(-1,)),
            ],
            config=ModelConfig(max_batch_size=1),
        )
        server.serve()


if __name__ == "__main__":
    main()
