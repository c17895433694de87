"""Bundle on disk: its files are verified, then one of its engines runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlattennet.bundle._engine import Engine, load_runner, why_not_here
from lnlattennet.bundle._files import digest, verify_files
from lnlattennet.bundle._manifest import FileRecord, Manifest, read_manifest
from lnlattennet.bundle._prediction import Prediction, check_outputs, predictions_from_outputs
from lnlattennet.bundle.doctor._local import runnable_engines
from lnlattennet.errors import BundleError, ExportError, ImageError, UnavailableError
from lnlattennet.images._read import require_rgb
from lnlattennet.images._ready_crops import crop_centers, require_crops
from lnlattennet.runtimes._base import Runner

Image = NDArray[np.uint8]

ANY = "any"
"""In place of an engine's name: the selected one if it runs here, else another that does."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, repr=False)
class Bundle:
    """A bundle whose every file has been compared with the manifest's SHA-256.

        bundle = Bundle.load("build/demo")
        bundle.predict(faces)  # uint8 [n, H, W, 3], cropped; lnlattennet.load finds faces in images

    Attributes:
        path: the bundle's folder.
        manifest: its parsed `manifest.json`.
    """

    path: Path
    manifest: Manifest = field(hash=False)
    _engines: dict[tuple[str, int], Engine] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _chosen: dict[int, str] = field(default_factory=dict, init=False, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    @classmethod
    def load(cls, path: Path | str) -> Bundle:
        """Verify the folder at ``path``; nothing in it is deserialized before its hash is verified.

        Raises:
            BundleError: it is not a bundle, or a file in it is missing, changed or not listed.
        """
        if "://" in str(path):
            raise BundleError(f"a bundle is a folder, got the URL {path}; lnlattennet.Client asks a server")
        folder = Path(path)
        manifest = read_manifest(folder)
        verify_files(folder, {name: (record.sha256, record.size) for name, record in manifest.files.items()})
        for engine in manifest.engines:
            if engine.file not in manifest.files:
                raise BundleError(f"{folder}: engine {engine.name} names {engine.file}, which no hash covers")
        manifest.engine()
        return cls(folder, manifest)

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        """Pickle as the path: another process verifies the files itself, and loads engines of its own."""
        return type(self).load, (self.path,)

    def __repr__(self) -> str:
        names = ", ".join(engine.name for engine in self.manifest.engines)
        return f"<Bundle {str(self.path)!r}: {names}; {self.manifest.selected} is selected>"

    def describe(self) -> dict[str, Any]:
        """Return the manifest without hashes, with the sizes of the bundle and of every engine in bytes."""
        document = self.manifest.report()
        for engine, record in zip(document["engines"], self.manifest.engines, strict=True):
            engine["bytes"] = self.manifest.engine_bytes(record)
        sizes = [record.size for record in self.manifest.files.values()]
        return {"bundle": str(self.path), "files": len(sizes), "bytes": sum(sizes), **document}

    def runner(self, engine: str | None = None, threads: int = 0) -> Runner:
        """Load an engine (the selected one if ``engine`` is None) and return it ready to run.

        It raises ImageError for faces that are not normalized ones of the network's size.

        Raises:
            BundleError: no engine of that name, or its runtime refuses the file.
            ExportError: it was built for another version of its runtime.
            UnavailableError: its runtime is not installed, or cannot run engines on this machine.
        """
        record = self.manifest.engine(engine)
        if why_not := why_not_here(record.backend):
            others = ", ".join(name for name in runnable_engines(self.manifest) if name != record.name)
            others = f"{others}; name one with --engine, or take --engine {ANY}" if others else "none"
            raise UnavailableError(
                f"engine {record.name} cannot run here: {why_not}. Engines of the bundle that can: {others}"
            )
        called = f"engine {record.name} of {self.path} (lnlattennet doctor {self.path} says what runs here)"
        size = self.manifest.preprocessing.size
        return load_runner(called, record.backend, self.path / record.file, size, threads)

    def engine_name(self, engine: str | None = None, threads: int = 0) -> str:
        """Return the name of an engine: None is the selected one, "any" the first that loads here.

        For "any" the selected one comes first, then the others by their latency in the bundle.

        Raises:
            BundleError: no engine of that name.
            UnavailableError: for "any": none runs here.
        """
        if engine != ANY:
            return self.manifest.engine(engine).name
        if threads not in self._chosen:
            self._chosen[threads] = self._first_that_loads(threads)
        return self._chosen[threads]

    def _first_that_loads(self, threads: int) -> str:
        reasons = []
        for name in runnable_engines(self.manifest):
            try:
                self.engine(name, threads)
            except (BundleError, ExportError, UnavailableError) as error:
                reasons.append(str(error))
                continue
            if name != self.manifest.selected:
                _log.warning(
                    "%s, the selected engine, cannot run here: %s does", self.manifest.selected, name
                )
            return name
        advice = f"lnlattennet doctor {self.path} says what each needs"
        raise UnavailableError("; ".join([f"no engine of {self.path} runs here ({advice})", *reasons]))

    def engine(self, name: str | None = None, threads: int = 0) -> Engine:
        """Return an engine (the selected one if ``name`` is None) that takes any number of faces.

        It is loaded at the first call and kept. For "any" see ``engine_name``. Raises what ``runner`` raises.
        """
        record = self.manifest.engine(self.engine_name(name, threads))
        with self._lock:
            key = (record.name, threads)
            if key not in self._engines:
                smallest, _, largest = record.batch
                check = partial(
                    check_outputs, classes=len(self.manifest.class_names), regions=self.manifest.grid**2
                )
                self._engines[key] = Engine(self.runner(record.name, threads), smallest, largest, check)
            return self._engines[key]

    def predict(
        self, faces: Sequence[Image] | Image, engine: str | None = None, threads: int = 0
    ) -> list[Prediction]:
        """Predict the expression on cropped faces; safe to call from several threads.

        ``lnlattennet.load`` finds the faces in images first.

        Args:
            faces: RGB uint8 [n, H, W, 3], or a list of arrays [H, W, 3]. The center square of each is resized
                to the network's size and is the ``face_box`` of its prediction.
            engine: name of one of the bundle's engines; None takes the selected one, "any" one that runs.
            threads: threads of the engine; 0 takes the CPUs that this process may use.

        Raises:
            BundleError: no engine of that name.
            EngineOutputError: an output of the engine breaks a rule of ``check_outputs``.
            ImageError: a face has another type or shape; the message has its index.
            ImageTypeError: ``faces`` holds no faces, or is one itself.
            UnavailableError: the engine's runtime cannot run it here.
        """
        run, preprocessing = self.engine(engine, threads), self.manifest.preprocessing
        images = [_require_face(face, index) for index, face in enumerate(require_crops(faces))]
        crops, locations = crop_centers(images, preprocessing)
        return predictions_from_outputs(
            run(preprocessing.normalize(crops)),
            self.manifest.class_names,
            locations,
            images,
            model_hash=self.manifest.model_hash(self.engine_name(engine, threads)),
            preprocessing_id=preprocessing.id,
        )


def _require_face(face: Image, index: int) -> Image:
    try:
        return require_rgb(face)
    except ImageError as error:
        raise ImageError(f"face {index}: {error}") from error


def hash_file(path: Path) -> FileRecord:
    """Return size and SHA-256 of a file."""
    sha256, size = digest(path)
    return FileRecord(sha256=sha256, size=size)
