"""Selection of the provenance fields that are safe to expose to a server's clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FACTS = ("temperature", "format", "origin", "counts", "fingerprint")
_SETTINGS = ("folds", "fold", "holdout", "seed", "images")
SYNTHETIC = "synthetic"
"""Name of the data set in the provenance of networks that were trained on rendered faces."""


def public_license(note: str, provenance: Mapping[str, Any]) -> str:
    """Return the note on the license without the name of the data set, which older checkpoints have in it."""
    return note.replace(f"the data set {provenance.get('data')!r}", "a data set")


def public_provenance(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts that an evaluation needs: the temperature, and which faces the model was trained on.

    Commands, folders, versions and machines would tell a server's clients more about the model's authors and
    the faces than they need. A data set is named after its folder, and a fold may be named after a person.
    """
    facts = {name: provenance[name] for name in _FACTS if name in provenance}
    if provenance.get("data") == SYNTHETIC:
        facts["data"] = SYNTHETIC
    settings = provenance.get("settings")
    if isinstance(settings, Mapping):
        facts["settings"] = {name: settings[name] for name in _SETTINGS if name in settings}
    return facts
