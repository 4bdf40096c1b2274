"""Computed columns are found where every row fits, and nothing else is."""

import json

import numpy as np
import pytest

from scorewise.tabular import grid
from scorewise.tabular.formula import Formula, find_formulas, terms_of_three

_ROWS = 3_000


def _columns() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"x": rng.integers(1, 20_000, _ROWS) / 10, "y": rng.integers(300, 9_000, _ROWS) / 1.0}


def _found(columns: dict[str, np.ndarray], steps: dict[str, float | None] | None = None) -> list[Formula]:
    steps = steps or {name: grid.step(values[~np.isnan(values)]) for name, values in columns.items()}
    return find_formulas(columns, steps, columns)


_SHAPES = {
    "x": lambda x, y: x,
    "log(x)": lambda x, y: np.log(x),
    "sqrt(x)": lambda x, y: np.sqrt(x),
    "x^2": lambda x, y: x**2,
    "1/x": lambda x, y: 1 / x,
    "x*y": lambda x, y: x * y,
    "x/y": lambda x, y: x / y,
    "x*y^2": lambda x, y: x * y**2,
    "x/y^2": lambda x, y: x / y**2,
}


@pytest.mark.parametrize("shape", _SHAPES)
@pytest.mark.parametrize("rounded", [True, False])
def test_each_shape_is_found_and_gives_every_row_to_the_unit(shape: str, rounded: bool) -> None:
    columns = _columns()
    plain = _SHAPES[shape](columns["x"], columns["y"])
    child = 7 + 1_000 * plain / np.ptp(plain)
    columns["child"] = child.round(2) if rounded else child
    (formula,) = _found(columns, {"x": 0.1, "y": 1.0, "child": 0.01 if rounded else None})
    assert (formula.child, formula.shape) == ("child", shape)
    assert formula.parents == (("x", "y") if len(formula.parents) == 2 else ("x",))
    if rounded:
        np.testing.assert_array_equal(formula.of(columns).round(2), columns["child"])
    else:
        np.testing.assert_allclose(formula.of(columns), columns["child"], atol=1_007 * 2**-22, rtol=0)


def test_a_quotient_knows_which_of_the_two_is_above() -> None:
    columns = _columns()
    columns["child"] = (1_000 * columns["y"] / columns["x"]).round(2)
    (formula,) = _found(columns)
    assert (formula.parents, formula.shape) == (("y", "x"), "x/y")


def test_the_body_mass_index_is_computed_of_weight_and_height_and_neither_of_it() -> None:
    rng = np.random.default_rng(9)
    height, weight = rng.normal(172, 10, _ROWS).round(), rng.normal(76, 15, _ROWS).round(1)
    columns = {"bmi": (weight / (height / 100) ** 2).round(1), "height": height, "weight": weight}
    (formula,) = _found(columns)
    assert formula[:3] == ("bmi", ("weight", "height"), "x/y^2")
    assert formula.slope == pytest.approx(1e4, abs=0.1)
    np.testing.assert_array_equal(formula.of(columns).round(1), columns["bmi"])


