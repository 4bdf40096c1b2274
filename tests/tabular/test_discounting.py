"""New values: how many rows to come have one, which last digits they have, and that margins make them so."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorewise.tabular.discounting import (
    MOST_DISCOUNT,
    MOST_PLACES,
    NO_ENDINGS,
    discount,
    discounts,
    endings,
    spread,
    to_gaps,
)
from scorewise.tabular.marginal import MOST_VALUES, Marginal
from scorewise.tabular.synthesizer import Synthesizer


def _amounts(rows: int, rng: np.random.Generator) -> np.ndarray:
    return np.rint(rng.lognormal(8, 0.8, rows))


def _prices(rows: int, rng: np.random.Generator) -> np.ndarray:
    ends = rng.choice([99, 95, 50], rows, p=[0.7, 0.2, 0.1])
    return np.rint(100 * np.floor(rng.lognormal(4, 1, rows)) + ends) / 100


def _incomes(rows: int, rng: np.random.Generator) -> np.ndarray:
    exact = rng.lognormal(10, 0.7, rows)
    return np.where(rng.random(rows) < 0.5, 500 * np.rint(exact / 500), np.rint(exact))


def _ages(rows: int, rng: np.random.Generator) -> np.ndarray:
    return np.rint(rng.gamma(20, 2, rows))


def test_values_of_one_and_two_rows_are_discounted_by_those_of_one_more_and_others_by_what_is_left() -> None:
    counts = np.array([1] * 9 + [2, 2, 2, 3, 7])  # of single ones 2 3 / 9 stay, of those of two 3 1 / 3
    rows, given = discount(np.arange(14), counts)
    np.testing.assert_array_equal(rows, counts)
    np.testing.assert_allclose(given, [1 - 6 / 9] * 9 + [1.0] * 3 + [1.5] * 2)
    rows, given = discount(np.arange(3), np.array([2, 3, 4]))
    np.testing.assert_array_equal(rows, [2, 3, 4])
    assert not given.any()
    assert not discount(np.arange(0), np.array([], dtype=np.int64))[1].size
    np.testing.assert_allclose(discount(np.arange(50), np.ones(50, dtype=np.int64))[1], MOST_DISCOUNT)


def test_where_values_are_dense_single_ones_gain_what_others_lose() -> None:
    counts = np.array(
        [1] * 4 + [2] * 3 + [3] * 3 + [4] * 2
    )  # of single ones 2 3 / 4 are to be, of those of two 3 3 / 3
    rows, given = discount(np.arange(12), counts)
    np.testing.assert_allclose(given, [0] * 7 + [4 / 5] * 5)
    spare, gain = 3 * 1.2 + 2 * 2.2, 4 * 0.5 + 3 * (27 / 12 - 2)
    np.testing.assert_allclose(rows[:7], [1.5] * 4 + [27 / 12] * 3)  # two have no more than all have on average
    np.testing.assert_allclose(rows[7:], [3 - 1.2 * gain / spare] * 3 + [4 - 2.2 * gain / spare] * 2)
    rows, given = discount(np.arange(6), np.array([1, 1, 1, 2, 2, 7]))  # not more are new than are single
    np.testing.assert_allclose(given, [0, 0, 0, 1.5, 1.5, 0])
    np.testing.assert_allclose(rows, [4 / 3, 4 / 3, 4 / 3, 2, 2, 6])


def test_what_values_gain_comes_from_those_near_them() -> None:
    rng = np.random.default_rng(2)
    places, counts = np.unique(np.rint(rng.lognormal(8, 2, 40_000)), return_counts=True)
    light = counts < 20
    rows = discount(places[light], counts[light])[0]
    assert np.abs(rows - counts[light]).sum() > 1_000
    assert np.abs(np.cumsum(rows - counts[light])).max() < 40


def test_values_are_discounted_among_those_as_dense_as_they_are() -> None:
    rng = np.random.default_rng(1)
    dense = np.concatenate([10**8 * place + rng.integers(0, 50, 250) for place in (1, 3, 5, 7)])
    places, counts = np.unique(np.append(dense, rng.integers(0, 10**9, 200)), return_counts=True)
    found, far = discount(places, counts)[1], ~np.isin(places, dense)
    assert np.mean(found[far] > 0.9) > 0.9
    assert found[~far].sum() < 0.2 * found[far].sum()


@given(st.lists(st.integers(1, 6), max_size=200))
def test_no_value_gives_more_than_it_has_nor_all_more_than_there_are_single_rows(rows: list[int]) -> None:
    counts = np.array(rows, dtype=np.int64)
    kept, found = discount(np.cumsum(counts), counts)
    assert ((found >= 0) & (found < kept)).all()
    assert found.sum() <= np.count_nonzero(counts == 1) + 1e-9
    np.testing.assert_allclose(kept.sum(), counts.sum())
    assert (kept <= np.maximum(counts, counts.max(initial=0))).all()


def _shares(known: np.ndarray, new: np.ndarray, rng: np.random.Generator) -> list[list[float]]:
    """Which share of rows has a value of no row of the table, of one and of two: in it, in its margin, in new rows."""
    made = Marginal.fit(known, 1.0).invert(rng.random(50_000))
    values, counts = np.unique(known, return_counts=True)
    having = [~np.isin(np.concatenate([known, made, new]), values)]
    having += [np.isin(np.concatenate([known, made, new]), values[counts == count]) for count in (1, 2)]
    ends = np.cumsum([len(known), len(made)])
    return [[float(part.mean()) for part in np.split(one, ends)] for one in having]


@pytest.mark.parametrize("spread", [0.2, 0.7])
def test_values_of_few_rows_are_as_frequent_in_a_margin_as_in_new_rows(spread: float) -> None:
    rng = np.random.default_rng(0)
    known, new = (np.rint(rng.lognormal(9, spread, some)) for some in (4_000, 50_000))
    unknown, *few = _shares(known, new, rng)
    for in_table, ours, theirs in few:
        assert ours == pytest.approx(theirs, abs=0.05)
        assert theirs < 0.7 * in_table
    assert unknown[1] == pytest.approx(unknown[2], abs=0.04)


@pytest.mark.parametrize(("density", "more"), [(0.7, False), (1.5, True)])
def test_single_values_are_as_frequent_as_in_new_rows_however_many_have_several(density: float, more: bool) -> None:
    rng = np.random.default_rng(0)
    known, new = (rng.integers(0, 4_000, some).astype(np.float64) for some in (int(4_000 * density), 50_000))
    _, single, of_two = _shares(known, new, rng)
    for _, ours, theirs in (single, of_two):
        assert ours == pytest.approx(theirs, abs=0.02)
    assert (single[2] > 1.3 * single[0]) == more


@pytest.mark.parametrize("rows", [300, 1_000, 4_000])
@pytest.mark.parametrize("spread", [0.2, 0.7])
def test_what_all_values_give_is_the_share_of_new_rows_that_have_a_new_value(rows: int, spread: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        known, new = (np.rint(rng.lognormal(6, spread, some)) for some in (rows, 50_000))
        values, counts = np.unique(known, return_counts=True)
        error = np.sqrt(np.count_nonzero(counts == 1)) / rows
        assert abs(discount(values, counts)[1].sum() / rows - (~np.isin(new, known)).mean()) < 4 * error


@pytest.mark.parametrize(
    ("made", "unit", "likely"),
    [(_amounts, 1, None), (_prices, 0.01, (100, {99, 95, 50})), (_incomes, 1, (500, {0})), (_ages, 1, None)],
)
def test_last_digits_are_followed_where_they_tell(
    made: Callable[[int, np.random.Generator], np.ndarray], unit: float, likely: tuple[int, set[int]] | None
) -> None:
    frequent = endings(np.unique(np.rint(made(1_500, np.random.default_rng(0)) / unit).astype(np.int64)))
    if likely is None:
        assert not frequent.any()
        return
    modulus, remainders = likely
    assert len(frequent) == modulus
    assert remainders <= set(np.flatnonzero(frequent).tolist())
    assert frequent.sum() < len(remainders) + 10  # but for a few by accident


def _codes(rows: int, rng: np.random.Generator) -> np.ndarray:
    some = np.random.default_rng(5)
    return rng.choice(some.choice(np.arange(1_000, 10_000), 300, replace=False), rows, p=some.dirichlet(np.ones(300)))


@pytest.mark.parametrize("rows", [200, 1_000, 5_000])
@pytest.mark.parametrize(
    ("made", "unit", "listed"),
    [(_codes, 1, True), (_amounts, 1, False), (_ages, 1, False), (_prices, 0.01, False), (_incomes, 1, False)],
)
def test_values_of_a_list_are_not_discounted(
    made: Callable[[int, np.random.Generator], np.ndarray], unit: float, listed: bool, rows: int
) -> None:
    places, counts = np.unique(
        np.rint(made(rows, np.random.default_rng(6)) / unit).astype(np.int64), return_counts=True
    )
    light = counts < 5
    own, found = discounts(places, counts, light, endings(places[light]))
    assert (found[~light] == 0).all()
    assert own.sum() == pytest.approx(counts.sum())
    np.testing.assert_array_equal(own[~light], counts[~light])
    assert discount(places[light], counts[light])[1].any()
    single = np.count_nonzero(counts == 1)
    assert found.sum() == 0 if listed else 0.9 * single < found.sum() <= single + 1e-9


def test_single_values_of_a_list_are_as_rare_as_in_new_rows() -> None:
    rng = np.random.default_rng(10)
    codes, share = rng.integers(0, 10**7, 3_000), 1 / np.arange(20, 3_020)
    share /= share.sum()
    known, new = (rng.choice(codes, some, p=share).astype(np.float64) for some in (3_000, 50_000))
    values, counts = np.unique(known, return_counts=True)
    made = Marginal.fit(known, 1.0).invert(rng.random(50_000))
    assert np.isin(made, values).all()
    single = values[counts == 1]
    ours, theirs = np.isin(made, single).mean(), np.isin(new, single).mean()
    assert theirs < 0.8 * len(single) / 3_000
    assert ours == pytest.approx(theirs, abs=0.02)


def test_values_of_single_rows_are_discounted_though_others_recur() -> None:
    rng = np.random.default_rng(8)
    seconds = np.where(rng.random(600) < 0.3, 10**8 * rng.integers(0, 60, 600), rng.integers(0, 60 * 10**8, 600))
    places, counts = np.unique(seconds, return_counts=True)  # of an average, some are whole
    light = counts < 5
    assert (discounts(places, counts, light, NO_ENDINGS)[1][counts == 1] > 0.5).all()


def test_weights_of_which_nearly_half_are_new_are_no_list() -> None:
    rng = np.random.default_rng(9)
    weights = rng.choice(rng.integers(10_000, 900_000, 70_000), (2, 30_000), p=rng.dirichlet(np.ones(70_000)))
    marginal = Marginal.fit(weights[0], 1.0)
    found = marginal.invert(rng.random(30_000))
    shares = [np.isin(one, weights[0]).mean() for one in (found, weights[1])]
    assert 0.5 < shares[1] < 0.55
    assert abs(shares[0] - shares[1]) < 0.05


def test_endings_of_a_list_are_not_discounted_and_others_are() -> None:
    rng = np.random.default_rng(7)
    tariffs = 1_000 * rng.choice(rng.choice(2_000, 60, replace=False), 300)  # whole thousands, of a list
    places, counts = np.unique(np.append(tariffs, rng.integers(0, 2_000_000, 300)), return_counts=True)
    light = counts < 30
    frequent = endings(places)
    assert frequent[0]
    found = discounts(places, counts, light, frequent)[1]
    whole = places % 1_000 == 0
    assert (found[whole] == 0).all()
    assert (found[~whole] > 0).all()


@given(
    st.dictionaries(st.integers(-(10**12), 10**12), st.integers(1, 4), min_size=1, max_size=60),
    st.lists(st.booleans(), min_size=1, max_size=40),
    st.floats(0.01, 0.95),
)
def test_what_is_given_away_goes_to_new_values_between_those_of_its_kind(
    counts: dict[int, int], frequent: list[bool], given: float
) -> None:
    places, rows, mask = np.array(sorted(counts)), np.array([counts[p] for p in sorted(counts)]), np.array(frequent)
    every, each = spread(places, rows, rows, np.full(len(places), given), mask)
    np.testing.assert_allclose(each.sum(), rows.sum())
    assert (np.diff(every) > 0).all()
    assert (every[0], every[-1]) == (places[0], places[-1])
    kept = each[np.isin(every, places)]
    assert len(kept) == len(places)
    assert (each > 0).all()
    assert (kept >= rows - given - 1e-9).all()
    assert len(every) - len(places) <= max(MOST_PLACES, 2 * len(places))
    for remainder in np.flatnonzero(mask).tolist():  # each frequent ending keeps its rows, as far as no other gives any
        old, new = (some[end % len(mask) == remainder].sum() for some, end in ((rows, places), (each, every)))
        assert new >= old - 1e-9
        if mask.all():
            np.testing.assert_allclose(new, old)


def test_few_new_values_are_all_given_the_same() -> None:
    places, counts = np.array([10, 13, 20, 33]), np.array([1, 2, 1, 5])
    frequent = np.arange(10) == 0  # of tens
    every, each = spread(places, counts, counts, np.array([0.5, 0.5, 0.5, 0.0]), frequent)
    assert every.tolist() == [10, 13, *range(14, 33), 33]
    np.testing.assert_allclose(each[[0, 1, -1]], [1, 1.5, 5])  # there is no ten between 10 and 20
    tens = every == 20
    np.testing.assert_allclose(each[tens], 1 + 0.5 / 19)
    np.testing.assert_allclose(each[2:-1][~tens[2:-1]], 0.5 / 19)


def test_gaps_are_given_what_the_nearest_values_give_up_to_their_size() -> None:
    counts, given = np.array([1, 2, 3, 1, 1]), np.array([0.5, 0.5, 0.0, 0.5, 0.5])
    gaps, gave = to_gaps(counts, counts, given, np.array([0, 0, 4, 0]))  # all sides of one gap
    np.testing.assert_allclose(gaps, [0, 0, 2, 0])
    np.testing.assert_allclose(gave, given)
    gaps, gave = to_gaps(counts, counts, given, np.array([3, 0, 0, 1]))
    np.testing.assert_allclose(gaps, [0.5 + 0.25 + 0.25, 0, 0, 0.25 + 0.25 + 0.5])
    np.testing.assert_allclose(gave, given)
    gaps, gave = to_gaps(np.full(6, 1), np.full(6, 1), np.full(6, 0.9), np.array([0, 0, 1, 0, 0]))
    np.testing.assert_allclose(gaps, [0, 0, 2, 0, 0])  # there is room for one value, and that has two rows
    np.testing.assert_allclose(gave, np.full(6, 1 / 3))
    gaps, gave = to_gaps(np.full(6, 4), np.full(6, 4), np.full(6, 0.9), np.array([0, 0, 1, 0, 0]))
    np.testing.assert_allclose(gaps, [0, 0, 3.1, 0, 0])  # or as many as others have
    gaps, gave = to_gaps(counts, counts, given, np.zeros(4))
    assert not gaps.any()
    assert not gave.any()


def test_what_some_have_no_room_for_others_of_as_many_rows_give() -> None:
    counts, fits = np.array([1, 1, 1, 1, 2, 1, 2]), np.array([1, 0, 0, 0, 50, 0])
    given = np.array([0.9, 0.9, 0.9, 0.9, 0.9, 0.5, 0.5])
    gaps, gave = to_gaps(counts, counts, given, fits)
    assert gaps[0] == pytest.approx(2)  # the four in the middle give half to it
    assert (gave[:5] < given[:5]).all()
    assert gave[5] == pytest.approx(MOST_DISCOUNT)
    assert 0.5 < gave[6] <= given[6] + (given - gave)[4] + 1e-9  # what the other of two rows has no room for
    assert gaps.sum() == pytest.approx(gave.sum())
    lent = np.array([1, 1, 1, 1, 1.7, 1, 1.8])  # of which those of three rows have lent some to others
    assert to_gaps(counts + (counts > 1), lent, given, fits)[1][6] > 0.5


@pytest.mark.parametrize("rows", [200, 800, 3_000])
@pytest.mark.parametrize(("made", "step"), [(_amounts, 1.0), (_prices, 0.01), (_incomes, 1.0), (_ages, 1.0)])
def test_a_margin_repeats_values_of_the_table_about_as_often_as_new_rows_do(
    made: Callable[[int, np.random.Generator], np.ndarray], step: float, rows: int
) -> None:
    rng = np.random.default_rng(1)
    known, new = made(rows, rng), made(20_000, rng)
    marginal = Marginal.fit(known, step)
    found = marginal.invert(rng.random(20_000))
    shares = [np.isin(np.rint(one / step), np.rint(known / step)).mean() for one in (found, new)]
    assert abs(shares[0] - shares[1]) < 0.15
    assert (np.diff(marginal.heights) >= 0).all()
    at = np.unique(known) + step / 2
    ours, theirs = (np.searchsorted(np.sort(one), at, "right") / len(one) for one in (found, known))
    assert np.abs(ours - theirs).max() < 0.02 + 2 / rows


@pytest.mark.parametrize("made", [_prices, _incomes])
def test_a_margin_keeps_last_digits(made: Callable[[int, np.random.Generator], np.ndarray]) -> None:
    rng = np.random.default_rng(2)
    step, modulus = (0.01, 100) if made is _prices else (1.0, 500)
    known = made(600, rng)
    found = Marginal.fit(known, step).invert(rng.random(20_000))
    ends = [np.bincount(np.rint(one / step).astype(np.int64) % modulus, minlength=modulus) for one in (found, known)]
    shares = [one / one.sum() for one in ends]
    frequent = np.argsort(-shares[1])[: 3 if made is _prices else 1]
    np.testing.assert_allclose(shares[0][frequent], shares[1][frequent], atol=0.02)
    ends_new = []
    for one in (found, made(20_000, rng)):
        new = np.rint(one / step)[~np.isin(np.rint(one / step), np.rint(known / step))]
        assert len(new) > 500
        ends_new.append(np.isin(new % modulus, frequent).mean())
    np.testing.assert_allclose(*ends_new, atol=0.05)  # those of new values are like those of new values of new rows


def test_new_values_hardly_meet_where_there_are_many() -> None:
    rng = np.random.default_rng(4)
    exact = rng.lognormal(0, 1, 3_000)
    known = np.where(rng.random(3_000) < 0.9, exact.round(4), exact.round(6))  # most have four digits, some have six
    found = Marginal.fit(known, 1e-6).invert(rng.random(3_000))
    ours, theirs = (len(np.unique(one)) / 3_000 for one in (found, known))
    assert theirs > 0.9
    assert ours > theirs - 0.1
    four = (np.rint(1e6 * found).astype(np.int64) % 100 == 0).mean()
    assert 0.8 < four < 0.95


def test_frequent_values_keep_their_shares() -> None:
    rng = np.random.default_rng(3)
    known = np.where(rng.random(500) < 0.3, 1_000.0, _amounts(500, rng))
    low, high = Marginal.fit(known, 1.0).interval(np.array([1_000.0]))
    np.testing.assert_allclose(high - low, (known == 1_000).mean(), atol=1e-12)


def test_margins_of_the_largest_numbers_and_of_many_values_stay_small() -> None:
    huge = np.array([-1e308, 0.0, 1e308, 7.0, 9.0])
    marginal = Marginal.fit(huge, 1.0)
    assert np.isfinite(marginal.heights).all()
    many = Marginal.fit(_incomes(200_000, np.random.default_rng(0)), 1.0)
    assert len(many.knots) <= 2 * MOST_VALUES


def test_a_fitted_table_does_not_give_single_numbers_away() -> None:
    rng = np.random.default_rng(4)
    amounts = _amounts(500, rng)
    table = pd.DataFrame({"amount": amounts.astype(np.int64), "paid": (amounts * rng.random(500)).astype(np.int64)})
    fake = Synthesizer(seed=0, time_limit=0.01).fit(table).sample(2_000, seed=1)
    other = _amounts(2_000, rng)
    assert fake["amount"].isin(table["amount"]).mean() < 0.15 + np.isin(other, amounts).mean()
    assert fake["amount"].between(amounts.min(), amounts.max()).all()
