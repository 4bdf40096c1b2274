"""What a table is: the kinds of its columns, and all that is needed to make a table of the very same dtypes."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scorewise.tabular import dtype
from scorewise.tabular.code import find_codes
from scorewise.tabular.column import Column, Kind
from scorewise.tabular.defect import TableError, listed, quoted, require_distinct_names
from scorewise.tabular.kind import describe

__all__ = ["Cells", "Column", "Kind", "Schema"]

MOST_COLUMNS = 1_000

_FORMAT = 1


class Cells(NamedTuple):
    """The cells of the learnable columns, by column name; N is the number of rows.

    Attributes:
        numbers: (N,) float64 in the column's own unit, NaN = missing. Temporal columns: steps counted from the column's
            first value.
        categories: (N,) int64 index into `Column.levels`, -1 = missing, `len(levels)` = a level the schema does not
            know.
    """

    numbers: dict[str, np.ndarray]
    categories: dict[str, np.ndarray]


@dataclass(frozen=True)
class Schema:
    """The columns of a table in order, its target, and the metadata from which its dtypes are rebuilt.

    Attributes:
        columns: The columns, in order.
        target: The column that a model would be asked to predict, or None.
        metadata: The metadata of the Arrow schema, among it what pandas dtypes the columns had.
    """

    columns: tuple[Column, ...]
    target: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def infer(table: pa.Table, target: str | None = None, overrides: Mapping[str, Any] | None = None) -> Schema:
        """Find out what each column of a table is.

        Kinds, by the first rule that holds; missing cells are left out:

        * constant: one value and no missing cell (one value and missing cells: category), or no value at all;
        * category: booleans, Arrow dictionaries (pandas and polars categories), and integers, decimals and floats
          that have at most 32 values and 20 rows or more for each; levels are sorted, or as in the dictionary;
        * number: text of which every cell is a date, a time of the day, or both, all of them written in one form, such
          as 1/31/2020 9:05 or 2020-01-31T09:05:00Z, or every cell a month, such as Jan-2020; it is made anew as text of
          that form. The forms, and what is taken where day and month may be either, are told by
          `scorewise.tabular.written.find_form`;
        * number: integers, whole floats and text of digits alone of which every one is a date, a month or a time, such
          as 20200131, 202001 or 905, where that is no chance, or seconds since 1970, where the name of the column has a
          word such as time; the forms are those of `scorewise.tabular.packed.find_form`. They count as moments, and are
          made anew as such integers or text;
        * number: text of which every cell is a number with the same currency, percent sign or unit, or with marks
          between thousands or a decimal comma, such as $1,200.50, 12.5% or 36 months, where such numbers would be no
          category or identifier by the rules beside; the forms are those of `scorewise.tabular.amount.find_form`;
        * number: text of which every cell is such a date, time, amount or plain number but for one word without digits,
          such as "?", "." or a blank (beside dates also 0000-00-00), that stands for what is not there, and no cell is
          missing; integers all of which are such dates or times but for the least or the largest one, such as 0 or
          99999999, likewise;
        * identifier: 20 texts or more, nine tenths of which or more are in one cell only (names, addresses, remarks);
          20 integers (or whole floats) or more that are all distinct and consecutive, or so many in so small a range
          that ten collisions or more were to be expected, or with a name such as customer_id or OrderNo. The target
          is never an identifier;
        * category: numbers on a grid that stand for what a category of text names, as postal codes do, by the rule of
          `scorewise.tabular.code.find_codes`; the target is none;
        * category: all other text;
        * number: all else, dates, timestamps, times and durations included.

        A number lies on a grid where all its values are whole multiples of one step: the greatest common divisor of
        integers; a multiple of 10^-d for floats with at most d <= 9 decimals, exactly; for temporal columns the
        greatest common divisor of the distances from the first value.

        Args:
            table: The table.
            target: The target column, or None.
            overrides: {"column": {"kind": "category"}} for some columns, or what `to_json` gave, edited by hand: kinds
                and target are taken from it, all the rest (levels, steps, bounds) is found in the table.

        Returns:
            The schema.

        Raises:
            TableError: Where the table cannot be used; the message names all columns concerned.
        """
        require_distinct_names(table.column_names)
        _require_rows(table)
        kinds, wanted = _kinds(overrides or {}, table.column_names)
        target = target if target is not None else wanted
        if target is not None:
            _require_column(target, table.column_names, "The target")
        _require_supported(table)
        arrays = {name: _whole(table.column(name)) for name in table.column_names}
        _require_finite(arrays)
        columns = tuple(
            describe(table.schema.field(name), array, kinds.get(name), is_target=name == target)
            for name, array in arrays.items()
        )
        codes = find_codes(columns, arrays) - kinds.keys() - {target}
        columns = tuple(
            describe(table.schema.field(column.name), arrays[column.name], "category", is_target=False)
            if column.name in codes
            else column
            for column in columns
        )
        _require_learnable(columns, target)
        metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        return Schema(columns, target, metadata)

    def column(self, name: str) -> Column:
        """Give a column by its name.

        Args:
            name: The name.

        Returns:
            The column.

        Raises:
            TableError: Where there is none of that name.
        """
        _require_column(name, self.names, "A column")
        return next(column for column in self.columns if column.name == name)

    @property
    def names(self) -> list[str]:
        """The names of all columns, in order."""
        return [column.name for column in self.columns]

    @property
    def learnable(self) -> list[str]:
        """The names of the columns that can be learned, in order."""
        return [column.name for column in self.columns if column.learnable]

    @property
    def numbers(self) -> tuple[Column, ...]:
        """The columns whose cells are numbers, in order."""
        return tuple(column for column in self.columns if column.kind == "number")

    @property
    def categories(self) -> tuple[Column, ...]:
        """The columns whose cells are categories, in order."""
        return tuple(column for column in self.columns if column.kind == "category")

    @property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema of the table, metadata included."""
        fields = [
            pa.field(column.name, column.dtype, column.nullable, _bytes_metadata(column.metadata) or None)
            for column in self.columns
        ]
        return pa.schema(fields, metadata=_bytes_metadata(self.metadata) or None)

    def to_json(self) -> dict[str, Any]:
        """Give the schema as plain lists, dicts, strings and numbers, to be read and edited by people."""
        return {
            "format": _FORMAT,
            "target": self.target,
            "columns": [column.to_json() for column in self.columns],
            "metadata": {key: _nested(value) for key, value in self.metadata.items()},
        }

    @staticmethod
    def from_json(said: Mapping[str, Any]) -> Schema:
        """Read what `to_json` gave, or a person's edit of it.

        Args:
            said: The plain form.

        Returns:
            The schema.

        Raises:
            TableError: Where the form is not right; the message names what is wrong.
        """
        columns = said.get("columns") if isinstance(said, Mapping) else None
        metadata = said.get("metadata", {}) if isinstance(said, Mapping) else None
        if (
            not isinstance(columns, list)
            or not all(isinstance(column, Mapping) for column in columns)
            or not isinstance(metadata, Mapping)
        ):
            raise TableError(
                f"A schema must be a dict with a list of columns, however: {str(said)[:200]}. "
                "Take it from `scorewise schema`."
            )
        if said.get("format", _FORMAT) != _FORMAT:
            raise TableError(
                f"A schema must be of format {_FORMAT}, however: format={said['format']!r}. "
                "Read it with the version of scorewise that wrote it, or infer it again."
            )
        read = tuple(Column.from_json(column) for column in columns)
        names = [column.name for column in read]
        require_distinct_names(names)
        target = said.get("target")
        if target is not None:
            _require_column(target, names, "The target")
        _require_learnable(read, target)
        given = {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}
        return Schema(read, target, given)

    def cells(self, table: pa.Table) -> Cells:
        """Give the cells of the learnable columns of a table with these columns.

        The order of the columns and harmless differences of dtype do not matter: whole floats for integers, text for
        categories, numbers and ISO dates, dates for text of dates, other units of time. Numbers are exact up to 2^53
        (of the unit of a decimal's last digit; of steps from the first value of a temporal column); beyond, they keep
        53 bits.

        Args:
            table: The table, of N rows.

        Returns:
            The cells, (N,) each.

        Raises:
            TableError: Where columns are missing, too many, or cannot be read as what the schema says.
        """
        require_distinct_names(table.column_names)
        lacking = [name for name in self.names if name not in set(table.column_names)]
        extra = [name for name in table.column_names if name not in set(self.names)]
        if lacking or extra:
            found = " and ".join(
                text
                for text, names in ((f"missing {quoted(lacking)}", lacking), (f"extra {quoted(extra)}", extra))
                if names
            )
            raise TableError(
                f"A table must have the {len(self.columns)} columns of the schema, however: {found}. "
                "Use the table that the schema was made for, or rename its columns."
            )
        _require_supported(table.select(self.names))
        arrays = {name: _whole(table.column(name)) for name in self.names}
        _require_finite(arrays)
        return Cells(
            {column.name: column.numbers(arrays[column.name]) for column in self.numbers},
            {column.name: column.categories(arrays[column.name]) for column in self.categories},
        )

    def numeric(self, cells: Cells) -> dict[str, np.ndarray]:
        """Give the values of all columns that are numbers, those included of which few values make a category.

        Args:
            cells: columns with shape (N,); not all have to be there.

        Returns:
            Values by name, NaN where missing or not known, (N,) each.
        """
        found: dict[str, np.ndarray] = {}
        for column in self.columns:
            if column.name in cells.numbers:
                found[column.name] = cells.numbers[column.name]
            elif column.name in cells.categories and (levels := column.numeric_levels) is not None:
                values = np.append(levels, [np.nan, np.nan])  # a missing cell is -1, or a code of its own
                found[column.name] = values[cells.categories[column.name]]
        return found

    def restore(self, cells: Cells, rows: int, seed: int) -> pa.Table:
        """Make a table of the very same Arrow schema; identifiers and constants are made anew.

            restore(cells(table)) == table    in all learnable columns, missing cells included

        Numbers are moved to the nearest value on the grid of their column that its type can hold. A polars or pyarrow
        column of floats that holds both NaN and null gets null for both.

        Args:
            cells: The cells of the learnable columns, (rows,) each.
            rows: The number of rows.
            seed: The seed of the identifiers.

        Returns:
            The table.

        Raises:
            ValueError: Where the cells are not those of this schema's columns and of so many rows.
        """
        given: dict[str, np.ndarray] = {**cells.numbers, **cells.categories}
        arrays = [
            column.restore(given.get(column.name), rows, np.random.default_rng([seed, position]))
            for position, column in enumerate(self.columns)
        ]
        return pa.Table.from_arrays(arrays, schema=self.arrow_schema)


