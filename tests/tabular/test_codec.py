"""The codec's inverse is exact, and what it generates jointly is what the table holds."""

import datetime
import decimal
import json
from collections.abc import Iterator

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scorewise.tabular.codec import Codec
from scorewise.tabular.relation import Combination
from scorewise.tabular.structure import MOST_ONE_HOT
from scorewise.tabular.table import TableError, to_arrow

_EPOCH = datetime.datetime(2020, 1, 1)

_CELLS: dict[str, tuple[st.SearchStrategy[object], str]] = {
    "integer": (st.integers(-(10**9), 10**9), "int64"),
    "thousands": (st.integers(-9, 9).map(lambda v: 1000 * v), "int32"),
    "nullable": (st.none() | st.integers(0, 300), "Int64"),
    "money": (st.integers(-(10**7), 10**7).map(lambda v: v / 100), "float64"),
    "gap": (st.none() | st.integers(0, 10**4).map(lambda v: v / 10), "float64"),
    "flag": (st.booleans(), "bool"),
    "answer": (st.none() | st.booleans(), "boolean"),
    "word": (st.none() | st.sampled_from(["a", "b", "c", "ä ö"]), "object"),
    "grade": (st.none() | st.sampled_from(["low", "high"]), "category"),
    "moment": (
        st.none() | st.integers(0, 10**6).map(lambda s: _EPOCH + datetime.timedelta(seconds=s)),
        "datetime64[ns]",
    ),
    "span": (st.none() | st.integers(0, 10**5).map(lambda s: datetime.timedelta(seconds=s)), "timedelta64[ns]"),
    "day": (st.integers(0, 3000).map(lambda d: _EPOCH.date() + datetime.timedelta(days=d)), "object"),
    "price": (st.integers(0, 10**5).map(lambda v: decimal.Decimal(v) / 100), "object"),
}


@st.composite
def _frames(draw: st.DrawFn) -> pd.DataFrame:
    names = draw(st.lists(st.sampled_from(sorted(_CELLS)), min_size=2, max_size=5, unique=True))
    rows = draw(st.integers(2, 40))
    frame = pd.DataFrame(index=range(rows))
    for name in names:
        strategy, dtype = _CELLS[name]
        values = draw(st.lists(strategy, min_size=rows, max_size=rows))
        frame[name] = pd.Series(values, dtype=dtype)
    return frame


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_frames(), st.integers(0, 2**31))
def test_decoding_what_was_encoded_gives_the_table_back(frame: pd.DataFrame, seed: int) -> None:
    table = to_arrow(frame)
    try:
        codec = Codec.fit(frame)
    except TableError:  # all-missing or a single learnable column: refused before any encoding
        return
    back = codec.decode(codec.encode(frame, seed), seed)
    assert back.schema == table.schema
    for column in codec.schema.columns:
        if column.kind != "identifier":
            assert back.column(column.name).to_pylist() == table.column(column.name).to_pylist(), column.name


def test_integers_of_more_digits_than_a_float_has_come_back_to_its_precision() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"n": rng.integers(-(2**62), 2**62, 300), "m": rng.integers(0, 2**64, 300, dtype=np.uint64)})
    codec = Codec.fit(frame)
    back = codec.decode(codec.encode(frame)).to_pandas()
    assert list(back.dtypes) == list(frame.dtypes)
    np.testing.assert_allclose(back, frame, rtol=1e-9)


@pytest.mark.parametrize("kind", ["polars", "pyarrow"])
def test_other_frames_come_back_too(kind: str) -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"n": rng.integers(0, 500, 80), "c": rng.choice(["x", "y"], 80), "f": rng.random(80).round(2)})
    given_frame = frame if kind == "polars" else frame.to_arrow()
    codec = Codec.fit(given_frame)
    assert codec.decode(codec.encode(given_frame)).to_pylist() == frame.to_dicts()


