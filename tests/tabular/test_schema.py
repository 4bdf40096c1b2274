import copy
import datetime
import decimal
import json
import os
import time
import uuid

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from polars.testing import assert_frame_equal as assert_polars_equal

from scorewise.tabular.column import Column
from scorewise.tabular.grid import as_single
from scorewise.tabular.schema import Cells, Schema
from scorewise.tabular.table import TableError, like, read_table, to_arrow, write_table

RNG = np.random.default_rng(0)
NAN = float("nan")


def table(rows=200, **columns):
    """A table with two columns that can be learned, and others."""
    rng = np.random.default_rng(1)
    first = {"size": rng.normal(size=rows), "colour": rng.choice(["red", "green", "blue"], size=rows)}
    return pa.table({**first, **columns})


def kind(values, name="x", **options):
    return Schema.infer(table(len(values), **{name: values}), **options).column(name).kind


def back(schema, source, seed=0):
    return schema.restore(schema.cells(source), source.num_rows, seed)


# ---------------------------------------------------------------------------------------------- kinds


@pytest.mark.parametrize(
    ("expected", "values"),
    [
        ("constant", [5] * 200),
        ("constant", ["a"] * 200),
        ("category", [5] * 199 + [None]),
        ("category", ["a"] * 199 + [None]),
        ("category", [True, False] * 100),
        ("category", ["a", "b"] * 100),
        ("category", [1, 2, 3, 4, 5] * 40),
        ("category", [0.5, 1.0, 2.0, 4.0] * 50),
        ("category", [decimal.Decimal("0.5"), decimal.Decimal(2)] * 100),
        ("category", [*map(str, range(189)), *map(str, range(11))]),
        ("category", [*map(str, range(17)), "0", None]),
        ("category", pa.array([*map(str, range(200))]).dictionary_encode()),
        ("category", ["2020-01-01"] * 199 + [None]),
        ("category", ["2020-01-01"] * 199 + ["2020-02-30"]),
        ("category", pa.array(["2020-01-01", "2020-01-02"] * 100).dictionary_encode()),
        ("constant", ["2020-01-01"] * 200),
        ("number", ["2020-01-01", "2020-01-02"] * 100),
        ("number", ["2020-01-01T05:00:00Z", None, "2020-01-02T05:00:00Z", None] * 50),
        ("number", [f"1/1/{year}" for year in range(1900, 2100)]),
        ("identifier", [f"1/1/{year}" for year in range(1901, 2100)] + ["2/30/1900"]),
        ("category", [1 / 3, 2 / 3] * 100),
        ("category", [0.0, 3.4, 13.731887, None] * 50),  # one of them put in for cells that were missing
        ("number", [1 / 3, 2 / 3] * 19),
        ("number", [*range(11)] * 18 + [1, 2]),
        ("number", np.arange(200) ** 3),
        ("number", np.random.default_rng(0).normal(size=200)),
        ("number", [datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)] * 100),
        ("number", pa.array(range(200), pa.duration("s"))),
        ("identifier", range(200)),
        ("identifier", np.random.default_rng(0).permutation(200) * 1.0),
        ("identifier", [*range(199), None]),
        ("identifier", np.random.default_rng(0).choice(1000, 200, replace=False)),
        ("identifier", [*map(str, range(200))]),
        ("identifier", [*map(str, range(190)), *map(str, range(10))]),
        ("identifier", [*map(str, range(19)), "0", *[None] * 9]),
    ],
)
def test_kinds(expected, values):
    assert kind(values) == expected


def test_the_limits_of_few_levels():
    assert kind([*range(32)] * 20) == "category"
    assert kind([*range(32)] * 20 + [0] * 20 + [32] * 20) == "number"
    assert kind([*range(32)] * 20 + [0]) == "category"
    assert kind(([*range(32)] * 20)[1:]) == "number"


def test_an_identifier_by_its_name():
    values = np.random.default_rng(0).choice(10**9, 200, replace=False)
    assert kind(values, "amount") == "number"
    assert kind(values, "patient_nbr") == "identifier"
    assert kind(values[:19], "patient_nbr") == "number"


def test_the_target_is_no_identifier():
    assert kind(range(200), "price", target="price") == "number"
    assert kind([*map(str, range(200))], "name", target="name") == "category"


def test_levels_are_sorted_or_as_in_the_dictionary():
    frame = pd.DataFrame(
        {
            "size": RNG.normal(size=60),
            "text": ["b", "a", "c"] * 20,
            "number": [10, 2, 2] * 20,
            "flag": [True, False, None] * 20,
            "shirt": pd.Categorical(["S", "L", "S"] * 20, categories=["S", "M", "L"], ordered=True),
        }
    )
    schema = Schema.infer(to_arrow(frame))
    assert schema.column("text").levels == ("a", "b", "c")
    assert schema.column("number").levels == (2, 10)
    assert schema.column("flag").levels == (False, True)
    assert schema.column("shirt").levels == ("S", "M", "L")
    cells = schema.cells(to_arrow(frame)).categories
    assert cells["text"][:3].tolist() == [1, 0, 2]
    assert cells["flag"][:3].tolist() == [1, 0, -1]
    assert cells["shirt"][:3].tolist() == [0, 2, 0]


@pytest.mark.parametrize(
    ("values", "step", "low", "high"),
    [
        (np.arange(1, 201) ** 2 * 1000, 1000, 1e3, 4e7),
        ([1, 4, 9, 2] * 50 + [7], 1, 1, 9),
        (pa.array([0.1, 12.3, 0.7, 5.5, 9.9], pa.float32()), 0.1, 0.1, 12.3),
        ([0.25, 3.0, 0.5], 0.25, 0.25, 3.0),
        ([1 / 3, 2 / 3], None, 1 / 3, 2 / 3),
        ([decimal.Decimal("1.50"), decimal.Decimal("2.25")], 0.75, 1.5, 2.25),
        (pa.array([10**12, 3 * 10**12], pa.int64()), 10**12, 1e12, 3e12),
    ],
)
def test_steps_and_bounds(values, step, low, high):
    column = Schema.infer(table(len(values), x=values), overrides={"x": {"kind": "number"}}).column("x")
    assert (column.step, column.minimum, column.maximum) == (step, low, high)


