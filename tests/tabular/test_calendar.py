"""Moments that are told by the calendar: days, weekdays, months and times come back, and others follow them."""

import datetime
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from scorewise.tabular.calendar import WEEK, Calendar, find_calendars, part_of, with_parts
from scorewise.tabular.codec import Codec
from scorewise.tabular.report import evaluate
from scorewise.tabular.schema import Schema
from scorewise.tabular.synthesizer import Synthesizer
from scorewise.tabular.table import TableError, to_arrow

ROWS = 2_000
START = pd.Timestamp("1968-12-31 22:30")
NIGHT = datetime.time()
SHIFTED = "America/Sao_Paulo"  # where the clock is put forward and back at midnight


def _found(when: pd.Series, fixed: tuple[str, ...] = ()) -> tuple[Calendar | None, np.ndarray]:
    """The calendar of a column, and its cells."""
    table = to_arrow(pd.DataFrame({"when": when, "other": np.arange(len(when)) % 50}))
    schema = Schema.infer(table)
    cells = schema.cells(table).numbers
    return find_calendars({column.name: column for column in schema.numbers}, cells, fixed).get("when"), cells["when"]


def _moments(span: int, unit: str, rows: int = ROWS, start: pd.Timestamp = START) -> pd.Series:
    count = np.random.default_rng(0).integers(0, span, rows)
    return pd.Series(start + pd.to_timedelta(count, unit=unit))


def _since_midnight(when: pd.Timestamp) -> float:
    """Seconds since the first moment of the day."""
    zone = when.tzinfo or datetime.UTC
    return when.replace(tzinfo=zone).timestamp() - datetime.datetime.combine(when.date(), NIGHT, zone).timestamp()


