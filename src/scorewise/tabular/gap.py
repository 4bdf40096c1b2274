"""Gaps: number columns that are told by how far they are from another one, such as the day due from the day ordered."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from scorewise.tabular import dtype, grid
from scorewise.tabular.column import Column
from scorewise.tabular.relation import entropy, ranked

SCREENED_ROWS, FEWEST_ROWS, LEAST_SHARE = 2_000, 50, 0.05
PARENTS = 12
"""How many columns before it a column is compared with: those it is most correlated with."""
LEAST_GAIN = 1.0
"""Nats a row that a gap must take less to tell than the column."""
RESOLUTION, ROUNDING = 512, 1e-11
"""Moments are told to this part of their interquartile range, other numbers to this share of the largest."""
OFF_GRID = 1e-6


class Gap(NamedTuple):
    """A number column as its distance from another one, `child - (offset + factor parent)`.

    Attributes:
        parent: name of the other column.
        offset: the child's value where the parent is 0: two columns of moments count from different ones.
        factor: the length of the parent's unit in that of the child.
        whole: whether gaps lie on the child's grid.
        step: the child's grid; None without one.
        least: the smallest value of the child.
        largest: the largest one.
    """

    parent: str
    offset: float
    factor: float
    whole: bool
    step: float | None
    least: float
    largest: float

    def of(self, child: np.ndarray, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Measure how far the child is from its parent.

        Args:
            child: values of the child, NaN where missing, shape (N,).
            values: of the parent, among others, (N,) each.

        Returns:
            Shape (N,), NaN where either is missing.
        """
        gaps: np.ndarray = child - self._base(values)
        return gaps if self.grid is None else grid.snap(gaps, self.grid)

    def child(self, gaps: np.ndarray, values: Mapping[str, np.ndarray], clip: bool) -> np.ndarray:
        """Give the child back.

        Args:
            gaps: shape (N,).
            values: of the parent, among others, (N,) each.
            clip: whether it stays in the range that it has in the table.

        Returns:
            Shape (N,), NaN where the parent is missing.
        """
        made: np.ndarray = self._base(values) + gaps
        made = made if self.step is None else grid.snap(made, self.step)
        return np.clip(made, self.least, self.largest) if clip else made

    @property
    def grid(self) -> float | None:
        """Spacing of the grid that gaps lie on; None without one."""
        return self.step if self.whole else None

    def _base(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        base: np.ndarray = self.offset + self.factor * values[self.parent]
        return base

    def to_json(self) -> list[Any]:
        """Give the attributes in order."""
        return list(self)

    @classmethod
    def from_json(cls, said: list[Any]) -> Self:
        """Rebuild it from `to_json`.

        Args:
            said: the plain form.

        Returns:
            The gap.

        Raises:
            TypeError: if a number is none.
            ValueError: if it is not of that form.
        """
        parent, offset, factor, whole, step, least, largest = said
        if not isinstance(parent, str) or not isinstance(whole, bool):
            raise ValueError(f"a gap must have {', '.join(cls._fields)}, however: {said}")
        spacing = None if step is None else float(step)
        return cls(parent, float(offset), float(factor), whole, spacing, float(least), float(largest))


def find_gaps(
    columns: Mapping[str, Column], values: Mapping[str, np.ndarray], fixed: Collection[str] = ()
) -> dict[str, Gap]:
    """Find columns that are told in fewer nats by how far they are from a column before them.

    The entropy of a column's values is compared with that of its gaps, over the rows in which the two are not equal:
    where few gaps recur in most rows (30, 60 or 90 days), or a start and an end are near each other in a table of many
    years, it is far smaller. Of the columns before it for which it is `LEAST_GAIN` nats less, the parent is the one
    with the least entropy of all gaps. Other numbers than moments are compared to the last digit, so that it is
    recurring gaps that count, not small ones: small ones are shown to the network (`scorewise.difference`), which
    keeps the ties to other columns.

    Args:
        columns: the number columns, in an order in which each may be told by those before it.
        values: of each, (N,), NaN where missing.
        fixed: columns that stay as they are.

    Returns:
        The gaps by child.
    """
    names = list(columns)
    rows = len(values[names[0]]) if names else 0
    if len(names) < 2 or rows < FEWEST_ROWS:
        return {}
    screen = np.sort(np.random.default_rng(0).permutation(rows)[:SCREENED_ROWS])
    quick = {name: values[name][screen] for name in names}
    alike = np.abs(np.corrcoef(ranked(np.stack([quick[name] for name in names], 1)).T))
    found: dict[str, Gap] = {}
    for place, child in enumerate(names):
        if child in fixed:
            continue
        before = np.argsort(-alike[place, :place], kind="stable")[:PARENTS].tolist()
        told = {}
        for parent in (names[i] for i in before):
            gap = _between(columns[child], columns[parent], values[child])
            if gap is not None:
                gain, left = _gain(columns[child], gap, quick)
                if gain >= LEAST_GAIN:
                    told[gap] = left
        for gap in sorted(told, key=lambda one: told[one]):
            if not np.any(np.isnan(values[gap.parent]) & ~np.isnan(values[child])):
                found[child] = _gridded(gap, values[child], values)
                break
    return found


def _between(child: Column, parent: Column, values: np.ndarray) -> Gap | None:
    """The gap of two columns; None where they are of different kinds."""
    span = float(np.nanmin(values)), float(np.nanmax(values))
    if (child.origin is None) != (parent.origin is None):
        return None
    if child.origin is None:
        return Gap(parent.name, 0.0, 1.0, False, child.step, *span)
    if dtype.family(child.counted) != dtype.family(parent.counted):
        return None
    offset = (parent.origin_ns - child.origin_ns) / child.tick_ns
    return Gap(parent.name, offset, parent.tick_ns / child.tick_ns, False, child.step, *span)


def _gain(child: Column, gap: Gap, values: Mapping[str, np.ndarray]) -> tuple[float, float]:
    """By how many nats the entropy of the gaps is less than that of the column where they are not equal, and all gaps'.

    The first is 0 where too few rows tell.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # of huge values, which are then as good as missing
        gaps = gap.of(values[child.name], values)
    known, told = np.isfinite(gaps), np.isfinite(gaps) & (gaps != 0)
    if np.count_nonzero(told) < max(FEWEST_ROWS, LEAST_SHARE * len(gaps)):
        return 0.0, 0.0
    own = values[child.name][told]
    if child.origin is None:
        unit = ROUNDING * float(np.abs(own).max()) or 1.0
    else:
        unit = max(1.0, float(np.subtract(*np.quantile(own, [0.75, 0.25]))) / RESOLUTION)
    return _entropy(own, unit) - _entropy(gaps[told], unit), _entropy(gaps[known], unit)


def _entropy(values: np.ndarray, unit: float) -> float:
    with np.errstate(over="ignore"):  # of huge values, which are then one
        return entropy(np.unique(np.rint(values / unit), return_counts=True)[1])


def _gridded(gap: Gap, child: np.ndarray, values: Mapping[str, np.ndarray]) -> Gap:
    """The same, with whether gaps lie on the child's grid."""
    if gap.step is None:
        return gap
    steps = gap.of(child, values) / gap.step
    return gap._replace(whole=bool(np.nanmax(np.abs(steps - np.rint(steps))) < OFF_GRID))