def _whole(cells: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    unified: Any = cells.unify_dictionaries()
    whole: pa.Array[Any] = unified.combine_chunks()
    if isinstance(whole, pa.DictionaryArray) and not dtype.present(whole.dictionary).all():
        known = whole.dictionary.filter(pa.array(dtype.present(whole.dictionary)))  # a level must hold a value
        indices = pc.index_in(whole.dictionary_decode(), value_set=known).cast(whole.type.index_type)
        return pa.DictionaryArray.from_arrays(indices, known, ordered=whole.type.ordered)
    return whole


def _require_rows(table: pa.Table) -> None:
    if table.num_rows < 2:
        found = f"{table.num_rows} row" + ("" if table.num_rows == 1 else "s")
        raise TableError(
            f"A table must have 2 rows or more, however: {found}. Give a table with more rows; a few hundred is little."
        )


def _require_supported(table: pa.Table) -> None:
    bad = {field.name: str(field.type) for field in table.schema if dtype.family(field.type) is None}
    if bad:
        raise TableError(
            "Columns must hold numbers, booleans, text, categories, dates, times or durations, "
            f"however: {listed(bad)}. Convert or drop these columns."
        )


def _require_finite(arrays: Mapping[str, pa.Array[Any]]) -> None:
    infinite = [
        name for name, array in arrays.items() if pa.types.is_floating(array.type) and pc.any(pc.is_inf(array)).as_py()
    ]
    if infinite:
        raise TableError(
            f"Numbers must be finite, however: {quoted(infinite)} hold infinite values. "
            "Replace them by missing cells or by a large number."
        )


def _require_column(name: object, names: Iterable[str], what: str) -> None:
    known = list(names)
    if name in known:
        return
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    raise TableError(
        f"{what} must be a column of the table, however: there is no {name!r}. "
        + (f"Did you mean {quoted(near)}?" if near else f"The columns are {quoted(known)}.")
    )


def _require_learnable(columns: tuple[Column, ...], target: str | None) -> None:
    learnable = [column.name for column in columns if column.learnable]
    if len(learnable) < 2:
        rest = {column.name: column.kind for column in columns if not column.learnable}
        found = f"one column, {learnable[0]!r}" if learnable else "none"
        aside = f" (besides {listed(rest)})" if rest else ""
        raise TableError(
            f"A table must have 2 columns or more that can be learned, however: {found}{aside}. "
            "Add columns, or choose other kinds for these."
        )
    if len(learnable) > MOST_COLUMNS:
        raise TableError(
            f"A table must have at most {MOST_COLUMNS:,} columns that can be learned, however: {len(learnable):,}. "
            "Drop the columns that matter least."
        )
    if target is not None and target not in learnable:
        kind = next(column.kind for column in columns if column.name == target)
        raise TableError(
            f"The target must be a number or a category, however: {target!r} is of kind {kind}. "
            "Choose another target, or none."
        )


def _kinds(overrides: Mapping[str, Any], names: list[str]) -> tuple[dict[str, Kind], str | None]:
    said = overrides.get("columns")
    if isinstance(said, list):
        target = overrides.get("target")
        changes = [(str(column.get("name")) if isinstance(column, Mapping) else "", column) for column in said]
    else:
        target = None
        changes = list(overrides.items())
    wanted: dict[str, Kind] = {}
    for name, change in changes:
        if not isinstance(change, Mapping) or "kind" not in change:
            raise TableError(
                f"An override must be a dict with a kind, however: {change!r} for {name!r}. "
                'Give {"kind": "category"}, for example.'
            )
        wanted[name] = change["kind"]
    for name, kind in wanted.items():
        _require_column(name, names, "An override")
        if kind not in {"number", "category", "identifier", "constant"}:
            raise TableError(
                f"A kind must be number, category, identifier or constant, however: {kind!r} for {name!r}. "
                "Choose one of these."
            )
    return wanted, target


def _nested(text: str) -> Any:
    """Give the JSON inside a text as JSON where it can be written back to the same text."""
    try:
        said = json.loads(text)
    except ValueError:
        return text
    return said if isinstance(said, dict | list) and json.dumps(said) == text else text


def _bytes_metadata(metadata: Mapping[str, str]) -> dict[bytes | str, bytes | str]:
    return {key.encode(): value.encode() for key, value in metadata.items()}
