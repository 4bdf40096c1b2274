"""Columns of zeros and ones that say one category: found, and never two ones in what is decoded."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from scorewise.tabular.codec import Codec
from scorewise.tabular.dummies import Dummies, find_dummies

COLOURS = ["red", "green", "blue", "white"]
CITIES = ["Rome", "Oslo", "Bonn", "Kyiv", "Bern"]


def spread(rows: int = 3_000, seed: int = 0) -> pd.DataFrame:
    """Two one-hot categories, one without its first column, and two flags that are of neither."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    colour = np.clip((x + rng.normal(size=rows) + 2).astype(int), 0, 3)
    city = rng.choice(5, rows, p=[0.55, 0.2, 0.1, 0.1, 0.05])
    frame = pd.DataFrame({"x": x.round(3)})
    for place, name in enumerate(COLOURS):
        frame[name] = (colour == place).astype(int)
    for place, name in enumerate(CITIES[1:], 1):
        frame[name] = city == place
    return frame.assign(often=rng.random(rows) < 0.7, seldom=np.where(rng.random(rows) < 0.01, "yes", "no"))


def codes_of(frame: pd.DataFrame) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    codes = {str(name): np.unique(frame[name], return_inverse=True)[1] for name in frame}
    return codes, {name: int(code.max()) + 1 for name, code in codes.items()}


def test_both_kinds_are_found_and_nothing_else() -> None:
    found = find_dummies(*codes_of(spread().drop(columns="x")))
    assert sorted(found) == [Dummies(("Oslo", "Bonn", "Kyiv", "Bern"), False), Dummies(tuple(COLOURS), True)]


def test_a_rare_level_joins_where_without_it_rows_would_have_no_one() -> None:
    colour = np.repeat([0, 1, 2, 3], [1_500, 1_000, 498, 2])
    frame = pd.DataFrame({name: colour == place for place, name in enumerate(COLOURS)})
    assert find_dummies(*codes_of(frame)) == [Dummies(tuple(COLOURS), True)]
    assert find_dummies(*codes_of(frame.drop(columns="red"))) == []  # two with evidence


def test_flags_that_are_apart_by_accident_are_left() -> None:
    rng = np.random.default_rng(0)
    order = rng.permutation(2_000)
    rare = pd.DataFrame({f"f{i}": np.isin(np.arange(2_000), order[8 * i : 8 * i + 8]) for i in range(6)})
    assert rare.sum(axis=1).max() == 1
    assert find_dummies(*codes_of(rare)) == []
    shared = pd.DataFrame({name: rng.random(2_000) < 0.4 for name in "abc"})
    assert find_dummies(*codes_of(shared)) == []
    kind = np.arange(2_000) % 5  # c is apart from a, but not from b
    flags = pd.DataFrame({"a": kind < 2, "b": kind > 2, "c": kind == 3})
    assert find_dummies(*codes_of(flags)) == []
    one = spread().drop(columns="x")
    one.loc[0, COLOURS[:2]] = 1  # one row with two ones
    assert Dummies(tuple(COLOURS), True) not in find_dummies(*codes_of(one))


def test_the_category_is_told_and_told_back() -> None:
    frame = spread()
    codes, _ = codes_of(frame.drop(columns="x"))
    for one in (Dummies(("Oslo", "Bonn", "Kyiv", "Bern"), False), Dummies(tuple(COLOURS), True)):
        told = one.codes(codes)
        assert one.levels == 5 - one.exact == told.max() + 1
        for function in one.functions():
            np.testing.assert_array_equal(function.table[told], codes[function.child])


def test_no_decoded_row_has_two_ones_and_the_table_comes_back() -> None:
    frame = spread()
    codec = Codec.fit(frame)
    assert len(codec.structure.dummies) == 2
    assert not {*COLOURS, *CITIES} & {name for name, _ in codec.names}
    assert sorted(one.child for one in codec.structure.determined.functions) == sorted([*COLOURS, *CITIES[1:]])
    assert codec.decode(codec.encode(frame)).to_pandas().equals(frame)
    made = codec.decode(np.random.default_rng(1).normal(size=(500, codec.layout.width))).to_pandas()
    assert made.dtypes.equals(frame.dtypes)
    assert (made[COLOURS].sum(axis=1) == 1).all()
    assert set(made[CITIES[1:]].sum(axis=1)) == {0, 1}
    twin = Codec.from_parts(codec.to_json(), codec.arrays())
    x = np.random.default_rng(0).normal(size=(50, codec.layout.width))
    assert twin.decode(x).equals(codec.decode(x))


def test_what_they_say_may_be_determined_and_may_determine() -> None:
    frame = spread()
    name = frame[COLOURS].idxmax(axis=1)
    frame["warm"] = (name == "red").map({True: "warm", False: "cold"})
    frame["colour"] = name + np.where(np.random.default_rng(2).random(len(frame)) < 0.5, " light", " dark")
    codec = Codec.fit(frame)
    one = next(one for one in codec.structure.dummies if one.exact)
    assert {function.child: function.parent for function in codec.structure.determined.functions}[one.name] == "colour"
    made = codec.decode(np.random.default_rng(1).normal(size=(500, codec.layout.width))).to_pandas()
    assert made[COLOURS].idxmax(axis=1).tolist() == made["colour"].str.split().str[0].tolist()
    assert ((made["warm"] == "warm") == (made["red"] == 1)).all()
    assert codec.decode(codec.encode(frame)).to_pandas().equals(frame)


@pytest.mark.parametrize("edit", [{"members": ["red", "x"]}, {"exact": False}, {"members": ["red", "green", "often"]}])
def test_dummies_that_do_not_fit_are_refused(edit: dict[str, Any]) -> None:
    codec = Codec.fit(spread())
    said = codec.to_json()
    said["dummies"] = [{**one, **edit} if one["exact"] else one for one in said["dummies"]]
    with pytest.raises(ValueError, match=r"(dummies must be columns of two levels each|relations must be of columns)"):
        Codec.from_parts(said, codec.arrays())


def test_a_schema_with_more_levels_than_are_used_has_none_of_these() -> None:
    frame = spread()
    frame["red"] = pd.Categorical(frame["red"], [0, 1, 2])
    codec = Codec.fit(frame)
    assert len(codec.structure.dummies) == 2
    frame["red"] = pd.Categorical(frame["red"], [2, 0, 1])
    assert all("red" not in one.members for one in Codec.fit(frame).structure.dummies)
