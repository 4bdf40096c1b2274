"""Time between moments is found in any unit, counted as people count it, and computed again in what is sampled."""

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from scorewise.tabular import grid
from scorewise.tabular.codec import Codec
from scorewise.tabular.elapsed import CALENDAR, UNITS, Elapsed, Found, find_elapsed
from scorewise.tabular.schema import Schema
from scorewise.tabular.synthesizer import Synthesizer
from scorewise.tabular.table import to_arrow
from scorewise.tabular.unseen import find_unseen

_ROWS = 2_000
_FIXED = pd.Timestamp("2023-06-30")


def _dates(first: str, days: int, seed: int, rows: int = _ROWS) -> pd.Series:
    count = np.random.default_rng(seed).integers(0, days, rows)
    return pd.Series(pd.Timestamp(first) + pd.to_timedelta(count, unit="D"))


def _found(frame: pd.DataFrame, child: str = "told", after: dict[str, set[str]] | None = None) -> list[Found]:
    table = to_arrow(frame)
    schema = Schema.infer(table)
    cells = schema.cells(table)
    moments = {column.name: column for column in schema.numbers if column.origin is not None}
    numbers = {child: schema.numeric(cells)[child]}
    steps = {child: grid.step(numbers[child][~np.isnan(numbers[child])])}
    ancestors = {name: {name} for name in moments} | (after or {})
    return list(find_elapsed(numbers, steps, moments, cells.numbers, ancestors))


def _computed(frame: pd.DataFrame, elapsed: Elapsed) -> np.ndarray:
    table = to_arrow(frame)
    own = frame["told"].to_numpy(dtype=float)
    values, step = elapsed.of(Schema.infer(table).cells(table).numbers), grid.step(own[~np.isnan(own)])
    return values if step is None else grid.snap(values, step)


def _full_years(later: datetime.date, earlier: datetime.date) -> int:
    return later.year - earlier.year - ((later.month, later.day) < (earlier.month, earlier.day))


def _full_months(later: datetime.date, earlier: datetime.date) -> int:
    return 12 * (later.year - earlier.year) + later.month - earlier.month - (later.day < earlier.day)


@pytest.mark.parametrize("rounding", [np.floor, np.rint, np.ceil, lambda x: x, lambda x: np.round(x, 2)])
@pytest.mark.parametrize("unit", UNITS)
def test_time_is_found_in_each_unit_however_it_is_rounded(unit: str, rounding: Callable[[Any], Any]) -> None:
    rng = np.random.default_rng(0)
    start = pd.Timestamp("2015-03-01") + pd.to_timedelta(rng.integers(0, 10**8, _ROWS), unit="s")
    passed = (rng.gamma(2, 20, _ROWS) * UNITS[unit] / 1e7).astype(np.int64) * 10 + 1  # in ms; none half-way
    end = start + pd.to_timedelta(passed, unit="ms")
    exact = (end - start).to_numpy() / np.timedelta64(1, "ns") / UNITS[unit]
    frame = pd.DataFrame({"start": start.as_unit("s"), "told": rounding(exact), "end": end.as_unit("ms")})
    ((elapsed, share),) = _found(frame)
    assert (elapsed.parents, share) == (("end", "start"), 1)
    length = UNITS.get(elapsed.unit, UNITS["365.2425 days"])  # of a year of the calendar
    assert abs(length / UNITS[unit] - 1) < 3e-5  # so much 365.25 days are more
    np.testing.assert_allclose(_computed(frame, elapsed), frame["told"], rtol=1e-6)


@pytest.mark.parametrize(
    ("unit", "count"),
    [
        ("calendar year", _full_years),
        ("calendar month", _full_months),
        ("number of the year", lambda later, earlier: later.year - earlier.year),
        ("number of the month", lambda later, earlier: 12 * (later.year - earlier.year) + later.month - earlier.month),
    ],
)
@pytest.mark.parametrize("fixed", [False, True])
def test_months_and_years_are_counted_by_the_calendar(unit: str, count: Callable[[Any, Any], int], fixed: bool) -> None:
    born, seen = _dates("1930-01-01", 27_000, 0), _dates("2012-01-01", 3_000, 1)
    born[:40] = [datetime.datetime(1932 + 4 * (i % 15), 2, 29) for i in range(40)]
    told = [count(_FIXED if fixed else later, earlier) for later, earlier in zip(seen, born, strict=True)]
    frame = pd.DataFrame({"told": told, "seen": seen, "born": born})
    ((elapsed, share),) = _found(frame)
    assert share == 1
    np.testing.assert_array_equal(_computed(frame, elapsed), told)
    if fixed:
        assert (elapsed.parents, elapsed.sign) == (("born",), -1)
    else:
        assert (elapsed.parents, elapsed.unit) == (("seen", "born"), unit)
    others = pd.DataFrame(
        {"told": told, "seen": _dates("2012-01-01", 3_000, 5), "born": _dates("1930-01-01", 27_000, 6)}
    )
    new = [count(_FIXED if fixed else later, earlier) for later, earlier in zip(others.seen, others.born, strict=True)]
    schema = Schema.infer(to_arrow(frame))
    values = grid.snap(elapsed.of(schema.cells(to_arrow(others)).numbers), 1.0)
    assert np.mean(values == new) > (0.98 if fixed and unit.startswith("calendar") else 0.999)


