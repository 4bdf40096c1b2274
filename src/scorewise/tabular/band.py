"""Bands: columns that say between which limits a number lies: a class of incomes, whether a score is above 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from scorewise.tabular.grid import round_to

SCREENED_ROWS = 2_000
MOST_BANDS, FEWEST_EACH = 32, 10
"""Bands of a column, and rows of the table in each of them; more bands are none that people make."""
FEWEST_TOLD = 20
"""Rows of another code than the most frequent one."""
FINEST = 18


class Band(NamedTuple):
    """A column that says in which band a number lies.

    Attributes:
        child: name of the column, a category or a number of recurring values.
        parent: name of the number.
        cuts: where a band begins, increasing, shape (K,).
        codes: code of the child in each band, shape (K + 1,).
        gone: code of the child where the parent is missing.
    """

    child: str
    parent: str
    cuts: np.ndarray
    codes: np.ndarray
    gone: int

    def of(self, values: np.ndarray) -> np.ndarray:
        """Look the column up.

        Args:
            values: of the parent, NaN where missing, shape (N,).

        Returns:
            Codes of the child, shape (N,).
        """
        known = ~np.isnan(values)
        return np.where(known, self.codes[np.searchsorted(self.cuts, np.where(known, values, 0.0), "right")], self.gone)


def find_bands(codes: Mapping[str, np.ndarray], numbers: Mapping[str, np.ndarray]) -> list[Band]:
    """Find the coded columns that say in which band a number lies, in every row.

    Sorted by the number, the rows of each band have one code and come together: so they do in a class of ages, where
    codes follow the number, and where a band is a range of normal values and both ends of it are others. There are
    `MOST_BANDS` at most, each with `FEWEST_EACH` rows or more, so that it is no accident, and `FEWEST_TOLD` rows of
    another code than the most frequent one. A band begins at the roundest number that tells it from the one before, or
    above 0.

    Args:
        codes: codes of each column that may be looked up, (N,) from 0; missing cells have a code of their own.
        numbers: values of the numbers, (N,) each, NaN where missing.

    Returns:
        At most one for each column, by the number that has the fewest bands.
    """
    rows = len(next(iter(numbers.values()), []))
    screen = np.random.default_rng(0).permutation(rows)[:SCREENED_ROWS]
    orders = {name: screen[np.argsort(values[screen], kind="stable")] for name, values in numbers.items()}
    found: list[Band] = []
    for child, code in codes.items():
        if rows - np.bincount(code, minlength=1).max(initial=0) < FEWEST_TOLD:
            continue
        best: Band | None = None
        for parent, order in orders.items():
            if parent == child or np.count_nonzero(np.diff(code[order])) >= MOST_BANDS:
                continue
            band = _band(child, parent, code, numbers[parent])
            if band is not None and (best is None or len(band.cuts) < len(best.cuts)):
                best = band
        if best is not None:
            found.append(best)
    return found


def _band(child: str, parent: str, code: np.ndarray, values: np.ndarray) -> Band | None:
    known = ~np.isnan(values)
    gone = np.unique(code[~known])
    order = np.flatnonzero(known)[np.argsort(values[known], kind="stable")]
    if len(gone) > 1 or len(order) == 0:
        return None
    starts = np.flatnonzero(np.diff(code[order])) + 1
    low, high = values[order[starts - 1]], values[order[starts]]
    lengths = np.diff(np.concatenate([[0], starts, [len(order)]]))
    if not 1 <= len(starts) < MOST_BANDS or lengths.min() < FEWEST_EACH or (low == high).any():
        return None
    cuts = np.array([_roundest(*ends) for ends in zip(low.tolist(), high.tolist(), strict=True)])
    bands = code[order[np.append(0, starts)]]
    return Band(child, parent, cuts, bands, int(gone[0]) if len(gone) else int(bands[0]))


def _roundest(low: float, high: float) -> float:
    """The number of fewest digits above `low`, and `high` at most; above 0 is above 0.

    >>> _roundest(17.31, 18.02), _roundest(-3.2, 0.7), _roundest(4_870, 5_000), _roundest(1, 2), _roundest(0, 12)
    (18.0, 0.0, 5000.0, 2.0, 5e-324)
    """
    if low < 0 <= high:
        return 0.0
    if low == 0:
        return float(np.nextafter(0.0, 1.0))
    top = int(np.ceil(np.log10(max(abs(low), abs(high)))))
    for place in range(top, top - FINEST, -1):
        rounded = float(round_to(np.array([high]), ((-400, place),))[0])
        for one in (rounded - 10.0**place, rounded):
            plain = float(round_to(np.array([one]), ((-400, place),))[0])
            if low < plain <= high:
                return plain
    return high
