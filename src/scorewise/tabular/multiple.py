"""Multiples: a column that is a round share or multiple of another one in some rows, as many a loan is of a price."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from scorewise.tabular.relation import SCREENED_ROWS, before, nearly

WHOLE = (2, 3, 4, 5, 6, 8, 10, 12, 20, 24, 25, 50, 52, 100)
FACTORS = np.array(
    sorted(
        {k / 100 for k in range(1, 100)} | {k / 20 for k in range(21, 40)} | {1 / k for k in WHOLE} | {*WHOLE, 2 / 3}
    )
)
"""Whole percents, more than all by twentieths, thirds, and whole multiples and parts; but not 1."""
_BETWEEN = (FACTORS[1:] + FACTORS[:-1]) / 2
FEWEST_ROWS, LEAST_SHARE = 20, 0.02
"""Rows, also as a share of all, in which one column must be a multiple of the other."""
FEWEST_APART = 10
"""Differences that a column must have to the other one where it is a multiple: a distance of 1 may be 99 %, rounded."""
FEW_ROWS, FEW_SHARE = 500, 0.012
"""Rows, and share of them, by which a pair of columns is looked at further."""
SHIFTS = (-31, -19, -11, 11, 19, 31)
TIMES = 3.0
"""How many times as often as with rows of other values near its own."""
MOST, MOSTLY = 6, 0.5
"""Multiples of a column that are told, and the share of the rows in which one is a formula, which others look for."""


class Multiple(NamedTuple):
    """A round multiple of a number column, rounded to a grid: what another column may be compared with.

    Attributes:
        name: of the column.
        factor: what it is multiplied by.
        step: spacing of the grid that the product is rounded to; None for none.
    """

    name: str
    factor: float
    step: float | None

    @property
    def names(self) -> tuple[str, ...]:
        """Of the one column."""
        return (self.name,)

    @classmethod
    def from_json(cls, said: list[Any]) -> Multiple:
        """Rebuild it from `to_json`.

        Args:
            said: name, factor and step.

        Returns:
            The multiple.

        Raises:
            ValueError: if the factor is not one of `FACTORS`, or the step neither positive nor None.
        """
        if len(said) != len(cls._fields) or said[1] not in FACTORS.tolist() or not (said[2] is None or said[2] > 0):
            raise ValueError(f"a multiple must have a name, a round factor and a positive step, however: {said}")
        return cls(*said)

    def to_json(self) -> list[Any]:
        """Give name, factor and step."""
        return list(self)

    def total(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Multiply and round.

        Args:
            values: of the column, (N,), NaN where missing.

        Returns:
            Shape (N,), NaN where it is missing.
        """
        return _product(self.factor, values[self.name], self.step)

    def equal(self, child: np.ndarray, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Tell where a column is equal to it, and neither is 0.

        Args:
            child: values of the column, shape (N,).
            values: of the other one, (N,).

        Returns:
            Shape (N,), False where a cell is missing.
        """
        same: np.ndarray = nearly(self.total(values), child) & (child != 0)
        return same


def find_multiples(
    numbers: Mapping[str, np.ndarray],
    steps: Mapping[str, float | None],
    after: Mapping[str, Collection[str]],
    most: float = MOSTLY,
) -> dict[str, list[Multiple]]:
    """Find which columns are a round multiple of another one in some rows.

    Numbers of few digits are such multiples by accident, and numbers near each other often. So each cell is held
    against those rows as well whose value of the other column is near that of its own: the multiple must be `TIMES` as
    frequent as there. A pair of values counts once. What holds in most rows is left to formulas.

    Args:
        numbers: values of each column, (N,), NaN where missing.
        steps: spacing of the grid that the values of each lie on, or None.
        after: of each column those that it comes after; none comes to depend on itself.
        most: share of the rows in which one is none, since formulas tell it.

    Returns:
        For each column that has any, its multiples, `MOST` at most. Of two columns the one comes after the other of
        which more rows are told so.
    """
    rows = len(next(iter(numbers.values()), []))
    screen = np.random.default_rng(0).permutation(rows)[:SCREENED_ROWS]
    quick = {
        name: np.where(np.isfinite(values) & (values != 0), values, np.nan)[screen] for name, values in numbers.items()
    }
    some = {name: v[:FEW_ROWS] for name, v in quick.items() if len(np.unique(v[~np.isnan(v)])) >= FEWEST_APART}
    every, told = np.array(list(some.values())), list[tuple[float, str, list[Multiple]]]()
    for child, own in some.items():
        for parent in _likely(own, list(some), every, steps[child]):
            peaks = _peaks(quick[child], quick[parent], steps[child])
            multiples = [
                Multiple(parent, factor, steps[child]) for factor in sorted(peaks, key=lambda one: -peaks[one])
            ]
            told += [(sum(peaks.values()), child, multiples)] if peaks else []
    ties, found = {name: set(others) for name, others in after.items()}, dict[str, list[Multiple]]()
    left = {name: np.ones(rows, dtype=bool) for name in some}
    for _, child, multiples in sorted(told, key=lambda item: -item[0]):
        for one in multiples:
            equal = one.equal(numbers[child], numbers) & left[child]
            enough = max(FEWEST_ROWS, LEAST_SHARE * rows) <= equal.sum() <= most * rows
            if enough and len(found.get(child, [])) < MOST and child not in before(one.name, ties):
                found.setdefault(child, []).append(one)
                left[child] &= ~equal
                ties.setdefault(child, set()).add(one.name)
    return found


def _likely(child: np.ndarray, names: list[str], values: np.ndarray, step: float | None) -> list[str]:
    """Which columns, (n, N), a column may be a multiple of by some of the rows, (N,), NaN where one is 0."""
    nearest = _nearest(child, values, step)
    place, row = np.nonzero(nearest >= 0)
    pairs, counts = np.unique(place * len(FACTORS) + nearest[place, row], return_counts=True)
    enough = counts >= FEW_SHARE * values.shape[1]
    return [names[i] for i in np.unique(pairs[enough] // len(FACTORS))]


def _peaks(child: np.ndarray, parent: np.ndarray, step: float | None) -> dict[float, float]:
    """The factors by which one column is a multiple of another far more often than rows near it, and how much more."""
    least = max(FEWEST_ROWS, LEAST_SHARE * len(child)) / 2
    if _counted(_nearest(child, parent, step)).max() < least:
        return {}
    x, y = np.unique(np.stack([parent, child], 1)[~np.isnan(parent) & ~np.isnan(child)], axis=0).T
    nearest = _nearest(y, x, step)
    hits = _counted(nearest)
    beside = np.mean([_counted(_nearest(np.roll(y, shift), x, step)) for shift in SHIFTS], 0)
    more = hits - beside
    peaks = np.flatnonzero((hits >= least) & (hits >= TIMES * beside))
    with np.errstate(over="ignore"):
        apart = [i for i in peaks if len(np.unique((y - x)[nearest == i])) >= FEWEST_APART]
    return dict(zip(FACTORS[apart].tolist(), more[apart].tolist(), strict=True))


def _counted(nearest: np.ndarray) -> np.ndarray:
    return np.bincount(nearest[nearest >= 0], minlength=len(FACTORS))


def _nearest(child: np.ndarray, parent: np.ndarray, step: float | None) -> np.ndarray:
    """Which multiple of another column each cell is, a position among the factors, -1 for none; shapes as they fit."""
    with np.errstate(over="ignore"):
        nearest = np.searchsorted(_BETWEEN, child / parent)
    return np.where(nearly(_product(FACTORS[nearest], parent, step), child), nearest, -1)


def _product(factor: float | np.ndarray, values: np.ndarray, step: float | None) -> np.ndarray:
    with np.errstate(over="ignore"):  # of huge values
        product: np.ndarray = factor * values
        rounded: np.ndarray = product if step is None else np.rint(product / step) * step
    return rounded
