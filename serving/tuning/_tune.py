"""Tuning of a deployment: candidates are served one after the other, under load, and the best is chosen."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from lnlattennet._program_folder import temporary_program_folder
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.bundle._prediction import Prediction
from lnlattennet.errors import UsageError, require
from lnlattennet.images._decode import decode_image
from lnlattennet.machine._hardware import usable_cpus
from lnlattennet.serving._predictor import LocalPredictor
from lnlattennet.serving.supervision._known_face import known_face
from lnlattennet.serving.triton._deployment import Deployment
from lnlattennet.serving.triton._discovery import TritonServer, find_server
from lnlattennet.serving.triton._endpoints import choose_endpoints
from lnlattennet.serving.triton._health import probe_model
from lnlattennet.serving.triton._model_config import runs_natively
from lnlattennet.serving.triton._model_names import CROPS, PUBLIC_MODELS
from lnlattennet.serving.triton._process import TritonProcess
from lnlattennet.serving.triton._repository import add_version
from lnlattennet.serving.triton._scheduling import Scheduling, default_scheduling
from lnlattennet.serving.triton._topology import Topology
from lnlattennet.serving.tuning._candidates import candidates
from lnlattennet.serving.tuning._load import LOAD_SHARE, Sample, check_answer, put_load
from lnlattennet.serving.tuning._rounds import (
    Objective,
    Trial,
    Turn,
    choose,
    number_of_turns,
    run_rounds,
)

MOST_IN_FLIGHT = 128
"""The size of a queue: of more at once, some would be refused."""

SECONDS = 1.5
"""Duration of each stretch of load."""

_START_SECONDS = 4.0
"""Usual time until a server answers, and until it has stopped."""

_PATIENCE = 2
"""Share of the estimated time after which no further round begins."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TuningOptions:
    """What is best, and under which load.

    Attributes:
        objective: what is to be best.
        in_flight: numbers of requests in flight at once.
        image: file that is sent; None takes a rendered face of 192 pixels.
    """

    objective: Objective = "throughput"
    in_flight: tuple[int, ...] = (1, 4, 8)
    image: Path | None = None

    def __post_init__(self) -> None:
        if len(set(self.in_flight)) < len(self.in_flight) or not all(
            1 <= count <= MOST_IN_FLIGHT for count in self.in_flight
        ):
            raise UsageError(
                f"--tune-concurrency must be different numbers from 1 to {MOST_IN_FLIGHT}, got "
                f"{','.join(map(str, self.in_flight))}"
            )


@dataclass(frozen=True)
class Tuning:
    """The trials of all candidates, the default first, and which is best."""

    options: TuningOptions
    cores: int
    engine: str
    trials: Sequence[Trial]
    chosen: Trial


def tune_bundle(
    bundle: Bundle,
    backends: Collection[str],
    engine: str | None,
    topology: Topology | None,
    options: TuningOptions,
    backend_directory: Path | None = None,
) -> Tuning:
    """Serve a bundle with every candidate under load, one server at a time, and choose the best.

    Args:
        bundle: a verified bundle.
        backends: those that the deployment may use.
        engine: name of the engine that serves; None takes the selected one.
        topology: as for ``add_version``.
        options: objective and load.
        backend_directory: backends of the tritonserver on PATH; None takes those of NVIDIA's container.

    Raises:
        ImageError: the image to send cannot be read.
        ServingError: the bundle cannot be served.
        UnavailableError: there is no tritonserver, or no package for the picture or the engine.
        UsageError: the server lacks a backend.
    """
    require("matplotlib", "tune")
    record = bundle.manifest.engine(engine)
    with find_server(backend_directory) as server, temporary_program_folder("lnlattennet-tuning-") as folder:
        if missing := set(backends) - server.backends:
            raise UsageError(
                f"--server-backend {', '.join(sorted(missing))} cannot be tuned here: this machine's "
                f"tritonserver has {', '.join(sorted(server.backends))}"
            )
        image = options.image.read_bytes() if options.image else known_face()
        answers = _Answers(bundle, record.name, image)
        cores = usable_cpus()
        native = runs_natively(record, backends)
        default = default_scheduling(record, native)
        tried = candidates(cores, max(options.in_flight), native, default.joined)
        seconds = _estimate(len(tried), options)
        _log.info("%d candidates on %d cores: some %s", len(tried), cores, _duration(seconds))
        if (load := os.getloadavg()[0]) > cores / 2:
            _log.warning("other programs use this machine (load %.1f): tune again when it is idle", load)
        write = partial(add_version, bundle, backends=backends, engine=engine, topology=topology)
        bench = _Bench(server, folder, write, answers, options)
        deadline = time.monotonic() + _PATIENCE * seconds
        trials = run_rounds(tried, bench.measure, options.objective, deadline)
    return Tuning(options, cores, record.name, trials, choose(trials, options.objective))


class _Answers:
    """What the bundle answers in this process: about the known face, and about the image of the load."""

    def __init__(self, bundle: Bundle, engine: str, image: bytes) -> None:
        predictor = LocalPredictor(bundle, engine)
        self.image, self.of_image = image, predictor.predict(image)
        whole = bundle.predict(decode_image(known_face())[None], engine)[0]
        largest = predictor.predict(known_face())
        self.of_known_face: Mapping[str, Prediction] = {
            model: whole if model == CROPS else largest for model in PUBLIC_MODELS
        }


class _Bench:
    """Takes the turns.

    Args:
        server: the program to run.
        folder: for the deployments, which are removed after each turn.
        write: writes a deployment to a folder with a scheduling.
        answers: what must be answered.
        options: the load.
    """

    def __init__(
        self,
        server: TritonServer,
        folder: Path,
        write: Callable[..., object],
        answers: _Answers,
        options: TuningOptions,
    ) -> None:
        self._server, self._folder, self._write = server, folder, write
        self._answers, self._options = answers, options

    def measure(self, scheduling: Scheduling) -> Turn:
        """Serve the bundle with a scheduling, check every model's answer, and put load on it.

        Raises:
            ServingError: it cannot be served, or an answer is wrong.
        """
        before = os.getloadavg()[0]
        with TemporaryDirectory(dir=self._folder) as name:
            deployment = Deployment(Path(name, "deployment"))
            self._write(deployment.path, scheduling=scheduling)
            started = time.monotonic()
            endpoints = choose_endpoints("127.0.0.1", 0, 0, 0)
            with TritonProcess(self._server, deployment, endpoints, probed=False) as process:
                for model, expected in self._answers.of_known_face.items():
                    check_answer(probe_model(endpoints.grpc, model, known_face()), expected)
                start_seconds = time.monotonic() - started
                samples = [self._load(endpoints.grpc, count) for count in self._options.in_flight]
                process.check()
        rates = ", ".join(f"{sample.rate:.0f} with {sample.in_flight}" for sample in samples)
        _log.info("%s: answers a second: %s in flight", scheduling, rates)
        return Turn(before, start_seconds, samples)

    def _load(self, url: str, in_flight: int) -> Sample:
        answers = self._answers
        return put_load(url, answers.image, answers.of_image, in_flight, SECONDS)


def _estimate(count: int, options: TuningOptions) -> float:
    return number_of_turns(count) * (_START_SECONDS + LOAD_SHARE * SECONDS * len(options.in_flight))


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"
