"""The model repository of a running server: a link to each model, of whichever version it is."""

from __future__ import annotations

import os
import shutil

from lnlattennet.errors import ServingError
from lnlattennet.serving.triton._deployment import Deployment, Version, link
from lnlattennet.serving.triton._model_config import CONFIG_NAME
from lnlattennet.serving.triton._model_names import KEPT_MODELS


class LoadedModels:
    """The models that a server has, or is to load next.

    Args:
        deployment: holds the folder of links, which is written anew.
    """

    def __init__(self, deployment: Deployment) -> None:
        self.folder = deployment.path / "loaded"

    def start_with(self, version: Version) -> None:
        """Hold the models of one version, and no others."""
        self.remove()
        self.folder.mkdir()
        for name in _names(version):
            self._add(name, version)

    def add_inner(self, version: Version) -> list[str]:
        """Add the inner models of a version that are not there yet; return their names."""
        added = sorted(_names(version) - self._held() - set(KEPT_MODELS))
        for name in added:
            self._add(name, version)
        return added

    def replace(self, name: str, version: Version) -> None:
        """Put a model of the same name in place of the one that is there; raises as ``touch`` does."""
        self._add(name, version)
        self.touch(name)

    def touch(self, name: str) -> None:
        """Make the files of a model newer: the server loads it again only then.

        Raises:
            ServingError: they are another user's.
        """
        for pattern in (CONFIG_NAME, "*/model.py"):
            for file in (self.folder / name).glob(pattern):
                try:
                    os.utime(file)
                except OSError as error:
                    raise ServingError(
                        f"cannot load the model {name} again, since the time of {file.resolve()} cannot be "
                        f"changed ({error.strerror}): serve as the user who wrote the deployment"
                    ) from error

    def keep_only(self, version: Version) -> list[str]:
        """Let go of the models that a version has not; return their names."""
        removed = sorted(self._held() - _names(version))
        for name in removed:
            (self.folder / name).unlink()
        return removed

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def __contains__(self, name: str) -> bool:
        """Return whether a model is among them."""
        return (self.folder / name).exists()

    def _add(self, name: str, version: Version) -> None:
        link(self.folder / name, version.models.resolve() / name)

    def _held(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}


def _names(version: Version) -> set[str]:
    return {path.name for path in version.models.iterdir() if path.is_dir()}
