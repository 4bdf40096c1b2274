"""Columns that repeat a part of a moment are found by whatever names they give it, and looked up again."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from scorewise.tabular.codec import Codec
from scorewise.tabular.moment import part, parts
from scorewise.tabular.relation import Function
from scorewise.tabular.schema import Schema
from scorewise.tabular.table import to_arrow

_ROWS = 3_000


def _moments(rows: int = _ROWS, days: int = 730) -> pd.DatetimeIndex:
    minutes = np.random.default_rng(0).integers(0, days * 24 * 60, rows)
    return pd.DatetimeIndex(pd.Timestamp("2011-01-01") + pd.to_timedelta(minutes, unit="min"))


def _rides(at: pd.DatetimeIndex | None = None) -> pd.DataFrame:
    at = _moments() if at is None else at
    return pd.DataFrame({"at": at, "count": np.random.default_rng(1).integers(0, 900, len(at))})


def _found(frame: pd.DataFrame) -> dict[str, tuple[str, str | None]]:
    return {one.child: (one.parent, one.part) for one in Codec.fit(frame).structure.determined.functions}


@pytest.mark.parametrize(
    ("expected", "cells"),
    [
        ("weekday", lambda at: at.day_name()),
        ("weekday", lambda at: at.day_of_week >= 5),
        ("month", lambda at: at.month),
        ("month", lambda at: at.month_name().str[:3]),
        ("month", lambda at: at.month % 12 // 3 + 1),  # seasons
        ("day", lambda at: at.day),
        ("week", lambda at: at.isocalendar().week.to_numpy()),
        ("year", lambda at: at.year - 2011),
        ("year and month", lambda at: at.strftime("%Y-%m")),
        ("hour", lambda at: at.hour),
        ("hour", lambda at: np.where((at.hour > 6) & (at.hour < 20), "day", "night")),
        ("minute", lambda at: at.minute),
    ],
)
def test_a_column_that_repeats_a_part_is_looked_up_and_not_learned(expected: str, cells: Any) -> None:
    frame = _rides()
    frame.insert(0, "repeated", cells(_moments()))
    codec = Codec.fit(frame)
    assert _found(frame) == {"repeated": ("at", expected)}
    assert codec.decode(codec.encode(frame)).equals(to_arrow(frame))
    made = codec.decode(np.random.default_rng(2).normal(size=(2_000, codec.layout.width))).to_pandas()
    assert made["repeated"].tolist() == list(cells(pd.DatetimeIndex(made["at"])))


def test_what_a_part_determines_may_determine_others_and_goes_through_json() -> None:
    frame = _rides()
    at = _moments()
    frame["month"], frame["season"] = at.month, at.month % 12 // 3
    codec = Codec.fit(frame)
    assert [(one.child, one.parent, one.part) for one in codec.structure.determined.functions] == [
        ("month", "at", "month"),
        ("season", "month", None),
    ]
    again = Codec.from_parts(json.loads(json.dumps(codec.to_json())), codec.arrays())
    noise = np.random.default_rng(3).normal(size=(500, codec.layout.width))
    assert again.decode(noise).equals(codec.decode(noise))
    made = codec.decode(noise).to_pandas()
    assert (made["month"] == made["at"].dt.month).all()
    assert (made["season"] == made["at"].dt.month % 12 // 3).all()


def test_dates_that_are_text_and_times_of_the_day_have_parts_too() -> None:
    at = _moments()
    frame = pd.DataFrame({"on": at.strftime("%d.%m.%Y"), "clock": at.strftime("%H:%M"), "x": np.arange(_ROWS) % 977})
    frame["weekday"], frame["hour"] = at.day_name(), at.hour
    codec = Codec.fit(frame)
    assert _found(frame) == {"weekday": ("on", "weekday"), "hour": ("clock", "hour")}
    assert codec.decode(codec.encode(frame)).equals(to_arrow(frame))


def test_a_missing_moment_has_a_place_of_its_own() -> None:
    frame = _rides()
    frame["weekday"] = pd.array(_moments().day_of_week, dtype="Int64")
    frame.loc[::9, ["at", "weekday"]] = pd.NA
    codec = Codec.fit(frame)
    assert _found(frame) == {"weekday": ("at", "weekday")}
    assert codec.decode(codec.encode(frame)).equals(to_arrow(frame))
    frame.loc[1, "weekday"] = pd.NA  # where there is a moment
    assert _found(frame) == {}


def test_one_row_that_does_not_fit_and_what_chance_may_have_made_are_no_functions() -> None:
    frame = _rides()
    frame["hour"] = _moments().hour
    frame.loc[17, "hour"] = (frame.loc[17, "hour"] + 1) % 24
    assert _found(frame) == {}
    at = _moments()
    for rows in (9, 10):
        few = at[(at.hour != 3) | (np.cumsum(at.hour == 3) <= rows)]
        frame = _rides(few)
        frame["flag"] = few.hour == 3
        assert _found(frame) == ({"flag": ("at", "hour")} if rows == 10 else {})
    short = _rides(_moments(230))
    short["hour"] = _moments(230).hour  # fewer than ten rows an hour
    assert _found(short) == {}


def test_parts_that_no_row_has_are_looked_up_by_the_nearest() -> None:
    at = pd.DatetimeIndex([*_moments(1_500, 59), *(_moments(1_500, 61) + pd.Timedelta(days=304))])
    frame = _rides(at)
    frame["month"] = at.month  # January, February, November and December
    codec = Codec.fit(frame)
    (function,) = codec.structure.determined.functions
    assert function.table[1:].tolist() == [0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3]


def test_beyond_the_fitted_range_the_last_place_is_taken() -> None:
    def months(at: Any) -> Any:
        return 12 * (at.year - 2011) + at.month

    frame = _rides()
    frame["months"] = months(_moments())
    codec = Codec.fit(frame, clip=False)
    made = codec.decode(12 * np.random.default_rng(4).normal(size=(2_000, codec.layout.width))).to_pandas()
    true = months(made["at"].dt)
    assert true.min() < 0
    assert true.max() > 24
    assert (made["months"] == true.clip(1, 24)).all()


def _months() -> pd.DataFrame:
    """Ten rows for each of 24 months: enough for a part of 24 levels, one too few for codes, which may be missing."""
    month = pd.DatetimeIndex(np.repeat(pd.date_range("2011-01-01", periods=24, freq="MS"), 10))
    at = month + pd.to_timedelta(np.random.default_rng(6).integers(0, 28 * 24 * 60, 240), unit="min")
    return pd.DataFrame({"month": month, "at": at, "count": np.arange(240) % 97})


def test_a_moment_that_is_determined_determines_nothing() -> None:
    frame = _months()
    frame.insert(0, "season", frame["at"].dt.month_name().str[:1])
    codec = Codec.fit(frame)
    assert _found(frame) == {"month": ("at", "year and month"), "season": ("at", "month")}
    assert codec.decode(codec.encode(frame)).equals(to_arrow(frame))


def test_a_moment_that_determines_others_is_not_determined() -> None:
    frame = _months()
    frame.insert(0, "year", pd.to_datetime(frame["at"].dt.strftime("%Y")))
    codec = Codec.fit(frame)
    assert _found(frame) == {"year": ("month", "year")}
    assert codec.decode(codec.encode(frame)).equals(to_arrow(frame))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Sao_Paulo", "+05:30"])
@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_parts_are_those_that_the_clock_of_a_zone_shows(zone: str, unit: str) -> None:
    at = _moments(days=4_000).tz_localize("UTC").tz_convert(zone).as_unit(unit)  # type: ignore[arg-type]
    table = to_arrow(_rides(at))
    column = Schema.infer(table).column("at")
    values = Schema.infer(table).cells(table).numbers["at"]
    assert part(column, values, "hour").tolist() == at.hour.tolist()
    assert part(column, values, "weekday").tolist() == at.day_of_week.tolist()
    assert part(column, values, "day").tolist() == at.day.tolist()


@pytest.mark.parametrize(
    ("dtype", "named"),
    [
        (pa.timestamp("us"), {"hour", "minute", "weekday", "month", "day", "week", "year", "year and month"}),
        (pa.timestamp("ns", "UTC"), {"hour", "minute", "weekday", "month", "day", "week", "year", "year and month"}),
        (
            pa.timestamp("s", "Europe/Berlin"),
            {"hour", "minute", "weekday", "month", "day", "week", "year", "year and month"},
        ),
        (pa.timestamp("s", "Mars/Base"), set()),
        (pa.date32(), {"weekday", "month", "day", "week", "year", "year and month"}),
        (pa.time64("us"), {"hour", "minute"}),
        (pa.duration("s"), set()),
    ],
)
def test_which_parts_a_type_has(dtype: pa.DataType, named: set[str]) -> None:
    whole = pa.array((np.arange(400) * 86_399_999_999_999 // 400).astype(np.int64))
    if pa.types.is_date(dtype):
        cells: Any = pa.array(np.arange(400, dtype=np.int32)).cast(dtype)
    else:
        divisor = {"us": 1_000, "ns": 1, "s": 10**9}[dtype.unit]
        cells = pa.array(whole.to_numpy() // divisor).cast(dtype)
    table = pa.table({"when": cells, "x": np.random.default_rng(5).normal(size=400)})
    column = Schema.infer(table).column("when")
    assert set(parts(column)) == named
    values = Schema.infer(table).cells(table).numbers["when"]
    values[3] = np.nan
    for name in named:
        given = part(column, values, name)
        assert np.isnan(given[3])
        assert np.isfinite(np.delete(given, 3)).all()


def test_a_function_of_a_column_has_no_part() -> None:
    assert Function("a", "b", np.zeros(2, dtype=np.int64)).part is None


@pytest.mark.parametrize(
    ("field", "other", "expected"),
    [
        (1, "then", r"must be of columns that can be learned, however: of \['then'\]"),
        (2, "century", "'weekday' must be of a part of 'at', .*, however: 'century'"),
        (1, "count", r"'weekday' must be of a part of 'count', of \(\), however: 'weekday'"),
    ],
)
def test_a_saved_function_of_no_column_or_part_is_refused(field: int, other: str, expected: str) -> None:
    codec = Codec.fit(_rides().assign(weekday=_moments().day_name()))
    said = codec.to_json()
    said["functions"][0][field] = other
    with pytest.raises(ValueError, match=expected):
        Codec.from_parts(said, codec.arrays())
