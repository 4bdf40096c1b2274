"""Figures as they are read."""

import math

import pytest

from scorewise.tabular.figure import figure, number, percent
from scorewise.tabular.score import METRICS, UTILITY_OF_NUMBERS, Metric

SHAPES = next(metric for metric in METRICS if metric.key == "shapes")
DETECTION = next(metric for metric in METRICS if metric.key == "detection")


@pytest.mark.parametrize(
    ("metric", "value", "se", "expected"),
    [
        (SHAPES, 0.0075, 0.0002, "0.75 ± 0.02 %"),
        (SHAPES, 0.0075, 0.0, "0.75 %"),
        (DETECTION, 0.63712, 0.00251, "0.637 ± 0.003"),
        (UTILITY_OF_NUMBERS, 0.5, None, "0.500"),
        (DETECTION, 0.5, math.nan, "0.500"),
        (DETECTION, None, None, ""),
        (DETECTION, math.nan, 0.1, ""),
    ],
)
def test_a_figure(metric: Metric, value: float | None, se: float | None, expected: str) -> None:
    assert figure(metric, value, se) == expected
    assert number(metric, value, se) == (expected or "n/a")


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.0, "0.00 %"), (0.00004, "< 0.01 %"), (0.00006, "0.01 %"), (1.0, "100.00 %"), (math.nan, "n/a")],
)
def test_a_small_share_is_not_read_as_zero(share: float, expected: str) -> None:
    assert percent(share) == number(SHAPES, share, None) == number(SHAPES, share, math.nan) == expected
