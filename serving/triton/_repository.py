"""Deployable copy of a bundle: Triton's model repository and the bundle, side by side.

    DESTINATION/
    ├── models/        for ``tritonserver --model-repository``
    ├── bundle/        what the python models read, found by a relative path
    └── server.log     written by ``serve``, with those of earlier starts: server.log.1, ...

The copy holds no absolute path, so it can be moved or mounted anywhere.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from lnlattennet._atomic import replace_folder
from lnlattennet._program_folder import locked
from lnlattennet.bundle._bundle import Bundle, hash_file
from lnlattennet.bundle._files import MANIFEST_NAME
from lnlattennet.errors import BundleError, ServingError
from lnlattennet.runtimes._registry import backend_named
from lnlattennet.serving.triton._model_config import (
    CONFIG_NAME,
    fit_config,
    label_files,
    make_native,
    read_config,
    runs_natively,
    write_config,
)
from lnlattennet.serving.triton._model_names import ANSWER, ENGINE_MODEL
from lnlattennet.serving.triton._shell_paths import require_shell_safe_path
from lnlattennet.serving.triton._topology import Topology, fuse_steps, make_step_of_pipeline

_LOGS = "server.log*"
_KEPT_LOGS = 6
"""More than the starts after which a supervisor gives up, so that the first crash's log is there."""


@dataclass(frozen=True)
class Deployment:
    """A deployable copy on disk; ``path`` is its folder."""

    path: Path

    @property
    def models(self) -> Path:
        """The model repository."""
        return self.path / "models"

    @property
    def bundle(self) -> Path:
        """The bundle that the models read."""
        return self.path / "bundle"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.path / "server.log"


def deploy(
    bundle: Bundle,
    destination: Path,
    backends: Collection[str] = ("python",),
    engine: str | None = None,
    topology: Topology | None = None,
) -> Deployment:
    """Write the deployable copy of a bundle; an earlier deployment at ``destination`` is replaced whole.

    Args:
        bundle: a verified bundle.
        destination: folder to create, to fill if empty, or to replace if it is a deployment.
        backends: names of the server's backends; the engine runs in the one of its own kind if it is
            among them, else in the python backend.
        engine: name of the engine that serves; None takes the selected one.
        topology: "ensemble" runs the engine as a step of its own, "fused" all in one step; None takes
            "ensemble" where the server has a backend for the engine, else "fused", which is faster there.

    An earlier deployment's logs are kept.

    Raises:
        BundleError: the engine cannot take single images, changed while it was copied, or does not exist.
        ServingError: ``destination`` is served by another process, holds something else, or cannot be
            written.
    """
    serving = bundle.manifest.engine(engine or bundle.manifest.selected)
    if serving.batch[0] > 1:
        raise BundleError(
            f"engine {serving.name} takes no batch under {serving.batch[0]}, but servers run single images; "
            "export again with a batch range from 1"
        )
    destination = destination.resolve()
    require_shell_safe_path(destination, "choose another folder with --deploy-to")
    _require_replaceable(destination)
    try:
        with replace_folder(destination) as draft:
            native = runs_natively(serving, backends)
            _write(Deployment(draft), bundle, serving.name, native, topology or _usual_topology(native))
            for log in destination.glob(_LOGS):
                shutil.copyfile(log, draft / log.name)
            if destination.exists():
                # Again: to write took a while.
                _require_unserved(destination)
    except OSError as error:
        raise ServingError(f"cannot write the deployment {destination}: {error.strerror or error}") from error
    return Deployment(destination)


def _usual_topology(native: bool) -> Topology:
    return "ensemble" if native else "fused"


def _write(draft: Deployment, bundle: Bundle, engine: str, native: bool, topology: Topology) -> None:
    with resources.as_file(resources.files("lnlattennet") / "triton_repo") as models:
        for pattern in ("*/config.pbtxt", "*/1/model.py"):
            for file in models.glob(pattern):
                copy = draft.models / file.relative_to(models)
                copy.parent.mkdir(parents=True, exist_ok=True)
                # Not shutil.copytree: it fails on file systems without permissions to copy.
                shutil.copyfile(file, copy)
    if topology == "fused":
        shutil.rmtree(draft.models / ANSWER)
    for model in draft.models.iterdir():
        # Triton requires a version folder even for an ensemble, where it is empty.
        (model / "1").mkdir(exist_ok=True)
    for file_name in (*bundle.manifest.files, MANIFEST_NAME):
        (draft.bundle / file_name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle.path / file_name, draft.bundle / file_name)
    if engine != bundle.manifest.selected:
        # The models run the engine that the manifest selects.
        chosen = bundle.manifest.model_copy(
            update={"selected": engine, "selected_because": "chosen when it was deployed"}
        )
        (draft.bundle / MANIFEST_NAME).write_text(chosen.model_dump_json(), encoding="utf-8")
    copied = Bundle.load(draft.bundle)
    configs = {path.parent.name: read_config(path) for path in draft.models.glob(f"*/{CONFIG_NAME}")}
    if topology == "fused":
        fuse_steps(configs)
    if native:
        _install_native(configs[ENGINE_MODEL], copied, draft.models / ENGINE_MODEL / "1")
    else:
        make_step_of_pipeline(configs[ENGINE_MODEL])
    for name, config in configs.items():
        fit_config(config, copied.manifest)
        for label_file in label_files(config):
            labels = draft.models / name / label_file
            labels.write_text("\n".join(copied.manifest.class_names), encoding="utf-8")
        write_config(config, draft.models / name / CONFIG_NAME)


def _install_native(config: object, bundle: Bundle, version: Path) -> None:
    engine = bundle.manifest.engine(bundle.manifest.selected)
    make_native(config, engine)
    model = version / backend_named(engine.backend).INFO.triton_file
    shutil.copyfile(bundle.path / engine.file, model)
    # Triton deserializes this file itself, so it must be the one whose hash the manifest lists.
    if hash_file(model) != bundle.manifest.files[engine.file]:
        raise BundleError(f"{engine.file} changed while it was copied; deploy again")


def is_deployment(folder: Path) -> bool:
    """Return whether a folder is a deployment, not a bundle."""
    deployment = Deployment(folder)
    return deployment.models.is_dir() and deployment.bundle.is_dir()


def _require_replaceable(destination: Path) -> None:
    if not destination.exists():
        return
    if not destination.is_dir() or not all(map(_is_ours, destination.iterdir())):
        raise ServingError(
            f"{destination} exists and is not a deployment (models, bundle and server.log, nothing else): "
            "move it away or choose another folder"
        )
    _require_unserved(destination)


def _require_unserved(destination: Path) -> None:
    # Held for a moment: the folder is replaced by another.
    with serving_lock(destination):
        pass


def _is_ours(path: Path) -> bool:
    return path.name in ("models", "bundle") or path.match(_LOGS)


@contextmanager
def serving_lock(deployment: Path) -> Iterator[None]:
    """Keep a deployment from being replaced, or served a second time, while the block runs.

    Raises:
        ServingError: another process holds the lock.
    """
    with locked(deployment) as free:
        if not free:
            raise ServingError(
                f"{deployment} is being served by another process: stop it, or choose another folder"
            )
        yield


def rotate_logs(deployment: Deployment) -> None:
    """Keep the logs of the last starts as server.log.1, the newest, to server.log.6."""
    names = [deployment.log, *(deployment.log.with_name(f"server.log.{i}") for i in range(1, _KEPT_LOGS + 1))]
    for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
        if newer.exists():
            newer.replace(older)
