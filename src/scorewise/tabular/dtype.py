"""What an Arrow type is to a table: its family, its text, and the integers behind it."""

from __future__ import annotations

import re
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scorewise.tabular.defect import TableError

Family = Literal["boolean", "integer", "float", "decimal", "text", "moment", "time", "duration", "null"]

_DAY_NS = 86_400 * 10**9
_UNIT_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_INT64 = np.iinfo(np.int64)
_alias: Any = pa.type_for_alias
_dictionary: Any = pa.dictionary


def family(dtype: pa.DataType) -> Family | None:
    """Name the family of an Arrow type; a dictionary belongs to the family of its values.

    Args:
        dtype: The type.

    Returns:
        The family ("moment" is a date or a timestamp), or None for a type that no table of ours can hold.
    """
    is_a = pa.types
    if isinstance(dtype, pa.DictionaryType):
        return family(dtype.value_type) if not isinstance(dtype.value_type, pa.DictionaryType) else None
    families: tuple[tuple[Family, bool], ...] = (
        ("boolean", is_a.is_boolean(dtype)),
        ("integer", is_a.is_integer(dtype)),
        ("float", is_a.is_floating(dtype)),
        ("decimal", is_a.is_decimal(dtype)),
        ("text", is_a.is_string(dtype) or is_a.is_large_string(dtype) or is_a.is_string_view(dtype)),
        ("moment", is_a.is_date(dtype) or is_a.is_timestamp(dtype)),
        ("time", is_a.is_time(dtype)),
        ("duration", is_a.is_duration(dtype)),
        ("null", is_a.is_null(dtype)),
    )
    return next((name for name, holds in families if holds), None)


def parse(text: str) -> pa.DataType:
    """Read a type from its text, the inverse of `str(dtype)`.

    >>> parse("timestamp[us, tz=Europe/Berlin]")
    TimestampType(timestamp[us, tz=Europe/Berlin])

    Args:
        text: The type as Arrow prints it.

    Returns:
        The type.

    Raises:
        TableError: Where the text names no type that a table can hold.
    """
    if match := re.fullmatch(r"timestamp\[(s|ms|us|ns), tz=(.+)\]", text):
        unit: Any = match[1]
        return pa.timestamp(unit, match[2])
    if match := re.fullmatch(r"decimal(32|64|128|256)\((\d+), (-?\d+)\)", text):
        make = getattr(pa, f"decimal{match[1]}")
        decimal: pa.DataType = make(int(match[2]), int(match[3]))
        return decimal
    if match := re.fullmatch(r"dictionary<values=(.+), indices=(u?int\d+), ordered=([01])>", text):
        encoded: pa.DataType = _dictionary(_alias(match[2]), parse(match[1]), ordered=match[3] == "1")
        return encoded
    found: pa.DataType | None
    try:
        found = _alias(text)
    except (ValueError, TypeError):
        found = None
    if found is None or family(found) is None:
        raise TableError(
            f"arrow_type must be the name of an Arrow type such as 'int64', 'double' or 'date32[day]', "
            f"however: {text!r}. Take it from `scorewise schema`."
        )
    return found


def value_type(dtype: pa.DataType) -> pa.DataType:
    """Give the plain type in which values are compared: no dictionary, one type of text, wide decimals."""
    if isinstance(dtype, pa.DictionaryType):
        return value_type(dtype.value_type)
    if family(dtype) == "decimal" and dtype.bit_width < 128:
        return pa.decimal128(dtype.precision, dtype.scale)  # type: ignore[attr-defined]
    return pa.large_string() if family(dtype) == "text" else dtype


def nanoseconds(dtype: pa.DataType) -> int:
    """Give the length of one tick of a temporal type.

    Args:
        dtype: A date, timestamp, time or duration.

    Returns:
        The nanoseconds between two neighbouring values.
    """
    if pa.types.is_date32(dtype):
        return _DAY_NS
    return _UNIT_NS["ms" if pa.types.is_date64(dtype) else dtype.unit]  # type: ignore[attr-defined]


def limits(dtype: pa.DataType) -> tuple[int, int]:
    """Give the smallest and the largest integer behind a value of a type.

    Args:
        dtype: An integer, decimal (in units of its last digit) or temporal type (in ticks).

    Returns:
        Both ends, included.
    """
    if family(dtype) == "decimal":
        most = 10 ** int(dtype.precision) - 1  # type: ignore[attr-defined]
        return -most, most
    if family(dtype) == "integer":
        width: Any = dtype.to_pandas_dtype()
        return int(np.iinfo(width).min), int(np.iinfo(width).max)
    if family(dtype) == "time":
        return 0, _DAY_NS // nanoseconds(dtype) - 1
    if dtype.bit_width == 32:
        return int(np.iinfo(np.int32).min), int(np.iinfo(np.int32).max)
    return int(_INT64.min) + 1, int(_INT64.max)


def present(array: pa.Array[Any]) -> np.ndarray:
    """Tell which cells hold a value: neither null nor NaN.

    Args:
        array: (N,) cells.

    Returns:
        (N,) booleans.
    """
    known: np.ndarray = pc.is_valid(array).to_numpy(zero_copy_only=False)
    if pa.types.is_floating(array.type):
        known = known & ~np.isnan(array.to_numpy(zero_copy_only=False).astype(np.float64))
    return known


