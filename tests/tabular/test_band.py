"""Columns that say in which band a number lies: found where every row agrees, and looked up in what is decoded."""

import json

import numpy as np
import pandas as pd
import pytest

from scorewise.tabular.band import FEWEST_EACH, MOST_BANDS, find_bands
from scorewise.tabular.codec import Codec
from scorewise.tabular.protection import protect
from scorewise.tabular.schema import Schema
from scorewise.tabular.table import to_arrow

_ROWS = 3_000


def _people(rows: int = _ROWS, seed: int = 0) -> pd.DataFrame:
    """Incomes and their classes, a pressure that is normal or not, when somebody came, and in which period that was."""
    rng = np.random.default_rng(seed)
    income, pressure = rng.lognormal(10, 0.8, rows).round(2), rng.normal(120, 20, rows).round(3)
    came = pd.Timestamp("2015-01-01") + pd.to_timedelta(rng.integers(0, 10**8, rows), unit="s")
    frame = pd.DataFrame(
        {"income": income, "pressure": pressure, "came": came, "other": rng.normal(size=rows).round(3)}
    )
    frame["class"] = np.array(["low", "middle", "high"])[np.searchsorted([15_000, 40_000], income, "right")]
    frame["rate"] = np.array([0.0, 14.5, 25.0, 42.0])[np.searchsorted([9_000, 20_000, 60_000], income, "right")]
    frame["normal"] = np.where((pressure >= 90) & (pressure < 140), "yes", "no")
    frame["period"] = np.where(came < pd.Timestamp("2016-07-11 12:00"), "before", "after")
    frame.loc[::11, ["pressure", "normal"]] = [np.nan, None]
    return frame


def _codes(values: "pd.Series[str]") -> np.ndarray:
    return np.asarray(pd.factorize(values, use_na_sentinel=False)[0])


def test_bands_begin_at_round_numbers_whatever_the_order_of_their_codes() -> None:
    people = _people()
    numbers = {name: people[name].to_numpy() for name in ("other", "income", "pressure")}
    found = {band.child: band for band in find_bands({n: _codes(people[n]) for n in ("class", "normal")}, numbers)}
    assert found["class"].parent == "income"
    assert found["class"].cuts.tolist() == [15_000, 40_000]
    assert found["normal"].parent == "pressure"
    assert found["normal"].cuts.tolist() == [90, 140]
    for name, band in found.items():
        assert np.array_equal(band.of(numbers[band.parent]), _codes(people[name]))
    new = np.array([14_999.99, 15_000, 39_999.99, 40_000, 10**9])
    classes = found["class"].of(new)
    assert len(set(classes[:1])) == 1
    assert classes[1] == classes[2] != classes[0] != classes[3] == classes[4]


def test_what_is_above_zero_is_above_zero_however_little() -> None:
    hours = np.where(np.arange(_ROWS) % 3 == 0, 0.0, np.random.default_rng(3).integers(12, 3_000, _ROWS))
    (band,) = find_bands({"works": (hours > 0).astype(int)}, {"hours": hours})
    assert band.of(np.array([0.0, 1.0, 1e-9, 11.0, np.nan])).tolist()[:4] == [0, 1, 1, 1]
    (band,) = find_bands({"loses": (hours - 500 < 0).astype(int)}, {"left": hours - 500})
    assert band.of(np.array([-0.01, 0.0, 0.01])).tolist() == [1, 0, 0]


@pytest.mark.parametrize("exceptions", [1, 5])
def test_one_row_that_does_not_agree_and_nothing_is_found(exceptions: int) -> None:
    people = _people()
    codes = _codes(people["class"])
    richest = np.argsort(people["income"].to_numpy())[-exceptions:]
    codes[richest] = codes[np.argmin(people["income"])]
    assert find_bands({"class": codes}, {"income": people["income"].to_numpy()}) == []


