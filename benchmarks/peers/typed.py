"""A sample as its generator wrote it, in the dtypes of the training rows: one rule for all generators."""

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc


def typed(sample: pa.Table, like: pa.Table) -> tuple[pa.Table, float]:
    """Give a sample the columns, the order and the types of the training rows.

    Numbers are read from whatever stands for them and rounded where the column has integers; truth values are read from
    True, False, 1 and 0. What cannot be read is missing.

    Args:
        sample: the rows, columns in any type and order.
        like: the training rows.

    Returns:
        The rows, and the share of all cells that could not be read.
    """
    columns, lost = [], 0
    for field in like.schema:
        column = sample.column(field.name)
        made = _column(column, field.type)
        lost += made.null_count - column.null_count
        columns.append(made)
    share = lost / (like.num_columns * max(sample.num_rows, 1))
    return pa.table(columns, schema=like.schema), max(share, 0.0)


def _column(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if column.type == kind:
        return column
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column.cast(kind)
    cells = column.to_pandas()
    if pa.types.is_boolean(kind):
        words = cells.map(lambda cell: {"true": True, "false": False, "1": True, "0": False}.get(_word(cell)))
        return pa.chunked_array([pa.array(words.tolist(), kind)])
    numbers = pd.to_numeric(cells, errors="coerce").astype("float64")
    if pa.types.is_integer(kind):
        numbers = numbers.round()
    return pa.chunked_array([pc.cast(pa.array(numbers, from_pandas=True), kind)])


def _word(cell: object) -> str:
    return str(cell).lower().removesuffix(".0")
