"""Utility: what is learned from one table is tried on another."""

import numpy as np
import pytest

from scorewise.tabular.schema import Cells
from scorewise.tabular.score import UnmeasuredError
from scorewise.tabular.utility import utility


def table(size: int, seed: int) -> Cells:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=size)
    y = 2 * x + generator.normal(size=size)
    c = (x + generator.logistic(size=size) * 0.5 > 0).astype(np.int64)
    three = np.digitize(x + 0.3 * generator.normal(size=size), [-0.5, 0.5]).astype(np.int64)
    return Cells({"x": x, "y": y}, {"c": c, "three": three})


def only(cells: Cells, *names: str) -> Cells:
    return Cells(
        {name: values for name, values in cells.numbers.items() if name in names},
        {name: levels for name, levels in cells.categories.items() if name in names},
    )


def test_classes_are_ranked_by_what_predicts_them() -> None:
    train, test = only(table(1500, 0), "x", "c"), only(table(1000, 1), "x", "c")
    x, c = test.numbers["x"], test.categories["c"]
    best = (x[c == 1][:, None] > x[c == 0]).mean()
    score = utility(train, test, "c", threads=1)
    assert score.value == pytest.approx(best, abs=0.03)
    assert 0.005 < score.se < 0.03


def test_a_target_torn_from_its_row_teaches_nothing() -> None:
    train, test = only(table(1500, 0), "x", "c", "y"), only(table(1000, 1), "x", "c", "y")
    generator = np.random.default_rng(0)
    train.categories["c"][:] = generator.permutation(train.categories["c"])
    chance = utility(train, test, "c", threads=1)
    assert abs(chance.value - 0.5) < 0.1
    train.numbers["y"][:] = generator.permutation(train.numbers["y"])
    assert utility(train, only(test, "x", "c", "y"), "y", threads=1).value > 0.9


def test_three_classes_average_their_areas() -> None:
    train, test = only(table(1500, 0), "x", "three"), only(table(800, 1), "x", "three")
    assert 0.85 < utility(train, test, "three", threads=1).value < 1


def test_numbers_are_missed_by_the_noise_over_the_spread() -> None:
    train, test = only(table(4000, 0), "x", "y"), only(table(2000, 1), "x", "y")
    score = utility(train, test, "y", threads=1)
    assert score.value == pytest.approx(1 / np.sqrt(5), abs=0.04)  # y has variance 5, of which 1 is noise
    assert 0.003 < score.se < 0.03


def test_a_table_that_never_shows_a_class_is_at_chance() -> None:
    train, test = only(table(300, 0), "x", "c"), only(table(300, 1), "x", "c")
    train.categories["c"][:] = 1
    assert utility(train, test, "c", threads=1).value == 0.5
    two, three = only(table(600, 0), "x", "three"), only(table(300, 1), "x", "three")
    two.categories["three"][two.categories["three"] == 2] = 1
    assert 0.6 < utility(two, three, "three", threads=1).value < 0.95


def test_rows_without_the_target_are_left_out() -> None:
    train, test = table(600, 0), table(300, 1)
    known = utility(train, test, "c", threads=1)
    padded = Cells(
        {name: np.concatenate([values, np.zeros(50)]) for name, values in train.numbers.items()},
        {name: np.concatenate([levels, np.full(50, -1)]) for name, levels in train.categories.items()},
    )
    assert utility(padded, test, "c", threads=1) == known


def test_the_same_seed_gives_the_same_score() -> None:
    train, test = table(200, 0), table(100, 1)
    assert utility(train, test, "c", threads=1) == utility(train, test, "c", threads=1)
    assert utility(train, test, "c", threads=1).se != utility(train, test, "c", seed=1, threads=1).se


def test_utility_says_what_it_needs() -> None:
    cells = table(50, 0)
    with pytest.raises(UnmeasuredError, match="'id' is an identifier or a constant"):
        utility(cells, cells, "id")
    with pytest.raises(UnmeasuredError, match="'x' is the only one"):
        utility(only(cells, "x"), only(cells, "x"), "x")
    with pytest.raises(UnmeasuredError, match=r"needs 20 rows or more with a target.*train=50, test=6"):
        utility(cells, table(6, 0), "c")
    cells.categories["c"][:] = 0
    cells.categories["c"][0] = 1
    with pytest.raises(UnmeasuredError, match="'c' is the same in 49 rows of 50"):
        utility(cells, cells, "c")
