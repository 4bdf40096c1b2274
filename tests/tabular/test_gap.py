"""Columns that are told by how far they are from another one: which are found, and that they come back."""

import datetime
import json

import numpy as np
import pandas as pd
import pytest

from scorewise.tabular.codec import Codec
from scorewise.tabular.gap import Gap, find_gaps
from scorewise.tabular.schema import Schema
from scorewise.tabular.synthesizer import Synthesizer
from scorewise.tabular.table import to_arrow

_ROWS = 1_500
_TERMS = (14, 30, 60)
_START = pd.Timestamp("2019-01-01")


def _days(count: np.ndarray) -> pd.Series:
    return pd.Series(_START + pd.to_timedelta(count, unit="D"))


def _orders(seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    ordered = generator.integers(0, 2_000, _ROWS)
    term = generator.choice(_TERMS, _ROWS)
    return pd.DataFrame(
        {
            "ordered": _days(ordered),
            "amount": np.exp(generator.normal(4, 1, _ROWS)).round(2),
            "due": _days(ordered + term),
            "paid": _days(
                ordered + term + np.where(generator.random(_ROWS) < 0.4, 0, generator.integers(-9, 40, _ROWS))
            ),
        }
    )


def _inside(made: pd.DataFrame, orders: pd.DataFrame) -> "pd.Series[bool]":
    """The rows due on neither the first day of the table nor the last one: what would be beyond is due on that day."""
    return made["due"].between(orders["due"].min(), orders["due"].max(), inclusive="neither")


def _gaps(frame: pd.DataFrame, fixed: tuple[str, ...] = ()) -> dict[str, Gap]:
    table = to_arrow(frame)
    schema = Schema.infer(table)
    return find_gaps({column.name: column for column in schema.numbers}, schema.cells(table).numbers, fixed)


def _parents(frame: pd.DataFrame, fixed: tuple[str, ...] = ()) -> dict[str, str]:
    return {child: gap.parent for child, gap in _gaps(frame, fixed).items()}


def test_a_day_is_told_from_the_one_that_it_follows_at_recurring_distances() -> None:
    orders = _orders()
    assert _parents(orders) == {"due": "ordered", "paid": "due"}
    codec = Codec.fit(orders)
    pd.testing.assert_frame_equal(codec.decode(codec.encode(orders)).to_pandas(), orders, check_dtype=False)
    made = codec.decode(np.random.default_rng(1).normal(size=(4_000, codec.layout.width))).to_pandas()
    term = (made["due"] - made["ordered"]).dt.days
    inside = _inside(made, orders)
    assert set(term[inside]) == set(_TERMS)
    shares = term[inside].value_counts(normalize=True)
    assert all(abs(shares[days] - 1 / 3) < 0.05 for days in _TERMS)
    assert abs((made["due"] == made["paid"]).mean() - (orders["due"] == orders["paid"]).mean()) < 0.03


def test_gaps_are_those_of_the_calendar_and_of_the_cents() -> None:
    orders = _orders()
    values = Schema.infer(to_arrow(orders)).cells(to_arrow(orders)).numbers
    gaps = _gaps(orders)
    assert np.array_equal(gaps["due"].of(values["due"], values), (orders["due"] - orders["ordered"]).dt.days)
    assert np.array_equal(gaps["paid"].of(values["paid"], values), (orders["paid"] - orders["due"]).dt.days)
    generator = np.random.default_rng(0)
    price = generator.lognormal(3, 1, _ROWS).round(2)
    off = generator.choice([0.0, 0.15, 0.3], _ROWS)
    frame = pd.DataFrame({"price": price, "paid": (price - off).round(2)})
    paid = Codec.fit(frame).structure.numbers["paid"]
    assert (paid.modes, paid.marginal.step) == (1, 0.01)  # equal ones are a gap of 0
    assert paid.gap is not None
    cells = {name: frame[name].to_numpy() for name in frame}
    assert set(paid.gap.of(cells["paid"], cells)) == {0.0, -0.15, -0.3}
    assert np.array_equal(paid.gap.child(-off, cells, clip=True), cells["paid"])


def test_days_beyond_the_table_are_given_where_numbers_are_not_clipped() -> None:
    orders = _orders()
    orders = orders[orders["due"] < "2024-06-01"]
    x = np.random.default_rng(1).normal(size=(4_000, Codec.fit(orders).layout.width))
    clipped, free = (Codec.fit(orders, clip=clip).decode(x).to_pandas() for clip in (True, False))
    assert clipped["due"].max() == orders["due"].max()
    assert free["due"].max() > orders["due"].max()
    assert (free["due"] - free["ordered"]).dt.days.isin(_TERMS).mean() > 0.99


def test_the_columns_stand_where_they_stood_in_whatever_order() -> None:
    orders = _orders()[["paid", "due", "amount", "ordered"]]
    assert _parents(orders) == {"due": "paid", "ordered": "due"}
    codec = Codec.fit(orders)
    pd.testing.assert_frame_equal(codec.decode(codec.encode(orders)).to_pandas(), orders, check_dtype=False)


def test_moments_of_other_units_and_origins_are_compared() -> None:
    generator = np.random.default_rng(0)
    ordered = generator.integers(0, 2_000, _ROWS)
    noon = _days(ordered).dt.as_unit("s") + pd.to_timedelta(generator.integers(0, 86_400, _ROWS), unit="s")
    due = ordered + generator.choice(_TERMS, _ROWS)
    frame = pd.DataFrame(
        {
            "seen": noon,
            "day": [_START.date() + datetime.timedelta(days=int(day)) for day in due],
            "text": _days(due + generator.choice([1, 2], _ROWS)).dt.strftime("%m/%d/%Y"),
        }
    )
    gaps = _gaps(frame)
    assert {child: (gap.parent, gap.whole) for child, gap in gaps.items()} == {
        "day": ("seen", False),
        "text": ("day", True),
    }
    assert gaps["day"].factor == pytest.approx(1 / 86_400)
    codec = Codec.fit(frame)
    back = codec.decode(codec.encode(frame)).to_pandas()
    assert all((back[name] == frame[name]).all() for name in frame)


def test_an_end_soon_after_a_start_is_told_from_it_and_stays_after_it() -> None:
    generator = np.random.default_rng(0)
    start = _START + pd.to_timedelta(generator.integers(0, 3 * 10**7, _ROWS), unit="s")
    end = start + pd.to_timedelta(1 + generator.gamma(2, 400, _ROWS).astype(int), unit="s")
    trips = pd.DataFrame({"start": start, "end": end})
    assert _parents(trips) == {"end": "start"}
    codec = Codec.fit(trips, clip=False)
    scores = np.random.default_rng(1).normal(size=(4_000, codec.layout.width)).clip(-3, 3)  # as of the table's rows
    made = codec.decode(scores).to_pandas()
    took = (made["end"] - made["start"]).dt.total_seconds()
    assert took.min() > 0
    assert took.median() == pytest.approx((trips["end"] - trips["start"]).dt.total_seconds().median(), rel=0.1)


def test_numbers_have_to_recur_and_not_only_to_be_near() -> None:
    generator = np.random.default_rng(0)
    bill = np.exp(generator.normal(9, 1, _ROWS)).round()
    paid = bill - generator.choice([0, 25, 50], _ROWS)
    near = bill + generator.normal(0, 20, _ROWS).round()
    assert _parents(pd.DataFrame({"bill": bill, "paid": paid})) == {"paid": "bill"}
    assert _parents(pd.DataFrame({"bill": bill, "near": bill * generator.uniform(0.9, 1.1, _ROWS).round(4)})) == {}
    assert _parents(pd.DataFrame({"bill": bill, "equal": np.where(generator.random(_ROWS) < 0.97, bill, near)})) == {}


def test_a_column_that_is_told_from_another_one_is_in_no_sum() -> None:
    generator = np.random.default_rng(0)
    bill = np.exp(generator.normal(9, 1, _ROWS)).round()
    part = np.exp(generator.normal(8, 1, _ROWS)).round()
    total = np.where(generator.random(_ROWS) < 0.1, bill, bill + part)
    frame = pd.DataFrame({"bill": bill, "part": part, "total": total})
    assert {one.child for one in Codec.fit(frame).structure.sums} == {"bill"}
    told = Codec.fit(
        frame.assign(other=bill + generator.choice([0, 25, 50], _ROWS))[["other", "bill", "part", "total"]]
    )
    assert told.structure.numbers["bill"].gap is not None
    assert all("bill" not in (one.child, *one.parent.names) for one in told.structure.sums)


def test_columns_that_are_told_in_few_values_anyway_stay() -> None:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": generator.integers(18, 80, _ROWS),
            "years": generator.integers(0, 40, _ROWS),
            "day": _days(generator.integers(0, 2_000, _ROWS)),
            "other": _days(generator.integers(0, 2_000, _ROWS)),
        }
    )
    assert _parents(frame) == {}
    assert _parents(_orders().head(40)) == {}
    assert _parents(_orders()[["due", "amount"]]) == {}
    assert _parents(_orders(), ("due",)) == {"paid": "due"}


