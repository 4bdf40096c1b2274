"""Columns that are weighted sums of others in every row: totals of many parts, averages, shares that add up to one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from scorewise.tabular import grid
from scorewise.tabular.formula import (
    FEWEST_ROWS,
    FEWEST_VALUES,
    FINE_GRID,
    LEAST_ROUNDED,
    MOST_DIGITS,
    SLACK,
    in_order,
    short,
    tolerances,
)

SCREENED_ROWS = 2_000
MOST_SUMMED = 64
"""Columns among which sums are looked for: the square of it and more are weighed against one another."""
MOST_PARENTS = 16
ROWS_A_WEIGHT = 10
"""Least number of rows that differ in the parents, for each number that is estimated."""
NEAR, EXACT = 1.5, 0.02
"""Largest error of a least-squares fit, in what the column may be off by, where one with better weights may give every
row; and where the column has so few values that there is no rounding to be told from chance."""
NOTHING = 0.05
"""Standard deviation of a term, likewise, that is not needed."""
OFFSET_DIGITS = 15
TRIMMED, MOSTLY = 0.75, 0.5
"""Share of the rows that are fitted again, and which must be near a sum in the end."""
CONCENTRATED, FIRST, FAR = 12, 3, 0.05
"""How often rows are left out; and after how many times half of the rows must be this near, in standard deviations."""


class WeightedSum(NamedTuple):
    """A number column that is `offset + sum_i weights_i parents_i`, up to the rounding of the column.

    Attributes:
        child: name of the computed column.
        parents: names of two columns or more.
        weights: in the unit of the child for one of each parent.
        offset: in the unit of the child.
    """

    child: str
    parents: tuple[str, ...]
    weights: tuple[float, ...]
    offset: float

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> WeightedSum:
        """Rebuild it from `to_json`.

        Args:
            said: the plain form.

        Returns:
            The weighted sum.

        Raises:
            KeyError: if a field is missing.
            ValueError: if there are not as many weights as parents.
        """
        parents, weights = tuple(map(str, said["parents"])), tuple(map(float, said["weights"]))
        if len(parents) != len(weights):
            raise ValueError(f"a weighted sum must have a weight for each parent, however: {said}")
        return cls(str(said["child"]), parents, weights, float(said["offset"]))

    def to_json(self) -> dict[str, Any]:
        """Give the weighted sum as plain values."""
        return self._asdict() | {"parents": list(self.parents), "weights": list(self.weights)}

    def of(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Compute the column, before it is rounded.

        Args:
            values: of its parents, (N,) each, NaN where missing.

        Returns:
            Shape (N,), NaN where a parent is missing.
        """
        return _added(self.weights, self.offset, [values[name] for name in self.parents])


def find_weighted_sums(
    numbers: Mapping[str, np.ndarray],
    steps: Mapping[str, float | None],
    sources: Mapping[str, np.ndarray],
    taken: Collection[str] = (),
) -> list[WeightedSum]:
    """Find the number columns that are weighted sums of two others or more, in every row, to the unit.

    A column is fitted by least squares to all others, and those are taken away one by one that are not needed, the
    smallest terms first. What is left counts as found where the column is missing just where a parent is; where
    `ROWS_A_WEIGHT` rows or more for each weight differ in the parents; and where weights of few digits, or else those
    of least squares, give every value once it is rounded to the grid of the column, or to a precision of 32 bits where
    it has none. On a grid, either all rows come to lie on it by the grids of the parents, or rounding takes or adds as
    much as it does by chance. Of the columns of such a relation the total is computed, which is the sum of the others
    with weights above 0, or where there is none, the column that varies most. A parent may itself be computed.

    Args:
        numbers: values of the columns that may be computed, in table order, (N,) each, NaN where missing.
        steps: spacing of the grid of each of these and of the sources, or None.
        sources: values of the columns that they may be computed from, likewise; these are among them.
        taken: columns that are known to depend on others: they are neither computed nor parents.

    Returns:
        The weighted sums, each after those of its parents.
    """
    sources, quick = _screened(sources, taken)
    found: dict[str, WeightedSum] = {}
    for name in reversed([name for name in numbers if name in sources]):
        if name in found:
            continue
        others = {other: values for other, values in quick.items() if other != name and other not in found}
        parents = _needed(quick[name], others, steps[name])
        if not 2 <= len(parents) <= MOST_PARENTS:
            continue
        members = [name, *parents]
        for child in _by_rank(members, sources, numbers):
            one = _exact(child, [other for other in members if other != child], steps, sources)
            if one is not None:
                found[child] = one
                break
    return list(in_order(found))


