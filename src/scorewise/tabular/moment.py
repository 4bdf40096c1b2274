"""Parts of a moment that other columns repeat: the month of a date, its weekday, the hour of a time, by any name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scorewise.tabular import dtype, zone
from scorewise.tabular.column import Column
from scorewise.tabular.relation import FEWEST_TOLD, Function, lookup, told

ROWS_PER_LEVEL = 10
_OF_DATES: dict[str, Callable[[Any], Any]] = {
    "weekday": pc.day_of_week,
    "month": pc.month,
    "day": pc.day,
    "week": pc.iso_week,
    "year": pc.year,
    "year and month": lambda moments: pc.add(pc.multiply(pc.year(moments), 12), pc.month(moments)),
}
_OF_CLOCKS: dict[str, Callable[[Any], Any]] = {"hour": pc.hour, "minute": pc.minute}
_PARTS = _OF_CLOCKS | _OF_DATES


def parts(column: Column) -> tuple[str, ...]:
    """Name the parts that the moments of a column have.

    Args:
        column: a number column.

    Returns:
        Of a date "weekday", "month", "day", "week" (ISO 8601), "year", "year and month"; of a time of the day "hour",
        "minute"; of both all of them. None of a column that holds no moments, or moments in a zone whose clock is not
        known here.
    """
    family = dtype.family(column.counted)
    if family == "time":
        return tuple(_OF_CLOCKS)
    if family != "moment":
        return ()
    if pa.types.is_date(column.counted):
        return tuple(_OF_DATES)
    return tuple(_PARTS) if column.zone is None or zone.is_known(column.zone) else ()


def part(column: Column, values: np.ndarray, name: str) -> np.ndarray:
    """Give a part of the moments of a column, as the clock of its zone has it.

    Args:
        column: a number column that has it.
        values: in the column's own unit, NaN where missing, shape (N,).
        name: of the part.

    Returns:
        Whole numbers in float64, NaN where missing, shape (N,).
    """
    moments = column.moments(values)
    found = _PARTS[name](moments if column.zone is None else zone.local(moments, column.zone))
    return np.asarray(found.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def find_parts(
    moments: Mapping[str, Column],
    values: Mapping[str, np.ndarray],
    codes: Mapping[str, np.ndarray],
) -> list[Function]:
    """Find the coded columns that are functions of a part of a moment in every row.

    A function counts as found on the evidence that `find_functions` asks for. Of several parts the one of fewest levels
    is taken. Moments that are determined determine nothing, and those that determine others are not determined.

    Args:
        moments: columns that hold moments.
        values: of these, in their own unit, NaN where missing, (N,) each.
        codes: codes of the columns that may be determined, (N,) from 0; missing cells have a code of their own.

    Returns:
        The functions; their tables are of `part_code`.
    """
    coded: list[tuple[str, str, float, np.ndarray]] = []
    for name, column in moments.items():
        for one in parts(column):
            cells = part(column, values[name], one)
            first = float(np.nanmin(cells))
            coded.append((name, one, first, _codes(cells, first)))
    coded.sort(key=lambda entry: int(entry[3].max()))
    found: dict[str, Function] = {}
    for child in sorted(codes, key=lambda name: name not in moments):
        own = codes[child]
        if child in {function.parent for function in found.values()}:
            continue
        for name, one, first, code in coded:
            if name == child or name in found or len(own) < ROWS_PER_LEVEL * len(np.unique(code)):
                continue
            table = lookup(code, own, int(code.max()) + 1)
            if table is not None and told(code, own) >= FEWEST_TOLD:
                found[child] = Function(child, name, _filled(table, code), one, first)
                break
    return list(found.values())


def part_code(function: Function, column: Column, values: np.ndarray) -> np.ndarray:
    """Give what the table of a function of a part is entered with.

    Args:
        function: of a part of the column.
        column: the parent.
        values: of it, in its own unit, NaN where missing, shape (N,).

    Returns:
        Places in the table, int64, shape (N,).
    """
    assert function.part is not None
    return _codes(part(column, values, function.part), function.first).clip(max=len(function.table) - 1)


def _codes(cells: np.ndarray, first: float) -> np.ndarray:
    """Places of values in a table, from 1 on; 0 where missing."""
    places = np.nan_to_num(cells - first).astype(np.int64) + 1
    return np.where(np.isnan(cells), 0, np.maximum(places, 1))


def _filled(table: np.ndarray, parent: np.ndarray) -> np.ndarray:
    """The same table, with what no row tells of taken from the nearest place that one does."""
    seen = np.unique(parent)
    places = np.arange(len(table))
    filled: np.ndarray = table[seen[np.abs(places[:, None] - seen).argmin(1)]]
    return filled
