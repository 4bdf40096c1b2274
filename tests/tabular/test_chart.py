"""Tests of the figures of the page, read back from the page: strips, histograms, map, gauge and curves."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorewise.tabular.page import render
from scorewise.tabular.report import ColumnReport, Report
from scorewise.tabular.score import Score

NAN = math.nan


def test_strips_have_the_best_at_the_left(report: Callable[..., Report], page_of: Callable[[Report], Any]) -> None:
    best = {
        "shapes": 0.0,
        "detection_linear": 1.0,
        "detection": 0.5,
        "alpha_precision": 1.0,
        "closer_to_train": 0.5,
        "exact_copies": 0.3,
        "singled_out": 0.3,
    }
    worst = {
        "shapes": 1.0,
        "detection_linear": 0.0,
        "detection": 1.0,
        "closer_to_train": 1.0,
        "exact_copies": 1.0,
        "singled_out": 1.0,
    }
    for values, place in ((best, "2.0%"), (worst, "98.0%")):
        page = page_of(report(scores={key: Score(value, 0.0, 0.3) for key, value in values.items()}))
        strips = [found for tag, found, path in page.elements if tag == "circle" and "table" in path]
        assert [strip["cx"] for strip in strips] == [place] * len(values)


def test_columns_come_by_error_largest_first(
    report: Callable[..., Report], number: Callable[..., ColumnReport], page_of: Callable[[Report], Any]
) -> None:
    errors = {"a": 0.01, "b": 0.3, "c": NAN, "d": 0.02}
    page = page_of(report(columns=tuple(number(name, error) for name, error in errors.items())))
    assert [found["title"] for found in page.all("h3") if "title" in found] == ["b", "d", "a", "c"]


def test_columns_beyond_the_first_two_dozen_are_folded(
    report: Callable[..., Report],
    number: Callable[..., ColumnReport],
    page_of: Callable[[Report], Any],
    cases: dict[str, Report],
) -> None:
    page = page_of(cases["hundred columns"])
    folded = ["details" in path for tag, found, path in page.elements if tag == "article"]
    assert folded == [False] * 24 + [True] * 76
    assert "76 more columns" in page.text
    assert not page_of(report(columns=tuple(number(str(k)) for k in range(24)))).all("details")


def outline(path: str) -> list[list[float]]:
    """The heights of a histogram's bars, as shares of the tallest, read back from its path."""
    return [
        [(90 - float(height)) / (0.97 * 90) for height in re.findall(r"V([\d.]+)H", part)]
        for part in path.split("M")[1:]
    ]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=3, max_size=40), st.sampled_from([[], ["missing"], ["other", "missing"]]))
def test_histograms_have_the_heights_of_the_shares(
    report: Callable[..., Report],
    column: Callable[..., ColumnReport],
    page_of: Callable[[Report], Any],
    shares: list[float],
    apart: list[str],
) -> None:
    labels = [*(str(k) for k in range(len(shares) - len(apart))), *apart]
    drawn = column("x", "number", 0.1, labels, shares, shares[::-1])
    page = page_of(report(columns=(drawn,)))
    top = max(shares) or 1.0
    for name, values in (("real", shares), ("synthetic", shares[::-1])):
        [found] = [path["d"] for path in page.all("path", class_=name)]
        heights = outline(found)
        assert len(heights) == 1 + len(apart)
        assert np.concatenate(heights) == pytest.approx([value / top for value in values], abs=1e-3)


def test_histograms_name_their_ends_and_the_missing(
    report: Callable[..., Report], number: Callable[..., ColumnReport]
) -> None:
    with_missing = render(report(columns=(number("x", missing=True),)))
    assert re.search(r'>0</span><span[^>]*>4</span><span class="apart">missing</span>', with_missing)
    without = render(report(columns=(number("x"),)))
    assert re.search(r">0</span><span[^>]*>4</span></p>", without)


