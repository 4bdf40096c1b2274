"""Moments that are written as text: the one form that all cells have, read, and written again to the letter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scorewise.tabular import dtype, zone

# NOTE: of two that write the same text, the earlier one is taken: month before day with slashes, day before month else
DATES = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%-d.%-m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%-m/%-d/%Y",
    "%-d/%-m/%Y",
    "%m/%d/%y",
    "%d/%m/%y",
    "%-m/%-d/%y",
    "%-d/%-m/%y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d-%^b-%Y",
    "%d-%^b-%y",
    "%d%^b%Y",
    "%d %b %Y",
    "%-d %b %Y",
    "%d %B %Y",
    "%-d %B %Y",
    "%b %d, %Y",
    "%b %-d, %Y",
    "%B %d, %Y",
    "%B %-d, %Y",
    "%b %d %Y",
    "%b %-d %Y",
    "%a, %d %b %Y",
    "%a, %-d %b %Y",
    "%a %b %d %Y",
    "%A, %B %d, %Y",
    "%A, %B %-d, %Y",
    "%A, %d %B %Y",
    "%A, %-d %B %Y",
    "%Y%m%d",
)
MONTHS = ("%Y-%m", "%Y/%m", "%m/%Y", "%m-%Y", "%b-%Y", "%b-%y", "%b %Y", "%B %Y")
_SECONDS = ("%S", "%S.%3f", "%S.%f", "%S%.f", *(f"%S.{'0' * places}" for places in (1, 7, 9)))  # as databases do
_TWELVE = ("%I:%M", "%-I:%M", "%I:%M:%S", "%-I:%M:%S")
TIMES = (
    *(f"{mark}%H:%M" for mark in " T"),
    *(f"{mark}%H:%M:{seconds}" for mark in " T" for seconds in _SECONDS),
    *(" %-H:%M", " %-H:%M:%S"),
    *(f" {clock}{half}" for half in (" %p", "%p", " %P", "%P") for clock in _TWELVE),
    *("T%H%M", "T%H%M%S"),
)
PACKED = ("%Y%m%d", "%Y%m%d%H%M", "%Y%m%d%H%M%S", "%Y%m", "%y%m%d", "%H%M")
"""Forms of digits alone: `scorewise.tabular.packed` tells them from other codes and numbers."""
EPOCHS = ("%s", "%s%3f")
"""Seconds, and milliseconds, since 1970: likewise."""
CLOCKS = tuple(time[1:] for time in TIMES if time.startswith(" "))
_ZONE = r"Z| [A-Z]{3,4}| ?[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?"
OFFSETS = ("%:z", "%z", "%:::z")
"""What a clock with a summer time is ahead of UTC, as +hh:mm, +hhmm or +hh; a space may stand before it."""
_HOURS = re.compile(r" ?[+-]\d\d")
_FIELD = re.compile(r"%(?:[-3^.]|:{1,3})?[A-Za-z]")
_PATTERNS = {
    "Y": r"\d{4}",
    "y": r"\d{2}",
    "b": "[A-Z][a-z]{2}",
    "B": "[A-Z][a-z]{2,8}",
    "a": "[A-Z][a-z]{2}",
    "A": "[A-Z][a-z]{5,8}",
    "p": "[AP]M",
    "P": "[ap]m",
    "f": r"\d{6}",
    "s": r"\d{1,12}",
    "M": r"\d{2}",
    "S": r"\d{2}",
    "z": rf"(?:{_ZONE})",
}
_NAMES = [
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
]
_WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_MONTHS = {
    "%b": pa.array([name[:3] for name in _NAMES], pa.large_string()),
    "%^b": pa.array([name[:3].upper() for name in _NAMES], pa.large_string()),
    "%B": pa.array(_NAMES, pa.large_string()),
}
_EMPTY: Any = pa.scalar("", pa.large_string())
_NAMED = {
    "%a": pa.array([name[:3] for name in _WEEKDAYS], pa.large_string()),
    "%A": pa.array(_WEEKDAYS, pa.large_string()),
    "%p": pa.array(["AM", "PM"], pa.large_string()),
    "%P": pa.array(["am", "pm"], pa.large_string()),
}
_HALF = r"(?: ?(?:[AP]M|[ap]m))?"
_CELL = re.compile(
    r"(?P<date>\d{1,8}|\d{2}[A-Z]{3}\d{4}"
    r"|(?:[A-Z][a-z]{2,8},? )?[\dA-Za-z]{1,9}[-/. ][\dA-Za-z]{1,9}(?:(?:[-/. ]|, )\d{2,4})?)"
    rf"(?:(?P<time>[T ]\d{{1,2}}:\d{{2}}[\d:.]*{_HALF}|T\d{{4,6}})(?P<zone>{_ZONE})?)?"
)
_CLOCK = re.compile(rf"\d{{1,2}}:\d{{2}}[\d:.]*{_HALF}")
_FORM = re.compile(
    f"(?:{'|'.join(map(re.escape, DATES))})(?:(?:{'|'.join(map(re.escape, TIMES))})"
    rf"(?:(?P<zone>{_ZONE})| ?(?:{'|'.join(OFFSETS)})\[(?P<place>[\w+/-]+)\])?)?"
    f"|{'|'.join(map(re.escape, (*MONTHS, *PACKED, *EPOCHS, *CLOCKS)))}"
)
_PLACE = re.compile(r"\[[\w+/-]*\]$")
_FEW = 16  # cells that are looked at before all of them are
_CENTURY = (1969, 2068)  # the years that two digits stand for, as in POSIX
_RECENT = (1800, 2199)  # years of months without a day, and of digits alone, which might as well be other codes
_DAY = 86_400  # seconds
_DAYS_OF_DECEMBER = 31
_SWAPPED = str.maketrans("md", "dm")


def find_form(distinct: pa.Array[Any]) -> str | None:
    """Find the form in which all of the texts are written as moments.

        write(read(distinct, form), form) == distinct    to the letter

    A form is one of `DATES`, then one of `TIMES` or none, then, behind a time, a zone that all texts share: Z, letters
    behind a space, such as UTC or EST, whose clock is taken as it stands, or +hh, +hhmm or +hh:mm behind one or none;
    or where these are several and those of one place with a summer time, one of `OFFSETS` and the place in brackets:
    %:z[Europe/Berlin]; or one of `MONTHS` alone, which is taken for its first day; or one of `CLOCKS` alone, a time of
    the day, which is taken for one of 1 January 1970. Directives are those of strftime in English; %-m is a month
    without a leading zero, %^b one in capitals, %3f three digits of a second's fraction, %f six, %.f a point and six,
    or nothing where these are zeros, as Python writes moments, and %P is am or pm. Digits alone have no form here:
    `scorewise.tabular.packed` looks for it; among those of hours and minutes 2400 is the end of the day.

    Where month and day can be told either way in all texts, the month is first with slashes, the day with dashes; yet
    where one of the two ways alone puts all of them on the same day of the month, that way is taken.

    Args:
        distinct: (L,) texts, all different, none missing.

    Returns:
        The form; None where there is none.
    """
    if len(distinct) == 0:
        return None
    places: Any = np.linspace(0, len(distinct) - 1, _FEW).astype(np.int64)
    few = distinct.take(pa.array(places))
    looked_at = cast("list[str]", few.to_pylist())
    if all(map(_CLOCK.fullmatch, looked_at)):
        return next((form for form in CLOCKS if _moments(distinct, form) is not None), None)
    seen = [_CELL.fullmatch(text) for text in looked_at]
    cells = [cell for cell in seen if cell is not None]
    zones = {cell["zone"] or "" for cell in cells}
    if len(cells) < len(seen):
        return None
    offset = "%:::z" if any(_HOURS.fullmatch(said) for said in zones) else "%:z" if ":" in max(zones) else "%z"
    space = " " if all(said.startswith(" ") for said in zones) else ""
    behind = [*(zones if len(zones) == 1 else ()), *([f"{space}{offset}[UTC]"] if all(zones) else ())]
    dates = [d for d in (*DATES, *MONTHS) if all(re.fullmatch(_pattern(d), cell["date"]) for cell in cells)]
    times = [time for time in ("", *TIMES) if all(re.fullmatch(_pattern(time), cell["time"] or "") for cell in cells)]
    for date, rest in ((date, time + said) for date in dates for time in times for said in behind):
        form, moments = _fitted(distinct, few, date + rest)
        if moments is None or (form in MONTHS and not is_recent(moments)):
            continue
        swapped, other = _fitted(distinct, few, date.translate(_SWAPPED) + rest)
        return swapped if other is not None and _days(other, swapped) == 1 < _days(moments, form) else form
    return None


def is_form(form: object) -> bool:
    """Tell whether a value is a form that `find_form` may give.

    >>> is_form("%-m/%-d/%Y %H:%M"), is_form("%Y-%m-%dT%H:%M:%SZ"), is_form("%Y-%m-%dZ"), is_form("%A")
    (True, True, False, False)
    >>> is_form("%Y-%m-%d %H:%M:%S%:z[Europe/Berlin]"), is_form("%Y-%m-%d %H:%M:%S%:z[Europe/Nowhere]")
    (True, False)

    Args:
        form: The value.

    Returns:
        Whether it is.
    """
    match = _FORM.fullmatch(form) if isinstance(form, str) else None
    return match is not None and (match["place"] is None or zone.is_known(match["place"]))


def has_date(form: str) -> bool:
    """Tell whether a form says the day, and not the time of the day alone.

    Args:
        form: The form.

    Returns:
        Whether it does.
    """
    return any(field in form for field in ("%Y", "%y", "%s"))


def is_recent(moments: pa.Array[Any]) -> bool:
    """Tell whether all moments are of the years 1800 to 2199.

    Args:
        moments: (N,) timestamps, none missing.

    Returns:
        Whether they are.
    """
    years: Any = pc.year(cast("Any", moments))
    ends: Any = pc.min_max(years)
    return bool(_RECENT[0] <= ends["min"].as_py() and ends["max"].as_py() <= _RECENT[1])


def dtype_of(form: str) -> pa.DataType:
    """Give the type that holds what is written in a form.

    Args:
        form: The form.

    Returns:
        A timestamp of seconds, milliseconds (%3f) or microseconds (%f, %.f).
    """
    return pa.timestamp("ms" if "%3f" in form else "us" if "%f" in form or "%.f" in form else "s")


def zone_of(form: str) -> str | None:
    """Name the zone whose clock a form shows.

    Args:
        form: The form.

    Returns:
        Its place, such as "Europe/Berlin", or its offset from UTC, such as "+05:30"; None where that is none.
    """
    if _place(form) is not None:
        return _place(form)
    minutes = abs(_offset(form)) // 60
    return f"{'-' if _offset(form) < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}" if minutes else None


def limits(form: str) -> tuple[int, int]:
    """Give the first and the last moment that a form can write.

    Args:
        form: The form.

    Returns:
        Both ends, included, in ticks of `dtype_of(form)`: years 1 to 9999, or 1969 to 2068 where a year has two digits,
        or from 1970 on where seconds are counted from there, but for a day at either end where the zone is a place; one
        day where there is no date, its end included in `%H%M`; of months the first moments.
    """
    if not has_date(form):
        return 0, _DAY * _per_second(form) - (form != "%H%M")
    first, last = _CENTURY if "%y" in form else (1970, 9999) if "%s" in form else (1, 9999)
    years = np.array([first, last + 1])
    days = _month_starts(years, np.ones(2, dtype=np.int64)).astype("datetime64[D]").astype(np.int64)
    if _is_of_months(form):
        return int(days[0]) * _DAY, int(days[1] - _DAYS_OF_DECEMBER) * _DAY
    spare = np.array([1, -1]) * (_DAY if _place(form) is not None else 0)
    low, end = ((days * _DAY + spare - _offset(form)) * _per_second(form)).tolist()
    return low, end - 1


def read(text: pa.Array[Any], form: str) -> pa.Array[Any]:
    """Read text as moments.

    Args:
        text: (N,) texts, of type large_string.
        form: The form; a leading zero may be there or not, whatever it says.

    Returns:
        (N,) moments of type `dtype_of(form)`, in UTC where the form has a zone; null where the text is not of the form,
        or names no day or time that there is, such as 2020-02-30.
    """
    fields = [field for _, field in _pieces(form) if field]
    found: Any = pc.extract_regex(text, rf"\A{_pattern(form, named=True)}\z")
    part = {name[-1]: _integers(pc.struct_field(found, [place]), name) for place, name in enumerate(fields)}
    zero = np.zeros(len(text), dtype=np.int64)
    year = part.get("Y", zero + 1970)
    if "y" in part:
        year = part["y"] + np.where(part["y"] < _CENTURY[0] % 100, 2000, 1900)
    month = next((part[name] for name in "mbB" if name in part), zero + 1)
    day = part.get("d", zero + 1)
    hour, minute, second = (part.get(name, zero) for name in "HMS")
    known = pc.is_valid(found).to_numpy(zero_copy_only=False) & (year >= 1) & (month >= 1) & (month <= 12)
    if "I" in part:
        known &= (part["I"] >= 1) & (part["I"] <= 12)
        hour = part["I"] % 12 + 12 * part["p" if "p" in part else "P"]
    start = _month_starts(year, np.where(known, month, 1))
    days = start.astype("datetime64[D]") + (day - 1)
    on = (hour < 24) | ((hour == 24) & (minute == 0) & (form == "%H%M"))
    known &= (days.astype("datetime64[M]") == start) & on & (minute < 60) & (second < 60)
    seconds = days.astype(np.int64) * _DAY + hour * 3600 + minute * 60 + second - part.get("z", _offset(form))
    seconds = part.get("s", seconds)
    ticks = seconds * _per_second(form) + part.get("f", zero)
    return dtype.from_integers(np.where(known, ticks, 0), ~known, dtype_of(form))


def write(moments: pa.Array[Any], form: str) -> pa.Array[Any]:
    """Write moments as text, the inverse of `read`.

    Args:
        moments: (N,) moments of type `dtype_of(form)`, within `limits(form)`; what is finer than the form is left out.
            Of months the one is written whose beginning is nearest.
        form: The form.

    Returns:
        (N,) texts of type large_string, null where a moment is missing.
    """
    per = _per_second(form)
    ahead = _ahead(moments, form)
    seconds, fraction = np.divmod(dtype.integers(moments) + ahead * per, per)
    days, clock = np.divmod(seconds, _DAY)
    date = days.astype("datetime64[D]")
    start = date.astype("datetime64[M]")
    if _is_of_months(form):
        first, after = start.astype("datetime64[D]"), (start + 1).astype("datetime64[D]")
        start = start + (2 * (date - first) >= after - first)
    year = start.astype("datetime64[Y]").astype(np.int64) + 1970
    month = start.astype(np.int64) % 12 + 1
    hour = clock // 3600 + (24 * days if form == "%H%M" else 0)
    part = {
        "s": seconds,
        "Y": year,
        "y": year % 100,
        "m": month,
        "b": month,
        "B": month,
        "d": (date - start.astype("datetime64[D]")).astype(np.int64) + 1,
        "a": (days + 3) % 7,  # 1 January 1970 was a Thursday
        "A": (days + 3) % 7,
    }
    part |= {
        "H": hour,
        "I": (hour + 11) % 12 + 1,
        "p": hour // 12,
        "P": hour // 12,
        "M": clock // 60 % 60,
        "S": clock % 60,
        "f": fraction,
        "z": ahead,
    }
    pieces: list[Any] = []
    for literal, field in _pieces(form):
        pieces.append(pa.scalar(literal, pa.large_string()))
        if field:
            pieces.append(_text(part[field[-1]], field))
    text: Any = pc.binary_join_element_wise(*pieces, _EMPTY)
    return cast("pa.Array[Any]", pc.if_else(pc.is_valid(moments), text, pa.scalar(None, pa.large_string())))


def _fitted(distinct: pa.Array[Any], few: pa.Array[Any], form: str) -> tuple[str, pa.Array[Any] | None]:
    """A form with the place, where it has one, whose clock all texts show, and what they say; None if not of it."""
    if form in PACKED or not is_form(form):
        return form, None
    if _place(form) is None:
        return form, None if _moments(few, form) is None else _moments(distinct, form)
    moments = None if read(few, form).null_count else read(distinct, form)
    if moments is None or moments.null_count:
        return form, None
    said: Any = pc.extract_regex(distinct, rf"(?P<zone>{_ZONE})\z")
    seconds = _seconds(pc.struct_field(said, [0]))
    place = zone.find(moments, seconds) if len(np.unique(seconds)) > 1 else None
    form = _PLACE.sub(f"[{place}]", form)
    return form, None if place is None else _moments(distinct, form)


def _moments(text: pa.Array[Any], form: str) -> pa.Array[Any] | None:
    """The moments, where writing them gives the same text again."""
    moments = read(text, form)
    return moments if moments.null_count == 0 and write(moments, form).equals(text) else None


def _days(moments: pa.Array[Any], form: str) -> int:
    """How many days of the month there are."""
    local = dtype.integers(moments) // _per_second(form) + _ahead(moments, form)
    days = (local // _DAY).astype("datetime64[D]")
    return len(np.unique(days - days.astype("datetime64[M]").astype("datetime64[D]")))


def _pieces(form: str) -> Iterator[tuple[str, str]]:
    """Each field with the text before it; the last field is empty. The place is not written."""
    form = _PLACE.sub("", form)
    fields = [*_FIELD.findall(form), ""]
    return zip(_FIELD.split(form), fields, strict=True)


def _is_of_months(form: str) -> bool:
    """Whether a form says the month, and no day of it."""
    return form in MONTHS or form == "%Y%m"


def _pattern(form: str, *, named: bool = False) -> str:
    """A regular expression of what a form writes, and of the same with leading zeros or without."""
    pattern = ""
    pieces = list(_pieces(form))
    for place, (literal, field) in enumerate(pieces[:-1]):
        behind = pieces[place + 1]
        alone = (literal or place == 0) and (behind[0] or not behind[1])
        wide = {"%3f": r"\d{3}", "%^b": "[A-Z]{3}"}.get(field) or _PATTERNS.get(field[-1])
        one = wide or (r"\d{1,2}" if alone else r"\d{2}")
        one = f"(?P<{field[-1]}>{one})" if named else one
        pattern += re.escape(literal) + (rf"(?:\.{one})?" if field == "%.f" else one)
    return pattern + re.escape(pieces[-1][0])


def _integers(text: Any, field: str) -> np.ndarray:
    """The numbers that a field of the text says; 0 where there are none."""
    if field in _MONTHS:
        numbers = pc.add(pc.index_in(text, value_set=_MONTHS[field]), 1)
    elif field in _NAMED:
        numbers = pc.index_in(text, value_set=_NAMED[field])
    elif field in OFFSETS:
        return _seconds(text)
    elif field == "%.f":
        numbers = pc.if_else(pc.equal(text, _EMPTY), pa.scalar("0", pa.large_string()), text)  # of what is left out
    else:
        numbers = text
    plain: np.ndarray = numbers.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return plain


def _seconds(zones: Any) -> np.ndarray:
    """The seconds by which a clock is ahead of UTC that says so as in `_ZONE`; 0 where it does not."""
    digits = pc.utf8_rpad(pc.replace_substring_regex(zones, "[^0-9]", ""), 4, "0")
    number = digits.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    back = pc.starts_with(pc.utf8_ltrim(zones, " "), "-").fill_null(False).to_numpy(zero_copy_only=False)
    seconds: np.ndarray = (number // 100 * 3600 + number % 100 * 60) * np.where(back, -1, 1)
    return seconds


def _text(numbers: np.ndarray, field: str) -> Any:
    if field in _MONTHS:
        return _MONTHS[field].take(pa.array(numbers - 1))
    if field in _NAMED:
        return _NAMED[field].take(pa.array(numbers))
    if field in OFFSETS:
        return _zones(numbers, field)
    if field == "%.f":
        digits = pa.array(numbers + 10**6).cast(pa.large_string())
        return pc.if_else(pa.array(numbers == 0), _EMPTY, pc.utf8_replace_slice(digits, 0, 1, "."))
    width = {"%Y": 4, "%3f": 3, "%f": 6, "%s": 1}.get(field, 1 if field[1] == "-" else 2)
    return pc.utf8_lpad(pa.array(numbers).cast(pa.large_string()), width, "0")


def _zones(seconds: np.ndarray, field: str) -> Any:
    """How a clock that is so much ahead of UTC says so."""
    minutes = np.abs(seconds) // 60
    hour, minute = (pc.utf8_lpad(pa.array(part).cast(pa.large_string()), 2, "0") for part in divmod(minutes, 60))
    sign, mark = (
        pa.array(texts, pa.large_string())
        for texts in (np.where(seconds < 0, "-", "+"), np.where(minutes >= 0, "" if field == "%z" else ":", ""))
    )
    behind = pc.binary_join_element_wise(mark, minute, _EMPTY)
    if field == "%:::z":
        behind = pc.if_else(pa.array(minutes % 60 == 0), _EMPTY, behind)
    return pc.binary_join_element_wise(sign, hour, behind, _EMPTY)


def _month_starts(year: np.ndarray, month: np.ndarray) -> np.ndarray:
    starts: np.ndarray = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    return starts


def _per_second(form: str) -> int:
    return 10**9 // dtype.nanoseconds(dtype_of(form))


def _place(form: str) -> str | None:
    """The place whose clock a form shows, where it has a summer time."""
    match = _FORM.fullmatch(form)
    return match["place"] if match else None


def _ahead(moments: pa.Array[Any], form: str) -> Any:
    """The seconds by which the clock of a form is ahead of UTC at each of the moments, or at all of them."""
    place = _place(form)
    if place is None:
        return _offset(form)
    return zone.offset(place, moments) // 60 * 60  # of seconds, which clocks had until 1900 or so, nothing is written


def _offset(form: str) -> int:
    """The seconds by which the clock of a form is ahead of UTC, where that is always the same."""
    match = _FORM.fullmatch(form)
    return int(_seconds(pa.array([(match and match["zone"]) or "Z"]))[0])
