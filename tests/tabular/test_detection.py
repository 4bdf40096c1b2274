"""Detection: near one half for real against real, and what each detector sees."""

import numpy as np
import pytest

from scorewise.tabular import rows
from scorewise.tabular.detection import detection, detection_differences, detection_linear
from scorewise.tabular.privacy import closer_to_train
from scorewise.tabular.schema import Cells
from scorewise.tabular.score import UnmeasuredError


def table(size: int, seed: int) -> Cells:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=size)
    y = x + 0.1 * generator.normal(size=size)
    c = (x > 0.3).astype(np.int64)
    gap = np.where(generator.random(size) < 0.2, np.nan, x**2)
    return Cells({"x": x, "y": y, "gap": gap}, {"c": c})


def independent(size: int, seed: int) -> Cells:
    """The columns of `table`, each from rows of its own."""
    sides = [table(size, 100 * seed + k) for k in range(4)]
    numbers = {name: sides[k].numbers[name] for k, name in enumerate(("x", "y", "gap"))}
    return Cells(numbers, {"c": sides[3].categories["c"]})


@pytest.mark.parametrize("measure", [detection, detection_differences])
def test_real_halves_are_not_told_apart(measure) -> None:  # type: ignore[no-untyped-def]
    score = measure(*rows.halves(table(1200, 0), np.random.default_rng(0)), threads=1)
    assert abs(score.value - 0.5) < 4 * score.se
    assert 0.01 < score.se < 0.03


def test_trees_tell_independent_columns_and_the_linear_model_does_not() -> None:
    real, synthetic = table(800, 0), independent(800, 1)
    assert detection(real, synthetic, threads=1).value > 0.9
    linear = detection_linear(real, synthetic)
    assert linear.value > 1 - 4 * linear.se


def test_the_linear_model_sees_a_shift_and_missing_cells() -> None:
    real, moved, holed = table(600, 0), table(600, 1), table(600, 2)
    moved.numbers["x"][:] += 2.0
    assert detection_linear(real, moved).value < 0.3
    holed.numbers["gap"][np.random.default_rng(0).random(600) < 0.5] = np.nan
    assert detection_linear(real, holed).value < 0.8


def test_the_error_of_the_linear_model_is_of_the_size_of_its_spread() -> None:
    scores = []
    for seed in range(30):
        moved = table(300, 1000 + seed)
        moved.numbers["x"][:] += 0.5
        scores.append(detection_linear(table(300, seed), moved))
    ratio = np.mean([score.se for score in scores]) / np.std([score.value for score in scores], ddof=1)
    assert 0.5 < ratio < 1.5


def test_differences_show_a_broken_equality() -> None:
    def payments(seed: int, equal: float) -> Cells:
        generator = np.random.default_rng(seed)
        bill = np.round(np.exp(generator.normal(5, 1.5, 1500)))
        other = np.round(bill * np.exp(0.1 * generator.normal(size=1500)))
        return Cells({"bill": bill, "paid": np.where(generator.random(1500) < equal, bill, other)}, {})

    real, synthetic = payments(0, 0.4), payments(1, 0.0)
    plain = detection(real, synthetic, threads=1).value
    assert detection_differences(real, synthetic, threads=1).value > plain + 0.05


def test_copies_push_the_area_below_one_half() -> None:
    real = table(400, 0)
    assert detection(real, real, threads=1).value < 0.45


def test_new_rows_whose_columns_are_matched_are_found_less_often_than_by_guessing() -> None:
    generator = np.random.default_rng(0)
    real, other, held = (
        generator.normal(size=(500, 3)) @ np.random.default_rng(1).normal(size=(3, 8)) + generator.normal(size=(500, 8))
        for _ in range(3)
    )
    matched = np.take_along_axis(np.sort(real, 0), other.argsort(0).argsort(0), 0)
    tables = [Cells({f"x{j}": x[:, j] for j in range(8)}, {}) for x in (real, other, matched, held)]
    assert abs(detection(tables[0], tables[1]).value - 0.5) < 0.06
    assert detection(tables[0], tables[2]).value < 0.35
    assert abs(closer_to_train(tables[0], tables[3], tables[2]).value - 0.5) < 0.05  # though no row is copied


def test_tables_may_differ_in_size_and_in_levels() -> None:
    real, synthetic = table(500, 0), table(60, 1)
    synthetic.categories["c"][:30] = 5
    for score in (detection(real, synthetic, threads=1), detection_linear(real, synthetic)):
        assert 0 <= score.value <= 1
        assert np.isfinite(score.se)


def test_many_levels_and_columns_of_one_kind_are_taken() -> None:
    generator = np.random.default_rng(0)
    words = [Cells({}, {"w": generator.integers(-1, 300, 400)}) for _ in range(2)]
    assert 0 <= detection_linear(*words).value <= 1
    empty = [Cells({"x": np.full(50, np.nan)}, {}) for _ in range(2)]
    assert detection_linear(*empty).value == 1


def test_the_seed_decides() -> None:
    real, synthetic = table(200, 0), table(200, 1)
    assert detection(real, synthetic, threads=1) == detection(real, synthetic, threads=1)
    assert detection(real, synthetic, threads=1) != detection(real, synthetic, seed=1, threads=1)


def test_detection_says_what_it_needs() -> None:
    with pytest.raises(UnmeasuredError, match="Detection needs 20 rows a side or more, however: N=5"):
        detection(table(50, 0), table(5, 1))
    one = Cells({"x": np.arange(50.0)}, {"c": np.zeros(50, dtype=np.int64)})
    with pytest.raises(UnmeasuredError, match="two number columns or more, however: columns=1"):
        detection_differences(one, one)
