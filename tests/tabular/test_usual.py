"""Categories that another one nearly determines: which are found, and that they come back."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from scorewise.tabular.codec import Codec
from scorewise.tabular.structure import MOST_ONE_HOT
from scorewise.tabular.synthesizer import Synthesizer
from scorewise.tabular.table import to_arrow
from scorewise.tabular.usual import Usual, find_usual

_ROWS, _PARKS, _TEAMS = 1_200, 150, 30


def _games(seed: int, exceptions: float, rows: int = _ROWS, parks: int = _PARKS) -> dict[str, np.ndarray]:
    """Parks of few games each, whose team is that of the park but for exceptions; and a category of its own."""
    rng = np.random.default_rng(seed)
    park = (parks * rng.random(rows) ** 1.5).astype(np.int64)
    team = np.where(rng.random(rows) < exceptions, rng.integers(0, _TEAMS, rows), 7 * park % _TEAMS)
    return {"park": park, "team": team, "day": rng.integers(0, 7, rows)}


_LEVELS = {"park": _PARKS, "team": _TEAMS, "day": 7}


def _pairs(codes: dict[str, np.ndarray], levels: dict[str, int]) -> list[tuple[str, str]]:
    return [(one.child, one.parent) for one in find_usual(codes, levels)]


def test_a_category_is_told_by_the_one_that_nearly_determines_it() -> None:
    games = _games(0, 0.05)
    (usual,) = find_usual(games, _LEVELS)
    assert (usual.child, usual.parent) == ("team", "park")
    told = usual.told(games["team"], games["park"])
    assert np.array_equal(usual.codes(told, games["park"]), games["team"])
    assert (told == 0).mean() > 0.93
    common = np.bincount(games["park"], minlength=_PARKS) >= 8
    assert np.array_equal(usual.table[common], 7 * np.arange(_PARKS)[common] % _TEAMS)


@pytest.mark.parametrize("exceptions", [0.2, 1.0])
def test_where_much_is_left_to_tell_nothing_is_found(exceptions: float) -> None:
    assert _pairs(_games(0, exceptions), _LEVELS) == []


def test_many_levels_of_few_rows_determine_anything_and_foretell_nothing() -> None:
    rng = np.random.default_rng(0)
    codes = {"name": rng.integers(0, 3_000, _ROWS), "word": rng.integers(0, 8, _ROWS)}
    counts = pd.crosstab(codes["name"], codes["word"])
    assert counts.max(axis=1).sum() / _ROWS > 0.7  # in hindsight most words are those of their name
    assert _pairs(codes, {"name": 3_000, "word": 8}) == []


def test_few_rows_and_a_level_that_nearly_all_have_are_no_evidence() -> None:
    assert _pairs({name: one[:99] for name, one in _games(0, 0.0, parks=20).items()}, _LEVELS) == []
    rng = np.random.default_rng(0)
    flag = np.arange(_ROWS) < 19
    codes = {"flag": flag.astype(np.int64), "place": np.where(flag, 11, rng.integers(0, 11, _ROWS))}
    assert _pairs(codes, {"flag": 2, "place": 12}) == []  # 19 rows tell
    assert find_usual({}, {}) == []


def test_levels_of_single_rows_have_the_most_frequent_one() -> None:
    games = _games(0, 0.05)
    games["park"][:3], games["team"][:3] = [_PARKS, _PARKS + 1, _PARKS + 1], [4, 5, 6]
    (usual,) = find_usual(games, {**_LEVELS, "park": _PARKS + 2})
    most = np.bincount(games["team"]).argmax()
    assert most not in {4, 5, 6}
    assert (usual.table[_PARKS:] == most).all()


def test_chains_are_in_order_and_no_category_depends_on_itself() -> None:
    games = _games(0, 0.02)
    twin = np.where(np.random.default_rng(1).random(_ROWS) < 0.01, 0, games["team"])
    league = games["team"] % 3
    found = find_usual({"league": league, "twin": twin, **games}, {"league": 3, "twin": _TEAMS, **_LEVELS})
    assert [(one.child, one.parent) for one in found] == [("team", "park"), ("twin", "team"), ("league", "team")]
    found = find_usual({"twin": twin, "team": games["team"], "day": games["day"]}, {**_LEVELS, "twin": _TEAMS})
    assert len(found) == 1  # each tells the other


def _frame(seed: int) -> pd.DataFrame:
    games = _games(seed, 0.05)
    frame = pd.DataFrame({name: [f"{name} {code}" for code in codes] for name, codes in games.items()})
    frame["score"] = np.random.default_rng(seed).normal(size=_ROWS).round(2)
    frame.loc[np.random.default_rng(seed + 1).random(_ROWS) < 0.1, "team"] = None
    return frame


def test_a_table_comes_back_and_noise_gives_usual_teams() -> None:
    frame = _frame(0)
    codec = Codec.fit(frame)
    assert [(one.child, one.parent) for one in codec.structure.usual] == [("team", "park")]
    pd.testing.assert_frame_equal(codec.decode(codec.encode(frame)).to_pandas(), frame, check_dtype=False)
    x = np.random.default_rng(1).normal(size=(200, codec.layout.width))
    twin = Codec.from_parts(json.loads(json.dumps(codec.to_json())), codec.arrays())
    assert twin.decode(x).equals(codec.decode(x))
    others = codec.arrays() | {"usual.0": codec.arrays()["usual.0"][1:]}
    with pytest.raises(ValueError, match="what is usual of 'team' by 'park' has shape"):
        Codec.from_parts(codec.to_json(), others)
    others = codec.arrays() | {
        "usual.0": torch.zeros(len(codec.structure.numbers["score"].values) + 1, dtype=torch.int64)
    }
    with pytest.raises(ValueError, match="what is usual of 'team' by 'score' has shape"):
        Codec.from_parts({**codec.to_json(), "usual": [["team", "score"]]}, others)


def test_categories_of_hundreds_of_levels_are_told_as_well() -> None:
    rng = np.random.default_rng(0)
    model = rng.integers(0, 900, 8_000)
    frame = pd.DataFrame({"model": model, "make": model % 400, "x": rng.normal(size=8_000)})
    frame["make"] = frame["make"].where(rng.random(8_000) > 0.02, rng.integers(0, 400, 8_000))
    frame = frame.astype({"model": "category", "make": "category"})
    codec = Codec.fit(frame)
    assert [(one.child, one.parent) for one in codec.structure.usual] == [("make", "model")]
    assert {"model", "make"} <= codec.structure.digits.keys()
    assert codec.structure.levels["make"] > MOST_ONE_HOT
    pd.testing.assert_frame_equal(codec.decode(codec.encode(frame)).to_pandas(), frame, check_categorical=False)


def _sales(seed: int) -> pd.DataFrame:
    """Articles of few sales each, of one price but for discounts; some prices are missing."""
    rng = np.random.default_rng(seed)
    article = (250 * rng.random(2_000) ** 1.5).astype(int)
    price = np.random.default_rng(9).lognormal(3, 1, 250).round(2)[article]
    price = np.where(rng.random(2_000) < 0.06, (price * rng.uniform(0.5, 0.95, 2_000)).round(2), price)
    return pd.DataFrame(
        {
            "price": np.where(rng.random(2_000) < 0.04, np.nan, price),
            "article": [f"article {number}" for number in article],
            "count": rng.poisson(3, 2_000),
            "weight": rng.lognormal(0, 1, 2_000).round(3),
        }
    )


def test_a_number_is_told_by_the_category_that_nearly_determines_it() -> None:
    sales = _sales(0)
    codec = Codec.fit(sales)
    (usual,) = codec.structure.usual
    assert (usual.child, usual.parent) == ("price", "article")
    table = to_arrow(sales)
    values = codec.compared(table)
    assert set(values) == {"price", "weight", usual.column}
    assert (values[usual.column] == sales["price"]).mean() > 0.85
    low, high, mode = codec.structure.numbers["price"].encode("price", values)
    assert np.array_equal(mode == 1, values[usual.column] == sales["price"])
    assert np.array_equal(mode == 2, sales["price"].isna())
    assert (low <= high).all()
    pd.testing.assert_frame_equal(codec.decode(codec.encode(sales)).to_pandas(), sales, check_dtype=False)
    x = np.random.default_rng(1).normal(size=(200, codec.layout.width))
    twin = Codec.from_parts(json.loads(json.dumps(codec.to_json())), codec.arrays())
    assert twin.decode(x).equals(codec.decode(x))


def test_a_number_of_recurring_values_tells_later_numbers() -> None:
    sales = pd.concat([_sales(0)] * 3, ignore_index=True)
    sales["article"] = sales["article"].str[8:].astype(int) * 7 + 10_000
    sales.loc[:299, "article"] = 50_000 + 7 * np.arange(300)  # of one sale each
    sales["maker"] = "maker " + (sales["article"] // 70).astype(str)
    sales.loc[np.arange(len(sales)) % 31 == 0, "maker"] = "maker 0"
    later = sales[["article", "maker", "price", "weight", "count"]]
    codec = Codec.fit(later)
    assert [(one.child, one.parent) for one in codec.structure.usual] == [("price", "article")]
    pd.testing.assert_frame_equal(codec.decode(codec.encode(later)).to_pandas(), later, check_dtype=False)
    made = codec.decode(np.random.default_rng(1).normal(size=(5_000, codec.layout.width))).to_pandas()
    assert set(made["article"]) <= set(sales["article"])
    x = np.random.default_rng(1).normal(size=(200, codec.layout.width))
    twin = Codec.from_parts(json.loads(json.dumps(codec.to_json())), codec.arrays())
    assert twin.decode(x).equals(codec.decode(x))


def test_numbers_are_told_by_those_before_them_and_categories_by_categories() -> None:
    rng = np.random.default_rng(0)
    article = rng.integers(0, 100, _ROWS)
    noisy = np.where(rng.random(_ROWS) < 0.02, 0, article)
    codes = {"article": noisy, "shelf": noisy // 4}
    levels = {"article": 100, "shelf": 25}
    numbers = {"code": article * 3.0 + 5, "price": np.round(np.exp(article / 30), 2)}
    known = {name: np.unique(values) for name, values in numbers.items()}
    found = {one.child: one.parent for one in find_usual(codes, levels, numbers, known)}
    assert found == {"shelf": "article", "code": "article", "price": "article"}
    found = {one.child: one.parent for one in find_usual({}, {}, numbers, known)}
    assert found == {"price": "code"}
    found = {one.child: one.parent for one in find_usual({"shelf": noisy // 4}, {"shelf": 25}, numbers, known)}
    assert found == {"price": "code"}


def test_what_is_told_from_a_number_before_it_is_not_told_twice() -> None:
    sales = _sales(0)
    sales["paid"] = (sales["price"] - np.random.default_rng(3).choice([0.0, 0.5], len(sales), p=[0.9, 0.1])).round(2)
    codec = Codec.fit(sales)
    assert [one.child for one in codec.structure.usual] == ["price"]
    assert codec.structure.numbers["paid"].gap is not None
    pd.testing.assert_frame_equal(codec.decode(codec.encode(sales)).to_pandas(), sales, check_dtype=False)


def test_numbers_that_say_little_of_each_other_and_moments_are_not_told() -> None:
    sales = _sales(0)
    sales["price"] = np.random.default_rng(3).permutation(sales["price"])
    assert Codec.fit(sales).structure.usual == ()
    sales = _sales(0)
    sales["price"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(sales["price"].round(), unit="D")
    assert Codec.fit(sales).structure.usual == ()


def test_a_fitted_table_keeps_prices(tmp_path: Path) -> None:
    sales = _sales(0)
    fitted = Synthesizer(seed=0, time_limit=0.05).fit(sales)
    fake = fitted.sample(1_000, seed=1)
    usual = sales.groupby("article")["price"].agg(lambda prices: prices.mode().iloc[0])
    known = fake["price"].notna() & fake["article"].map(sales["article"].value_counts()).ge(5)
    assert (fake["price"] == fake["article"].map(usual))[known].mean() > 0.8
    fitted.save(tmp_path / "model")
    pd.testing.assert_frame_equal(Synthesizer.load(tmp_path / "model").sample(1_000, seed=1), fake)


def test_a_fitted_table_keeps_what_goes_together() -> None:
    frame = _frame(0)
    fake = Synthesizer(seed=0, time_limit=0.05).fit(frame).sample(1_000, seed=1)
    usual = frame.groupby("park")["team"].agg(lambda teams: teams.mode().iloc[0] if teams.notna().any() else None)
    there = fake["team"].notna() & fake["park"].map(frame["park"].value_counts()).ge(8)
    assert (fake["team"] == fake["park"].map(usual))[there].mean() > 0.85
    assert fake["team"].isna().mean() == pytest.approx(frame["team"].isna().mean(), abs=0.04)


def test_the_codes_are_the_inverse_of_what_is_told() -> None:
    usual = Usual("b", "a", np.array([2, 0]))
    child, parent = np.array([2, 1, 0, 0]), np.array([0, 0, 0, 1])
    assert usual.told(child, parent).tolist() == [0, 2, 1, 0]
    assert usual.codes(usual.told(child, parent), parent).tolist() == child.tolist()


_COUNTRIES = [f"country {i:02}" for i in range(40)]


def _births(rows: int = 6_000, alike: float = 0.75) -> pd.DataFrame:
    """Countries of birth of both parents: four in five are of one; else mostly the same; and of a child."""
    rng = np.random.default_rng(5)
    abroad = 2 + (38 * rng.random((2, rows)) ** 2).astype(int)
    home = rng.random((2, rows)) < 0.8
    home[1] = np.where(rng.random(rows) < 0.9, home[0], home[1])
    father, mother = np.where(home, 1, abroad)
    mother = np.where(~home.any(axis=0) & (rng.random(rows) < alike), father, mother)
    child = np.where(rng.random(rows) < 0.5, 1, mother)
    names = {
        name: np.array(_COUNTRIES)[one] for name, one in (("father", father), ("mother", mother), ("child", child))
    }
    names["father"][:3] = _COUNTRIES[0]  # so that the codes of a country differ
    names["child"] = np.array(_COUNTRIES)[child]
    return pd.DataFrame({**names, "age": rng.integers(18, 90, rows)})


def _coded(frame: pd.DataFrame) -> tuple[dict[str, np.ndarray], dict[str, int], dict[str, list[str]]]:
    some = {name: pd.Categorical(frame[name]) for name in ("father", "mother", "child")}
    labels = {name: one.categories.tolist() for name, one in some.items()}
    codes = {name: np.where(one.codes < 0, len(labels[name]), one.codes) for name, one in some.items()}
    return codes, {name: len(one) + 1 for name, one in labels.items()}, labels


def test_the_same_level_is_usual_where_a_category_often_repeats_another_one() -> None:
    frame = _births()
    frame.loc[:30, "mother"] = None
    codes, levels, labels = _coded(frame)
    assert find_usual(codes, levels) == []  # too much is left to tell
    found = find_usual(codes, levels, labels=labels)
    assert {frozenset((one.child, one.parent)) for one in found} == {
        frozenset(("mother", "father")),
        frozenset(("mother", "child")),
    }
    for one in found:
        told = one.told(codes[one.child], codes[one.parent])
        assert np.array_equal(one.codes(told, codes[one.parent]), codes[one.child])
        for code, label in enumerate(labels[one.parent]):
            if label in labels[one.child]:
                assert labels[one.child][one.table[code]] == label


@pytest.mark.parametrize(("alike", "many", "same"), [(0.2, True, True), (0.75, False, True), (0.75, True, False)])
def test_categories_that_seldom_repeat_another_one_or_of_few_levels_are_told_alone(
    alike: float, many: bool, same: bool
) -> None:
    frame = _births(alike=alike).assign(child="none")
    if not many:
        frame = frame.replace(_COUNTRIES[15:], _COUNTRIES[14])
    if not same:
        frame["mother"] = "of " + frame["mother"]
    codes, levels, labels = _coded(frame)
    assert find_usual(codes, levels, labels=labels) == []


@pytest.mark.parametrize("shares", [((0.9, 0.0), (0.9, 0.0)), ((0.0, 0.7), (0.5, 0.45))])
def test_what_is_frequent_in_both_is_no_repeat(shares: tuple[tuple[float, float], tuple[float, float]]) -> None:
    rng = np.random.default_rng(6)
    first, second = (rng.choice([7, 8, 39], _ROWS, p=[one, other, 1 - one - other]) for one, other in shares)
    first, second = (np.where(one == 39, rng.integers(0, 40, _ROWS), one) for one in (first, second))
    labels = {"first": _COUNTRIES, "second": _COUNTRIES}
    assert find_usual({"first": first, "second": second}, {"first": 41, "second": 41}, labels=labels) == []


def test_few_rows_are_no_evidence_of_repeats() -> None:
    codes, levels, labels = _coded(_births().head(1_000).assign(child="none"))
    assert [(one.child, one.parent) for one in find_usual(codes, levels, labels=labels)] == [("mother", "father")]
    codes, levels, labels = _coded(_births().head(600).assign(child="none"))
    assert find_usual(codes, levels, labels=labels) == []


def test_a_sample_repeats_countries_as_often_as_the_table() -> None:
    frame = _births(rows=3_000)
    codec = Codec.fit(frame)
    assert len(codec.structure.usual) == 2
    assert codec.decode(codec.encode(frame)).to_pandas().equals(frame)
    fake = Synthesizer(seed=0, time_limit=0.05).fit(frame).sample(3_000, seed=1)
    for first, second, abroad in (("father", "mother", "father"), ("mother", "child", "child")):
        real, made = ((one[first] == one[second])[one[abroad] != _COUNTRIES[1]].mean() for one in (frame, fake))
        assert abs(made - real) < 0.2  # of levels that are matched one by one, 0.02 is made where 0.67 is real
