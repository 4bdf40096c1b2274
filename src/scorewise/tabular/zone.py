"""Zones of moments: what their clocks show, and by how much these are ahead of UTC."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

_FIRST, _LAST = -719_161, 2_932_895
"""Days of the years 1 to 9999 but for one at each end, counted from 1970; beyond them clocks are as on the nearest."""


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
    unit: Any = moments.type.unit
    utc = moments.cast(pa.timestamp(unit)).to_numpy(zero_copy_only=False)
    if unit != "ns":  # which does not reach so far
        utc = np.clip(utc, *np.array([_FIRST, _LAST]).astype("datetime64[D]"))
    clock = pd.DatetimeIndex(utc, tz="UTC").tz_convert(zone).tz_localize(None)
    shown: pa.Array[Any] = pa.array(clock.to_numpy(), pa.timestamp(unit))
    return shown