def find_trimmed_sums(
    numbers: Mapping[str, np.ndarray],
    steps: Mapping[str, float | None],
    sources: Mapping[str, np.ndarray],
    ancestors: Mapping[str, Collection[str]],
) -> Iterator[WeightedSum]:
    """Find the number columns that are weighted sums of two others or more in most rows.

    As `find_weighted_sums`, but by least trimmed squares: the rows that are furthest off are left out, and the rest are
    fitted again, until those that remain are given to the unit or no better sum is found. A total that a part of the
    rows breaks by more than others vary is not found.

    Args:
        numbers: values of the columns that may be computed, in table order, (N,) each, NaN where missing.
        steps: spacing of the grid of each of these and of the sources, or None.
        sources: values of the columns that they may be computed from, likewise; these are among them.
        ancestors: of each source the columns on which it depends, itself among them.

    Yields:
        Sums that give the values of the rows that remain, at most one for each column; of a column without a grid also
        the one of least squares, which may be more exact.

    Reference: Rousseeuw, Van Driessen, "Computing LTS regression for large data sets", 2006, section 3 (the steps of
    concentration).
    """
    sources, quick = _screened(sources)
    for child in reversed([name for name in numbers if name in sources]):
        others = {name: values for name, values in quick.items() if child not in ancestors[name]}
        kept = _trimmed(quick[child], others, steps[child])
        parents = _needed(quick[child][kept], {name: v[kept] for name, v in others.items()}, steps[child])
        if not 2 <= len(parents) <= MOST_PARENTS:
            continue
        near = {name: quick[name][kept] for name in (child, *parents)}
        if _by_rank([child, *parents], near, numbers)[0] != child:
            continue
        weights = _weights(near[child], [near[name] for name in parents])
        rest = sources[child] - _added(weights, 0.0, [sources[name] for name in parents])
        middle = float(np.nanmedian(rest))
        given = np.abs(rest - middle) <= NEAR * tolerances(sources[child], steps[child])[1]
        one = _exact(child, parents, steps, {name: sources[name][given] for name in (child, *parents)})
        if one is not None:
            yield one
            if steps[child] is None:
                yield WeightedSum(child, tuple(parents), tuple(weights), middle)


