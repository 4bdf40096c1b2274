"""Formulas that hold in most rows: found whatever the other rows hold, told by a mode, and computed again."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scorewise.tabular import grid
from scorewise.tabular.codec import Codec
from scorewise.tabular.formula import find_formulas, shape_values
from scorewise.tabular.prevalent import Prevalent, find_prevalent
from scorewise.tabular.relation import Combination
from scorewise.tabular.synthesizer import Synthesizer
from scorewise.tabular.table import to_arrow

_ROWS = 2_000
_STEPS = {"x": 0.1, "y": 1.0}
_SHAPES_OF_ONE, _SHAPES_OF_TWO = ("x", "log(x)", "sqrt(x)", "x^2", "1/x"), ("x*y", "x/y", "x*y^2", "x/y^2")


def _columns(rows: int = _ROWS, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"x": rng.integers(1, 20_000, rows) / 10, "y": rng.integers(3, 900, rows) / 1.0}


def _spoiled(child: np.ndarray, share: float, seed: int = 1) -> np.ndarray:
    """The column with values of other rows, a hundred times too large, in a share of the rows."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(child)) < share
    return np.where(wrong, 100 * rng.permutation(child), child)


def _found(columns: dict[str, np.ndarray], steps: dict[str, float | None]) -> list[Prevalent]:
    steps = {**_STEPS, **steps}
    alone = {name: {name} for name in columns}
    return find_prevalent(columns, steps, dict.fromkeys(columns), columns, alone)


def _values(shape: str, columns: dict[str, np.ndarray]) -> np.ndarray:
    return shape_values((("x", "y") if "y" in shape else ("x",), shape), columns)


@pytest.mark.parametrize("shape", [*_SHAPES_OF_ONE, *_SHAPES_OF_TWO])
@pytest.mark.parametrize("rounded", [True, False])
def test_each_shape_is_found_in_four_rows_of_five(shape: str, rounded: bool) -> None:
    columns = _columns()
    slope = float(f"{1_000 / np.ptp(_values(shape, columns)):.2g}")
    true = slope * _values(shape, columns)
    true = grid.snap(true, 0.01) if rounded else true
    columns["child"] = _spoiled(true, 0.2)
    steps = {"child": 0.01 if rounded else None}
    assert find_formulas(columns, {**_STEPS, **steps}, columns) == []
    (found,) = _found(columns, steps)
    assert (found.child, found.formula.shape) == ("child", shape)
    assert found.formula.parents == (("x", "y") if len(found.formula.parents) == 2 else ("x",))
    assert found.formula.slope == pytest.approx(slope, rel=1e-9)
    np.testing.assert_allclose(found.of(columns), true, rtol=found.precision)
    same = columns["child"] == true
    np.testing.assert_array_equal(found.held_against(columns["child"], columns) == columns["child"], same)


def test_what_is_paid_each_month_is_found_though_some_loans_are_paid_otherwise() -> None:
    rng = np.random.default_rng(0)
    columns = {"amount": rng.integers(20, 900, _ROWS) * 50.0, "rate": rng.integers(200, 2_900, _ROWS) / 100}
    columns["months"] = rng.choice([36.0, 60.0], _ROWS)
    monthly = columns["rate"] / 1_200
    exact = columns["amount"] * monthly / (1 - (1 + monthly) ** -columns["months"])
    columns["paid"] = _spoiled(np.ceil(100 * exact) / 100, 0.02)
    (found,) = _found(columns, {"amount": 50.0, "rate": 0.01, "months": 12.0, "paid": 0.01})
    assert (found.child, found.formula.shape) == ("paid", "annuity(x,y/1200,z)")
    assert np.mean(found.held_against(columns["paid"], columns) == columns["paid"]) > 0.975


@pytest.mark.parametrize("rounding", [np.floor, np.ceil])
def test_what_is_rounded_down_or_up_is_found(rounding: Any) -> None:
    columns = _columns()
    columns["child"] = _spoiled(rounding(1_000 * columns["x"] / columns["y"]), 0.1)
    (found,) = _found(columns, {"child": 1.0})
    assert (found.formula.parents, found.formula.slope) == (("x", "y"), 1_000)
    right = found.held_against(columns["child"], columns) == columns["child"]
    assert right.mean() > 0.89