def test_few_rows_equal_values_and_many_bands_are_no_evidence() -> None:
    rng = np.random.default_rng(1)
    x = np.sort(rng.normal(size=_ROWS))
    rows = np.arange(_ROWS)
    assert find_bands({"c": (rows >= FEWEST_EACH - 1).astype(int)}, {"x": x}) == []  # a band of nine rows
    assert find_bands({"c": (rows >= _ROWS - 19).astype(int)}, {"x": x}) == []  # 19 rows tell
    assert len(find_bands({"c": (rows >= _ROWS - 20).astype(int)}, {"x": x})) == 1
    many = rows * (MOST_BANDS + 1) // _ROWS
    assert find_bands({"c": many}, {"x": x}) == []
    assert len(find_bands({"c": np.minimum(many, MOST_BANDS - 1)}, {"x": x})) == 1
    tied = np.where((rows > 1_490) & (rows < 1_510), x[1_500], x)
    assert find_bands({"c": (rows >= 1_500).astype(int)}, {"x": tied}) == []  # one value, two codes
    assert find_bands({"c": rng.integers(0, 3, _ROWS)}, {"x": x}) == []
    gone = np.where(rows % 7 == 0, np.nan, x)
    assert find_bands({"c": (rows >= 1_500).astype(int)}, {"x": gone}) == []  # missing, and both codes
    few_gone = np.where(rows % 150 == 0, np.nan, x)
    assert find_bands({"c": (rows >= 1_500).astype(int)}, {"x": few_gone}) == []
    half = rows >= 1_500
    turns = 2 * (rows % 1_500 // 300) + half + rows % 300 / 300  # the halves in five turns each
    (band,) = find_bands({"c": half.astype(int)}, {"turns": turns, "x": x})
    assert (band.parent, len(band.cuts)) == ("x", 1)
    assert find_bands({}, {}) == []


def test_a_table_comes_back_and_whatever_is_decoded_is_in_its_band() -> None:
    people = _people()
    codec = Codec.fit(people)
    parents = {band.child: band.parent for band in codec.structure.determined.bands}
    assert parents == {"class": "income", "rate": "income", "normal": "pressure", "period": "came"}
    assert not {name for name, _ in codec.names} & {"class", "normal", "period"}
    assert "rate" not in codec.scored
    read = Codec.from_parts(json.loads(json.dumps(codec.to_json())), codec.arrays())
    x = codec.encode(people, seed=1)
    for one in (codec, read):
        assert one.decode(x).equals(to_arrow(people).cast(one.decode(x).schema))
    made = read.decode(np.random.default_rng(2).normal(size=(2_000, codec.layout.width))).to_pandas()
    classes = np.array(["low", "middle", "high"])[np.searchsorted([15_000, 40_000], made["income"], "right")]
    rates = np.array([0.0, 14.5, 25.0, 42.0])[np.searchsorted([9_000, 20_000, 60_000], made["income"], "right")]
    assert np.array_equal(made["class"], classes)
    assert np.array_equal(made["rate"], rates)
    there = made["pressure"].notna()
    assert np.array_equal(there, made["normal"].notna())
    assert np.array_equal(made["pressure"].between(90, 140, "left")[there], made["normal"][there] == "yes")
    assert len(set(made["period"])) == 2


def test_what_is_hidden_of_a_number_is_hidden_of_its_band() -> None:
    people = to_arrow(_people())
    hidden = protect(people, Schema.infer(people)).to_pandas()
    classes = np.array(["low", "middle", "high"])[np.searchsorted([15_000, 40_000], hidden["income"], "right")]
    assert np.array_equal(hidden["class"], classes)
    assert hidden["income"].max() < people["income"].to_pandas().max()


def test_bands_that_do_not_fit_are_refused() -> None:
    codec = Codec.fit(_people())
    said, arrays = codec.to_json(), codec.arrays()
    with pytest.raises(ValueError, match="must begin at increasing numbers"):
        Codec.from_parts(said, {**arrays, "band.0.cuts": arrays["band.0.cuts"].flip(0)})
    child, _, gone = said["bands"][0]
    with pytest.raises(ValueError, match="relations must be of columns that can be learned"):
        Codec.from_parts({**said, "bands": [[child, "normal", gone], *said["bands"][1:]]}, arrays)
