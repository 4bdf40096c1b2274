"""How one number column is encoded: the normal score of its margin, and the mode that ties it to other columns."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr

from scorewise.tabular.defect import TableError
from scorewise.tabular.gap import Gap
from scorewise.tabular.grid import Places
from scorewise.tabular.marginal import Marginal
from scorewise.tabular.multiple import Multiple, find_multiples
from scorewise.tabular.relation import Combination, before, find_equalities, ordered
from scorewise.tabular.repeat import find_repeats
from scorewise.tabular.sums import Sum, find_sums

Adjust = Callable[[str, np.ndarray, np.ndarray, Mapping[str, np.ndarray]], np.ndarray]
"""Of a column's name, its values and which of them may be moved, (N,) each, and the columns before it, to values."""

Parent = Combination | Multiple
"""What a number column may be equal to."""

FEW_VALUES = 128
MOST_CODES, ROWS_PER_CODE = 10_000, 10
COMMON_SHARE, FEWEST_COMMON = 0.004, 5
FEWEST_FREE, ELSEWHERE = 20, 0.7
"""Free cells that may have a distribution of their own, and how far that must be from the one of the others."""
LEAST_EQUAL = 0.01
"""Share of the rows in which a column must equal another one for that to be told."""


class Number(NamedTuple):
    """How one number column is encoded.

    A cell that is missing or equals another column has a **mode** that says so: 0 for free, then one for each parent,
    then one for missing.

    Attributes:
        marginal: its distribution; that of the gap, where there is one.
        parents: columns, signed sums of two, or round multiples, that it equals in a share of the rows.
        missing: whether it has missing cells.
        values: its values in increasing order where they are few or recur (such a column may determine another one, or
            be determined by it), else empty.
        gap: the column that it is measured from; None where it is encoded as it is.
        free: the distribution of the cells that are free, where these are exceptions that lie elsewhere, else None.
    """

    marginal: Marginal
    parents: tuple[Parent, ...]
    missing: bool
    values: np.ndarray
    gap: Gap | None = None
    free: Marginal | None = None

    @property
    def modes(self) -> int:
        """Number of modes."""
        return 1 + len(self.parents) + self.missing

    def freed(self, others: Collection[str]) -> "Number":
        """The same without the parents that some columns are a part of.

        Args:
            others: names of these columns.

        Returns:
            How the column is encoded then.
        """
        return self._replace(parents=tuple(parent for parent in self.parents if set(others).isdisjoint(parent.names)))

    def without(self, name: str, cells: Mapping[str, np.ndarray], told: np.ndarray) -> "Number":
        """The same without the parents that hardly any rows equal but those of which something else tells.

        Args:
            name: of the column.
            cells: values of all number columns, (N,) each, NaN where missing.
            told: which rows something else tells of, shape (N,).

        Returns:
            How the column is encoded then.
        """
        least = LEAST_EQUAL * len(told)
        kept = [one for one in self.parents if np.count_nonzero(one.equal(cells[name], cells) & ~told) >= least]
        return self._replace(parents=tuple(kept))

    def apart(self, name: str, cells: Mapping[str, np.ndarray]) -> "Number":
        """The same with a distribution of its own for the free cells, where these are exceptions that lie elsewhere.

        They are if they are `FEWEST_FREE` or more, but half of all at most, and the largest difference of their
        distribution function to that of the others is `ELSEWHERE`. A score of all cells would have to agree with the
        mode for them to come back.

        Args:
            name: of the column.
            cells: values of all number columns, (N,) each, NaN where missing.

        Returns:
            How the column is encoded then.
        """
        if not self.parents or self.gap is not None:
            return self
        known, free = ~np.isnan(cells[name]), self.encode(name, cells)[2] == 0
        own, others = cells[name][known & free], cells[name][known & ~free]
        if not FEWEST_FREE <= len(own) <= len(others):
            return self
        from scipy.stats import ks_2samp  # takes long, and few tables need it

        if ks_2samp(own, others, method="asymp").statistic < ELSEWHERE:
            return self
        return self._replace(free=Marginal.fit(own, self.marginal.step, places=self.marginal.places))

    def coded(self, present: np.ndarray) -> "Number":
        """The same with no value that is not in the table, as a column must have that others depend on.

        Args:
            present: its cells that are not missing, shape (N,).

        Returns:
            How the column is encoded then.
        """
        return self._replace(
            marginal=Marginal.fit(present, self.marginal.step, codes=True, places=self.marginal.places),
            parents=tuple(one for one in self.parents if isinstance(one, Combination)),
        )

    def measured(self, name: str, gap: Gap, cells: Mapping[str, np.ndarray]) -> "Number":
        """The same as its distance from another column: where the two are equal the gap is 0, so no mode says it.

        Args:
            name: of the column.
            gap: what it is measured from.
            cells: values of all number columns, (N,) each, NaN where missing.

        Returns:
            How the column is encoded then.
        """
        gaps = gap.of(cells[name], cells)
        return self._replace(marginal=Marginal.fit(gaps[~np.isnan(gaps)], gap.grid), parents=(), gap=gap)

    def encode(self, name: str, cells: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give the part of (0, 1) that each cell stands for, and its mode.

        Args:
            name: of the column.
            cells: values of all number columns, (N,) each, NaN where missing.

        Returns:
            Lower ends, upper ends and modes, shape (N,) each.

        Raises:
            TableError: if a cell is missing and none was in the fitted table.
        """
        values, gone = cells[name], self.gone(name, cells[name])
        told = values if self.gap is None else self.gap.of(values, cells)
        low, high = _interval(self.marginal, told)
        mode = np.zeros(len(values), dtype=np.int64)
        for i, parent in reversed(list(enumerate(self.parents, 1))):
            mode[parent.equal(values, cells)] = i
        if self.free is not None:
            low, high = (
                np.where(mode == 0, *ends) for ends in zip(_interval(self.free, told), (low, high), strict=True)
            )
        if gone.any():
            mode[gone] = self.modes - 1
            low[gone] = high[gone] = 0.5
        return low, high, mode

    def gone(self, name: str, values: np.ndarray) -> np.ndarray:
        """Tell which cells are missing.

        Args:
            name: of the column.
            values: NaN where missing, shape (N,).

        Returns:
            Shape (N,), bool.

        Raises:
            TableError: if a cell is missing and none was in the fitted table.
        """
        gone: np.ndarray = np.isnan(values)
        if gone.any() and not self.missing:
            raise TableError(
                f"Column {name!r} must have no missing cell, however: {int(gone.sum())} are missing. "
                "Fit to a table that has missing cells in it, or fill them."
            )
        return gone

    def decode(
        self,
        name: str,
        z: np.ndarray,
        mode: np.ndarray,
        done: Mapping[str, np.ndarray],
        clip: bool,
        adjust: Adjust | None = None,
    ) -> np.ndarray:
        """Make cells.

        Args:
            name: of the column.
            z: normal scores, shape (N,).
            mode: modes, shape (N,).
            done: values of the columns before it, (N,) each.
            clip: whether the values stay in the fitted range.
            adjust: moves the values that may be moved; what it moves comes to the grid and the fitted range.

        Returns:
            Values, NaN where missing, shape (N,).
        """
        z = z.astype(np.float64)
        values = _inverted(self.marginal, z, clip)
        if self.free is not None:
            values = np.where(mode == 0, _inverted(self.free, z, clip), values)
        if self.gap is not None:
            values = self.gap.child(values, done, clip)
        elif adjust is not None:
            moved = adjust(name, values, self.movable(values, mode), done)
            values = np.where(moved == values, values, self.marginal.snap(moved))
        first, last = self.marginal.ends
        for i, parent in enumerate(self.parents, 1):  # none, where there is a gap
            total = parent.total(done)
            hit = (mode == i) & (total >= first) & (total <= last)
            values = np.where(hit, total, values)
        if self.missing:
            values = np.where(mode == self.modes - 1, np.nan, values)
        return values

    def movable(self, values: np.ndarray, mode: np.ndarray) -> np.ndarray:
        """Tell which values may be moved a little: those that are free and that few other rows share.

        Args:
            values: NaN where missing, shape (N,).
            mode: modes, shape (N,).

        Returns:
            Shape (N,).
        """
        free: np.ndarray = mode == 0
        first, last = self.marginal.ends
        low, high = self.marginal.interval(np.where(free, values, first))
        rare = high - low < max(COMMON_SHARE, FEWEST_COMMON / self.marginal.rows)
        movable: np.ndarray = free & rare & (values >= first) & (values <= last)
        return movable


def parent_from_json(said: Any) -> Parent:
    """Rebuild what a column may be equal to.

    Args:
        said: what its `to_json` gave.

    Returns:
        The parent.

    Raises:
        ValueError: if it is neither a combination nor a multiple.
    """
    return Multiple.from_json(said) if isinstance(said, list) else Combination.from_json(said)


def fit_numbers(
    values: Mapping[str, np.ndarray],
    steps: Mapping[str, float | None],
    temporal: Collection[str],
    places: Mapping[str, Places | None],
) -> tuple[dict[str, Number], list[Sum]]:
    """Learn how to encode number columns.

    Args:
        values: of each column in table order, (N,) each, NaN where missing.
        steps: spacing of the grid of each, or None.
        temporal: columns that hold times; they are tied to no other.
        places: down to which place each has digits, by their size, or None.

    Returns:
        The encoding of each, every column after those that it is tied to; and the sums that columns are tied to.
    """
    common = {name: np.isnan(v) | np.isin(v, _common(v)) for name, v in values.items()}
    tied = {name: v for name, v in values.items() if name not in temporal}
    sums = find_sums(tied, common)
    after = {one.child: one.parent.names for one in sums}
    multiples = find_multiples(tied, steps, after)
    for name, some in multiples.items():
        after[name] = (*after.get(name, ()), *(one.name for one in some))
    order = ordered(list(values), after)
    free = {name: ~shared for name, shared in common.items()}
    in_order = {name: values[name] for name in order if name in tied}
    parents, repeated = find_equalities(in_order, free, sums, LEAST_EQUAL), find_repeats(in_order)
    for name, same in repeated.items():
        parents[name] = [*same, *(one for one in parents.get(name, ()) if one not in same)]
    numbers = {
        name: Number(
            Marginal.fit(values[name][~np.isnan(values[name])], steps[name], places=places[name]),
            (*parents.get(name, ()), *multiples.get(name, ())),
            bool(np.isnan(values[name]).any()),
            _few_values(values[name]),
        )
        for name in order
    }
    return numbers, sums


def equal_to_computed(
    numbers: Mapping[str, np.ndarray],
    values: Mapping[str, np.ndarray],
    computed: Mapping[str, Collection[str]],
    ties: Mapping[str, Collection[str]],
) -> dict[str, list[Combination]]:
    """Find what number columns equal in a share of the rows of columns that are computed, wherever those stand.

    Args:
        numbers: values of the columns that are not computed, (N,) each, NaN where missing.
        values: of all number columns, likewise.
        computed: of each computed column those that it depends on, itself among them.
        ties: of the other columns those that they come after.

    Returns:
        For each column that has any, the computed columns that it equals, none of which comes to depend on it.
    """
    after = {name: set(others) for name, others in ties.items()}
    found: dict[str, list[Combination]] = {}
    for child, own in numbers.items():
        free = ~(np.isnan(own) | np.isin(own, _common(own)))
        allowed = [name for name in computed if name in values and child not in before(name, computed, after)]
        sides = {name: values[name] for name in allowed} | {child: own}
        told = {name: np.zeros(len(own), dtype=bool) for name in allowed} | {child: free}
        for name, equal in find_equalities(sides, told, share=LEAST_EQUAL).items():
            found[name] = equal
            after.setdefault(name, set()).update(one for parent in equal for one in parent.names)
    return found


def _interval(marginal: Marginal, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of (0, 1) that each value stands for, where it is within the fitted range; else that of its end."""
    first, last = marginal.ends
    return marginal.interval(np.clip(np.where(np.isnan(values), first, values), first, last))


def _inverted(marginal: Marginal, z: np.ndarray, clip: bool) -> np.ndarray:
    values = marginal.invert(ndtr(z))
    return values if clip else marginal.extrapolate(z, values)


def _common(values: np.ndarray) -> np.ndarray:
    """Values that so many rows share that two columns can agree on them by accident."""
    distinct, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    return distinct[counts >= max(COMMON_SHARE * len(values), FEWEST_COMMON)]


def _few_values(values: np.ndarray) -> np.ndarray:
    present = values[~np.isnan(values)]
    distinct = np.unique(present)
    few = len(distinct) <= FEW_VALUES and len(present) >= 2 * len(distinct)
    codes = len(distinct) <= MOST_CODES and len(present) >= ROWS_PER_CODE * len(distinct)
    return distinct if few or codes else distinct[:0]
