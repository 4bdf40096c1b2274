"""What is found in a table: in an order in which it can be decoded, without circles, and the same once it is kept."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scorewise.tabular.multiple import Multiple
from scorewise.tabular.relation import Combination, before
from scorewise.tabular.schema import Cells, Schema
from scorewise.tabular.structure import Structure
from scorewise.tabular.table import to_arrow

_ROWS = 4_000


def _shop(seed: int = 0) -> pd.DataFrame:
    """Orders: articles, their prices but for discounts, counts, amounts, totals typed wrongly in places, and dates."""
    rng = np.random.default_rng(seed)
    article = rng.integers(0, 400, _ROWS)
    listed = np.random.default_rng(5).lognormal(3, 1, 400).round(2)[article]
    price = np.where(rng.random(_ROWS) < 0.04, (0.9 * listed).round(2), listed)
    count = 1 + rng.poisson(2, _ROWS)
    freight, tax = rng.lognormal(1.5, 0.5, _ROWS).round(2), rng.lognormal(1, 0.5, _ROWS).round(2)
    freight *= rng.random(_ROWS) < 0.6
    total = (price * count + freight + tax).round(2)
    ordered = pd.Timestamp("2015-01-01") + pd.to_timedelta(rng.integers(0, 2_000, _ROWS), unit="D")
    return pd.DataFrame(
        {
            "article": np.char.add("A", article.astype(str)),
            "price": price,
            "count": count,
            "amount": (price * count).round(2),
            "freight": freight,
            "tax": tax,
            "total": np.where(rng.random(_ROWS) < 0.03, rng.permutation(total), total),
            "ordered": ordered,
            "month": ordered.month,
            "size": np.where(count > 3, "large", "small"),
        }
    )


def _found(frame: pd.DataFrame) -> tuple[Schema, Cells, Structure]:
    table = to_arrow(frame)
    schema = Schema.infer(table)
    cells = schema.cells(table)
    return schema, cells, Structure.find(schema, cells)


def test_each_relation_is_found_beside_the_others() -> None:
    _, _, found = _found(_shop())
    assert [(one.child, one.parents) for one in found.determined.formulas] == [("amount", ("price", "count"))]
    assert {(one.child, one.parent) for one in found.determined.functions} >= {("month", "ordered")}
    assert [(one.child, set(one.formula.parents)) for one in found.prevalent] == [
        ("total", {"amount", "freight", "tax"})
    ]
    assert [(one.child, one.parent) for one in found.usual] == [("price", "article")]
    column = found.usual[0].column
    assert found.numbers["price"].parents == (Combination.column(column), Multiple(column, 0.9, 0.01))
    assert set(found.calendars) == {"ordered"}


def test_numbers_come_after_all_that_they_are_decoded_from() -> None:
    _, _, found = _found(_shop())
    order, computed = list(found.numbers), found.determined.ancestors
    ties = {
        name: [one for parent in number.parents for one in parent.names if one in found.numbers]
        for name, number in found.numbers.items()
        if name not in computed
    }
    for mostly in found.prevalent:
        ties[mostly.child] += mostly.formula.parents
    for place, name in enumerate(order):
        if name in ties:
            roots = {root for one in ties[name] for root in computed.get(one, {one})}
            assert all(order.index(root) < place for root in roots if root in order and root not in computed)
            assert all(name not in before(one, ties, computed) for one in ties[name])
    assert set(order[-3:]) == {part for part in order if "ordered" in part}  # to which nothing is tied


def test_a_part_is_no_longer_told_by_the_total_that_is_computed_from_it() -> None:
    rng = np.random.default_rng(1)
    parts = {name: rng.lognormal(5, 1, _ROWS).round(2) for name in ("first", "second", "third")}
    parts["third"] *= rng.random(_ROWS) < 0.3  # so the second is in most rows what remains of the total
    total = np.sum(list(parts.values()), axis=0).round(2)
    exact = _found(pd.DataFrame({"total": total, **parts}))[2]
    assert [one.child for one in exact.determined.formulas] == ["total"]
    typed = np.where(rng.random(_ROWS) < 0.02, rng.permutation(total), total)
    found = _found(pd.DataFrame({"total": typed, **parts}))[2]
    assert [one.child for one in found.prevalent] == ["total"]
    assert all("total" not in parent.names for number in found.numbers.values() for parent in number.parents)
    assert all(one.child == "total" or "total" not in one.parent.names for one in found.sums)


def test_it_is_the_same_once_it_is_kept() -> None:
    schema, cells, found = _found(_shop())
    again = Structure.from_parts(json.loads(json.dumps(found.to_json())), found.arrays(), schema)
    assert again.to_json() == found.to_json()
    assert again.arrays().keys() == found.arrays().keys()
    for name, array in found.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)
    codes = found.categories(schema, cells)
    both = (one.compared(schema, cells.numbers, codes) for one in (found, again))
    for one, other in zip(*(values.items() for values in both), strict=True):
        assert one[0] == other[0]
        np.testing.assert_array_equal(one[1], other[1])


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda said: said["prevalent"][0]["formula"].update(child="size"), "what is mostly computed must be numbers"),
        (lambda said: said["prevalent"][0]["formula"]["parents"].append("none"), "must have a weight for each parent"),
        (lambda said: said["usual"][0].reverse(), "what is usual of 'article' by 'price' has shape"),
        (lambda said: said["calendars"].update(none=said["calendars"].pop("ordered")), r"'none'\] are not"),
        (lambda said: said["numbers"].pop("ordered"), "moments must be among the numbers"),
    ],
)
def test_parts_that_do_not_fit_are_refused(edit: Any, message: str) -> None:
    schema, _, found = _found(_shop())
    said = json.loads(json.dumps(found.to_json()))
    edit(said)
    with pytest.raises(ValueError, match=message):
        Structure.from_parts(said, found.arrays(), schema)
