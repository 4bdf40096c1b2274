"""Ratios of columns that a model blurs are made those of the table, and nothing else is moved."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from scorewise.tabular.codec import Codec
from scorewise.tabular.ratio import FAR, GRID, Ratio, adjustment, fit_ratio, fit_ratios, log_ratio
from scorewise.tabular.relation import Combination
from scorewise.tabular.table import to_arrow

BILL = Combination.column("bill")


def _pair(seed: int, blur: float, rows: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Bills, and payments of which a third are half a percent above, but for a blur."""
    rng = np.random.default_rng(seed)
    bill = rng.lognormal(8, 1, rows)
    near = bill * np.exp(0.005 + rng.normal(0, 0.001, rows) + rng.normal(0, blur, rows))
    return bill, np.where(rng.random(rows) < 1 / 3, near, rng.lognormal(7, 1, rows))


def _fitted(blur: float) -> Ratio | None:
    (bill, paid), (made_bill, made_paid) = _pair(0, 0.0), _pair(1, blur)
    everything = np.ones(len(bill), dtype=bool)
    return fit_ratio("paid", (paid, everything), (made_paid, everything), [(BILL, bill, made_bill)])


def test_a_blurred_ratio_becomes_that_of_the_table() -> None:
    ratio = _fitted(0.05)
    assert ratio is not None
    assert (ratio.child, ratio.parent) == ("paid", BILL)
    bill, paid = _pair(2, 0.05)  # rows that it was not fitted to
    moved = ratio.apply(paid, bill, np.ones(len(bill), dtype=bool))
    real = log_ratio(*_pair(0, 0.0)[::-1])[0]
    before, after = (log_ratio(values, bill)[0] for values in (paid, moved))
    assert ks_2samp(before, real).statistic > 0.1
    assert ks_2samp(after, real).statistic < 0.02
    assert np.array_equal(moved[np.abs(before) >= FAR], paid[np.abs(before) >= FAR])


def test_moving_keeps_the_order_of_the_ratios_among_rows_of_one_size() -> None:
    ratio = _fitted(0.05)
    assert ratio is not None
    paid = np.sort(np.exp(np.random.default_rng(3).uniform(-0.5, 0.5, 500))) * 3_000
    moved = ratio.apply(paid, np.full(500, 3_000.0), np.ones(500, dtype=bool))
    assert (np.diff(moved) >= 0).all()


def test_a_ratio_that_is_right_is_left_alone() -> None:
    assert _fitted(0.0) is None


def test_of_two_columns_the_one_that_is_more_out_of_place_is_taken() -> None:
    (bill, paid), (made_bill, made_paid) = _pair(0, 0.0), _pair(1, 0.05)
    everything, other = np.ones(len(bill), dtype=bool), np.random.default_rng(5).lognormal(7, 1, len(bill))
    parents = [(Combination.column("other"), other, other[::-1]), (BILL, bill, made_bill)]
    found = fit_ratio("paid", (paid, everything), (made_paid, everything), parents)
    assert found is not None
    assert found.parent == BILL


def test_rows_that_may_not_be_moved_or_have_no_ratio_stay() -> None:
    ratio = Ratio("paid", BILL, np.array([10.0]), np.stack([GRID, GRID / 2]))
    paid, bill = np.array([101.0, 101.0, 100.0, -101.0, np.nan, 101.0, 1.01]), np.array([100.0] * 5 + [np.nan, 1.0])
    movable = np.array([True, False, True, True, True, True, True])
    moved = ratio.apply(paid, bill, movable)
    assert moved[0] == pytest.approx(100 * np.sqrt(1.01))
    np.testing.assert_array_equal(moved[1:], paid[1:])  # the last is of another size, where nothing is out of place


def test_few_rows_are_no_evidence() -> None:
    (bill, paid), (made_bill, made_paid) = _pair(0, 0.0, 300), _pair(1, 0.05, 300)
    everything = np.ones(300, dtype=bool)
    assert fit_ratio("paid", (paid, everything), (made_paid, everything), [(BILL, bill, made_bill)]) is None


def _frame(seed: int, blur: float) -> pd.DataFrame:
    """A table with such a pair, of whole numbers, with common values, equal rows and a missing share."""
    rng = np.random.default_rng(seed + 10)
    bill, paid = (np.rint(values) for values in _pair(seed, blur, 12_000))
    kind = rng.random(len(bill))
    paid = np.select([kind < 0.1, kind < 0.2, kind < 0.25], [bill, np.full(len(bill), 2_000.0), np.nan], paid)
    return pd.DataFrame({"bill": bill, "paid": paid})


