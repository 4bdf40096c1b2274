"""Data frames of pandas, polars and pyarrow: to Arrow, and back to what they were."""

from __future__ import annotations

import datetime
import decimal
import json
from collections.abc import Callable
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
import pyarrow as pa
from narwhals import dependencies

from scorewise.tabular.defect import TableError, listed, require_distinct_names
from scorewise.tabular.dtype import family

FrameKind = Literal["pandas", "polars", "pyarrow"]

_KEY = b"scorewise"  # where an Arrow table remembers the pandas dtypes that Arrow has no type for
_MISSING: dict[str, Any] = {"None": None, "nan": np.nan, "NA": pd.NA, "NaT": pd.NaT}
_CELLS: dict[str, Callable[[Any], Any]] = {  # the class of the cells of an object column, where Arrow gives another
    "": lambda cell: cell,
    "Timestamp": pd.Timestamp,
    "Timedelta": pd.Timedelta,
}
_SORTS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("text", (str,)),
    ("booleans", (bool, np.bool_)),
    ("numbers", (int, float, np.integer, np.floating)),
    ("decimals", (decimal.Decimal,)),
    ("timestamps", (datetime.datetime, np.datetime64)),
    ("dates", (datetime.date,)),
    ("times", (datetime.time,)),
    ("durations", (datetime.timedelta, np.timedelta64)),
)
_CONVERSION_ERRORS = (pa.ArrowException, TypeError, ValueError, OverflowError)


def kind_of(frame: Any) -> FrameKind:
    """Name the library that a data frame belongs to.

    Args:
        frame: A pandas or polars DataFrame or a pyarrow Table.

    Returns:
        "pandas", "polars" or "pyarrow".

    Raises:
        TypeError: For everything else.
    """
    if dependencies.is_pandas_dataframe(frame):
        return "pandas"
    if dependencies.is_polars_dataframe(frame):
        return "polars"
    if dependencies.is_pyarrow_table(frame):
        return "pyarrow"
    if isinstance(frame, np.ndarray):
        advice = "Wrap the array, with a name for each column: pandas.DataFrame(array, columns=[...])."
    elif dependencies.is_polars_lazyframe(frame):
        advice = "Call .collect() on it first."
    else:
        advice = "Convert it first; a file is read by scorewise.tabular.table.read_table."
    raise TypeError(
        f"A table must be a pandas or polars DataFrame or a pyarrow Table, however: {type(frame).__name__}. {advice}"
    )


def to_arrow(frame: Any) -> pa.Table:
    """Convert a data frame to an Arrow table that `like` can turn back; the caller's object is left as it is.

    A pandas index is not part of the table. Columns named by integers are named by their digits, and get their names
    back. In a pandas column of objects the missing cells come back as the kind that was found first (None, NaN, NA,
    NaT), integers among floats come back as floats, and decimals share one scale.

    Args:
        frame: A pandas or polars DataFrame or a pyarrow Table.

    Returns:
        The table, columns and rows in the same order.

    Raises:
        TypeError: Where `frame` is no data frame.
        TableError: Where columns have the same name or hold what no table can hold; all of them are named.
    """
    kind = kind_of(frame)
    if kind == "pandas":
        return _from_pandas(frame)
    if kind == "polars":
        dtypes = {name: str(dtype) for name, dtype in frame.schema.items()}
        _refuse_unsupported({name: dtype for name, dtype in dtypes.items() if dtype in {"Object", "Int128", "UInt128"}})
        return cast(pa.Table, frame.to_arrow())
    require_distinct_names(frame.column_names)
    return cast(pa.Table, frame)


