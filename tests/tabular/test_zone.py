"""Clocks of zones, against those of the standard library."""

import datetime
import zoneinfo

import numpy as np
import pyarrow as pa
import pytest

from scorewise.tabular.zone import ahead, find, is_known, local, offset

ZONES = [
    "Europe/Berlin",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "America/New_York",
    "America/Havana",
]  # there midnight comes twice


@pytest.mark.parametrize("zone", ZONES)
def test_days_begin_when_the_clock_says_so(zone: str) -> None:
    days = np.arange(-2_000, 21_000, 1)
    place, night = zoneinfo.ZoneInfo(zone), datetime.time()
    midnights = [
        datetime.datetime.combine(datetime.date(1970, 1, 1) + datetime.timedelta(int(day)), night, place)
        for day in days
    ]
    wanted = [int(day) * 86_400 - int(midnight.timestamp()) for day, midnight in zip(days, midnights, strict=True)]
    assert ahead(zone, days).tolist() == wanted
    some = np.random.default_rng(0).permutation(days)[:50].repeat(2)
    assert ahead(zone, some).tolist() == ahead(zone, days)[some + 2_000].tolist()


def test_an_offset_is_the_same_on_all_days_and_far_away_clocks_are_as_on_the_nearest_day() -> None:
    days = np.array([-(10**9), -800_000, 0, 20_000, 10**9])
    assert ahead("-09:30", days).tolist() == [-34_200] * 5
    assert (
        ahead("Europe/Berlin", days)[[0, -1]].tolist()
        == ahead("Europe/Berlin", np.array([-719_161, 2_932_895])).tolist()
    )


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_what_a_clock_shows(zone: str, unit: str) -> None:
    seconds = np.random.default_rng(0).integers(-(10**8), 18 * 10**8, 2_000)
    moments = pa.array(seconds.astype("datetime64[s]").astype(f"datetime64[{unit}]"))
    gone = pa.array(np.arange(2_000) % 7 == 0)
    held = pa.array(
        [None if one else cell for one, cell in zip(gone.to_pylist(), moments.to_pylist(), strict=True)], moments.type
    )
    for cells in (held, held.cast(pa.timestamp(moments.type.unit, "UTC"))):
        shown = local(cells, zone)
        assert shown.type == pa.timestamp(moments.type.unit)
        place = zoneinfo.ZoneInfo(zone)
        for second, cell in zip(seconds.tolist(), shown.cast(pa.timestamp("s")).to_pylist(), strict=True):
            if cell is not None:
                assert cell == datetime.datetime.fromtimestamp(second, place).replace(tzinfo=None)
    assert shown.null_count == 286


def test_moments_beyond_the_years_of_the_calendar_are_moved_into_them() -> None:
    far = pa.array([10**12, -(10**12), 0], pa.timestamp("s", "Europe/Berlin"))
    shown = local(far, "Europe/Berlin").to_pylist()
    assert [one.year for one in shown] == [9999, 1, 1970]


@pytest.mark.parametrize(
    ("zone", "known"),
    [
        ("Europe/Berlin", True),
        ("+05:30", True),
        ("Mars/Base", False),
        ("", False),
        ("Europe", False),
        ("../etc", False),
    ],
)
def test_which_zones_are_known(zone: str, known: bool) -> None:
    assert is_known(zone) == known


@pytest.mark.parametrize("zone", ZONES)
def test_how_much_a_clock_is_ahead_at_a_moment(zone: str) -> None:
    seconds = np.random.default_rng(0).integers(0, 18 * 10**8, 2_000)
    moments = pa.array(seconds.astype("datetime64[s]"))
    there = (datetime.datetime.fromtimestamp(int(one), zoneinfo.ZoneInfo(zone)) for one in seconds)
    assert offset(zone, moments).tolist() == [int(one.utcoffset().total_seconds()) for one in there]
    assert offset(zone, pa.array([None, 10**9], pa.timestamp("ms"))).tolist()[0] == 0


@pytest.mark.parametrize(
    ("zone", "found"),
    [
        ("Europe/Madrid", "Europe/Berlin"),  # the same clock
        ("Europe/London", "Europe/London"),
        ("America/Sao_Paulo", "America/Sao_Paulo"),
        ("Australia/Lord_Howe", "Australia/LHI"),  # by half an hour; an older name of it
        ("Asia/Tehran", "Asia/Tehran"),
    ],
)
def test_the_zone_of_a_clock_is_found(zone: str, found: str) -> None:
    moments = pa.array(np.arange("2014-01-01", "2019-01-01", dtype="datetime64[h]").astype("datetime64[s]"))
    said = offset(zone, moments)
    assert find(moments, said) == found
    assert np.array_equal(offset(found, moments), said)
    said[20_011] += 3_600
    assert find(moments, said) is None
