"""A table of answers to the page and the CSV file."""

from __future__ import annotations

import shlex
from pathlib import Path

from lnlattennet._atomic import replace_file
from lnlattennet._command import printable
from lnlattennet.errors import DataError, UsageError, require
from lnlattennet.streams.tables._reading import open_table
from lnlattennet.streams.timeline._csv import write_csv
from lnlattennet.streams.timeline._faces import crop_faces
from lnlattennet.streams.timeline._page import render
from lnlattennet.streams.timeline._study import Study, study


def write_timeline(
    results: Path, page: Path, table: Path | None = None, *, show_faces: bool = False
) -> Study:
    """Read a table of answers once and write the page, and the CSV file if there is a path for it.

    Each file is written whole or not at all; an earlier one is replaced.

    Args:
        results: table that ``lnlattennet predict --output`` or ``lnlattennet score`` wrote.
        page: HTML file.
        table: CSV file.
        show_faces: put crops of faces, not blurred, into the page.

    Returns:
        What was written.

    Raises:
        UsageError: a path is not that of a file, or two are the same.
        DataError: the table is empty, cut off, or breaks a rule.
        UnavailableError: jinja2 or, for a Parquet file, pyarrow is missing.
    """
    require("jinja2", "evaluate")
    _check_outputs(results, page, table)
    opened = open_table(results)
    try:
        found = study(opened.columns, opened.rows)
    except DataError as error:
        raise DataError(str(error) if str(results) in str(error) else f"{results}: {error}") from error
    faces = crop_faces(found.persons, results.parent) if show_faces else None
    options = [*(["--csv", str(table)] if table else []), *(["--show-faces"] if show_faces else [])]
    command = ["lnlattennet", "timeline", str(results), "-o", str(page), *options]
    html = render(found, printable(results.name), printable(shlex.join(command)), faces)
    with replace_file(page) as draft:
        draft.write_text(html, encoding="utf-8", errors="replace")
    if table:
        with replace_file(table) as draft:
            write_csv(found, draft)
    return found


def _check_outputs(results: Path, page: Path, table: Path | None) -> None:
    outputs = {"--output": page, **({"--csv": table} if table else {})}
    seen = {results.resolve(): "RESULTS"}
    for flag, path in outputs.items():
        if path.is_dir():
            raise UsageError(f"{flag} must be a file, and {path} is a folder: add a name")
        if other := seen.get(path.resolve()):
            raise UsageError(f"{flag} {path} is {other} as well: choose another file")
        seen[path.resolve()] = flag
