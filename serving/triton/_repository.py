"""Versions of a deployment: Triton's model repository for a bundle and the bundle, side by side."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict
from importlib import resources
from pathlib import Path

from lnlattennet._atomic import replace_folder, sole_writer
from lnlattennet.bundle._bundle import Bundle, hash_file
from lnlattennet.bundle._files import MANIFEST_NAME
from lnlattennet.errors import BundleError, ServingError
from lnlattennet.runtimes._registry import backend_named
from lnlattennet.serving.triton._deployment import FACTS_NAME, Deployment, Version, link, now
from lnlattennet.serving.triton._deployment_check import check_deployment
from lnlattennet.serving.triton._inner_models import name_inner_models
from lnlattennet.serving.triton._model_config import (
    CONFIG_NAME,
    fit_config,
    label_files,
    make_native,
    read_config,
    runs_natively,
    write_config,
)
from lnlattennet.serving.triton._model_names import ANSWER, ENGINE_MODEL, KEPT_MODELS
from lnlattennet.serving.triton._scheduling import Scheduling, default_scheduling, schedule
from lnlattennet.serving.triton._shell_paths import require_shell_safe_path
from lnlattennet.serving.triton._topology import Topology, fuse_steps, make_step_of_pipeline

_KEPT_LOGS = 6
"""More than the starts after which a supervisor gives up, so that the first crash's log is there."""


_OWN_NAMES = ("versions", "active", "models", "bundle", "loaded", "served", "server", "trial")

KEPT_VERSIONS = 5
"""Versions that a deployment keeps, unless it is told otherwise."""


def deploy(
    bundle: Bundle,
    destination: Path | str,
    backends: Collection[str] = ("python",),
    engine: str | None = None,
    topology: Topology | None = None,
) -> Deployment:
    """Write a bundle as the next version of the deployment at ``destination``; see ``add_version``."""
    folder = Path(destination)
    add_version(bundle, folder, backends, engine, topology)
    return Deployment(folder.resolve())


def add_version(
    bundle: Bundle,
    destination: Path,
    backends: Collection[str] = ("python",),
    engine: str | None = None,
    topology: Topology | None = None,
    keep: int = KEPT_VERSIONS,
    scheduling: Scheduling | None = None,
    records: Mapping[str, str] | None = None,
) -> Version:
    """Write a bundle as the next version of the deployment at ``destination``, checked, whole or not at all.

    The first version of a deployment is active at once, a later one when it is activated: to write a version
    changes nothing for those who are served.

    Args:
        bundle: a verified bundle.
        destination: folder to create, to fill if empty, or that is a deployment; it may be served meanwhile.
        backends: names of the server's backends; the engine runs in the one of its own kind if it is
            among them, else in the python backend.
        engine: name of the engine that serves; None takes the selected one.
        topology: "ensemble" runs the engine as a step of its own, "fused" all in one step; None takes
            "ensemble" where the server has a backend for the engine, else "fused", which is faster there.
        keep: how many versions may be kept; the oldest above it are removed, but not the active one and the
            one before it.
        scheduling: instances, threads and queues; None takes the default.
        records: name -> content of files that tell how it was chosen, kept in the version's folder.

    Raises:
        BundleError: the engine cannot take single images, changed while it was copied, or does not exist.
        ServingError: ``destination`` is being written by another process, holds something else, or cannot be
            written; or what was written does not pass the check.
    """
    serving = bundle.manifest.engine(engine)
    if serving.batch[0] > 1:
        raise BundleError(
            f"engine {serving.name} takes no batch under {serving.batch[0]}, but servers run single images; "
            "export again with a batch range from 1"
        )
    destination = check_destination(destination)
    native = runs_natively(serving, backends)
    shares = scheduling or default_scheduling(serving, native)
    deployment = Deployment(destination)
    existed = destination.exists()
    try:
        with sole_writer(deployment.folder_of_versions, ServingError):
            deployment.remove_leftovers()
            versions = deployment.versions()
            number = versions[-1].number + 1 if versions else 1
            with replace_folder(deployment.folder_of_versions / str(number)) as folder:
                draft = Version(folder)
                chosen = _usual_topology(native) if topology is None else topology
                _write(draft, bundle, serving.name, native, chosen, shares, number)
                check_deployment(draft)
                for name, content in (records or {}).items():
                    (draft.path / name).write_text(content, encoding="utf-8")
            version = deployment.version(number)
            if not _is_whole(deployment):
                _complete(deployment, version)
            deployment.remove_oldest(keep, version)
    except OSError as error:
        raise ServingError(f"cannot write the deployment {destination}: {error.strerror or error}") from error
    finally:
        _remove_empty(deployment, existed)
    return version


