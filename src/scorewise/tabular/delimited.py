"""Tables as text with commas, semicolons, tabs or bars between the fields."""

from __future__ import annotations

import csv
import io
from typing import Any, Literal, cast

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from scorewise.tabular import amount, written
from scorewise.tabular.defect import TableError, require_distinct_names

_NOT_AVAILABLE = (
    "",
    "NA",
    "N/A",
    "n/a",
    "#N/A",
    "<NA>",
    "NaN",
    "nan",
    "-NaN",
    "-nan",
    "NULL",
    "null",
)
_BOOLEANS = ("True", "False", "TRUE", "FALSE", "true", "false")
_DATE = r"^\d{4}-\d{2}-\d{2}$"
_TIMESTAMP = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?$"
_TIMESTAMP_ZONED = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}(:?\d{2})?)$"
_OTHERWISE = r":.*([+-](0[1-9]|1\d|2\d|00:?[1-9])|\.(\d{1,2}|\d{4,5}|\d{7,8})(Z|[+-].*)?$)"
"""A time that a timestamp would not be written as: by another clock than UTC's, or with other fractions of a second."""
_FRACTION = r"\.(?P<digits>\d+)"
_LEADING_ZERO = r"^[+-]?0\d"
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_INFINITY = r"^[+-]?(?i:inf|infinity)$"
_MARKS = ";\t|"
DELIMITER = b"delimiter"
"""Key in the metadata of a table of what stood between its fields, where that was no comma."""