def test_a_sample_is_mended_column_by_column_and_only_where_values_are_free_and_rare() -> None:
    real, fake = _frame(0, 0.0), _frame(1, 0.05)
    codec = Codec.fit(real)
    made = codec.choose(codec.encode(fake))
    ratios = fit_ratios(codec, codec.schema.cells(to_arrow(real)).numbers, made, [("bill", "paid")])
    assert [(ratio.child, ratio.parent) for ratio in ratios] == [("paid", BILL)]
    plain, mended = (codec.restore(made, adjust=how).to_pandas() for how in (None, adjustment(ratios)))
    assert mended["bill"].equals(plain["bill"])
    still = (plain["paid"] == plain["bill"]) | (plain["paid"] == 2_000) | plain["paid"].isna()
    assert mended["paid"][still].equals(plain["paid"][still])
    assert (mended["paid"].dropna() % 1 == 0).all()
    assert mended["paid"].max() <= real["paid"].max()

    def peak(frame: pd.DataFrame) -> float:
        return float(((frame["paid"] / frame["bill"]).sub(1.005).abs() < 0.004).mean())

    assert peak(plain) < 0.5 * peak(real)
    assert abs(peak(mended) - peak(real)) < 0.1 * peak(real)


def _balances(seed: int, blur: float) -> pd.DataFrame:
    """What is left of a bill after a payment, with two percent of interest, and in half of the rows purchases."""
    rng = np.random.default_rng(seed)
    before = rng.lognormal(8, 1, 12_000)
    paid = before * rng.beta(0.5, 3, len(before))
    bought = np.where(rng.random(len(before)) < 0.5, rng.exponential(0.5, len(before)), 0.0)
    left = (before - paid) * np.exp(0.02 + bought + rng.normal(0, 1e-3 + blur, len(before)))
    return pd.DataFrame({"left": left, "before": before, "paid": paid}).round()


def test_the_ratio_to_a_sum_is_mended_like_that_to_a_column() -> None:
    real, fake = _balances(0, 0.0), _balances(1, 0.05)
    codec = Codec.fit(real)
    rest = Combination(("before", "paid"), (1, -1))
    assert [(one.child, one.parent) for one in codec.structure.sums] == [("left", rest)]
    made = codec.choose(codec.encode(fake))
    ratios = fit_ratios(codec, codec.schema.cells(to_arrow(real)).numbers, made, [])
    assert [(ratio.child, ratio.parent) for ratio in ratios] == [("left", rest)]
    plain, mended = (codec.restore(made, adjust=how).to_pandas() for how in (None, adjustment(ratios)))

    def below(frame: pd.DataFrame) -> float:
        return float((frame["left"] < frame["before"] - frame["paid"]).mean())

    assert below(real) < 0.01
    assert below(plain) > 0.1
    assert below(mended) < 0.02
    assert mended[["before", "paid"]].equals(plain[["before", "paid"]])


def test_later_columns_see_earlier_ones_as_mended() -> None:
    def doubled(seed: int) -> pd.DataFrame:
        frame = _frame(seed, 0.0).dropna()
        return frame.assign(twice=frame["paid"].where(np.arange(len(frame)) % 20 > 0, frame["paid"] + 7))

    codec = Codec.fit(doubled(0))
    assert codec.structure.numbers["twice"].parents == (Combination.column("paid"),)
    seen: dict[str, np.ndarray] = {}

    def adjust(name: str, values: np.ndarray, movable: np.ndarray, done: Mapping[str, np.ndarray]) -> np.ndarray:
        seen.update(done)
        return np.where(movable, values * 1.1, values) if name == "paid" else values

    frame = doubled(1)
    back = codec.restore(codec.choose(codec.encode(frame)), adjust=adjust).to_pandas()
    assert (back["paid"].to_numpy() == seen["paid"]).all()
    same = (frame["twice"] == frame["paid"]).to_numpy()
    assert 0.94 < same.mean() < 1
    assert (back["twice"] == back["paid"])[same].all()
    assert (back["paid"] != frame["paid"].to_numpy())[same].mean() > 0.1


def test_times_have_no_ratios_and_tables_without_pairs_no_maps() -> None:
    real, fake = _frame(0, 0.0), _frame(1, 0.05)
    day = pd.Timestamp("1970-01-01")
    dated, made_dated = (frame.fillna(1.0).apply(lambda c: day + pd.to_timedelta(c, "D")) for frame in (real, fake))
    codec = Codec.fit(dated)
    made = codec.choose(codec.encode(made_dated.clip(dated.min(), dated.max(), axis=1)))
    cells = codec.schema.cells(to_arrow(dated)).numbers
    assert fit_ratios(codec, cells, made, [("bill", "paid")]) == ()
    plain = Codec.fit(real)
    assert fit_ratios(plain, plain.schema.cells(to_arrow(real)).numbers, plain.choose(plain.encode(fake)), []) == ()


def test_a_ratio_that_is_no_float_is_none() -> None:
    child, parent = np.array([1e300, 1e-300, -2.0, 3.0]), np.array([1e-300, 1e300, -1.0, np.nan])
    found, there = log_ratio(child, parent)
    assert there.tolist() == [False, False, True, False]
    np.testing.assert_allclose(found, [0.0, 0.0, np.log(2), 0.0])
