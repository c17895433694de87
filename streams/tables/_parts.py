"""Folder of Parquet files that `lnlattennet score` writes: a part for each shard, and what they are of."""

from __future__ import annotations

import json
import re
from pathlib import Path

from lnlattennet.errors import DataError

MANIFEST = "_manifest.json"
"""File that tells what the parts are made of; ``shards`` is the number of those that there are to be."""

PART = re.compile(r"part-(\d{7})\.parquet")


def part_name(shard: int) -> str:
    """Return the name of the part of a shard."""
    return f"part-{shard:07}.parquet"


def parts_in(folder: Path) -> list[Path]:
    """Return the parts of a whole table, in order.

    Raises:
        DataError: it is no such folder, or has not all parts yet.
    """
    try:
        shards = json.loads((folder / MANIFEST).read_bytes())["shards"]
    except OSError as error:
        raise DataError(
            f"{folder} must be a table that `lnlattennet predict --output` or `lnlattennet score` wrote, and "
            f"is a folder without {MANIFEST}"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / MANIFEST} is damaged; score the images again") from error
    parts = sorted(path for path in folder.iterdir() if PART.fullmatch(path.name))
    if not parts or len(parts) != shards:
        raise DataError(
            f"{folder} holds {len(parts):,} of {shards:,} parts: go on with `lnlattennet score --resume`"
        )
    return parts