def like(table: pa.Table, frame_kind: FrameKind) -> Any:
    """Convert an Arrow table to a data frame of the given library, with the dtypes that it had before `to_arrow`.

    Args:
        table: A table.
        frame_kind: "pandas", "polars" or "pyarrow", as given by `kind_of`.

    Returns:
        The data frame; a pandas one has the default RangeIndex.

    Raises:
        TableError: Where a cell is missing in a pandas column whose dtype cannot say so.
        ValueError: Where `frame_kind` is none of the three.
    """
    if frame_kind == "pyarrow":
        return table
    if frame_kind == "polars":
        import polars as pl

        return pl.from_arrow(table)
    if frame_kind == "pandas":
        return _to_pandas(table)
    raise ValueError(
        f"frame_kind must be 'pandas', 'polars' or 'pyarrow', however: frame_kind={frame_kind!r}. "
        "Pass what kind_of(frame) gives."
    )


def _refuse_unsupported(bad: dict[str, str]) -> None:
    if bad:
        raise TableError(
            "Columns must hold numbers, booleans, text, categories, dates, times or durations, "
            f"however: {listed(bad)}. Convert or drop these columns."
        )


def _from_pandas(frame: pd.DataFrame) -> pa.Table:
    if isinstance(frame.columns, pd.MultiIndex):
        raise TableError(
            f"Columns must have one name each, however: {frame.columns.nlevels} levels of names. "
            "Join the levels into one: frame.columns = frame.columns.map('_'.join)."
        )
    labels = [name.item() if isinstance(name, np.integer) else name for name in frame.columns]
    odd = [name for name in labels if isinstance(name, bool) or not isinstance(name, str | int)]
    if odd:
        raise TableError(
            f"Column names must be text or integers, however: {odd[0]!r} of type {type(odd[0]).__name__}. "
            "Rename the columns: frame.columns = frame.columns.map(str)."
        )
    names = [str(name) for name in labels]
    require_distinct_names(names)

    columns: list[pa.Array[Any]] = []
    dtypes: list[dict[str, Any]] = []
    mixed: dict[str, str] = {}
    unsupported: dict[str, str] = {}
    for position, name in enumerate(names):
        series = frame.iloc[:, position]
        dtypes.append(_dtype_to_json(series))
        values = _categories(series.dtype) if isinstance(series.dtype, pd.CategoricalDtype) else series
        if values.dtype == object:
            sorts = _sorts(values)
            if len(sorts) > 1:
                mixed[name] = " and ".join(sorts)
                continue
            if sorts and sorts[0] not in {sort for sort, _ in _SORTS}:
                unsupported[name] = sorts[0]
                continue
        try:
            columns.append(_array_from_pandas(series))
        except _CONVERSION_ERRORS:
            unsupported[name] = str(values.dtype) if values.dtype != object else "out of range"
        else:
            if family(columns[-1].type) is None:
                unsupported[name] = str(values.dtype)
    _refuse_unsupported(unsupported)
    if mixed:
        raise TableError(
            f"A column must hold one type of values, however: {listed(mixed)}. "
            "Convert each of these columns to one type, for example with .astype(str)."
        )

    plain = frame.set_axis(names, axis="columns")
    metadata = dict(pa.Schema.from_pandas(plain.iloc[:0], preserve_index=False).metadata or {})
    metadata[_KEY] = json.dumps(
        {
            "columns": {"names": labels, "dtype": str(frame.columns.dtype), "name": _index_name(frame.columns.name)},
            "dtypes": dict(zip(names, dtypes, strict=True)),
        }
    ).encode()
    return pa.Table.from_arrays(columns, names=names).replace_schema_metadata(metadata)


def _index_name(name: object) -> str | int | None:
    return name if isinstance(name, str | int) else None


def _sorts(series: pd.Series[Any]) -> list[str]:
    """Name the sorts of values in a column of objects, missing cells aside, in order of appearance."""
    present = series[series.notna()]
    sorts = dict.fromkeys(_sort(kind) for kind in dict.fromkeys(map(type, present)))
    if list(sorts) == ["timestamps"]:
        zoned = {getattr(value, "tzinfo", None) is not None for value in present}
        if len(zoned) > 1:
            return ["timestamps with a zone", "timestamps without"]
    return list(sorts)


def _sort(kind: type) -> str:
    for sort, kinds in _SORTS:
        if issubclass(kind, kinds):
            return sort
    return kind.__name__


