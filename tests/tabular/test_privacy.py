"""Privacy: distances to the closest row, and copies."""

from typing import Any

import numpy as np
import pytest

from scorewise.tabular import rows
from scorewise.tabular.privacy import closer_to_train, exact_copies, singled_out
from scorewise.tabular.schema import Cells
from scorewise.tabular.score import UnmeasuredError


def table(size: int, seed: int) -> Cells:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=size)
    gap = np.where(generator.random(size) < 0.2, np.nan, generator.random(size))
    return Cells({"x": x, "gap": gap}, {"c": generator.integers(-1, 3, size)})


def naive_closer(train: Cells, test: Cells, synthetic: Cells) -> float:
    """The share by loops, with train and test of one size; x and c alone, all present."""
    scale = np.ptp(train.numbers["x"])
    total = 0.0
    for x, c in zip(synthetic.numbers["x"], synthetic.categories["c"], strict=True):
        near, far = (
            (np.abs(side.numbers["x"] - x) / scale + 2 * (side.categories["c"] != c)).min() for side in (train, test)
        )
        total += 1.0 if near < far else 0.5 if near == far else 0.0
    return total / len(synthetic.numbers["x"])


def test_closer_to_train_equals_its_naive_twin() -> None:
    generator = np.random.default_rng(0)
    sides = [
        Cells({"x": np.round(generator.normal(size=n), 1)}, {"c": generator.integers(0, 3, n)}) for n in (40, 40, 33)
    ]
    sides[2].numbers["x"][:15] = sides[0].numbers["x"][:15]
    assert closer_to_train(*sides).value == pytest.approx(naive_closer(*sides))


def test_other_rows_of_the_source_are_as_near_to_train_as_to_test() -> None:
    scores = [closer_to_train(table(500, seed), table(200, 100 + seed), table(500, 200 + seed)) for seed in range(40)]
    values = [score.value for score in scores]
    assert np.mean(values) == pytest.approx(0.5, abs=4 * np.std(values) / np.sqrt(len(values)))
    assert 0.6 < np.mean([score.se for score in scores]) / np.std(values, ddof=1) < 1.6
    assert scores[0][2:] == (0.5, 0.0)


def test_a_missing_cell_is_far_from_the_mean() -> None:
    generator = np.random.default_rng(0)

    def side(x: np.ndarray) -> Cells:
        return Cells({"x": x, "y": generator.random(len(x)) / 10}, {})

    known = np.linspace(-1, 1, 100)
    train, test = side(np.where(np.arange(200) < 100, np.nan, np.repeat(known, 2))), side(np.zeros(200))
    mean = float(np.nanmean(train.numbers["x"]))
    assert closer_to_train(train, side(np.full(200, mean)), side(np.full(100, np.nan))).value > 0.9
    assert closer_to_train(train, test, side(np.zeros(100))).value < 0.6


def test_a_copy_of_train_is_nearer_to_train() -> None:
    train, test = table(400, 0), table(400, 1)
    assert closer_to_train(train, test, train).value > 0.95
    noisy = rows.take(train, np.arange(400))
    noisy.numbers["x"][:] += 1e-4
    assert closer_to_train(train, test, noisy).value > 0.95
    assert closer_to_train(train, test, test).value < 0.05


def test_blocks_of_train_have_the_size_of_test() -> None:
    train, test = table(400, 0), table(200, 1)
    found = closer_to_train(train, test, train)
    assert found.value == pytest.approx(0.75, abs=0.05)  # two blocks of 200: the original stands in one of them
    reverse = closer_to_train(test, train, table(300, 2))
    assert abs(reverse.value - 0.5) < 0.15


def test_the_seed_decides() -> None:
    sides = table(300, 0), table(100, 1), table(200, 2)
    assert closer_to_train(*sides) == closer_to_train(*sides)
    assert closer_to_train(*sides) != closer_to_train(*sides, seed=1)


def test_distances_need_held_out_rows() -> None:
    with pytest.raises(UnmeasuredError, match="20 training, test and synthetic rows or more, however: N=7"):
        closer_to_train(table(50, 0), table(7, 1), table(50, 2))


def test_copies_are_counted_with_missing_cells_and_signed_zeros() -> None:
    train = Cells({"x": np.array([0.0, np.nan, 3.0])}, {"c": np.array([1, -1, 0])})
    synthetic = Cells({"x": np.array([-0.0, np.nan, 3.0, 3.0])}, {"c": np.array([1, -1, 1, 0])})
    assert exact_copies(train, synthetic).value == 0.75
    assert exact_copies(train, train).value == 1
    assert exact_copies(Cells({}, {"c": train.categories["c"]}), Cells({}, {"c": np.array([2, 2])})).value == 0