def test_rounding_down_and_rates_that_end_in_ties_are_found() -> None:
    rng = np.random.default_rng(1)
    days = rng.integers(6_000, 30_000, _ROWS).astype(np.float64)
    minutes = rng.integers(0, 4_000, _ROWS) / 10
    columns = {"days": days, "years": days // 365, "minutes": minutes, "charge": (0.17 * minutes).round(2)}
    found = {f.child: f for f in _found(columns, {"days": 1.0, "years": 1.0, "minutes": 0.1, "charge": 0.01})}
    assert set(found) == {"years", "charge"}
    np.testing.assert_array_equal(np.rint(found["years"].of(columns)), columns["years"])
    np.testing.assert_array_equal(found["charge"].of(columns).round(2), columns["charge"])
    assert (found["charge"].offset, found["charge"].slope) == (0.0, 0.17)


def test_ties_that_are_all_rounded_up_are_found() -> None:
    tenths = np.random.default_rng(1).integers(0, 4_000, _ROWS)
    columns = {"minutes": tenths / 10, "charge": (17 * tenths + 5) // 10 / 100}  # 17 tenths of a cent each, half up
    (formula,) = _found(columns, {"minutes": 0.1, "charge": 0.01})
    np.testing.assert_array_equal(formula.of(columns).round(2), columns["charge"])


def test_amounts_are_told_to_the_unit_however_large_they_are() -> None:
    columns = _columns()
    columns["child"] = (columns["x"] * columns["y"]).round(2)
    assert len(_found(columns)) == 1
    middle = np.argsort(columns["child"])[_ROWS // 2]
    columns["child"][middle] = np.round(columns["child"][middle] + 0.1, 1)  # of millions
    assert _found(columns) == []


def test_floats_of_32_bits_are_told_to_their_precision() -> None:
    columns = _columns()
    columns["child"] = np.log(columns["x"]).astype(np.float32).astype(np.float64)
    (formula,) = _found(columns, {"x": 0.1, "y": 1.0, "child": 1e-9})
    assert (formula.shape, formula.offset, formula.slope) == ("log(x)", 0.0, 1.0)


def test_one_row_that_does_not_fit_and_nothing_is_found() -> None:
    columns = _columns()
    columns["child"] = (3 * columns["x"]).round(2)
    assert len(_found(columns)) == 1
    columns["child"][1_234] += 0.2
    assert _found(columns) == []


def test_a_curve_of_another_shape_and_noise_are_not_found() -> None:
    columns = _columns()
    rng = np.random.default_rng(2)
    columns["cube"] = ((columns["x"] / 100) ** 3).round(2)
    columns["noisy"] = (columns["x"] + 0.02 * rng.normal(size=_ROWS)).round(2)
    assert _found(columns) == []


def test_too_few_rows_or_values_are_no_evidence() -> None:
    short = {name: values[:99] for name, values in _columns().items()}
    assert _found({**short, "child": 2 * short["x"]}) == []
    columns = _columns()
    columns["x"] = np.random.default_rng(3).integers(0, 19, _ROWS).astype(np.float64)
    assert _found({**columns, "child": 2 * columns["x"]}) == []


def test_a_column_is_missing_where_a_parent_is_and_nowhere_else() -> None:
    columns = _columns()
    columns["x"][::7] = np.nan
    columns["child"] = (2 * columns["x"] * columns["y"]).round(2)
    (formula,) = _found(columns)
    assert np.isnan(formula.of(columns))[::7].all()
    columns["child"][1] = np.nan
    assert _found(columns) == []


def test_a_quotient_by_0_is_no_value_of_a_column_that_has_one_there() -> None:
    columns = _columns()
    columns["child"] = (100 * columns["x"] / columns["y"]).round(2)
    columns["y"][5], columns["child"][5] = 0.0, 0.0
    assert _found(columns) == []
    columns["child"][5] = np.nan
    (formula,) = _found(columns)
    assert np.isnan(formula.of(columns)).nonzero()[0].tolist() == [5]


def test_what_is_computed_may_be_computed_from_and_comes_first() -> None:
    columns = _columns()
    amount = (columns["x"] * columns["y"] / 7).round(2)
    columns = {"tax": (0.19 * amount).round(2), "amount": amount, **columns}
    found = _found(columns, {"tax": 0.01, "amount": 0.01, "x": 0.1, "y": 1.0})
    assert [(f.child, f.parents) for f in found] == [("amount", ("x", "y")), ("tax", ("amount",))]
    assert [(f.offset, f.slope) for f in found] == [(0.0, 1 / 7), (0.0, 0.19)]


def test_what_fits_the_rows_that_there_are_and_no_others_is_no_formula() -> None:
    rng = np.random.default_rng(7)
    quantity, price = rng.integers(1, 900, _ROWS) * 1.0, rng.integers(99, 50_000, _ROWS) / 100
    steps = {"amount": 0.01, "price": 0.01, "quantity": 1.0, "charge": 0.01, "minutes": 0.1}
    columns = {"amount": (quantity * price).round(2), "price": price, "quantity": quantity}
    assert [f.child for f in _found(columns, steps)] == ["amount"]  # not the quantity, nor the price
    minutes = rng.integers(0, 4_000, _ROWS) / 10
    columns = {"charge": (0.17 * minutes).round(2), "minutes": minutes}
    assert [f.child for f in _found(columns, steps)] == ["charge"]
    count = rng.integers(1, 5_000, _ROWS) * 1.0
    columns = {"total": (1_000.37 * count).round(2), "count": count}  # a hundredth is next to nothing of a count
    assert [f.child for f in _found(columns, {"total": 0.01, "count": 1.0})] == ["total"]
    square = rng.integers(100, 5_000, _ROWS) / 10
    columns = {"area": (square**2).round(2), "side": square}
    assert [f.child for f in _found(columns, {"area": 0.01, "side": 0.1})] == ["area"]


def test_no_column_depends_on_itself() -> None:
    x = _columns()["x"]
    columns = {"x": x, "twice": 2 * x, "other": 6 * x + 1}
    found = _found(columns)
    assert [f.child for f in found] in (["twice", "other"], ["other", "twice"])
    seen = {"x"}
    for formula in found:
        assert seen >= set(formula.parents)
        seen.add(formula.child)


def test_columns_that_depend_on_others_already_are_left_alone() -> None:
    columns = _columns()
    columns["child"] = 2 * columns["x"]
    steps = dict.fromkeys(columns, 0.01)
    assert find_formulas(columns, steps, columns, taken={"child"}) == []
    assert find_formulas(columns, steps, columns, taken={"x"}) == []


def test_small_differences_of_large_values_are_not_taken_for_imprecision() -> None:
    columns = _columns()
    noise = np.random.default_rng(8).normal(size=_ROWS)
    columns["child"] = 1e9 + columns["x"] / 100 + noise / 10  # floats of 32 bits are 64 apart there
    assert np.corrcoef(columns["child"], columns["x"])[0, 1] > 0.99
    assert _found(columns) == []


def test_huge_values_and_constants_are_no_trouble() -> None:
    columns = _columns()
    columns["huge"] = np.random.default_rng(4).uniform(-1, 1, _ROWS) * 1e308
    columns["same"] = np.ones(_ROWS)
    columns["gone"] = np.full(_ROWS, np.nan)
    assert find_formulas(columns, {**dict.fromkeys(columns, 0.01), "huge": None}, columns) == []
    assert find_formulas({}, {}, {}) == []


def _loans(percent: bool, years: bool, rows: int = _ROWS) -> dict[str, np.ndarray]:
    """Loans, some without interest, and what is paid each month: as much as returns each of them in the last month."""
    rng = np.random.default_rng(0)
    columns = {
        "amount": rng.integers(20, 900, rows) * 50.0,
        "rate": np.where(rng.random(rows) < 0.05, 0, rng.integers(200, 2_900, rows)) / (100 if percent else 10_000),
        "length": rng.choice([2.0, 3.0, 5.0, 10.0] if years else [24.0, 36.0, 48.0, 360.0], rows),
        "children": rng.integers(2, 5, rows).astype(float),
    }
    rate = columns["rate"] / (1_200 if percent else 12)
    months = columns["length"] * (12 if years else 1)
    low, high = columns["amount"] / months, columns["amount"] * (rate + 1)
    for _ in range(60):  # by bisection
        paid, left = (low + high) / 2, columns["amount"]
        for month in range(360):
            left = np.where(month < months, left * (1 + rate) - paid, left)
        low, high = np.where(left > 0, paid, low), np.where(left > 0, high, paid)
    return {**columns, "paid": paid.round(2)}


@pytest.mark.parametrize("percent", [True, False])
@pytest.mark.parametrize("years", [True, False])
def test_what_is_paid_each_month_is_told_by_the_amount_the_rate_and_the_length(percent: bool, years: bool) -> None:
    columns = _loans(percent, years)
    (formula,) = _found(columns)
    assert (formula.child, formula.parents) == ("paid", ("amount", "rate", "length"))
    assert formula.shape == f"annuity(x,y/{1200 if percent else 12},{'12*z' if years else 'z'})"
    assert (formula.offset, formula.slope) == (0, 1)
    np.testing.assert_array_equal(formula.of(columns).round(2), columns["paid"])
    read = Formula.from_json(json.loads(json.dumps(formula.to_json())))
    assert read == formula


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ({}, 4),
        ({"length": np.array([1.0, 36.0])}, 0),
        ({"length": np.array([36.0, 720.0])}, 0),
        ({"length": np.array([36.5, 60.0])}, 0),
        ({"rate": np.array([-0.5, 3.25])}, 0),
        ({"rate": np.array([0.5, 103.25])}, 0),
        ({"rate": np.array([3.0, 4.0])}, 0),
        ({"amount": np.array([-900.0, 900.0])}, 0),
        ({"amount": np.array([100.0, 600.0])}, 0),
        ({"amount": np.array([900.0, np.nan])}, 0),
    ],
)
def test_no_loan_is_paid_back_at_once_or_over_centuries_or_at_a_negative_rate(
    change: dict[str, np.ndarray], count: int
) -> None:
    usual = {"amount": np.array([500.0, 9_000.0]), "rate": np.array([0.0, 3.25]), "length": np.array([36.0, 60.0])}
    terms = list(terms_of_three(usual | change))
    assert len(terms) == count
    assert {names for names, _ in terms} == ({("amount", "rate", "length")} if count else set())


def test_a_formula_goes_through_json() -> None:
    formula = Formula("rate", ("count", "size"), "x/y", -0.5, 1e4)
    assert Formula.from_json(json.loads(json.dumps(formula.to_json()))) == formula


@pytest.mark.parametrize(
    ("parents", "shape"),
    [(["a"], "x*y"), (["a", "b"], "log(x)"), ([], "x"), (["a"], "exec"), (["a", "b"], "annuity(x,y/12,z)")],
)
def test_a_shape_that_does_not_fit_its_parents_is_refused(parents: list[str], shape: str) -> None:
    with pytest.raises(ValueError, match="a formula must have a shape of its one to three parents, however: "):
        Formula.from_json({"child": "c", "parents": parents, "shape": shape, "offset": 0.0, "slope": 1.0})