def _linked(rows: int = 4_000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    bill = np.rint(rng.lognormal(8, 1, rows))
    paid = np.where(rng.random(rows) < 0.2, bill, np.rint(rng.lognormal(7, 1, rows)))
    paid = np.where(rng.random(rows) < 0.25, 0, paid)
    level = rng.integers(0, 6, rows)
    return pd.DataFrame(
        {
            "bill": bill.astype(int),
            "paid": paid.astype(int),
            "level": np.array(list("abcdef"))[level],
            "years": (level + 8).astype(np.int64),
            "rate": np.where(rng.random(rows) < 0.1, np.nan, rng.random(rows)),
        }
    )


def test_normal_scores_are_standard_normal_point_masses_included() -> None:
    frame = _linked()
    codec = Codec.fit(frame)
    z = codec.encode(frame)[:, : codec.layout.numbers]
    for name, column in zip(codec.scored, z.T, strict=True):
        present = column[frame[name].notna().to_numpy()]
        assert abs(present.mean()) < 0.02, name
        assert abs(present.std() - 1) < 0.03, name


def test_relations_are_found_and_not_broken_by_decoding_anything() -> None:
    frame = _linked()
    codec = Codec.fit(frame)
    assert codec.structure.numbers["paid"].parents == (Combination.column("bill"),)
    assert [(f.child, f.parent) for f in codec.structure.determined.functions] == [("years", "level")]
    noise = np.random.default_rng(1).normal(size=(3_000, codec.layout.width))
    fake = codec.decode(noise).to_pandas()
    assert (fake["years"] == fake["level"].map({c: i + 8 for i, c in enumerate("abcdef")})).all()
    assert (fake["paid"] == fake["bill"]).mean() > 0.2  # the mode decides, whatever the score says


def test_a_number_of_many_codes_determines_others_and_is_one_of_them() -> None:
    rng = np.random.default_rng(4)
    place = rng.choice(rng.permutation(50_000)[:1_500], 20_000)
    frame = pd.DataFrame(
        {"place": place, "state": place // 1_000, "within": place % 1_000, "count": rng.poisson(9, 20_000)}
    )
    codec = Codec.fit(frame)
    functions = codec.structure.determined.functions
    assert {(one.child, one.parent) for one in functions} == {
        ("state", "place"),
        ("within", "place"),
    }
    assert codec.decode(codec.encode(frame)).to_pandas().equals(frame)
    fake = codec.decode(rng.normal(size=(5_000, codec.layout.width))).to_pandas()
    assert fake["place"].isin(place).all()
    assert (fake["state"] * 1_000 + fake["within"] == fake["place"]).all()


def test_what_lies_beyond_the_codes_is_looked_up_by_the_nearest() -> None:
    rng = np.random.default_rng(5)
    code = rng.integers(0, 40, 2_000) * 25
    codec = Codec.fit(pd.DataFrame({"code": code, "half": code // 50, "size": rng.normal(size=2_000)}), clip=False)
    assert [(one.child, one.parent) for one in codec.structure.determined.functions] == [("half", "code")]
    fake = codec.decode(9 * rng.normal(size=(2_000, codec.layout.width))).to_pandas()
    assert fake["code"].max() > code.max()
    assert (fake["half"] == fake["code"].clip(0, code.max()) // 50).all()


def _orders(rows: int = 3_000) -> pd.DataFrame:
    rng = np.random.default_rng(6)
    price = rng.integers(99, 50_000, rows) / 100
    most = np.minimum(11, 2_000 // price)
    frame = pd.DataFrame(
        {"quantity": pd.array(1 + (most * rng.random(rows)).astype(int), dtype="Int64"), "price": price}
    )
    frame.loc[::11, "quantity"] = pd.NA
    frame["amount"] = (frame["quantity"] * frame["price"]).astype("float64").round(2)
    frame["tax"] = (0.19 * frame["amount"]).round(2)
    frame["weight"] = pd.array(rng.integers(1, 90_000, rows), dtype="Int64")
    frame.loc[::5, "weight"] = pd.NA
    frame["pounds"] = (frame["weight"].astype("float64") * 2.20462).round(3)
    frame["insured"] = np.where(
        rng.random(rows) < 0.4, frame["amount"].fillna(9.0), rng.integers(1, 90_000, rows) / 100
    )
    return frame


def _made(codec: Codec, frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Rows decoded from noise by a codec that gives its table back, and by the same codec from JSON.

    Yields:
        The rows.
    """
    again = Codec.from_parts(json.loads(json.dumps(codec.to_json())), codec.arrays())
    assert again.structure.determined.formulas == codec.structure.determined.formulas
    noise = np.random.default_rng(1).normal(size=(3_000, codec.layout.width))
    for one in (codec, again):
        assert one.decode(one.encode(frame)).equals(to_arrow(frame))
        yield one.decode(noise).to_pandas()


def test_computed_columns_are_not_encoded_and_fit_whatever_is_decoded() -> None:
    frame = _orders()
    codec = Codec.fit(frame)
    assert codec.schema.column("quantity").kind == "category"  # a number all the same
    computed = {("amount", ("quantity", "price")), ("tax", ("amount",)), ("pounds", ("weight",))}
    assert {(one.child, one.parents) for one in codec.structure.determined.formulas} == computed
    assert codec.scored == ["price", "weight", "insured"]
    for fake in _made(codec, frame):
        amount, most = (fake["quantity"] * fake["price"]).round(2), frame["amount"].max()
        assert (fake["amount"].isna() == fake["quantity"].isna()).all()
        assert (amount > most).any()
        assert np.allclose(fake["amount"], amount.clip(upper=most), rtol=0, atol=0.0101, equal_nan=True)
        assert np.array_equal(fake["tax"], (0.19 * fake["amount"]).round(2), equal_nan=True)  # of what was rounded
        assert (fake["pounds"].isna() == fake["weight"].isna()).all()
        assert np.allclose(fake["pounds"], fake["weight"] * 2.20462, rtol=0, atol=0.000501, equal_nan=True)


def test_what_is_computed_stays_in_the_fitted_range_only_where_that_is_asked_for() -> None:
    frame = _orders()
    for clip in (True, False):
        codec = Codec.fit(frame, clip=clip)
        fake = codec.decode(np.random.default_rng(2).normal(size=(3_000, codec.layout.width))).to_pandas()
        assert (fake["amount"].max() > frame["amount"].max()) is not clip


def _houses(rows: int = 3_000) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    upper = np.where(rng.random(rows) < 0.6, 0, rng.integers(200, 1_200, rows))
    lower, rooms = rng.integers(500, 2_000, rows), rng.integers(2, 9, rows)
    cellar = pd.array(rng.integers(0, 900, rows), dtype="Int64")
    frame = pd.DataFrame({"lower": lower, "upper": upper, "cellar": cellar, "rooms": rooms})
    frame.loc[::9, "cellar"] = pd.NA
    frame["area"] = frame["lower"] + frame["upper"] + frame["cellar"] + 10 * frame["rooms"]
    frame["price"] = (0.45 * frame["area"].astype("float64")).round(2)
    frame["insured"] = np.where(rng.random(rows) < 0.4, frame["area"].fillna(9), rng.integers(1, 9_000, rows))
    frame["weekdays"] = rng.integers(0, 500, rows) / 10
    frame["weekends"] = rng.integers(0, 500, rows) / 10
    frame["mean"] = ((5 * frame["weekdays"] + 2 * frame["weekends"]) / 7).round(1)
    return frame


def test_weighted_sums_are_not_encoded_and_add_up_in_whatever_is_decoded() -> None:
    frame = _houses()
    codec = Codec.fit(frame)
    assert codec.schema.column("rooms").kind == "category"
    computed = {"area": {"lower", "upper", "cellar", "rooms"}, "price": {"area"}, "mean": {"weekdays", "weekends"}}
    assert {one.child: set(one.parents) for one in codec.structure.determined.formulas} == computed
    assert sorted(codec.scored) == ["cellar", "insured", "lower", "upper", "weekdays", "weekends"]
    for fake in _made(codec, frame):
        total = fake["lower"] + fake["upper"] + fake["cellar"] + 10 * fake["rooms"].astype(int)
        assert (fake["area"].isna() == fake["cellar"].isna()).all()
        assert np.array_equal(fake["area"], total.clip(frame["area"].min(), frame["area"].max()), equal_nan=True)
        assert np.allclose(fake["price"], 0.45 * fake["area"], rtol=0, atol=0.00501, equal_nan=True)
        mean = ((5 * fake["weekdays"] + 2 * fake["weekends"]) / 7).clip(frame["mean"].min(), frame["mean"].max())
        assert np.allclose(fake["mean"], mean, rtol=0, atol=0.0501)


def _totals(rows: int = 3_000) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    parts = rng.integers(1, 9_000, (rows, 2)) / 100
    more = np.where(rng.random(rows) < 0.6, 0, rng.integers(1, 2_000, rows) / 100)
    return pd.DataFrame({"total": (parts.sum(1) + more).round(2), "net": parts[:, 0], "tax": parts[:, 1]})


def test_a_total_is_the_sum_of_its_parts_wherever_its_mode_says_so() -> None:
    frame = _totals()
    codec = Codec.fit(frame)
    both = Combination(("net", "tax"), (1, 1))
    assert [(one.child, one.parent) for one in codec.structure.sums] == [("total", both)]
    assert codec.scored == ["net", "tax", "total"]
    assert codec.structure.numbers["total"].parents == (both,)
    assert codec.decode(codec.encode(frame)).to_pandas().equals(frame)  # in the table's order of columns
    fake = codec.decode(np.random.default_rng(1).normal(size=(3_000, codec.layout.width))).to_pandas()
    exact = fake["total"] == (fake["net"] + fake["tax"]).round(2)
    assert exact.mean() > 0.4
    assert list(fake.columns) == list(frame.columns)


def test_terms_of_sums_cancel_by_the_signs_that_the_network_is_told() -> None:
    frame = _totals()
    codec = Codec.fit(frame)
    places, signs = codec.signed_sums()
    named = {codec.scored[place]: sign for place, sign in zip(places[:, 0].tolist(), signs[:, 0].tolist(), strict=True)}
    assert named == {"total": 1.0, "net": -1.0, "tax": -1.0}
    moments = codec.moments(codec.compact(to_arrow(frame)))
    assert torch.equal(moments.sums, places)
    assert torch.equal(moments.signs, signs)


def test_a_column_that_is_looked_up_is_no_term_of_what_others_equal() -> None:
    rng = np.random.default_rng(3)
    fees = rng.permutation(np.arange(1_000, 90_000))[:60] / 100
    fees[59] = fees[0]  # so that the fee does not tell the plan
    plan, base = rng.integers(0, 60, 3_000), rng.integers(100, 9_000, 3_000) / 10
    names = np.array([f"plan {i}" for i in range(60)])
    frame = pd.DataFrame({"plan": names[plan], "fee": fees[plan], "base": base})
    frame["total"] = (frame["fee"] + frame["base"]).round(2)
    codec = Codec.fit(frame)
    assert [function.child for function in codec.structure.determined.functions] == ["fee"]
    assert codec.scored == ["total", "base"]  # the order of the sum that was found
    assert codec.signed_sums()[0].shape == (3, 0)
    assert codec.decode(codec.encode(frame)).to_pandas().equals(frame)
    fake = codec.decode(rng.normal(size=(3_000, codec.layout.width))).to_pandas()
    assert (fake["fee"] == fake["plan"].map(dict(zip(names, fees, strict=True)))).all()


def test_missing_cells_are_a_mode_of_their_own() -> None:
    frame = _linked()
    codec = Codec.fit(frame)
    x = codec.encode(frame)
    back = codec.decode(x).to_pandas()
    assert back["rate"].isna().equals(frame["rate"].isna())


def test_numbers_stay_in_the_range_of_the_table_unless_told_otherwise() -> None:
    frame = _linked()
    extreme = np.zeros((2, Codec.fit(frame).layout.width))
    extreme[:, 0] = [-9, 9]
    clipped = Codec.fit(frame).decode(extreme).to_pandas()["bill"]
    assert (clipped.min(), clipped.max()) == (frame["bill"].min(), frame["bill"].max())
    free = Codec.fit(frame, clip=False).decode(extreme).to_pandas()["bill"]
    assert free.max() > frame["bill"].max()


def test_categories_of_many_levels_take_two_blocks_within_bounds() -> None:
    rng = np.random.default_rng(0)
    codes = np.minimum(rng.zipf(1.3, 20_000), 1_000)
    frame = pd.DataFrame({"zip": [f"z{c:04}" for c in codes], "n": rng.random(20_000)})
    codec = Codec.fit(frame)
    assert len(set(codes)) > MOST_ONE_HOT
    assert codec.layout.width < 320
    back = codec.decode(codec.encode(frame)).to_pandas()
    assert back["zip"].equals(frame["zip"])
    noise = rng.normal(size=(2_000, codec.layout.width))
    assert set(codec.decode(noise).to_pandas()["zip"]) <= set(frame["zip"])


def test_compact_rows_expand_to_what_encode_gives() -> None:
    frame = _linked(500)
    codec = Codec.fit(frame)
    x = codec.expand(codec.compact(to_arrow(frame)), torch.Generator().manual_seed(0))
    expected = codec.encode(frame)
    np.testing.assert_array_equal(x[:, codec.layout.numbers :], expected[:, codec.layout.numbers :])
    assert x.dtype == torch.float32


def test_it_survives_being_written_and_read() -> None:
    frame = _linked(600)
    codec = Codec.fit(frame)
    twin = Codec.from_parts(codec.to_json(), codec.arrays())
    x = np.random.default_rng(0).normal(size=(50, codec.layout.width))
    assert twin.decode(x).equals(codec.decode(x))


def test_it_refuses_what_it_cannot_encode() -> None:
    frame = _linked(600)
    codec = Codec.fit(frame)
    with pytest.raises(ValueError, match=r"one column per encoded coordinate \(D=\d+\), however: x\.shape=\(2, 3\)"):
        codec.decode(np.zeros((2, 3)))
    strange = frame.assign(level="unseen")
    with pytest.raises(TableError, match="'level' must hold levels of the fitted table, however: 600 cells"):
        codec.encode(strange)
    gone = to_arrow(frame).set_column(0, "bill", pa.array([None] * 600, pa.int64()))
    with pytest.raises(TableError, match="'bill' must have no missing cell, however: 600 are missing"):
        codec.encode(gone)


def test_bins_hold_the_scores_of_common_values_and_values_invert_the_scores() -> None:
    frame = _linked()
    codec = Codec.fit(frame)
    edges, values = codec.edges(), codec.values()
    assert edges.shape == (codec.layout.numbers, 65)
    assert (edges.diff(dim=1) >= 0).all()
    paid = codec.scored.index("paid")
    scores = torch.from_numpy(codec.encode(frame))[:, paid].contiguous()
    bins = torch.searchsorted(edges[paid].double(), scores, right=True)
    zeros = torch.from_numpy((frame["paid"] == 0).to_numpy().copy())
    assert len(bins[zeros].unique()) == 1
    assert not (bins[~zeros] == bins[zeros][0]).any()
    middle = values[paid, values.shape[1] // 2]
    assert abs(float(middle) - frame["paid"].median()) <= 1


def test_bins_of_many_columns_are_fewer_each() -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 60)), columns=[f"c{i}" for i in range(60)])
    assert Codec.fit(frame).edges().shape == (60, 18)


def test_present_scores_are_those_of_cells_that_are_not_missing() -> None:
    frame = _linked()
    codec = Codec.fit(frame)
    present = codec.present(codec.choose(codec.encode(frame)))
    for position, name in enumerate(codec.scored):
        assert np.array_equal(present[:, position], frame[name].notna().to_numpy())
    assert not present.all()


def test_moments_of_rows_are_those_of_all_coordinates_together() -> None:
    frame = _linked()
    codec = Codec.fit(frame)
    rows = codec.moments(codec.compact(to_arrow(frame))).rows
    assert rows is not None
    x = codec.encode(frame)
    width = codec.layout.width
    root = (rows.noised(torch.eye(width), 0.0) - rows.mean).double()
    np.testing.assert_allclose(rows.mean, x.mean(0), atol=0.02)  # scores of point masses are drawn anew
    np.testing.assert_allclose(root.T @ root, np.cov(x.T), atol=0.03)


def _rounded_by_size(rows: int = 3_000) -> pd.DataFrame:
    """Seconds as a program writes them, with ten digits, sizes of towns in hundreds if large, and an area in feet."""
    rng = np.random.default_rng(0)
    seconds = np.exp(rng.normal(4, 2, rows))
    people = np.exp(rng.normal(6, 1.5, rows))
    return pd.DataFrame(
        {
            "seconds": np.where(rng.random(rows) < 0.3, 0.0, [float(f"{one:.9e}") for one in seconds]).round(9),
            "people": np.where(people < 1_000, people.round(), (people / 100).round() * 100).astype(np.int64),
            "share": [float(f"{one:.11e}") for one in rng.normal(size=rows)],
            "income": [f"{one / 1_000:.0f}K" if one < 1e6 else f"{one / 1e6:.1f}M" for one in 1e4 * seconds],
            "x": np.log(seconds).round(2),
        }
    )


@pytest.mark.parametrize("clip", [True, False])
def test_numbers_have_as_many_digits_as_those_of_their_size_in_the_table(clip: bool) -> None:
    frame = _rounded_by_size()
    table = to_arrow(frame)
    codec = Codec.fit(frame, clip=clip)
    found = {column.name: column.places for column in codec.schema.numbers}
    assert found["people"] == ((3, 2),)
    assert found["income"] == ((6, 5),)
    assert found["seconds"] is not None
    assert found["share"] is not None
    assert found["x"] is None
    assert codec.schema.from_json(json.loads(json.dumps(codec.schema.to_json()))) == codec.schema
    if clip:
        assert codec.decode(codec.encode(frame)).drop(["share"]).equals(table.drop(["share"]))
    read = Codec.from_parts(json.loads(json.dumps(codec.to_json())), codec.arrays())
    made = 1.3 * np.random.default_rng(1).normal(size=(3_000, codec.layout.width))
    assert read.decode(made).equals(codec.decode(made))
    fake = codec.decode(made).to_pandas()
    for name, digits in (("seconds", 10), ("share", 12)):
        assert max(len(f"{abs(one)!r}".replace(".", "").strip("0")) for one in fake[name]) == digits
    large = fake["people"] >= 1_000
    assert large.any()
    assert (fake["people"][large] % 100 == 0).all()
    assert (fake["people"][~large] % 100 != 0).mean() > 0.9
    assert fake["income"].str.fullmatch(r"-?(\d{1,3}K|\d+\.\dM)").all()
    assert not np.isin(fake["seconds"], frame["seconds"]).mean() > 0.5  # they are new ones


def test_a_category_of_many_levels_may_be_determined_by_another_one() -> None:
    rng = np.random.default_rng(0)
    operator = rng.integers(0, MOST_ONE_HOT + 40, 6_000)
    frame = pd.DataFrame(
        {
            "code": [f"C{one:03}" for one in operator],
            "name": [f"Operator {7 * one % 1_000}" for one in operator],
            "x": rng.normal(size=6_000).round(2),
        }
    )
    codec = Codec.fit(frame)
    assert codec.structure.determined.children == {"name"}
    assert list(codec.structure.digits) == ["code"]
    assert codec.decode(codec.encode(frame)).equals(to_arrow(frame))
    fake = codec.decode(rng.normal(size=(500, codec.layout.width))).to_pandas()
    assert (fake["name"] == "Operator " + (7 * fake["code"].str[1:].astype(int) % 1_000).astype(str)).all()


@pytest.mark.parametrize("step", [4, 0.0002])
def test_values_that_end_before_multiples_of_their_step_come_back(step: float) -> None:
    rng = np.random.default_rng(0)
    fine, large = step * rng.integers(1, 240, 300), step * rng.integers(250_000, 2_000_000, 300)
    coarse = step * 250 * rng.integers(10, 90, 300)  # whole thousands of the last place
    frame = pd.DataFrame({"x": np.concatenate([fine, coarse, large]).round(4), "k": np.arange(900) % 3})
    frame = frame.astype({"x": np.int64}) if step == 4 else frame
    codec = Codec.fit(frame)
    assert codec.schema.column("x").step == step
    assert codec.schema.column("x").places is not None
    for seed in range(3):
        assert codec.decode(codec.encode(frame, seed)).equals(to_arrow(frame))
    fake = codec.decode(rng.normal(size=(500, codec.layout.width))).to_pandas()["x"]
    assert np.allclose(fake / step, (fake / step).round(), atol=1e-6)


@pytest.mark.parametrize("last", [True, False])
def test_a_column_may_equal_one_that_is_computed_wherever_that_stands(last: bool) -> None:
    rng = np.random.default_rng(4)
    width, height = rng.integers(20, 900, 3_000), rng.integers(20, 900, 3_000)
    area = width * height
    ink = np.where(rng.random(3_000) < 0.3, area, (area * rng.random(3_000)).astype(int))
    frame = pd.DataFrame({"width": width, "height": height, "ink": ink})
    frame.insert(3 if last else 0, "area", area)
    codec = Codec.fit(frame)
    assert [one.child for one in codec.structure.determined.formulas] == ["area"]
    assert codec.structure.numbers["ink"].parents == (Combination.column("area"),)
    assert codec.scored[-1] == "ink"
    assert codec.decode(codec.encode(frame)).equals(to_arrow(frame))
    made = codec.choose(np.random.default_rng(5).normal(size=(2_000, codec.layout.width)))
    made.codes[:, codec.names.index(("ink", "mode"))] = np.arange(2_000) % 2
    sample = codec.restore(made).to_pandas()
    assert (sample["ink"] == sample["area"]).eq(np.arange(2_000) % 2 == 1).mean() > 0.99


def test_equal_columns_of_which_one_is_computed_do_not_come_to_depend_on_themselves() -> None:
    rng = np.random.default_rng(6)
    usual = rng.integers(0, 4_000, 2_000) * 1.0
    most = np.where(rng.random(2_000) < 0.3, usual, usual + rng.integers(1, 4_000, 2_000))
    frame = pd.DataFrame({"usual": usual, "most": most, "usual again": usual, "most again": most})
    codec = Codec.fit(frame)
    assert codec.structure.determined.children == {"usual again", "most again"}
    assert codec.structure.numbers["most"].parents[0] == Combination.column("usual")
    assert codec.decode(codec.encode(frame)).equals(to_arrow(frame))
