"""Formulas that hold in most rows, but not in all: amounts with typing errors, ratios set by hand in places."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from scorewise.tabular import grid
from scorewise.tabular.column import Column
from scorewise.tabular.computation import Computation, computation_from_json
from scorewise.tabular.elapsed import find_elapsed
from scorewise.tabular.formula import (
    FEWEST_ROWS,
    FEWEST_VALUES,
    SLACK,
    Formula,
    Line,
    Term,
    agreed,
    is_rounded,
    lattice,
    precision_share,
    shape_values,
    short_lines,
    terms_of_one,
    terms_of_three,
    terms_of_two,
)
from scorewise.tabular.weighted import find_trimmed_sums

POOL, SCREENED_ROWS, LIKELY, SECOND_ROWS = 240, 24, 0.35, 2_000
"""Rows, of which those are taken that tell of a column, as many as all ways are tried in that it may be computed; the
share of these that makes a way likely; and rows for those ways that are."""
LEAST_SHARE = 0.5
"""Share of the rows in which a formula holds, but for those of a value that more than `COMMON` of the rows have."""
COMMON = 0.1
NEAR = 0.01
"""Share of a value within which it is first looked for."""
MOST_TRIED = 16
LOST = 0.01
"""Share of the rows that a number of fewer digits may lose against the best one."""
MOST_EQUAL = 0.9
"""Share of the rows in which a formula holds and the column is that of a parent; with more it is an equality."""
ROUNDINGS = {0.0: (0.0, 1e-5, -1e-5), -0.5: (1e-5,), 0.5: (-1e-5,)}
"""Offsets, in steps of the column's grid, that are tried: to the nearest, where halves go to the even digit, up, or
down; down; and up. Of each, the offset by which a slope is found, and what is added to it then."""


class Prevalent(NamedTuple):
    """A number column that a formula gives in most rows; its mode says in which (`Number.parents`).

    Attributes:
        formula: how it is computed.
        step: spacing of the column's grid, or None.
        places: down to which place its values have digits, by their size, or None.
        precision: the share of its size that a value may be off once it is rounded.
    """

    formula: Computation
    step: float | None
    places: grid.Places | None
    precision: float

    @property
    def child(self) -> str:
        """Name of the column."""
        return self.formula.child

    @property
    def column(self) -> str:
        """The name of what is computed among the values of all number columns; no column of a table has it."""
        return f"\0formula {self.child}"

    def of(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Compute the column in all rows, rounded as its values are.

        Args:
            values: of the parents, (N,) each, NaN where missing.

        Returns:
            Shape (N,), NaN where a parent is missing or the formula has no value.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # of huge values
            computed = self.formula.of(values)
            if self.step is not None:
                computed = grid.snap(computed, self.step)
        return computed if self.places is None else grid.round_to(computed, self.places)

    def held_against(self, child: np.ndarray, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Compute the column in all rows, where it is right to the last digit of the column itself.

        Args:
            child: values of the column, NaN where missing, shape (N,).
            values: of the parents, (N,) each, NaN where missing.

        Returns:
            Shape (N,): the column where the formula holds, else what `of` gives.
        """
        computed = self.of(values)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.where(np.abs(computed - child) <= self.precision * np.abs(child), child, computed)

    def to_json(self) -> dict[str, Any]:
        """Give it as plain values."""
        return self._asdict() | {"formula": self.formula.to_json()}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Prevalent:
        """Rebuild it from `to_json`.

        Args:
            said: the plain form.

        Returns:
            The formula.

        Raises:
            KeyError: if a field is missing.
            ValueError: if the formula is none, or the places are.
        """
        step, places = said["step"], said["places"] and tuple(map(tuple, said["places"]))
        if places is not None and not grid.is_places(places):
            raise ValueError(f"places must be pairs of a size and a place, however: {places}")
        formula = computation_from_json(said["formula"])
        return cls(formula, None if step is None else float(step), places, float(said["precision"]))


