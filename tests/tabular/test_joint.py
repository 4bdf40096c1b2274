"""Columns that two others determine together: found where every row agrees, and looked up in what is decoded."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scorewise.tabular.codec import Codec
from scorewise.tabular.joint import Joint, find_joint
from scorewise.tabular.protection import protect
from scorewise.tabular.schema import Cells, Schema
from scorewise.tabular.synthesizer import Synthesizer
from scorewise.tabular.table import to_arrow
from scorewise.tabular.unseen import Unseen, find_unseen

_ROWS = 4_000
_SIZES = np.array(["S", "M", "L", "XL"])


def _pizzas(rows: int = _ROWS, seed: int = 0) -> pd.DataFrame:
    """Pizzas of which not every one comes in every size, prices by name and size, who is from here, and who pays."""
    rng = np.random.default_rng(seed)
    name, size = rng.integers(30, size=rows), rng.choice(4, rows, p=[0.3, 0.4, 0.25, 0.05])
    size = np.where((name % 5 == 0) & (size == 3), 1, size)
    menu = np.random.default_rng(5).integers(15, 80, (30, 4)) / 4
    home, member = rng.random(rows) < 0.4, rng.random(rows) < 0.3
    return pd.DataFrame(
        {
            "name": np.char.add("P", name.astype(str)),
            "size": _SIZES[size],
            "price": menu[name, size],
            "home": home,
            "member": member,
            "free": home & member,
            "tip": rng.exponential(2, rows).round(2),
        }
    )


def _coded(frame: pd.DataFrame) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    codes = {str(name): np.asarray(pd.factorize(frame[name], use_na_sentinel=False)[0]) for name in frame}
    return codes, {name: int(code.max()) + 1 for name, code in codes.items()}


def _found(frame: pd.DataFrame) -> set[tuple[str, frozenset[str]]]:
    codes, levels = _coded(frame)
    return {(one.child, frozenset(one.parents)) for one in _all(codes, levels)}


def _all(codes: dict[str, np.ndarray], levels: dict[str, int]) -> list[Joint]:
    """What is found where all columns may be determined, in rows that are all different."""
    rows = np.arange(float(len(next(iter(codes.values()), []))))
    return find_joint(codes, levels, {}, levels.keys(), Cells({"row": rows}, codes))


PRICE, FREE = ("price", frozenset({"name", "size"})), ("free", frozenset({"home", "member"}))


def test_what_two_columns_determine_is_found_with_every_pair_that_there_is() -> None:
    frame = _pizzas().drop(columns="tip")
    codes, levels = _coded(frame)
    found = {one.child: one for one in _all(codes, levels)}
    assert _found(frame) == {PRICE, FREE}
    assert len(found["free"].pairs) == 4
    assert len(found["price"].pairs) == frame.groupby(["name", "size"]).ngroups
    for child, one in found.items():
        assert np.array_equal(one.of({}, codes), codes[child])
        assert one.known({}, codes).all()
    cells = Cells({"tip": _pizzas()["tip"].to_numpy()}, codes)
    assert {one.child for one in find_joint(codes, levels, {}, {"free"}, cells)} == {"free"}
    assert _all({}, {}) == []


def test_where_the_same_rows_are_there_again_and_again_nothing_is_found() -> None:
    codes, levels = _coded(_pizzas().drop(columns="tip"))
    assert {one.child for one in find_joint(codes, levels, {}, levels.keys(), Cells({}, codes))} == {"price", "free"}
    rng, row = np.random.default_rng(0), np.arange(4_000) % 200  # two hundred rows, each twenty times
    again = {"a": row // 2, "b": row % 2, "c": rng.integers(0, 30, 200)[row], "d": rng.integers(0, 30, 200)[row]}
    sizes = {"a": 100, "b": 2, "c": 30, "d": 30}
    assert find_joint(again, sizes, {}, again.keys(), Cells({}, again)) == []
    assert {one.child for one in _all(again, sizes)} == {"c", "d"}


def test_a_pair_that_the_table_does_not_have_is_known_to_be_none_and_takes_what_is_usual() -> None:
    frame = _pizzas()
    codes, levels = _coded(frame[["name", "size", "price"]])
    (one,) = _all(codes, levels)
    assert one.parents == ("name", "size")  # that tells more comes first
    name, size = codes["name"][frame["name"] == "P0"][0], codes["size"][frame["size"] == "XL"][0]
    new = {"name": np.array([name]), "size": np.array([size])}
    assert not one.known({}, new).any()
    assert one.of({}, new)[0] == np.bincount(codes["price"][codes["name"] == name]).argmax()


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (lambda f, rng: f.assign(free=f["free"] ^ (np.arange(len(f)) == 7)), {PRICE}),  # one row against it
        (lambda f, rng: f.assign(price=f["name"]), {FREE}),  # one parent alone determines it
        (lambda f, rng: f.assign(price=np.where(np.arange(len(f)) < 9, "x", f["name"])), {FREE}),
        (lambda f, rng: f.assign(name=f["name"] + (np.arange(len(f)) // 10 % 40).astype(str)), {FREE}),  # rows a pair
        (lambda f, rng: f.assign(price=rng.permutation(f["price"]), free=rng.permutation(f["free"])), set()),
        (lambda f, rng: f[:300], {FREE}),
        (lambda f, rng: f[:100], set()),
        (lambda f, rng: f[(f["free"] == 0) | (rng.random(len(f)) < 0.03)], {PRICE}),  # few rows tell
    ],
)
def test_what_is_an_accident_is_not_found(change: Any, left: set[tuple[str, frozenset[str]]]) -> None:
    frame = change(_pizzas().drop(columns="tip"), np.random.default_rng(3))
    assert _found(frame) == left


def test_pairs_of_single_rows_foretell_nothing() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.integers(15, size=_ROWS), "b": rng.integers(15, size=_ROWS)})
    frame["c"] = np.random.default_rng(1).integers(9, size=(60, 60))[frame["a"], frame["b"]]
    assert {child for child, _ in _found(frame)} == {"c"}
    alone = rng.permutation(45 * 45)[:110]
    sparse = pd.DataFrame({"a": 15 + alone // 45, "b": 15 + alone % 45, "c": 9 + np.arange(110) % 3})
    assert _found(pd.concat([frame, sparse], ignore_index=True)) == set()
    assert {child for child, _ in _found(pd.concat([frame, sparse[:50]], ignore_index=True))} == {"c"}


@pytest.mark.parametrize(("each", "found"), [(6, set()), (12, {"c"})])
def test_of_few_rows_a_pair_nothing_is_found(each: int, found: set[str]) -> None:
    pair = np.arange(each * 100) % 100
    c = np.random.default_rng(0).integers(7, size=100)[pair]
    assert {child for child, _ in _found(pd.DataFrame({"a": pair // 10, "b": pair % 10, "c": c}))} == found


@pytest.mark.parametrize(("share", "found"), [(0.003, set()), (0.02, {"c"})])
def test_of_many_rows_more_than_twenty_have_to_tell(share: float, found: set[str]) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: rng.random(20_000) < np.sqrt(share) for name in "ab"})
    frame["c"] = frame["a"] & frame["b"]
    assert frame["c"].sum() > 40
    assert {child for child, _ in _found(frame)} == found


def test_of_a_sum_and_its_parts_the_sum_is_told_and_no_parent_is_a_child() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"total": 0, "a": rng.integers(4, size=_ROWS), "b": rng.integers(4, size=_ROWS)})
    frame["total"] = frame["a"] + frame["b"]
    frame["even"] = (frame["total"] % 2 == 0) & (frame["a"] > 1)  # by the total and a, or by b and a
    assert _found(frame) == {("total", frozenset("ab")), ("even", frozenset("ab"))}
    chain = pd.DataFrame({"a": 0, "b": rng.integers(4, size=_ROWS), "d": rng.integers(6, size=_ROWS)})
    chain["e"] = rng.integers(5, size=_ROWS)
    chain["a"] = np.random.default_rng(1).integers(4, size=(6, 5))[chain["d"], chain["e"]]
    chain["c"] = np.random.default_rng(2).integers(3, size=(4, 4))[chain["a"], chain["b"]]
    assert _found(chain) == {("c", frozenset("ab"))}


def test_a_table_comes_back_with_missing_cells_and_numbers_and_its_model_is_kept() -> None:
    frame = _pizzas()
    frame["price"] = frame["price"] * 1.01 + 90 * (frame["size"] == "XL")  # more than a category has levels
    frame.loc[frame["name"] == "P3", "size"] = None
    frame["price"] = frame["price"].where(frame["size"].notna() | (frame["name"] != "P3")).round(2)
    codec = Codec.fit(frame)
    found = {one.child: one for one in codec.structure.determined.joint}
    assert {name: set(one.parents) for name, one in found.items()} == {
        "price": {"name", "size"},
        "free": {"home", "member"},
    }
    assert codec.structure.determined.children >= found.keys()
    assert codec.decode(codec.encode(frame)).equals(to_arrow(frame))
    again = Codec.from_parts(json.loads(json.dumps(codec.to_json())), codec.arrays())
    assert again.decode(codec.encode(frame)).equals(to_arrow(frame))
    for change in (
        {"sizes": [5, 3]},
        {"parents": ["tip", "size"]},
        {"parents": ["nobody", "size"]},
    ):
        said = codec.to_json()
        said["joint"][0] |= change
        with pytest.raises(ValueError, match="cannot be"):
            Codec.from_parts(said, codec.arrays())
    wrong = {name: array.flip(0) if name == "joint.0.pairs" else array for name, array in codec.arrays().items()}
    with pytest.raises(ValueError, match="must be told for pairs of codes"):
        Codec.from_parts(codec.to_json(), wrong)


def test_a_number_of_recurring_values_may_tell_and_has_no_others_then() -> None:
    rng = np.random.default_rng(2)
    rate, old = rng.choice(np.arange(40) * 17 + 300, _ROWS), rng.random(_ROWS) < 0.5
    rate[:30] = np.arange(30) * 19 + 1_200  # of one row each
    letter = np.random.default_rng(7).integers(6, size=(2_000, 2))[rate, old * 1]
    frame = pd.DataFrame({"rate": rate / 100, "old": old, "grade": np.char.add("G", letter.astype(str))})
    frame["x"] = rng.normal(size=_ROWS)
    codec = Codec.fit(frame, Schema.infer(to_arrow(frame), overrides={"rate": {"kind": "number"}}))
    (one,) = codec.structure.determined.joint
    assert (one.child, one.parents) == ("grade", ("rate", "old"))
    fake = codec.decode(np.random.default_rng(0).normal(size=(9_000, codec.layout.width))).to_pandas()
    assert set(fake["rate"]) <= set(frame["rate"])
    pairs = dict(zip(zip(frame["rate"], old, strict=True), frame["grade"], strict=True))
    made = zip(zip(fake["rate"], fake["old"], strict=True), fake["grade"], strict=True)
    assert all(pairs.get(pair, grade) == grade for pair, grade in made)


def test_what_is_computed_from_is_not_looked_up() -> None:
    frame = _pizzas()
    frame["paid"] = (frame["price"] + frame["tip"]).round(2)
    codec = Codec.fit(frame)
    assert [one.child for one in codec.structure.determined.formulas] == ["paid"]
    assert [one.child for one in codec.structure.determined.joint] == ["free"]
    assert codec.decode(codec.encode(frame)).equals(to_arrow(frame))


def test_what_a_joint_function_determines_is_told_by_it() -> None:
    frame = _pizzas()
    frame["dear"] = np.where(frame["price"] > 12, "dear", "cheap")  # by the price, which is looked up
    codec = Codec.fit(frame)
    determined = codec.structure.determined
    assert {one.child for one in determined.joint} == {"price", "free"}
    assert {(one.child, one.parent) for one in determined.functions} == {("dear", "price")}
    assert codec.decode(codec.encode(frame)).equals(to_arrow(frame))


def test_rows_with_a_rare_pair_are_left_out_where_rare_levels_are_hidden() -> None:
    frame = _pizzas()
    frame.loc[:2, ["name", "price"]] = ["P99", 99.0]
    table = to_arrow(frame)
    made = protect(table, Schema.infer(table)).to_pandas()
    menu = dict(zip(zip(frame["name"], frame["size"], strict=True), frame["price"], strict=True))
    assert all(
        menu[pair] == price
        for *pair, price in made[["name", "size", "price"]].itertuples(index=False)
        for pair in [tuple(pair)]
    )
    assert "P99" not in set(made["name"])


def test_no_row_of_a_sample_has_a_pair_that_the_table_does_not_have() -> None:
    frame = _pizzas()
    table = to_arrow(frame)
    codec = Codec.fit(table)
    joint, cells = codec.structure.determined.joint, codec.schema.cells(table)
    unseen = find_unseen(codec.schema, cells, joint=joint)
    assert unseen.unknown == joint
    assert unseen.allowed(codec.schema, cells).all()
    rng = np.random.default_rng(0)
    mixed = Cells(cells.numbers, {**cells.categories, "size": rng.permutation(cells.categories["size"])})
    assert (~unseen.allowed(codec.schema, mixed)).sum() >= 20
    narrow = unseen.narrowed(codec.schema, mixed)
    assert [one.child for one in narrow.unknown] == ["price"]
    again = Unseen.from_parts(json.loads(json.dumps(narrow.to_json())), narrow.arrays(), codec.schema, (), joint)
    assert again.unknown == narrow.unknown
    with pytest.raises(ValueError, match=r"must be looked up by them, however: \['price'\] are not"):
        Unseen.from_parts(narrow.to_json(), narrow.arrays(), codec.schema)


def test_sampled_prices_are_those_of_the_menu(tmp_path: Path) -> None:
    frame = _pizzas()
    frame["rate"] = np.random.default_rng(2).choice(np.arange(40) / 8 + 3, _ROWS)
    frame["due"] = np.random.default_rng(7).integers(6, size=(80, 2))[
        (frame["rate"] * 8).astype(int), frame["home"] * 1
    ]
    synthesizer = Synthesizer(seed=0, time_limit=0.03).fit(frame)
    fake = synthesizer.sample(2_000, seed=1)
    menu = {*frame[["name", "size", "price"]].itertuples(index=False, name=None)}
    assert all(row in menu for row in fake[["name", "size", "price"]].itertuples(index=False, name=None))
    assert fake["free"].equals(fake["home"] & fake["member"])
    dues = {*frame[["rate", "home", "due"]].itertuples(index=False, name=None)}
    assert all(row in dues for row in fake[["rate", "home", "due"]].itertuples(index=False, name=None))
    assert [one.child for one in synthesizer.unseen_.unknown] == ["price"]
    synthesizer.save(tmp_path / "model")
    assert Synthesizer.load(tmp_path / "model").sample(300, seed=2).equals(synthesizer.sample(300, seed=2))


def test_joint_is_a_plain_tuple_of_what_it_needs() -> None:
    one = Joint(
        "c", ("a", "b"), (np.zeros(0), np.array([1.0, 4.0])), (2, 3), np.array([0, 5]), np.array([1, 0]), np.zeros(2)
    )
    numbers, categories = {"b": np.array([0.9, np.nan, np.nan])}, {"a": np.array([0, 1, -1])}
    assert one.known(numbers, categories).tolist() == [True, True, True]
    assert one.of(numbers, categories).tolist() == [1, 0, 0]