def test_huge_numbers_and_columns_of_zeros_are_no_trouble() -> None:
    generator = np.random.default_rng(0)
    huge = generator.choice([-1e308, 1e308], _ROWS) * generator.random(_ROWS)
    zero = np.where(generator.random(_ROWS) < 0.5, 0.0, huge)
    assert _parents(pd.DataFrame({"a": huge, "b": -huge[::-1], "c": zero})) == {}
    assert _parents(pd.DataFrame({"a": np.where(generator.random(_ROWS) < 0.1, 1e308, 0.5), "b": huge / 1e308})) == {}
    few = pd.DataFrame({"a": np.where(np.arange(_ROWS) < 80, 1.5, 0.0), "b": np.zeros(_ROWS)})
    few.loc[90:95, "b"] = generator.random(6)
    assert _parents(few) == {}


def test_a_number_is_not_told_from_a_moment_nor_a_moment_from_a_time() -> None:
    day = np.random.default_rng(0).integers(0, 80_000, _ROWS)
    times = [(datetime.datetime(2000, 1, 1) + datetime.timedelta(seconds=int(s) + 60)).time() for s in day]
    since = pd.to_timedelta(day % 20_000 + day % 3, unit="D")
    frame = pd.DataFrame({"day": _days(day % 20_000), "number": day % 20_000 + 7, "time": times, "since": since})
    assert _parents(frame) == {}


