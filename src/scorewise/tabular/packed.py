"""Moments that are written as integers, such as 20130619: told from other numbers, read, and written again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scorewise.tabular import dtype, written

_CHANCE = 1e-9
"""Probability at which as many numbers of the same range, drawn at random, may all read as moments."""
_DRAWS = 2_000
_FEW = 64  # numbers that are looked at before all of them are
_WIDTHS = {"Y": 4}  # of fields, where not two digits


def find_form(distinct: np.ndarray, of: pa.DataType) -> str | None:
    """Find the form in which integers are written as moments, if they are.

    That is one of `scorewise.tabular.written.PACKED` in which every number reads as a moment, of the years 1800 to
    2199, where that is no chance: with the share p of such numbers among all that lie between the least and the largest
    one on the same grid, `p ** L` is below 1e-9. Leading zeros are not there: 517 is 05:17, and of times of the day
    those alone count as evidence that say an hour. Of several forms the one of least chance is taken.

        write(read(distinct, form), form) == distinct

    Args:
        distinct: (L,) different numbers, increasing.
        of: The type of the column; one that cannot hold all numbers of so many digits has no such form.

    Returns:
        The form; None where there is none.
    """
    found = {form: _chance(distinct, form) for form in written.PACKED if _holds(of, form)}
    form = min(found, key=lambda form: found[form], default=None)
    return form if form is not None and found[form] < math.log(_CHANCE) else None


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
    return written.read(pc.utf8_lpad(text, _width(form), "0"), form)


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
    low, high = float(distinct[0]), float(distinct[-1])
    if low < 0 or high >= 10.0 ** _width(form):
        return 0.0
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
    return sum(_WIDTHS.get(field, 2) for field in form.replace("%", ""))


def _holds(of: pa.DataType, form: str) -> bool:
    family = dtype.family(of)
    if family == "float":
        width: Any = of.to_pandas_dtype()
        return bool(10 ** _width(form) <= 2 ** (np.finfo(width).nmant + 1))
    return family == "integer" and dtype.limits(of)[1] >= 10 ** _width(form) - 1
