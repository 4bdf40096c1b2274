"""Moments written as text: forms found, read and written."""

import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorewise.tabular import written

ZONES = ("", "Z", "+02", "-0330", "+05:30", "-11:00")
PLACES = ("%:z[Europe/Berlin]", "%z[America/St_Johns]", "%:::z[America/New_York]", "%:::z[Australia/Lord_Howe]")
STAMPS = [date + time for date in written.DATES for time in ("", *written.TIMES)]
FORMS = [clock + zone for clock in STAMPS for zone in (ZONES if ":" in clock else ZONES[:1])]
FORMS += [
    date + time + place for date in ("%Y-%m-%d", "%m/%d/%y") for time in ("T%H:%M", " %H:%M:%S") for place in PLACES
]
FORMS += dict.fromkeys([*written.MONTHS, *written.PACKED, *written.EPOCHS, *written.CLOCKS])
DAY = 86_400


def texts(*cells):
    return pa.array(cells, pa.large_string())


def find(*cells):
    return written.find_form(texts(*cells))


def unit(form):
    """The ticks between two neighbouring moments that a form tells apart."""
    per = {"s": 1, "ms": 10**3, "us": 10**6}[written.dtype_of(form).unit]
    return 1 if per > 1 else 1 if "%S" in form or "%s" in form else 60 if "%M" in form else DAY


def is_of_months(form):
    return "%d" not in form and "%-d" not in form and written.has_date(form)


def start_of(month):
    return int(np.datetime64(month, "M").astype("datetime64[s]").astype(int))


def moments_of(form):
    low, high = written.limits(form)
    step = unit(form)
    if is_of_months(form):
        first, last = np.array([low, high], "datetime64[s]").astype("datetime64[M]").astype(int).tolist()
        return st.integers(first, last).map(start_of)
    return st.integers(0, (high - low) // step).map(lambda count: low + count * step)


@settings(max_examples=400)
@given(st.data())
def test_what_is_written_is_read_again(data):
    form = data.draw(st.sampled_from(FORMS))
    ticks = data.draw(st.lists(st.one_of(moments_of(form), st.none()), min_size=1, max_size=5))
    moments = pa.array(ticks, pa.int64()).cast(written.dtype_of(form))
    text = written.write(moments, form)
    assert text.type == pa.large_string()
    assert written.read(text, form).equals(moments)
    assert text.null_count == ticks.count(None)


def test_the_ends_of_a_form_are_written_and_read():
    for form in FORMS:
        assert written.is_form(form)
        if ":" in form and not form.startswith(("%Y-%m-%d", "%m/%d/%y")) and not form.endswith(" %H:%M"):
            continue  # all dates, and all times, but not each date with each time
        low, high = written.limits(form)
        ends = pa.array([low, high - (high - low) % unit(form)]).cast(written.dtype_of(form))
        assert written.read(written.write(ends, form), form).equals(ends), form


@settings(max_examples=200)
@given(
    st.datetimes(datetime.datetime(1969, 1, 1), datetime.datetime(2068, 12, 31)),
    st.sampled_from([clock for clock in STAMPS if not any(mark in clock for mark in ("%-", "%3f", "%^", "%.f", "%P"))]),
    st.sampled_from(["Z", "-0330", "+05:30"]),
)
def test_it_is_written_as_python_does(moment, clock, zone):
    text = moment.strftime(clock)
    read = written.read(texts(text), clock).cast(pa.timestamp("us"))
    assert read[0].as_py() == datetime.datetime.strptime(text, clock)
    assert written.write(read.cast(written.dtype_of(clock)), clock).to_pylist() == [text]
    if ":" in clock:
        there = datetime.datetime.strptime(text + zone, clock + "%z").astimezone(datetime.UTC)
        read = written.read(texts(text + zone), clock + zone).cast(pa.timestamp("us"))
        assert read[0].as_py() == there.replace(tzinfo=None)


@settings(max_examples=200)
@given(st.datetimes(datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31)), st.booleans())
def test_fractions_are_left_out_as_python_does(moment, whole):
    moment = moment.replace(microsecond=0) if whole else moment
    for text, form in ((str(moment), "%Y-%m-%d %H:%M:%S%.f"), (moment.isoformat(), "%Y-%m-%dT%H:%M:%S%.f")):
        read = written.read(texts(text), form)
        assert read[0].as_py() == moment
        assert written.write(read, form).to_pylist() == [text]


