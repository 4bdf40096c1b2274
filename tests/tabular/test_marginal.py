import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorewise.tabular.marginal import KNOTS, MOST_VALUES, Marginal


@given(st.lists(st.integers(-(10**6), 10**6), min_size=2, max_size=300), st.integers(0, 2**31))
def test_values_on_a_grid_come_back_exactly_from_any_point_of_their_interval(values: list[int], seed: int) -> None:
    column = np.array(values, dtype=np.float64)
    marginal = Marginal.fit(column, 1.0)
    low, high = marginal.interval(column)
    assert (high > low).all()
    u = low + (high - low) * np.random.default_rng(seed).uniform(0.001, 0.999, len(column))
    np.testing.assert_array_equal(marginal.invert(u), column)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=300), st.integers(0, 2**31))
def test_values_without_a_grid_come_back(values: list[float], seed: int) -> None:
    column = np.array(values)
    marginal = Marginal.fit(column, None)
    low, high = marginal.interval(column)
    u = low + (high - low) * np.random.default_rng(seed).uniform(0.001, 0.999, len(column))
    np.testing.assert_allclose(marginal.invert(u), column, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("ends", [(-(2**62), 2**62), (-(2**62), 0), (0, 2**62)])
def test_values_that_are_finer_than_float64_is_come_back_to_its_precision(ends: tuple[int, int]) -> None:
    column = np.random.default_rng(0).integers(*ends, 500).astype(np.float64)
    marginal = Marginal.fit(column, 1.0)
    np.testing.assert_allclose(marginal.invert(np.mean(marginal.interval(column), 0)), column, rtol=1e-9)


def test_a_common_value_without_a_grid_is_an_interval_that_comes_back_exactly() -> None:
    rng = np.random.default_rng(0)
    column = np.where(rng.random(10_000) < 0.5, 0.0, rng.normal(size=10_000))
    marginal = Marginal.fit(column, None)
    low, high = marginal.interval(np.zeros(1))
    assert 0.48 < high[0] - low[0] < 0.52
    assert (marginal.invert(np.linspace(low[0] + 1e-9, high[0] - 1e-9, 50)) == 0).all()
    u = rng.random(10_000)
    assert 0.48 < (marginal.invert(u) == 0).mean() < 0.52
    assert len(np.unique(marginal.invert(u))) > 4_000  # the others are not copied from the table


@pytest.mark.parametrize("step", [None, 1.0])
def test_codes_invert_to_values_of_the_table_alone(step: float | None) -> None:
    rng = np.random.default_rng(0)
    column = np.append(rng.choice(rng.integers(0, 10**9, 2_500), 30_000), rng.integers(0, 10**9, 30_000)).astype(float)
    u = np.random.default_rng(1).random(30_000)
    assert np.isin(Marginal.fit(column, step, codes=True).invert(u), column).all()
    assert not np.isin(Marginal.fit(column, step).invert(u), column).all()


@pytest.mark.parametrize("rows", [500, 3_000, 30_000])
def test_values_without_a_grid_recur_as_often_as_in_new_rows(rows: int) -> None:
    rng = np.random.default_rng(0)
    wages = rng.choice(rng.integers(4_000, 9_000, 900), size=(2, rows)) / rng.choice([3, 7, 11], size=(2, rows))
    people = np.where(rng.random((2, rows)) < 0.3, rng.lognormal(8, 1, (2, rows)), wages)
    known, new = people
    marginal = Marginal.fit(known, None)
    found = marginal.invert(rng.random(rows))
    values, counts = np.unique(known, return_counts=True)
    for some in (values, values[counts == 1], values[counts == 2]):
        assert abs(np.isin(found, some).mean() - np.isin(new, some).mean()) < 0.04
    assert abs(len(np.unique(found)) - len(np.unique(new))) < 0.2 * len(np.unique(new))
    low, high = marginal.interval(known)
    u = low + (high - low) * rng.uniform(0.01, 0.99, rows)
    np.testing.assert_allclose(marginal.invert(u), known, rtol=1e-12)
    assert np.abs(np.sort(u) - (np.arange(rows) + 0.5) / rows).max() < 1.63 / np.sqrt(rows)


def test_rows_without_a_grid_of_which_none_recur_are_points() -> None:
    column = np.random.default_rng(0).normal(size=4_000)
    marginal = Marginal.fit(column, None)
    assert len(marginal.knots) <= KNOTS + 61
    low, high = marginal.interval(np.sort(column))
    np.testing.assert_array_equal(low, high)
    assert np.abs(low - (np.arange(4_000) + 0.5) / 4_000).max() < 2 / KNOTS
    assert not np.isin(
        marginal.invert(np.random.default_rng(1).random(2_000)), column[np.argsort(column)[30:-30]]
    ).any()


def test_the_randomised_transform_is_uniform() -> None:
    rng = np.random.default_rng(0)
    column = np.where(rng.random(20_000) < 0.3, 0.0, np.rint(rng.exponential(500, 20_000)))
    low, high = Marginal.fit(column, 1.0).interval(column)
    u = np.sort(low + (high - low) * rng.random(20_000))
    assert np.abs(u - (np.arange(20_000) + 0.5) / 20_000).max() < 1.63 / np.sqrt(20_000)  # Kolmogorov's 1 % bound


def test_many_values_need_few_knots_and_keep_the_distribution() -> None:
    column = np.rint(np.random.default_rng(0).lognormal(10, 2, 100_000))
    marginal = Marginal.fit(column, 1.0)
    assert len(marginal.knots) <= 2 * MOST_VALUES
    fresh = marginal.invert(np.random.default_rng(1).random(100_000))
    grid = np.quantile(column, np.linspace(0.001, 0.999, 999))
    ours, theirs = np.searchsorted(np.sort(fresh), grid), np.searchsorted(np.sort(column), grid)
    assert np.abs(ours - theirs).max() / 100_000 < 1.63 * np.sqrt(2 / 100_000)
    assert fresh.min() >= column.min()
    assert fresh.max() <= column.max()


def test_extrapolation_goes_on_beyond_the_range_and_only_there() -> None:
    column = np.random.default_rng(0).normal(size=5_000)
    marginal = Marginal.fit(column, None)
    z = np.array([-6.0, 0.0, 6.0])
    values = marginal.invert(np.array([0.0, 0.5, 1.0]))
    low, middle, high = marginal.extrapolate(z, values)
    assert low < column.min()
    assert middle == values[1]
    assert high > column.max()


@pytest.mark.parametrize("step", [1.0, None])
def test_bins_hold_common_values_alone_and_cut_the_rest_evenly(step: float | None) -> None:
    rng = np.random.default_rng(0)
    column = np.where(rng.random(5_000) < 0.3, 0.0, np.rint(rng.lognormal(9, 1, 5_000)))
    marginal = Marginal.fit(column, step)
    edges = marginal.bins(32)
    assert len(edges) == 33
    assert edges[0] == 0
    assert edges[-1] == 1
    assert (np.diff(edges) > 0).all()
    low, high = marginal.interval(np.zeros(1))
    zero = int(np.searchsorted(edges, low[0]))
    np.testing.assert_allclose(edges[zero : zero + 2], [low[0], high[0]], atol=1e-12)
    others = np.delete(np.diff(edges), zero)
    assert others.max() < 2.1 * others.min()


def test_a_column_of_few_values_has_fewer_bins_and_the_last_ones_are_empty() -> None:
    marginal = Marginal.fit(np.repeat([1.0, 2.0, 3.0], [50, 30, 20]), 1.0)
    np.testing.assert_allclose(marginal.bins(8), [0, 0.5, 0.8, 1, 1, 1, 1, 1, 1], atol=1e-9)


def test_values_are_as_round_as_those_of_their_size() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.integers(1, 1_000, 500), 100 * rng.integers(10, 900, 500)]).astype(np.float64)
    marginal = Marginal.fit(values, 1.0, places=((3, 2),))
    assert marginal.snap(np.array([7.2, 999.4, 1_349.0, 80_951.0])).tolist() == [7, 999, 1_300, 81_000]
    made = marginal.invert(rng.random(2_000))
    assert (made[made >= 1_000] % 100 == 0).all()
    assert (made[made < 1_000] % 100 != 0).mean() > 0.9
    beyond = marginal.extrapolate(np.array([4.5]), np.array([89_900.0]))
    assert (beyond % 100 == 0).all()
    assert beyond > 89_900