def check_destination(destination: Path) -> Path:
    """Return the absolute path of a folder that a deployment is to be written to.

    Raises:
        ServingError: it holds something else, or Triton cannot work in a folder of this name.
    """
    destination = destination.resolve()
    require_shell_safe_path(destination, "choose another folder")
    _require_ours(destination)
    return destination


def _is_whole(deployment: Deployment) -> bool:
    return (deployment.path / "active").exists()


def _complete(deployment: Deployment, version: Version) -> None:
    for name in ("models", "bundle"):
        link(deployment.path / name, Path("active", name))
    deployment.activate(version)


def _remove_empty(deployment: Deployment, existed: bool) -> None:
    """Remove the folders that were made for a first version that could not be written."""
    with suppress(OSError):
        deployment.folder_of_versions.rmdir()
        if not existed:
            deployment.path.rmdir()


def _usual_topology(native: bool) -> Topology:
    return "ensemble" if native else "fused"


def _write(
    draft: Version,
    bundle: Bundle,
    engine: str,
    native: bool,
    topology: Topology,
    scheduling: Scheduling,
    number: int,
) -> None:
    with resources.as_file(resources.files("lnlattennet") / "triton_repo") as models:
        for pattern in ("*/config.pbtxt", "*/1/model.py"):
            for file in models.glob(pattern):
                copy = draft.models / file.relative_to(models)
                copy.parent.mkdir(parents=True, exist_ok=True)
                # Not shutil.copytree: it fails on file systems without permissions to copy.
                shutil.copyfile(file, copy)
    if topology == "fused":
        shutil.rmtree(draft.models / ANSWER)
    facts = {
        "deployed": now(),
        "bundle": hash_file(bundle.path / MANIFEST_NAME).sha256,
        "scheduling": asdict(scheduling),
    }
    (draft.path / FACTS_NAME).write_text(json.dumps(facts), encoding="utf-8")
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
    schedule(configs, scheduling, native)
    for config in configs.values():
        fit_config(config, copied.manifest, number)
    for old, new in name_inner_models(configs, number).items():
        (draft.models / old).rename(draft.models / new)
    for name in KEPT_MODELS:
        # An answer states this number, so that a client knows which version it is from.
        plain, numbered = draft.models / name / "1", draft.models / name / str(number)
        if plain.exists():
            plain.rename(numbered)
        else:
            numbered.mkdir(parents=True)
    for name, config in configs.items():
        for label_file in label_files(config):
            labels = draft.models / name / label_file
            labels.write_text("\n".join(copied.manifest.class_names), encoding="utf-8")
        write_config(config, draft.models / name / CONFIG_NAME)


def _install_native(config: object, bundle: Bundle, version: Path) -> None:
    engine = bundle.manifest.engine()
    make_native(config, engine)
    model = version / backend_named(engine.backend).INFO.triton_file
    shutil.copyfile(bundle.path / engine.file, model)
    # Triton deserializes this file itself, so it must be the one whose hash the manifest lists.
    if hash_file(model) != bundle.manifest.files[engine.file]:
        raise BundleError(f"{engine.file} changed while it was copied; deploy again")


def rotate_logs(deployment: Deployment) -> None:
    """Keep the logs of the last starts as server.log.1, the newest, to server.log.6."""
    names = [deployment.log, *(deployment.log.with_name(f"server.log.{i}") for i in range(1, _KEPT_LOGS + 1))]
    for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
        if newer.exists():
            newer.replace(older)


def _require_ours(destination: Path) -> None:
    if destination.exists() and not (destination.is_dir() and all(map(_is_ours, destination.iterdir()))):
        raise ServingError(
            f"{destination} exists and is not a deployment of versions, with their logs and nothing else: "
            "move it away or choose another folder"
        )


def _is_ours(path: Path) -> bool:
    if path.name in ("models", "bundle"):
        return path.is_symlink()
    # Drafts are called .NAME.xxxxxxxx.
    return path.name.removeprefix(".").partition(".")[0] in _OWN_NAMES
