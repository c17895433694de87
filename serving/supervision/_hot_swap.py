"""Change of a running server to the version that was activated, without a request that fails."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lnlattennet.errors import LnlAttenNetError
from lnlattennet.serving.supervision._known_face import KnownAnswers
from lnlattennet.serving.triton._deployment import Deployment, Version
from lnlattennet.serving.triton._deployment_check import check_deployment
from lnlattennet.serving.triton._model_names import PUBLIC_MODELS
from lnlattennet.serving.triton._process import TritonProcess

_TRIAL = ".trial."

_FAULTS = (LnlAttenNetError, OSError)

_log = logging.getLogger(__name__)


class HotSwap:
    """Follows the active version of a deployment.

    Args:
        deployment: what is served.
        trial: makes a server of a deployment on free ports, for a trial.
    """

    def __init__(self, deployment: Deployment, trial: Callable[[Deployment], TritonProcess]) -> None:
        self.version = deployment.active
        self._deployment, self._trial = deployment, trial

    def started(self) -> None:
        """Note that the server answers."""
        _note(partial(self._deployment.note_served, self.version))

    def follow(self, process: TritonProcess) -> KnownAnswers | None:
        """Serve the active version if it is another than before.

        A version that does not answer a known face in a server of its own is refused; the one before goes on.

        If the one before cannot be loaded again either, the next probe of the server tells.

        Returns:
            The answers of the new version; None if nothing changed.

        Raises:
            ServingError: the server or a Python model died during the trial; the version is tried again.
        """
        wanted, before = self._deployment.active, self.version
        if wanted == before:
            return None
        fields = {"version": wanted.number, "before": before.number}
        _log.info("trying version %d", wanted.number, extra={"event": "try_version", **fields})
        try:
            answers = self._try(wanted)
        except _FAULTS as error:
            self._refuse(wanted, before, str(error))
            return None
        # Nobody watched it meanwhile; what happened to it is no fault of the version.
        process.check()
        try:
            self._change(process, wanted, answers)
        except _FAULTS as error:
            self._refuse(wanted, before, str(error))
            return None
        self.version = wanted
        self.started()
        _log.info(
            "version %d is served, in place of version %d",
            wanted.number,
            before.number,
            extra={"event": "new_version", **fields},
        )
        return answers

    def _try(self, version: Version) -> KnownAnswers:
        """Return what a version answers in a server of its own."""
        check_deployment(version)
        for leftover in self._deployment.path.glob(f"{_TRIAL}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=_TRIAL, dir=self._deployment.path) as name:
            deployment = Deployment(Path(name))
            deployment.point_to(version)
            answers = KnownAnswers()
            with self._trial(deployment) as process:
                for model in PUBLIC_MODELS:
                    answers.check(process, model)
        return answers

    def _change(self, process: TritonProcess, wanted: Version, answers: KnownAnswers) -> None:
        """Serve a version in place of the one before, or that again if it does not answer."""
        try:
            process.serve_version(wanted)
            for model in PUBLIC_MODELS:
                answers.check(process, model)
        except _FAULTS:
            process.serve_version(self.version)
            raise

    def _refuse(self, version: Version, before: Version, reason: str) -> None:
        _log.error(
            "version %d is refused, and version %d goes on: %s",
            version.number,
            before.number,
            reason,
            extra={"event": "refused_version", "version": version.number, "before": before.number},
        )
        _note(partial(version.refuse, reason))
        if self._deployment.active == version:
            _note(partial(self._deployment.point_to, before))


def _note(write: Callable[[], None]) -> None:
    """Write to the deployment; a full disk or another user's folder is no reason to end what is served."""
    try:
        write()
    except OSError as error:
        _log.warning("cannot note in the deployment which version is served or refused: %s", error)
