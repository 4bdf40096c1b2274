"""Histograms on shared bars."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from scorewise.tabular import histogram
from scorewise.tabular.column import Column
from scorewise.tabular.schema import Schema


def number(**said: object) -> Column:
    return Column(**({"name": "x", "kind": "number", "arrow_type": "double", "minimum": 0.0, "maximum": 9.0} | said))  # type: ignore[arg-type]


def test_categories_show_twelve_levels_the_rest_and_the_missing() -> None:
    column = Column("c", "category", "int64", levels=tuple(range(20)))
    real = np.repeat(np.arange(20), np.arange(40, 20, -1))
    found = histogram.categories(column, real, np.array([0, 0, 19, 20, -1]))
    assert found.labels == [*map(str, range(12)), "other", "missing"]
    assert found.synthetic == [0.4, *[0.0] * 11, 0.4, 0.2]  # level 19 and the unknown one are "other"
    assert sum(found.real) == pytest.approx(1)
    assert found.real[-1] == 0


def test_bars_that_no_table_has_are_left_out() -> None:
    column = Column("c", "category", "bool", levels=(False, True))
    found = histogram.categories(column, np.array([0, 1, 1, 1]), np.array([0, 0]))
    assert found == (["True", "False"], [0.75, 0.25], [0.0, 1.0])


def test_few_values_have_a_bar_each() -> None:
    found = histogram.numbers(number(), np.array([1.0, 1.0, 2.5, np.nan]), np.array([1.0, 2.0, 7.0, 2.5]))
    assert found == (["1", "2.5", "other", "missing"], [0.5, 0.25, 0.0, 0.25], [0.25, 0.25, 0.5, 0.0])


def test_many_values_are_binned_between_the_outer_percentiles() -> None:
    generator = np.random.default_rng(0)
    real, synthetic = generator.normal(0, 2000, size=(2, 5000))
    real[0] = 1e9
    synthetic[:1000] = np.nan
    found = histogram.numbers(number(), real, synthetic)
    assert len(found.labels) == 21
    assert found.labels[0].startswith("below -")
    assert found.labels[19].startswith("from ")
    assert found.labels[20] == "missing"
    assert sum(found.real) == pytest.approx(1)
    assert found.synthetic[-1] == 0.2
    assert max(found.real) < 0.2  # the outlier does not flatten the histogram


def test_a_number_of_almost_one_value_is_still_binned() -> None:
    real = np.concatenate([np.zeros(10_000), np.arange(1.0, 31.0)])
    found = histogram.numbers(number(), real, real)
    assert found.real == found.synthetic
    assert found.real[0] > 0.99
    assert len(found.labels) == 20


def test_dates_are_written_as_dates() -> None:
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=int(k)) for k in range(300)]
    table = pa.table({"day": days, "x": np.random.default_rng(0).normal(size=300).tolist()})
    schema = Schema.infer(table, overrides={"day": {"kind": "number"}})
    values = schema.cells(table).numbers["day"]
    labels = histogram.numbers(schema.column("day"), values, values).labels
    assert labels[0].startswith("below 2024-01-")
    assert labels[-1].startswith("from 2024-10-")


def test_written_moments_are_shown_in_their_form() -> None:
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=int(k)) for k in range(300)]
    table = pa.table({"day": [f"{day:%d.%m.%Y}" for day in days], "x": np.linspace(0, 1, 300).tolist()})
    schema = Schema.infer(table)
    values = schema.cells(table).numbers["day"]
    labels = histogram.numbers(schema.column("day"), values, values).labels
    assert labels[0] == "below 19.01.2024"  # 2 days, and a twentieth of 294, after the first
    assert labels[-1] == "from 08.10.2024"
    few = histogram.numbers(schema.column("day"), values[:3], values[1:4]).labels
    assert few == ["01.01.2024", "02.01.2024", "03.01.2024", "other"]


@pytest.mark.parametrize("share", [np.linspace(-1, 1, 101), np.append(np.linspace(0.9, 1, 59), -1.0)])
def test_a_range_that_no_float_holds_is_binned(share: np.ndarray) -> None:
    largest = float(np.finfo(np.float64).max)
    real = share * largest
    found = histogram.numbers(number(minimum=-largest, maximum=largest), real, np.array([-largest, largest]))
    assert len(found.labels) == 20
    assert sum(found.real) == pytest.approx(1)
    assert found.synthetic == [0.5, *[0.0] * 18, 0.5]