@pytest.mark.parametrize(
    ("texts", "tick_seconds"),
    [
        (["2020-01-01 09:00", "2020-01-03 09:00", "2020-01-04 09:00"], 86_400),
        (["2020-01-01 09:00", "2020-01-01 10:00", "2020-01-04 07:00"], 3600),
        (["2020-01-01 09:00", "2020-01-01 09:15", "2020-01-04 07:30"], 900),
        (["2020-01-01 09:00:00.001", "2020-01-01 09:00:00.003", "2020-01-01 09:00:00.006"], 0.001),
    ],
)
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_temporal_steps(texts, tick_seconds, unit):
    moments = pa.array(texts).cast(pa.timestamp(unit))
    source = table(3, x=moments)
    schema = Schema.infer(source)
    column = schema.column("x")
    per_second = {"ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    assert column.tick == round(tick_seconds * per_second)
    assert column.step == 1
    steps = schema.cells(source).numbers["x"]
    assert steps[0] == column.minimum == 0
    assert steps[-1] == column.maximum
    assert np.all(steps == np.round(steps))
    halfway = Cells({"size": np.zeros(1), "x": np.array([1.2])}, {"colour": np.zeros(1, dtype=np.int64)})
    assert schema.restore(halfway, 1, 0).column("x").cast(pa.int64())[0].as_py() == column.origin + column.tick


def test_restored_numbers_lie_on_the_grid_and_within_the_type():
    source = table(
        4,
        i=pa.array([10, 20, 40, 120], pa.int8()),
        u=pa.array([1, 2, 3, 200], pa.uint8()),
        f=[12.3, 0.1, 0.2, 5.0],
        d=pa.array(
            [decimal.Decimal("1.25"), decimal.Decimal("9.99"), None, decimal.Decimal("0.02")], pa.decimal128(3, 2)
        ),
        t=pa.array([0, 3600, 7200, 36000], pa.int32()).cast(pa.time32("s")),
    )
    schema = Schema.infer(source)
    far = {
        "size": np.zeros(3),
        "i": np.array([14.0, 1e9, -1e9]),
        "u": np.array([2.4, 1e9, -5.0]),
        "f": np.array([12.34, 0.1499, -0.01]),
        "d": np.array([1.254, 1e9, -1e9]),
        "t": np.array([1.4, 1e9, -1e9]),
    }
    made = schema.restore(Cells(far, {"colour": np.zeros(3, dtype=np.int64)}), 3, 0).to_pydict()
    assert made["i"] == [10, 120, -120]
    assert made["u"] == [2, 255, 0]
    assert list(map(repr, made["f"])) == ["12.3", "0.1", "0.0"]
    assert list(map(str, made["d"])) == ["1.25", "9.99", "-9.99"]
    assert made["t"] == [datetime.time(1), datetime.time(23), datetime.time(0)]


# ---------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1], "b": [2]}, r"must have 2 rows or more, however: 1 row\. Give a table with more rows"),
        ({"a": pa.array([], pa.int64())}, r"must have 2 rows or more, however: 0 rows"),
        ({"a": [1, 2]}, r"2 columns or more that can be learned, however: one column, 'a'\. Add columns"),
        ({"a": [1, 2], "b": [3, 3]}, r"however: one column, 'a' \(besides 'b' \(constant\)\)"),
        ({"a": [1, 1], "b": [3, 3]}, r"however: none \(besides 'a' \(constant\), 'b' \(constant\)\)"),
        (
            {"a": [1, 2], "b": [None, None], "c": [NAN, NAN]},
            r"one column, 'a' \(besides 'b' \(constant\), 'c' \(constant",
        ),
        ({"a": [1, 2], "b": [1, np.inf], "c": [-np.inf, 1]}, r"must be finite, however: 'b', 'c' hold infinite values"),
        (
            {"a": [1, 2], "b": [[1], [2]], "c": [{"k": 1}, None], "d": [b"x", b"y"]},
            r"however: 'b' \(list<.*int64>\), 'c' \(struct<k: int64>\), 'd' \(binary\)\. Convert or drop",
        ),
    ],
)
def test_tables_refused(columns, message):
    with pytest.raises(TableError, match=message):
        Schema.infer(pa.table(columns))


def test_two_thousand_columns_are_refused():
    wide = pa.table({f"c{i}": [0.5, 1.5, 7.5] for i in range(2000)})
    with pytest.raises(
        TableError, match=r"at most 1,000 columns that can be learned, however: 2,000\. Drop the columns"
    ):
        Schema.infer(wide)


def test_duplicate_names_are_refused():
    twice = pa.Table.from_arrays([pa.array([1, 2])] * 2, names=["a", "a"])
    with pytest.raises(TableError, match="'a' stand more than once"):
        Schema.infer(twice)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("color", r"The target must be a column of the table, however: there is no 'color'\. Did you mean 'colour'\?"),
        ("zzz", r"there is no 'zzz'\. The columns are 'size', 'colour', 'one'\."),
        ("one", r"The target must be a number or a category, however: 'one' is of kind constant\. Choose another"),
    ],
)
def test_targets_refused(target, message):
    with pytest.raises(TableError, match=message):
        Schema.infer(table(one=[1] * 200), target)


# ---------------------------------------------------------------------------------------------- overrides


def test_kinds_can_be_overridden():
    source = table(
        x=np.arange(200) % 50,
        text=[f"t{i % 150}" for i in range(200)],
        day=[datetime.date(2020, 1, 1 + i % 9) for i in range(200)],
    )
    schema = Schema.infer(source)
    assert [schema.column(name).kind for name in ("x", "text", "day")] == ["number", "category", "number"]
    changed = Schema.infer(
        source, overrides={"x": {"kind": "category"}, "text": {"kind": "identifier"}, "day": {"kind": "category"}}
    )
    assert changed.column("x").levels == tuple(range(50))
    assert changed.column("day").levels[:2] == ("2020-01-01", "2020-01-02")
    made = back(changed, source)
    assert made.column("x").equals(source.column("x"))
    assert made.column("day").equals(source.column("day"))
    assert len(set(made.column("text").to_pylist()) - set(source.column("text").to_pylist())) == 200


def test_an_edited_schema_overrides():
    source = table(x=np.arange(200) % 50, label=[0, 1] * 100)
    edited = json.loads(json.dumps(Schema.infer(source, "label").to_json()))
    edited["columns"][2]["kind"] = "category"
    edited["columns"][3]["kind"] = "number"
    again = Schema.infer(source, overrides=edited)
    assert again.target == "label"
    assert again.column("x").levels == tuple(range(50))
    assert (again.column("label").kind, again.column("label").levels, again.column("label").step) == ("number", None, 1)
    assert back(again, source).equals(source)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"siz": {"kind": "number"}},
            r"An override must be a column of the table, however: there is no 'siz'\. Did you mean 'size'",
        ),
        (
            {"size": {"kind": "real"}},
            r"A kind must be number, category, identifier or constant, however: 'real' for 'size'",
        ),
        ({"size": "number"}, r"An override must be a dict with a kind, however: 'number' for 'size'"),
        ({"size": {"step": 1}}, r"An override must be a dict with a kind, however: \{'step': 1\} for 'size'"),
        (
            {"columns": [{"name": "size"}]},
            r"An override must be a dict with a kind, however: \{'name': 'size'\} for 'size'",
        ),
        ({"columns": ["size"]}, r"An override must be a dict with a kind, however: 'size'"),
        ({"colour": {"kind": "number"}}, r"'colour' must be numeric or temporal to be a number, however: string"),
        ({"size": {"kind": "identifier"}}, r"'size' must hold text or integers to be an identifier, however: double"),
        ({"flag": {"kind": "identifier"}}, r"'flag' must hold text or integers to be an identifier, however: bool"),
        (
            {"size": {"kind": "constant"}},
            r"'size' must hold one value and no missing cell to be a constant, however: 200",
        ),
        ({"one": {"kind": "number"}}, r"'one' must hold two values or more to be a number, however: one value"),
        ({"day": {"kind": "number"}}, r"'day' must hold two values or more to be a number, however: one value"),
        (
            {"day": {"kind": "category"}, "coded": {"kind": "number"}},
            r"'coded' must be numeric or temporal to be a num",
        ),
    ],
)
def test_overrides_refused(overrides, message):
    days = ["2020-01-01", "2020-01-02"] * 100
    source = table(
        one=[1] * 200, flag=[True, False] * 100, day=days[:1] * 200, coded=pa.array(days).dictionary_encode()
    )
    with pytest.raises(TableError, match=message):
        Schema.infer(source, overrides=overrides)


