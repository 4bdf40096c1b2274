"""Calendars: moments told as year, week, weekday and time of the day, each of which other columns may follow."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from scorewise.tabular import moment, zone
from scorewise.tabular.column import Column
from scorewise.tabular.schema import Cells, Schema

FEWEST_DAYS = 14
"""Different days of a column below which it is not told so."""
FEWEST_YEARS = 2
"""Years between the first day and the last from which on seasons recur."""
MOST_NEW = 0.05
"""Share of rows to come on days that the table does not have, by its days of one row, above which any day may be."""
RECURRING = 0.5
"""The least share of a column's weekdays in all weeks, or of its months in all years, that must be there to be told."""
SHOWN = ("weekday", "time", "day")
"""Parts of moments that trees are shown."""
WEEK = 7
_SECOND = 10**9
_DAY, _YEAR = 86_400 * _SECOND, 365
_THURSDAY = 3  # of weekdays; so was the first of January 1970, from which types count
_EXACT = 2**53


class Calendar(NamedTuple):
    """How a column of moments, in ticks from its origin, falls into parts.

    A network that sees a moment through noise sees no hour in it, no weekday, and in many years no season either: they
    are finer than the noise, and what they tell of other columns would be lost. So they are coordinates of their own,
    which put together are the moment: "year" where seasons recur, "week" of that year (else from 1970) where weekdays
    do, "day" where they do not, and "time" where days have times, are numbers; the weekday is a code. Weeks and their
    years are those of ISO 8601. In a zone days begin when its clock says so, and the time counts from there: that is
    the time of the clock, but for the rest of a day on which it is put forward or back.

    Attributes:
        length: ticks of a day, 1 or more; 1 of dates.
        phase: nanoseconds of the first day before the origin, `0 <= phase`, less than a day; 0 of dates.
        first: the day of the origin, counted from the first of January 1970.
        weekdays: whether weekdays are told.
        years: whether years are told.
        missing: whether cells are missing, which have a weekday of their own.
        zone: the zone whose days they are; None for UTC.
        days: the days that there are, counted from 1970, increasing, int64, shape (D,); empty where any day may be.
    """

    length: int
    phase: int
    first: int
    weekdays: bool
    years: bool
    missing: bool
    zone: str | None
    days: np.ndarray

    @property
    def numbers(self) -> tuple[str, ...]:
        """The parts that are numbers."""
        told = {"time": self.length > 1, "year": self.years, "week": self.weekdays, "day": not self.weekdays}
        return tuple(part for part, is_told in told.items() if is_told)

    @property
    def codes(self) -> int:
        """Number of codes of weekdays, 0 where they are not told."""
        return (WEEK + self.missing) * self.weekdays

    def part(self, moments: np.ndarray, name: str) -> np.ndarray:
        """Give a part of moments.

        Args:
            moments: ticks from the origin, NaN where missing, shape (N,).
            name: "time", "year", "week", "day" or "weekday".

        Returns:
            Ticks from midnight, years from 1970, weeks or days of the year, or from 1970 where years are not told,
            days from Monday; NaN where missing, shape (N,).
        """
        gone = np.isnan(moments)
        ticks = np.where(gone, 0, moments)
        since = np.floor((ticks + self.phase // self._tick) / self.length).astype(np.int64) + self.first
        if self.zone is not None:  # no clock is a whole day ahead of UTC or behind it
            since += (self._midnights(since + 1) <= ticks).astype(np.int64) - (self._midnights(since) > ticks)
        if name == "time":
            return np.where(gone, np.nan, ticks - self._midnights(since))
        weekday = _weekday(since)
        if name == "weekday":
            return np.where(gone, np.nan, weekday)
        thursday = since - weekday + _THURSDAY
        year = _year_of(thursday if self.weekdays else since)
        if name == "year":
            return np.where(gone, np.nan, year)
        start = _new_year(year) if self.years else 0
        return np.where(gone, np.nan, (thursday - start) // WEEK if name == "week" else since - start)

    def moments(self, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        """Put moments together; the inverse of `part`.

        Args:
            parts: of each name in `numbers`, whole numbers, NaN where missing, (N,) each, and codes of "weekday" if
                they are told, where `WEEK` is missing. A day between the first and the last that there is none of is
                moved to the nearest one that there is, of the same weekday where weekdays are told, unless any may be.

        Returns:
            Ticks from the origin, NaN where a part is missing, shape (N,).
        """
        gone = np.any([np.isnan(parts[name]) for name in self.numbers], axis=0)
        whole = {name: np.where(gone, 0, parts[name]).astype(np.int64) for name in self.numbers}
        start = _new_year(whole["year"]) if self.years else np.zeros(len(gone), dtype=np.int64)
        if self.weekdays:
            gone |= parts["weekday"] >= WEEK
            # the first Thursday of the year, or of 1970, is in its first week
            thursday = start + (_THURSDAY - _weekday(start)) % WEEK + WEEK * whole["week"]
            days = thursday - _THURSDAY + parts["weekday"]
        else:
            days = start + whole["day"]
        return np.where(gone, np.nan, self._midnights(self._settled(days)) + whole.get("time", 0))

    def _midnights(self, days: np.ndarray) -> np.ndarray:
        """The first ticks of days, from the origin."""
        ahead = 0 if self.zone is None else zone.ahead(self.zone, days) * _SECOND
        ticks: np.ndarray = self.length * (days - self.first) - (self.phase + ahead) // self._tick
        return ticks

    @property
    def _tick(self) -> int:
        """Nanoseconds of a tick."""
        return _DAY // self.length

    def _settled(self, days: np.ndarray) -> np.ndarray:
        """The nearest days that there are."""
        settled = days.copy()
        if len(self.days) == 0:
            return settled
        for weekday in range(WEEK) if self.weekdays else (None,):
            there, some = self.days, (days > self.days[0]) & (days < self.days[-1])
            if weekday is not None:
                there, some = there[_weekday(there) == weekday], some & (_weekday(days) == weekday)
            if len(there):
                settled[some] = there[np.searchsorted((there[1:] + there[:-1]) / 2, days[some])]
        return settled

    def to_json(self) -> dict[str, Any]:
        """Give what is not an array; together with `days` it is the calendar."""
        return {name: value for name, value in self._asdict().items() if name != "days"}

    @classmethod
    def from_parts(cls, said: Mapping[str, Any], days: np.ndarray) -> Self:
        """Rebuild a calendar from `to_json` and its days.

        Args:
            said: the plain form.
            days: the days.

        Returns:
            The calendar.

        Raises:
            KeyError: if a part is missing.
            ValueError: if it is not of that form.
        """
        length, phase, first, weekdays, years, missing, place = (said[name] for name in cls._fields[:-1])
        sound = 1 <= length <= _DAY and 0 <= phase < _DAY and abs(first) < _EXACT
        sound = sound and all(isinstance(one, bool) for one in (weekdays, years, missing))
        sound = sound and (place is None or (isinstance(place, str) and zone.is_known(place)))
        if not (sound and days.ndim == 1 and bool((np.diff(days) > 0).all())):
            raise ValueError(f"a calendar must have days in increasing order, however: {dict(said)}, {days.shape}")
        return cls(length, phase, first, weekdays, years, missing, place, days)


def find_calendars(
    columns: Mapping[str, Column], values: Mapping[str, np.ndarray], fixed: Collection[str] = ()
) -> dict[str, Calendar]:
    """Find the columns of moments that are told by the calendar.

    That takes `FEWEST_DAYS` different days, and something that recurs: times of the day, weekdays in the weeks, or
    months in `FEWEST_YEARS` years. Of a few days in many years, such as birthdays, weekdays do not. Moments in a zone
    whose clock is not known here are left as they are.

    Args:
        columns: number columns.
        values: of each, in its own unit, NaN where missing, (N,) each.
        fixed: columns that must have values of the table: these have no times that are made apart from their days.

    Returns:
        The calendars by name.
    """
    found: dict[str, Calendar] = {}
    for name, column in columns.items():
        calendar = _calendar(column, values[name])
        if calendar is not None and calendar.numbers != ("day",) and not ("time" in calendar.numbers and name in fixed):
            found[name] = calendar
    return found


def with_parts(schema: Schema, cells: Cells) -> Cells:
    """Add what trees do not find in moments: their weekdays, times of the day and, in many years, days of the year.

    Args:
        schema: what the table is.
        cells: columns with shape (N,).

    Returns:
        The same with numbers more, where there are moments; they are named by `part_of`.
    """
    numbers = dict(cells.numbers)
    for column in schema.numbers:
        blank = _blank(column)
        if blank is not None:
            ends = blank.part(np.array([column.minimum, column.maximum], dtype=np.float64), "day")
            calendar = blank._replace(years=bool(ends[1] - ends[0] >= FEWEST_YEARS * _YEAR))
            told = (True, calendar.length > 1, calendar.years)
            for part in (part for part, is_told in zip(SHOWN, told, strict=True) if is_told):
                numbers[part_of(column.name, part)] = calendar.part(numbers[column.name], part)
    return cells._replace(numbers=numbers)


def part_of(name: str, part: str) -> str:
    """Name a part of a column of moments among numbers; no column of a table is named so."""
    return f"\0{part} {name}"


def _blank(column: Column) -> Calendar | None:
    """The calendar of a column, without what is known of its cells; None where it has none."""
    if "weekday" not in moment.parts(column) or _DAY % column.tick_ns:
        return None
    length = _DAY // column.tick_ns
    first, phase = divmod(column.origin_ns, _DAY)
    days = np.zeros(0, dtype=np.int64)
    return Calendar(length, phase, first, False, False, False, column.zone, days)


def _calendar(column: Column, values: np.ndarray) -> Calendar | None:
    calendar = _blank(column)
    if calendar is None or np.nanmax(np.abs(values), initial=0) >= _EXACT:
        return None
    day = calendar.part(values, "day")
    missing = bool(np.isnan(day).any())
    days, counts = np.unique(day[~np.isnan(day)].astype(np.int64), return_counts=True)
    if len(days) < FEWEST_DAYS:
        return None
    weekdays = _recur(_weekday(days), (days + _THURSDAY) // WEEK)
    months = np.unique(days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64))
    years = days[-1] - days[0] >= FEWEST_YEARS * _YEAR and _recur(months % 12, months // 12)
    if np.count_nonzero(counts == 1) > MOST_NEW * counts.sum():
        days = days[:0]  # few rows a day: those that it has are no more likely than others
    return calendar._replace(weekdays=weekdays, years=bool(years), missing=missing, days=days)


def _recur(parts: np.ndarray, rounds: np.ndarray) -> bool:
    """Whether there are several parts, and most of them in each round."""
    kinds = len(np.unique(parts))
    return kinds > 1 and len(parts) >= RECURRING * kinds * (int(rounds[-1] - rounds[0]) + 1)


def _weekday(days: np.ndarray) -> np.ndarray:
    weekday: np.ndarray = (days + _THURSDAY) % WEEK
    return weekday


def _year_of(days: np.ndarray) -> np.ndarray:
    return days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64)


def _new_year(years: np.ndarray) -> np.ndarray:
    """Days from 1970 to the first of January of years from 1970."""
    return years.astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
