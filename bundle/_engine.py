"""A loaded engine: its runner, and one that takes any number of faces and gives checked numpy arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.bundle._prediction import check_faces
from lnlattennet.errors import BundleError, UsageError
from lnlattennet.model._io_spec import INPUT_NAME
from lnlattennet.runtimes._base import Arrays, Runner, Unavailable
from lnlattennet.runtimes._errors import translate_runtime_errors
from lnlattennet.runtimes._registry import BACKENDS, backend_named, unknown_backend


def why_not_here(backend: str) -> str | None:
    """Return why the engines of a backend cannot run on this machine; None if they can."""
    if backend not in BACKENDS:
        return unknown_backend(backend)
    available = backend_named(backend).availability()
    return available.reason if isinstance(available, Unavailable) else available.run_blocker


def load_runner(called: str, backend: str, file: Path, size: int, threads: int = 0) -> Runner:
    """Load an engine file; the runner raises ImageError for faces that break a rule of ``check_faces``.

    Args:
        called: the engine's name in errors.
        backend: name of the backend that built it.
        file: the engine.
        size: side of the network's input in pixels.
        threads: threads of the engine; 0 takes the CPUs that this process may use.

    Raises:
        BundleError: the runtime refuses the file.
        ExportError: it was built for another version of its runtime.
        UsageError: ``threads`` is no number of threads.
    """
    if not isinstance(threads, Integral) or threads < 0:
        raise UsageError(
            f"threads must be a whole number, 0 for the CPUs that this process may use, got {threads!r}"
        )
    with translate_runtime_errors(called, "load", BundleError):
        run = backend_named(backend).load(file, threads)

    def checked(inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        faces = _require_inputs(inputs)[INPUT_NAME]
        check_faces(faces, size)
        return run({INPUT_NAME: np.ascontiguousarray(faces)})

    return checked


def _require_inputs(inputs: Any) -> Mapping[str, NDArray[np.float32]]:
    if isinstance(inputs, Mapping) and INPUT_NAME in inputs:
        return inputs
    given = (
        f"the keys {', '.join(map(repr, inputs))}" if isinstance(inputs, Mapping) else type(inputs).__name__
    )
    raise TypeError(
        f'a runner takes {{"{INPUT_NAME}": float32 [n, 3, S, S]}}, normalized, and got {given}; '
        "Bundle.predict takes faces as they are"
    )


class Engine:
    """Runs an engine on any number of faces, in batches that it accepts; may be called from several threads.

    Args:
        runner: the loaded engine.
        smallest: its smallest batch.
        largest: its largest batch.
        check: raises if the outputs of a batch of the given size break a rule.
    """

    def __init__(
        self, runner: Runner, smallest: int, largest: int, check: Callable[[Arrays, int], None]
    ) -> None:
        self._runner = runner
        self._smallest = smallest
        self._largest = largest
        self._check = check

    def __call__(self, faces: NDArray[np.float32]) -> Arrays:
        """Return logits, region_weights and region_affinity for normalized faces float32 [n, 3, S, S].

        Raises:
            EngineOutputError: an output breaks a rule of ``check_outputs``.
            ImageError: the faces break a rule of ``check_faces``.
        """
        faces = np.asarray(faces)
        starts = range(0, max(len(faces), 1), self._largest)
        parts = [self._run(faces[start : start + self._largest]) for start in starts]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _run(self, faces: NDArray[np.float32]) -> Arrays:
        # Some engines have a smallest batch; outputs do not depend on the padding.
        missing = max(0, max(self._smallest, 1) - len(faces))
        padding = np.zeros((missing, *faces.shape[1:]), faces.dtype)
        batch = np.concatenate([faces, padding]) if missing else faces
        outputs = self._runner({INPUT_NAME: batch})
        self._check(outputs, len(batch))
        return {name: array[: len(faces)] for name, array in outputs.items()}