def find_prevalent(
    numbers: Mapping[str, np.ndarray],
    steps: Mapping[str, float | None],
    places: Mapping[str, grid.Places | None],
    sources: Mapping[str, np.ndarray],
    ancestors: Mapping[str, Collection[str]],
    moments: Mapping[str, Column] | None = None,
) -> list[Prevalent]:
    """Find the number columns that are computed in most rows: by `slope shape(parents)`, a weighted sum, elapsed time.

    A line of least largest error, by which `find_formulas` goes, is lost with a single row that is wrong. Here each row
    says between which slopes its value, before it was rounded, lies, and the slope is taken on which most rows agree,
    with few digits where that loses hardly any. The formula must give `LEAST_SHARE` of the values, `FEWEST_ROWS` of
    them and `FEWEST_VALUES` different ones, with rounding that takes or adds as much as it does by chance. A row in
    which a value or the shape is 0 says nothing, nor does a value that is common. Weighted sums are those of
    `find_trimmed_sums`, elapsed time is that of `find_elapsed`. Those are taken first that give the largest share of
    their column; but none that mostly says that one of `numbers` equals another one.

    Args:
        numbers: values of the columns that may be computed, in table order, (N,) each, NaN where missing.
        steps: spacing of the grid of each of these and of the sources, or None.
        places: down to which place values of each have digits, by their size, or None.
        sources: values of the columns that they may be computed from, likewise; these may be among them.
        ancestors: of each source the columns on which it depends, itself among them.
        moments: those of the sources that hold moments; only time elapses between these.

    Returns:
        At most one for each column; none comes to depend on itself.
    """
    rows = len(next(iter(sources.values()), []))
    if rows < FEWEST_ROWS:
        return []
    moments = moments or {}
    plain = {name: v for name, v in sources.items() if name not in moments}
    told = list(_formulas(numbers, steps, places, plain, ancestors))
    for total in find_trimmed_sums(numbers, steps, plain, ancestors):
        y, step = numbers[total.child], steps[total.child]
        tried, telling = Prevalent(total, step, places[total.child], precision_share(step)), _telling(y)
        share = _share(y, telling & (tried.held_against(y, sources) == y), telling)
        if share > LEAST_SHARE:
            told.append((share, tried))
    for elapsed, share in find_elapsed(numbers, steps, moments, sources, ancestors):
        step = steps[elapsed.child]
        told.append((share, Prevalent(elapsed, step, places[elapsed.child], precision_share(step))))
    return _chosen(told, numbers, sources, ancestors)


def _formulas(
    numbers: Mapping[str, np.ndarray],
    steps: Mapping[str, float | None],
    places: Mapping[str, grid.Places | None],
    sources: Mapping[str, np.ndarray],
    ancestors: Mapping[str, Collection[str]],
) -> Iterator[tuple[float, Prevalent]]:
    """Go through the formulas that give a column in most rows.

    Yields:
        The share of the rows, and the formula.
    """
    order = np.random.default_rng(0).permutation(len(next(iter(sources.values()), [])))
    quick, screen = order[:POOL], order[:SECOND_ROWS]
    first = {name: values[quick] for name, values in sources.items()}
    terms = [*terms_of_one(first), *terms_of_two(first), *terms_of_three(first)]
    if not terms:
        return
    shapes = np.stack([shape_values(term, first) for term in terms])
    for child in reversed(list(numbers)):
        y, step = numbers[child], steps[child]
        telling = _telling(y)
        if np.count_nonzero(telling) < FEWEST_ROWS or len(np.unique(y[telling])) < FEWEST_VALUES:
            continue
        precision = precision_share(step)
        most = np.maximum(precision * np.abs(y), (0.5 + SLACK) * (step or 0.0))
        seen = np.where(telling, y, np.nan)
        for term in _likely(seen[quick], most[quick], shapes, terms):
            if any(child in ancestors[parent] for parent in term[0]):
                continue
            g = shape_values(term, sources)
            for offset, slope in _lines(seen[screen], most[screen], g[screen], step):
                tried = Prevalent(Formula(child, *term, offset, slope), step, places[child], precision)
                right = telling & (tried.held_against(y, sources) == y)
                share, spacing = _share(y, right, telling), lattice(term, steps)
                if share > LEAST_SHARE and is_rounded(y[right], g[right], step, (offset, slope), spacing):
                    yield share, tried