@pytest.mark.parametrize(("up", "offset"), [(True, 1.0), (False, -1.0)])
def test_halves_go_up_or_down_as_in_the_table(up: bool, offset: float) -> None:
    columns = _columns()
    exact = columns["y"] / 8  # to a tenth: a quarter of the values would be halves
    columns["child"] = _spoiled((np.floor(10 * exact + 0.5) if up else np.ceil(10 * exact - 0.5)) / 10, 0.05)
    (found,) = _found(columns, {"child": 0.1})
    assert found.formula.offset * offset > 0
    right = found.held_against(columns["child"], columns) == columns["child"]
    assert right.mean() > 0.94


def test_values_have_as_many_digits_as_those_of_their_size() -> None:
    rng = np.random.default_rng(2)
    columns = {"x": rng.integers(1, 2_000, _ROWS) / 1.0, "y": rng.integers(1, 60, _ROWS) / 1.0}
    places = ((-3, -3), (2, -1))
    true = grid.round_to(columns["x"] / columns["y"], places)
    columns["child"] = _spoiled(true, 0.02)
    told: dict[str, Any] = {"x": None, "y": None, "child": places}
    (found,) = find_prevalent(
        columns, {"x": 1.0, "y": 1.0, "child": 0.001}, told, columns, {name: {name} for name in columns}
    )
    right = found.held_against(columns["child"], columns) == columns["child"]
    assert right.mean() > 0.97
    assert Prevalent.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_what_is_near_is_not_computed() -> None:
    rng = np.random.default_rng(3)
    columns = _columns()
    noise = rng.normal(size=_ROWS)
    near = {
        "noisy": (columns["x"] * (1 + 0.01 * noise)).round(2),  # within a hundredth, hardly ever to the unit
        "equal": np.where(rng.random(_ROWS) < 0.2, columns["x"] + 1, columns["x"]),  # found as an equality
        "mostly": np.where(rng.random(_ROWS) < 0.97, columns["x"], 2 * columns["x"]),  # equal to x times 1, but for few
        "rare": np.where(rng.random(_ROWS) < 0.6, noise.round(2), (2 * columns["x"]).round(2)),  # in 4 rows of 10
        "few": np.rint(columns["y"] / 100),  # ten values
        "zero": np.where(rng.random(_ROWS) < 0.97, 0.0, 3 * columns["x"]),  # 60 rows say something
    }
    columns["one"] = near["mostly"] / columns["x"]
    for name, values in near.items():
        assert _found({**columns, name: values}, {name: 0.01, "one": 1.0}) == [], name
    assert _found({name: values[:90] for name, values in {**columns, "child": 2 * columns["x"]}.items()}, {}) == []
    assert find_prevalent({}, {}, {}, {}, {}) == []


def test_what_equals_a_column_that_cannot_be_equalled_is_found() -> None:
    columns = _columns()
    child = {"child": _spoiled(columns["x"], 0.1)}
    steps: dict[str, float | None] = {**_STEPS, "child": 0.1}
    alone = {name: {name} for name in (*columns, "child")}
    (found,) = find_prevalent(child, steps, dict.fromkeys(steps), columns | child, alone)  # x is not encoded itself
    assert (found.formula.parents, found.formula.slope) == (("x",), 1.0)