def _array_from_pandas(series: pd.Series[Any]) -> pa.Array[Any]:
    if series.dtype == object and _sorts(series) in (["timestamps"], ["durations"]):
        index: Callable[[Any], Any] = pd.DatetimeIndex if _sorts(series) == ["timestamps"] else pd.TimedeltaIndex
        series = index(series).to_series()
    array = pa.array(series, from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _dtype_to_json(series: pd.Series[Any]) -> dict[str, Any]:
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return {"dtype": "category", "categories": _dtype_to_json(_categories(dtype))}
    if isinstance(dtype, pd.ArrowDtype):
        return {"dtype": "arrow"}
    if isinstance(dtype, pd.StringDtype):
        return {"dtype": "string", "storage": dtype.storage, "missing": "NA" if dtype.na_value is pd.NA else "nan"}
    if series.dtype.kind == "O":
        missing, known = series[series.isna()], series[series.notna()]
        cells = type(known.iloc[0]).__name__ if len(known) else ""
        return {
            "dtype": "object",
            "missing": _missing_kind(missing.iloc[0]) if len(missing) else "None",
            "cells": cells if cells in _CELLS else "",
        }
    return {"dtype": str(dtype)}


def _categories(dtype: pd.CategoricalDtype) -> pd.Series[Any]:
    return pd.Series(dtype.categories.array, dtype=dtype.categories.dtype)


def _missing_kind(value: object) -> str:
    return next((kind for kind, cell in _MISSING.items() if value is cell), "nan")


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    memory = (table.schema.metadata or {}).get(_KEY)
    if memory is None:
        return table.to_pandas(ignore_metadata=True)
    said = json.loads(memory)
    columns = {name: _series(name, table.column(name), said["dtypes"][name]) for name in table.column_names}
    frame = pd.DataFrame(columns, index=pd.RangeIndex(table.num_rows), copy=False)
    labels = dict(zip(map(str, said["columns"]["names"]), said["columns"]["names"], strict=True))
    frame.columns = pd.Index(
        [labels[name] for name in table.column_names],
        dtype=said["columns"]["dtype"] if said["columns"]["dtype"] in {"object", "str"} else None,
        name=said["columns"]["name"],
    )
    return frame


def _series(name: str, cells: pa.ChunkedArray[Any], said: dict[str, Any]) -> pd.Series[Any]:
    text = said["dtype"]
    if text == "object":
        missing = _MISSING[said["missing"]]
        objects = np.empty(len(cells), dtype=object)
        make = _CELLS[said["cells"]]
        objects[:] = [missing if value is None else make(value) for value in cells.to_pylist()]
        return pd.Series(objects, dtype=object)
    if text == "category":
        encoded: Any = cells.unify_dictionaries().combine_chunks()
        if not pa.types.is_dictionary(encoded.type):  # Parquet keeps dictionaries of text only
            encoded = encoded.dictionary_encode()
        values = _series(name, pa.chunked_array([encoded.dictionary]), said["categories"])
        categories = pd.Index(values, dtype=values.dtype)
        codes = encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy()
        return pd.Series(pd.Categorical.from_codes(codes, categories=categories, ordered=encoded.type.ordered))
    if text == "arrow":
        return pd.Series(cast(Any, pd.ArrowDtype(cells.type)).__from_arrow__(cells))
    if text == "string":
        storage = said["storage"]
        string: Any = pd.StringDtype(storage) if said["missing"] == "NA" else pd.StringDtype(storage, na_value=np.nan)
        return pd.Series(string.__from_arrow__(cells))
    dtype = pd.api.types.pandas_dtype(text)
    if not isinstance(dtype, np.dtype):
        return pd.Series(cast(Any, dtype).__from_arrow__(cells))
    if dtype.kind in "biu" and cells.null_count:
        raise TableError(
            f"Column {name!r} must have no missing cell to be of dtype {text}, "
            f"however: {cells.null_count} are missing. Ask for another kind of frame, or fill these cells first."
        )
    return pd.Series(cells.to_numpy().astype(dtype, copy=False))