@settings(max_examples=200)
@given(st.data())
def test_a_form_that_writes_the_same_is_found(data):
    form = data.draw(st.sampled_from(FORMS))
    ticks = data.draw(st.lists(moments_of(form), min_size=1, max_size=30, unique=True))
    text = written.write(pa.array(ticks).cast(written.dtype_of(form)), form)
    found = written.find_form(text)
    if form in (*written.PACKED, *written.EPOCHS) or (
        form in written.MONTHS and not written.is_recent(pa.array(ticks, pa.timestamp("s")))
    ):
        assert found is None
        return
    assert found is not None
    assert written.write(written.read(text, found), found).equals(text)


@pytest.mark.parametrize(
    ("form", "cells"),
    [
        ("%Y-%m-%d", ["2013-06-19", "0001-01-01", "9999-12-31"]),
        ("%Y/%m/%d", ["2013/06/19", "2013/06/20"]),
        ("%d.%m.%Y", ["19.06.2013", "01.02.2013"]),
        ("%-d.%-m.%Y", ["19.6.2013", "1.12.2013"]),
        ("%m/%d/%Y", ["06/19/2013", "01/02/2013"]),
        ("%d/%m/%Y", ["19/06/2013", "01/02/2013"]),
        ("%-m/%-d/%Y", ["6/19/2013", "12/1/2013"]),
        ("%-d/%-m/%Y", ["19/6/2013", "1/12/2013"]),
        ("%m/%d/%y", ["06/19/13", "01/02/69"]),
        ("%d/%m/%y", ["19/06/13", "01/02/68"]),
        ("%-m/%-d/%y", ["6/19/13", "1/2/00"]),
        ("%-d/%-m/%y", ["19/6/13", "1/2/99"]),
        ("%d-%m-%Y", ["19-06-2013", "01-02-2013"]),
        ("%m-%d-%Y", ["06-19-2013", "01-02-2013"]),
        ("%d-%b-%Y", ["19-Jun-2013", "01-Feb-2013"]),
        ("%d-%b-%y", ["19-Jun-13", "01-Feb-69"]),
        ("%d-%^b-%Y", ["19-JUN-2013", "01-MAY-2013"]),
        ("%d-%^b-%y", ["19-JUN-13", "01-MAY-13"]),
        ("%d%^b%Y", ["19JUN2013", "01MAY2013"]),
        ("%d %b %Y", ["19 Jun 2013", "01 May 2013"]),
        ("%-d %b %Y", ["19 Jun 2013", "1 May 2013"]),
        ("%d %B %Y", ["19 June 2013", "01 May 2013"]),
        ("%-d %B %Y", ["19 September 2013", "1 May 2013"]),
        ("%b %d, %Y", ["Jun 19, 2013", "May 01, 2013"]),
        ("%b %-d, %Y", ["Jun 19, 2013", "May 1, 2013"]),
        ("%B %d, %Y", ["June 19, 2013", "May 01, 2013"]),
        ("%B %-d, %Y", ["June 19, 2013", "May 1, 2013"]),
        ("%Y-%m", ["2013-06", "1800-01", "2199-12"]),
        ("%Y/%m", ["2013/06", "1999/12"]),
        ("%m/%Y", ["06/2013", "12/1999"]),
        ("%m-%Y", ["06-2013", "12-1999"]),
        ("%b-%Y", ["Jun-2013", "May-1999"]),
        ("%b-%y", ["Jun-13", "May-99"]),
        ("%b %Y", ["Jun 2013", "May 1999"]),
        ("%B %Y", ["June 2013", "May 1999"]),
        ("%Y-%m-%d %H:%M", ["2013-06-19 05:00", "2013-06-19 15:00"]),
        ("%Y-%m-%d %H:%M:%S", ["2013-06-19 05:00:00", "2013-06-19 15:00:59"]),
        ("%Y-%m-%dT%H:%M", ["2013-06-19T05:00", "2013-06-19T15:00"]),
        ("%Y-%m-%dT%H:%M:%SZ", ["2013-06-19T05:00:00Z", "2013-06-19T15:00:00Z"]),
        ("%Y-%m-%dT%H:%M:%S.%3fZ", ["2013-06-19T05:00:00.007Z", "2013-06-19T15:00:00.120Z"]),
        ("%Y-%m-%d %H:%M:%S.%f", ["2013-06-19 05:00:00.000007", "2013-06-19 15:00:00.120000"]),
        ("%Y-%m-%d %H:%M:%S.%f", ["2013-06-19 05:00:00.000007", "2013-06-19 15:00:00.000000"]),
        ("%Y-%m-%d %H:%M:%S%.f", ["2013-06-19 05:00:00.000007", "2013-06-19 15:00:00", "2013-06-19 15:00:01.120000"]),
        ("%Y-%m-%dT%H:%M:%S%.fZ", ["2013-06-19T05:00:00Z", "2013-06-19T15:00:00.120000Z"]),
        ("%Y-%m-%d %H:%M:%S+02:00", ["2013-06-19 05:00:00+02:00", "2013-06-20 05:00:00+02:00"]),
        ("%Y-%m-%d %H:%M:%S-0330", ["2013-06-19 05:00:00-0330", "2013-06-20 05:00:00-0330"]),
        ("%Y-%m-%d %H:%M:%S+00", ["2013-06-19 05:00:00+00", "2013-06-20 05:00:00+00"]),
        ("%-m/%-d/%Y %-H:%M", ["1/31/2013 9:05", "1/2/2013 19:05"]),
        ("%m/%d/%Y %-H:%M:%S", ["01/31/2013 9:05:00", "01/02/2013 0:05:00"]),
        ("%m/%d/%Y %I:%M %p", ["01/31/2013 12:05 AM", "01/02/2013 01:05 PM"]),
        ("%-m/%-d/%y %-I:%M %p", ["1/31/13 12:05 AM", "1/2/13 1:05 PM"]),
        ("%d.%m.%Y %I:%M:%S %p", ["31.01.2013 12:05:00 PM", "02.01.2013 01:05:00 AM"]),
        ("%d.%m.%Y %-I:%M:%S %p", ["31.01.2013 12:05:00 PM", "02.01.2013 1:05:00 AM"]),
        ("%Y-%m-%d %H:%M:%S%:z[Europe/Berlin]", ["2015-01-01 00:00:00+01:00", "2015-07-01 00:00:00+02:00"]),
        ("%Y-%m-%dT%H:%M%z[Europe/London]", ["2015-01-01T00:00+0000", "2015-07-01T00:00+0100"]),
        ("%m/%d/%Y %H:%M%:::z[America/Denver]", ["01/13/2015 00:00-07", "07/01/2015 00:00-06"]),
        ("%Y-%m-%d %H:%M%:z[America/St_Johns]", ["2015-01-01 00:00-03:30", "2015-07-01 00:00-02:30"]),
        ("%Y-%m-%d %H:%M%:::z[Australia/LHI]", ["2015-01-01 00:00+11", "2015-07-01 00:00+10:30"]),
        # an hour that comes twice
        ("%Y-%m-%d %H:%M%:z[Europe/Berlin]", ["2015-10-25 02:30+02:00", "2015-10-25 02:30+01:00"]),
        ("%Y-%m-%d %H:%M %z[Europe/Berlin]", ["2015-01-01 00:00 +0100", "2015-07-01 00:00 +0200"]),
        ("%Y-%m-%d %H:%M:%S -0800", ["2015-02-24 11:35:52 -0800", "2015-02-25 00:35:52 -0800"]),
        ("%Y-%m-%d %H:%M:%S UTC", ["2013-06-19 05:00:00 UTC", "2013-06-19 15:00:00 UTC"]),
        ("%d/%m/%Y %H:%M GMT", ["19/06/2013 05:00 GMT", "20/06/2013 15:00 GMT"]),
        ("%m/%d/%Y %-I:%M %p EST", ["01/13/2013 5:00 AM EST", "02/20/2013 3:00 PM EST"]),
        ("%Y-%m-%d %H:%M:%S.0", ["2013-06-19 05:00:00.0", "2013-06-19 15:00:00.0"]),
        ("%Y-%m-%d %H:%M:%S.0000000", ["2013-06-19 05:00:00.0000000", "2013-06-19 15:00:00.0000000"]),
        ("%Y-%m-%dT%H:%M:%S.000000000Z", ["2013-06-19T05:00:00.000000000Z", "2013-06-19T15:00:00.000000000Z"]),
        ("%b %d %Y %I:%M%p", ["Jun 19 2013 05:00AM", "May 01 2013 12:59PM"]),
        ("%b %-d %Y", ["Jun 19 2013", "May 1 2013"]),
        ("%a, %d %b %Y %H:%M:%S +0000", ["Wed, 19 Jun 2013 05:00:00 +0000", "Sat, 01 Jun 2013 05:00:00 +0000"]),
        ("%A, %B %-d, %Y", ["Wednesday, June 19, 2013", "Saturday, June 1, 2013"]),
        ("%A, %d %B %Y", ["Wednesday, 19 June 2013", "Saturday, 01 June 2013"]),
        ("%a %b %d %Y", ["Wed Jun 19 2013", "Sat Jun 01 2013"]),
        ("%-m/%-d/%Y %-I:%M:%S%P", ["1/31/2013 9:05:00am", "11/2/2013 12:05:00pm"]),
        ("%I:%M %P", ["12:00 am", "01:59 pm"]),
        ("%Y%m%dT%H%M%S", ["20130619T050000", "20130619T235959"]),
        ("%Y%m%dT%H%MZ", ["20130619T0500Z", "20130619T2359Z"]),
        ("%-d %B %Y %-I:%M %p", ["19 June 2013 9:05 AM", "1 May 2013 12:05 PM"]),
        ("%H:%M", ["00:00", "23:59"]),
        ("%H:%M:%S", ["00:00:00", "23:59:59"]),
        ("%H:%M:%S.%3f", ["00:00:00.000", "23:59:59.999"]),
        ("%-H:%M", ["0:00", "23:59"]),
        ("%I:%M %p", ["12:00 AM", "01:59 PM"]),
        ("%-I:%M:%S %p", ["12:00:00 AM", "1:59:00 PM"]),
    ],
)
def test_forms_are_found(form, cells):
    assert find(*cells) == form
    assert find(cells[0]) is not None


