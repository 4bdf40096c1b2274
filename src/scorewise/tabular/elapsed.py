"""Elapsed time: numbers that say how long it is between two moments, or to a fixed one: a stay in days, an age."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from scorewise.tabular import dtype, grid
from scorewise.tabular.column import Column
from scorewise.tabular.formula import agreed, precision_share

_SECOND, _DAY = 10**9, 86_400 * 10**9  # ns
UNITS: dict[str, int] = {
    "day": _DAY,
    "second": _SECOND,
    "minute": 60 * _SECOND,
    "hour": 3_600 * _SECOND,
    "week": 7 * _DAY,
    "30 days": 30 * _DAY,
    "30.4375 days": 304_375 * _DAY // 10_000,
    "365 days": 365 * _DAY,
    "365.25 days": 36_525 * _DAY // 100,
    "365.2425 days": 3_652_425 * _DAY // 10_000,
    "millisecond": 10**6,
}
"""What time is counted in, in nanoseconds."""
CALENDAR: dict[str, tuple[int, bool]] = {
    "calendar month": (1, False),
    "calendar year": (12, False),
    "number of the month": (1, True),
    "number of the year": (12, True),
}
"""Months of what passes from a day to the same day of another month, and to that of another year; and whether it is the
months or years themselves that are counted. Days are those of UTC."""
_LONGEST_MONTH = 31
MOST_MOMENTS = 12
"""Columns of moments that are looked at, the first in the table."""
SCREENED_ROWS, QUICK_ROWS, LIKELY = 2_000, 240, 0.35
"""Rows by which a unit is looked at, those by which it is first, and the share of these that makes it likely."""
ALIKE = 0.25
"""Least correlation of ranks between a column and the time that it may say."""
LEAST_SHARE = 0.5
FEWEST_ROWS, FEWEST_VALUES = 100, 3
"""Rows that must be given, and different values of them."""
SLACK = 1e-5
"""Share of a step by which a whole number of them is made a little more or less, so that rounding goes one way."""


class Elapsed(NamedTuple):
    """A number column that is `offset + time from the last of its parents to the first`, rounded to its grid.

    Of one parent it is the time since a fixed moment, or until then; the offset says which one. Time that is rounded
    down, as years of age are, has an offset of half a step less.

    Attributes:
        child: name of the number column.
        parents: the later moment and the earlier one, or one moment.
        clocks: of each the point that it counts from and what it counts in, in nanoseconds.
        unit: one of `UNITS` or `CALENDAR`.
        sign: 1; of one parent -1 where it is the time until a fixed moment.
        offset: in the unit of the child.
    """

    child: str
    parents: tuple[str, ...]
    clocks: tuple[tuple[int, int], ...]
    unit: str
    sign: int
    offset: float

    def of(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Compute the column, before it is rounded.

        Args:
            values: of its parents, each in its own unit, (N,) each, NaN where missing.

        Returns:
            Shape (N,), NaN where a parent is missing.
        """
        moments = [(values[name], clock) for name, clock in zip(self.parents, self.clocks, strict=True)]
        return self.offset + self.sign * _passed(moments, self.unit)

    def to_json(self) -> dict[str, Any]:
        """Give it as plain values."""
        return self._asdict() | {"parents": list(self.parents), "clocks": [list(clock) for clock in self.clocks]}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Elapsed:
        """Rebuild it from `to_json`.

        Args:
            said: the plain form.

        Returns:
            The elapsed time.

        Raises:
            KeyError: if a field is missing.
            ValueError: if the unit is none, or the clocks are not those of one moment or two.
        """
        parents = tuple(map(str, said["parents"]))
        clocks = tuple((int(origin), int(tick)) for origin, tick in said["clocks"])
        plain = len(parents) in {1, 2} and len(clocks) == len(parents) and all(tick > 0 for _, tick in clocks)
        if not plain or said["unit"] not in UNITS | CALENDAR or said["sign"] not in {1, -1}:
            raise ValueError(f"elapsed time must be between one moment or two, in a unit, however: {said}")
        return cls(str(said["child"]), parents, clocks, said["unit"], int(said["sign"]), float(said["offset"]))


