"""Moments written as integers: told from other numbers, read and written."""

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorewise.tabular import packed, written
from scorewise.tabular.calendar import find_calendars
from scorewise.tabular.defect import TableError
from scorewise.tabular.schema import Schema
from scorewise.tabular.table import to_arrow

DAYS = pd.date_range("2009-11-03", periods=900, freq="D")
MONTHS = pd.date_range("1985-01-01", periods=300, freq="MS")
MINUTES = pd.date_range("2013-01-01", periods=900, freq="7h11min")


def numbers(moments, form):
    return np.unique(moments.strftime(form).astype(np.int64))


def find(values, of=None, name="x"):
    return packed.find_form(np.unique(np.asarray(values)), pa.int64() if of is None else of, name)


@pytest.mark.parametrize(
    ("moments", "form"),
    [
        (DAYS, "%Y%m%d"),
        (DAYS[::30], "%Y%m%d"),
        (DAYS, "%y%m%d"),  # 91103 is 3 November 2009
        (MONTHS, "%Y%m"),
        (MONTHS[-24:], "%Y%m"),
        (MONTHS, "%Y%m%d"),  # first days of months
        (MINUTES, "%Y%m%d%H%M"),
        (MINUTES, "%Y%m%d%H%M%S"),
        (MINUTES, "%H%M"),
        (pd.date_range("2013-01-01", periods=288, freq="5min"), "%H%M"),
    ],
)
def test_forms_are_found_read_and_written_again(moments, form):
    values = numbers(moments, form)
    assert find(values) == form
    said = {datetime.datetime.strptime(str(value).zfill(len(moments[0].strftime(form))), form) for value in values}
    read = packed.read(pa.array(values), form)
    day = datetime.date(1970, 1, 1)
    said = said if written.has_date(form) else {datetime.datetime.combine(day, moment.time()) for moment in said}
    assert set(read.cast(pa.timestamp("us")).to_pylist()) == said
    assert packed.write(read, form, pa.int64()).equals(pa.array(values))


@pytest.mark.parametrize(
    "values",
    [
        np.arange(18, 60),  # years of persons: none says an hour
        np.arange(100, 160),  # all of the range is read, so that says nothing
        np.arange(50, 2400, 50),
        np.arange(1, 2_000),
        [*numbers(DAYS, "%Y%m%d"), 20_130_230],  # one that is not at an end
        [*numbers(DAYS, "%Y%m%d"), -1],
        [*numbers(DAYS, "%Y%m%d"), 99_991_231],
        numbers(DAYS[:12], "%Y%m%d"),  # as many in a row
        numbers(MONTHS[:12], "%Y%m"),
        [20_130_101, 20_140_101],
        [*numbers(MINUTES, "%H%M"), 2_401],
        numbers(MINUTES, "%H%M")[:20],
        [105, 310, 455, 612, 740, 859, 1_010, 1_233, 1_547, 2_259],  # too few to tell
        [*range(60), 100, 120, 130],  # most say no hour
        np.random.default_rng(0).integers(10_000_000, 99_999_999, 500),
        [0, 1],
        [],
    ],
)
def test_other_numbers_have_no_form(values):
    assert len(values) == 0 or find(values) is None


def test_the_end_of_the_day_may_be_2400():
    values = np.unique([*numbers(MINUTES, "%H%M"), 2_400])
    assert find(values) == "%H%M"
    cells = pa.array([0, 517, 2_359, 2_400, None])
    read = packed.read(cells, "%H%M")
    assert (read.cast(pa.int64()).to_numpy(zero_copy_only=False)[:4] / 60).tolist() == [0, 317, 1_439, 1_440]
    assert packed.write(read, "%H%M", pa.int64()).equals(cells)
    assert packed.read(pa.array([2_401, 2_460, 2_500]), "%H%M").null_count == 3
    column = Schema.infer(pa.table({"x": np.repeat(values, 3), "y": np.arange(3 * len(values)) % 7 + 0.5})).column("x")
    made = column.restore(np.linspace(-1e4, 1e6, 2_000), 2_000, np.random.default_rng(0)).to_pandas()
    assert (made.min(), made.max()) == (0, 2_400)
    assert (made % 100 < 60).all()