# ---------------------------------------------------------------------------------------------- JSON

EVERY_KIND = {
    "id": [f"C{i:05d}" for i in range(0, 60_000, 300)],
    "row": range(200),
    "one": ["a"] * 200,
    "flag": [True, None] * 100,
    "grade": pa.array(["b", "a"] * 100).dictionary_encode(),
    "price": [decimal.Decimal("1.25"), decimal.Decimal("3.50"), None, decimal.Decimal("9.00")] * 50,
    "when": pa.array(np.arange(200) * 3600, pa.timestamp("s", "Europe/Berlin")),
    "clock": pa.array(np.arange(200) * 60, pa.int32()).cast(pa.time32("s")),
    "wait": pa.array(np.arange(200) ** 2, pa.duration("us")),
    "noted": [f"{1 + i % 12}/{1 + i % 28}/2020 {i % 24}:05" for i in range(199)] + [None],
}


def test_json_is_plain_and_comes_back():
    source = table(**EVERY_KIND).replace_schema_metadata({"note": "by hand", "pandas": '{"columns": [1]}', "n": "5"})
    schema = Schema.infer(source, "flag")
    said = schema.to_json()
    again = Schema.from_json(json.loads(json.dumps(said)))
    assert again == schema
    assert again.arrow_schema.equals(source.schema, check_metadata=True)
    assert said["metadata"] == {"note": "by hand", "pandas": {"columns": [1]}, "n": "5"}
    assert said["columns"][0] == {
        "name": "size",
        "kind": "number",
        "arrow_type": "double",
        "minimum": schema.column("size").minimum,
        "maximum": schema.column("size").maximum,
    }
    assert said["columns"][1] == {
        "name": "colour",
        "kind": "category",
        "arrow_type": "string",
        "levels": ["blue", "green", "red"],
    }


def test_no_value_of_an_identifier_is_kept():
    names = np.array([str(uuid.UUID(bytes=RNG.bytes(16), version=4)) for _ in range(200)])
    numbers = RNG.choice(10**12, 200, replace=False)
    said = json.dumps(Schema.infer(table(name=names, account_id=numbers)).to_json())
    assert not any(name in said for name in names)
    assert not any(str(number) in said for number in numbers)


def drop(key):
    return lambda said: said.pop(key)


def in_column(position, **changes):
    return lambda said: said["columns"][position].update(changes)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (drop("columns"), r"A schema must be a dict with a list of columns, however: "),
        (lambda said: said.update(columns=["size"]), r"A schema must be a dict with a list of columns"),
        (lambda said: said.update(format=7), r"A schema must be of format 1, however: format=7"),
        (lambda said: said.update(target="colr"), r"The target must be .* there is no 'colr'\. Did you mean 'colour'"),
        (lambda said: said["columns"].pop(0), r"2 columns or more that can be learned, however: one column, 'colour'"),
        (in_column(0, name="colour"), r"Column names must be distinct, however: 'colour'"),
        (in_column(0, kind="numeric"), r"'size' must have a kind among number, category, .*however: kind='numeric'"),
        (in_column(0, arrow_type="real"), r"arrow_type must be the name of an Arrow type .*however: 'real'"),
        (in_column(0, arrow_type="list<item: int64>"), r"arrow_type must be the name of an Arrow type"),
        (in_column(0, colour="red"), r"no other fields than .*however: 'size' has \['colour'\]"),
        (lambda said: said["columns"][0].pop("kind"), r"A column must have a name, a kind .*'size' has no kind"),
        (
            in_column(0, minimum=9.0, maximum=1.0),
            r"'size' must have a minimum and a maximum, however: minimum=9\.0 and",
        ),
        (in_column(0, minimum="low"), r"'size' must have fields of the right types, however: "),
        (in_column(0, step=-1), r"'size' must have fields of the right types, however: step must be above 0"),
        (in_column(0, places=[[3, 2], [3, 1]]), r"'size' must have pairs of increasing powers of ten as its places"),
        (in_column(0, places=[[3, 2.5]]), r"'size' must have pairs .*, however: places=\(\(3, 2\.5\),\) of double"),
        (
            in_column(0, single="15"),
            r"'size' must be of floats of 64 bits, in a form among exact.*single='15' of",
        ),
        (in_column(0, single="read", arrow_type="float"), r"'size' must be of floats of 64 bits, .*'read' of float"),
        (in_column(0, places=[3, 2]), r"'size' must have pairs of increasing powers of ten as its places"),
        (in_column(0, missing=2), r"'size' must have a share of missing cells between 0 and 1, however: missing=2"),
        (
            in_column(0, arrow_type="string"),
            r"'size' must be numeric or temporal to be a number, however: arrow_type='string'",
        ),
        (in_column(0, arrow_type="date32[day]"), r"'size' must have an origin and a tick, however: origin=None"),
        (in_column(0, kind="identifier"), r"'size' must have patterns, or bounds and a step, to be an identifier"),
        (in_column(1, levels=[]), r"'colour' must have distinct levels, one or more, however: levels=\(\)"),
        (in_column(1, levels=["red", "red"]), r"'colour' must have distinct levels, one or more"),
        (in_column(1, levels=["red", 1]), r"'colour' must have levels of type string, however: "),
        (
            in_column(0, arrow_type="string", written="%A"),
            r"'size' must be written in a known form such as '%-m/%-d/%Y' or '\$#,##0.00', however: "
            r"written='%A'\. Correct it",
        ),
        (in_column(0, arrow_type="string", written=["%Y-%m-%d"]), r"'size' must be written in a known form"),
        (
            in_column(0, arrow_type="string", written="%Y-%m-%d"),
            r"'size' must have an origin and a tick, however: origin=None",
        ),
        (
            in_column(0, written="%Y-%m-%d"),
            r"'size' must be a number of text to .*, or of integers to have .* alone, however: number of double",
        ),
        (in_column(1, written="%Y-%m-%d"), r"'colour' must be a number of text .*, however: category of string"),
        (
            in_column(0, arrow_type="dictionary<values=string, indices=int32, ordered=0>", written="%Y-%m-%d"),
            r"'size' must be a number of text to have a written form, or of .* alone, however: number of dictionary",
        ),
        (in_column(1, kind="constant"), r"'colour' must have one of its levels as its value, however: value=None"),
    ],
)
def test_json_refused(edit, message):
    said = copy.deepcopy(Schema.infer(table()).to_json())
    edit(said)
    with pytest.raises(TableError, match=message):
        Schema.from_json(said)