class Found(NamedTuple):
    """Elapsed time that was found.

    Attributes:
        elapsed: how the column is computed.
        share: of the rows that it gives, beyond those that it gives by chance; 1 for all.
    """

    elapsed: Elapsed
    share: float


def find_elapsed(
    numbers: Mapping[str, np.ndarray],
    steps: Mapping[str, float | None],
    moments: Mapping[str, Column],
    values: Mapping[str, np.ndarray],
    ancestors: Mapping[str, Collection[str]],
) -> Iterator[Found]:
    """Find the number columns that say in most rows how long it is between two moments, or to a fixed one.

    Those columns are looked at whose ranks go with those of the time. In a given unit all that is to be found is an
    offset, and each row says between which two it lies: that one is taken on which most rows agree, a whole number of
    half steps if that gives as many. The share of the rows that it gives is held against the share that it gives where
    values are exchanged between rows, `(share - chance) / (1 - chance)`, which must be `LEAST_SHARE` or more.

    Args:
        numbers: values of the columns that may be computed, in table order, (N,) each, NaN where missing.
        steps: spacing of the grid of each, or None.
        moments: the columns from which they may be.
        values: of these, in their own unit, likewise.
        ancestors: of each of these the columns on which it depends, itself among them.

    Yields:
        The best one of each column.

    Reference: Cohen, "A coefficient of agreement for nominal scales", 1960, eq. 1.
    """
    some = {n: c for n, c in moments.items() if dtype.family(c.counted) == "moment"}
    some = dict(list(some.items())[:MOST_MOMENTS])
    rows = len(next(iter(values.values()), []))
    if not some or rows < FEWEST_ROWS:
        return
    order = np.random.default_rng(0).permutation(rows)
    clocks = {name: (column.origin_ns, column.tick_ns) for name, column in some.items()}
    ways = [
        Elapsed("", parents, tuple(clocks[name] for name in parents), "day", 1, 0.0)
        for parents in (*((name,) for name in some), *itertools.permutations(some, 2))
    ]
    close = _rank_correlations(numbers, ways, values, order[:SCREENED_ROWS])
    for (child, y), row in zip(numbers.items(), close, strict=True):
        tried: list[Found] = []
        for way, alike in zip(ways, row.tolist(), strict=True):
            likely = alike >= ALIKE or (len(way.parents) == 1 and alike <= -ALIKE)
            if likely and not any(child in ancestors[name] for name in way.parents):
                tried += _units(way._replace(child=child, sign=int(np.sign(alike))), y, steps[child], values, order)
        if tried:
            yield max(tried, key=lambda one: (one.share, -len(one.elapsed.parents)))


