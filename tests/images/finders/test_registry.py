"""Registry of the face finders: what every finder module offers, and what their passes become together."""

from __future__ import annotations

import pytest

from lnlattennet.errors import UsageError
from lnlattennet.images.finders._base import FoundFace, merge_passes
from lnlattennet.images.finders._registry import FINDERS, finder_infos, finder_named
from lnlattennet.model._preprocessing import Preprocessing


@pytest.mark.parametrize("name", FINDERS)
def test_a_finder_is_registered_by_its_own_name(name: str) -> None:
    module = finder_named(name)
    assert module.INFO.name == name
    assert module.version()


def test_the_facts_come_in_the_registrys_order() -> None:
    assert [info.name for info in finder_infos()] == list(FINDERS)


def test_every_installation_has_the_default_finder() -> None:
    assert finder_named(Preprocessing().face_finder).INFO.extra is None


def test_an_unknown_finder_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="unknown face finder 'eyes'; known: haar, "):
        finder_named("eyes")


def test_passes_are_merged_largest_first_and_without_repeats() -> None:
    coarse = [FoundFace((0, 0, 40, 40), 0.6), FoundFace((100, 0, 130, 30), 0.8)]
    again, sure_again, small, large = (
        FoundFace((2, 2, 38, 42), 0.95),
        FoundFace((101, 0, 131, 30), 0.9),
        FoundFace((60, 60, 70, 75), 0.6),
        FoundFace((200, 0, 290, 80), 0.5),
    )
    assert merge_passes(coarse, [again, sure_again, small, large], sure_score=0.7) == [
        large,
        FoundFace((0, 0, 40, 40), 0.95),
        coarse[1],
        small,
    ]
    assert merge_passes([], [small, large], sure_score=0.7) == [large, small]