def test_common_values_and_huge_ones_say_nothing() -> None:
    columns = _columns()
    true = (columns["x"] * columns["y"]).round(2)
    capped = np.where(np.arange(_ROWS) % 3 == 0, 999.0, true)  # a third at a cap, of which no formula tells
    (found,) = _found({**columns, "child": capped}, {"child": 0.01})
    assert found.formula[:3] == ("child", ("x", "y"), "x*y")
    mostly = np.where(np.arange(_ROWS) % 5 < 3, 999.0, true)
    assert len(_found({**columns, "child": mostly}, {"child": 0.01})) == 1
    huge = np.where(np.arange(_ROWS) == 5, 1e300, true)
    assert [one.formula.shape for one in _found({**columns, "child": huge}, {"child": None})] == ["x*y"]
    largest = {"x": 1e304 * np.rint(columns["x"]), "y": columns["y"]}
    largest["y"][::50] = 1.7e308  # stands for missing ones
    with np.errstate(all="raise"):
        assert _found(largest, {"x": None, "y": 1.0}) == []


def test_nothing_comes_to_depend_on_itself() -> None:
    columns = _columns()
    columns["amount"] = _spoiled((columns["x"] * columns["y"]).round(1), 0.05)
    columns["again"] = _spoiled((columns["amount"] / 7).round(2), 0.05)
    steps: dict[str, float | None] = {**_STEPS, "amount": 0.1, "again": 0.01}
    ancestors = {name: {name} for name in columns}
    found = {one.child: one for one in find_prevalent(columns, steps, dict.fromkeys(columns), columns, ancestors)}
    assert set(found) == {"amount", "again"}
    assert found["again"].formula.parents == ("amount",)
    tied = ancestors | {"x": {"x", "amount"}}  # x is known to come after the amount
    found = {one.child: one for one in find_prevalent(columns, steps, dict.fromkeys(columns), columns, tied)}
    assert set(found) == {"again", "y"}


def _orders(rows: int = _ROWS, seed: int = 0) -> pd.DataFrame:
    """Orders in which amounts come first, some of them typed wrongly, some missing; the net price is computed."""
    rng = np.random.default_rng(seed)
    quantity, price = rng.integers(1, 400, rows), (rng.lognormal(3, 1, rows) + 0.01).round(2)
    net = (quantity * price).round(2)
    rate = rng.choice([5.0, 7.0, 19.0], rows)
    tax = (net * rate / 100).round(2)
    tax[rng.random(rows) < 0.03] *= 10
    tax[rng.random(rows) < 0.05] = np.nan
    weight = _spoiled((0.035 * quantity).round(1), 0.04).round(1)  # of several quantities one weight
    return pd.DataFrame(
        {"tax": tax.round(2), "weight": weight, "quantity": quantity, "price": price, "rate": rate, "net": net}
    )


def _share(frame: pd.DataFrame) -> dict[str, float]:
    """How often the tax and the weight are what they should be, where they are there."""
    exact = {"tax": frame.net * frame.rate / 100, "weight": 0.035 * frame.quantity}
    half = {"tax": 0.0051, "weight": 0.051}
    off = {name: (frame[name] - one).abs()[frame[name].notna()] for name, one in exact.items()}
    return {name: float((one < half[name]).mean()) for name, one in off.items()}


def test_a_table_comes_back_and_whatever_is_decoded_fits_where_its_mode_says_so(tmp_path: Path) -> None:
    frame = _orders()
    codec = Codec.fit(frame)
    formulas = {one.child: one.formula for one in codec.structure.prevalent}
    assert {child: set(one.parents) for child, one in formulas.items()} == {
        "tax": {"net", "rate"},
        "weight": {"quantity"},
    }
    assert [one.child for one in codec.structure.determined.formulas] == [
        "net"
    ]  # so the tax is computed of what is computed
    assert codec.scored.index("tax") > max(codec.scored.index(name) for name in ("quantity", "price"))
    assert codec.scored.index("weight") > codec.scored.index("quantity")
    read = Codec.from_parts(json.loads(json.dumps(codec.to_json())), codec.arrays())
    x = codec.encode(frame, seed=1)
    for one in (codec, read):
        assert one.decode(x).equals(to_arrow(frame).cast(one.decode(x).schema))
    made = read.choose(np.random.default_rng(5).normal(size=(3_000, codec.layout.width)))
    for name in formulas:
        made.codes[:, codec.names.index((name, "mode"))] = 1
    sample = codec.restore(made).to_pandas()
    first, last = codec.structure.numbers["tax"].marginal.ends
    inside = (sample.net * sample.rate / 100).between(first, last)
    assert inside.mean() > 0.5
    assert _share(sample[inside])["tax"] > 0.999
    assert _share(sample)["weight"] > 0.999
    assert not np.array_equal(sample.tax, codec.restore(codec.choose(x)).to_pandas().tax)