@pytest.mark.parametrize(
    ("form", "cells"),
    [
        ("%m/%d/%Y", ["01/02/2013", "03/04/2013"]),
        ("%-m/%-d/%y 9:00", ["1/2/13 9:00", "3/4/13 9:00"]),
        ("%d-%m-%Y", ["01-02-2013", "03-04-2013"]),
        ("%d/%m/%Y", ["01/02/2013", "01/04/2013"]),  # firsts of months
        ("%m/%d/%Y", ["02/01/2013", "04/01/2013"]),
        ("%m-%d-%Y", ["02-01-2013", "04-01-2013"]),
        ("%d-%m-%Y", ["01-02-2013", "01-04-2013"]),
        ("%m/%d/%Y", ["01/01/2013", "01/01/2014"]),
    ],
)
def test_what_is_taken_where_day_and_month_may_be_either(form, cells):
    assert find(*cells) == form.replace("9:00", "%-H:%M")


@pytest.mark.parametrize(
    "cells",
    [
        [],
        [""],
        ["red"],
        ["2013"],
        ["2013-6"],
        ["2013-13"],
        ["1799-12", "1801-01"],
        ["2013-06 05:00"],
        ["1/2"],
        ["12-34-56"],
        ["12/34/56"],
        ["2013-06-19", "unknown"],
        ["2013-06-19", "2013/06/19"],
        ["2013-06-19", "2013-06-19 05:00"],
        ["1/2/2013", "01/03/2013"],
        ["1/2/2013 9:05", "1/2/2013 09:06"],
        ["06/19/2013", "19/06/2013"],
        ["2020-02-30"],
        ["2019-02-29"],
        ["2020-13-01"],
        ["2020-00-10"],
        ["2020-01-00"],
        ["0000-01-01"],
        ["2020-01-01 24:00"],
        ["2020-01-01 23:60"],
        ["2020-01-01 23:59:60"],
        ["01/01/2020 13:00 PM"],
        ["01/01/2020 00:00 AM"],
        ["01-jan-2020"],
        ["01-JAN-2020", "02-Jan-2020"],
        ["Sept-2020"],
        ["31 June 2020"],
        ["June 1 2020"],
        ["20200101"],  # digits alone
        ["20200101", "2020011"],
        ["2020101T0905"],
        ["01-Jän-2020"],
        ["01-Abc-2020"],
        [" 2013-06-19"],
        ["2013-06-19\n"],
        ["2013-06-19Z"],
        ["2013-06-19 05:00 cet"],
        ["2013-06-19 05:00UTC"],
        ["2013-06-19 05:00 Europe"],
        ["2013-01-19 05:00 EST", "2013-06-19 05:00 EDT"],
        ["2013-03-30 05:00 +01:00", "2013-03-31 05:00+02:00"],
        ["2013-06-19 05:00:00.0", "2013-06-19 05:00:00.1"],
        ["09:05 am", "09:05 PM"],
        ["Thu, 19 Jun 2013"],  # it was a Wednesday
        ["Wed, 19 Jun 2013", "Sat, 1 June 2013"],
        ["2013-06-19 05:00+24:00"],
        ["2013-06-19 05:00:00.5"],
        ["٢٠١٣-٠٦-١٩"],
        ["24:00"],
        ["12:60"],
        ["16:9"],
        ["1:2:3"],
        ["05:00Z"],
        ["09:05", "9:06"],
        ["09:05", "09:05:00"],
        ["2013-06-19", "05:00"],
        [*(f"{hour:02}:00" for hour in range(24)), "25:10"],
        ["٠٩:٠٥"],
        ["2013-03-30T05:00+02:00", "2013-03-31T05:00+01:00"],  # summer time, the wrong way round
        ["2013-03-30T05:00+01:00", "2013-03-31T05:00+0200"],
        ["2013-03-30T05:00+01:00", "2013-03-31T05:00-05:00"],  # of two places
        ["2013-01-30T05:00Z", "2013-07-31T05:00+01:00"],
        ["2013-03-30T05:00Z", "2013-03-31T05:00"],
        [*(f"2013-06-{day:02}" for day in range(1, 31)), "2013-06-31"],
    ],
)
def test_other_text_has_no_form(cells):
    assert find(*cells) is None


