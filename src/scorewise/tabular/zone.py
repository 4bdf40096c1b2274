"""Zones of moments: what their clocks show, and by how much these are ahead of UTC."""

from __future__ import annotations

import zoneinfo
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

_FIRST, _LAST = -719_161, 2_932_895
"""Days of the years 1 to 9999 but for one at each end, counted from 1970; beyond them clocks are as on the nearest."""
_USUAL = (
    *("Europe/Berlin", "Europe/London", "Europe/Helsinki", "Europe/Moscow"),
    *("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Anchorage"),
    *("America/Halifax", "America/St_Johns", "America/Mexico_City", "America/Sao_Paulo", "America/Santiago"),
    *("Australia/Sydney", "Australia/Adelaide", "Pacific/Auckland", "Asia/Jerusalem", "Africa/Cairo"),
)
"""Zones with a summer time that are tried before all others, each for those that go by the same clock."""
_FEW = 64  # moments that are looked at before all of them are


@cache
def is_known(zone: str) -> bool:
    """Tell whether the clock of a zone is known here.

    Args:
        zone: a name of the IANA's time zone database, such as "Europe/Berlin", or an offset, such as "+05:30".

    Returns:
        Whether it is.
    """
    try:
        pd.Timestamp(0, tz=zone)
    except (LookupError, ValueError, OSError):
        return False
    return True


def find(moments: pa.Array[Any], offsets: np.ndarray) -> str | None:
    """Find a zone whose clock is as much ahead of UTC as is told, at every one of the moments.

    Args:
        moments: (N,) timestamps of UTC, none missing.
        offsets: Seconds by which the clock is ahead at each of them, int64, shape (N,).

    Returns:
        Its name, of zones that go by the same clock at these moments that of a well-known one; None where there is no
        such zone.
    """
    few: Any = np.linspace(0, len(offsets) - 1, _FEW).astype(np.int64)
    some: pa.Array[Any] = moments.take(pa.array(few))
    for zone in dict.fromkeys([*_USUAL, *sorted(zoneinfo.available_timezones())]):
        if not is_known(zone) or not np.array_equal(offset(zone, some), offsets[few]):
            continue
        if np.array_equal(offset(zone, moments), offsets):
            return zone
    return None


def offset(zone: str, moments: pa.Array[Any]) -> np.ndarray:
    """Give by how much a clock is ahead of UTC at some moments.

    Args:
        zone: a zone that is known.
        moments: (N,) timestamps, moments of UTC where they have no zone; beyond the years 1 to 9999 it is as on the
            nearest day.

    Returns:
        Whole seconds, int64, shape (N,); 0 where a moment is missing.
    """
    utc = _utc(moments)
    clock: Any = pd.DatetimeIndex(utc, tz="UTC").tz_convert(zone).tz_localize(None)
    seconds = (clock.to_numpy() - utc).astype("timedelta64[s]")
    return np.where(np.isnat(seconds), 0, seconds.astype(np.int64))


def ahead(zone: str, days: np.ndarray) -> np.ndarray:
    """Give by how much a clock is ahead of UTC when its days begin.

    A day whose midnight comes twice begins with the first one; one whose midnight is left out begins when the clock is
    put forward.

    Args:
        zone: a zone that is known.
        days: days of its calendar, counted from the first of January 1970, int64, shape (N,).

    Returns:
        Seconds, int64, shape (N,).
    """
    each, places = np.unique(np.clip(days, _FIRST, _LAST), return_inverse=True)
    midnights = pd.DatetimeIndex(each.astype("datetime64[D]").astype("datetime64[s]"))
    begun = midnights.tz_localize(zone, ambiguous=np.ones(len(each), dtype=bool), nonexistent="shift_forward")
    seconds: np.ndarray = (midnights - begun.tz_convert(None)).to_numpy().astype("timedelta64[s]").astype(np.int64)
    return seconds[places]


def local(moments: pa.Array[Any], zone: str) -> pa.Array[Any]:
    """Give what a clock shows.

    Args:
        moments: (N,) timestamps, moments of UTC where they have no zone; those beyond the years 1 to 9999 are moved
            into them.
        zone: a zone that is known.

    Returns:
        (N,) timestamps without a zone.
    """
    clock = pd.DatetimeIndex(_utc(moments), tz="UTC").tz_convert(zone).tz_localize(None)
    shown: pa.Array[Any] = pa.array(clock.to_numpy(), pa.timestamp(moments.type.unit))
    return shown


def _utc(moments: pa.Array[Any]) -> np.ndarray:
    """Moments of UTC within the years 1 to 9999."""
    unit: Any = moments.type.unit
    utc: np.ndarray = moments.cast(pa.timestamp(unit)).to_numpy(zero_copy_only=False)
    if unit != "ns":  # which does not reach so far
        utc = np.clip(utc, *np.array([_FIRST, _LAST]).astype("datetime64[D]"))
    return utc