def _bills(rows: int = 4_000) -> pd.DataFrame:
    """What was paid for, of which the total was typed wrongly in a part, and of which two parts are often nothing."""
    rng = np.random.default_rng(3)
    parts = {name: rng.lognormal(5, 1, rows).round(2) for name in ("visits", "drugs", "travel", "aids")}
    parts["travel"] *= rng.random(rows) < 0.4
    parts["aids"] *= rng.random(rows) < 0.3
    total = np.sum(list(parts.values()), axis=0).round(2)
    wrong = rng.random(rows) < 0.04
    return pd.DataFrame({**parts, "total": np.where(wrong, (10 * rng.permutation(total)).round(2), total)})


def _adds_up(frame: pd.DataFrame) -> pd.Series:
    return (frame["total"] - frame.drop(columns="total").sum(axis=1)).abs() < 0.005


def test_a_total_that_some_rows_break_comes_back_and_adds_up_elsewhere() -> None:
    frame = _bills()
    codec = Codec.fit(frame)
    (found,) = codec.structure.prevalent
    assert (found.child, set(found.formula.parents)) == ("total", {"visits", "drugs", "travel", "aids"})
    assert codec.scored[-1] == "total"  # no part is told by what remains of the total
    for one in (codec, Codec.from_parts(json.loads(json.dumps(codec.to_json())), codec.arrays())):
        assert one.structure.prevalent == codec.structure.prevalent
        assert one.decode(one.encode(frame)).to_pandas().equals(frame)
        made = one.decode(np.random.default_rng(0).normal(size=(2_000, one.layout.width)))
        assert 0.2 < _adds_up(made.to_pandas()).mean() < 0.8  # as the mode has it
    fake = Synthesizer(seed=0, time_limit=0.05).fit(frame).sample(2_000, seed=1)
    assert abs(_adds_up(fake).mean() - _adds_up(frame).mean()) < 0.03


@pytest.mark.parametrize("equal", [False, True])
def test_what_comes_after_a_number_that_a_moment_gives_is_decoded_after_the_moment(equal: bool) -> None:
    rng = np.random.default_rng(4)
    day, extra = rng.integers(0, 9_000, _ROWS), rng.integers(100, 9_999, _ROWS)
    wrong = rng.random(_ROWS) < 0.15
    told = np.where(wrong, rng.permutation(day), day) if equal else day + extra + 9 * wrong * rng.permutation(extra)
    moments = pd.Timestamp("1990-01-01") + pd.to_timedelta(day, unit="D")
    frame = pd.DataFrame({"told": told, "extra": extra, "moment": moments, "number": day})
    codec = Codec.fit(frame)
    assert [(one.child, one.parents) for one in codec.structure.determined.formulas] == [("number", ("moment",))]
    assert codec.structure.numbers["told"].modes == 2
    assert codec.decode(codec.encode(frame)).to_pandas().equals(frame)
    made = codec.decode(np.random.default_rng(0).normal(size=(1_000, codec.layout.width))).to_pandas()
    assert ((made["told"] == made["number"] + (0 if equal else made["extra"])).mean()) > 0.2


def test_what_a_formula_tells_is_not_told_twice() -> None:
    rng = np.random.default_rng(8)
    length, height = rng.integers(50, 4_000, _ROWS), np.where(rng.random(_ROWS) < 0.06, 1, rng.integers(2, 90, _ROWS))
    ratio = _spoiled((length / height).round(1), 0.03).round(1)
    frame = pd.DataFrame({"length": length, "height": height, "ratio": ratio})
    codec = Codec.fit(frame)
    assert np.mean(ratio == length) > 0.04  # where the height is 1
    assert codec.structure.numbers["ratio"].parents == (Combination.column(codec.structure.prevalent[0].column),)
    assert codec.decode(codec.encode(frame)).equals(to_arrow(frame))


