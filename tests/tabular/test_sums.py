"""Sums of columns that say more than their terms are found, and columns are put in an order that respects them."""

import numpy as np
import pytest

from scorewise.tabular.relation import Combination, ordered
from scorewise.tabular.sums import Sum, find_sums

ROWS = 4_000


def _accounts(seed: int = 0) -> dict[str, np.ndarray]:
    """Balances of three months, of which each is the one before less what was paid and more what was bought."""
    rng = np.random.default_rng(seed)
    third = rng.lognormal(9, 1, ROWS)
    paid = [third * rng.beta(0.3, 3, ROWS)]
    second = third - paid[0] + np.where(rng.random(ROWS) < 0.5, rng.lognormal(6, 1, ROWS), 0)
    paid.append(second * rng.beta(0.3, 3, ROWS))
    first = second - paid[1] + np.where(rng.random(ROWS) < 0.5, rng.lognormal(6, 1, ROWS), 0)
    return {
        "age": rng.uniform(20, 70, ROWS),
        "first": first,
        "second": second,
        "third": third,
        "paid first": paid[1],
        "paid second": paid[0],
    }


def _found(numbers: dict[str, np.ndarray]) -> list[Sum]:
    return find_sums(numbers, {name: np.isnan(values) for name, values in numbers.items()})


def test_balances_are_tied_to_the_one_before_and_what_was_paid() -> None:
    found = {one.child: one.parent for one in _found(_accounts())}
    assert found["first"] == Combination(("second", "paid first"), (1, -1))
    assert found["second"] == Combination(("third", "paid second"), (1, -1))
    assert "age" not in {name for parent in found.values() for name in parent.names} | set(found)


@pytest.mark.parametrize("bought", [0.0, 1.0])
def test_a_total_is_tied_to_its_parts_exactly_or_as_a_bound(bought: float) -> None:
    rng = np.random.default_rng(1)
    one, other = rng.lognormal(3, 1, ROWS), rng.lognormal(3, 1, ROWS)
    total = one + other + bought * rng.exponential(one.mean(), ROWS)
    (found,) = _found({"one": one, "total": total, "other": other})
    assert {found.child, *found.parent.names} == {"one", "other", "total"}
    signs = {found.child: -1} | found.parent.to_json()
    assert signs["one"] == signs["other"] == -signs["total"]


def test_columns_that_are_only_correlated_have_no_sum() -> None:
    rng = np.random.default_rng(2)
    shared = rng.normal(size=ROWS)
    columns = {f"c{i}": np.exp(shared + rng.normal(size=ROWS)) for i in range(6)}
    assert _found(columns) == []
    columns["same"] = np.where(rng.random(ROWS) < 0.3, columns["c0"], columns["c1"])  # tied by twos
    assert _found(columns) == []


def test_a_missing_term_is_no_evidence() -> None:
    accounts = _accounts()
    rng = np.random.default_rng(3)
    some = {name: np.where(rng.random(ROWS) < 0.3, np.nan, values) for name, values in accounts.items()}
    assert {one.child for one in _found(some)} == {"first", "second"}
    accounts["first"] = np.full(ROWS, np.nan)
    assert {one.child for one in _found(accounts)} == {"second"}


@pytest.mark.parametrize("known", [15, 40, 150, 1_500])
def test_few_rows_find_no_sum_by_chance(known: int) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        columns = np.exp(0.7 * rng.normal(size=(1_500, 1)) + rng.normal(size=(1_500, 8)))
        columns[known:] = np.nan
        assert _found({f"c{i}": column for i, column in enumerate(columns.T)}) == []


def test_a_single_row_and_huge_values_are_taken() -> None:
    assert _found({name: values[:1] for name, values in _accounts().items()}) == []
    huge = {name: np.where(np.arange(ROWS) % 5 == 0, 1e308, values) for name, values in _accounts().items()}
    assert {one.child for one in _found(huge)} <= {"first", "second"}


def test_fewer_than_three_columns_have_no_sums() -> None:
    accounts = _accounts()
    assert _found({}) == []
    assert _found({name: accounts[name] for name in ("first", "second")}) == []


def test_the_child_is_the_column_with_fewest_common_values() -> None:
    rng = np.random.default_rng(4)
    one, other = np.floor(rng.uniform(0, 4, ROWS)), rng.lognormal(0, 1, ROWS)
    numbers = {"one": one, "other": other, "total": one + other}
    common = {
        "one": np.ones(ROWS, dtype=bool),
        "other": np.zeros(ROWS, dtype=bool),
        "total": np.zeros(ROWS, dtype=bool),
    }
    (found,) = find_sums(numbers, common)
    assert found == Sum("other", Combination(("one", "total"), (-1, 1)))


def test_no_column_comes_before_what_it_is_compared_with() -> None:
    names = list(_accounts())
    order = ordered(names, {one.child: one.parent.names for one in _found(_accounts())})
    assert order == ["age", "third", "paid second", "second", "paid first", "first"]
    assert ordered(names, {}) == names


def test_a_combination_adds_up_and_survives_json() -> None:
    values = {"a": np.array([0.1, 5.0, np.nan, 2.0]), "b": np.array([0.2, 3.0, 1.0, 2.0])}
    plus, minus, alone = Combination(("a", "b"), (1, 1)), Combination(("a", "b"), (1, -1)), Combination.column("a")
    np.testing.assert_allclose(plus.total(values), [0.3, 8.0, np.nan, 4.0])
    np.testing.assert_allclose(minus.total(values), [-0.1, 2.0, np.nan, 0.0], atol=1e-15)
    assert plus.equal(np.array([0.3, 8.0, 1.0, 4.1]), values).tolist() == [True, True, False, False]  # up to rounding
    assert alone.equal(np.array([0.1, 5.0, np.nan, 2.0 + 1e-12]), values).tolist() == [True, True, False, False]
    for one in (plus, minus, alone):
        assert Combination.from_json(one.to_json()) == one
    for said in ("a", {}, {"a": 2}, {"a": 1, "b": 1, "c": 1}):
        with pytest.raises(ValueError, match="a combination must have one or two columns"):
            Combination.from_json(said)  # type: ignore[arg-type]
