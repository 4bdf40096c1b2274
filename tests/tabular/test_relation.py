import numpy as np

from scorewise.tabular.relation import Combination, find_equalities, find_functions, nearly


def _columns() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    fine = rng.integers(0, 12, 3_000)
    return {"coarse": fine // 3, "fine": fine, "code": (fine * 5) % 12, "other": rng.integers(0, 4, 3_000)}


def test_functions_are_found_and_their_tables_hold_in_every_row() -> None:
    columns = _columns()
    found = find_functions(columns, {"coarse": 4, "fine": 12, "code": 12, "other": 4})
    assert {(f.child, f.parent) for f in found} == {("code", "fine"), ("coarse", "fine")}
    for function in found:
        assert (function.table[columns[function.parent]] == columns[function.child]).all()


def test_one_row_against_it_and_it_is_no_function() -> None:
    columns = _columns()
    columns["coarse"][17] = (columns["coarse"][17] + 1) % 4
    found = find_functions({k: columns[k] for k in ("coarse", "fine")}, {"coarse": 4, "fine": 12})
    assert found == []


def test_few_rows_a_level_are_no_evidence() -> None:
    parent = np.arange(100) % 20
    assert find_functions({"child": parent // 10, "parent": parent}, {"child": 2, "parent": 20}) == []


def test_a_function_needs_rows_that_could_have_told_otherwise() -> None:
    rng = np.random.default_rng(0)
    many = rng.integers(0, 200, 3_000)
    levels = {"many": 201, "flag": 2}
    alone = np.append(many, 200)  # one level of one row, and the only one with the flag: an accident
    assert find_functions({"many": alone, "flag": (alone == 200).astype(np.int64)}, levels) == []
    apart = np.append(many, np.arange(200, 215))  # so are fifteen such levels
    levels |= {"apart": 215}
    assert find_functions({"apart": apart, "flag": (apart >= 200).astype(np.int64)}, levels) == []
    few = np.append(many, [200] * 9)  # and nine rows of one level
    assert find_functions({"many": few, "flag": (few == 200).astype(np.int64)}, levels) == []
    flag = np.isin(many, [7, 8]).astype(np.int64)
    found = find_functions({"many": many, "flag": flag}, levels)
    assert [(f.child, f.parent) for f in found] == [("flag", "many")]


def test_equalities_are_found_for_the_later_column() -> None:
    rng = np.random.default_rng(0)
    bill, other = rng.normal(size=5_000), rng.normal(size=5_000)
    paid = np.where(rng.random(5_000) < 0.2, bill, rng.normal(size=5_000))
    free = {name: np.ones(5_000, dtype=bool) for name in ("bill", "other", "paid")}
    assert find_equalities({"bill": bill, "other": other, "paid": paid}, free) == {"paid": [Combination.column("bill")]}


def test_rows_that_need_no_explanation_do_not_make_an_equality() -> None:
    zeros = np.zeros(5_000)
    free = {"a": np.zeros(5_000, dtype=bool), "b": np.zeros(5_000, dtype=bool)}
    assert find_equalities({"a": zeros, "b": zeros}, free) == {}
    missing = np.full(5_000, np.nan)
    free = {"a": np.ones(5_000, dtype=bool), "b": np.ones(5_000, dtype=bool)}
    assert find_equalities({"a": missing, "b": missing}, free) == {}


def test_what_differs_by_rounding_is_nearly_equal_and_the_largest_numbers_are_no_trouble() -> None:
    largest = np.finfo(np.float64).max
    values = np.array([0.1 + 0.2, 1.0, 1.0, largest, np.nan, np.inf, 0.0])
    others = np.array([0.3, 1.0 + 1e-8, 1.0 - 1e-10, -largest, 1.0, np.inf, 0.0])
    assert nearly(values, others).tolist() == [True, False, True, False, False, False, True]