def test_exceptions_have_values_of_their_own_whatever_their_score() -> None:
    rng = np.random.default_rng(10)
    price, count = rng.lognormal(3, 1, _ROWS).round(2), rng.integers(1, 60, _ROWS)
    paid = np.where(rng.random(_ROWS) < 0.2, -1.0, (price * count).round(2))  # a fifth is not known
    frame = pd.DataFrame({"price": price, "count": count, "paid": paid})
    codec = Codec.fit(frame)
    assert codec.decode(codec.encode(frame)).equals(to_arrow(frame))
    read = Codec.from_parts(json.loads(json.dumps(codec.to_json())), codec.arrays())
    for one in (codec, read):
        made = one.choose(np.random.default_rng(11).normal(size=(2_000, codec.layout.width)))
        made.codes[:, codec.names.index(("paid", "mode"))] = np.arange(2_000) % 2
        sample = one.restore(made).to_pandas()
        assert (sample["paid"][::2] == -1).all()
        assert (sample["paid"] == (sample["price"] * sample["count"]).round(2))[1::2].mean() > 0.98
    few = frame.assign(paid=np.where(np.arange(_ROWS) < 19, -1.0, (price * count).round(2)))
    assert Codec.fit(few).structure.numbers["paid"].free is None  # of so few the single values would come back
    equal = np.where(np.arange(_ROWS) % 10 < 3, price, rng.lognormal(3, 1, _ROWS).round(2))
    number = Codec.fit(frame.assign(paid=equal)).structure.numbers["paid"]
    assert number.parents == (Combination.column("price"),)
    assert number.free is None  # most cells are free
    mixed = np.where(rng.random(_ROWS) < 0.2, rng.permutation(price * count), price * count).round(2)
    assert Codec.fit(frame.assign(paid=mixed)).structure.numbers["paid"].free is None  # exceptions are like the others


def test_what_a_formula_tells_is_not_measured_from_another_column() -> None:
    rng = np.random.default_rng(9)
    price = rng.lognormal(6, 1, _ROWS).round(2)
    doubled = np.where(rng.random(_ROWS) < 0.9, 2 * price, rng.lognormal(7, 1, _ROWS)).round(2)
    before = (doubled - rng.choice([10.0, 20.0, 30.0], _ROWS)).round(2)
    frame = pd.DataFrame({"price": price, "before": before, "doubled": doubled})
    codec = Codec.fit(frame)
    assert [one.child for one in codec.structure.prevalent] == ["doubled"]
    assert codec.structure.numbers["doubled"].gap is None
    assert codec.decode(codec.encode(frame)).equals(to_arrow(frame))


def test_files_that_do_not_fit_are_refused() -> None:
    codec = Codec.fit(_orders())
    said = codec.to_json()
    for strange in ({"child": "net"}, {"child": "none"}, {"parents": ["none"]}):
        one = said["prevalent"][0]
        broken = {**said, "prevalent": [{**one, "formula": {**one["formula"], **strange}}]}
        if "parents" in strange:
            broken["prevalent"][0]["formula"]["shape"] = "x"
        with pytest.raises(ValueError, match="mostly computed must be numbers, of others, however"):
            Codec.from_parts(broken, codec.arrays())
    with pytest.raises(ValueError, match="places must be pairs of a size and a place"):
        Prevalent.from_json({**said["prevalent"][0], "places": [[1, 0], [1, 0]]})


def test_a_fitted_table_keeps_formulas_and_their_exceptions() -> None:
    frame = _orders(900, seed=3)
    sample = Synthesizer(seed=0, time_limit=0.1).fit(frame).sample(2_000, seed=1)
    real, ours = _share(frame), _share(sample)
    for name in real:
        assert ours[name] == pytest.approx(real[name], abs=0.06)
        assert ours[name] < 1
