"""Class names: every script and emoji is taken, and a refusal says which name breaks the rule and why."""

from __future__ import annotations

import pytest

from lnlattennet.errors import ConfigError
from lnlattennet.model._checkpoint import CheckpointInfo
from lnlattennet.model._class_names import class_names_problem
from lnlattennet.model._config import NetworkConfig
from lnlattennet.model._preprocessing import Preprocessing


@pytest.mark.parametrize(
    "names",
    [
        ("anger", "very happy"),
        ("\u0645\u06cc\u200c\u062e\u0646\u062f\u062f", "\u063a\u0645\u06af\u06cc\u0646"),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u263a\ufe0f"),
        ("\u0915\u094d\u200d\u0937", "\u0915\u094d\u0937\u093e"),
        ("\u6012\u308a", "\u00e9tonn\u00e9"),
    ],
    ids=["latin", "persian", "emoji", "devanagari", "japanese"],
)
def test_names_of_every_script_are_taken(names: tuple[str, ...]) -> None:
    assert class_names_problem(names) is None


REFUSED = [
    (("a", ""), "class name 1 '' is empty"),
    (("a", "a"), "class name 1 'a' is class name 0 'a'"),
    (("sans\xa0joie", "b"), r"class name 0 'sans\xa0joie' holds U+00A0 NO-BREAK SPACE, a space that is not"),
    (("a", "b\u3000c"), r"class name 1 'b\u3000c' holds U+3000 IDEOGRAPHIC SPACE, a space"),
    (("a", "b\n"), r"class name 1 'b\n' holds U+000A, a control character"),
    (("a", "b\u200b"), "holds U+200B ZERO WIDTH SPACE, an invisible character"),
    (("\ufeffa", "b"), "holds U+FEFF ZERO WIDTH NO-BREAK SPACE, an invisible character"),
    (("a", "b\u202ec"), "holds U+202E RIGHT-TO-LEFT OVERRIDE, an invisible character"),
    (("a", "b\u2028c"), "holds U+2028 LINE SEPARATOR, a line break"),
    (("a", "\udce9"), "holds U+DCE9, half a character"),
    (("a", "b\u200d"), "ends with U+200D ZERO WIDTH JOINER, which joins nothing there"),
    (("a", "\u200cb"), "begins with U+200C ZERO WIDTH NON-JOINER"),
    (
        ("\u00e9t\u00e9", "e\u0301te\u0301"),
        r"1 'e\u0301te\u0301' looks like class name 0 '\xe9t\xe9'",
    ),
    (("a\u200cb", "ab"), r"class name 1 'ab' looks like class name 0 'a\u200cb'"),
]


@pytest.mark.parametrize(("names", "problem"), REFUSED)
def test_a_refusal_says_which_and_why(names: tuple[str, ...], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        CheckpointInfo(config=NetworkConfig(classes=2), class_names=names, preprocessing=Preprocessing())
    assert problem in str(caught.value)