def test_a_type_that_does_not_hold_all_numbers_has_no_form():
    days, months = numbers(DAYS, "%Y%m%d"), numbers(MONTHS, "%Y%m")
    assert find(days, pa.int32()) == find(days, pa.float64()) == "%Y%m%d"
    assert find(days, pa.float32()) is None
    assert find(months, pa.float32()) == find(months, pa.uint32()) == "%Y%m"
    assert find(numbers(MINUTES, "%H%M"), pa.int16()) == "%H%M"
    assert find(numbers(DAYS[70:900], "%y%m%d"), pa.int16()) is None


@settings(max_examples=100)
@given(st.data())
def test_what_is_written_is_read_again(data):
    form = data.draw(st.sampled_from((*written.PACKED, *written.EPOCHS)))
    of = data.draw(st.sampled_from([pa.int64(), pa.float64(), pa.uint64()]))
    low, high = written.limits(form)
    ticks = data.draw(st.lists(st.one_of(st.integers(low, high), st.none()), min_size=1, max_size=20))
    made = packed.write(pa.array(ticks, pa.int64()).cast(written.dtype_of(form)), form, of)
    assert made.type == of
    assert made.null_count == ticks.count(None)
    assert packed.write(packed.read(made, form), form, of).equals(made)


def test_seconds_since_1970_are_moments_where_the_name_says_so():
    seconds = MINUTES.to_numpy().astype("datetime64[s]").astype(np.int64) + 60 * (np.arange(900) % 7)
    for name in ("timestamp", "unix_time", "createdAt", "unixtime"):
        assert find(seconds, name=name) == "%s"
        assert find(1_000 * seconds + 7, name=name) == "%s%3f"
    assert find(seconds, name="amount") is None
    assert find(seconds, pa.int32(), "timestamp") is None
    assert find([5, *seconds], name="timestamp") is None
    assert find(seconds[:1], name="timestamp") is None
    same = pd.DataFrame({"timestamp": seconds[0], "x": np.arange(900) % 50 + 0.5, "y": np.arange(900) % 7 + 0.5})
    assert Schema.infer(to_arrow(same)).column("timestamp").kind == "constant"
    read = packed.read(pa.array(1_000 * seconds + 7), "%s%3f")
    assert read.type == pa.timestamp("ms")
    assert read.cast(pa.int64()).to_pylist() == (1_000 * seconds + 7).tolist()
    frame = pd.DataFrame({"time": seconds, "x": np.arange(900) % 50 + 0.5})
    table = to_arrow(frame)
    column = Schema.infer(table).column("time")
    assert (column.kind, column.written, column.tick) == ("number", "%s", 60)
    values = column.numbers(table["time"].combine_chunks())
    assert column.restore(values, 900, np.random.default_rng(0)).equals(table["time"].combine_chunks())
    calendar = find_calendars({"time": column}, {"time": values})["time"]
    assert (calendar.numbers, calendar.weekdays) == (("time", "week"), True)


def test_fields_without_a_mark_between_them_have_all_their_digits():
    text = pa.array(["2013619", "201311", "20130619"], pa.large_string())
    assert written.read(text, "%Y%m%d").is_valid().to_pylist() == [False, False, True]


def test_what_is_no_moment_is_not_read():
    cells = pa.array([20_130_619, 20_130_631, -5, 10**9, None, 20_130_619.5, np.nan, np.inf])
    assert packed.read(cells, "%Y%m%d").cast(pa.date32()).to_pylist() == [datetime.date(2013, 6, 19), *[None] * 7]


def frame(rows=2_000):
    rng = np.random.default_rng(0)
    day = DAYS[rng.integers(0, len(DAYS), rows)]
    return pd.DataFrame(
        {
            "day": day.strftime("%Y%m%d").astype(int),
            "gone": np.where(rng.random(rows) < 0.1, np.nan, day.strftime("%Y%m%d").astype(float)),
            "text": day.strftime("%Y%m%d"),
            "month": MONTHS[rng.integers(0, 300, rows)].strftime("%b-%Y"),
            "unlike": rng.integers(20_100_000, 20_139_999, rows),
            "few": rng.choice(numbers(DAYS[:300:30], "%Y%m%d"), rows),
        }
    )


