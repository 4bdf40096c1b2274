"""Codes: numbers that stand for what another column names, as postal codes do, and are no quantities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from scorewise.tabular import dtype, level
from scorewise.tabular.column import Column
from scorewise.tabular.relation import entropy, lookup, most_frequent

SCREENED_ROWS = 20_000
FEWEST_NATS = 3.0
"""Entropy of a number of which it matters that it is a code: that of 20 of them, each as frequent."""
FEWEST_TOLD = 100
"""Rows that must share their number with another row, beside half of all rows."""
ALIKE = 0.95
"""The share of these rows that have the name that most other rows of their number have."""
MOSTLY = 0.75
"""The share of rows in which names tell a number with decimals, where it is looked up."""
NAMED = 0.7
"""The share of a number's entropy that its names have at least: a band of ages tells less of the age."""


def find_codes(columns: Sequence[Column], arrays: Mapping[str, pa.Array[Any]]) -> set[str]:
    """Find the numbers that stand for what a category of text names, in nearly every row and in nearly as much detail.

    Postal codes stand for towns: rows of one code nearly all name one town, and towns are told apart nearly as well as
    codes. As quantities codes would have a mean and neighbours; what goes with one of them would be blurred among them.
    So do rates of interest that come with a grade, of which each has two or three. A number that a name determines, as
    a price by its article, is no code: it is looked up; so is one with decimals that a name tells in most rows, as a
    price but for discounts. Nor is one without a grid.

    Args:
        columns: What each column was found to be.
        arrays: (N,) cells of each, by name.

    Returns:
        Names of number columns that are codes.
    """
    rows = len(next(iter(arrays.values()))) if arrays else 0
    some: Any = pa.array(np.sort(np.random.default_rng(0).permutation(rows)[:SCREENED_ROWS]))
    names = [_text_codes(level.decoded(arrays[one.name]).take(some)) for one in columns if _is_name(one)]
    numbers = {one.name: _number_codes(arrays[one.name].take(some)) for one in columns if names and _may_be(one)}
    whole = {one.name for one in columns if isinstance(one.step, int)}
    return {
        number for number, codes in numbers.items() if any(_stands(*codes, *name, number in whole) for name in names)
    }


def _is_name(column: Column) -> bool:
    return column.kind == "category" and dtype.family(column.dtype) == "text"


def _may_be(column: Column) -> bool:
    on_grid = dtype.family(column.dtype) in {"integer", "float"} and column.step is not None
    return column.kind == "number" and column.written is None and on_grid


def _number_codes(array: pa.Array[Any]) -> tuple[np.ndarray, np.ndarray]:
    known = dtype.present(array)
    values = dtype.floats(array)
    codes = np.zeros(len(array), dtype=np.int64)
    codes[known] = np.unique(values[known], return_inverse=True)[1]
    return codes, known


def _text_codes(array: pa.Array[Any]) -> tuple[np.ndarray, np.ndarray]:
    encoded: Any = array.dictionary_encode()
    return encoded.indices.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64), dtype.present(array)


def _stands(number: np.ndarray, has_number: np.ndarray, name: np.ndarray, has_name: np.ndarray, whole: bool) -> bool:
    """Whether a number, which may be a whole one, stands for a name."""
    both = has_number & has_name
    number, name = number[both], name[both]
    if len(number) < FEWEST_TOLD:
        return False
    rows = np.bincount(number)
    spread = entropy(rows)
    if spread < FEWEST_NATS or entropy(np.bincount(name)) < NAMED * spread:
        return False
    size, levels = int(name.max()) + 1, int(number.max()) + 1
    if lookup(name, number, size) is not None:  # no name has two numbers
        return False
    if not whole and most_frequent(number, levels, name, size)[1].sum() >= MOSTLY * len(number):
        return False
    _, alike, others = most_frequent(name, size, number, levels)
    told = rows[rows >= 2].sum()
    return bool(told >= max(FEWEST_TOLD, len(number) / 2) and alike[alike - 1 > others].sum() >= ALIKE * told)
