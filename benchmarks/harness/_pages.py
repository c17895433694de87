"""Blocks of the documentation's pages that programs write."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from lnlattennet.benchmarks.harness._command import say

Fill = Callable[[str], str]
"""Returns a page's text with its blocks filled."""


def fill_blocks(text: str, keyword: str, content: Callable[[str], str]) -> str:
    """Replace what stands between `<!-- KEYWORD: NAME -->` and `<!-- /KEYWORD -->`.

    Args:
        text: the page.
        keyword: kind of block.
        content: gives a block's Markdown for its name.
    """
    block = re.compile(rf"(<!-- {keyword}: (.+?) -->\n).*?(<!-- /{keyword} -->)", re.DOTALL)
    return block.sub(lambda match: f"{match[1]}\n{content(match[2])}\n\n{match[3]}", text)


def pages(paths: Sequence[Path]) -> list[Path]:
    """Return the Markdown files among the paths, and below those that are folders."""
    return [page for path in paths for page in (sorted(path.rglob("*.md")) if path.is_dir() else [path])]


def write_pages(paths: Sequence[Path], fill: Fill) -> None:
    """Fill the pages, and name those that changed."""
    for page in pages(paths):
        text = page.read_text(encoding="utf-8")
        filled = fill(text)
        if filled != text:
            page.write_text(filled, encoding="utf-8")
            say(f"written: {page}")


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the first row is its head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, "|---" * len(rows[0]) + "|")
    return "\n".join(lines)