def test_time_since_a_fixed_moment_is_found_by_what_rows_agree_on() -> None:
    opened = _dates("2016-01-01", 2_500, 0)
    since = (opened - pd.Timestamp("2015-07-01")).dt.days / 7
    for told, sign in ((np.floor(since), 1), (np.ceil(500 - since), -1)):
        frame = pd.DataFrame({"opened": opened, "told": told})
        ((elapsed, share),) = _found(frame)
        assert (elapsed.parents, elapsed.unit, elapsed.sign, share) == (("opened",), "week", sign, 1)
        np.testing.assert_array_equal(_computed(frame, elapsed), told)


@pytest.mark.parametrize("up", [False, True])
def test_halves_go_to_the_even_digit_or_up(up: bool) -> None:
    rng = np.random.default_rng(9)
    minutes = rng.integers(30, 9_000, _ROWS)
    start = pd.Timestamp("2018-01-01 07:31") + pd.to_timedelta(rng.integers(0, 10**6, _ROWS), unit="min")
    told = np.floor(minutes / 6 + 0.5) / 10 if up else (minutes / 60).round(1)  # a sixth of these is a half before it
    frame = pd.DataFrame({"start": start, "end": start + pd.to_timedelta(minutes, unit="min"), "told": told})
    ((elapsed, share),) = _found(frame)
    assert (elapsed.parents, elapsed.unit, share) == (("end", "start"), "hour", 1)
    np.testing.assert_array_equal(_computed(frame, elapsed), told)


def test_both_days_may_count_and_dates_may_be_text() -> None:
    start, days = _dates("2018-01-01", 900, 0), np.random.default_rng(1).integers(0, 90, _ROWS)
    end = start + pd.to_timedelta(days, unit="D")
    frame = pd.DataFrame({"told": days + 1, "start": start.dt.strftime("%d.%m.%Y"), "end": end.dt.date})
    ((elapsed, share),) = _found(frame)
    assert (elapsed.parents, elapsed.unit, elapsed.offset, share) == (("end", "start"), "day", 1.0, 1)


@pytest.mark.parametrize("wrong", [0.0, 0.02, 0.3, 0.6])
def test_the_share_is_that_of_the_rows_that_fit_beyond_chance(wrong: float) -> None:
    rng = np.random.default_rng(2)
    start, days = _dates("2018-01-01", 900, 0), rng.geometric(0.2, _ROWS)
    spoiled = rng.random(_ROWS) < wrong
    frame = pd.DataFrame({"start": start, "end": start + pd.to_timedelta(days, unit="D")})
    frame["told"] = np.where(spoiled, rng.permutation(days), days)
    found = _found(frame)
    assert len(found) == (wrong < 0.5)
    for elapsed, share in found:
        np.testing.assert_array_equal(_computed(frame, elapsed), days)
        assert abs(share - (1 - wrong)) < 0.04


def test_what_is_near_or_mostly_alike_is_not_found() -> None:
    rng = np.random.default_rng(3)
    start, days = _dates("2018-01-01", 900, 0), rng.integers(0, 400, _ROWS)
    frame = pd.DataFrame({"start": start, "end": start + pd.to_timedelta(days, unit="D")})
    short = rng.geometric(0.7, _ROWS)
    stays = frame.assign(end=start + pd.to_timedelta(short, unit="D"))
    same = frame.assign(end=start.where(rng.random(_ROWS) < 0.97, frame["end"]))
    for told, of in (
        (days + rng.integers(-4, 5, _ROWS), frame),
        ((rng.random(_ROWS) < 0.02) * rng.integers(1, 40, _ROWS), same),  # 0 where the two are equal, as most are
        (days.astype(float), frame.assign(end=frame["end"].sample(frac=1, random_state=0).to_numpy())),
        (rng.normal(size=_ROWS), frame),
        (np.where(rng.random(_ROWS) < 0.35, short, rng.permutation(short)), stays),  # right in seven rows of ten
        (np.where(np.arange(_ROWS) < 90, days, np.nan), frame),
    ):
        assert _found(of.assign(told=told)) == []


