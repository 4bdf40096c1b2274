"""Rows are kept by the ratio of densities, in balance, and only where trees find one."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from scorewise.tabular import rejection
from scorewise.tabular.rejection import FEWEST_ROWS, MOST_CANDIDATES, Rejection, fit_rejection
from scorewise.tabular.rows import take
from scorewise.tabular.schema import Cells


def _cells(seed: int, rows: int, correlation: float) -> Cells:
    """Two standard normal numbers with a correlation, and the sign of another one as a category."""
    rng = np.random.default_rng(seed)
    x, y, z = rng.normal(size=(3, rows))
    return Cells(
        {"x": x, "y": correlation * x + np.sqrt(1 - correlation**2) * y},
        {"k": (z + correlation * x > 0).astype(np.int64)},
    )


@pytest.fixture(scope="module", name="fitted")
def _fitted() -> Rejection:
    found = fit_rejection(_cells(0, 20_000, 0.6), _cells(1, 20_000, 0.0), _cells(2, 20_000, 0.0), seed=0)
    assert found is not None
    return found


def _kept(fitted: Rejection, made: Cells, seed: int = 9) -> Cells:
    places = np.random.default_rng(seed).random(len(made.numbers["x"]))
    return take(made, np.flatnonzero(fitted.kept(made, places)))


def test_what_is_kept_has_the_dependence_of_the_table_and_its_margins(fitted: Rejection) -> None:
    table, made = _cells(0, 20_000, 0.6), _cells(3, 40_000, 0.0)
    kept = _kept(fitted, made)
    assert np.corrcoef(made.numbers["x"], made.numbers["y"])[0, 1] < 0.03
    assert 0.35 < np.corrcoef(kept.numbers["x"], kept.numbers["y"])[0, 1] < 0.6  # the cap leaves some of it
    slopes = [np.corrcoef(cells.numbers["x"], cells.categories["k"])[0, 1] for cells in (table, kept, made)]
    assert slopes[0] > slopes[1] > slopes[2] + 0.2
    for name in ("x", "y"):
        assert ks_2samp(kept.numbers[name], table.numbers[name]).statistic < 0.02
    assert abs(kept.categories["k"].mean() - table.categories["k"].mean()) < 0.02


def test_the_chance_to_be_kept_follows_the_ratio_of_densities(fitted: Rejection) -> None:
    grid = np.array([[0.0, 0.0, 0], [2.0, 2.0, 1], [2.0, -2.0, 1], [-1.5, 1.5, 0], [1.0, 1.0, 1], [-1.0, -1.0, 0]])
    places = (np.arange(1_000) + 0.5) / 1_000
    shares = []
    for x, y, k in grid:
        same = Cells({"x": np.full(1_000, x), "y": np.full(1_000, y)}, {"k": np.full(1_000, int(k))})
        shares.append(fitted.kept(same, places).mean())
    assert min(shares[1], shares[4], shares[5]) > 0.9
    assert max(shares[2], shares[3]) < 0.15
    assert 0.5 < shares[0] < 0.95  # the density of (0, 0) is 1.25 of the product's, the cap above it


def test_a_kept_row_takes_no_more_candidates_than_said(fitted: Rejection) -> None:
    made = _cells(4, 40_000, 0.0)
    assert 40_000 / len(_kept(fitted, made).numbers["x"]) == pytest.approx(fitted.candidates, rel=0.03)
    apart = fit_rejection(_cells(0, 5_000, 0.9), _cells(1, 5_000, 0.0), _cells(2, 5_000, 0.0), seed=0)
    assert apart is not None
    assert 0.75 * MOST_CANDIDATES < apart.candidates < 1.25 * MOST_CANDIDATES  # as bounded before the factors
    near = fit_rejection(_cells(0, 20_000, 0.2), _cells(1, 20_000, 0.0), _cells(2, 20_000, 0.0), seed=0)
    assert near is not None
    assert near.candidates < fitted.candidates


def test_differences_of_columns_are_seen() -> None:
    def bills(seed: int, step: float) -> Cells:
        rng = np.random.default_rng(seed)
        bill = rng.normal(0, 1_000, 6_000).round()
        return Cells({"x": bill, "y": bill + np.rint(rng.normal(0, 40, 6_000) / step) * step}, {})

    found = fit_rejection(bills(0, 10.0), bills(1, 1.0), bills(2, 1.0), seed=0)
    assert found is not None
    made = bills(3, 1.0)
    before, after = (np.mean((one.numbers["y"] - one.numbers["x"]) % 10 == 0) for one in (made, _kept(found, made)))
    assert before < 0.12
    assert after > 1.5 * before


@pytest.mark.parametrize("seed", range(5))
def test_a_sample_of_the_table_itself_is_kept_whole(seed: int) -> None:
    alike = [_cells(10 * seed + i, 4_000, 0.5) for i in range(3)]
    assert fit_rejection(*alike, seed=seed) is None


def test_few_rows_are_not_tried() -> None:
    apart = [_cells(0, FEWEST_ROWS - 1, 0.9), *(_cells(i, FEWEST_ROWS, -0.9) for i in (1, 2))]
    assert fit_rejection(*apart, seed=0) is None
    assert fit_rejection(apart[1], apart[0], apart[2], seed=0) is None
    assert fit_rejection(_cells(0, FEWEST_ROWS, 0.9), *apart[1:], seed=0) is not None


def test_a_wide_table_has_fewer_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    apart = [_cells(0, 4_000, 0.8), *(_cells(i, 4_000, 0.0) for i in (1, 2))]
    monkeypatch.setattr(rejection, "MOST_WORK", 4 * 25)  # three columns and a difference
    found = fit_rejection(*apart, seed=0)
    assert found is not None
    assert len(found.trees.leaves) == 25


def test_rounds_are_no_more_than_asked_for() -> None:
    apart = [_cells(0, 4_000, 0.8), *(_cells(i, 4_000, 0.0) for i in (1, 2))]
    found = fit_rejection(*apart, seed=0, rounds=25)
    assert found is not None
    assert len(found.trees.leaves) == 25


def test_a_wide_table_is_seen_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    apart = [_cells(0, 4_000, 0.8), *(_cells(i, 4_000, 0.0) for i in (1, 2))]
    monkeypatch.setattr(rejection, "MOST_CELLS", 4 * 2_000)  # three columns and a difference
    part = fit_rejection(*apart, seed=0)
    monkeypatch.undo()
    whole = fit_rejection(*apart, seed=0)
    assert part is not None
    assert whole is not None
    assert len(part.trees.feature) < len(whole.trees.feature)


def test_threads_do_not_change_what_is_found(fitted: Rejection) -> None:
    twin = fit_rejection(_cells(0, 20_000, 0.6), _cells(1, 20_000, 0.0), _cells(2, 20_000, 0.0), seed=0, threads=2)
    assert twin is not None
    made, places = _cells(5, 500, 0.0), np.random.default_rng(0).random(500)
    np.testing.assert_array_equal(twin.kept(made, places, threads=2), fitted.kept(made, places))
    assert (twin.log_cap, twin.candidates) == (fitted.log_cap, fitted.candidates)


def test_missing_cells_and_tables_of_categories_alone_are_read() -> None:
    def levels(seed: int, tied: float) -> Cells:
        rng = np.random.default_rng(seed)
        a = rng.integers(-1, 4, 5_000)
        return Cells({}, {"a": a, "b": np.where(rng.random(5_000) < tied, a, rng.integers(-1, 4, 5_000))})

    found = fit_rejection(levels(0, 0.5), levels(1, 0.0), levels(2, 0.0), seed=0)
    assert found is not None
    made, places = levels(3, 0.0), np.random.default_rng(0).random(5_000)
    kept = found.kept(made, places)
    assert (made.categories["a"] == made.categories["b"])[kept].mean() > 0.3
    gone = _cells(6, 3_000, 0.0)
    gone.numbers["y"][gone.numbers["x"] > 0] = np.nan
    huge = Cells({**_cells(7, 3_000, 0.0).numbers, "y": np.full(3_000, 1e300)}, gone.categories)
    assert fit_rejection(_cells(0, 3_000, 0.0), gone, gone, seed=0) is not None
    assert fit_rejection(_cells(0, 3_000, 0.0), huge, huge, seed=0) is not None


def test_it_is_read_as_it_was_written_or_refused(fitted: Rejection) -> None:
    made, places = _cells(5, 500, 0.0), np.random.default_rng(0).random(500)
    said, arrays = fitted.to_json(), fitted.arrays()
    again = Rejection.from_parts(said, arrays, take(made, np.arange(1)))
    np.testing.assert_array_equal(again.kept(made, places), fitted.kept(made, places))
    assert again.candidates == fitted.candidates
    other = Cells({"y": made.numbers["y"], "x": made.numbers["x"]}, made.categories)
    for columns, changed in (
        (other, {}),
        (made, {"pairs": [[0], [2]]}),
        (made, {"pairs": [[-1], [1]]}),
        (made, {"features": 5}),
    ):
        with pytest.raises(ValueError, match="of other columns"):
            Rejection.from_parts(said | changed, arrays, columns)
    for changed in ({"log_cap": 50.0}, {"log_cap": float("nan")}, {"candidates": 0.0}):
        with pytest.raises(ValueError, match="none would be kept"):
            Rejection.from_parts(said | changed, arrays, made)
    with pytest.raises(KeyError):
        Rejection.from_parts(said, {name: one for name, one in arrays.items() if name != "trees.value"}, made)
