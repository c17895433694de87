"""Numbers as text."""

from __future__ import annotations

import math

import pytest

from lnlattennet._charts import LogAxis
from lnlattennet.export.report import _formatting as numbers


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (1.0, "100%"),
        (0.99, "99%"),
        (0.9961, "99.61%"),
        (0.999999, ">99.99%"),
        (0.0, "0%"),
        (-0.0042, "-0.42%"),
    ],
)
def test_only_all_of_them_is_100_percent(share: float, text: str) -> None:
    assert numbers.percent(share) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (3.14e-5, "3.1e-5"),
        (1e-4, "1e-4"),
        (0.0123, "0.0123"),
        (12.34, "12.3"),
        (999.4, "999"),
        (1234.0, "1.2e3"),
        (54321.0, "5.4e4"),
        (math.inf, "∞"),
        ("Infinity", "∞"),
        ("NaN", "not a number"),
    ],
)
def test_compact(value: float | str, text: str) -> None:
    assert numbers.compact(value) == text


@pytest.mark.parametrize(
    ("format", "value", "text"),
    [
        ("cosine", 1.0, "1"),
        ("cosine", 0.99999, "0.99999"),
        ("cosine", 1 - 1e-9, "1 - 1e-9"),
        ("cosine", "NaN", "not a number"),
        ("share", 0.99, "99%"),
        ("number", 4.7e-4, "4.7e-4"),
    ],
)
def test_a_check_is_shown_in_its_metrics_format(format: str, value: float | str, text: str) -> None:
    assert numbers.check_value(format, value) == text


def test_units() -> None:
    assert [numbers.milliseconds(value) for value in (1.234, 12.34, 123.4)] == ["1.23", "12.3", "123"]
    assert [numbers.size(value) for value in (None, 1500, 2_340_000)] == ["-", "1.5 kB", "2.3 MB"]
    assert [numbers.duration(value) for value in (7.31, 120.0, 214.6)] == [
        "7.3 s",
        "2 min 0 s",
        "3 min 34 s",
    ]
    assert numbers.throughput(8, 4.0) == "2,000"
    assert [numbers.power(value) for value in (1e-4, 1.0, 10.0, 100.0)] == ["10⁻⁴", "1", "10", "10²"]


def test_ticks_within_a_decade_are_told_apart() -> None:
    axis = LogAxis.decades([1e-9, 4e-9], 1e-9, 1e3)
    assert [numbers.power(value) for value in axis.ticks()] == ["10⁻⁹", "2·10⁻⁹", "5·10⁻⁹", "10⁻⁸"]
    for low in (1e-9, 1e-4, 0.1, 1.0, 10.0, 100.0):
        texts = [numbers.power(value) for value in LogAxis(low, 10 * low).ticks()]
        assert len(set(texts)) == len(texts)
    assert [numbers.power(value) for value in (2.0, 20.0, 200.0, 0.5)] == ["2", "20", "2·10²", "5·10⁻¹"]
