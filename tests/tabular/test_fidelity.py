"""Shapes, trends and missing patterns: closed forms, naive twins, what they see and what they do not."""

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorewise.tabular import rows
from scorewise.tabular.fidelity import missing_patterns, shapes, trends, trends_legacy
from scorewise.tabular.schema import Cells
from scorewise.tabular.score import UnmeasuredError


def table(size: int, seed: int, missing: float = 0.1) -> Cells:
    """Two dependent numbers, one heavy-tailed number, two dependent categories."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=size)
    y = np.round(x + 0.5 * generator.normal(size=size), 1)
    z = np.exp(2 * generator.normal(size=size))
    c = (x > 0).astype(np.int64) + generator.integers(0, 2, size)
    d = np.where(generator.random(size) < 0.7, c, generator.integers(0, 6, size))
    x[generator.random(size) < missing] = np.nan
    d[generator.random(size) < missing] = -1
    return Cells({"x": x, "y": y, "z": z}, {"c": c, "d": d})


def shuffled(cells: Cells, seed: int) -> Cells:
    """The same columns, each in an order of its own."""
    generator = np.random.default_rng(seed)
    return Cells(
        {name: generator.permutation(values) for name, values in cells.numbers.items()},
        {name: generator.permutation(levels) for name, levels in cells.categories.items()},
    )


def naive_variation(p: npt.NDArray[np.int64], q: npt.NDArray[np.int64]) -> float:
    """Total variation between the rows of two integer matrices, by counting each level."""
    ours, theirs = [tuple(row) for row in p], [tuple(row) for row in q]
    levels = {*ours, *theirs}
    return sum(abs(ours.count(v) / len(ours) - theirs.count(v) / len(theirs)) for v in levels) / 2


def cut(real: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The bin of each value in ten equal widths of the real range, edge by edge; missing is bin 10."""
    edges = np.linspace(np.nanmin(real), np.nanmax(real), 11)
    place = sum((values >= edge).astype(np.int64) for edge in edges[1:-1])
    return np.where(np.isnan(values), 10, place)


@pytest.mark.parametrize("measure", [shapes, trends, trends_legacy])
def test_a_table_has_no_distance_to_itself_or_to_its_rows_in_another_order(measure) -> None:  # type: ignore[no-untyped-def]
    real = table(500, 0)
    other = rows.take(real, np.random.default_rng(1).permutation(500))
    assert measure(real, real).score.value == pytest.approx(0, abs=1e-12)
    assert measure(real, other).score.value == pytest.approx(0, abs=1e-12)


def test_shapes_are_kolmogorov_smirnov_and_total_variation() -> None:
    real, synthetic = table(400, 0), table(150, 1)
    found = shapes(real, synthetic)
    for name, values in real.numbers.items():
        other = synthetic.numbers[name]
        here, there = values[~np.isnan(values)], other[~np.isnan(other)]
        distance = max(abs((here <= x).mean() - (there <= x).mean()) for x in [*here, *there])
        assert found.columns[name].value == pytest.approx(distance, abs=1e-12)
    for name, levels in real.categories.items():
        distance = naive_variation(levels[:, None], synthetic.categories[name][:, None])
        assert found.columns[name].value == pytest.approx(distance, abs=1e-12)
    assert found.score.value == pytest.approx(np.mean([score.value for score in found.columns.values()]))


def test_shapes_see_only_present_numbers_and_take_missing_as_a_level() -> None:
    x = np.array([1.0, 2.0, 3.0, np.nan])
    y = np.array([np.nan, 1.0, np.nan, 2.0, 3.0])
    found = shapes(Cells({"x": x}, {"c": np.array([0, 0, -1, -1])}), Cells({"x": y}, {"c": np.array([0, 0, 0, 0, -1])}))
    assert found.columns["x"].value == 0
    assert found.columns["c"].value == pytest.approx(0.3)


def test_a_number_that_is_always_missing_is_as_far_off_as_can_be() -> None:
    x, gone = np.arange(10.0), np.full(10, np.nan)
    assert shapes(Cells({"x": x}, {}), Cells({"x": gone}, {})).score.value == 1
    assert shapes(Cells({"x": gone}, {}), Cells({"x": gone}, {})).score.value == 0


def test_a_level_that_only_the_synthetic_table_has_counts() -> None:
    found = shapes(Cells({}, {"c": np.zeros(4, dtype=np.int64)}), Cells({}, {"c": np.array([0, 0, 0, 7])}))
    assert found.score.value == pytest.approx(0.25)


@given(st.integers(0, 50))
def test_trends_equal_their_naive_twin(seed: int) -> None:
    real, synthetic = table(60, seed), table(45, seed + 1000)
    found = trends(real, synthetic)
    codes = {name: (cut(x, x), cut(x, synthetic.numbers[name])) for name, x in real.numbers.items()}
    codes |= {name: (c, synthetic.categories[name]) for name, c in real.categories.items()}
    errors = []
    for a, b in combinations(found.names, 2):
        if a in real.numbers and b in real.numbers:
            both = [
                np.column_stack([side.numbers[a], side.numbers[b]])[~np.isnan(side.numbers[a] + side.numbers[b])]
                for side in (real, synthetic)
            ]
            rho = [np.corrcoef(pair.T)[0, 1] for pair in both]
            errors.append(abs(rho[0] - rho[1]) / 2)
        else:
            joint = [np.column_stack([codes[a][side], codes[b][side]]) for side in (0, 1)]
            errors.append(naive_variation(*joint))
    place = np.triu_indices(len(found.names), k=1)
    assert found.errors[place] == pytest.approx(errors, abs=1e-9)
    assert found.score.value == pytest.approx(np.mean(errors), abs=1e-9)
    assert np.array_equal(found.errors, found.errors.T, equal_nan=True)


