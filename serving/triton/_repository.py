"""Deployable copy of a bundle: Triton's model repository and the bundle, side by side.

    DESTINATION/
    ├── models/        for ``tritonserver --model-repository``
    ├── bundle/        what the python models read, found by a relative path
    └── server.log     written by ``serve``

The copy holds no absolute path, so it can be moved or mounted anywhere.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from lnlattennet._atomic import replace_folder
from lnlattennet.bundle._bundle import Bundle, hash_file
from lnlattennet.bundle._manifest import MANIFEST_NAME
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
from lnlattennet.serving.triton._model_names import ENGINE_MODEL
from lnlattennet.serving.triton._shell_paths import require_shell_safe_path


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


def deploy(bundle: Bundle, destination: Path, backends: Collection[str] = ("python",)) -> Deployment:
    """Write the deployable copy of a bundle; an earlier deployment at ``destination`` is replaced whole.

    Args:
        bundle: a verified bundle; its selected engine serves.
        destination: folder to create, to fill if empty, or to replace if it is a deployment.
        backends: names of the server's backends; the engine runs in the one of its own kind if it is
            among them, else in the python backend.

    Raises:
        BundleError: the engine cannot take single images, or changed while it was copied.
        ServingError: ``destination`` holds something else, or cannot be written.
    """
    engine = bundle.manifest.engine(bundle.manifest.selected)
    if engine.batch[0] > 1:
        raise BundleError(
            f"engine {engine.name} takes no batch under {engine.batch[0]}, but servers run single images; "
            "export again with a batch range from 1"
        )
    destination = destination.resolve()
    require_shell_safe_path(destination, "choose another folder with --deploy-to")
    _require_replaceable(destination)
    try:
        with replace_folder(destination) as draft:
            _write(Deployment(draft), bundle, runs_natively(engine, backends))
    except OSError as error:
        raise ServingError(f"cannot write the deployment {destination}: {error.strerror or error}") from error
    return Deployment(destination)


def _write(draft: Deployment, bundle: Bundle, native: bool) -> None:
    with resources.as_file(resources.files("lnlattennet") / "triton_repo") as models:
        for name in ("*/config.pbtxt", "*/1/model.py"):
            for file in models.glob(name):
                copy = draft.models / file.relative_to(models)
                copy.parent.mkdir(parents=True, exist_ok=True)
                # Not shutil.copytree: it fails on file systems without permissions to copy.
                shutil.copyfile(file, copy)
    for model in draft.models.iterdir():
        # Triton requires a version folder even for an ensemble, where it is empty.
        (model / "1").mkdir(exist_ok=True)
    for name in (*bundle.manifest.files, MANIFEST_NAME):
        (draft.bundle / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle.path / name, draft.bundle / name)
    copied = Bundle.load(draft.bundle)
    for path in draft.models.glob(f"*/{CONFIG_NAME}"):
        config = read_config(path)
        fit_config(config, copied.manifest)
        if native and path.parent.name == ENGINE_MODEL:
            _install_native(config, copied, path.parent / "1")
        for name in label_files(config):
            (path.parent / name).write_text("\n".join(copied.manifest.class_names), encoding="utf-8")
        write_config(config, path)


def _install_native(config: object, bundle: Bundle, version: Path) -> None:
    engine = bundle.manifest.engine(bundle.manifest.selected)
    make_native(config, engine)
    shutil.rmtree(version)
    version.mkdir()
    model = version / backend_named(engine.backend).INFO.triton_file
    shutil.copyfile(bundle.path / engine.file, model)
    # Triton deserializes this file itself, so it must be the one whose hash the manifest lists.
    if hash_file(model) != bundle.manifest.files[engine.file]:
        raise BundleError(f"{engine.file} changed while it was copied; deploy again")


def _require_replaceable(destination: Path) -> None:
    if not destination.exists():
        return
    ours = {"models", "bundle", "server.log"}
    if not destination.is_dir() or not {path.name for path in destination.iterdir()} <= ours:
        raise ServingError(
            f"{destination} exists and is not a deployment (models, bundle and server.log, nothing else): "
            "move it away or choose another folder"
        )
