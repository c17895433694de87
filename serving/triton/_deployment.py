"""Deployment on disk: the versions of it, and which of them is active.

    DEPLOYMENT/
    ├── versions/
    │   ├── 1/         models/, bundle/, facts about the version and, of a tuned one, tune.json, .md and .svg
    │   └── 2/
    ├── active         -> versions/2, replaced as a whole
    ├── models         -> active/models, for ``tritonserver --model-repository``
    ├── bundle         -> active/bundle
    ├── loaded/        while ``serve`` runs: a link to each model that the server has, of whichever version
    ├── served         the number of the version that ``serve`` serves
    └── server.log     written by ``serve``, with those of earlier starts: server.log.1, ...

A version never changes once it is there. Links within the deployment are relative, so it can be moved or
mounted anywhere.
"""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lnlattennet._atomic import replace_file
from lnlattennet._program_folder import locked
from lnlattennet.bundle._bundle import Bundle
from lnlattennet.errors import BundleError, ServingError

FACTS_NAME = "version.json"
_FACTS = ("deployed", "bundle", "scheduling")
_ACTIVATED, _REFUSED = "activated", "refused"

_LOOK_SECONDS = 0.2
"""Far longer than a look whether a deployment is served, which holds its lock, too."""


@dataclass(frozen=True)
class _Servable:
    """A folder with what a server needs; ``path`` is the folder."""

    path: Path

    @property
    def models(self) -> Path:
        """The model repository; a deployment's is that of its active version."""
        return self.path / "models"

    @property
    def bundle(self) -> Path:
        """The bundle that the models read; a deployment's is that of its active version."""
        return self.path / "bundle"