def test_categories_are_bars_in_percent_of_the_longest(
    report: Callable[..., Report], column: Callable[..., ColumnReport], page_of: Callable[[Report], Any]
) -> None:
    drawn = column("x", "category", 0.1, ["a", "b", "missing"], [0.5, 0.4, 0.1], [0.8, 0.1, 0.1])
    page = page_of(report(columns=(drawn,)))
    assert [bar["width"] for bar in page.all("rect", class_="real")] == ["62.5%", "50.0%", "12.5%"]
    assert [bar["width"] for bar in page.all("rect", class_="synthetic")] == ["100.0%", "12.5%", "12.5%"]
    assert "a 50.0 80.0 b 40.0 10.0 missing 10.0 10.0" in page.text


def squares(page: Any) -> list[dict[str, str]]:
    return [found for tag, found, _ in page.elements if tag == "rect" and re.fullmatch(r"q\d", found.get("class", ""))]


def test_map_has_a_square_for_each_pair_and_a_name_for_each_column(
    report: Callable[..., Report], number: Callable[..., ColumnReport], page_of: Callable[[Report], Any]
) -> None:
    names = [f"column {k}" for k in range(7)]
    page = page_of(report(columns=tuple(number(name) for name in names)))
    legend = 7 + 2
    assert len(squares(page)) == legend + 7 * 6 // 2
    titles = [text for text in page.texts if " with " in text and "floor" in text and text.startswith("column")]
    assert len(set(titles)) == 7 * 6 // 2
    assert set(names) <= set(page.texts)


def test_map_shows_the_worst_forty_columns_and_says_so(
    report: Callable[..., Report], page_of: Callable[[Report], Any]
) -> None:
    names = tuple(f"column {k}" for k in range(60))
    errors: list[list[float | None]] = [[None if i == j else (i + j) / 1000 for j in range(60)] for i in range(60)]
    page = page_of(report(columns=(), pair_names=names, pair_errors=errors, pair_floors=[]))
    assert "Shown are the 40 worst of 60 columns." in page.text
    assert len(squares(page)) == 7 + 2 + 40 * 39 // 2
    assert "column 20" in page.texts
    assert "column 19" not in page.texts
    assert "Shown are" not in page_of(report()).text


@pytest.mark.parametrize(
    ("error", "floor", "small"), [(0.0149, 0.01, True), (0.0151, 0.01, False), (0.0001, None, False)]
)
def test_map_makes_small_what_is_at_its_floor(
    report: Callable[..., Report],
    number: Callable[..., ColumnReport],
    page_of: Callable[[Report], Any],
    error: float,
    floor: float | None,
    small: bool,
) -> None:
    measured = report(
        columns=(number("a"), number("b")),
        pair_errors=[[None, error], [error, None]],
        pair_floors=[[None, floor], [floor, None]],
    )
    square = squares(page_of(measured))[-1]
    assert (float(square["width"]) < 20) == small
    assert square["width"] == square["height"]


@pytest.mark.parametrize(
    ("error", "step"),
    [(0.0, "q0"), (0.0049, "q0"), (0.005, "q1"), (0.03, "q3"), (0.159, "q5"), (0.16, "q6"), (1.0, "q6")],
)
def test_map_has_the_same_colours_on_every_page(
    report: Callable[..., Report],
    number: Callable[..., ColumnReport],
    page_of: Callable[[Report], Any],
    error: float,
    step: str,
) -> None:
    measured = report(
        columns=(number("a"), number("b")),
        pair_errors=[[None, error], [error, None]],
        pair_floors=[[None, None], [None, None]],
    )
    assert squares(page_of(measured))[-1]["class"] == step


def test_pairs_are_listed_by_excess_over_their_floor_ten_at_most(cases: dict[str, Report]) -> None:
    measured = cases["hundred columns"]
    html = render(measured)
    [listed] = re.findall(r'<ol class="worst">.*?</ol>', html, re.DOTALL)
    errors, floors = measured.pair_errors, measured.pair_floors
    pairs = [(errors[i][j] or 0.0, floors[i][j] or 0.0) for i in range(100) for j in range(i)]
    worst = sorted(pairs, key=lambda pair: pair[1] - pair[0])[:10]
    assert re.findall(r"<span>(\d+\.\d\d %)</span>", listed) == [f"{100 * error:.2f} %" for error, _ in worst]