def test_json_of_no_dict():
    with pytest.raises(TableError, match=r"A schema must be a dict with a list of columns, however: \[1\]"):
        Schema.from_json([1])


# ---------------------------------------------------------------------------------------------- cells of other tables


def test_other_columns_are_listed():
    schema = Schema.infer(table(x=np.arange(200) ** 2))
    other = table(y=np.arange(200)).drop_columns(["colour"])
    with pytest.raises(
        TableError, match=r"must have the 3 columns of the schema, however: missing 'colour', 'x' and extra 'y'\. Use"
    ):
        schema.cells(other)
    with pytest.raises(TableError, match=r"however: extra 'y'\. "):
        schema.cells(table(x=np.arange(200), y=np.arange(200)))


@pytest.mark.parametrize(
    ("own", "other", "expected"),
    [
        (pa.int64(), pa.array([1.0, 2.0, None]), [1, 2, NAN]),
        (pa.int64(), pa.array(["1", " 2", None]), [1, 2, NAN]),
        (pa.float64(), pa.array([1, 2, None], pa.int8()), [1, 2, NAN]),
        (pa.float64(), pa.array([decimal.Decimal("1.5"), None, decimal.Decimal(2)]), [1.5, NAN, 2]),
        (pa.float64(), pa.array([True, False, None]), [1, 0, NAN]),
        (pa.float64(), pa.array([0.1, 0.2, None], pa.float32()).dictionary_encode(), [0.1, 0.2, NAN]),
        (pa.float64(), pa.nulls(3), [NAN, NAN, NAN]),
        (pa.date32(), pa.array(["1970-01-02", "1970-01-04 12:00", None]), [1, 3.5, NAN]),
        (pa.date32(), pa.array([86400, 0, None], pa.timestamp("s")), [1, 0, NAN]),
        (pa.timestamp("ns"), pa.array([1, 2, None], pa.date32()), [1, 2, NAN]),
        (pa.timestamp("s", "UTC"), pa.array(["1970-01-02T00:00:00Z", "1970-01-02 01:00+01:00", None]), [1, 1, NAN]),
        (pa.timestamp("s"), pa.array([-86_400_000_000, 1, None], pa.timestamp("us")), [-1, 1e-6 / 86400, NAN]),
        (pa.duration("ms"), pa.array([86400, 43200.0, None]), [1, 0.5, NAN]),
        (pa.duration("ms"), pa.array([1, None, 2], pa.duration("ns")), [1e-9 / 86400, NAN, 2e-9 / 86400]),
    ],
)
def test_numbers_of_another_type(own, other, expected):
    days = pa.array([0, 1, 2, 5] * 5, pa.int32())
    if pa.types.is_temporal(own):
        seconds = pa.array([0, 86400, 2 * 86400, 5 * 86400] * 5)
        values = (
            days.cast(pa.date32())
            if own == pa.date32()
            else seconds.cast(pa.duration("s")).cast(own)
            if pa.types.is_duration(own)
            else seconds.cast(pa.timestamp("s")).cast(own)
        )
    else:
        values = pa.array([1.5, 0.1, 3, 4] * 5 if own == pa.float64() else [1, 5, 7, 8] * 5).cast(own)
    schema = Schema.infer(table(20, x=values), overrides={"x": {"kind": "number"}})
    cells = schema.cells(table(3, x=other)).numbers["x"]
    np.testing.assert_allclose(cells, expected, rtol=1e-12, equal_nan=True)


@pytest.mark.parametrize(
    ("own", "other", "expected"),
    [
        (pa.array(["1", "2"]), pa.array([2, 1, None, 3]), [1, 0, -1, 2]),
        (pa.array(["1", "2"]), pa.array([2.0, 1.0, None, 2.5]), [1, 0, -1, 2]),
        (pa.array(["False", "True"]), pa.array([True, False, None, True]), [1, 0, -1, 1]),
        (pa.array(["a", "b"]), pa.array(["b", "a", None, "c"]).dictionary_encode(), [1, 0, -1, 2]),
        (pa.array(["a", "b"]), pa.array(["b", "a", None, "c"], pa.string_view()), [1, 0, -1, 2]),
        (pa.array(["a", "b"]).dictionary_encode(), pa.array(["b", "a", None, "c"]), [1, 0, -1, 2]),
        (pa.array(["a", "b"]), pa.nulls(4), [-1, -1, -1, -1]),
        (pa.array(["a", "b"]), pa.array([datetime.date(2020, 1, 1)] * 4), [2, 2, 2, 2]),
        (pa.array([1, 2]), pa.array([2.0, 1.0, NAN, 2.5]), [1, 0, -1, 2]),
        (pa.array([1, 2]), pa.array(["2", "1.0", None, "x"]), [1, 0, -1, 2]),
        (pa.array([1, 2], pa.int8()), pa.array([2, 1, None, 258]), [1, 0, -1, 2]),
        (pa.array([0.1, 2], pa.float32()), pa.array([2, 0.1, None, 0.2]), [1, 0, -1, 2]),
        (pa.array([False, True]), pa.array(["true", "FALSE", None, "yes"]), [1, 0, -1, 2]),
        (pa.array([False, True]), pa.array([1, 0, None, 7]), [1, 0, -1, 2]),
        (pa.array([-0.0, 1.5]), pa.array([0.0, -0.0, None, 1.5]), [0, 0, -1, 1]),
        (pa.array([0, 1], pa.date32()), pa.array(["1970-01-02", "1970-01-01", None, "1970-01-03"]), [1, 0, -1, 2]),
        (pa.array([0, 1], pa.duration("s")), pa.array([1000, 0, None, 1], pa.duration("ms")), [1, 0, -1, 2]),
    ],
)
def test_categories_of_another_type(own, other, expected):
    own = own.dictionary_decode() if pa.types.is_dictionary(own.type) else own
    values = pa.chunked_array([own] * 20).combine_chunks()
    schema = Schema.infer(table(40, x=values), overrides={"x": {"kind": "category"}})
    codes = schema.cells(table(4, x=other)).categories["x"]
    assert codes.dtype == np.int64
    assert codes.tolist() == expected