@pytest.mark.parametrize(
    ("when", "numbers"),
    [
        (_moments(400, "D", start=START.normalize()), ("week",)),
        (_moments(1_400, "D", start=START.normalize()), ("year", "week")),
        (_moments(24 * 400, "h"), ("time", "week")),
        (_moments(4 * 24 * 90, "h").dt.floor("6h"), ("time", "week")),
        (_moments(86_400 * 800, "s"), ("time", "year", "week")),
        (_moments(1_440 * 30, "min").dt.tz_localize("UTC"), ("time", "week")),
        (_moments(86_400 * 20_000, "s", start=pd.Timestamp("1920-01-01")), ("time", "year", "day")),
        (_moments(1_400, "D").dt.to_period("M").dt.to_timestamp(), ("year", "day")),
        (_moments(24 * 800, "h").dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin"), ("time", "year", "week")),
        (_moments(1_440 * 200, "min").dt.tz_localize("UTC").dt.tz_convert("-09:30"), ("time", "week")),
        (
            _moments(24 * 7_000, "h", start=pd.Timestamp("1999-01-01")).dt.tz_localize("UTC").dt.tz_convert(SHIFTED),
            ("time", "year", "day"),
        ),
        (
            pd.Series(pd.date_range("2019-01-01", periods=700, tz="America/New_York").repeat(3)),
            ("time", "week"),
        ),
    ],
)
def test_parts_of_moments_are_those_of_the_clock_and_the_calendar_and_come_back(
    when: pd.Series, numbers: tuple[str, ...]
) -> None:
    when[::7] = pd.NaT
    calendar, cells = _found(when)
    assert calendar is not None
    assert calendar.numbers == numbers
    known, there = when.notna().to_numpy(), when.dropna()
    parts = {part: calendar.part(cells, part) for part in (*numbers, "weekday")}
    assert all(np.array_equal(np.isnan(values), ~known) for values in parts.values())
    iso, start = there.dt.isocalendar(), (there.dt.year if "week" not in numbers else there.dt.isocalendar().year)
    wanted = {
        "weekday": there.dt.day_of_week,
        "year": start - 1970,
        "week": iso.week - 1
        if "year" in numbers
        else (there.dt.tz_localize(None) - pd.Timestamp("1969-12-29")).dt.days // 7,
        "day": there.dt.day_of_year - 1,
    }
    for part in {*numbers, "weekday"} - {"time"}:
        assert parts[part][known].tolist() == wanted[part].tolist(), part
    if "time" in numbers:
        times = np.array([_since_midnight(one) for one in there])
        tick = 86_400 / calendar.length
        np.testing.assert_allclose(parts["time"][known] * tick + times.min() % tick, times)
    codes = np.nan_to_num(parts["weekday"], nan=WEEK).astype(np.int64)
    np.testing.assert_array_equal(calendar.moments(parts | {"weekday": codes}), cells)
    if "week" in numbers:  # a part that is missing makes the moment missing
        assert np.isnan(calendar.moments(parts | {"weekday": np.full_like(codes, WEEK)})).all()


@pytest.mark.parametrize("weekdays", [True, False])
def test_a_day_that_there_is_not_becomes_the_nearest_one_that_there_is(weekdays: bool) -> None:
    days = np.sort(np.random.default_rng(0).choice(700, 500, replace=False)) + 14_000
    calendar = Calendar(1, 0, 14_000, weekdays, False, False, None, days)
    made = np.arange(-30.0, 730.0)
    parts = {part: calendar.part(made, part) for part in (*calendar.numbers, "weekday")}
    found = calendar.moments(parts | {"weekday": parts["weekday"].astype(np.int64)}) + 14_000
    for day, settled in zip(made + 14_000, found, strict=True):
        like = days[(days - day) % 7 == 0] if weekdays else days
        inside = days[0] < day < days[-1]
        assert abs(settled - day) == (np.abs(like - day).min() if inside else 0)
        assert not inside or settled in like


@pytest.mark.parametrize(("years", "sparse"), [(1, False), (40, True)])
def test_where_few_rows_are_of_one_day_any_day_may_be(years: int, sparse: bool) -> None:
    when = _moments(24 * 365 * years, "h", rows=2_500)
    calendar, cells = _found(when)
    assert calendar is not None
    assert (len(calendar.days) == 0) == sparse
    parts = {part: calendar.part(cells, part) for part in (*calendar.numbers, "weekday")}
    np.testing.assert_array_equal(calendar.moments(parts | {"weekday": parts["weekday"].astype(np.int64)}), cells)
    codec = Codec.fit(pd.DataFrame({"when": when, "other": np.arange(len(when)) % 50}))
    read = Codec.from_parts(json.loads(json.dumps(codec.to_json())), codec.arrays())
    made = read.decode(np.random.default_rng(1).normal(size=(2_500, codec.layout.width))).to_pandas()["when"].dt.date
    new = 1 - made.isin(set(when.dt.date)).mean()
    others = _moments(24 * 365 * years, "h", rows=5_000)[2_500:].dt.date
    assert abs(new - (1 - others.isin(set(when.dt.date)).mean())) < 0.05


def test_what_does_not_recur_is_not_told() -> None:
    assert _found(_moments(5, "D"))[0] is None  # few days
    assert _found(pd.Series(START + pd.to_timedelta(7 * (np.arange(ROWS) % 60), unit="D")))[0] is None  # Tuesdays
    assert _found(pd.Series(START + pd.to_timedelta(7 * (np.arange(ROWS) % 900), unit="h")))[0] is None
    yearly = pd.Series([START.normalize() + pd.DateOffset(years=int(n)) for n in np.arange(ROWS) % 50])
    assert _found(yearly)[0] is None


def test_what_others_are_looked_up_by_has_no_times_made_apart_from_its_days() -> None:
    assert _found(_moments(24 * 400, "h"), ("when",))[0] is None
    assert _found(_moments(400, "D"), ("when",))[0] is not None


def _rides(rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    """Rides by the hour, of which there are most at noon, and more on working days than on others."""
    generator = np.random.default_rng(seed)
    when = pd.Timestamp("2021-03-01") + pd.to_timedelta(generator.integers(0, 24 * 365, rows), unit="h")
    most = np.where(when.day_of_week < 5, 120, 30)
    rides = generator.poisson(10 + most * np.exp(-(((when.hour - 12) / 4) ** 2)))
    return pd.DataFrame({"when": when, "rides": rides, "wind": generator.normal(5, 1, rows).round(1)})


def _busy(frame: pd.DataFrame) -> np.ndarray:
    """Rides at noon and at midnight, on working days and on others."""
    hour, working = frame["when"].dt.hour, frame["when"].dt.day_of_week < 5
    noon = hour.between(10, 14)
    return np.array([frame["rides"][at & (working == kind)].mean() for at in (noon, ~noon) for kind in (True, False)])


def test_a_codec_with_a_calendar_gives_the_table_back_and_is_written_and_read() -> None:
    rides = _rides()
    rides.loc[::11, "when"] = pd.NaT
    rides["hour"] = rides["when"].dt.hour.astype("Int64")
    codec = Codec.fit(rides)
    assert codec.scored == ["rides", "wind", part_of("when", "time"), part_of("when", "week")]
    assert ("when", "weekday") in codec.names
    assert codec.structure.determined.children == {"hour"}
    weekdays = codec.compact(to_arrow(rides)).codes[:, codec.names.index(("when", "weekday"))]
    assert weekdays.tolist() == rides["when"].dt.day_of_week.fillna(WEEK).tolist()
    assert codec.decode(codec.encode(rides)).equals(to_arrow(rides))
    made = np.random.default_rng(0).normal(size=(500, codec.layout.width))
    decoded = codec.decode(made).to_pandas()
    assert decoded["when"].dropna().between(rides["when"].min(), rides["when"].max()).all()
    assert decoded["hour"].fillna(-1).tolist() == decoded["when"].dt.hour.fillna(-1).tolist()
    with pytest.raises(TableError, match="Column 'when' must have no missing cell"):
        Codec.fit(_rides()).encode(rides.drop(columns=["hour"]))
    said, arrays = json.loads(json.dumps(codec.to_json())), codec.arrays()
    assert Codec.from_parts(said, arrays).decode(made).equals(codec.decode(made))
    for name, value in (
        ("phase", 86_400 * 10**9),
        ("length", 0),
        ("phase", -1),
        ("years", "moon"),
        ("first", 2**60),
        ("zone", "moon"),
    ):
        damaged = {**said, "calendars": {"when": {**said["calendars"]["when"], name: value}}}
        with pytest.raises(ValueError, match="a calendar must have days"):
            Codec.from_parts(damaged, arrays)
    with pytest.raises(ValueError, match="a calendar must have days"):
        Codec.from_parts(said, {**arrays, "calendar.0": arrays["calendar.0"].flip(0)})
    with pytest.raises(ValueError, match="with their parts"):
        Codec.from_parts({**said, "calendars": {"rides": said["calendars"]["when"]}}, arrays)


def _zoned(rides: pd.DataFrame, zone: str) -> pd.DataFrame:
    """The same moments by the clock of a zone."""
    return rides.assign(when=rides["when"].dt.tz_localize("UTC").dt.tz_convert(zone))


@pytest.mark.parametrize("zone", ["Europe/Berlin", SHIFTED, "Asia/Kolkata", "-09:30"])
def test_in_a_zone_hours_and_weekdays_are_those_of_its_clock(zone: str) -> None:
    rides = _zoned(_rides(4_000), zone)
    rides["hour"], rides["name"] = rides["when"].dt.hour, rides["when"].dt.day_name()
    codec = Codec.fit(rides)
    assert codec.structure.calendars["when"].zone == zone
    assert codec.structure.determined.children == {"hour", "name"}
    weekdays = codec.compact(to_arrow(rides)).codes[:, codec.names.index(("when", "weekday"))]
    assert weekdays.tolist() == rides["when"].dt.day_of_week.tolist()
    assert codec.decode(codec.encode(rides)).equals(to_arrow(rides))
    read = Codec.from_parts(json.loads(json.dumps(codec.to_json())), codec.arrays())
    made = np.random.default_rng(0).normal(size=(2_000, codec.layout.width))
    decoded = read.decode(made)
    assert decoded.equals(codec.decode(made))
    frame = decoded.to_pandas()
    assert frame["hour"].tolist() == frame["when"].dt.hour.tolist()
    assert frame["name"].tolist() == frame["when"].dt.day_name().tolist()
    cells = read.schema.cells(decoded)
    shown = with_parts(read.schema, cells).numbers
    assert shown[part_of("when", "weekday")].tolist() == frame["when"].dt.day_of_week.tolist()


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_text_of_a_clock_with_a_summer_time_goes_by_it(zone: str) -> None:
    rides = _zoned(_rides(4_000), zone)
    rides["hour"], rides["name"] = rides["when"].dt.hour, rides["when"].dt.day_name()
    text = rides.assign(when=[moment.isoformat(sep=" ") for moment in rides["when"]])
    codec = Codec.fit(text)
    assert codec.structure.calendars["when"].zone == zone
    assert codec.structure.determined.children == {"hour", "name"}
    assert codec.decode(codec.encode(text)).equals(to_arrow(text))
    made = np.random.default_rng(0).normal(size=(2_000, codec.layout.width))
    frame = codec.decode(made).to_pandas()
    shown = [pd.Timestamp(moment) for moment in frame["when"]]
    assert [moment.hour for moment in shown] == frame["hour"].tolist()
    assert [moment.day_name() for moment in shown] == frame["name"].tolist()
    assert [moment.isoformat() for moment in shown] == [
        moment.tz_convert("UTC").tz_convert(zone).isoformat() for moment in shown
    ]


def test_days_that_begin_by_the_clock_of_a_zone_are_made_as_such() -> None:
    days = (
        pd.date_range("2019-01-01", periods=700, tz="America/New_York")
        .to_series()
        .sample(ROWS, replace=True, random_state=0)
    )
    noise = np.random.default_rng(0).normal(size=ROWS).round(2)
    frame = pd.DataFrame({"day": days.reset_index(drop=True), "x": noise})
    codec = Codec.fit(frame)
    assert codec.decode(codec.encode(frame)).equals(to_arrow(frame))
    made = codec.decode(np.random.default_rng(1).normal(size=(ROWS, codec.layout.width))).to_pandas()["day"]
    assert made.dt.normalize().equals(made)
    assert made.nunique() > 600
    assert made.dt.year.isin([2019, 2020]).all()


def test_text_with_an_offset_goes_by_its_clock() -> None:
    rides = _rides()
    texts = rides.assign(when=rides["when"].dt.strftime("%Y-%m-%d %H:%M") + "+05:30", name=rides["when"].dt.day_name())
    codec = Codec.fit(texts)
    assert codec.structure.determined.children == {"name"}
    assert codec.structure.calendars["when"].zone == "+05:30"
    weekdays = codec.compact(to_arrow(texts)).codes[:, codec.names.index(("when", "weekday"))]
    assert weekdays.tolist() == rides["when"].dt.day_of_week.tolist()
    assert codec.decode(codec.encode(texts)).equals(to_arrow(texts))


def test_a_zone_without_a_known_clock_has_no_calendar() -> None:
    hours = pa.array(np.arange(ROWS) * 3_600, pa.timestamp("s", "Mars/Base"))
    table = pa.table({"when": hours, "hour": pa.array(np.arange(ROWS) % 24)})
    codec = Codec.fit(table)
    assert codec.structure.calendars == {}
    assert codec.decode(codec.encode(table)).equals(table)
    rides = _zoned(_rides(), "Europe/Berlin")
    fitted = Codec.fit(rides)
    said = fitted.to_json()
    for name in ("Mars/Base", 7, "../../etc"):
        damaged = {**said, "calendars": {"when": {**said["calendars"]["when"], "zone": name}}}
        with pytest.raises(ValueError, match="a calendar must have days"):
            Codec.from_parts(damaged, fitted.arrays())


def test_rows_follow_the_hours_and_the_weekdays_of_the_table(tmp_path: object) -> None:
    rides = _rides(1_200)
    fitted = Synthesizer(seed=0).fit(rides)
    fake = fitted.sample(3_000, seed=1)
    found, real = _busy(fake), _busy(rides)
    assert found[0] > 1.25 * found[1]  # few steps: of the table it is more than three times as many
    assert found[:2].sum() > 2.5 * found[2:].sum()
    np.testing.assert_allclose(found[[0, 2]], real[[0, 2]], rtol=0.3)
    fitted.save(f"{tmp_path}/model")
    assert Synthesizer.load(f"{tmp_path}/model").sample(200, seed=1).equals(fake.iloc[:200])


def test_trees_are_shown_what_recurs() -> None:
    table = to_arrow(_rides(60).assign(day=pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(60), unit="D")))
    schema = Schema.infer(table)
    shown = with_parts(schema, schema.cells(table)).numbers
    when = table["when"].to_pandas()
    assert shown[part_of("when", "weekday")].tolist() == when.dt.day_of_week.tolist()
    assert shown[part_of("when", "time")].tolist() == when.dt.hour.tolist()
    assert shown[part_of("day", "weekday")].tolist() == [(i + 2) % 7 for i in range(60)]
    assert part_of("day", "time") not in shown
    assert part_of("day", "day") not in shown
    plain = pa.table({"x": np.arange(60) % 9, "y": np.arange(60) % 5})
    cells = Schema.infer(plain).cells(plain)
    assert with_parts(Schema.infer(plain), cells).numbers.keys() == cells.numbers.keys()


def test_the_report_sees_hours_that_nothing_follows() -> None:
    rides, other = _rides(), _rides(seed=1)
    blurred = other.assign(when=np.random.default_rng(0).permutation(other["when"]))
    good, bad = (evaluate(rides, fake, test=_rides(seed=2), target="rides").scores for fake in (other, blurred))
    assert good["detection"].value < 0.55
    assert bad["detection"].value > 0.75
    assert good["utility"].value < 0.5
    assert bad["utility"].value > 0.9


def test_a_moment_is_not_predicted_from_its_own_parts() -> None:
    generator = np.random.default_rng(1)
    when = START + pd.to_timedelta(generator.integers(0, 6 * 24, ROWS), unit="h")  # of which the weekday tells the day
    frame = pd.DataFrame({"when": when, "wind": generator.normal(size=ROWS)})
    scores = evaluate(frame, frame, test=frame.assign(wind=frame["wind"].to_numpy()[::-1]), target="when").scores
    assert scores["utility"].value > 0.9
