"""Alpha precision and beta recall."""

import numpy as np
import pytest

from scorewise.tabular import rows
from scorewise.tabular.schema import Cells
from scorewise.tabular.score import UnmeasuredError
from scorewise.tabular.support import alpha_precision, beta_recall


def table(size: int, seed: int, spread: float = 1.0) -> Cells:
    generator = np.random.default_rng(seed)
    x, y = spread * generator.normal(size=(2, size))
    y[generator.random(size) < 0.05] = np.nan
    return Cells({"x": x, "y": y}, {"c": generator.integers(0, 3, size)})


def naive_scores(real: Cells, synthetic: Cells) -> tuple[float, float]:
    """Both scores by loops over levels and rows; all numbers are present."""
    sides = []
    for side in (real, synthetic):
        numbers = [
            (side.numbers[name] - real.numbers[name].min()) / np.ptp(real.numbers[name]) for name in real.numbers
        ]
        one_hot = [(side.categories[name] == k).astype(float) for name in side.categories for k in range(3)]
        sides.append(np.column_stack([*numbers, *one_hot]))
    x, z = sides
    levels = np.linspace(0, 1, 30)
    radius, outward = (np.linalg.norm(side - x.mean(axis=0), axis=1) for side in (x, z))
    alpha = sum(abs(np.mean(outward <= np.quantile(radius, level)) - level) for level in levels)
    nearest, covered = [], []
    for k, row in enumerate(x):
        to_synthetic = np.linalg.norm(z - row, axis=1)
        to_real = np.delete(np.linalg.norm(x - row, axis=1), k)
        nearest.append(np.linalg.norm(z[to_synthetic.argmin()] - z.mean(axis=0)))
        covered.append(to_synthetic.min() <= to_real.min())
    beta = sum(
        abs(np.mean(np.array(covered) & (np.array(nearest) <= np.quantile(nearest, level))) - level) for level in levels
    )
    return 1 - alpha / levels.sum(), 1 - beta / levels.sum()


def test_they_equal_their_naive_twins() -> None:
    generator = np.random.default_rng(0)
    real, synthetic = (
        Cells({"x": generator.normal(size=n), "y": generator.random(n)}, {"c": generator.integers(0, 3, n)})
        for n in (90, 70)
    )
    alpha, beta = naive_scores(real, synthetic)
    assert alpha_precision(real, synthetic).value == pytest.approx(alpha)
    assert beta_recall(real, synthetic).value == pytest.approx(beta)


def test_halves_of_a_table_have_precision_one_and_recall_one_half() -> None:
    halves = rows.halves(table(3000, 0), np.random.default_rng(0))
    assert alpha_precision(*halves).value > 0.96
    assert beta_recall(*halves).value == pytest.approx(0.5, abs=0.05)


def test_a_copy_is_recalled_whole() -> None:
    real = table(300, 0)
    assert alpha_precision(real, real).value == pytest.approx(1, abs=0.02)
    assert beta_recall(real, real).value > 0.95


def test_too_wide_and_too_narrow_tables_lose_precision_and_a_lost_mode_loses_recall() -> None:
    real = table(1500, 0)
    assert alpha_precision(real, table(1500, 1, spread=3)).value < 0.8
    assert alpha_precision(real, table(1500, 1, spread=0.2)).value < 0.8
    one_level = table(1500, 1)
    one_level.categories["c"][:] = 0
    assert beta_recall(real, one_level).value < 0.35


def test_the_errors_are_of_the_size_of_the_spread() -> None:
    for measure, low in ((alpha_precision, 0.5), (beta_recall, 0.4)):
        scores = [measure(table(300, seed), table(300, 500 + seed, spread=1.5)) for seed in range(40)]
        ratio = np.mean([score.se for score in scores]) / np.std([score.value for score in scores], ddof=1)
        assert low < ratio < 1.6


def test_a_table_of_one_point_has_every_ball_full() -> None:
    point = Cells({"x": np.ones(30)}, {})
    assert beta_recall(point, point).value == pytest.approx(0, abs=1e-12)
    assert alpha_precision(point, point).value == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("measure", [alpha_precision, beta_recall])
def test_the_support_needs_rows(measure) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UnmeasuredError, match="The support needs 20 rows a side or more, however: N=19"):
        measure(table(50, 0), table(19, 1))


def test_wide_tables_are_compared_on_a_subsample() -> None:
    generator = np.random.default_rng(0)
    sides = [Cells({"x": generator.normal(size=9000)}, {"c": generator.integers(0, 1500, 9000)}) for _ in range(2)]
    values = {alpha_precision(*sides, seed=seed).value for seed in (0, 0, 1)}
    assert len(values) == 2  # drawn anew by each seed
    narrow = [Cells(side.numbers, {}) for side in sides]
    assert len({alpha_precision(*narrow, seed=seed).value for seed in (0, 1)}) == 1  # all rows, with any seed
