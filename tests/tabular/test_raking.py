"""Factors by bins make the margins of what is kept those of the table, and leave alone what is right."""

import numpy as np
import pytest

from scorewise.tabular.raking import HEIGHTS, Bins, Raking, rake
from scorewise.tabular.schema import Cells


def _cells(seed: int, rows: int, shift: float = 0.0, odd: float = 0.5) -> Cells:
    """A number that is missing in a tenth of the rows, one of point masses, a category tied to the first number."""
    rng = np.random.default_rng(seed)
    size = rng.normal(shift, 1, rows)
    level = (size + rng.normal(size=rows) > 0) + (rng.random(rows) < 0.2)
    numbers = {
        "size": np.where(rng.random(rows) < 0.1 + 0.1 * (shift != 0), np.nan, size),
        "count": np.where(rng.random(rows) < odd, 0.0, rng.integers(0, 30, rows)),
    }
    return Cells(numbers, {"level": level.astype(np.int64) - (rng.random(rows) < 0.05)})


def _everything(log_weight: np.ndarray) -> np.ndarray:
    return np.exp(log_weight)


def test_margins_become_those_of_the_table_on_rows_that_were_not_seen() -> None:
    table = _cells(0, 40_000)
    made, fresh = (_cells(seed, 40_000, 0.2, 0.6) for seed in (1, 2))
    raking = rake(table, made, np.zeros(40_000), _everything)
    weight = np.exp(raking.log_factors(fresh))
    for before, want in zip(raking.bins.find(fresh), raking.bins.find(table), strict=True):
        size = int(max(before.max(), want.max())) + 1
        shares = [
            np.bincount(b, w, size) / w.sum()
            for b, w in ((want, np.ones(40_000)), (before, weight), (before, weight**0))
        ]
        assert np.abs(shares[1] - shares[0]).sum() < 0.035
        assert np.abs(shares[2] - shares[0]).sum() > 0.08


def test_the_factors_are_those_of_iterative_proportional_fitting() -> None:
    rng = np.random.default_rng(0)
    joint = np.array([[0.3, 0.1, 0.05], [0.05, 0.2, 0.3]])
    aim = np.array([0.6, 0.4]), np.array([0.25, 0.25, 0.5])
    rows = 400_000
    place = rng.choice(6, rows, p=joint.ravel())
    made = Cells({}, {"a": place // 3, "b": place % 3})
    table = Cells(
        {}, {"a": np.repeat([0, 1], (60, 40)).repeat(1_000), "b": np.repeat([0, 1, 2], (25, 25, 50)).repeat(1_000)}
    )
    weight = joint.copy()
    for _ in range(200):
        weight *= (aim[0] / weight.sum(1))[:, None]
        weight *= aim[1] / weight.sum(0)
    found = np.exp(rake(table, made, np.zeros(rows), _everything).log_factors(made))
    mean = np.bincount(place, found, 6).reshape(2, 3) / found.sum()
    np.testing.assert_allclose(mean, weight, atol=0.003)  # the sampling noise of the rows


def test_what_is_kept_counts_and_not_what_is_made() -> None:
    table = _cells(0, 30_000)
    made = _cells(1, 30_000)
    log_weight = np.where(made.categories["level"] == 1, -1.5, 0.0)

    def kept(log_weight: np.ndarray) -> np.ndarray:
        return np.minimum(1.0, np.exp(log_weight))

    raking = rake(table, made, log_weight, kept)
    share = kept(log_weight + raking.log_factors(made))
    before, after = (np.average(made.categories["level"] == 1, weights=w) for w in (kept(log_weight), share))
    want = (table.categories["level"] == 1).mean()
    assert abs(before - want) > 0.2
    assert abs(after - want) < 0.005


def test_a_sample_of_the_table_itself_is_left_nearly_as_it_is() -> None:
    raking = rake(_cells(0, 30_000), _cells(1, 30_000), np.zeros(30_000), _everything)
    assert np.std(raking.log_factors(_cells(2, 5_000))) < 0.05


def test_bins_nobody_sampled_have_no_factor() -> None:
    table = Cells({}, {"a": np.repeat([0, 1, 2], (500, 490, 10))})
    made = Cells({}, {"a": np.repeat([0, 1], (300, 700))})
    (factors,) = rake(table, made, np.zeros(1_000), _everything).factors
    assert (factors[0], factors[3]) == (0.0, 0.0)
    assert factors[1] > 0.3 > -0.2 > factors[2]
    assert np.exp(rake(table, made, np.zeros(1_000), _everything).log_factors(table)).max() < 3


def test_a_bin_of_a_few_sampled_rows_keeps_its_weight() -> None:
    table = Cells({}, {"a": np.repeat([0, 1], (900, 100))})
    for few, moved in ((19, False), (20, True)):
        made = Cells({}, {"a": np.repeat([0, 1], (1_000, few))})
        (factors,) = rake(table, made, np.zeros(1_000 + few), _everything).factors
        assert (factors[2] != 0.0) == moved


def test_bins_are_intervals_missing_cells_and_levels() -> None:
    cells = Cells(
        {"x": np.array([*np.arange(1, 1_001.0), np.nan]), "gone": np.full(1_001, np.nan)},
        {"k": np.arange(1_001) % 3 - 1},
    )
    bins = Bins.fit(cells)
    assert bins.sizes == [len(HEIGHTS) + 2, 2, 3]
    number, gone, level = bins.find(cells)
    assert np.bincount(number)[[0, 1, 2, 3, -2, -1]].tolist() == [1, 4, 15, 30, 1, 1]
    assert set(gone) == {1}
    assert level[:3].tolist() == [0, 1, 2]
    (strange,) = list(Bins({}, {"k": 2}).find(Cells({}, {"k": np.array([2, 7])})))
    assert strange.tolist() == [2, 2]  # levels that the table does not have are taken for its last


def test_factors_are_read_as_they_were_written_or_refused() -> None:
    raking = rake(_cells(0, 5_000), _cells(1, 5_000, 0.3), np.zeros(5_000), _everything)
    said, arrays = raking.to_json(), raking.arrays()
    again, fresh = Raking.from_parts(said, arrays), _cells(2, 100)
    np.testing.assert_array_equal(again.log_factors(fresh), raking.log_factors(fresh))
    for name in ("edges", "factors"):
        with pytest.raises(ValueError, match="must have"):
            Raking.from_parts(said, arrays | {name: arrays[name][1:]})