@pytest.mark.parametrize(
    ("own", "other", "message"),
    [
        (
            np.arange(200) ** 3,
            ["a", "1"] * 100,
            r"Column 'x' must hold values of type int64, however: 'a' is of type large",
        ),
        (
            np.arange(200) ** 3,
            [datetime.date(2020, 1, 1)] * 200,
            r"however: datetime\.date\(2020, 1, 1\) is of type date32",
        ),
        (
            pa.array(range(200), pa.date32()),
            [1] * 200,
            r"must hold values of type date32\[day\], however: 1 is of type int64",
        ),
        (pa.array(range(200), pa.date32()), ["2020-13-01"] * 200, r"however: '2020-13-01' is of type large_string"),
        (
            pa.array(range(200), pa.duration("s")),
            ["1 day"] * 200,
            r"must hold values of type duration\[s\], however: '1 day'",
        ),
        (
            ["1/31/2020", "2/29/2020"] * 100,
            ["31/1/2020"] * 200,
            r"values of type string written as %-m/%-d/%Y, however: '31/1/2020' is of type large_string",
        ),
        (["1/31/2020", "2/29/2020"] * 100, ["2020-02-30"] * 200, r"written as %-m/%-d/%Y, however: '2020-02-30' is of"),
        (["1/31/2020", "2/29/2020"] * 100, [1] * 200, r"written as %-m/%-d/%Y, however: 1 is of type int64"),
        (["09:05", "21:05"] * 100, ["2020-01-31 09:05"] * 200, r"written as %H:%M, however: '2020-01-31 09:05' is of"),
        (np.arange(200) ** 3, [np.inf] * 200, r"Numbers must be finite, however: 'x' hold infinite"),
        (np.arange(200) ** 3, [[1]] * 200, r"Columns must hold numbers, .*however: 'x' \(list"),
    ],
)
def test_cells_that_cannot_be_read(own, other, message):
    schema = Schema.infer(table(x=own))
    with pytest.raises(TableError, match=message):
        schema.cells(table(x=other))


def test_order_of_columns_does_not_matter():
    source = table(x=np.arange(200) ** 2)
    schema = Schema.infer(source)
    assert back(schema, source.select(["x", "colour", "size"])).equals(source)


def test_csv_says_the_same_as_parquet(tmp_path):
    source = table(**EVERY_KIND)
    schema = Schema.infer(source.drop_columns(["clock"]))
    write_table(source.drop_columns(["clock"]), tmp_path / "t.csv")
    mine, other = schema.cells(source.drop_columns(["clock"])), schema.cells(read_table(tmp_path / "t.csv"))
    for own, read in zip(mine, other, strict=True):
        assert own.keys() == read.keys()
        for name in own:
            np.testing.assert_allclose(own[name], read[name], rtol=1e-15, err_msg=name)


def test_dates_of_other_types_are_read_by_a_schema_of_written_ones():
    source = table(x=["1/31/2020", "2/1/2020"] * 100)
    schema = Schema.infer(source)
    assert schema.column("x").written == "%-m/%-d/%Y"
    for other in (
        pa.array([datetime.date(2020, 1, 31), datetime.date(2020, 2, 3), None]),
        pa.array([datetime.datetime(2020, 1, 31), datetime.datetime(2020, 2, 3), None]),
        pa.array(["2020-01-31", "2020-02-03", None]),
        pa.array(["2020-01-31", "2/3/2020", None]),
        pa.array(["01/31/2020", "02/03/2020", None]).dictionary_encode(),
    ):
        assert np.array_equal(schema.cells(table(3, x=other)).numbers["x"], [0, 3, NAN], equal_nan=True)
    with_fraction = pa.array(["2020-01-31 12:00:00.000", "2/1/2020", None])
    assert np.array_equal(schema.cells(table(3, x=with_fraction)).numbers["x"], [0.5, 1, NAN], equal_nan=True)
    assert np.isnan(schema.cells(table(3, x=pa.nulls(3))).numbers["x"]).all()


def test_a_zone_that_is_written_is_a_zone():
    source = table(x=["2020-01-31T00:00:00+02:00", "2020-01-31T01:00:00+02:00"] * 100)
    schema = Schema.infer(source)
    assert schema.column("x").origin == datetime.datetime(2020, 1, 30, 22, tzinfo=datetime.UTC).timestamp()
    for other in (
        pa.array(["2020-01-31T03:00:00+02:00", "2020-01-31T03:00:00+03:00"]),
        pa.array(["2020-01-31T01:00:00Z", "2020-01-31T00:00:00Z"]),
        pa.array([1580432400, 1580428800], pa.timestamp("s", "Europe/Berlin")),
    ):
        assert schema.cells(table(2, x=other)).numbers["x"].tolist() == [3, 2]


# ---------------------------------------------------------------------------------------------- restoring


def test_written_moments_can_leave_the_table_but_not_their_form():
    source = table(x=["01/31/20", "02/01/20"] * 100, y=["9999-12-30", "0001-01-02"] * 100)
    schema = Schema.infer(source)
    assert (schema.column("x").written, schema.column("y").written) == ("%m/%d/%y", "%Y-%m-%d")
    far = {"size": np.zeros(4), "x": np.array([-1e9, 1e9, 1.6, 28]), "y": np.array([-1e9, 1e9, -0.1, 1])}
    made = schema.restore(Cells(far, {"colour": np.zeros(4, dtype=np.int64)}), 4, 0).to_pydict()
    assert made["x"] == ["01/01/69", "12/31/68", "02/02/20", "02/28/20"]
    assert made["y"] == ["0001-01-02", "9999-12-30", "0001-01-02", "9999-12-30"]


def test_times_of_the_day_come_back_and_stay_within_it():
    clock = [f"{minute // 60}:{minute % 60:02}" for minute in range(0, 1_440, 7)]
    given = table(x=[*clock[:-2], None, None], rows=len(clock))
    schema = Schema.infer(given)
    assert schema.column("x").written == "%-H:%M"
    cells = schema.cells(given)
    assert schema.restore(cells, len(clock), 0).column("x").to_pylist() == [*clock[:-2], None, None]
    cells.numbers["x"][:2] = -9.0, 999.0
    assert schema.restore(cells, len(clock), 0).column("x").to_pylist()[:2] == ["0:00", "23:55"]


def test_a_wrong_guess_of_month_and_day_is_put_right_in_the_json():
    days = [datetime.date(2013, month, day) for month in range(1, 13) for day in range(1, 13)] * 2
    source = table(len(days), when=[day.strftime("%d/%m/%Y") for day in days])
    said = Schema.infer(source).to_json()
    (column,) = [one for one in said["columns"] if one["name"] == "when"]
    assert column["written"] == "%m/%d/%Y"
    column["written"] = "%d/%m/%Y"
    schema = Schema.from_json(said)
    assert schema.cells(source).numbers["when"].tolist() == [(day - days[0]).days for day in days]
    assert back(schema, source)["when"].to_pylist() == source["when"].to_pylist()