def _rank_correlations(
    numbers: Mapping[str, np.ndarray], ways: list[Elapsed], values: Mapping[str, np.ndarray], screen: np.ndarray
) -> np.ndarray:
    """Correlations of ranks between numbers and the time by each way, over the rows that have both, shape (n, ways)."""
    quick = {name: values[name][screen] for name in {name for way in ways for name in way.parents}}
    passed = [way.of(quick) for way in ways]
    left = np.stack([_ranks(y[screen]) for y in numbers.values()]) if numbers else np.zeros((0, len(screen)))
    right = np.stack([_ranks(one) for one in passed], 1)
    sizes = np.square(left) @ (right != 0) * ((left != 0) @ np.square(right))
    correlations: np.ndarray = left @ right / np.sqrt(np.maximum(sizes, 1.0))
    return correlations


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks with mean 0, those of equal values alike; 0 where missing."""
    from scipy.stats import rankdata

    known = ~np.isnan(values)
    ranks = np.zeros(len(values))
    ranks[known] = rankdata(values[known]) - (np.count_nonzero(known) + 1) / 2
    return ranks


def _units(
    way: Elapsed, y: np.ndarray, step: float | None, values: Mapping[str, np.ndarray], order: np.ndarray
) -> Iterator[Found]:
    """Try each unit in which a column is likely to be given from one moment or two.

    Yields:
        The best way in that unit.
    """
    known = ~np.isnan(np.stack([y, *(values[name] for name in way.parents)])).any(0)
    screen = order[known[order]][:SCREENED_ROWS]
    if len(screen) < FEWEST_ROWS:
        return
    quick = {name: values[name][screen] for name in way.parents}
    most = np.maximum(precision_share(step) * np.abs(y[screen]), 0.5 * (step or 0.0))
    for unit in (*CALENDAR, *UNITS):  # of those that give as many rows the first is taken
        rest = y[screen] - way._replace(unit=unit).of(quick)
        if not _is_likely(rest[:QUICK_ROWS], most[:QUICK_ROWS]):
            continue
        best: Found | None = None
        for offset in _offsets(rest, most, step):
            elapsed = way._replace(unit=unit, offset=offset)
            share = _share(y, elapsed, step, values)
            if share >= LEAST_SHARE and (best is None or share > best.share):
                best = Found(elapsed, share)
        if best is not None:
            yield best


def _passed(moments: list[tuple[np.ndarray, tuple[int, int]]], unit: str) -> np.ndarray:
    """Time from the last of one moment or two to the first, or since 1970, shape (N,)."""
    if unit in CALENDAR:
        months, whole = CALENDAR[unit]
        dates = [_months(values, clock) / months for values, clock in moments]
        first, *rest = (np.floor(date) for date in dates) if whole else dates
        apart: np.ndarray = first - rest[0] if rest else first
        return apart
    signed = [
        (values, sign * origin, sign * tick) for (values, (origin, tick)), sign in zip(moments, (1, -1), strict=False)
    ]
    start, length = sum(origin for _, origin, _ in signed), UNITS[unit]
    common = math.gcd(start, length, *(tick for *_, tick in signed))  # so that halves stay halves
    passed = np.full(len(moments[0][0]), float(start // common))
    for values, _, tick in signed:
        passed += values * float(tick // common)
    return passed / float(length // common)


def _months(values: np.ndarray, clock: tuple[int, int]) -> np.ndarray:
    """Months since 1970, of which each day is a 31st, so that one day of a month is as far from that of the next."""
    origin, tick = clock
    first, rest = divmod(origin, _DAY)
    days = (values * tick + rest) / _DAY + first
    known = np.isfinite(days)
    whole = np.floor(np.where(known, days, 0.0))
    date = whole.astype(np.int64).astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    day = (date - month.astype("datetime64[D]")).astype(np.float64)
    months: np.ndarray = month.astype(np.int64) + (day + (days - whole)) / _LONGEST_MONTH
    return np.where(known, months, np.nan)


def _is_likely(rest: np.ndarray, most: np.ndarray) -> bool:
    """Whether as many rows as make an offset likely may have one."""
    enough = int(LIKELY * len(rest))
    ordered = np.sort(rest)
    return bool(np.min(ordered[enough:] - ordered[: len(ordered) - enough]) <= 2 * most.max())


def _offsets(rest: np.ndarray, most: np.ndarray, step: float | None) -> Iterator[float]:
    """Find the offset on which most rows agree.

    Yields:
        The nearest whole number of half steps, the same a little more and less, and the offset itself.
    """
    middle = agreed(rest - most, rest + most)
    if step is not None:
        half = np.rint(2 * middle / step) / 2
        yield from (float(half + slack) * step for slack in (0.0, SLACK, -SLACK))
    else:
        yield float(np.rint(middle))
    yield middle


def _share(y: np.ndarray, elapsed: Elapsed, step: float | None, values: Mapping[str, np.ndarray]) -> float:
    """The share of the rows that elapsed time gives, beyond chance; 0 where those are few, or hardly differ."""
    computed = elapsed.of(values)
    computed = computed if step is None else grid.snap(computed, step)
    known = ~np.isnan(y) & ~np.isnan(computed)
    y, computed = y[known], computed[known]
    precision = precision_share(step)
    right = np.abs(computed - y) <= precision * np.abs(y)
    if np.count_nonzero(right) < FEWEST_ROWS or len(np.unique(y[right])) < FEWEST_VALUES:
        return 0.0
    others = np.random.default_rng(0).permutation(y)
    chance = float(np.mean(np.abs(computed - others) <= precision * np.abs(others)))
    return (float(right.mean()) - chance) / (1 - chance)
