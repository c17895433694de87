"""Writer of docs/results.md and of the checkpoints' cards.

    python -m lnlattennet.benchmarks.leaderboard          # what `make results` runs

What stands between `<!-- results: NAME -->` and `<!-- /results -->` is written from benchmarks/results/.
NAME is `leaderboard SET`, `peers SET`, `card NAME` or `checkpoints`. A checkpoint without a page gets one.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lnlattennet.benchmarks.harness._command import main
from lnlattennet.benchmarks.harness._pages import fill_blocks, write_pages
from lnlattennet.benchmarks.leaderboard._cards import card, index, new_page
from lnlattennet.benchmarks.leaderboard._evaluations import EvaluationRecord, read_evaluations
from lnlattennet.benchmarks.leaderboard._published import TEST_SETS, PublishedMethod, read_published
from lnlattennet.benchmarks.leaderboard._tables import leaderboard, peer_page
from lnlattennet.errors import UsageError

PAGE, CHECKPOINTS = Path("docs/results.md"), Path("checkpoints")


@dataclass(frozen=True)
class Blocks:
    """Content of the pages' blocks.

    Attributes:
        results: folder with evaluations/, published.toml and the records of peers.
        checkpoints: folder of the checkpoint files.
    """

    results: Path = Path("benchmarks/results")
    checkpoints: Path = CHECKPOINTS

    @cached_property
    def evaluations(self) -> list[EvaluationRecord]:
        """Every committed evaluation."""
        return read_evaluations(self.results / "evaluations")

    @cached_property
    def published(self) -> list[PublishedMethod]:
        """What others published."""
        return read_published(self.results / "published.toml")

    def fill(self, text: str) -> str:
        """Return a page's text with its blocks filled.

        Raises:
            UsageError: a marker names no kind of block, or something that is not there.
        """
        return fill_blocks(text, "results", self.content)

    def content(self, name: str) -> str:
        """Return the Markdown of the block called ``name``."""
        kind, _, argument = name.partition(" ")
        checkpoint = self.checkpoints / f"{argument}.safetensors"
        if kind == "leaderboard" and argument in TEST_SETS:
            return leaderboard(argument, self.published, self.evaluations, self._peers(argument))
        if kind == "peers" and (path := self._peers_file(argument)):
            return peer_page(path)
        if kind == "card" and checkpoint.is_file():
            return card(checkpoint, self.evaluations)
        if kind == "checkpoints":
            files = sorted(self.checkpoints.glob("*.safetensors"))
            return index(files, self.evaluations, self._peers("ferplus"))
        raise UsageError(
            f"the marker 'results: {name}' must be checkpoints, leaderboard SET ({', '.join(TEST_SETS)}), "
            f"peers SET with a record *-peers-SET.json, or card NAME with a file NAME.safetensors"
        )

    def _peers_file(self, test_set: str) -> Path | None:
        """Return the file of the newest record of peers on a test set."""
        records = self.results.glob(f"*-peers-{test_set}.json")
        return max(records, key=lambda path: path.stem, default=None)

    def _peers(self, test_set: str) -> Mapping[str, Any] | None:
        """Return that record."""
        path = self._peers_file(test_set)
        return json.loads(path.read_text()) if path else None


def run(arguments: Sequence[str] | None = None) -> int:
    """Write the pages; return the exit code."""
    program, description = "python -m lnlattennet.benchmarks.leaderboard", (__doc__ or "").partition("\n")[0]
    argparse.ArgumentParser(prog=program, description=description).parse_args(arguments)
    for checkpoint in sorted(CHECKPOINTS.glob("*.safetensors")):
        page = checkpoint.with_suffix(".md")
        if not page.exists():
            page.write_text(new_page(checkpoint), encoding="utf-8")
    write_pages([PAGE, CHECKPOINTS], Blocks().fill)
    return 0


if __name__ == "__main__":
    main(run)