def test_one_odd_cell_among_many_is_found():
    days = np.datetime_as_string(np.arange("2000-01-01", "2003-01-01", dtype="datetime64[D]")).tolist()
    assert find(*days) == "%Y-%m-%d"
    for odd in ("2003-1-1", "2003-02-29", "x"):
        assert find(*days[:777], odd, *days[777:]) is None


def test_months_are_their_first_days_and_the_nearest_one_is_written():
    month = written.read(texts("Feb-2013", "Dec-1999"), "%b-%Y")
    assert month.cast(pa.string()).to_pylist() == ["2013-02-01 00:00:00", "1999-12-01 00:00:00"]
    days = ["2013-01-16", "2013-01-17", "2013-02-14", "2013-02-15", "2013-12-31"]
    moments = pa.array(np.array(days, dtype="datetime64[s]"))
    assert written.write(moments, "%Y-%m").to_pylist() == ["2013-01", "2013-02", "2013-02", "2013-03", "2014-01"]


def test_leading_zeros_are_read_whatever_the_form_says():
    day = written.read(texts("1/2/2013 9:05", "01/02/2013 09:05", "x", None), "%m/%d/%Y %-H:%M")
    assert day.cast(pa.string()).to_pylist() == ["2013-01-02 09:05:00"] * 2 + [None, None]


