"""Columns that are a round multiple of another one in some rows, and those that only seem to."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from scorewise.tabular.codec import Codec
from scorewise.tabular.multiple import FACTORS, Multiple, find_multiples
from scorewise.tabular.number import fit_numbers
from scorewise.tabular.relation import Combination

_ROWS = 3_000


def _mortgages(seed: int = 0, rows: int = _ROWS, step: float = 1.0) -> dict[str, Any]:
    """Loans: 30 % of them 80 % of the price, 15 % of them 90 %, rounded; the others any part of it."""
    rng = np.random.default_rng(seed)
    price = np.rint(rng.lognormal(12, 0.5, rows))
    part = rng.choice([0.8, 0.9, 0.0], rows, p=[0.3, 0.15, 0.55])
    part = np.where(part > 0, part, rng.uniform(0.3, 1.0, rows))
    return {"loan": np.rint(part * price / step) * step, "price": price}


def _steps(numbers: dict[str, Any], step: float | None = 1.0) -> dict[str, float | None]:
    return dict.fromkeys(numbers, step)


def _found(numbers: dict[str, Any], **after: list[str]) -> dict[str, list[tuple[str, float]]]:
    found = find_multiples(numbers, _steps(numbers), after)
    return {child: [(one.name, one.factor) for one in some] for child, some in found.items()}


def test_round_shares_of_a_price_are_found_whichever_column_is_first() -> None:
    numbers = _mortgages()
    assert _found(numbers) == {"loan": [("price", 0.8), ("price", 0.9)]}
    assert _found({name: numbers[name] for name in ("price", "loan")}) == _found(numbers)
    gone = {"loan": np.where(np.arange(_ROWS) % 3 == 0, np.nan, numbers["loan"]), "price": numbers["price"]}
    assert _found(gone) == _found(numbers)
    assert _found({}) == {}
    assert _found({name: values[:30] for name, values in numbers.items()}) == {}


def test_what_is_rounded_to_hundreds_is_held_against_the_rounded_product() -> None:
    numbers = _mortgages(step=100.0)
    found = find_multiples(numbers, {"loan": 100.0, "price": 1.0}, {})
    assert found == {"loan": [Multiple("price", 0.8, 100.0), Multiple("price", 0.9, 100.0)]}
    for one in found["loan"]:
        share = one.equal(numbers["loan"], numbers).mean()
        assert share == pytest.approx(0.3 if one.factor == 0.8 else 0.15, abs=0.03)


def test_no_column_comes_to_depend_on_itself() -> None:
    numbers = _mortgages()
    backwards = _found(numbers, price=["loan"])
    assert "loan" not in backwards
    assert _found(numbers, price=["other"], other=["loan"]).keys() == backwards.keys()
    half = {**numbers, "half": np.rint(numbers["loan"] / 2)}  # of loans that are even it is half, and they are twice it
    chained = _found(half)
    assert not {"half", "loan"} <= {parent for some in chained.values() for parent, _ in some} & chained.keys()


def test_what_is_near_or_a_multiple_by_chance_is_none() -> None:
    rng = np.random.default_rng(1)
    price = np.rint(rng.lognormal(12, 0.5, _ROWS))
    assert _found({"price": price, "loan": np.rint(price * rng.uniform(0.3, 1.0, _ROWS))}) == {}
    assert _found({"price": price, "loan": np.rint(price * rng.normal(0.8, 0.02, _ROWS))}) == {}
    few = rng.integers(1, 200, _ROWS).astype(np.float64)
    games, wins = few, rng.binomial(few.astype(np.int64), 0.5).astype(np.float64)  # half of an even number is often it
    assert np.mean(2 * wins == games) > 0.05
    assert _found({"games": games, "wins": wins}) == {}
    before = rng.integers(40, 140, _ROWS).astype(np.float64)
    month = before - (rng.random(_ROWS) < 0.4)  # one less is 99 %, rounded
    assert np.mean(np.rint(0.99 * before) == month) > 0.3
    assert _found({"before": before, "month": month}) == {}
    shuffled = _mortgages()
    assert _found({**shuffled, "loan": rng.permutation(shuffled["loan"])}) == {}


def test_what_is_hardly_more_frequent_than_near_it_is_none() -> None:
    rng = np.random.default_rng(5)
    price = np.rint(rng.uniform(100, 300, _ROWS))
    part = np.where(rng.random(_ROWS) < 0.08, 0.8, rng.normal(0.8, 0.02, _ROWS))
    assert _found({"price": price, "loan": np.rint(part * price)}) == {}
    chance = {str(i): np.rint(rng.uniform(20, 90, 400)) for i in range(40)}
    assert _found(chance) == {}


def test_shares_of_few_rows_are_none_and_of_many_shares_the_most_frequent_are_told() -> None:
    rng = np.random.default_rng(6)
    price = np.rint(rng.lognormal(12, 0.5, _ROWS))
    rare = np.where(rng.random(_ROWS) < 0.012, 0.8, rng.uniform(0.3, 1.0, _ROWS))
    assert _found({"price": price, "loan": np.rint(rare * price)}) == {}
    shares = np.array([0.2, 0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    weights = np.arange(12, 4, -1)
    many = rng.choice(shares, _ROWS, p=weights / weights.sum())
    found = _found({"price": price, "loan": np.rint(many * price)})
    assert {factor for _, factor in found["loan"]} == set(shares[:6].tolist())


def test_of_two_columns_that_say_the_same_one_tells() -> None:
    numbers = _mortgages()
    found = _found({**numbers, "value": numbers["price"]})
    assert len({parent for parent, _ in found["loan"]}) == 1
    assert len(found["loan"]) == 2
    most = np.where(np.random.default_rng(8).random(_ROWS) < 0.5, np.rint(0.8 * numbers["price"]), numbers["loan"])
    told = {"price": numbers["price"], "loan": most}  # that is a formula of most rows
    assert _found(told) == {"loan": [("price", 0.9)]}
    assert [one.factor for one in find_multiples(told, _steps(told), {}, most=1)["loan"]] == [0.8, 0.9]


def test_a_pair_of_values_that_many_rows_have_counts_once() -> None:
    rng = np.random.default_rng(2)
    price = np.rint(rng.lognormal(12, 0.5, _ROWS))
    loan = np.rint(price * rng.uniform(0.3, 1.0, _ROWS))
    same, often = rng.random(_ROWS) < 0.1, 1_000.0 * rng.integers(200, 215, _ROWS)
    assert _found({"price": np.where(same, often, price), "loan": np.where(same, 0.8 * often, loan)}) == {}


def test_multiples_are_rounded_and_0_is_none() -> None:
    values = {"price": np.array([101.0, 0.0, np.nan, 99.0])}
    one = Multiple("price", 0.8, 1.0)
    np.testing.assert_array_equal(one.total(values), [81.0, 0.0, np.nan, 79.0])
    assert one.equal(np.array([81.0, 0.0, 81.0, 80.0]), values).tolist() == [True, False, False, False]
    exact = Multiple("price", 1 / 3, None)
    np.testing.assert_allclose(exact.total(values), [101 / 3, 0.0, np.nan, 33.0])
    assert exact.equal(np.array([33.66666666666, 1.0, 1.0, np.nan]), values).tolist() == [True, False, False, False]


@pytest.mark.parametrize("said", [["price", 0.8, -1.0], ["price", 0.813, 1.0], ["price", 0.8], ["price", 1.0, None]])
def test_a_multiple_comes_back_from_json_unless_it_is_none(said: list[Any]) -> None:
    for factor in FACTORS.tolist():
        one = Multiple("price", factor, None if factor > 1 else 0.5)
        assert Multiple.from_json(one.to_json()) == one
    with pytest.raises(ValueError, match="a round factor and a positive step"):
        Multiple.from_json(said)


def _table(seed: int = 0, equal: float = 0.05) -> pd.DataFrame:
    numbers = _mortgages(seed)
    whole = np.random.default_rng(seed + 10).random(_ROWS) < equal
    loan = np.where(whole, numbers["price"], numbers["loan"])
    income = np.rint(numbers["price"] * np.random.default_rng(seed + 20).uniform(0.2, 0.6, _ROWS))
    return pd.DataFrame({"loan": loan, "price": numbers["price"], "income": income}).astype(np.int64)


def test_multiples_of_what_a_model_blurs_are_multiples_again() -> None:
    table = _table()
    codec = Codec.fit(table)
    number = codec.structure.numbers["loan"]
    assert number.parents == (Combination.column("price"), Multiple("price", 0.8, 1.0), Multiple("price", 0.9, 1.0))
    encoded = codec.encode(table)
    pd.testing.assert_frame_equal(codec.decode(encoded).to_pandas(), table)
    scores = encoded[:, : codec.layout.numbers]
    scores += 0.05 * np.random.default_rng(0).normal(size=scores.shape)
    made = codec.decode(encoded).to_pandas()
    for factor in (0.8, 0.9, 1.0):
        own, theirs = (np.mean(np.rint(factor * frame["price"]) == frame["loan"]) for frame in (made, table))
        assert own == pytest.approx(theirs, abs=0.01)
    assert np.mean(made["price"] == table["price"]) < 0.1


def test_huge_and_tiny_numbers_are_no_trouble() -> None:
    rng = np.random.default_rng(3)
    huge = rng.lognormal(0, 1, _ROWS) * 1e306
    part = np.where(rng.random(_ROWS) < 0.5, 0.8 * huge, 1e306 * rng.random(_ROWS))
    signed = 1e308 * rng.uniform(-1, 1, _ROWS)
    opposite = np.where(rng.random(_ROWS) < 0.5, -signed, signed)
    numbers = {"huge": huge, "part": part, "tiny": huge * 1e-306 * 5e-324, "signed": signed, "opposite": opposite}
    found = find_multiples(numbers, _steps(numbers, None), {})
    assert found == {"part": [Multiple("huge", 0.8, None)]} or found == {"huge": [Multiple("part", 1.25, None)]}


def test_discounts_of_what_is_usual_stay_what_they_are() -> None:
    rng = np.random.default_rng(4)
    article = rng.integers(0, 400, _ROWS)
    listed = np.random.default_rng(5).lognormal(3, 1, 400).round(2)[article]
    price = (listed * (1 - rng.choice([0.0, 0.1, 0.25], _ROWS, p=[0.928, 0.06, 0.012]))).round(2)
    table = pd.DataFrame({"article": np.char.add("A", article.astype(str)), "price": price})
    codec = Codec.fit(table)
    encoded = codec.encode(table)
    pd.testing.assert_frame_equal(codec.decode(encoded).to_pandas(), table)
    scores = encoded[:, : codec.layout.numbers]
    scores += 0.02 * np.random.default_rng(0).normal(size=scores.shape)
    made = codec.decode(encoded).to_pandas()["price"]
    for off in (0.1, 0.25):
        discounted = np.abs(price - listed * (1 - off)) < 0.0051
        assert np.mean(np.abs(made - price)[discounted] < 1e-9) > 0.98


def test_a_column_that_others_depend_on_has_no_values_but_those_of_the_table() -> None:
    number = Codec.fit(_table()).structure.numbers["loan"]
    assert number.coded(_table()["loan"].to_numpy(np.float64)).parents == (Combination.column("price"),)


def test_a_column_is_no_multiple_of_one_that_a_sum_ties_to_it() -> None:
    rng = np.random.default_rng(7)
    rows = 4_000
    before = np.rint(rng.lognormal(9, 1, rows))
    left = np.rint(before * np.where(rng.random(rows) < 0.7, rng.beta(3, 0.3, rows), 2 / 3))
    paid = 100 * np.rint((before - left) / 100)  # half of what is left in three rows of ten, in hundreds
    values = {"paid": paid, "left": left, "before": before}
    alone = find_multiples(values, {"paid": 100.0, "left": 1.0, "before": 1.0}, {})
    assert ("left", 0.5) in {(one.name, one.factor) for one in alone["paid"]}
    numbers, sums = fit_numbers(values, {"paid": 100.0, "left": 1.0, "before": 1.0}, (), dict.fromkeys(values))
    tied = {one.child: set(one.parent.names) for one in sums}
    assert tied
    for place, name in enumerate(numbers):
        after = tied.get(name, set()).union(*(one.names for one in numbers[name].parents))
        assert after <= set(list(numbers)[:place])


def test_a_discount_is_of_what_is_usual_and_not_the_other_way_round() -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        article = rng.integers(0, 400, _ROWS)
        listed = 100.0 * np.random.default_rng(5).integers(10, 90, 400)[article]
        price = np.where(rng.random(_ROWS) < 0.06, 0.8 * listed, listed)
        table = pd.DataFrame({"article": np.char.add("A", article.astype(str)), "price": price})
        found = Codec.fit(table).structure
        column = found.usual[0].column
        assert [one.names for one in found.numbers["price"].parents] == [(column,), (column,)]