def test_a_schema_finds_moments_among_numbers_and_digits():
    table = to_arrow(frame())
    schema = Schema.infer(table)
    assert {column.name: (column.kind, column.written) for column in schema.columns} == {
        "day": ("number", "%Y%m%d"),
        "gone": ("number", "%Y%m%d"),
        "text": ("number", "%Y%m%d"),
        "month": ("number", "%b-%Y"),
        "unlike": ("number", None),
        "few": ("category", None),
    }
    assert Schema.from_json(schema.to_json()) == schema
    for name in ("day", "gone", "text", "month"):
        column, cells = schema.column(name), table[name].combine_chunks()
        values = column.numbers(cells)
        assert column.restore(values, len(cells), np.random.default_rng(0)).equals(cells)
        between = column.restore(values + 0.4, len(cells), np.random.default_rng(0))
        assert between.equals(cells)
    assert schema.column("day").numbers(table["day"].combine_chunks().cast(pa.float64())).max() == 899


def test_days_in_a_row_are_no_identifiers():
    days = pd.DataFrame({"day": numbers(DAYS, "%Y%m%d"), "x": np.arange(900) % 7 + 0.5})
    assert Schema.infer(to_arrow(days)).column("day").kind == "number"


def test_cells_that_are_no_moments_are_refused():
    column = Schema.infer(to_arrow(frame())).column("day")
    with pytest.raises(
        TableError, match=r"'day' must hold .* int64 written as %Y%m%d, however: 20130631 .* in that form"
    ):
        column.numbers(pa.array([20_130_619, 20_130_631]))
    text = column.numbers(pa.array(["20091103", "2009-11-04"]))
    assert text.tolist() == [0, 1]
    moments = column.numbers(pa.array([datetime.date(2009, 11, 5)]))
    assert moments.tolist() == [2]


def test_a_form_must_suit_its_type():
    said = Schema.infer(to_arrow(frame())).to_json()
    said["columns"][0]["written"] = "%Y-%m-%d"
    with pytest.raises(TableError, match=r"of integers to have one of digits alone, however: number of int64"):
        Schema.from_json(said)
    said["columns"][0] |= {"written": "%Y%m%d", "blank": "?"}
    with pytest.raises(TableError, match=r"'day' must have a written form to have a text for what is blank, however: "):
        Schema.from_json(said)
    said["columns"][0]["blank"] = "-1"
    assert Schema.from_json(said).column("day").blank == "-1"


@pytest.mark.parametrize("blank", [0, -1, 99_999_999, 99_991_231])
@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_one_number_beside_days_says_that_there_is_none(blank, dtype):
    table = frame()
    table["day"] = np.where(np.arange(len(table)) % 4 == 0, blank, table["day"]).astype(dtype)
    cells = to_arrow(table)["day"].combine_chunks()
    column = Schema.infer(to_arrow(table)).column("day")
    assert (column.kind, column.written, column.blank, column.missing) == ("number", "%Y%m%d", str(blank), 0.25)
    values = column.numbers(cells)
    np.testing.assert_array_equal(np.isnan(values), np.arange(len(table)) % 4 == 0)
    assert column.restore(values, len(cells), np.random.default_rng(0)).equals(cells)
    assert column.numbers(pa.array([str(blank), "20091104"])).tolist()[1] == 1
    two = table.assign(day=np.where(np.arange(len(table)) % 7 == 0, np.nan, table["day"]))
    assert Schema.infer(to_arrow(two)).column("day").written is None


def test_days_that_there_are_not_beside_days_of_text_say_that_there_is_none():
    days = DAYS[np.random.default_rng(0).integers(0, 900, 500)]
    gone = np.arange(500) % 4 == 0
    for form, zero in (("%Y-%m-%d", "0000-00-00"), ("%Y%m%d", "00000000"), ("%d.%m.%Y", "-")):
        cells = pa.array(np.where(gone, zero, days.strftime(form)).tolist(), pa.large_string())
        column = Schema.infer(pa.table({"day": cells, "x": np.random.default_rng(0).random(500)})).column("day")
        assert (column.written, column.blank, column.missing) == (form, zero, 0.25)
        values = column.numbers(cells)
        assert column.restore(values, 500, np.random.default_rng(0)).equals(cells)
    amounts = pa.array(["0" if none else f"${place % 90}.50" for place, none in enumerate(gone)], pa.large_string())
    assert (
        Schema.infer(pa.table({"x": amounts, "y": np.random.default_rng(0).random(500)})).column("x").kind == "category"
    )
