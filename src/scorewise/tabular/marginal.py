"""The distribution of one number column: a probability-integral transform and its inverse."""

from typing import Any

import numpy as np
from scipy.special import ndtri

from scorewise.tabular.discounting import (
    MOST_DISCOUNT,
    MOST_PLACES,
    NO_ENDINGS,
    discount,
    discounts,
    endings,
    spread,
    to_gaps,
)
from scorewise.tabular.grid import Places, round_to

KNOTS = 2_000
MOST_VALUES, MOST_LOST = 2**15, 0.06
"""Values that are kept apart, if without them more than this share of the rows would no longer have theirs."""
TAIL_VALUES = 30
FARTHEST_PLACE = 2.0**53
"""Steps from 0 up to which float64 tells the cells of a grid apart."""


class Marginal:
    """A distribution function that is linear between knots, and its inverse.

    On a grid the mass of a value v is spread over its cell `[v - step/2, v + step/2]`, so a uniform draw from
    `[F(v - step/2), F(v + step/2)]` is uniform over the rows (the randomised probability-integral transform) and
    inverts to v exactly. Without a grid, or with one finer than float64 is at these numbers, a value that recurs is an
    interval too, over which the inverse is flat, and F is the mid-distribution function at the others. Knots are
    `KNOTS` quantiles, every value that is more frequent than they are apart, the `TAIL_VALUES` outermost values on each
    side, and, where values recur, others, up to `MOST_VALUES` of all.

    A sample of a table of people must not give single persons' numbers away, and has more values than the table: so
    what rarer values are discounted by (`discounting`) goes, half to each side, to the values between them and the next
    knots, evenly, or to those whose last digits the table's values have.

    Args:
        knots: values, non-decreasing, shape (M,).
        heights: F at the knots, non-decreasing from 0 or more to 1 or less, shape (M,).
        step: spacing of the grid, or None.
        rows: rows that it was fitted to; sets how far into the tails it reaches.
        places: down to which place values have digits, by their size, or None.

    Reference: Rueschendorf, "On the distributional transform, Sklar's theorem, and the empirical copula process",
    2009, section 2.
    """

    def __init__(
        self, knots: np.ndarray, heights: np.ndarray, step: float | None, rows: int, places: Places | None = None
    ) -> None:
        self.knots = knots
        self.heights = heights
        self.step = step
        self.rows = rows
        self.places = places

    @classmethod
    def fit(
        cls, values: np.ndarray, step: float | None, codes: bool = False, places: Places | None = None
    ) -> "Marginal":
        """Fit to present values.

        Args:
            values: shape (N,), N >= 1.
            step: spacing of the grid that the values lie on, or None.
            codes: whether every value is a knot, so that it inverts to no value that is not there.
            places: down to which place values have digits, by their size, or None.

        Returns:
            The distribution.
        """
        distinct, counts = np.unique(values, return_counts=True)
        n = len(values)
        above = np.cumsum(counts) / n
        keep = np.zeros(len(distinct), dtype=bool)
        keep[:TAIL_VALUES] = keep[-TAIL_VALUES:] = True
        heavy = (counts >= max(5, n / KNOTS)) | codes
        keep |= heavy
        keep[np.searchsorted(above, np.linspace(0, 1, KNOTS + 1)[1:-1])] = True
        if step is None or max(-distinct[0], distinct[-1]) >= FARTHEST_PLACE * step:
            own, given = _given(distinct, counts, heavy)
            keep = _with_recurring(keep, own - given, MOST_LOST)
            above = np.cumsum(own) / n
            low, high = above - (own - given / 2) / n, above - given / (2 * n)
            ends = np.stack([low, np.maximum(low, high)], 1)[keep]
            twice = np.stack([np.ones(len(ends), dtype=bool), (given < counts)[keep]], 1)
            return cls(np.repeat(distinct[keep], 2).reshape(-1, 2)[twice], ends[twice], None, n, places)
        knots, heights = _gridded(distinct, counts, keep, heavy, step)
        return cls(knots, heights, step, n, places)

    def interval(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give the part of (0, 1) that each value stands for.

        Args:
            values: shape (N,), not NaN.

        Returns:
            Lower and upper ends, shape (N,) each; equal where there is no grid and the value is not a common one.
        """
        if self.step is not None:
            half = self.step / 2
            low = np.interp(values - half, self.knots, self.heights)
            return low, np.interp(values + half, self.knots, self.heights)
        between = np.interp(values, self.knots, self.heights)
        first = np.searchsorted(self.knots, values, "left").clip(max=len(self.knots) - 1)
        last = np.searchsorted(self.knots, values, "right") - 1
        at = self.knots[first] == values
        return np.where(at, self.heights[first], between), np.where(at, self.heights[last], between)

    def invert(self, u: np.ndarray) -> np.ndarray:
        """Give the value at each probability.

        Args:
            u: probabilities, shape (N,).

        Returns:
            Values inside the fitted range, on the grid if there is one, shape (N,).
        """
        return self.snap(np.interp(u, self.heights, self.knots))

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the largest value."""
        first, last = self.invert(np.array([0.0, 1.0])).tolist()
        return first, last

    def snap(self, values: np.ndarray) -> np.ndarray:
        """Move values to the grid, if there is one, and into the fitted range.

        Args:
            values: shape (N,).

        Returns:
            Values, NaN where they were, shape (N,).
        """
        if self.step is None:
            clipped: np.ndarray = np.clip(self._rounded(values), self.knots[0], self.knots[-1])
            return clipped
        first = self.knots[0] + self.step / 2
        last = self.knots[-1] - self.step / 2
        snapped = first + np.rint((values - first) / self.step) * self.step
        kept: np.ndarray = np.clip(self._rounded(snapped), first, last)
        return kept

    def bins(self, count: int) -> np.ndarray:
        """Cut (0, 1) into bins: values that many rows share are bins of their own, the rest is cut evenly.

        Args:
            count: number of bins, K.

        Returns:
            Edges from 0 to 1, non-decreasing, shape (K + 1,); where there are fewer bins, the last ones are empty.
        """
        values = np.unique(self.invert((np.arange(20_000) + 0.5) / 20_000))
        low, high = self.interval(values)
        mass = high - low
        heavy = np.argsort(-mass, kind="stable")[: count // 2 - 1]
        heavy = np.sort(heavy[mass[heavy] >= 1 / (2 * count)])
        cuts = np.unique(np.concatenate([[0.0, 1.0], low[heavy], high[heavy]]))
        cuts = cuts[np.append(True, np.diff(cuts) > 1e-7)]
        cuts[-1] = 1.0
        whole = np.isin(cuts[:-1], low[heavy])
        widths = np.diff(cuts)
        pieces = np.ones(len(widths), dtype=np.int64)
        while pieces.sum() < count and not whole.all():
            pieces[np.where(whole, 0.0, widths / pieces).argmax()] += 1
        parts = [
            np.linspace(low, high, number, endpoint=False)
            for low, high, number in zip(cuts[:-1].tolist(), cuts[1:].tolist(), pieces.tolist(), strict=True)
        ]
        edges = np.concatenate([*parts, [1.0]])
        return np.append(edges, np.ones(count + 1 - len(edges)))

    def extrapolate(self, z: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Let normal scores beyond those of the outermost rows reach beyond the fitted range.

        The value goes on linearly in the normal score, with the slope between the outermost row and the tenth.

        Args:
            z: normal scores, shape (N,).
            values: what `invert` gave for them, shape (N,).

        Returns:
            Values, shape (N,).
        """
        ends = np.array([0.5, min(9.5, self.rows / 2)]) / self.rows
        scores = ndtri(ends)
        inner = self.invert(ends[1:])[0], self.invert(1 - ends[1:])[0]
        outer = self.knots[0], self.knots[-1]
        run = scores[1] - scores[0] + 1e-12
        low = outer[0] + (z - scores[0]) * (inner[0] - outer[0]) / run
        high = outer[1] + (z + scores[0]) * (outer[1] - inner[1]) / run
        values = np.where(z < scores[0], low, values)
        values = np.where(z > -scores[0], high, values)
        values = values if self.step is None else np.rint(values / self.step) * self.step
        return self._rounded(values)

    def _rounded(self, values: np.ndarray) -> np.ndarray:
        return values if self.places is None else round_to(values, self.places)

    def to_json(self) -> dict[str, Any]:
        """Give what is not an array."""
        return {"step": self.step, "rows": self.rows, "places": self.places}


def _given(distinct: np.ndarray, counts: np.ndarray, heavy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of values without a grid, and what they are discounted by: all of a single one where next to none recur."""
    own, given = counts.astype(np.float64), np.zeros(len(counts))
    own[~heavy], given[~heavy] = discount(distinct[~heavy], counts[~heavy])
    return own, np.where((counts == 1) & (given >= MOST_DISCOUNT), 1.0, given)


def _with_recurring(keep: np.ndarray, own: np.ndarray, most: float) -> np.ndarray:
    """Which values are kept, and those of most rows besides, if others would have more than a share of their own."""
    if own[~keep].sum() <= most * own.sum():
        return keep
    more = np.flatnonzero(~keep)
    more = more[np.argsort(-own[more], kind="stable")][: max(0, MOST_VALUES - int(keep.sum()))]
    kept = keep.copy()
    kept[more] = True
    return kept


def _gridded(
    distinct: np.ndarray, counts: np.ndarray, keep: np.ndarray, heavy: np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray]:
    """Knots and heights on a grid: two for the cell of each value that is kept, and of each new one with an ending."""
    places, rows = np.rint((distinct - distinct[0]) / step), counts.sum()
    frequent = endings(places[~heavy].astype(np.int64)) if len(distinct) <= MOST_PLACES else NO_ENDINGS
    own, given = discounts(places, counts, ~heavy, frequent)
    if frequent.any():
        where, each = spread(places.astype(np.int64), counts, own, given, frequent)
        above = np.cumsum(each)
        return _cells(distinct[0] + where * step, (above - each) / rows, above / rows, step)
    between, gave = to_gaps(counts, own, given, np.diff(places) - 1)
    own -= gave
    keep = _with_recurring(keep, own, MOST_LOST if given.any() else 0.0)
    above = np.cumsum(own + np.append(0.0, between))
    return _cells(distinct[keep], (above - own)[keep] / rows, above[keep] / rows, step)


def _cells(values: np.ndarray, low: np.ndarray, high: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    heights = np.clip(np.maximum.accumulate(np.stack([low, high], 1).ravel()), 0, 1)  # rounding may cross neighbours
    return np.stack([values - step / 2, values + step / 2], 1).ravel(), heights
