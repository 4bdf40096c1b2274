"""Histograms of one column in two tables, on bars that both share."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scorewise.tabular.column import Column

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LEVELS_SHOWN = 12
VALUES_SHOWN = 24  # a number with no more real values than these has a bar for each
BINS = 20


class Histogram(NamedTuple):
    """The label of each bar, and the share of rows in it: real, synthetic."""

    labels: list[str]
    real: list[float]
    synthetic: list[float]


def categories(column: Column, real: IntArray, synthetic: IntArray) -> Histogram:
    """Count the 12 most frequent real levels; the other ones, unknown ones among them, are one bar, "other".

    Args:
        column: the category.
        real: indices of levels, -1 where missing, with shape (N,).
        synthetic: the same with shape (M,).

    Returns:
        The bars, the most frequent first; "other" and "missing" only where a table has them.
    """
    levels = column.levels or ()
    frequency = np.bincount(real[(real >= 0) & (real < len(levels))], minlength=len(levels))
    shown = np.argsort(-frequency, kind="stable")[:LEVELS_SHOWN]
    bar = np.full(len(levels) + 2, len(shown))  # the last two: unknown, and index -1, missing
    bar[shown] = np.arange(len(shown))
    bar[-1] = len(shown) + 1
    return _histogram([str(levels[index]) for index in shown], bar[real], bar[synthetic])


def numbers(column: Column, real: FloatArray, synthetic: FloatArray) -> Histogram:
    """Count values in 20 bins, equally wide between the real 1 % and 99 % quantiles, the outer ones open.

    A number with 24 real values or fewer has a bar for each of them, and "other" for what is none of them.

    Args:
        column: the number.
        real: values in the column's own unit, NaN where missing, with shape (N,).
        synthetic: the same with shape (M,).

    Returns:
        The bars in ascending order; "other" and "missing" only where a table has them.
    """
    values = np.unique(real[~np.isnan(real)])
    if len(values) <= VALUES_SHOWN:
        return _histogram(_texts(column, values), _equal(values, real), _equal(values, synthetic))
    low, high = np.nanquantile(real / 2, [0.01, 0.99])  # halved, since differences of the largest floats overflow
    if low == high:
        low, high = values[0] / 2, values[-1] / 2
    edges = 2 * np.linspace(low, high, BINS + 1)[1:-1]
    bars = [np.where(np.isnan(x), BINS + 1, np.searchsorted(edges, x, side="right")) for x in (real, synthetic)]
    texts = _texts(column, edges)
    labels = [f"below {texts[0]}", *(f"{a} to {b}" for a, b in pairwise(texts))]
    return _histogram([*labels, f"from {texts[-1]}"], *bars)


def _equal(values: FloatArray, x: FloatArray) -> IntArray:
    """The position of each x among the sorted values; one past them for others, two past them for missing ones."""
    place = np.searchsorted(values, x)
    known = np.append(values, np.nan)[place] == x
    return np.where(np.isnan(x), len(values) + 1, np.where(known, place, len(values)))


def _histogram(labels: list[str], real: IntArray, synthetic: IntArray) -> Histogram:
    labels = [*labels, "other", "missing"]
    shares = [np.bincount(bars, minlength=len(labels)) / len(bars) for bars in (real, synthetic)]
    kept = [k for k in range(len(labels)) if k < len(labels) - 2 or shares[0][k] + shares[1][k] > 0]
    return Histogram([labels[k] for k in kept], *([float(share[k]) for k in kept] for share in shares))


def _texts(column: Column, values: FloatArray) -> list[str]:
    """Values as text: dates and times as such, numbers with four digits or more."""
    if column.origin is not None:
        return [str(value) for value in column.restore(values, len(values), np.random.default_rng(0)).to_pylist()]
    return list(_figures(values))


def _figures(values: Iterable[float]) -> Iterable[str]:
    for value in values:
        yield f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
