"""Columns of common values that equal another one in many rows, and those that only seem to."""

import numpy as np
import pandas as pd

from scorewise.tabular.codec import Codec
from scorewise.tabular.relation import Combination
from scorewise.tabular.repeat import find_repeats
from scorewise.tabular.table import to_arrow

_ROWS = 4_000


def _schools(seed: int = 0, moves: float = 0.3, rows: int = _ROWS) -> dict[str, np.ndarray]:
    """Codes of schools in three years: some pupils move each year, some are not there in the first."""
    rng = np.random.default_rng(seed)
    first = rng.integers(1, 81, rows).astype(np.float64)
    second = np.where(rng.random(rows) < moves, rng.integers(1, 81, rows), first)
    third = np.where(rng.random(rows) < moves, rng.integers(1, 81, rows), second)
    return {"first": np.where(rng.random(rows) < 0.2, np.nan, first), "second": second, "third": third}


def _parents(found: dict[str, list[Combination]]) -> dict[str, list[str]]:
    return {child: [name for parent in parents for name in parent.names] for child, parents in found.items()}


def test_a_code_that_stays_is_found_and_of_two_the_one_that_is_equal_more_often() -> None:
    found = _parents(find_repeats(_schools()))
    assert found == {"second": ["first"], "third": ["second"]}
    shuffled = _schools()
    mixed = {**shuffled, "third": np.random.default_rng(1).permutation(shuffled["third"])}
    assert _parents(find_repeats(mixed)) == {"second": ["first"]}
    assert find_repeats({name: values[:60] for name, values in _schools().items()}) == {}
    assert find_repeats({}) == {}


def test_one_more_column_is_found_where_the_first_is_not_equal() -> None:
    rng = np.random.default_rng(2)
    both = {name: rng.integers(1, 81, _ROWS).astype(np.float64) for name in "ab"}
    u = rng.random(_ROWS)
    child = np.select([u < 0.5, u < 0.8], [both["a"], both["b"]], rng.integers(1, 81, _ROWS))
    assert _parents(find_repeats({**both, "child": child})) == {"child": ["a", "b"]}
    rare = np.select([u < 0.5, u < 0.52], [both["a"], both["b"]], rng.integers(1, 81, _ROWS))
    assert _parents(find_repeats({**both, "child": rare})) == {"child": ["a"]}


def test_what_is_near_frequent_or_equal_by_chance_is_no_repeat() -> None:
    rng = np.random.default_rng(3)
    grade = np.rint(rng.normal(50, 15, _ROWS))
    near = grade + np.rint(rng.normal(0, 1.0, _ROWS))  # equal in four rows of ten, and next to it in half
    assert np.mean(near == grade) > 0.35
    assert find_repeats({"grade": grade, "near": near}) == {}
    few = {name: np.where(rng.random(_ROWS) < 0.08, 3.0, rng.integers(4, 90, _ROWS)) for name in "ab"}
    agreed = np.where((few["b"] == 3) & (rng.random(_ROWS) < 0.97), 3.0, few["a"])
    assert find_repeats({"a": agreed, "b": few["b"]}) == {}  # it is one value that they share
    zeros = {name: np.where(rng.random(_ROWS) < 0.7, 0.0, rng.integers(1, 90, _ROWS)) for name in "ab"}
    assert np.mean(zeros["a"] == zeros["b"]) > 0.4
    assert find_repeats(zeros) == {}
    assert find_repeats({name: rng.integers(0, 4, _ROWS) * 1.0 for name in "ab"}) == {}
    tens = {
        name: 10.0 * rng.integers(1, 12, _ROWS) + (rng.random(_ROWS) < 0.05) for name in "ab"
    }  # few next to another
    tens["b"] = np.where(rng.random(_ROWS) < 0.15, tens["a"], tens["b"])
    assert 0.2 < np.mean(tens["a"] == tens["b"]) < 0.27
    assert find_repeats(tens) == {}  # less than three times as often as chance has it


def test_frequent_values_neither_hide_a_repeat_nor_make_one() -> None:
    rng = np.random.default_rng(7)
    code = rng.integers(1, 81, _ROWS) * 1.0
    zero, u = rng.random(_ROWS) < 0.6, rng.random(_ROWS)
    child = np.where(zero, 0.0, np.where(u < 0.35, code, rng.integers(1, 81, _ROWS)))
    assert np.mean(child == code) < 0.2
    assert _parents(find_repeats({"code": code, "child": child})) == {"child": ["code"]}
    three = rng.random(_ROWS) < 0.09  # all that they share is one value, in a third of the rows that say something
    pair = {name: np.where(three, 3.0, np.where(zero, 0.0, rng.integers(10, 90, _ROWS))) for name in "ab"}
    pair["a"] = np.where(pair["a"] == 0, rng.integers(90, 170, _ROWS), pair["a"])
    assert find_repeats(pair) == {}


def test_whatever_is_decoded_repeats_where_its_mode_says_so() -> None:
    frame = pd.DataFrame(_schools()).assign(mark=np.random.default_rng(4).normal(size=_ROWS).round(3))
    codec = Codec.fit(frame)
    assert codec.structure.numbers["third"].parents == (Combination.column("second"),)
    assert codec.decode(codec.encode(frame)).equals(to_arrow(frame))
    made = codec.choose(np.random.default_rng(5).normal(size=(2_000, codec.layout.width)))
    made.codes[:, codec.names.index(("third", "mode"))] = np.arange(2_000) % 2
    sample = codec.restore(made).to_pandas()
    assert (sample["third"] == sample["second"])[np.arange(2_000) % 2 == 1].all()
    assert (sample["third"] == sample["second"])[np.arange(2_000) % 2 == 0].mean() < 0.1


def test_what_is_told_as_usual_is_not_told_as_a_repeat_as_well() -> None:
    rng = np.random.default_rng(6)
    open_accounts = rng.integers(1, 120, _ROWS)
    good = np.where(rng.random(_ROWS) < 0.02, open_accounts - 1, open_accounts)
    frame = pd.DataFrame({"open": open_accounts, "good": good, "mark": rng.normal(size=_ROWS).round(3)})
    codec = Codec.fit(frame)
    assert find_repeats({"open": open_accounts * 1.0, "good": good * 1.0})
    assert [one.child for one in codec.structure.usual] == ["good"]
    assert codec.structure.numbers["good"].parents == (Combination.column(codec.structure.usual[0].column),)
    assert codec.decode(codec.encode(frame)).equals(to_arrow(frame))
