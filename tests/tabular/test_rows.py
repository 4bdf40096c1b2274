"""Rows of cells."""

import numpy as np
import pytest

from scorewise.tabular import rows
from scorewise.tabular.schema import Cells
from scorewise.tabular.score import UnmeasuredError

CELLS = Cells({"x": np.arange(101.0)}, {"c": np.arange(101)})


def test_halves_hold_each_row_once_and_keep_rows_together() -> None:
    first, second = rows.halves(CELLS, np.random.default_rng(0))
    assert (rows.count(first), rows.count(second)) == (50, 51)
    assert sorted([*first.categories["c"], *second.categories["c"]]) == list(range(101))
    assert np.array_equal(first.numbers["x"], first.categories["c"])
    assert first.categories["c"].tolist() != sorted(first.categories["c"])


def test_a_subsample_is_drawn_without_replacement_and_only_where_it_must_be() -> None:
    assert rows.subsample(CELLS, 101, np.random.default_rng(0)) is CELLS
    some = rows.subsample(CELLS, 40, np.random.default_rng(0))
    assert len(set(some.categories["c"])) == rows.count(some) == 40


def test_a_table_without_columns_has_no_count() -> None:
    with pytest.raises(UnmeasuredError, match="must have a number or a category column, however: columns=0"):
        rows.count(Cells({}, {}))