def test_many_levels_are_counted_over_occupied_cells_alike() -> None:
    generator = np.random.default_rng(0)
    real, synthetic = (
        Cells({}, {"a": generator.integers(0, 400, 800), "b": generator.integers(0, 400, 800)}) for _ in range(2)
    )
    joint = [np.column_stack([side.categories["a"], side.categories["b"]]) for side in (real, synthetic)]
    assert trends(real, synthetic).score.value == pytest.approx(naive_variation(*joint))


def test_independent_columns_keep_their_shapes_and_lose_their_trends() -> None:
    real = table(4000, 0)
    broken = shuffled(real, 1)
    assert shapes(real, broken).score.value == pytest.approx(0, abs=1e-12)
    assert trends(real, broken).score.value > 0.05


def test_one_outlier_moves_the_legacy_bins_and_not_the_shared_ones() -> None:
    generator = np.random.default_rng(0)
    x, c = generator.random(2000), generator.integers(0, 3, 2000)
    with_outlier = x.copy()
    with_outlier[0] = 1000.0
    real, synthetic = Cells({"x": x}, {"c": c}), Cells({"x": with_outlier}, {"c": c})
    assert trends(real, synthetic).score.value == pytest.approx(1 / 2000, abs=1e-3)
    assert trends_legacy(real, synthetic).score.value > 0.8


def test_a_synthetic_constant_has_no_correlation_and_a_real_one_is_not_measured() -> None:
    x = np.arange(50.0)
    pair, flat = Cells({"x": x, "y": x}, {}), Cells({"x": x, "y": np.ones(50)}, {})
    assert trends(pair, flat).score.value == pytest.approx(0.5)
    with pytest.raises(UnmeasuredError, match="two columns that vary, however: pairs=0"):
        trends(flat, pair)
    with pytest.raises(UnmeasuredError, match="two columns that vary, however: pairs=0"):
        trends_legacy(pair, flat)


def test_pairs_need_two_columns() -> None:
    one = Cells({"x": np.arange(9.0)}, {})
    with pytest.raises(UnmeasuredError, match="Pairs need two columns or more, however: columns=1"):
        trends(one, one)


@pytest.mark.parametrize("measure", [shapes, trends])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_the_error_is_the_spread_over_repeated_draws(measure, shift: float) -> None:  # type: ignore[no-untyped-def]
    values, errors = [], []
    for seed in range(60):
        synthetic = table(600, 1000 + seed)
        synthetic.numbers["y"][:] = synthetic.numbers["y"] * (1 - shift) + shift
        score = measure(table(600, seed), synthetic).score
        values.append(score.value)
        errors.append(score.se)
    ratio = np.mean(errors) / np.std(values, ddof=1)
    assert 0.7 < ratio < 2.2  # conservative at the floor, where a distance is no linear statistic


def test_missing_patterns_see_shares_cooccurrence_and_dependence() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(2, 4000))
    c = generator.integers(0, 3, 4000)
    hole = generator.random(4000) < 0.3

    def punched(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> Cells:
        return Cells({"x": np.where(first, np.nan, x), "y": np.where(second, np.nan, y)}, {"c": c})

    together = punched(hole, hole)
    assert missing_patterns(together, together).value == 0
    apart = missing_patterns(together, punched(hole, generator.permutation(hole)))
    assert apart.value > 0.2
    rarely = missing_patterns(together, punched(hole & (generator.random(4000) < 0.5), hole))
    assert rarely.value > 0.1
    beside_c = missing_patterns(punched(c == 0, c == 0), punched(generator.permutation(c == 0), c == 0))
    assert beside_c.value > 0.2
    at_random = missing_patterns(punched(c == 0, c > 9), punched(generator.permutation(c == 0), c > 9))
    assert at_random.value > 0.1  # the patterns agree: only the dependence on c is broken


def test_missing_patterns_of_one_column_are_its_missing_share() -> None:
    real, synthetic = np.array([1.0, np.nan, 2.0, 3.0]), np.array([np.nan, np.nan, np.nan, 3.0])
    assert missing_patterns(Cells({"x": real}, {}), Cells({"x": synthetic}, {})).value == pytest.approx(0.5)


def test_missing_patterns_need_a_missing_cell() -> None:
    whole = table(50, 0, missing=0.0)
    with pytest.raises(UnmeasuredError, match="A cell must be missing in one of the tables, however: missing=0"):
        missing_patterns(whole, whole)
    assert missing_patterns(whole, table(50, 0)).value > 0


def test_rare_patterns_are_one() -> None:
    generator = np.random.default_rng(0)
    real = Cells({str(k): np.where(generator.random(300) < 0.5, np.nan, 1.0) for k in range(12)}, {})
    other = rows.take(real, generator.permutation(300))
    assert missing_patterns(real, other).value == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("measure", [shapes, trends, trends_legacy])
def test_the_seed_moves_the_error_alone(measure) -> None:  # type: ignore[no-untyped-def]
    real, synthetic = table(300, 0), table(200, 1)
    first, again, other = (measure(real, synthetic, seed=seed).score for seed in (0, 0, 1))
    assert first == again
    assert first.value == pytest.approx(other.value, rel=1e-12)
    assert first.se != other.se