def test_a_parent_may_be_missing_only_where_its_child_is() -> None:
    generator = np.random.default_rng(0)
    orders = _orders()
    orders.loc[generator.random(_ROWS) < 0.1, "due"] = pd.NaT
    assert _parents(orders) == {"due": "ordered", "paid": "ordered"}
    orders.loc[orders["due"].isna(), "paid"] = pd.NaT
    assert _parents(orders) == {"due": "ordered", "paid": "due"}
    for names in (["ordered", "amount", "due", "paid"], ["paid", "due", "ordered", "amount"]):
        codec = Codec.fit(orders[names])
        found = {name: number.gap and number.gap.parent for name, number in codec.structure.numbers.items()}
        assert (found["ordered"], found["due"]) == (None, "ordered")
        assert found["paid"] in {"due", "ordered"}
        pd.testing.assert_frame_equal(
            codec.decode(codec.encode(orders[names])).to_pandas(), orders[names], check_dtype=False
        )


def test_a_column_that_others_are_looked_up_by_keeps_its_values() -> None:
    generator = np.random.default_rng(0)
    orders = pd.concat([_orders()] * 20, ignore_index=True)
    place = {day: str(word) for day, word in zip(orders["due"].unique(), generator.integers(0, 9, 3_000), strict=False)}
    orders["weather"] = orders["due"].map(place)
    codec = Codec.fit(orders)
    assert "weather" in codec.structure.determined.children
    assert codec.structure.numbers["due"].gap is None
    assert codec.structure.numbers["paid"].gap is not None


def test_a_gap_is_written_and_read() -> None:
    orders = _orders()
    codec = Codec.fit(orders)
    said = json.loads(json.dumps(codec.to_json()))
    x = np.random.default_rng(1).normal(size=(50, codec.layout.width))
    assert Codec.from_parts(said, codec.arrays()).decode(x).equals(codec.decode(x))
    for damaged, error in (
        (["due", 0.0, 1.0, 1, 1.0, 0.0, 9.0], "a gap must have parent, offset"),
        (["paid", 0.0, 1.0, True, 1.0, 0.0, 9.0], "must come before it"),
    ):
        said["numbers"]["due"]["gap"] = damaged
        with pytest.raises(ValueError, match=error):
            Codec.from_parts(said, codec.arrays())


def test_a_fitted_table_keeps_its_terms() -> None:
    orders = _orders()
    fake = Synthesizer(seed=0, time_limit=0.05).fit(orders).sample(1_000, seed=1)
    inside = _inside(fake, orders)
    assert inside.mean() > 0.95
    assert set((fake["due"] - fake["ordered"]).dt.days[inside]) == set(_TERMS)
