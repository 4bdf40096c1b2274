"""Fine structure of differences and sums that a model blurs is made that of the table, and nothing else is moved."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from scorewise.tabular.codec import Codec
from scorewise.tabular.ratio import adjustment
from scorewise.tabular.relation import Combination
from scorewise.tabular.spacing import Spacing, _missed, fit_spacings, spacings
from scorewise.tabular.table import to_arrow

_ROWS = 8_000


def _striped(seed: int, blur: float, sign: int = -1) -> dict[str, np.ndarray]:
    """Two smooth columns and a third; `b + sign a` is near a multiple of ten, but for a blur."""
    rng = np.random.default_rng(seed)
    a, other = rng.normal(200, 70, _ROWS), rng.normal(0, 50, _ROWS)
    stripe = 10 * np.rint(rng.normal(0, 60, _ROWS) / 10) + rng.normal(0, 0.5, _ROWS) + rng.normal(0, 1e-9 + blur, _ROWS)
    return {"a": a, "b": stripe - sign * a, "c": other}


def _off(values: Mapping[str, np.ndarray], sign: int) -> float:
    """Median distance of `b + sign a` from a multiple of ten: 2.5 where it has no structure."""
    distance = values["b"] + sign * values["a"]
    return float(np.median(np.abs(distance - 10 * np.rint(distance / 10))))


def _free(_: str, values: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.ones(len(values["a"]), dtype=bool)


def _as_it_is(_: str, values: np.ndarray) -> np.ndarray:
    return values


@pytest.mark.parametrize("sign", [-1, 1])
def test_blurred_stripes_become_those_of_the_table(sign: int) -> None:
    real, made = _striped(0, 0.0, sign), _striped(1, 10.0, sign)
    found = spacings(["a", "b", "c"], real, made, _free, _as_it_is)
    assert [(one.child, one.parent) for one in found] == [("b", Combination(("a",), (-sign,)))]
    fresh = _striped(2, 10.0, sign)  # rows that it was not fitted to
    moved = {**fresh, "b": found[0].apply(fresh["b"], found[0].parent.total(fresh), _free("b", fresh))}
    assert _off(real, sign) < 0.5
    assert _off(fresh, sign) > 2
    assert _off(moved, sign) < 0.7
    assert np.abs(moved["b"] - fresh["b"]).mean() < 5
    order = np.argsort(fresh["b"] + sign * fresh["a"])
    assert (np.diff((moved["b"] + sign * moved["a"])[order]) >= 0).all()


def test_what_is_right_and_what_few_rows_tell_is_left_alone() -> None:
    names = ["a", "b", "c"]
    assert spacings(names, _striped(0, 0.0), _striped(1, 0.0), _free, _as_it_is) == ()
    assert spacings(names, _striped(0, 10.0), _striped(1, 10.0), _free, _as_it_is) == ()
    assert spacings(["b"], _striped(0, 0.0), _striped(1, 10.0), _free, _as_it_is) == ()
    few = {name: values[:900] for name, values in _striped(1, 10.0).items()}
    assert spacings(names, _striped(0, 0.0), few, _free, _as_it_is) == ()
    assert spacings(names, few, _striped(0, 0.0), _free, _as_it_is) == ()


def test_a_map_that_spoils_more_than_it_mends_is_not_kept() -> None:
    real, made = _striped(0, 0.0), _striped(1, 10.0)
    names = ["a", "b", "c"]

    def spoilt(_: str, values: np.ndarray) -> np.ndarray:
        return np.rint(values / 40) * 40  # where the moved values would all come to few points

    assert len(spacings(names, real, made, _free, _as_it_is)) == 1
    assert spacings(names, real, made, _free, spoilt) == ()


def test_rows_that_may_not_be_moved_or_have_no_distance_stay() -> None:
    spacing = Spacing("b", Combination.column("a"), np.array([0.0, 10.0]), np.array([1.0, 13.0]))
    a, b = np.array([0.0, 0.0, 0.0, 0.0, np.nan, 5.0]), np.array([5.0, -2.0, 14.0, 5.0, 5.0, 5.0])
    movable = np.array([True, True, True, False, True, True])
    moved = spacing.apply(b, a, movable)
    np.testing.assert_array_equal(moved, [7.0, -1.0, 17.0, 5.0, 5.0, 5.0])  # the ends are shifted as a whole


def test_values_that_many_rows_share_stay_and_moved_ones_come_to_the_grid() -> None:
    def frame(seed: int, blur: float) -> pd.DataFrame:
        made = pd.DataFrame(_striped(seed, blur)).round(1)
        common = np.random.default_rng(seed + 5).random(_ROWS)
        made.loc[common < 0.2, "b"] = 0.0
        made.loc[common > 0.95, "b"] = np.nan
        return made

    real, fake = frame(0, 0.0), frame(1, 10.0)
    codec = Codec.fit(real)
    rows = codec.choose(codec.encode(fake))
    found = fit_spacings(codec, codec.schema.cells(to_arrow(real)).numbers, rows, adjustment(()))
    assert [(one.child, one.parent) for one in found] == [("b", Combination.column("a"))]
    plain, mended = (codec.restore(rows, adjust=adjustment(maps)).to_pandas() for maps in ((), found))
    still = (plain["b"] == 0) | plain["b"].isna()
    assert still.mean() > 0.2
    assert mended["b"][still].equals(plain["b"][still])
    assert mended[["a", "c"]].equals(plain[["a", "c"]])
    assert np.array_equal(mended["b"].round(1), mended["b"], equal_nan=True)
    assert mended["b"].between(real["b"].min(), real["b"].max())[~mended["b"].isna()].all()
    free = {name: mended[name].to_numpy()[~still] for name in "abc"}
    assert _off(free, -1) < 0.9


def test_huge_numbers_are_no_trouble() -> None:
    rng = np.random.default_rng(0)
    huge = {name: rng.choice([-1e308, 1e308], _ROWS) * rng.random(_ROWS) for name in "abc"}
    codec = Codec.fit(pd.DataFrame(huge))
    rows = codec.choose(rng.normal(size=(_ROWS, codec.layout.width)))
    found = fit_spacings(codec, huge, rows, adjustment(()))
    assert np.isfinite(codec.restore(rows, adjust=adjustment(found)).to_pandas()).all(axis=None)


def test_moments_are_left_alone() -> None:
    def frame(seed: int, blur: float) -> pd.DataFrame:
        seconds = pd.DataFrame(_striped(seed, blur, sign=1))[["a", "b"]] * 86_400
        return seconds.apply(lambda column: pd.Timestamp("2020-01-01") + pd.to_timedelta(column.round(), unit="s"))

    real, fake = frame(0, 0.0), frame(1, 10.0)
    codec = Codec.fit(real)
    assert all(number.gap is None for number in codec.structure.numbers.values())
    rows = codec.choose(codec.encode(fake))
    assert fit_spacings(codec, codec.compared(to_arrow(real)), rows, adjustment(())) == ()


def test_what_is_told_from_another_column_is_compared_with_and_not_moved() -> None:
    def frame(seed: int, blur: float, other: float = 0.0) -> pd.DataFrame:
        made = pd.DataFrame(_striped(seed, blur)).round(2)
        steps = np.random.default_rng(seed).choice([0.0, 25.0, 50.0], _ROWS) + 3 * other * (made["c"] > 0)
        return made.assign(told=(made["a"] + steps).round(2))[["a", "told", "b"]]

    real, fake = frame(0, 0.0), frame(1, 10.0, other=1.0)
    codec = Codec.fit(real)
    assert codec.structure.numbers["told"].gap is not None
    found = fit_spacings(codec, codec.compared(to_arrow(real)), codec.choose(codec.encode(fake)), adjustment(()))
    assert [one.child for one in found] == ["b"]


def test_what_is_missed_is_the_relative_entropy_beyond_chance() -> None:
    rng = np.random.default_rng(0)
    real, same = rng.normal(size=(2, 100_000))
    assert abs(_missed(real, same)) < 0.0005
    shifted = rng.normal(0.2, 1, 100_000)
    assert _missed(real, shifted) == pytest.approx(0.2**2 / 2, rel=0.1)
    assert _missed(real[:100], shifted) == 0.0
    assert _missed(np.where(real > 3, np.nan, real), same) == pytest.approx(0.0, abs=0.002)