def _chosen(
    told: Iterable[tuple[float, Prevalent]],
    numbers: Mapping[str, np.ndarray],
    sources: Mapping[str, np.ndarray],
    ancestors: Mapping[str, Collection[str]],
) -> list[Prevalent]:
    """Of the formulas that were found, with the share that each gives, those that give most; one for each column."""
    depends = {name: set(known) for name, known in ancestors.items()}
    found: dict[str, Prevalent] = {}
    for _, one in sorted(told, key=lambda pair: -pair[0]):
        child, parents = one.child, one.formula.parents
        if child in found or any(child in depends[parent] for parent in parents):
            continue
        if not _is_equality(numbers[child], one, numbers, sources):
            found[child] = one
            for known in depends.values():
                if child in known:
                    known |= set().union(*(depends[parent] for parent in parents))
    return [found[name] for name in numbers if name in found]


def _telling(y: np.ndarray) -> np.ndarray:
    """Which values may tell of a formula, shape (N,): those that are there, not 0, and not common."""
    told: np.ndarray = ~np.isnan(y) & (y != 0)
    distinct, counts = np.unique(y[told], return_counts=True)
    told &= ~np.isin(y, distinct[counts > COMMON * len(y)])
    return told


def _likely(y: np.ndarray, most: np.ndarray, shapes: np.ndarray, terms: list[Term]) -> list[Term]:
    """Of the terms those that a value in the middle makes a line through 0 near which most values are, best first."""
    known = np.flatnonzero(~np.isnan(y))[:SCREENED_ROWS]
    y, most, g = y[known], most[known], shapes[:, known]
    if len(y) == 0:
        return []
    large = np.abs(y) >= np.median(np.abs(y))  # of which rounding takes a smaller share
    with np.errstate(all="ignore"):  # a shape may be 0, or have no value
        ratios = y[large] / g[:, large]
        slopes = np.median(np.where(np.isfinite(ratios), ratios, 0.0), axis=1)
        near = np.abs(y - slopes[:, None] * g) <= 2 * most + NEAR * np.abs(y)
    shares = np.count_nonzero(near, axis=1) / len(y)
    order = np.argsort(-shares, kind="stable")[:MOST_TRIED]
    return [terms[i] for i in order.tolist() if shares[i] >= LIKELY]


def _lines(y: np.ndarray, most: np.ndarray, g: np.ndarray, step: float | None) -> Iterator[Line]:
    """Find lines that may give most values, for each way to round them.

    Yields:
        Offset and slope.
    """
    for middle, ends in ROUNDINGS.items() if step is not None else [(0.0, (0.0,))]:
        unit = step or 0.0
        slope = _slope(y - middle * unit, most, g)
        if slope is not None:
            yield from (((middle + end) * unit, slope) for end in ends)


def _slope(y: np.ndarray, most: np.ndarray, g: np.ndarray) -> float | None:
    """The slope that gives most values, rounded to few digits if hardly any are lost; None where none gives enough."""
    with np.errstate(all="ignore"):  # of huge values, and of none
        known = np.isfinite(y) & np.isfinite(g) & (g != 0)
        y, most, g = y[known], most[known], g[known]
        if len(y) < FEWEST_ROWS // 2:
            return None
        ends = np.stack([y - most, y + most]) / g
        best = agreed(ends.min(0), ends.max(0))
        if not np.isfinite(best) or best == 0:
            return None
        held = np.count_nonzero(np.abs(y - best * g) <= most)
        for _, slope in short_lines(0.0, best, 0.0):
            if np.count_nonzero(np.abs(y - slope * g) <= most) >= held - LOST * len(y):
                return slope
    return best


def _is_equality(
    y: np.ndarray, found: Prevalent, numbers: Mapping[str, np.ndarray], sources: Mapping[str, np.ndarray]
) -> bool:
    """Whether a column is mostly just one of its parents where the formula holds; `find_equalities` finds that."""
    right = found.held_against(y, sources) == y
    parents = [numbers[parent][right] for parent in found.formula.parents if parent in numbers]
    return any(np.mean(parent == y[right]) > MOST_EQUAL for parent in parents)


def _share(y: np.ndarray, right: np.ndarray, telling: np.ndarray) -> float:
    """The share that is right of the values that tell; 0 where those are few, or hardly differ."""
    if np.count_nonzero(right) < FEWEST_ROWS or len(np.unique(y[right])) < FEWEST_VALUES:
        return 0.0
    return float(np.count_nonzero(right) / np.count_nonzero(telling))