def test_the_error_of_copies_is_binomial_and_never_zero() -> None:
    train = Cells({"x": np.arange(100.0)}, {})
    half = Cells({"x": np.arange(50.0, 150.0)}, {})
    assert exact_copies(train, half).se == pytest.approx(0.05, rel=0.01)
    none = exact_copies(train, Cells({"x": -np.arange(1.0, 101.0)}, {}))
    assert none.value == 0
    assert none.se == pytest.approx(0.01, rel=0.02)


def test_numbers_of_a_single_training_row_are_counted() -> None:
    train = Cells({"x": np.array([1.0, 2.0, 2.0, np.nan]), "y": np.array([5.0, 6.0, 7.0, 7.0])}, {"c": np.arange(4)})
    synthetic = Cells({"x": np.array([1.0, 2.0, np.nan]), "y": np.array([6.0, 7.0, 8.0])}, {"c": np.arange(3)})
    assert singled_out(train, synthetic).value == 2 / 5
    without = Cells({}, {"c": np.arange(4)})
    with pytest.raises(UnmeasuredError, match="needs numbers, however: none are in the synthetic rows"):
        singled_out(without, without)


def test_a_copy_is_singled_out_and_other_rows_only_by_chance() -> None:
    rng = np.random.default_rng(0)
    train, other = (Cells({"x": np.rint(rng.lognormal(8, 1, 1_000))}, {}) for _ in range(2))
    alone = np.unique(train.numbers["x"], return_counts=True)[1] == 1
    assert singled_out(train, train).value == alone.sum() / 1_000
    chance = singled_out(train, other)
    assert 0.05 < chance.value < 0.2
    again = [singled_out(train, Cells({"x": np.rint(rng.lognormal(8, 1, 1_000))}, {})).value for _ in range(200)]
    assert chance.se == pytest.approx(np.std(again), rel=0.25)


def test_the_error_of_singled_out_numbers_knows_that_those_of_a_row_go_together_and_is_never_zero() -> None:
    rng = np.random.default_rng(1)
    train = Cells({name: np.arange(100.0) for name in "abcd"}, {})

    def draw() -> Cells:
        values = rng.integers(0, 200, 50).astype(np.float64)
        return Cells(dict.fromkeys("abcd", values), {})

    found = [singled_out(train, draw()) for _ in range(300)]
    assert np.mean([one.se for one in found]) == pytest.approx(np.std([one.value for one in found]), rel=0.2)
    none = singled_out(train, Cells({name: -np.arange(1.0, 101.0) for name in "abcd"}, {}))
    assert none.value == 0
    assert none.se > 0


def alone(cells: Cells, measure: Any) -> list[float]:
    """What the measure finds of each row against all the others, one after another."""
    count = rows.count(cells)
    every = np.arange(count)
    return [measure(rows.take(cells, np.delete(every, row)), rows.take(cells, every[[row]])).value for row in every]


def test_without_synthetic_rows_each_training_row_is_held_against_all_the_others() -> None:
    rng = np.random.default_rng(2)
    numbers = {"x": rng.integers(0, 60, 80) * 1.0, "y": rng.integers(0, 4, 80) * 1.0}
    train = Cells(numbers, {"c": rng.integers(0, 2, 80)})
    for measure in (exact_copies, singled_out):
        assert 0 < measure(train).value < 1
        assert measure(train).value == pytest.approx(np.mean(alone(train, measure)))


def test_errors_of_training_rows_know_that_equal_ones_go_together() -> None:
    rng = np.random.default_rng(3)

    def draw() -> Cells:
        return Cells({name: rng.integers(0, 400, 300) * 1.0 for name in "ab"}, {})

    found = [singled_out(draw()) for _ in range(300)]
    assert np.mean([one.se for one in found]) == pytest.approx(np.std([one.value for one in found]), rel=0.2)
    copies = [exact_copies(rows.take(draw(), rng.integers(0, 300, 300))) for _ in range(300)]
    assert np.mean([one.se for one in copies]) == pytest.approx(np.std([one.value for one in copies]), rel=0.35)
    assert exact_copies(Cells({"x": np.arange(100.0)}, {})).se > 0
