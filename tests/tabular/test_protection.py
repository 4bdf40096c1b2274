"""What a few rows have is hidden before anything is learned, and relations between columns stay."""

import datetime
import decimal
import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from scorewise.tabular.codec import Codec
from scorewise.tabular.defect import TableError
from scorewise.tabular.protection import FEWEST_ROWS, protect, rare_levels
from scorewise.tabular.schema import Schema
from scorewise.tabular.table import to_arrow

_ROWS = 400


def _protected(frame: pd.DataFrame | pa.Table, seed: int = 0) -> pa.Table:
    table = to_arrow(frame)
    return protect(table, Schema.infer(table), seed)


def _people() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    job = np.array(["clerk", "nurse", "cook"])[rng.integers(3, size=_ROWS)]
    job[:4], job[4:9] = "queen", "mayor"
    income = rng.lognormal(10, 1, _ROWS).round(2)
    income[rng.random(_ROWS) < 0.1] = np.nan
    return pd.DataFrame({"job": job, "income": income, "member": rng.random(_ROWS) < 0.5})


def test_rare_levels_and_extremes_go_and_all_else_stays() -> None:
    frame = _people()
    before = frame.copy(deep=True)
    made = _protected(frame).to_pandas()
    assert frame.equals(before)
    assert set(made["job"]) == {"clerk", "nurse", "cook", "mayor"}
    assert made["job"].iloc[4:].equals(frame["job"].iloc[4:])
    ordered = frame["income"].dropna().sort_values()
    low, high = ordered.iloc[4], ordered.iloc[-5]
    assert (made["income"].min(), made["income"].max()) == (low, high)
    assert made["income"].equals(frame["income"].clip(low, high))
    assert made["member"].equals(frame["member"])


def test_hidden_levels_are_drawn_as_often_as_they_occur() -> None:
    kind = ["a"] * 900 + ["b"] * 100 + [None] * 1_000 + [f"rare {i // 4}" for i in range(400)]
    frame = pd.DataFrame({"kind": kind, "n": np.random.default_rng(0).normal(size=2_400)})
    made = _protected(frame).to_pandas()["kind"]
    assert made[:2_000].equals(frame["kind"][:2_000])
    assert set(made[2_000:]) == {"a", "b"}
    assert abs((made[2_000:] == "a").mean() - 0.9) < 5 * np.sqrt(0.09 / 400)
    assert not made.equals(_protected(frame, seed=1).to_pandas()["kind"])
    assert made.equals(_protected(frame).to_pandas()["kind"])


@pytest.mark.parametrize(
    "cells",
    [
        [datetime.date(2020, 1, 1) + datetime.timedelta(days=i) for i in range(200)],
        [f"{i % 28 + 1}.{i % 12 + 1}.{1900 + i // 2}" for i in range(200)],
        pa.array([i * 1_000 for i in range(200)], pa.timestamp("ms", "UTC")),
        pa.array([i * 1_000 for i in range(200)], pa.duration("ms")),
        [decimal.Decimal(i * i).scaleb(-2) for i in range(200)],
        pa.array([i * i for i in range(200)], pa.uint16()),
        [*np.geomspace(1e-3, 1e9, 200)],
        [True] * 197 + [False] * 3,
        [1] * 190 + [2] * 7 + [3] * 3,
        pa.chunked_array([["x"] * 100 + ["rare"], ["y"] * 95 + ["rarer"] * 4]),
        pa.chunked_array([pa.array(one).dictionary_encode() for one in (["x"] * 99 + ["r"], ["y", "x"] * 50)]),
    ],
)
def test_cells_of_every_type(cells: list[object] | pa.Array) -> None:
    source = pa.table({"x": cells, "other": np.random.default_rng(0).normal(size=200)})
    schema = Schema.infer(source)
    made = protect(source, schema)
    assert made.schema.equals(source.schema, check_metadata=True)
    then, now = (one["x"].to_pylist() for one in (source, made))
    assert set(now) < set(then)
    if schema.column("x").kind == "category":
        assert all(then.count(one) >= FEWEST_ROWS for one in now)
    else:
        values = schema.cells(source).numbers["x"]
        np.testing.assert_array_equal(schema.cells(made).numbers["x"], np.clip(values, *np.sort(values)[[4, -5]]))


def test_levels_of_a_dictionary_that_are_hidden_leave_it() -> None:
    codes = pa.array([0, 1, 3] * 60 + [2, 2, None], pa.int8())
    levels = pa.array(["low", "mid", "secret", "high", "unused"])
    source = pa.table({"x": pa.DictionaryArray.from_arrays(codes, levels, ordered=True), "n": [0.5, 1.0, 2.0] * 61})
    made = protect(source, Schema.infer(source))
    assert made.schema.equals(source.schema)
    whole = made["x"].combine_chunks()
    assert whole.dictionary.to_pylist() == ["low", "mid", "high", "unused"]
    assert made["x"].to_pylist()[:180] == source["x"].to_pylist()[:180]
    assert made["x"].to_pylist()[-1] is None
    assert set(made["x"].to_pylist()[180:182]) <= {"low", "mid", "high"}


