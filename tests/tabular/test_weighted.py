"""Weighted sums are found where every row fits, the total of several parts is computed, and nothing else is found."""

import json

import numpy as np
import pytest

from scorewise.tabular import grid
from scorewise.tabular.weighted import MOST_PARENTS, MOST_SUMMED, WeightedSum, find_trimmed_sums, find_weighted_sums

_ROWS = 3_000


def _parts(rows: int = _ROWS) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    zero = rng.random(rows) < 0.3
    return {
        "a": rng.integers(0, 400, rows) / 1.0,
        "b": np.where(zero, 0.0, rng.integers(1, 90, rows)),
        "c": rng.integers(0, 2_000, rows) / 1.0,
        "d": rng.integers(5, 80, rows) / 1.0,
    }


def _steps(columns: dict[str, np.ndarray]) -> dict[str, float | None]:
    return {name: grid.step(values[~np.isnan(values)]) for name, values in columns.items()}


def _found(columns: dict[str, np.ndarray]) -> list[WeightedSum]:
    return find_weighted_sums(columns, _steps(columns), columns)


@pytest.mark.parametrize(
    ("weights", "offset"),
    [
        ({"a": 1.0, "b": 1.0}, 0.0),
        ({"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}, 0.0),
        ({"a": 1.0, "b": 2.0, "d": 3.0}, 0.0),
        ({"a": 1.0, "d": 1.0}, 6.0),
        ({"a": 0.5, "c": 0.5}, 0.0),
        ({"a": 0.25, "b": 1.08, "c": 0.01}, -12.34),
    ],
)
def test_a_total_is_found_wherever_it_stands_with_its_weights(weights: dict[str, float], offset: float) -> None:
    parts = _parts()
    total = (offset + sum(w * parts[name] for name, w in weights.items())).round(2)
    for columns in ({"total": total, **parts}, {**parts, "total": total}):
        (one,) = _found(columns)
        assert (one.child, one.offset) == ("total", offset)
        assert dict(zip(one.parents, one.weights, strict=True)) == weights
        np.testing.assert_array_equal(one.of(columns).round(2), total)


def test_a_rounded_average_is_computed_and_none_of_what_it_is_taken_of() -> None:
    columns = _parts()
    columns["mean"] = ((columns["a"] + columns["c"] + columns["d"]) / 3).round(1)
    (one,) = _found(columns)
    assert (one.child, one.weights, one.offset) == ("mean", (1 / 3,) * 3, 0.0)
    np.testing.assert_array_equal(one.of(columns).round(1), columns["mean"])


def test_of_columns_that_add_up_to_a_constant_the_one_that_varies_most_is_computed() -> None:
    shares = np.random.default_rng(1).dirichlet([0.5, 4.0, 1.0], _ROWS).round(3)
    columns = {"x": shares[:, 0], "y": shares[:, 1], "z": (1 - shares[:, 0] - shares[:, 1]).round(3)}
    (one,) = _found(columns)
    varies_most = max(columns, key=lambda name: columns[name].std())
    assert one == WeightedSum(varies_most, one.parents, (-1.0, -1.0), 1.0)


def test_any_weights_will_do_where_a_column_has_no_grid() -> None:
    columns = _parts()
    total = 2.718281828 * columns["a"] - 3.141592654 * columns["c"] + 1e3
    (one,) = _found({**columns, "total": total})
    np.testing.assert_allclose(one.of(columns), total, rtol=0, atol=np.abs(total).max() * 2**-22)


def test_a_total_is_computed_even_if_a_part_varies_more() -> None:
    columns = _parts()
    columns["rest"] = 2_000 - columns["c"] + columns["d"]
    columns["total"] = columns["rest"] + columns["c"] + columns["b"]
    del columns["d"]
    assert columns["total"].std() < columns["c"].std()
    (one,) = _found(columns)
    assert one.child == "total"


def test_totals_of_few_values_are_found_where_they_are_exact() -> None:
    rng = np.random.default_rng(5)
    columns = {name: rng.integers(0, 5, _ROWS) / 1.0 for name in "abcdefgh"}
    columns["total"] = columns["b"] + columns["c"] + 2 * columns["f"]
    (one,) = _found(columns)
    assert (one.child, dict(zip(one.parents, one.weights, strict=True))) == ("total", {"b": 1.0, "c": 1.0, "f": 2.0})
    columns["total"] = np.minimum(columns["total"], 15)
    assert _found(columns) == []


def test_one_row_that_does_not_fit_and_nothing_is_found() -> None:
    columns = _parts()
    columns["total"] = columns["a"] + columns["b"] + columns["c"]
    assert len(_found(columns)) == 1
    columns["total"][2_345] += 1
    assert _found(columns) == []


def test_nothing_is_found_among_columns_that_are_near_a_sum_or_that_chance_may_have_made() -> None:
    rng = np.random.default_rng(2)
    columns = _parts()
    columns["near"] = columns["a"] + columns["b"] + rng.integers(-1, 2, _ROWS)
    assert _found(columns) == []
    assert _found({f"x{i}": rng.integers(0, 4, 130) / 1.0 for i in range(40)}) == []
    assert _found({f"x{i}": rng.normal(size=130) for i in range(40)}) == []


def test_rows_that_do_not_differ_are_no_evidence() -> None:
    short = {name: values[:99] for name, values in _parts().items()}
    assert _found({**short, "total": short["a"] + short["b"]}) == []
    repeated = {name: np.tile(values[:99], 30) for name, values in _parts().items()}
    assert _found({**repeated, "total": repeated["a"] + repeated["b"]}) == []
    enough = {name: np.tile(values[:101], 30) for name, values in _parts().items()}
    assert len(_found({**enough, "total": enough["a"] + enough["b"]})) == 1


def test_a_total_is_missing_where_a_part_is_and_nowhere_else() -> None:
    columns = _parts()
    columns["a"][::7] = columns["b"][::5] = np.nan
    columns["total"] = columns["a"] + columns["b"] + columns["c"]
    (one,) = _found(columns)
    np.testing.assert_array_equal(one.of(columns), columns["total"])
    columns["total"][1] = np.nan
    assert _found(columns) == []


def test_rows_that_were_not_screened_count_as_well() -> None:
    columns = _parts()
    columns["total"] = columns["a"] + columns["c"]
    for row in range(0, _ROWS, 99):  # screened or not
        holed = {name: values.copy() for name, values in columns.items()}
        holed["a"][row] = np.nan
        if row % 2:
            holed["total"][row] = np.nan
        assert len(_found(holed)) == row % 2


def test_a_column_that_does_not_vary_where_the_total_is_known_is_no_part() -> None:
    columns = _parts()
    columns["total"] = np.where(columns["b"] == 0, columns["a"] + columns["c"] + columns["b"], np.nan)
    columns["a"] = np.where(columns["b"] == 0, columns["a"], np.nan)
    (one,) = _found(columns)
    assert sorted(one.parents) == ["a", "c"]


def test_parts_that_are_totals_themselves_come_first_and_nothing_depends_on_itself() -> None:
    columns = _parts()
    columns = {"all": sum(columns.values(), np.zeros(_ROWS)), "some": columns["a"] + columns["b"], **columns}
    found = _found(columns)
    assert sorted(one.child for one in found) == ["all", "some"]
    known = set("abcd")
    for one in found:
        assert known >= set(one.parents)
        np.testing.assert_array_equal(one.of(columns), columns[one.child])
        known.add(one.child)


def test_columns_that_depend_on_others_already_are_left_alone() -> None:
    columns = _parts()
    columns["total"] = columns["a"] + columns["b"]
    for name in ("total", "a"):
        assert find_weighted_sums(columns, _steps(columns), columns, taken={name}) == []


def test_a_part_may_be_a_number_that_is_not_to_be_computed_itself() -> None:
    columns = _parts()
    columns["total"] = columns["a"] + columns["d"]
    (one,) = find_weighted_sums({"a": columns["a"]}, _steps(columns), columns)
    assert (one.child, one.offset) == ("a", 0.0)
    assert dict(zip(one.parents, one.weights, strict=True)) == {"total": 1.0, "d": -1.0}


def test_one_column_is_no_sum_and_so_many_are_none_that_people_make() -> None:
    columns = _parts()
    assert _found({**columns, "twice": 2 * columns["a"]}) == []
    rng = np.random.default_rng(6)
    many = {f"x{i}": rng.integers(0, 90, _ROWS) / 1.0 for i in range(MOST_PARENTS + 1)}
    assert _found({**many, "total": sum(many.values(), np.zeros(_ROWS))}) == []
    del many["x0"]
    assert len(_found({**many, "total": sum(many.values(), np.zeros(_ROWS))})) == 1


def test_sums_are_looked_for_among_so_many_columns_and_no_more() -> None:
    rng = np.random.default_rng(3)
    columns = {f"x{i}": rng.normal(size=300).round(3) for i in range(MOST_SUMMED)}
    columns["total"] = (columns["x0"] + columns["x1"]).round(3)
    assert _found(columns) == []
    del columns["x63"]
    assert [one.child for one in _found(columns)] == ["total"]


def test_constants_huge_values_and_empty_columns_are_no_trouble() -> None:
    columns = _parts()
    columns["huge"] = np.random.default_rng(4).uniform(-1, 1, _ROWS) * 1e308
    columns["same"] = np.ones(_ROWS)
    columns["gone"] = np.full(_ROWS, np.nan)
    columns["total"] = columns["a"] + columns["d"]
    steps = {**_steps(_parts()), "huge": None, "same": 1.0, "gone": None, "total": 1.0}
    assert [one.child for one in find_weighted_sums(columns, steps, columns)] == ["total"]
    assert find_weighted_sums({}, {}, {}) == []


@pytest.mark.parametrize("share", [0.001, 0.03, 0.15])
@pytest.mark.parametrize("step", [1.0, None])
def test_a_total_that_some_rows_break_is_found_by_trimming(share: float, step: float | None) -> None:
    rng = np.random.default_rng(0)
    parts = {name: np.rint(rng.lognormal(6, 1, 3_000)) for name in "abcd"}
    exact = parts["a"] + 2 * parts["b"] - 0.5 * parts["c"] + 7
    exact = exact.round() if step else exact * np.pi
    wrong = rng.random(3_000) < share
    columns = {**parts, "total": np.where(wrong, rng.permutation(exact) + rng.integers(1, 99, 3_000), exact)}
    steps = dict.fromkeys(columns, 1.0) | {"total": step}
    alone = {name: {name} for name in columns}
    assert find_weighted_sums(columns, steps, columns) == []
    *_, found = find_trimmed_sums(columns, steps, columns, alone)
    assert (found.child, set(found.parents)) == ("total", {"a", "b", "c"})
    scale = 1.0 if step else np.pi
    weights = dict(zip(found.parents, found.weights, strict=True))
    np.testing.assert_allclose([weights[name] / scale for name in "abc"], [1, 2, -0.5], rtol=1e-6)
    computed = found.of(columns) if step is None else np.rint(found.of(columns))
    np.testing.assert_allclose(computed[~wrong], columns["total"][~wrong], rtol=1e-6)
    depends = alone | {"b": {"b", "total"}}  # of what depends on the total it is no sum
    assert [one.child for one in find_trimmed_sums(columns, steps, columns, depends)] == []


def test_what_most_rows_break_is_not_found_by_trimming() -> None:
    rng = np.random.default_rng(1)
    parts = {name: np.rint(rng.lognormal(6, 1, 2_000)) for name in "ab"}
    exact = parts["a"] + parts["b"]
    near = {**parts, "total": exact + rng.integers(-3, 4, 2_000)}
    rare = {**parts, "total": np.where(rng.random(2_000) < 0.6, rng.permutation(exact), exact)}
    empty = {**parts, "total": np.full(2_000, np.nan)}
    huge = {"a": np.full(2_000, 1e308), "b": 1e308 * rng.random(2_000), "total": 1e308 * rng.random(2_000)}
    for columns in (near, rare, empty, huge, {name: values[:60] for name, values in near.items()}):
        alone = {name: {name} for name in columns}
        assert list(find_trimmed_sums(columns, dict.fromkeys(columns, 1.0), columns, alone)) == []


def test_it_goes_through_json() -> None:
    one = WeightedSum("total", ("a", "b"), (1.0, 1 / 3), -6.0)
    assert WeightedSum.from_json(json.loads(json.dumps(one.to_json()))) == one
    with pytest.raises(ValueError, match="must have a weight for each parent, however: "):
        WeightedSum.from_json({**one.to_json(), "weights": [1.0]})
