"""Rows of cells: how many there are, some of them, halves of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scorewise.tabular.score import UnmeasuredError

if TYPE_CHECKING:
    from scorewise.tabular.schema import Cells

ROWS_AT_MOST = 30_000  # a side, where the cost grows faster than the rows


def count(cells: Cells) -> int:
    """Count the rows.

    Args:
        cells: columns with shape (N,).

    Returns:
        N.

    Raises:
        UnmeasuredError: there is no column.
    """
    for columns in (cells.numbers, cells.categories):
        for values in columns.values():
            return len(values)
    raise UnmeasuredError(
        "A table must have a number or a category column, however: columns=0. "
        "Identifiers and constants are not compared; override the kind of a column to have it compared."
    )


def take(cells: Cells, index: npt.NDArray[np.int64]) -> Cells:
    """Pick rows.

    Args:
        cells: columns with shape (N,).
        index: row numbers with shape (M,).

    Returns:
        Columns with shape (M,).
    """
    return cells._replace(
        numbers={name: values[index] for name, values in cells.numbers.items()},
        categories={name: values[index] for name, values in cells.categories.items()},
    )


def as_bytes(cells: Cells) -> list[bytes]:
    """Give each row as bytes, which are the same for equal rows and for no others.

    Args:
        cells: columns with shape (N,).

    Returns:
        N rows.
    """
    columns = [np.zeros(count(cells))]
    columns += [np.where(np.isnan(values), np.nan, values) + 0.0 for values in cells.numbers.values()]  # one NaN, one 0
    columns += [levels.astype(np.float64) for levels in cells.categories.values()]
    return [row.tobytes() for row in np.ascontiguousarray(np.column_stack(columns))]


def subsample(cells: Cells, rows: int, generator: np.random.Generator) -> Cells:
    """Draw rows without replacement where there are more than `rows`; else keep all in their order.

    Args:
        cells: columns with shape (N,).
        rows: the most rows to keep, M.
        generator: the source of randomness.

    Returns:
        Columns with shape (min(N, M),).
    """
    total = count(cells)
    return cells if total <= rows else take(cells, generator.choice(total, rows, replace=False))


def halves(cells: Cells, generator: np.random.Generator) -> tuple[Cells, Cells]:
    """Split the rows at random into two halves.

    Args:
        cells: columns with shape (N,).
        generator: the source of randomness.

    Returns:
        Columns with shape (N // 2,) and with shape (N - N // 2,).
    """
    order = generator.permutation(count(cells))
    middle = len(order) // 2
    return take(cells, order[:middle]), take(cells, order[middle:])