def parse(data: bytes, source: str) -> pa.Table:
    """Read delimited text with a header line; each column gets the narrowest type that all its fields have.

    Fields are separated by commas, or where the header has none, by the semicolons, tabs or bars that it has; that is
    kept in the table's metadata as `DELIMITER`, so that `render` writes them again. The types are, in this order:
    boolean (true, false), integer, float, date (2020-01-31), timestamp (2020-01-31 10:00, with seconds, fractions and Z
    where there are; with what a clock is ahead of UTC, or fractions that are no thousandths, too, where cells are not
    all written in one form), text. A field that is empty is missing, quoted or not. Where all the other fields are
    numbers, booleans or dates, so are NA, N/A, #N/A, <NA>, NaN and NULL; in a column of text these are values. None is
    a value everywhere. Numbers with leading zeros (00501), integers beyond 64 bits and dates in any other form
    (1/31/2020) stay text, character for character.

    Args:
        data: The text, encoded as UTF-8, with or without a byte order mark.
        source: What to call the text in a message.

    Returns:
        The table, of one row or more.

    Raises:
        TableError: Where the text is empty, a header only, ragged, not UTF-8, or names a column twice.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError(
            f"{source} must be encoded as UTF-8, however: byte {error.start} is 0x{data[error.start]:02x}. "
            "Save it as UTF-8, or convert it: iconv -f WINDOWS-1252 -t UTF-8."
        ) from error
    if not text.strip():
        raise TableError(f"{source} must hold a header and rows, however: it is empty. Give a file with a table in it.")
    names, mark = _header(text)
    require_distinct_names(names)
    table = _fields(data, names, mark, source)
    if table.num_rows == 0:
        raise TableError(f"{source} must hold one row or more, however: it is a header only. Add rows.")
    typed = pa.table({name: _typed(table.column(name)) for name in names})
    return typed if mark == "," else typed.replace_schema_metadata({DELIMITER: mark.encode()})


def render(table: pa.Table, mark: str | None = None) -> bytes:
    """Write a table as delimited text that `parse` reads back.

    Floats are written with the fewest digits that give the same number, and with ".0" where they are whole; booleans
    as True and False; durations as seconds; a missing cell as an empty field. Text is quoted where it has to be.

    Args:
        table: The table.
        mark: What to write between fields; what its metadata says if None, a comma where they do not.

    Returns:
        The text, encoded as UTF-8, with lines that end in a line feed.
    """
    mark = mark or (table.schema.metadata or {}).get(DELIMITER, b",").decode()
    header = io.StringIO()
    csv.writer(header, delimiter=mark, lineterminator="\n").writerow(table.column_names)
    columns = [_quoted(_text(table.column(name)), mark) for name in table.column_names]
    if len(columns) == 1:
        columns = [pc.fill_null(columns[0], '""')]
    rows = pc.binary_join_element_wise(*columns, pa.scalar(mark, pa.large_string()), null_handling="replace")
    lines = pc.binary_join_element_wise(rows, pa.scalar("", pa.large_string()), pa.scalar("\n", pa.large_string()))
    return header.getvalue().encode() + b"".join(_bytes(chunk) for chunk in lines.chunks)


def numbers(cells: pa.Array[Any] | pa.ChunkedArray[Any]) -> Any:
    """Read text as numbers.

    Args:
        cells: Text, of any length N.

    Returns:
        (N,) float64 cells, null where the text is no number.
    """
    cells = pc.utf8_trim_whitespace(cells)
    return pc.if_else(pc.match_substring_regex(cells, _NUMBER), cells, None).cast(pa.float64())


def timestamps(cells: pa.Array[Any] | pa.ChunkedArray[Any]) -> Any:
    """Read text as points in time.

    Args:
        cells: Text, of any length N.

    Returns:
        (N,) timestamps, in UTC where the text gives a zone, in the unit of the longest fraction of a second; null where
        the text is not shaped like an ISO 8601 date.

    Raises:
        pyarrow.ArrowInvalid: Where the shape is right and there is no such day or time, such as 2020-13-01.
    """
    cells = pc.utf8_trim_whitespace(cells)
    naive = pc.if_else(
        pc.or_(pc.match_substring_regex(cells, _DATE), pc.match_substring_regex(cells, _TIMESTAMP)), cells, None
    )
    zoned = pc.if_else(pc.match_substring_regex(cells, _TIMESTAMP_ZONED), cells, None)
    unit = _unit(cells)
    known = naive.cast(pa.timestamp(unit)).cast(pa.int64())
    known_zoned = zoned.cast(pa.timestamp(unit, "UTC")).cast(pa.int64())
    return pc.coalesce(known, known_zoned).cast(pa.timestamp(unit))


def _header(text: str) -> tuple[list[str], str]:
    """The names of the columns, and what stands between them."""
    names = next(csv.reader(io.StringIO(text, newline="")))
    if len(names) > 1:
        return names, ","
    mark = max(_MARKS, key=names[0].count)
    return (next(csv.reader(io.StringIO(text, newline=""), delimiter=mark)), mark) if mark in names[0] else (names, ",")


def _fields(data: bytes, names: list[str], mark: str, source: str) -> pa.Table:
    ragged: list[arrow_csv.InvalidRow] = []

    def note(row: arrow_csv.InvalidRow) -> Literal["skip", "error"]:
        ragged.append(row)
        return "skip"

    try:
        table = arrow_csv.read_csv(
            io.BytesIO(data),
            read_options=arrow_csv.ReadOptions(use_threads=False, block_size=min(max(len(data), 1 << 20), 1 << 30)),
            parse_options=arrow_csv.ParseOptions(delimiter=mark, newlines_in_values=True, invalid_row_handler=note),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.large_string()), null_values=[""], strings_can_be_null=True
            ),
        )
    except pa.ArrowInvalid as error:
        raise TableError(
            f"{source} must be a table of delimited values, however: {error}. Save it again from its program."
        ) from error
    if ragged:
        first = ragged[0]
        where = f"row {first.number}" if first.number is not None else "a row"
        raise TableError(
            f"{source} must have {first.expected_columns} fields in each row, however: {where} has "
            f"{first.actual_columns} ({len(ragged)} such rows). Quote the fields that hold a {mark!r}, or mend "
            "these rows."
        )
    return table


def _typed(cells: pa.ChunkedArray[Any]) -> Any:
    """Give a column of text the narrowest type that all its fields have."""
    trimmed = pc.utf8_trim_whitespace(cells)
    known = pc.if_else(pc.is_in(trimmed, value_set=pa.array(_NOT_AVAILABLE, pa.large_string())), None, trimmed)
    if known.null_count == len(known):
        return pa.nulls(len(known))
    if _all(pc.is_in(known, value_set=pa.array(_BOOLEANS, pa.large_string())), known):
        return known.cast(pa.bool_())
    if _all(pc.match_substring_regex(known, f"{_NUMBER}|{_INFINITY}"), known):
        return _typed_number(cells, known)
    unit = _unit(known)
    for pattern, dtype in (
        (_DATE, pa.date32()),
        (_TIMESTAMP, pa.timestamp(unit)),
        (_TIMESTAMP_ZONED, pa.timestamp(unit, "UTC")),
    ):
        if _all(pc.match_substring_regex(known, pattern), known):
            spared = pc.if_else(pc.is_valid(known), cells, None)
            if not _all(pc.invert(pc.match_substring_regex(known, _OTHERWISE)), known) and _is_written(spared):
                return spared
            try:
                return known.cast(dtype)
            except pa.ArrowInvalid:  # shaped like a date and none, such as 2020-13-01
                return cells
    if known.null_count > cells.null_count:
        spared = pc.if_else(pc.is_valid(known), cells, None)
        if _is_written(spared):
            return spared
    return cells


def _is_written(cells: pa.ChunkedArray[Any]) -> bool:
    """Whether all cells are moments that are written in one form, or amounts."""
    distinct: Any = pc.unique(cells).drop_null()
    return written.find_form(distinct) is not None or amount.find_form(distinct) is not None


def _typed_number(cells: pa.ChunkedArray[Any], known: pa.ChunkedArray[Any]) -> Any:
    if pc.any(pc.match_substring_regex(known, _LEADING_ZERO)).as_py():
        return cells
    whole = _all(pc.match_substring_regex(known, r"^[+-]?\d+$"), known)
    try:
        return pc.utf8_ltrim(known, "+").cast(pa.int64() if whole else pa.float64())
    except pa.ArrowInvalid:  # integers beyond 64 bits
        return cells


def _all(holds: Any, known: Any) -> bool:
    return bool((pc.sum(holds).as_py() or 0) == len(known) - known.null_count)


def _unit(cells: Any) -> Literal["s", "ms", "us", "ns"]:
    digits = pc.struct_field(pc.extract_regex(cells, _FRACTION), [0])
    longest = pc.max(pc.utf8_length(digits)).as_py() or 0
    units: tuple[Literal["s", "ms", "us", "ns"], ...] = ("s", "ms", "us", "ns")
    return units[-(-longest // 3)]


def _text(cells: pa.ChunkedArray[Any]) -> Any:
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    dtype = cells.type
    if pa.types.is_boolean(dtype):
        return pc.if_else(cells, pa.scalar("True", pa.large_string()), pa.scalar("False", pa.large_string()))
    if pa.types.is_duration(dtype):
        per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[dtype.unit]
        return _float_text(pc.divide(cells.cast(pa.int64()).cast(pa.float64(), safe=False), float(per_second)))
    if pa.types.is_floating(dtype):
        return _float_text(cells)
    return cells.cast(pa.large_string())


def _float_text(cells: Any) -> Any:
    cells = pc.if_else(pc.is_nan(cells), None, cells)
    text = cells.cast(pa.large_string())
    dotted = pc.binary_join_element_wise(text, pa.scalar(".0", pa.large_string()), pa.scalar("", pa.large_string()))
    return pc.if_else(pc.match_substring_regex(text, r"^-?\d+$"), dotted, text)


def _quoted(text: Any, mark: str) -> Any:
    special = pc.match_substring_regex(text, f'["{mark}\\r\\n]')
    empty = pc.equal(text, pa.scalar("", pa.large_string()))
    if not pc.any(pc.or_(special, empty)).as_py():
        return text
    quote = pa.scalar('"', pa.large_string())
    doubled = pc.replace_substring(text, '"', '""')
    wrapped = pc.binary_join_element_wise(quote, doubled, quote, pa.scalar("", pa.large_string()))
    return pc.if_else(pc.or_(special, empty), wrapped, text)


def _bytes(lines: pa.Array[Any]) -> bytes:
    return "".join(cast("list[str]", lines.to_pylist())).encode()