class Version(_Servable):
    """One version of a deployment."""

    @property
    def number(self) -> int:
        """Its number, from 1 on."""
        return int(self.path.name)

    @property
    def activated(self) -> str:
        """When it was last activated, as ISO 8601; "" for never."""
        return self._read(_ACTIVATED)

    @property
    def refused(self) -> str:
        """Why a running server refused it; "" if none did."""
        return self._read(_REFUSED)

    def describe(self) -> dict[str, Any]:
        """Return number, engine, hashes of bundle and engine, scheduling, and dates, as plain JSON values.

        Of a damaged version, ``damaged`` says why, and what is unknown is None.
        """
        described: dict[str, Any] = {
            **dict.fromkeys(("engine", "model_hash", *_FACTS)),
            "version": self.number,
            "activated": self.activated or None,
            "refused": self.refused or None,
            "damaged": None,
        }
        try:
            manifest = Bundle.load(self.bundle).manifest
            described |= {"engine": manifest.selected, "model_hash": manifest.model_hash(manifest.selected)}
            described |= self._facts()
        except (BundleError, ServingError) as error:
            described["damaged"] = str(error)
        return described

    def refuse(self, reason: str) -> None:
        """Note that a running server refused it, so that it does not count as activated."""
        with replace_file(self.path / _REFUSED) as file:
            file.write_text(reason, encoding="utf-8")
        (self.path / _ACTIVATED).unlink(missing_ok=True)

    def _facts(self) -> dict[str, Any]:
        path = self.path / FACTS_NAME
        with suppress(ValueError):
            facts = json.loads(self._read(FACTS_NAME))
            # Deployments from before `deploy --tune` have no scheduling.
            if isinstance(facts, dict) and facts.keys() >= {"deployed", "bundle"}:
                return facts
        raise ServingError(f"{path} must be as `lnlattennet deploy` wrote it: deploy the bundle again")

    def _read(self, name: str) -> str:
        try:
            return (self.path / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def _stamp(self) -> None:
        (self.path / _REFUSED).unlink(missing_ok=True)
        with replace_file(self.path / _ACTIVATED) as file:
            file.write_text(now(), encoding="utf-8")


class Deployment(_Servable):
    """A deployment on disk."""

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.path / "server.log"

    @property
    def folder_of_versions(self) -> Path:
        """The folder that holds a folder for each version."""
        return self.path / "versions"

    @property
    def active(self) -> Version:
        """The version that is served, or is to be.

        Raises:
            ServingError: nothing says which, as in a copy without links.
        """
        folder = (self.path / "active").resolve()
        if not folder.name.isdecimal():
            raise ServingError(
                f"{self.path / 'active'} must be a link to a version, such as versions/1: copy a deployment "
                "with its links (`cp -a`), or write it again with `lnlattennet deploy`"
            )
        return Version(folder)

    def versions(self) -> list[Version]:
        """Return the versions, oldest first."""
        folders = [path for path in self.folder_of_versions.glob("*") if path.name.isdecimal()]
        return sorted(map(Version, folders), key=lambda version: version.number)

    def version(self, number: int) -> Version:
        """Return one version.

        Raises:
            ServingError: there is none of this number.
        """
        versions = self.versions()
        for version in versions:
            if version.number == number:
                return version
        known = ", ".join(str(version.number) for version in versions)
        raise ServingError(f"{self.path} has no version {number}; it has: {known}")

    def previous(self) -> Version:
        """Return the version that was active before the active one.

        Raises:
            ServingError: there was none, or it has been removed.
        """
        active = self.active.number
        earlier = [one for one in self.versions() if one.activated and one.number != active]
        if not earlier:
            raise ServingError(f"no version of {self.path} was active before version {active}")
        return max(earlier, key=lambda version: version.activated)

    def activate(self, version: Version) -> None:
        """Make a version the active one, at once; a running server takes it by itself."""
        version._stamp()
        self.point_to(version)

    def point_to(self, version: Version) -> None:
        """Make a version the active one, without a note of it."""
        own = version.path.parent == self.folder_of_versions
        link(self.path / "active", Path("versions", version.path.name) if own else version.path)

    def note_served(self, version: Version) -> None:
        """Note which version the running server serves."""
        with replace_file(self.path / "served") as file:
            file.write_text(str(version.number), encoding="utf-8")

    def forget_served(self) -> None:
        """Note that no version is served."""
        (self.path / "served").unlink(missing_ok=True)

    def served(self) -> int | None:
        """Return the number of the version that a server serves; 0 while it starts, None if none runs."""
        with locked(self.path, shared=True) as free:
            if free:
                return None
        with suppress(FileNotFoundError, ValueError):
            return int((self.path / "served").read_text(encoding="utf-8"))
        return 0

    def remove_oldest(self, keep: int, newest: Version) -> None:
        """Remove the oldest versions above a number, but not the newest, the active nor the one before it."""
        protected = {newest.number, self.active.number, self.served()}
        with suppress(ServingError):
            protected.add(self.previous().number)
        versions = self.versions()
        spare = [version for version in versions if version.number not in protected]
        for version in spare[: max(0, len(versions) - keep)]:
            # Whole or not at all: what a killed process leaves under this name is removed later.
            leftover = version.path.with_name(f".{version.number}.{secrets.token_hex(4)}")
            version.path.rename(leftover)
            shutil.rmtree(leftover, ignore_errors=True)

    def remove_leftovers(self) -> None:
        """Remove what killed processes left half written or half removed."""
        for leftover in self.folder_of_versions.glob(".*"):
            shutil.rmtree(leftover, ignore_errors=True)


def is_deployment(folder: Path) -> bool:
    """Return whether a folder is a deployment, not a bundle."""
    deployment = Deployment(folder)
    return deployment.models.is_dir() and deployment.bundle.is_dir()


def link(path: Path, target: Path) -> None:
    """Let ``path`` be a link to ``target``, in place of an earlier one, at once."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    draft.symlink_to(target)
    try:
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def now() -> str:
    """Return the time as ISO 8601, in UTC, so that texts are in the order of time."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


@contextmanager
def serving_lock(deployment: Path) -> Iterator[None]:
    """Keep a deployment from being served a second time while the block runs.

    Raises:
        ServingError: another process holds the lock.
    """
    deadline = time.monotonic() + _LOOK_SECONDS
    while True:
        with locked(deployment) as free:
            if free:
                yield
                return
        if time.monotonic() > deadline:
            raise ServingError(
                f"{deployment} is being served by another process: stop it, or choose another folder"
            )
        time.sleep(_LOOK_SECONDS / 10)