@pytest.mark.parametrize(
    ("value", "place"), [(0.5, 50.0), (0.505, 54.8), (0.495, 45.2), (0.9, 88.4), (0.0, 2.0), (1.0, 98.0)]
)
def test_gauge_has_half_in_the_middle_and_room_for_the_value(
    report: Callable[..., Report],
    scores: Callable[..., dict[str, Score]],
    page_of: Callable[[Report], Any],
    value: float,
    place: float,
) -> None:
    page = page_of(report(scores=scores(closer_to_train=Score(value, 0.0, 0.5, 0.0))))
    [dot] = [found for found in page.all("circle", class_="dot") if found["r"] == "7"]
    assert float(dot["cx"].rstrip("%")) == pytest.approx(place, abs=0.05)


def test_gauge_is_replaced_by_the_reason(
    report: Callable[..., Report], scores: Callable[..., dict[str, Score]], page_of: Callable[[Report], Any]
) -> None:
    kept = {key: value for key, value in scores().items() if key != "closer_to_train"}
    text = page_of(report(scores=kept, skipped={"closer_to_train": "no test rows were given"})).text
    assert "held-out ones was not measured. No test rows were given." in text


def test_curve_is_there_only_with_a_trace(
    report: Callable[..., Report], page_of: Callable[[Report], Any], cases: dict[str, Report]
) -> None:
    assert "The loss had gone flat." in page_of(report()).text
    for case in ("no trace", "empty trace", "one step"):
        assert not [found for tag, found, _ in page_of(cases[case]).elements if found.get("id") == "training"]


def test_curve_runs_through_its_points(report: Callable[..., Report], page_of: Callable[[Report], Any]) -> None:
    trace = {"step": [0.0, 5.0, 10.0], "loss": [2.0, 1.0, 0.0]}
    [line] = [found["d"] for found in page_of(report(trace=trace)).all("path", class_="loss")][:1]
    assert line == "M0.0 0.0L500.0 200.0L1000.0 400.0"


def test_the_loss_on_new_rows_has_a_curve_of_its_own(
    report: Callable[..., Report], page_of: Callable[[Report], Any]
) -> None:
    trace = {"step": [0.0, 10.0], "loss": [2.0, 0.0], "check": [5.0, 10.0], "new rows": [1.0, 0.5]}
    page = page_of(report(trace=trace))
    assert page.all("path", class_="new")[0]["d"] == "M500.0 200.0L1000.0 300.0"
    assert "on rows held out" in page.text
    assert "on rows held out" not in page_of(report()).text


def test_curve_is_logarithmic_over_two_decades(report: Callable[..., Report], page_of: Callable[[Report], Any]) -> None:
    trace = {"step": [10.0, 100.0, 1000.0], "loss": [2.0, 1.0, 0.0]}
    page = page_of(report(trace=trace))
    assert page.all("path", class_="loss")[0]["d"] == "M0.0 0.0L500.0 200.0L1000.0 400.0"
    assert "logarithmic" in page.text
    short = page_of(report(trace={**trace, "step": [20.0, 100.0, 1000.0]}))
    assert "logarithmic scale" not in short.text.split("Training", 1)[-1].split("About")[0]


@settings(deadline=None, max_examples=30)
@given(*[st.floats(-1e6, 1e6)] * 3)
def test_labels_of_the_curves_do_not_cover_one_another(
    report: Callable[..., Report], one: float, two: float, three: float
) -> None:
    trace = {"step": [1.0, 2.0], "loss": [0.0, one], "numbers": [0.0, two], "categories": [0.0, three]}
    html = render(report(trace=trace))
    names = html[html.index('<div class="names">') : html.index('<div class="x"')]
    places = sorted(float(place) for place in re.findall(r"top:([-\d.]+)%", names))
    assert len(places) == 3
    assert all(later - earlier > 7.9 for earlier, later in itertools.pairwise(places))
    assert places[0] >= -0.01
    assert places[-1] <= 100.01