def test_kinds_of_written_moments_can_be_overridden():
    days = [f"{1 + i % 9}/13/2020" for i in range(200)]
    source = table(x=days, y=days, z=days, when=days)
    kinds = {"x": {"kind": "category"}, "y": {"kind": "identifier"}, "z": {"kind": "number"}}
    schema = Schema.infer(source, "when", overrides=kinds)
    assert [schema.column(name).kind for name in ("x", "y", "z", "when")] == [
        "category",
        "identifier",
        "number",
        "number",
    ]
    assert [schema.column(name).written for name in ("x", "y", "z", "when")] == [None, None, *["%-m/%-d/%Y"] * 2]
    made = back(schema, source)
    assert made.drop_columns("y").equals(source.drop_columns("y"))


def test_identifiers_are_new_and_constants_the_same():
    source = table(**EVERY_KIND)
    schema = Schema.infer(source)
    cells = schema.cells(source)
    assert {"id", "row", "one"}.isdisjoint(cells.numbers | cells.categories)
    made = schema.restore(cells, 200, 0)
    assert made.schema.equals(source.schema, check_metadata=True)
    assert made.column("one").equals(source.column("one"))
    assert min(made.column("row").to_pylist()) > 199
    assert len(set(made.column("row").to_pylist())) == 200
    assert len(set(made.column("id").to_pylist()) - set(source.column("id").to_pylist())) == 200
    assert all(len(name) == 6 and name[0] == "C" and name[1:].isdigit() for name in made.column("id").to_pylist())
    assert made.equals(schema.restore(cells, 200, 0))
    assert not made.column("id").equals(schema.restore(cells, 200, 1).column("id"))


def test_identifiers_keep_their_share_of_missing_cells():
    source = table(row=[None if i % 4 == 0 else i for i in range(200)], mixed_id=[None, NAN, *np.arange(198) * 7.0])
    made = back(Schema.infer(source), source)
    assert made.column("row").null_count == 50
    assert made.column("mixed_id").null_count == 2


def test_a_constant_category_keeps_its_unused_levels():
    frame = pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"], "c": pd.Categorical(["k", "k"], categories=["j", "k"])})
    schema = Schema.infer(to_arrow(frame))
    assert schema.column("c").kind == "constant"
    assert_frame_equal(like(back(schema, to_arrow(frame)), "pandas"), frame)


def test_floats_of_32_bits_in_64_are_the_numbers_that_they_stand_for():
    generator = np.random.default_rng(0)
    plain = generator.integers(1, 90_000, 3_000) / 100
    exact = plain.astype(np.float32).astype(np.float64)
    frame = pd.DataFrame(
        {
            "plain": plain,
            "exact": exact,
            "written": [float(f"{value:.15g}") for value in exact],
            "read": as_single(exact, "read"),
            "near": np.nextafter(exact, generator.choice([-1e9, 1e9], 3_000)),
            "mixed": np.where(generator.random(3_000) < 0.8, exact, generator.random(3_000, np.float32)),
            "true": generator.random(3_000),
        }
    )
    source = to_arrow(frame)
    schema = Schema.infer(source)
    found = {column.name: (column.step, column.single) for column in schema.columns}
    expected = {"plain": (0.01, None), "exact": (0.01, "exact"), "written": (0.01, "written"), "read": (0.01, "read")}
    assert found == expected | {"near": (0.01, "read"), "mixed": (None, "exact"), "true": (None, None)}
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
    cells = schema.cells(source)
    for name in ("exact", "written", "read", "near"):
        np.testing.assert_array_equal(cells.numbers[name], plain)
    mixed = schema.column("mixed")
    assert (mixed.minimum, mixed.maximum) == (cells.numbers["mixed"].min(), cells.numbers["mixed"].max())
    same = frame["mixed"] == frame["exact"]
    np.testing.assert_array_equal(cells.numbers["mixed"] == cells.numbers["exact"], same)  # what is equal stays equal
    huge = schema.cells(to_arrow(frame.assign(mixed=1e300)))
    assert (huge.numbers["mixed"] == 1e300).all()
    made = like(back(schema, source), "pandas")
    assert_frame_equal(made.drop(columns="near"), frame.drop(columns="near"), check_exact=True)
    np.testing.assert_allclose(made["near"], exact, rtol=2e-15)
    few = pd.DataFrame({"rate": np.float32([0.1, 0.7, 2.3] * 100).astype(float), "x": generator.random(300)})
    assert Schema.infer(to_arrow(few)).column("rate").kind == "category"
    assert back(Schema.infer(to_arrow(few)), to_arrow(few)).equals(to_arrow(few))


def test_a_column_that_is_missing_altogether_stays_so():
    nothing = [None] * 200
    frame = pd.DataFrame({"x": np.arange(200) * 0.37, "y": ["k", "j"] * 100})
    for name, of in {
        "text": "str",
        "whole": "Int64",
        "truth": "boolean",
        "day": "datetime64[us]",
        "any": object,
    }.items():
        frame[name] = pd.Series(nothing, dtype=of)
    frame["real"], frame["small"] = np.full(200, NAN), np.full(200, NAN, dtype=np.float32)
    frame["levels"] = pd.Categorical(nothing, categories=["j", "k"])
    frame["none"] = pd.Categorical(nothing)
    source = to_arrow(frame)
    schema = Schema.infer(source)
    assert {column.name for column in schema.columns if column.kind == "constant"} == {*frame} - {"x", "y"}
    assert schema.column("levels").levels == ("j", "k")
    with pytest.raises(TableError, match="'real' must have a value to be of kind number, however: all cells are miss"):
        Schema.infer(source, overrides={"real": {"kind": "number"}})
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
    assert back(schema, source).equals(source)
    assert_frame_equal(like(schema.restore(schema.cells(source), 200, 0), "pandas"), frame)
    plain = pa.table({"x": source["x"], "y": source["y"], "nulls": pa.array(nothing, pa.float64())})
    assert back(Schema.infer(plain), plain).equals(plain)


def test_a_dictionary_that_holds_null():
    holed = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None]), pa.array(["a", None, "b"]))
    schema = Schema.infer(table(4, x=holed))
    assert schema.column("x").levels == ("a", "b")
    assert schema.cells(table(4, x=holed)).categories["x"].tolist() == [0, -1, 1, -1]


def test_dictionaries_that_differ_between_chunks():
    chunks = pa.chunked_array([pa.array(["a", "b"]).dictionary_encode(), pa.array(["c", "a"]).dictionary_encode()])
    source = table(4, x=chunks)
    made = back(Schema.infer(source), source)
    assert made.column("x").to_pylist() == ["a", "b", "c", "a"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cells: cells.numbers.pop("size"), r"Column 'size' must have 200 cells, however: none"),
        (
            lambda cells: cells.numbers.update(size=np.zeros(3)),
            r"Column 'size' must have 200 cells, however: shape \(3,\)",
        ),
        (
            lambda cells: cells.categories.update(colour=np.full(200, 3)),
            r"'colour' must have cells from -1 to 2, however: 3 to 3",
        ),
        (
            lambda cells: cells.numbers["whole"].__setitem__(0, np.nan),
            r"'whole' must have no missing cell, however: 1 are",
        ),
    ],
)
def test_cells_refused(change, message):
    fields = [
        pa.field("size", pa.float64()),
        pa.field("colour", pa.string()),
        pa.field("whole", pa.int64(), nullable=False),
    ]
    source = table(whole=np.arange(200) ** 2).cast(pa.schema(fields))
    schema = Schema.infer(source)
    cells = schema.cells(source)
    change(cells)
    with pytest.raises(ValueError, match=message):
        schema.restore(cells, 200, 0)


