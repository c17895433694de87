"""The few facts of a deployed bundle that a python model needs, read without the manifest's schema.

`deploy` has validated the manifest. The schema costs 0.2 s of processor time and 8 MB, which every process of
a python model would pay again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lnlattennet.bundle._engine import load_runner, why_not_here
from lnlattennet.bundle._files import MANIFEST_NAME, verify_files
from lnlattennet.errors import LnlAttenNetError, UnavailableError
from lnlattennet.model._preprocessing import Preprocessing
from lnlattennet.runtimes._base import Runner


@dataclass(frozen=True)
class ServedBundle:
    """A deployed bundle whose every file has been compared with the manifest's SHA-256.

    Attributes:
        class_names: in the order of the logits.
        regions: K, number of regions of a face.
        preprocessing: of the images.
        engine: name of the engine that serves.
        backend: name of its backend.
        file: its file.
        largest_batch: the most faces that it takes at once.
    """

    class_names: list[str]
    regions: int
    preprocessing: Preprocessing
    engine: str
    backend: str
    file: Path
    largest_batch: int

    @classmethod
    def load(cls, folder: Path) -> ServedBundle:
        """Verify and read the bundle in a deployment.

        Raises:
            BundleError: a file in it is missing, changed or not listed.
        """
        manifest = json.loads((folder / MANIFEST_NAME).read_bytes())
        verify_files(
            folder, {name: (file["sha256"], file["size"]) for name, file in manifest["files"].items()}
        )
        (engine,) = (engine for engine in manifest["engines"] if engine["name"] == manifest["selected"])
        return cls(
            class_names=manifest["class_names"],
            regions=manifest["network"]["grid"] ** 2,
            preprocessing=Preprocessing.from_dict(manifest["preprocessing"]),
            engine=engine["name"],
            backend=engine["backend"],
            file=folder / engine["file"],
            largest_batch=engine["batch"][2],
        )

    def runner(self, threads: int) -> Runner:
        """Load the engine, to run with so many threads, and return it ready to run.

        Raises:
            BundleError: its runtime refuses the file.
            UnavailableError: its runtime is not installed, or cannot run engines on this machine.
        """
        try:
            size = self.preprocessing.size
            return load_runner(f"engine {self.engine}", self.backend, self.file, size, threads)
        except LnlAttenNetError as error:
            # To ask first would import the lists of installed packages.
            if why_not := why_not_here(self.backend):
                raise UnavailableError(f"engine {self.engine} cannot run here: {why_not}") from error
            raise
