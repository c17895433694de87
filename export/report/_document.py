"""Document of the report: the manifest and every timed sample, as plain JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lnlattennet.bundle._manifest import Manifest


def report_document(manifest: Manifest, samples: Mapping[str, Mapping[int, list[float]]]) -> dict[str, Any]:
    """Return the manifest without hashes, and per engine its samples and the size of its files.

    Args:
        manifest: of the bundle; ``files`` gives the sizes of the engines' files, where it has them.
        samples: engine name -> batch size -> milliseconds of every timed call.

    Returns:
        JSON values. Each engine has two fields more than in the manifest: "samples_ms", batch size ->
        milliseconds, and "file_bytes", None if not known. A number that is not finite, which JSON lacks, is
        the text "Infinity", "-Infinity" or "NaN".
    """
    document = manifest.report()
    for engine, record in zip(document["engines"], manifest.engines, strict=True):
        engine["file_bytes"] = manifest.engine_bytes(record) or None
        engine["samples_ms"] = {
            str(batch): [round(value, 4) for value in values]
            for batch, values in samples.get(engine["name"], {}).items()
        }
    return {key: _json_value(value) for key, value in document.items()}


def _json_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"
    return value
