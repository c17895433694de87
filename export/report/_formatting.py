"""Texts of the report's numbers; every function takes a document's value."""

from __future__ import annotations

import math

from rich import filesize

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def milliseconds(value: float) -> str:
    """Return three significant digits, such as "1.84", "18.4" or "184"."""
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def percent(value: float | str) -> str:
    """Return a share as percent; only what is exactly all is "100%"."""
    share = float(value)
    if not math.isfinite(share):
        return compact(share)
    if share == round(share, 2):
        return f"{share:.0%}"
    text = f"{share:.2%}"
    return ">99.99%" if share < 1 and text == "100.00%" else text


def compact(value: float | str) -> str:
    """Return three significant digits or fewer, such as "0.12", "3.1e-5", "1.2e3", "0" or "∞"."""
    number = float(value)
    if math.isnan(number):
        return "not a number"
    if math.isinf(number):
        return "∞" if number > 0 else "-∞"
    if number == 0 or 1e-3 <= abs(number) < 999.5:
        return f"{number:.3g}"
    mantissa, exponent = f"{number:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def check_value(format: str, value: float | str) -> str:
    """Return a check's value or limit in its metric's format (``Metric.format``)."""
    if format == "share":
        return percent(value)
    if format == "cosine" and math.isfinite(float(value)):
        distance = 1 - float(value)
        return f"1 - {compact(distance)}" if 0 < distance < 5e-6 else f"{float(value):.6g}"
    return compact(value)


def power(value: float) -> str:
    """Return one digit and a power of ten, such as "10⁻⁴" or "2·10⁻⁴"; from 1 to 99 they stay plain."""
    digit, exponent = f"{value:.0e}".split("e")
    if int(exponent) in (0, 1):
        return f"{value:g}"
    ten = f"10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
    return ten if digit == "1" else f"{digit}·{ten}"


def size(value: int | None) -> str:
    """Return bytes in decimal units; a dash if not known."""
    return "-" if value is None else filesize.decimal(value)


def duration(seconds: float) -> str:
    """Return seconds, from two minutes on minutes and seconds."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def throughput(batch: int, median_ms: float) -> str:
    """Return faces per second of calls of ``batch`` faces."""
    return f"{1000 * batch / median_ms:,.0f}"
