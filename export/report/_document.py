"""Document of the report: the manifest and every timed sample, as plain JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lnlattennet.bundle._manifest import Manifest


def report_document(manifest: Manifest, samples: Mapping[str, Mapping[int, list[float]]]) -> dict[str, Any]:
    """Return the manifest without hashes, and per engine its samples and the size of its files.

    Args:
        manifest: manifest of the bundle; ``files`` gives the sizes of the engines' files, where it has them.
        samples: engine name -> batch size -> milliseconds of every timed call.

    Returns:
        ``Manifest.report`` with two fields more for each engine: "samples_ms", batch size -> milliseconds,
        and "file_bytes", None if not known.
    """
    document = manifest.report()
    for engine, record in zip(document["engines"], manifest.engines, strict=True):
        engine["file_bytes"] = manifest.engine_bytes(record) or None
        engine["samples_ms"] = {
            str(batch): [round(value, 4) for value in values]
            for batch, values in samples.get(engine["name"], {}).items()
        }
    return document