@pytest.mark.parametrize(
    ("form", "cells"),
    [
        (
            "%m/%d/%Y",
            ["2/30/2020", "2/29/2019", "13/1/2020", "0/1/2020", "1/0/2020", "1/32/2020", "1/1/0000", "1/1/20"],
        ),
        ("%Y-%m-%dT%H:%M:%SZ", ["2020-01-01T24:00:00Z", "2020-01-01T23:60:00Z", "2020-01-01T23:59:60Z"]),
        ("%Y-%m-%dT%H:%M:%SZ", ["2020-01-01T23:00:00", "2020-01-01 23:00:00Z", "2020-01-01T23:00:00+00:00"]),
        ("%d-%b-%Y", ["31-Apr-2020", "01-Abc-2020", "01-jan-2020"]),
        (
            "%d.%m.%Y %I:%M %p",
            ["01.01.2020 13:00 PM", "01.01.2020 00:00 AM", "01.01.2020 01:00 XM", "01.01.2020 01:00"],
        ),
    ],
)
def test_what_is_not_of_the_form_or_not_in_the_calendar_is_not_read(form, cells):
    assert written.read(texts(*cells), form).null_count == len(cells)


@pytest.mark.parametrize(("form", "years"), [("%Y-%m-%d", (1, 9999)), ("%d/%m/%y", (1969, 2068))])
def test_limits_are_the_years_that_a_form_can_write(form, years):
    first, last = (datetime.datetime(year, *day) for year, day in zip(years, ((1, 1), (12, 31)), strict=True))
    epoch = datetime.datetime(1970, 1, 1)
    assert written.limits(form) == ((first - epoch).days * DAY, (last - epoch).days * DAY + DAY - 1)