def _screened(
    sources: Mapping[str, np.ndarray], taken: Collection[str] = ()
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The columns among which sums are looked for, in all rows and in those that are screened."""
    some = {name: v for name, v in list(sources.items())[:MOST_SUMMED] if name not in taken and _varies(v)}
    rows = len(next(iter(some.values()), []))
    screen = np.sort(np.random.default_rng(0).permutation(rows)[:SCREENED_ROWS])
    return some, {name: values[screen] for name, values in some.items()}


def _trimmed(y: np.ndarray, others: Mapping[str, np.ndarray], step: float | None) -> np.ndarray:
    """The rows that a weighted sum of others is near, where those are most; else none."""
    known = ~np.isnan(y)
    columns = [values for values in others.values() if not np.isnan(values[known]).any() and _varies(values[known])]
    none = np.zeros(len(y), dtype=bool)
    few = np.count_nonzero(known) < max(FEWEST_ROWS, ROWS_A_WEIGHT * (len(columns) + 1))
    if few or not columns or not _varies(y):
        return none
    target, most = y[known], NEAR * tolerances(y, step)[1]
    spread = float(target.std())
    terms = np.stack([np.ones(len(target)), *(_centred(one[known]) for one in columns)], 1)
    near = np.ones(len(target), dtype=bool)
    for turn in range(CONCENTRATED):
        weights = np.linalg.lstsq(terms[near], target[near] / spread, rcond=None)[0]
        off = np.abs(target - spread * (terms @ weights))
        if turn == FIRST and np.median(off) > FAR * spread:
            return none
        near = off <= max(float(np.quantile(off, TRIMMED)), most)
    near = off <= most
    if near.mean() < MOSTLY:
        return none
    none[known] = near
    return none


def _varies(values: np.ndarray) -> bool:
    known = values[~np.isnan(values)]
    with np.errstate(all="ignore"):  # of huge values the squares are infinite, or even the sum
        return len(known) > 0 and 0 < float(known.std()) < np.inf


def _needed(y: np.ndarray, others: Mapping[str, np.ndarray], step: float | None) -> list[str]:
    """Columns whose weighted sum is near a column, none of which can be left out; empty where there are none."""
    known = ~np.isnan(y)
    names = [name for name, values in others.items() if not np.isnan(values[known]).any() and _varies(values[known])]
    distinct = len(np.unique(y[known]))
    if distinct < 2 or np.count_nonzero(known) < ROWS_A_WEIGHT * 3 or not names:
        return []
    most, error = tolerances(y, step)[1], NEAR if distinct >= FEWEST_VALUES else EXACT
    columns = np.stack([_centred(others[name][known]) for name in names], 1)
    target = (y[known] - y[known].mean()) / most
    terms = _near(columns, target, error)
    if terms is None:
        return []
    left = np.flatnonzero(np.abs(terms) >= NOTHING)
    for place in sorted(left, key=lambda i: abs(float(terms[i]))):
        fewer = left[left != place]
        if _near(columns[:, fewer], target, error) is not None:
            left = fewer
    return [names[i] for i in left]


def _centred(values: np.ndarray) -> np.ndarray:
    """Values with mean 0 and standard deviation 1."""
    centred: np.ndarray = (values - values.mean()) / values.std()
    return centred


def _near(columns: np.ndarray, target: np.ndarray, error: float) -> np.ndarray | None:
    """Weights of least squares, where no row is off by more than an error."""
    weights: np.ndarray = np.linalg.lstsq(columns, target, rcond=None)[0]
    return weights if np.abs(target - columns @ weights).max() <= error else None


def _by_rank(members: Sequence[str], values: Mapping[str, np.ndarray], numbers: Collection[str]) -> list[str]:
    """The columns of a relation that may be computed: first a total of all others, then those that vary most in it."""
    first, *parents = members
    weights = [-1.0, *_weights(values[first], [values[name] for name in parents])]
    size = {name: abs(w) * float(np.nanstd(values[name])) for name, w in zip(members, weights, strict=True)}
    positive = [w > 0 for w in weights]
    total = {name for name, up in zip(members, positive, strict=True) if positive.count(up) == 1}
    return sorted((name for name in members if name in numbers), key=lambda name: (name not in total, -size[name]))


def _weights(y: np.ndarray, parents: Sequence[np.ndarray]) -> list[float]:
    """Weights of least squares over the rows that are known."""
    known = ~np.isnan(y) & ~np.isnan(np.stack(parents)).any(0)
    columns = np.stack([_centred(one[known]) for one in parents], 1)
    terms = np.linalg.lstsq(columns, y[known] - y[known].mean(), rcond=None)[0]
    found: list[float] = (terms / np.array([one[known].std() for one in parents])).tolist()
    return found


def _exact(
    child: str, parents: Sequence[str], steps: Mapping[str, float | None], values: Mapping[str, np.ndarray]
) -> WeightedSum | None:
    """The weighted sum that gives every row of a column, once it is rounded to its grid, if there is one."""
    y, terms = values[child], [values[name] for name in parents]
    known = ~np.isnan(y)
    if not np.array_equal(known, ~np.isnan(np.stack(terms)).any(0)):
        return None
    rows = np.stack([one[known] for one in terms], 1)
    different = len(np.unique(rows[:SCREENED_ROWS], axis=0))
    if different < max(FEWEST_ROWS, ROWS_A_WEIGHT * (len(parents) + 1)) or any(rows.std(0) == 0):
        return None
    step, spacings = steps[child], [steps[name] for name in parents]
    near, (precision, most) = _weights(y, terms), tolerances(y, step)
    for weights in (*([short(w, digits) for w in near] for digits in range(1, MOST_DIGITS + 1)), near):
        rest = y[known] - _added(weights, 0.0, list(rows.T))
        if float(np.ptp(rest)) > 2 * most or not _is_rounded(rest, step, weights, spacings):
            continue
        offset = _offset(y[known], y[known] - rest, step, precision)
        if offset is not None:
            return WeightedSum(child, tuple(parents), tuple(weights), offset)
    return None


def _offset(y: np.ndarray, total: np.ndarray, step: float | None, precision: float) -> float | None:
    """Number of as few digits as may be that is to be added to a sum to give every value, once it is rounded."""
    rest = y - total
    middle = (float(rest.max()) + float(rest.min())) / 2
    for offset in (0.0, *(float(f"{middle:.{digits}g}") for digits in range(1, OFFSET_DIGITS + 1)), middle):
        computed = offset + total
        computed = computed if step is None else grid.snap(computed, step)
        if np.abs(y - computed).max() <= precision:
            return offset
    return None


def _is_rounded(
    rest: np.ndarray, step: float | None, weights: Sequence[float], spacings: Sequence[float | None]
) -> bool:
    """Whether a column is what a sum gives, rounded, for other values of its parents too."""
    if step is None or step < FINE_GRID:
        return True
    if float(rest.std()) >= LEAST_ROUNDED * step:
        return True
    jumps = [w * spacing / step for w, spacing in zip(weights, spacings, strict=True) if spacing is not None]
    return len(jumps) == len(weights) and all(abs(jump - round(jump)) <= SLACK for jump in jumps)


def _added(weights: Sequence[float], offset: float, terms: Sequence[np.ndarray]) -> np.ndarray:
    total: np.ndarray = np.stack([w * one for w, one in zip(weights, terms, strict=True)]).sum(0)
    return offset + total