def integers(array: pa.Array[Any]) -> np.ndarray:
    """Give the integers behind the cells: the values, the units of the last decimal digit, or the ticks.

    Args:
        array: (N,) cells of an integer, decimal or temporal type.

    Returns:
        (N,) int64, uint64 for that type, or Python integers for decimals beyond 64 bits; 0 where a cell is missing.
    """
    dtype = array.type
    if pa.types.is_uint64(dtype):
        unsigned: np.ndarray = array.fill_null(0).to_numpy(zero_copy_only=False)
        return unsigned
    if family(dtype) == "integer":
        whole: np.ndarray = array.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        return whole
    if family(dtype) == "decimal":
        return _unscaled(array)
    bits = pa.int32() if dtype.bit_width == 32 else pa.int64()
    ticks: np.ndarray = array.view(bits).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return ticks


def from_integers(values: np.ndarray, missing: np.ndarray, dtype: pa.DataType) -> pa.Array[Any]:
    """Make cells of the integers behind them, the inverse of `integers`.

    Args:
        values: (N,) integers within `limits(dtype)`.
        missing: (N,) booleans, true where the cell is missing.
        dtype: An integer, decimal or temporal type.

    Returns:
        (N,) cells of that type.
    """
    if family(dtype) == "integer":
        return pa.array(values.astype(dtype.to_pandas_dtype()), mask=missing)
    if family(dtype) == "decimal":
        return _scaled(values, missing, dtype)
    bits = np.int32 if dtype.bit_width == 32 else np.int64
    cells: pa.Array[Any] = pa.array(values.astype(bits), mask=missing).view(dtype)
    return cells


def floats(array: pa.Array[Any]) -> np.ndarray:
    """Give boolean, integer, float or decimal cells as floats.

    Args:
        array: (N,) cells.

    Returns:
        (N,) float64, NaN where a cell is missing; a decimal is the float that prints like it.
    """
    dtype = array.type
    if family(dtype) == "float":
        given: np.ndarray = array.to_numpy(zero_copy_only=False).astype(np.float64)
        return given
    if family(dtype) == "boolean":
        array = array.cast(pa.int8())
        dtype = array.type
    values = integers(array)
    if family(dtype) == "decimal":
        values = unscaled_to_float(values, dtype)
    return np.where(present(array), values.astype(np.float64), np.nan)


def unscaled_to_float(values: np.ndarray, dtype: pa.DataType) -> np.ndarray:
    """Give decimals, counted in units of their last digit, as floats.

    Args:
        values: (N,) integers.
        dtype: The decimal type, with its scale.

    Returns:
        (N,) float64.
    """
    scale = int(dtype.scale)  # type: ignore[attr-defined]
    given: np.ndarray = (values / 10**scale if scale >= 0 else values * 10**-scale).astype(np.float64)
    return given


def from_floats(values: np.ndarray, missing: np.ndarray, dtype: pa.DataType, *, nan: bool) -> pa.Array[Any]:
    """Make cells of a float type.

    Args:
        values: (N,) float64.
        missing: (N,) booleans, true where the cell is missing.
        dtype: A float type of any width; values beyond its range become the nearest that it has.
        nan: Whether a missing cell is NaN instead of null.

    Returns:
        (N,) cells of that type.
    """
    width: Any = dtype.to_pandas_dtype()
    most = float(np.finfo(width).max)
    filled = np.where(missing, np.nan if nan else 0.0, np.clip(values, -most, most)).astype(width)
    cells: pa.Array[Any] = pa.array(filled, mask=None if nan else missing)
    return cells


def _unscaled(array: pa.Array[Any]) -> np.ndarray:
    scale = int(array.type.scale)
    wide = array.cast(pa.decimal128(38, scale))
    data: Any = wide.buffers()[1]
    words = np.frombuffer(data, dtype="<i8").reshape(-1, 2)[wide.offset : wide.offset + len(wide)]
    low, high = words[:, 0], words[:, 1]
    known: np.ndarray = pc.is_valid(array).to_numpy(zero_copy_only=False)
    if np.array_equal(high[known], low[known] >> 63):
        return np.where(known, low, np.int64(0))
    whole = [0 if value is None else int(value.scaleb(scale)) for value in wide.to_pylist()]
    return np.array(whole, dtype=object)


def _scaled(values: np.ndarray, missing: np.ndarray, dtype: pa.DataType) -> pa.Array[Any]:
    whole = np.array([0 if gone else int(value) for value, gone in zip(values, missing, strict=True)], dtype=object)
    mask = (1 << 64) - 1
    words = np.empty((len(whole), 2), dtype="<u8")
    words[:, 0] = [int(value) & mask for value in whole]
    words[:, 1] = [(int(value) >> 64) & mask for value in whole]
    wide = pa.Array.from_buffers(pa.decimal128(38, dtype.scale), len(whole), [None, pa.py_buffer(words.tobytes())])  # type: ignore[attr-defined]
    cells: pa.Array[Any] = pc.if_else(pa.array(missing), pa.scalar(None, wide.type), wide).cast(dtype)
    return cells