@pytest.mark.parametrize(
    "form",
    [
        *(None, 5, "", "%A", "%d", "%Y-%m-%dZ", "%Y-%m-%d %H", "%Y-%m-%d %H:%M+25:00", "%Y-%m-%d ", "%Y-%m-%d\n"),
        *("%Y-%m-%d %H:%M%:z", "%Y-%m-%d %H:%M%:z[]", "%Y-%m-%d %H:%M%:z[Moon]", "%Y-%m-%d%:z[Europe/Berlin]"),
        *("%Y-%m-%d %H:%M[Europe/Berlin]", "%Y-%m-%d %H:%MZ[Europe/Berlin]", "%Y-%m-%d %H:%M%:z[../../etc/passwd]"),
    ],
)
def test_what_is_no_form(form):
    assert not written.is_form(form)


def test_a_clock_with_a_summer_time_is_written_with_what_it_is_ahead() -> None:
    form = "%Y-%m-%d %H:%M%:z[Europe/Berlin]"
    moments = pa.array(["2015-03-29T00:59", "2015-03-29T01:00", None]).cast(pa.timestamp("s"))
    said = texts("2015-03-29 01:59+01:00", "2015-03-29 03:00+02:00", None)
    assert written.write(moments, form).equals(said)
    assert written.read(said, form).equals(moments)
    elsewhere = texts("2015-03-29 00:59Z", "2015-03-28 20:00-05", "2015-03-29 01:00")
    assert written.read(elsewhere, form).equals(moments)
    assert written.zone_of(form) == "Europe/Berlin"
    assert written.zone_of("%Y-%m-%d %H:%M-03:30") == "-03:30"
    assert written.zone_of("%Y-%m-%d %H:%M -0330") == "-03:30"
    assert written.zone_of("%Y-%m-%d %H:%M UTC") is None
    assert written.read(texts("2015-03-29 00:59 -0330"), "%Y-%m-%d %H:%M -0330").cast(pa.string()).to_pylist() == [
        "2015-03-29 04:29:00"
    ]
    assert written.zone_of("%Y-%m-%d %H:%MZ") is None


def test_the_zone_is_found_by_all_of_the_moments_whichever_are_looked_at() -> None:
    hours = np.arange("2015-03-01", "2015-04-20", dtype="datetime64[h]").astype("datetime64[s]")
    hours = np.concatenate([hours[hours < np.datetime64("2015-03-29T01")], hours[-1:]])  # one alone in summer
    for place in (1, 350, len(hours)):
        moments = pa.array(np.insert(hours[:-1], place - 1, hours[-1]))
        text = written.write(moments, "%Y-%m-%d %H:%M:%S%:z[Europe/Paris]")
        assert written.find_form(text) == "%Y-%m-%d %H:%M:%S%:z[Europe/Berlin]"
        assert written.read(text, "%Y-%m-%d %H:%M:%S%:z[Europe/Berlin]").equals(moments)