def test_what_is_mostly_nothing_is_found_by_the_rows_in_which_it_is_something() -> None:
    rng = np.random.default_rng(7)
    start, days = _dates("2018-01-01", 900, 0), (rng.random(_ROWS) < 0.03) * rng.integers(1, 40, _ROWS)
    frame = pd.DataFrame({"told": days, "start": start, "end": start + pd.to_timedelta(days, unit="D")})
    ((elapsed, share),) = _found(frame)
    assert (elapsed.parents, elapsed.unit, share) == (("end", "start"), "day", 1)


def test_nothing_comes_to_depend_on_itself_and_short_tables_tell_nothing() -> None:
    start, days = _dates("2018-01-01", 900, 0), np.random.default_rng(1).integers(0, 90, _ROWS)
    frame = pd.DataFrame({"told": days, "start": start, "end": start + pd.to_timedelta(days, unit="D")})
    assert len(_found(frame)) == 1
    assert _found(frame, after={"end": {"end", "told"}}) == []
    assert _found(frame.head(90)) == []


def test_it_goes_through_json_and_what_is_none_is_refused() -> None:
    elapsed = Elapsed("age", ("seen", "born"), ((0, 1), (-5, 86_400)), "calendar year", 1, -0.5)
    said = json.loads(json.dumps(elapsed.to_json()))
    assert Elapsed.from_json(said) == elapsed
    for wrong in (
        {"unit": "fortnight"},
        {"sign": 0},
        {"clocks": [[0, 1]]},
        {"clocks": [[0, 1], [0, 0]]},
        {"parents": ["a", "b", "c"], "clocks": [[0, 1]] * 3},
    ):
        with pytest.raises(ValueError, match="elapsed time must be"):
            Elapsed.from_json(said | wrong)
    assert UNITS.keys().isdisjoint(CALENDAR)


def _stays(rows: int = 3_000) -> pd.DataFrame:
    """Stays in a hospital: how long, of few values; at what age; how long those stayed who came again, with errors."""
    rng = np.random.default_rng(4)
    came, days = _dates("2018-01-01", 1_400, 0, rows), np.minimum(rng.geometric(0.3, rows), 9)
    came += pd.to_timedelta(rng.integers(0, 24 * 60, rows), unit="min")
    born, again = _dates("1930-01-01", 27_000, 1, rows), came + pd.to_timedelta(rng.integers(20, 400, rows), unit="D")
    later = rng.geometric(0.05, rows).astype(float)
    left = again + pd.to_timedelta(later, unit="D")
    once = rng.random(rows) < 0.4
    wrong = np.where(rng.random(rows) < 0.1, rng.permutation(later), later)
    age = [_full_years(seen, day) for seen, day in zip(came, born, strict=True)]
    return pd.DataFrame(
        {
            "born": born.dt.strftime("%m/%d/%Y"),
            "age": age,
            "came": came,
            "days": days,
            "went": came + pd.to_timedelta(days * 24 * 60 + rng.integers(0, 24 * 60, rows), unit="min"),
            "again": again.mask(once),
            "left": left.mask(once),
            "wrong": np.where(once, np.nan, wrong),
            "cost": (300 * days * rng.lognormal(0, 0.3, rows)).round(2),
        }
    )


def _fits(frame: pd.DataFrame) -> dict[str, float]:
    born, back = pd.to_datetime(frame["born"], format="%m/%d/%Y"), frame.dropna()
    return {
        "age": float(np.mean([_full_years(a, b) == c for a, b, c in zip(frame.came, born, frame.age, strict=True)])),
        "days": float(np.mean((frame.went - frame.came).dt.days == frame.days)),
        "wrong": float(np.mean((back.left - back.again).dt.days == back.wrong)),
    }


