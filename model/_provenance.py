"""Selection of the provenance fields that are safe to expose to a server's clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FACTS = ("temperature", "format", "counts", "fingerprint")
_SETTINGS = ("folds", "fold", "seed", "images")
SYNTHETIC = "synthetic"
"""Name of the data set in the provenance of networks that were trained on rendered faces."""


def public_provenance(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an honest evaluation of a model needs: its temperature, and which faces it was trained on.

    Commands, folders, people, versions and machines say more of its maker and of the faces than a server's
    clients need to know. A data set's name is its folder's; the name of a fold may be that of a person.
    """
    facts = {name: provenance[name] for name in _FACTS if name in provenance}
    if provenance.get("data") == SYNTHETIC:
        facts["data"] = SYNTHETIC
    settings = provenance.get("settings")
    if isinstance(settings, Mapping):
        facts["settings"] = {name: settings[name] for name in _SETTINGS if name in settings}
    return facts