def test_column_of_another_name():
    with pytest.raises(
        TableError, match=r"A column must be a column of the table, however: there is no 'sise'\. Did you mean 'size'"
    ):
        Schema.infer(table()).column("sise")


def test_numbers_beyond_53_bits_keep_53_bits():
    values = pa.array([2**62 + 1, 5, 2**53 - 1, -(2**53) + 1])
    source = table(4, x=values, t=values.cast(pa.timestamp("ns")))
    made = back(Schema.infer(source), source)
    x, t = made.column("x").to_pylist(), made.column("t").cast(pa.int64()).to_pylist()
    assert x[1:] == values.to_pylist()[1:]
    assert abs(x[0] - (2**62 + 1)) <= 2 ** (62 - 53)
    assert max(abs(a - b) for a, b in zip(t, values.to_pylist(), strict=True)) <= 2 ** (63 - 53)


def test_the_ends_of_time():
    ends = pa.array([-(2**63) + 1, 2**63 - 1, 0], pa.timestamp("ns"))
    source = table(3, x=ends)
    made = back(Schema.infer(source), source).column("x").cast(pa.int64()).to_pylist()
    assert made[0] == -(2**63) + 1
    assert made[1] >= 2**63 - 2**12


NUMPY_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=5)
STAMPS = st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2200, 1, 1))


def holes(strategy, *missing):
    return st.one_of(strategy, st.sampled_from(missing)) if missing else strategy


PANDAS = {
    **{
        dtype: (st.integers(np.iinfo(dtype).min, np.iinfo(dtype).max), dtype)
        for dtype in ("int8", "int16", "int32", "uint8", "uint16", "uint32")
    },
    "int64": (st.integers(-(2**53), 2**53), "int64"),
    "uint64": (st.integers(0, 2**53), "uint64"),
    "float64": (holes(st.floats(allow_nan=False, allow_infinity=False), NAN), "float64"),
    "decimals": (holes(st.integers(-(10**6), 10**6).map(lambda k: k / 100), NAN), "float64"),
    "float32": (holes(st.floats(allow_nan=False, allow_infinity=False, width=32), NAN), "float32"),
    "float32 decimals": (holes(st.integers(-999, 999).map(lambda k: k / 10), NAN), "float32"),
    "float16": (holes(st.floats(allow_nan=False, allow_infinity=False, width=16), NAN), "float16"),
    "bool": (st.booleans(), "bool"),
    "str": (holes(NUMPY_TEXT, None), "str"),
    "object": (holes(NUMPY_TEXT, None), object),
    "object nan": (holes(NUMPY_TEXT, NAN), object),
    "object bool": (holes(st.booleans(), None), object),
    "object int": (holes(st.integers(-100, 100), None), object),
    "object date": (holes(st.dates(), None), object),
    "object decimal": (holes(st.decimals(-1000, 1000, places=2), None), object),
    "object dates": (holes(st.dates().map(str), None), object),
    "object moments": (holes(STAMPS.map(lambda stamp: f"{stamp:%m/%d/%Y} {stamp.hour}:{stamp:%M}"), NAN), object),
    "str dates": (holes(STAMPS.map(lambda stamp: f"{stamp:%d.%m.%Y}"), None), "str"),
    "string dates": (holes(STAMPS.map(lambda stamp: f"{stamp:%Y-%m-%dT%H:%M:%SZ}"), None), pd.StringDtype("python")),
    "string[python]": (holes(NUMPY_TEXT, None), pd.StringDtype("python")),
    "string[pyarrow]": (holes(NUMPY_TEXT, None), pd.StringDtype("pyarrow")),
    "category": (holes(st.sampled_from("abc"), None), pd.CategoricalDtype(["c", "a", "b", "unused"], ordered=True)),
    "category int": (holes(st.sampled_from([1, 2, 3]), None), pd.CategoricalDtype([3, 1, 2])),
    "Int8": (holes(st.integers(-128, 127), None), "Int8"),
    "Int64": (holes(st.integers(-(2**53), 2**53), None), "Int64"),
    "Float64": (holes(st.floats(allow_nan=False, allow_infinity=False), None), "Float64"),
    "boolean": (holes(st.booleans(), None), "boolean"),
    "datetime64[s]": (holes(STAMPS, None), "datetime64[s]"),
    "datetime64[us]": (holes(STAMPS, None), "datetime64[us]"),
    "datetime64[ns]": (holes(STAMPS.map(lambda stamp: stamp.replace(microsecond=0)), None), "datetime64[ns]"),
    "zone": (
        holes(STAMPS.map(lambda stamp: pd.Timestamp(stamp.replace(microsecond=0), tz="UTC")), None),
        "datetime64[ms, Europe/Berlin]",
    ),
    "timedelta64[ms]": (
        holes(st.integers(-(10**12), 10**12).map(lambda ms: pd.Timedelta(ms, "ms")), None),
        "timedelta64[ms]",
    ),
    "arrow date": (holes(st.dates(), None), pd.ArrowDtype(pa.date32())),
    "arrow time": (holes(st.times(), None), pd.ArrowDtype(pa.time64("us"))),
    "arrow decimal": (holes(st.decimals(-1000, 1000, places=3), None), pd.ArrowDtype(pa.decimal128(10, 3))),
}


@pytest.mark.parametrize("name", PANDAS)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(data=st.data())
def test_restored_pandas_equals_the_original(name, data):
    cells, dtype = PANDAS[name]
    values = data.draw(st.lists(cells, min_size=2, max_size=15)) * data.draw(st.sampled_from([1, 20]))
    frame = pd.DataFrame(
        {
            "y": np.linspace(0, 1, len(values)),
            "x": pd.Series(values, dtype=dtype),
            "z": np.linspace(1, 2, len(values)),
        }
    )
    assume(frame["x"].notna().any())
    source = to_arrow(frame)
    schema = Schema.from_json(
        json.loads(json.dumps(Schema.infer(source, "x" if frame["x"].nunique() > 1 else None).to_json()))
    )
    made = back(schema, source)
    assert made.schema.equals(source.schema, check_metadata=True)
    assert_frame_equal(like(made, "pandas"), frame, check_exact=True)