def test_a_fitted_table_keeps_ages_and_stays_and_its_errors(tmp_path: Path) -> None:
    frame = _stays()
    codec = Codec.fit(frame)
    found = {one.child: one for one in codec.structure.determined.formulas}
    (mostly,) = codec.structure.prevalent
    assert isinstance(found["age"], Elapsed)
    assert isinstance(found["days"], Elapsed)
    assert found["days"].parents == ("went", "came")
    assert (mostly.child, mostly.formula.parents) == ("wrong", ("left", "again"))
    assert codec.schema.column("days").kind == "category"
    read = Codec.from_parts(json.loads(json.dumps(codec.to_json())), codec.arrays())
    assert read.structure.determined.formulas == codec.structure.determined.formulas
    for one in (codec, read):
        assert one.decode(one.encode(frame)).equals(to_arrow(frame).cast(one.decode(one.encode(frame)).schema))
    synth = Synthesizer(seed=0, time_limit=0.05).fit(frame)
    synth.save(tmp_path / "model")
    fake = Synthesizer.load(tmp_path / "model").sample(2_000, seed=1)
    fits, real = _fits(fake), _fits(frame)
    assert fits["age"] == real["age"] == 1
    assert fits["days"] > 0.995
    assert real["days"] == 1
    assert abs(fits["wrong"] - real["wrong"]) < 0.06
    assert set(fake["days"]) <= set(frame["days"])


def test_time_in_office_is_computed_and_days_of_appointment_recur() -> None:
    rng = np.random.default_rng(11)
    day = rng.choice(rng.choice(40_000, 150, replace=False), _ROWS)
    start, days = pd.Timestamp("1867-10-23") + pd.to_timedelta(day, unit="D"), rng.integers(30, 9_000, _ROWS)
    end = pd.Series(start + pd.to_timedelta(days, unit="D"))
    end[rng.random(_ROWS) < 0.1] = pd.Timestamp("2013-10-01 22:20:10")  # of those who are in office, when it was noted
    frame = pd.DataFrame({"start": start, "end": end})[end > start].reset_index(drop=True)
    frame["told"] = (frame["end"] - frame["start"]).dt.days
    codec = Codec.fit(frame)
    assert [(one.child, type(one)) for one in codec.structure.determined.formulas] == [("told", Elapsed)]
    made = codec.decode(np.random.default_rng(0).normal(size=(1_000, codec.layout.width))).to_pandas()
    assert set(made["start"]) <= set(frame["start"])
    inside = made["told"].between(frame["told"].min() + 1, frame["told"].max() - 1)  # it is cut off there
    assert inside.sum() > 100
    assert ((made["end"] - made["start"]).dt.days == made["told"])[inside].all()


@pytest.mark.parametrize("wrong", [{"child": "ward"}, {"parents": ["went", "ward"]}])
def test_files_in_which_text_is_computed_are_refused(wrong: dict[str, Any]) -> None:
    frame = _stays().assign(ward=np.random.default_rng(0).choice([*"abc"], 3_000))
    codec = Codec.fit(frame)
    said = json.loads(json.dumps(codec.to_json()))
    (place,) = [i for i, one in enumerate(said["formulas"]) if one["child"] == "days"]
    said["formulas"][place] |= wrong
    with pytest.raises(ValueError, match=r"must be numbers, however: \['ward'\]"):
        Codec.from_parts(said, codec.arrays())


def test_stays_that_are_longer_than_any_are_left_out_of_a_sample() -> None:
    frame = _stays()
    codec = Codec.fit(frame)
    days = next(one for one in codec.structure.determined.formulas if one.child == "days")
    unseen = find_unseen(codec.schema, codec.schema.cells(to_arrow(frame)), computed=[days])
    longer = frame.assign(went=frame["went"] + pd.to_timedelta(2, unit="D"))
    allowed = unseen.allowed(codec.schema, codec.schema.cells(to_arrow(longer)))
    np.testing.assert_array_equal(allowed, frame["days"] <= frame["days"].max() - 2)


def test_an_age_that_is_missing_in_some_rows_is_so_in_a_sample() -> None:
    frame = _stays().drop(columns=["again", "left", "wrong", "days"])
    frame["age"] = frame["age"].astype(float).mask(np.random.default_rng(8).random(len(frame)) < 0.25)
    codec = Codec.fit(frame)
    assert codec.structure.determined.formulas == ()
    assert [one.child for one in codec.structure.prevalent] == ["age"]
    made = codec.decode(np.random.default_rng(0).normal(size=(1_000, codec.layout.width))).to_pandas()
    assert 0.15 < made["age"].isna().mean() < 0.35


def test_stays_that_are_unknown_are_unknown_in_a_sample() -> None:
    frame = _stays()
    frame["days"] = frame["days"].astype(float).mask(frame["again"].isna())
    frame["went"] = frame["went"].mask(frame["again"].isna())
    codec = Codec.fit(frame)
    assert "days" in {one.child for one in codec.structure.determined.formulas}
    made = codec.decode(np.random.default_rng(0).normal(size=(1_000, codec.layout.width)))
    assert pa.types.is_floating(made["days"].type)
    sample = made.to_pandas()
    assert sample["days"].isna().equals(sample["went"].isna())
    assert 0.3 < sample["days"].isna().mean() < 0.5
