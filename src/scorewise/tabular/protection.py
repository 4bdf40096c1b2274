"""Hide what only a few rows have, before anything is learned: the model then has nothing of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scorewise.tabular import rows
from scorewise.tabular.codec import Codec
from scorewise.tabular.defect import TableError
from scorewise.tabular.schema import Cells, Schema

FEWEST_ROWS = 5
_LEAST_KEPT = 0.5


def protect(table: pa.Table, schema: Schema, seed: int = 0) -> pa.Table:
    """Replace levels of categories that fewer than five rows have, and extreme numbers that fewer than five rows reach.

    A rare level becomes a level that is not rare, drawn as often as it occurs; it is removed from the dictionary of an
    Arrow dictionary, too. A number below the fifth smallest becomes that one, one above the fifth largest likewise. A
    column that another one determines goes with it, so that the relation stays. Rows in which a computed column, one
    that two others determine, or one of those that they depend on is rare or extreme are left out, for the same reason.
    Identifiers are left as they are, since they are made anew.

    Args:
        table: N rows.
        schema: what it is.
        seed: draws the levels.

    Returns:
        The table without what is rare, N rows or fewer, of the same columns; their order and types are kept.

    Raises:
        TableError: if a category has no level of five rows or more, or fewer than half of the rows would be left.
    """
    determined = Codec.fit(table, schema).structure.determined
    computed = determined.in_formulas.union(*((one.child, *one.parents) for one in determined.joint))
    cells = schema.cells(table)
    kept = _without_rare(cells, table.num_rows, computed)
    table, cells = table.filter(pa.array(kept)), rows.take(cells, np.flatnonzero(kept))
    generator = np.random.default_rng(seed)
    own = np.arange(table.num_rows)
    sources: dict[str, np.ndarray] = {}
    for name, values in cells.numbers.items():
        sources[name] = own if name in computed else _within_ends(values)
    for name, codes in cells.categories.items():
        sources[name] = own if name in computed else _frequent(name, codes, generator)
    for function in determined.functions:
        sources[function.child] = sources[function.parent]
    for name, source in sources.items():
        if (source != own).any():
            place = table.schema.get_field_index(name)
            table = table.set_column(place, table.schema.field(place), _taken(table.column(name), source))
    return table


def rare_levels(table: pa.Table, schema: Schema) -> dict[str, int]:
    """Count the levels that fewer than five rows have.

    Args:
        table: N rows.
        schema: what it is.

    Returns:
        How many such levels a category has, most first; categories that have none are left out.

    Raises:
        TableError: if the table is not of this schema.
    """
    codes = schema.cells(table).categories
    counts = {name: len(np.unique(one[_rare(one)])) for name, one in codes.items()}
    return {name: count for name, count in sorted(counts.items(), key=lambda item: -item[1]) if count}


def _without_rare(cells: Cells, count: int, columns: set[str]) -> np.ndarray:
    """Whether none of some columns is rare or extreme in a row, (N,).

    Raises:
        TableError: if they are fewer than half.
    """
    kept = np.ones(count, dtype=bool)
    for name in columns:
        if name in cells.numbers:
            kept &= _within_ends(cells.numbers[name]) == np.arange(count)
        else:
            kept &= ~_rare(cells.categories[name])
    if kept.mean() < _LEAST_KEPT:
        raise TableError(
            f"Half of the rows or more must be left when what fewer than {FEWEST_ROWS} rows have is hidden, however: "
            f"{int(kept.sum())} of {len(kept)}, since {sorted(columns)} depend on one another. "
            "Leave out those that others tell, or fit without protect_rare."
        )
    return kept


def _within_ends(values: np.ndarray) -> np.ndarray:
    """Rows from which each row takes its number, (N,): its own, where it is extreme the fifth most extreme one."""
    order = np.argsort(values, kind="stable")[: int((~np.isnan(values)).sum())]
    source = np.arange(len(values))
    if len(order):
        low = order[min(FEWEST_ROWS - 1, (len(order) - 1) // 2)]
        high = order[max(len(order) - FEWEST_ROWS, len(order) // 2)]
        source[values < values[low]] = low
        source[values > values[high]] = high
    return source


def _rare(codes: np.ndarray) -> np.ndarray:
    """Whether fewer than five rows have the level of a row, (N,); missing cells are not rare."""
    known = codes >= 0
    counts = np.bincount(codes[known], minlength=1)
    rare: np.ndarray = known & (counts[np.maximum(codes, 0)] < FEWEST_ROWS)
    return rare


def _frequent(name: str, codes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Rows from which each row takes its level, (N,): its own, or where it is rare another one.

    Raises:
        TableError: if all are rare.
    """
    rare = _rare(codes)
    donors = np.flatnonzero(~rare & (codes >= 0))
    source = np.arange(len(codes))
    if rare.any():
        if not len(donors):
            raise TableError(
                f"Column {name!r} must have a level of {FEWEST_ROWS} rows or more for the others to be hidden, "
                "however: none. Leave it out, or make it an identifier in the schema."
            )
        source[rare] = generator.choice(donors, int(rare.sum()))
    return source


def _taken(column: Any, source: np.ndarray) -> Any:
    """Cells of other rows; levels of a dictionary that were used and are not any more are dropped from it."""
    whole = column.combine_chunks()
    taken = whole.take(pa.array(source))
    if not isinstance(whole, pa.DictionaryArray):
        return taken
    before, after = (pc.is_in(whole.dictionary, pc.unique(one.dictionary_decode())) for one in (whole, taken))
    known = whole.dictionary.filter(pc.or_(after, pc.invert(before)))
    indices = pc.index_in(taken.dictionary_decode(), value_set=known).cast(whole.type.index_type)
    return pa.DictionaryArray.from_arrays(indices, known, ordered=whole.type.ordered)