POLARS = {
    "UInt8": (st.integers(0, 255), pl.UInt8),
    "Float32": (st.floats(allow_nan=False, allow_infinity=False, width=32), pl.Float32),
    "Float64 nan": (st.floats(allow_infinity=False), pl.Float64),
    "Boolean": (st.booleans(), pl.Boolean),
    "String": (NUMPY_TEXT, pl.String),
    "String dates": (STAMPS.map(lambda stamp: f"{stamp:%d/%m/%Y %H:%M:%S}"), pl.String),
    "Categorical": (st.sampled_from("abc"), pl.Categorical),
    "Enum": (st.sampled_from("abc"), pl.Enum(["c", "b", "unused", "a"])),
    "Date": (st.dates(), pl.Date),
    "Datetime": (STAMPS, pl.Datetime("us")),
    "Datetime zone": (STAMPS, pl.Datetime("ms", "Europe/Berlin")),
    "Duration": (st.timedeltas(datetime.timedelta(-999), datetime.timedelta(999)), pl.Duration("us")),
    "Time": (st.times().map(lambda moment: moment.replace(microsecond=0)), pl.Time),
    "Decimal": (st.decimals(-1000, 1000, places=2), pl.Decimal(12, 2)),
}


@pytest.mark.parametrize("name", POLARS)
@settings(max_examples=10, deadline=None, derandomize=True)
@given(data=st.data())
def test_restored_polars_equals_the_original(name, data):
    cells, dtype = POLARS[name]
    cells = cells if name == "Float64 nan" else holes(cells, None)
    values = data.draw(st.lists(cells, min_size=2, max_size=15)) * data.draw(st.sampled_from([1, 20]))
    column = pl.Series(values, dtype=dtype)
    known = column.drop_nulls().drop_nans() if name == "Float64 nan" else column.drop_nulls()
    assume(len(known))
    frame = pl.DataFrame({"y": np.linspace(0, 1, len(values)), "x": column, "z": np.linspace(1, 2, len(values))})
    source = to_arrow(frame)
    schema = Schema.infer(source, "x" if known.n_unique() > 1 else None)
    assert_polars_equal(like(back(schema, source), "polars"), frame, check_exact=True)


ARROW = {
    "int64": pa.array([5, None, 2**53, -7] * 4),
    "uint64": pa.array([5, None, 2**53, 7] * 4, pa.uint64()),
    "halffloat": pa.array(np.array([0.5, 2, 4, 8] * 4, np.float16)),
    "string": pa.array(["a", None, "", "c"] * 4),
    "string_view": pa.array(["a", None, "", "c"] * 4, pa.string_view()),
    "string dates": pa.array(["1/31/2020", None, "12/1/2020", "2/3/2020"] * 4),
    "string_view dates": pa.array(["31-Jan-2020", None, "01-Dec-2020", "03-Feb-2020"] * 4, pa.string_view()),
    "large_string moments": pa.array(
        ["2020-01-31 01:02:03.004", None, "2020-01-31 01:02:03.007", "2019-01-01 00:00:00.000"] * 4, pa.large_string()
    ),
    "decimal32": pa.array(
        [decimal.Decimal("1.5"), None, decimal.Decimal("9.9"), decimal.Decimal("-3")] * 4, pa.decimal32(3, 1)
    ),
    "decimal256": pa.array(
        [decimal.Decimal("1.5"), None, decimal.Decimal("9.9"), decimal.Decimal("-3")] * 4, pa.decimal256(50, 4)
    ),
    "decimal large": pa.array(
        [decimal.Decimal(2) ** 80, None, decimal.Decimal(3 * 2**70), decimal.Decimal(0)] * 4, pa.decimal128(38, 5)
    ),
    "decimal negative scale": pa.array([1200, None, 3400, -500] * 4)
    .cast(pa.decimal128(20, 0))
    .cast(pa.decimal128(20, -2)),
    "date64": pa.array([0, None, 86_400_000, 864_000_000] * 4, pa.date64()),
    "time32": pa.array([0, None, 3600, 86_399] * 4, pa.time32("s")),
    "timestamp zone": pa.array([0, None, 3600, 86_399] * 4, pa.timestamp("ns", "+05:30")),
    "duration": pa.array([0, None, -3600, 86_399] * 4, pa.duration("ns")),
    "dictionary of dates": pa.array([0, None, 1, 2] * 4, pa.date32()).dictionary_encode(),
    "dictionary of floats": pa.array([0.5, None, 1, 2] * 4).dictionary_encode(),
}


@pytest.mark.parametrize("kinds", [{}, {"x": {"kind": "category"}}], ids=["inferred", "category"])
@pytest.mark.parametrize("name", ARROW)
def test_restored_arrow_equals_the_original(name, kinds):
    fields = [
        pa.field("a", pa.float64()),
        pa.field("b", pa.float64()),
        pa.field("x", ARROW[name].type, metadata={"unit": "m"}),
    ]
    numbers = pa.array(np.linspace(0, 1, 16))
    source = pa.Table.from_arrays([numbers, numbers, ARROW[name]], schema=pa.schema(fields, metadata={"k": "v"}))
    schema = Schema.from_json(json.loads(json.dumps(Schema.infer(source, overrides=kinds).to_json())))
    made = back(schema, source)
    made.validate(full=True)
    assert made.schema.equals(source.schema, check_metadata=True)
    assert made.equals(source)


@pytest.mark.skipif("SCOREWISE_DATA_HOME" not in os.environ, reason="SCOREWISE_DATA_HOME is not set")
@pytest.mark.parametrize(
    ("name", "identifiers"),
    [
        ("credit_default_train", []),
        ("adult", []),
        ("shoppers", []),
        ("magic", []),
        ("beijing_pm25", ["No"]),
        ("diabetes130", ["encounter_id"]),
        ("online_news_15cols", []),
    ],
)
def test_real_tables_come_back(name, identifiers):
    source = read_table(os.path.join(os.environ["SCOREWISE_DATA_HOME"], f"{name}.parquet"))
    schema = Schema.infer(source)
    assert [column.name for column in schema.columns if column.kind == "identifier"] == identifiers
    made = back(schema, source)
    assert made.drop_columns(identifiers).equals(source.drop_columns(identifiers))
    assert Schema.infer(made).arrow_schema.equals(schema.arrow_schema, check_metadata=True)


@pytest.mark.slow
def test_a_large_table_takes_about_a_second():
    rng = np.random.default_rng(0)
    columns = {f"n{i}": rng.normal(size=100_000) for i in range(20)}
    columns |= {f"i{i}": rng.integers(0, 10**6, size=100_000) for i in range(15)}
    columns |= {f"c{i}": rng.choice(["a", "b", "c"], size=100_000) for i in range(15)}
    source = pa.table(columns)
    start = time.perf_counter()
    back(Schema.infer(source), source)
    assert time.perf_counter() - start < 5


def test_cells_come_to_the_grid_before_they_are_rounded() -> None:
    column = Column("x", "number", "int64", step=400, places=((5, 4), (9, 2)), minimum=0.0, maximum=1e10)
    made = column.restore(np.array([4_635_450_180.0, 123_456.0]), 2, np.random.default_rng(0))
    assert made.to_pylist() == [4_635_450_000, 120_000]