def test_a_column_that_another_one_determines_goes_with_it() -> None:
    rng = np.random.default_rng(0)
    county = np.append(rng.integers(0, 40, 2_000), np.arange(40, 52).repeat(3))
    table = pd.DataFrame({"county": [f"c{c}" for c in county], "state": [f"s{c % 7}" for c in county]})
    table["n"] = rng.normal(size=len(table))
    assert [one.child for one in Codec.fit(table).structure.determined.functions] == ["state"]
    made = _protected(table).to_pandas()
    assert set(made["county"]) == {f"c{c}" for c in range(40)}
    assert (made["state"] == "s" + (made["county"].str[1:].astype(int) % 7).astype(str)).all()


def test_a_part_of_a_moment_goes_with_it() -> None:
    days = np.random.default_rng(0).integers(0, 700, 3_000)
    at = pd.Timestamp("2019-01-01") + pd.to_timedelta(days, unit="D")
    frame = pd.DataFrame({"at": at, "month": at.month_name(), "n": np.random.default_rng(1).normal(size=3_000)})
    frame.loc[:3, "at"] = pd.Timestamp("2031-07-04")
    frame.loc[:3, "month"] = "July"
    made = _protected(frame).to_pandas()
    assert made["at"].max() < pd.Timestamp("2021-01-01")
    assert made["month"].equals(made["at"].dt.month_name())


def test_rows_of_what_is_computed_are_left_out_where_it_is_extreme() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: rng.integers(0, 10_000, 2_000) for name in "abc"})
    frame["total"] = frame[["a", "b", "c"]].sum(axis=1)
    frame["other"] = rng.normal(size=2_000)
    assert [one.child for one in Codec.fit(frame).structure.determined.formulas] == ["total"]
    made = _protected(frame).to_pandas()
    assert 2_000 - 4 * 8 <= len(made) < 2_000 - 8
    assert made["total"].equals(made[["a", "b", "c"]].sum(axis=1))
    for name in [*"abc", "total"]:
        ordered = frame[name].sort_values()
        assert ordered.iloc[4] <= made[name].min()
        assert made[name].max() <= ordered.iloc[-5]
    assert made["other"].nunique() == len(made) - 8


def test_rows_of_a_rare_level_that_others_are_computed_from_are_left_out() -> None:
    rng = np.random.default_rng(0)
    rooms = np.append(rng.choice([1, 2, 3, 8], 1_997), [5] * 3)
    frame = pd.DataFrame({"rooms": rooms, "area": rng.integers(20, 9_000, 2_000)})
    frame["volume"] = frame["rooms"] * frame["area"]
    assert Schema.infer(to_arrow(frame)).column("rooms").kind == "category"
    assert [one.child for one in Codec.fit(frame).structure.determined.formulas] == ["volume"]
    made = _protected(frame).to_pandas()
    assert set(made["rooms"]) == {1, 2, 3, 8}
    assert len(made) >= 2_000 - 3 - 2 * 8
    assert made["volume"].equals(made["rooms"] * made["area"])


@pytest.mark.parametrize("present", range(2, 12))
def test_of_few_values_those_in_the_middle_are_left(present: int) -> None:
    values = [*map(float, range(present)), *[None] * (100 - present)]
    source = pa.table({"x": pa.array(values, pa.float64()), "n": np.random.default_rng(0).normal(size=100)})
    schema = Schema.infer(source, overrides={"x": {"kind": "number"}})
    left = set(protect(source, schema)["x"].drop_null().to_pylist())
    middle = {(present - 1) // 2, present // 2}
    assert left == (middle if present < 10 else set(range(4, present - 4)))


def test_rare_levels_are_counted_most_first() -> None:
    frame = _people().assign(
        town=[*map(str, np.arange(40).repeat(2)), *["x"] * 310, *[None] * 10], flag=["y", "n"] * 200
    )
    assert list(rare_levels(to_arrow(frame), Schema.infer(to_arrow(frame))).items()) == [("town", 40), ("job", 1)]
    hidden = _protected(frame)
    assert rare_levels(hidden, Schema.infer(hidden)) == {}


def test_identifiers_are_left_as_they_are() -> None:
    frame = _people().assign(name=[f"Name{i}" for i in range(_ROWS)], id=range(_ROWS))
    made = _protected(frame).to_pandas()
    assert made[["name", "id"]].equals(frame[["name", "id"]])


def test_what_cannot_be_hidden_is_refused() -> None:
    frame = _people().assign(name=[f"n{i // 2}" for i in range(_ROWS)])
    with pytest.raises(TableError, match=r"Column 'name' must have a level of 5 rows or more .* however: none"):
        _protected(frame)
    rng = np.random.default_rng(0)
    parts = pd.DataFrame({f"p{i}": rng.integers(0, 10_000, 160) for i in range(12)})
    for i, j in itertools.pairwise(range(12)):
        parts[f"t{i}"] = parts[f"p{i}"] * 3 + parts[f"p{j}"] * 2
    with pytest.raises(
        TableError, match=r"Half of the rows or more must be left .* however: \d+ of 160, since \['p0', "
    ):
        _protected(parts)
