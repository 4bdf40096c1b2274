"""Moments that are written as integers, 20130619 or 1371600000: told from other numbers, read, and written again."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scorewise.tabular import dtype, written

_CHANCE = 1e-9
"""Probability at which as many numbers of the same range, drawn at random, may all read as moments."""
_DRAWS = 2_000
FEWEST = 2
"""Different numbers that a column must have to have a form."""
_FEW = 64  # numbers that are looked at before all of them are
_WIDTHS = {"Y": 4, "s": 12, "3f": 3}  # of fields, where not two digits
_SINCE = (946_684_800, 2_145_916_800)
"""Seconds from 1970 to the beginnings of 2000 and of 2038."""
_WORDS = ("time", "timestamp", "timestamps", "ts", "date", "datetime", "epoch", "unix", "at")


def find_form(distinct: np.ndarray, of: pa.DataType, name: str) -> str | None:
    """Find the form in which integers are written as moments, if they are.

    That is one of `scorewise.tabular.written.PACKED` in which every number reads as a moment, of the years 1800 to
    2199, where that is no chance: with the share p of such numbers among all that lie between the least and the
    largest one on the same grid, `p ** L` is below 1e-9. Leading zeros are not there: 517 is 05:17, and of times of
    the day those alone count as evidence that say an hour; 2400 is the end of the day. Of several forms the one of
    least chance is taken. Or it is one of `scorewise.tabular.written.EPOCHS`, where all are moments of the years 2000
    to 2037 and the column is named so.

        write(read(distinct, form), form) == distinct

    Args:
        distinct: (L,) different numbers, increasing.
        of: The type of the column; one that cannot hold all numbers of so many digits has no such form.
        name: The name of the column.

    Returns:
        The form; None where there is none.
    """
    if len(distinct) < FEWEST:
        return None
    for form in written.EPOCHS:
        per_second = 10**9 // dtype.nanoseconds(written.dtype_of(form))
        since = distinct[0] >= _SINCE[0] * per_second and distinct[-1] < _SINCE[1] * per_second
        if since and _holds(of, form) and names_moments(name):
            return form
    found = {form: _chance(distinct, form) for form in written.PACKED if _holds(of, form)}
    form = min(found, key=lambda form: found[form], default="")
    return form if form and found[form] < math.log(_CHANCE) else None


def is_form(form: object) -> bool:
    """Tell whether a value is a form that `find_form` may give.

    >>> is_form("%Y%m%d"), is_form("%s"), is_form("%Y-%m-%d")
    (True, True, False)

    Args:
        form: The value.

    Returns:
        Whether it is.
    """
    return form in written.PACKED or form in written.EPOCHS


def names_moments(name: str) -> bool:
    """Tell whether a column name has a word such as time, timestamp, date or at.

    >>> [names_moments(name) for name in ("unix_time", "createdAt", "ts", "unixtime", "category", "ratio")]
    [True, True, True, True, False, False]

    Args:
        name: The column name, its words separated by capitals or anything but letters and digits.

    Returns:
        Whether it does; words may be written together where the last one is time, timestamp or date.
    """
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower())
    return any(word in _WORDS or word.endswith(("time", "timestamp", "date")) for word in words)


def read(array: pa.Array[Any], form: str) -> pa.Array[Any]:
    """Read numbers as moments.

    Args:
        array: (N,) integers, floats or decimals.
        form: The form.

    Returns:
        (N,) moments of type `written.dtype_of(form)`; null where the number is missing or no such moment.
    """
    values = dtype.floats(array)
    sound = np.isfinite(values) & (values >= 0) & (values == np.floor(values)) & (values < 10.0 ** _width(form))
    text: Any = pa.array(np.where(sound, values, 0).astype(np.int64), mask=~sound).cast(pa.large_string())
    least = {"%s": 1, "%s%3f": 4}.get(form, _width(form))
    return written.read(pc.utf8_lpad(text, least, "0"), form)


def write(moments: pa.Array[Any], form: str, of: pa.DataType, *, nan: bool = False) -> pa.Array[Any]:
    """Write moments as numbers, the inverse of `read`.

    Args:
        moments: (N,) moments of type `written.dtype_of(form)`, within `written.limits(form)`.
        form: The form.
        of: An integer or float type that holds numbers of so many digits.
        nan: Whether a missing cell of floats is NaN instead of null.

    Returns:
        (N,) numbers of that type.
    """
    text: Any = written.write(moments, form)
    missing = pc.is_null(text).to_numpy(zero_copy_only=False)
    values = text.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    if dtype.family(of) == "float":
        return dtype.from_floats(values.astype(np.float64), missing, of, nan=nan)
    return dtype.from_integers(values, missing, of)


def _chance(distinct: np.ndarray, form: str) -> float:
    """Logarithm of the probability that such numbers read as moments by chance; 0 where they do not."""
    few = distinct[np.linspace(0, len(distinct) - 1, _FEW).astype(np.int64)]
    if read(pa.array(few), form).null_count:
        return 0.0
    moments = read(pa.array(distinct), form)
    if moments.null_count or (written.has_date(form) and not written.is_recent(moments)):
        return 0.0
    telling = distinct if written.has_date(form) else distinct[distinct >= 100]
    if len(telling) < 2:
        return 0.0
    step = math.gcd(*np.diff(telling).astype(np.int64).tolist())
    places = np.random.default_rng(0).integers(0, int(telling[-1] - telling[0]) // step + 1, _DRAWS)
    others = read(pa.array(int(telling[0]) + places * step), form)
    return len(telling) * math.log((_DRAWS - others.null_count + 1) / (_DRAWS + 1))


def _width(form: str) -> int:
    """Digits of a form."""
    return sum(_WIDTHS.get(field, 2) for field in form.split("%")[1:])


def _holds(of: pa.DataType, form: str) -> bool:
    family = dtype.family(of)
    if family == "float":
        width: Any = of.to_pandas_dtype()
        return bool(10 ** _width(form) <= 2 ** (np.finfo(width).nmant + 1))
    return family == "integer" and dtype.limits(of)[1] >= 10 ** _width(form) - 1
