"""How figures are read: shares in percent, standard errors behind a ±, and a word where there is no number."""

from __future__ import annotations

import math

from scorewise.tabular.score import Metric


def figure(metric: Metric, value: float | None, se: float | None) -> str:
    """A score as it is read: shares in percent, all else with three decimals, ± one standard error where there is one.

    Args:
        metric: what is measured.
        value: the score or its floor, None where it was not measured.
        se: its standard error, in the same unit.

    Returns:
        The figure; empty where there is no value.
    """
    if value is None or not math.isfinite(value):
        return ""
    scale, decimals, unit = (100.0, 2, " %") if metric.unit == "share" else (1.0, 3, "")
    error = f" ± {scale * finite(se):.{decimals}f}" if finite(se) > 0 else ""
    return f"{scale * value:.{decimals}f}{error}{unit}"


def number(metric: Metric, value: float | None, se: float | None) -> str:
    """A figure that is never empty, and no zero where a share without a standard error is only close to zero.

    Args:
        metric: what is measured.
        value: the score or its floor, None where it was not measured.
        se: its standard error, in the same unit.

    Returns:
        The figure; "n/a" where there is no value.
    """
    if metric.unit == "share" and value is not None and finite(se) <= 0:
        return percent(value)
    return figure(metric, value, se) or "n/a"


def percent(share: float) -> str:
    """A share in percent.

    Args:
        share: the share, 1 being all.

    Returns:
        The share with two decimals, "< 0.01 %" where those would hide it, "n/a" where it is not finite.
    """
    if not math.isfinite(share):
        return "n/a"
    return "< 0.01 %" if 0 < share < 5e-5 else f"{100 * share:.2f} %"


def count(number: float) -> str:
    """A whole number with commas between the thousands.

    Args:
        number: the number; it is rounded.

    Returns:
        The number, such as "27,000".
    """
    return f"{number:,.0f}"


def unbroken(words: str) -> str:
    """Keep numbers on one line with their units and standard errors.

    Args:
        words: a text.

    Returns:
        The text with spaces that do not break in these places.
    """
    return words.replace(" %", "\u00a0%").replace(" ± ", "\u00a0±\u00a0")


def finite(number: float | None) -> float:
    """Read a number that may be missing.

    Args:
        number: the number.

    Returns:
        The number; 0 where it is None, infinite or not a number.
    """
    return number if number is not None and math.isfinite(number) else 0.0
