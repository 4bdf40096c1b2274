"""Levels: the values of a category, as plain values, as Arrow values, and found in cells of any type."""

from __future__ import annotations

import decimal
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scorewise.tabular import delimited, dtype, grid

Level = bool | int | float | str

_NUMERIC = ("integer", "float", "decimal")


def decoded(array: pa.Array[Any]) -> pa.Array[Any]:
    """Give cells in the plain type of their values: no dictionary, text as large_string.

    Args:
        array: (N,) cells.

    Returns:
        (N,) cells.
    """
    if isinstance(array, pa.DictionaryArray):
        array = array.dictionary_decode()
    plain: pa.Array[Any] = array.cast(dtype.value_type(array.type))
    return plain


def distinct(array: pa.Array[Any]) -> pa.Array[Any]:
    """Give the distinct values of cells, sorted.

    Args:
        array: (N,) cells, none of them missing.

    Returns:
        (L,) values of the plain type.
    """
    array = decoded(array)
    if dtype.family(array.type) == "float":
        width: Any = array.type.to_pandas_dtype()
        ordered: pa.Array[Any] = pa.array(np.unique(dtype.floats(array) + 0.0).astype(width))  # -0.0 is 0.0
        return ordered
    values: Any = pc.unique(array)
    if dtype.family(array.type) in {"boolean", "text"}:
        ordered = values.take(pc.sort_indices(values))
    else:
        ordered = values.take(pa.array(np.argsort(dtype.integers(values), kind="stable")))
    return ordered


def to_json(levels: pa.Array[Any]) -> tuple[Level, ...]:
    """Give levels as plain values: text for decimals, dates and timestamps, ticks for times and durations.

    Args:
        levels: (L,) values of a plain type.

    Returns:
        The L plain values.
    """
    family = dtype.family(levels.type)
    if family == "float":
        values = dtype.floats(levels)
        step = grid.step(values, levels.type.bit_width)
        return tuple((values if step is None else grid.snap(values, step)).tolist())
    if family in {"decimal", "moment"}:
        return tuple(cast("list[str]", levels.cast(pa.string()).to_pylist()))
    if family in {"time", "duration"}:
        return tuple(dtype.integers(levels).tolist())
    return tuple(cast("list[Level]", levels.to_pylist()))


def from_json(levels: tuple[Level, ...], own: pa.DataType) -> pa.Array[Any]:
    """Read levels as an array of the plain type of their values, the inverse of `to_json`.

    Args:
        levels: The L plain values.
        own: The type of the column.

    Returns:
        (L,) values.
    """
    plain = dtype.value_type(own)
    family = dtype.family(plain)
    read: pa.Array[Any]
    if family == "float":
        width: Any = plain.to_pandas_dtype()
        read = pa.array(np.array(levels, dtype=np.float64).astype(width))
    elif family == "decimal":
        read = pa.array([decimal.Decimal(str(level)) for level in levels], plain)
    elif family == "moment":
        read = pa.array(list(levels), pa.string()).cast(plain)
    elif family in {"time", "duration"}:
        read = dtype.from_integers(np.array(levels, dtype=np.int64), np.zeros(len(levels), dtype=bool), plain)
    else:
        read = pa.array(list(levels), plain)
    return read


def match(levels: pa.Array[Any], array: pa.Array[Any]) -> np.ndarray:
    """Find each cell among the levels; what says the same in another type is the same.

    Args:
        levels: (L,) values of a plain type.
        array: (N,) cells of any type that a table can hold.

    Returns:
        (N,) int64 indices of levels, -1 where the cell is missing, L where it is none of them.
    """
    array = decoded(array)
    wanted, found = dtype.family(levels.type), dtype.family(array.type)
    gone = ~dtype.present(array)
    numeric = {"boolean", *_NUMERIC}
    if found == "null":
        return np.full(len(array), -1)
    if wanted in numeric and found == "text":
        array = delimited.numbers(_digits_for_truths(array))
        found = "float"
    if wanted == "moment" and found == "text":
        array = delimited.timestamps(array)
        found = "moment"
    if wanted in numeric and found in numeric:
        codes = _search(*_comparable(levels, array))
    elif wanted == "text" and found in {"text", *numeric}:
        if found == "boolean":
            array = pc.if_else(array, "True", "False")
        index: Any = pc.index_in(array.cast(pa.large_string()), value_set=levels)
        codes = index.fill_null(len(levels)).to_numpy(zero_copy_only=False).astype(np.int64)
    elif wanted == found:
        scale, own = dtype.nanoseconds(array.type), dtype.nanoseconds(levels.type)
        places = {int(value) * own: place for place, value in enumerate(dtype.integers(levels).tolist())}
        codes = np.array(
            [places.get(value * scale, len(levels)) for value in dtype.integers(array).tolist()], dtype=np.int64
        )
    else:
        codes = np.full(len(array), len(levels))
    return np.where(gone, -1, codes)


def _digits_for_truths(text: Any) -> Any:
    lower = pc.utf8_lower(text)
    false = pc.if_else(pc.equal(lower, pa.scalar("false", pa.large_string())), "0", text)
    return pc.if_else(pc.equal(lower, pa.scalar("true", pa.large_string())), "1", false)


def _comparable(levels: pa.Array[Any], array: pa.Array[Any]) -> tuple[np.ndarray, np.ndarray]:
    if dtype.family(levels.type) == dtype.family(array.type) == "integer" and levels.type == array.type:
        return dtype.integers(levels), dtype.integers(array)
    width = levels.type.to_pandas_dtype() if dtype.family(levels.type) == "float" else np.float64
    return dtype.floats(levels).astype(width), dtype.floats(array).astype(width)


def _search(levels: np.ndarray, values: np.ndarray) -> np.ndarray:
    order = np.argsort(levels)
    places = np.clip(np.searchsorted(levels[order], values), 0, len(levels) - 1)
    return np.where(levels[order][places] == values, order[places], len(levels))
