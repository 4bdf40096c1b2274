"""Tests of the page: what it says, that it stands alone, and that nothing in a report can break it."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorewise.tabular.page import CAUTION, render, verdict
from scorewise.tabular.report import ColumnReport, Report
from scorewise.tabular.score import METRICS, Score

VOID = {"meta", "link", "br", "hr", "img", "input", "col", "wbr"}
NAN = math.nan
COORDINATES = {"x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height", "d", "viewbox", "style"}


class Page(HTMLParser):
    """Every element with its attributes and its path, and the text; fails on a tag that closes another one."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str], tuple[str, ...]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.elements.append((tag, {name: value or "" for name, value in attrs}, tuple(self.open)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [found for name, found, _ in self.elements if name == tag and wanted.items() <= found.items()]


def score(value: float, se: float = 0.0, floor: float | None = None, floor_se: float | None = None) -> Score:
    return Score(value=value, se=se, floor=floor, floor_se=floor_se)


def scores(**changes: Score) -> dict[str, Score]:
    usual = {
        "shapes": score(0.0075, 0.0004, 0.0071, 0.0005),
        "trends": score(0.0126, 0.0006, 0.0118, 0.0006),
        "trends_legacy": score(0.021, 0.001, 0.019, 0.001),
        "detection_linear": score(0.998, 0.004, 0.996, 0.004),
        "detection": score(0.512, 0.004, 0.501, 0.004),
        "detection_differences": score(0.521, 0.004, 0.502, 0.004),
        "utility": score(0.781, 0.004, 0.787, 0.004),
        "alpha_precision": score(0.991, 0.003, 0.994, 0.003),
        "beta_recall": score(0.487, 0.004, 0.495, 0.004),
        "closer_to_train": score(0.503, 0.004, 0.5, 0.004),
        "exact_copies": score(0.0008, 0.0002, 0.0013, 0.0002),
        "missing_patterns": score(0.004, 0.001, 0.004, 0.001),
    }
    return {**usual, **changes}


def number(name: str, error: float = 0.01, bins: int = 5, missing: bool = False, seed: int = 0) -> ColumnReport:
    generator = np.random.default_rng(seed)
    real, synthetic = generator.dirichlet(np.ones(bins + missing), size=2).tolist()
    labels = [str(k) for k in range(bins)] + ["missing"] * missing
    return column(name, "number", error, labels, real, synthetic)


def category(name: str, error: float = 0.01, levels: tuple[str, ...] = ("a", "b")) -> ColumnReport:
    share = 1 / len(levels)
    return column(name, "category", error, list(levels), [share] * len(levels), [share] * len(levels))


def column(
    name: str, kind: str, error: float, labels: list[str], real: list[float], synthetic: list[float]
) -> ColumnReport:
    given: dict[str, Any] = {"kind": kind}
    return ColumnReport(
        name=name, error=error, se=0.001, floor=0.008, labels=labels, real=real, synthetic=synthetic, **given
    )


def matrix(size: int, seed: int) -> list[list[float | None]]:
    half = np.random.default_rng(seed).random((size, size)) / 30
    both = (half + half.T) / 2
    return [[None if row == other else float(both[row, other]) for other in range(size)] for row in range(size)]


def report(columns: tuple[ColumnReport, ...] | None = None, **changes: Any) -> Report:
    shown = (number("age"), number("debt", 0.05, missing=True), category("sex", 0.002)) if columns is None else columns
    names = tuple(one.name for one in shown)
    steps = [float(step) for step in range(10, 1010, 10)]
    usual: dict[str, Any] = {
        "rows": {"real": 27000, "synthetic": 27000, "test": 3000},
        "target": "sex",
        "scores": scores(),
        "skipped": {},
        "columns": shown,
        "pair_names": names,
        "pair_errors": matrix(len(names), 0),
        "pair_floors": matrix(len(names), 1),
        "trace": {
            "step": steps,
            "loss": [1 + 1 / step for step in steps],
            "numbers": [0.5 + 1 / step for step in steps],
            "categories": [2 + 1 / step for step in steps],
            "seconds": [step / 4 for step in steps],
        },
        "about": {"table": "credit", "scorewise": "0.1.0", "seed": "0", "stopped": "The loss had gone flat."},
    }
    return Report(**{**usual, **changes})


def level_of(topic: str, measured: Report) -> str:
    return next(level for level, words in verdict(measured) if words.startswith(topic + ": "))


# The verdict


@pytest.mark.parametrize(("key", "topic"), [("shapes", "Columns one by one"), ("trends", "Columns together")])
@pytest.mark.parametrize(
    ("value", "se", "floor", "level"),
    [
        (0.0149, 0.0, 0.01, "good"),
        (0.0151, 0.0, 0.01, "fair"),
        (0.0189, 0.002, 0.01, "fair"),
        (0.0179, 0.004, 0.01, "good"),
        (0.0299, 0.0, 0.01, "fair"),
        (0.0301, 0.0, 0.01, "poor"),
        (0.0209, 0.0, 0.001, "fair"),
        (0.0211, 0.0, 0.001, "poor"),
        (0.0, 0.0, 0.01, "good"),
        (0.02, 0.0, None, "good"),
        (0.0201, 0.0, None, "fair"),
        (0.0501, 0.0, None, "poor"),
    ],
)
def test_verdict_of_errors(key: str, topic: str, value: float, se: float, floor: float | None, level: str) -> None:
    assert level_of(topic, report(scores=scores(**{key: score(value, se, floor)}))) == level


@pytest.mark.parametrize(
    ("synthetic", "value", "level"),
    [
        (9000, 0.0149, "good"),
        (9000, 0.0151, "fair"),
        (1000, 0.0396, "good"),
        (1000, 0.0398, "fair"),
        (1000, 0.0793, "fair"),
        (1000, 0.0795, "poor"),
    ],
)
def test_verdict_expects_more_error_of_few_synthetic_rows(synthetic: int, value: float, level: str) -> None:
    rows = {"real": 27000, "synthetic": synthetic}
    measured = report(rows=rows, scores=scores(shapes=score(value, 0.0, 0.01)))
    assert level_of("Columns one by one", measured) == level
    assert ("so few synthetic rows" in verdict(measured)[0][1]) == (synthetic == 1000)


@pytest.mark.parametrize(
    ("value", "level"),
    [
        (0.5, "good"),
        (0.549, "good"),
        (0.551, "fair"),
        (0.699, "fair"),
        (0.701, "poor"),
        (1.0, "poor"),
        (0.451, "good"),
        (0.31, "fair"),
        (0.1, "poor"),
    ],
)
@pytest.mark.parametrize("key", ["detection", "detection_differences"])
def test_verdict_of_detection_is_that_of_the_detector_further_from_guessing(key: str, value: float, level: str) -> None:
    blind = {"detection": score(0.5, 0.0, 0.5), "detection_differences": score(0.5, 0.0, 0.5)}
    measured = report(scores=scores(**{**blind, key: score(value, 0.0, 0.5, 0.0)}))
    assert level_of("Told apart by a machine", measured) == level


def test_verdict_says_what_detection_below_guessing_means() -> None:
    for value, expected in ((0.3, True), (0.46, False), (0.7, False)):
        [words] = [
            words
            for _, words in verdict(report(scores={"detection": score(value, 0.0, 0.5)}))
            if words.startswith("Told apart")
        ]
        assert ("a sign of copied rows" in words) == expected


@pytest.mark.parametrize(
    ("value", "level"),
    [(0.71, "good"), (0.6901, "good"), (0.6899, "fair"), (0.6601, "fair"), (0.6599, "poor"), (0.4, "poor")],
)
def test_verdict_of_utility_as_auc(value: float, level: str) -> None:
    assert level_of("Usefulness", report(scores=scores(utility=score(value, 0.0, 0.7, 0.0)))) == level


@pytest.mark.parametrize(
    ("value", "level"), [(0.4, "good"), (0.429, "good"), (0.431, "fair"), (0.519, "fair"), (0.521, "poor")]
)
def test_verdict_of_utility_as_error(value: float, level: str) -> None:
    measured = report(scores=scores(utility=score(value, 0.0, 0.4, 0.0)), target="age")
    assert level_of("Usefulness", measured) == level
    assert "RMSE / std" in Page(render(measured)).text


def test_verdict_of_utility_without_anything_to_learn() -> None:
    measured = report(scores=scores(utility=score(0.52, 0.01, 0.515, 0.01)))
    assert ("fair", "Even a model trained on the real rows hardly predicts sex") in [
        (level, words.split(". ")[1].split(" (")[0]) for level, words in verdict(measured) if words[:10] == "Usefulness"
    ]


@pytest.mark.parametrize(
    ("value", "se", "level"),
    [
        (0.509, 0.0, "good"),
        (0.511, 0.0, "fair"),
        (0.519, 0.01, "good"),
        (0.549, 0.0, "fair"),
        (0.551, 0.0, "poor"),
        (0.3, 0.0, "good"),
        (0.5, 0.026, "fair"),
        (0.9, 0.1, "poor"),
    ],
)
def test_verdict_of_closeness_to_the_training_rows(value: float, se: float, level: str) -> None:
    assert level_of("Privacy", report(scores=scores(closer_to_train=score(value, se, 0.5, 0.0)))) == level


@pytest.mark.parametrize(
    ("value", "floor", "level"),
    [
        (0.0019, 0.001, "good"),
        (0.0021, 0.001, "fair"),
        (0.0109, 0.001, "fair"),
        (0.0111, 0.001, "poor"),
        (0.219, 0.2, "good"),
        (0.299, 0.2, "fair"),
        (0.301, 0.2, "poor"),
        (1.0, 0.0, "poor"),
    ],
)
def test_verdict_of_copies(value: float, floor: float, level: str) -> None:
    assert level_of("Privacy", report(scores=scores(exact_copies=score(value, 0.0, floor, 0.0)))) == level


def test_verdict_does_not_call_good_what_it_cannot_tell() -> None:
    assert level_of("Told apart by a machine", report(scores=scores(detection=score(0.55, 0.11, 0.5, 0.0)))) == "fair"
    [words] = [
        words
        for _, words in verdict(report(scores=scores(closer_to_train=score(0.52, 0.04, 0.5))))
        if words[:7] == "Privacy"
    ]
    assert "too few test rows to tell" in words


def test_verdict_names_what_is_furthest_off() -> None:
    measured = report(scores=scores(shapes=score(0.2, 0.0, 0.01), trends=score(0.2, 0.0, 0.01)))
    errors, floors = measured.pair_errors, measured.pair_floors
    pairs = [(i, j) for i in range(3) for j in range(i)]
    a, b = max(pairs, key=lambda pair: (errors[pair[0]][pair[1]] or 0.0) - (floors[pair[0]][pair[1]] or 0.0))
    words = [words for _, words in verdict(measured)]
    assert "Furthest off is debt, 5.00 %." in words[0]
    assert f"Furthest off is {measured.pair_names[b]} with {measured.pair_names[a]}" in words[1]


@pytest.mark.parametrize(
    ("error", "floor", "level"),
    [(0.0499, 0.0, "good"), (0.0501, 0.0, "fair"), (0.149, 0.05, "good"), (0.151, 0.05, "fair")],
)
def test_verdict_does_not_let_a_mean_hide_a_broken_column_or_pair(error: float, floor: float, level: str) -> None:
    broken = dataclasses.replace(number("debt", error), floor=floor)
    for topic, measured in {
        "Columns one by one": report(columns=(number("age"), broken)),
        "Columns together": report(
            pair_errors=[[None, error, None], [error, None, None], [None] * 3],
            pair_floors=[[None, floor, None], [floor, None, None], [None] * 3],
        ),
    }.items():
        [(found, words)] = [one for one in verdict(measured) if one[1].startswith(topic)]
        assert found == level
        assert ("on average" in words) == ("debt" in words) == (level == "fair")


def test_verdict_says_what_was_not_measured_and_why() -> None:
    measured = report(scores={}, skipped={"utility": "no test rows were given; pass test=."})
    sentences = {words.split(": ")[0]: (level, words) for level, words in verdict(measured)}
    assert set(sentences) == {
        "Columns one by one",
        "Columns together",
        "Told apart by a machine",
        "Usefulness",
        "Privacy",
    }
    assert {level for level, _ in sentences.values()} == {"fair"}
    assert sentences["Usefulness"][1] == "Usefulness: not measured. No test rows were given; pass test=."


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([metric.key for metric in METRICS]),
        st.builds(score, *[st.floats(0, 1) | st.just(NAN)] * 2, *[st.none() | st.floats(0, 1) | st.just(NAN)] * 2),
    )
)
def test_verdict_is_three_to_six_sentences_whatever_was_measured(found: dict[str, Score]) -> None:
    sentences = verdict(report(scores=found))
    assert 3 <= len(sentences) <= 6
    for level, words in sentences:
        assert level in {"good", "fair", "poor"}
        assert ": " in words
        assert words.endswith((".", ")."))
        assert "nan" not in words


@settings(deadline=None)
@given(st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0.001, 0.2))
def test_verdict_never_gets_better_with_a_larger_error(one: float, other: float, floor: float) -> None:
    order = ("good", "fair", "poor")
    ranks = [
        order.index(level_of("Columns one by one", report(scores=scores(shapes=score(error, 0.0, floor)))))
        for error in sorted((one, other))
    ]
    assert ranks == sorted(ranks)


# The page as a file


CASES = {
    "usual": report(),
    "no trace": report(trace=None),
    "empty trace": report(trace={"step": [], "loss": []}),
    "one step": report(trace={"step": [1.0], "loss": [0.5]}),
    "flat trace": report(trace={"step": [0.0, 1.0], "loss": [0.5, 0.5], "numbers": [NAN, NAN]}),
    "no test": report(rows={"real": 9, "synthetic": 9}, target=None, about={}, skipped={"utility": "no test rows"}),
    "one column": report(columns=(number("only"),)),
    "two columns": report(columns=(number("one"), category("two"))),
    "nothing": report(columns=(), scores={}, trace=None, about={}),
    "not a number": report(
        columns=(
            column("x", "number", NAN, ["0", "1", "missing"], [NAN, 1.0, 0.0], [NAN] * 3),
            column("y", "category", NAN, ["a"], [NAN], [NAN]),
            column("z", "number", NAN, [], [], []),
        ),
        scores={metric.key: score(NAN, NAN, NAN, NAN) for metric in METRICS},
        pair_errors=[[None, NAN, 0.5], [NAN, None, 0.1], [0.5, 0.1, None]],
        pair_floors=[[None, None, NAN], [None, None, None], [NAN, None, None]],
        trace={"step": [1.0, 2.0, 3.0], "loss": [NAN, 1.0, 2.0], "seconds": [NAN]},
    ),
    "no errors of scores": report(scores={metric.key: score(0.4, NAN) for metric in METRICS}),
    "extremes": report(scores={metric.key: score(1.0, 1.0, 0.0, 1.0) for metric in METRICS}),
    "hundred columns": report(columns=tuple(number(f"column {k}", k / 1000, seed=k) for k in range(100))),
    "other scripts": report(columns=(number("顧客の年齢"), category("عمر العميل", levels=("ä" * 200, "\u200b", "")))),
}


@pytest.mark.parametrize("case", CASES)
def test_page_is_balanced_and_loads_nothing(case: str) -> None:
    html = render(CASES[case])
    page = Page(html)
    assert html.startswith("<!DOCTYPE html>\n")
    assert html.endswith("</html>\n")
    assert not {"script", "link", "img", "iframe", "object", "embed"} & {tag for tag, _, _ in page.elements}
    for _, attributes, _ in page.elements:
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#")
    assert not re.search(r"https?://|url\(|@import", html)


@pytest.mark.parametrize("case", CASES)
def test_page_links_lead_somewhere(case: str) -> None:
    page = Page(render(CASES[case]))
    identities = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(set(identities)) == len(identities)
    assert {found["href"][1:] for found in page.all("a")} == set(identities)


@pytest.mark.parametrize("case", CASES)
def test_page_has_only_finite_coordinates(case: str) -> None:
    for tag, attributes, path in Page(render(CASES[case])).elements:
        if "svg" in path or tag == "svg" or "style" in attributes:
            for name in COORDINATES & set(attributes):
                assert not re.search(r"nan|inf|none|e[+-]?\d", attributes[name], re.IGNORECASE), attributes
        if {"x", "width"} <= set(attributes) and attributes["width"].endswith("%"):
            left, width = (float(attributes[name].rstrip("%")) for name in ("x", "width"))
            assert 0 <= left <= 100
            assert 0 <= width <= 100


@pytest.mark.parametrize("case", CASES)
def test_page_is_the_same_for_the_same_report(case: str) -> None:
    again = dataclasses.replace(CASES[case])
    assert render(again).encode() == render(CASES[case]).encode()


def test_page_escapes_what_the_user_named() -> None:
    hostile = "</title><script>alert('x')</script>\"><img src=x onerror=y>&amp;"
    measured = report(
        columns=(number(hostile, 0.3), category(hostile + "2", levels=(hostile, "b")), number("{{ 7 * 7 }}")),
        scores=scores(shapes=score(0.9, 0.0, 0.01), trends=score(0.9, 0.0, 0.01)),
        skipped={"utility": hostile},
        target=hostile,
        rows={hostile: 3},
        about={"table": hostile, hostile: hostile, "stopped": hostile},
    )
    page = Page(render(measured))
    assert not page.all("script")
    assert not page.all("img")
    assert [found["title"] for found in page.all("h3") if "title" in found] == [
        hostile,
        hostile + "2",
        "{{ 7 * 7 }}",
    ]
    assert hostile in page.text
    assert "{{ 7 * 7 }}" in page.text


def test_page_begins_with_the_verdict() -> None:
    measured = report()
    text = Page(render(measured)).text.replace("\u00a0", " ")
    places = [text.index(words.split(": ", 1)[1]) for _, words in verdict(measured)]
    assert places == sorted(places)
    assert places[-1] < text.index(CAUTION) < text.index("Scores and their floors")


def test_page_counts_what_was_not_measured_apart() -> None:
    assert "5 not measured" in Page(render(report(scores={}))).text
    kept = {key: value for key, value in scores().items() if key != "utility"}
    assert "5 good 1 not measured" in Page(render(report(scores=kept))).text


def test_page_shows_each_score_beside_its_floor() -> None:
    text = Page(render(report())).text
    assert "0.75 ± 0.04 % 0.71 ± 0.05 %" in text
    assert "0.512 ± 0.004 0.501 ± 0.004" in text
    assert "50.30 ± 0.40 % 50.00 ± 0.40 %" in text


def test_page_names_what_was_skipped_and_why() -> None:
    kept = {key: value for key, value in scores().items() if key not in {"utility", "missing_patterns"}}
    measured = report(scores=kept, skipped={"utility": "no test rows", "missing_patterns": "no cell is missing"})
    text = Page(render(measured)).text
    assert "Not measured Utility. No test rows. Missing patterns. No cell is missing." in text
    assert "Not measured" not in Page(render(report())).text


def test_page_puts_the_best_at_the_left_of_every_strip() -> None:
    best = {
        "shapes": 0.0,
        "detection_linear": 1.0,
        "detection": 0.5,
        "alpha_precision": 1.0,
        "closer_to_train": 0.5,
        "exact_copies": 0.3,
    }
    worst = {"shapes": 1.0, "detection_linear": 0.0, "detection": 1.0, "closer_to_train": 1.0, "exact_copies": 1.0}
    for values, place in ((best, "2.0%"), (worst, "98.0%")):
        page = Page(render(report(scores={key: score(value, 0.0, 0.3) for key, value in values.items()})))
        strips = [found for tag, found, path in page.elements if tag == "circle" and "table" in path]
        assert [strip["cx"] for strip in strips] == [place] * len(values)


# Columns


def test_columns_come_by_error_largest_first() -> None:
    errors = {"a": 0.01, "b": 0.3, "c": NAN, "d": 0.02}
    page = Page(render(report(columns=tuple(number(name, error) for name, error in errors.items()))))
    assert [found["title"] for found in page.all("h3") if "title" in found] == ["b", "d", "a", "c"]


def test_columns_beyond_the_first_two_dozen_are_folded() -> None:
    page = Page(render(CASES["hundred columns"]))
    folded = ["details" in path for tag, found, path in page.elements if tag == "article"]
    assert folded == [False] * 24 + [True] * 76
    assert "76 more columns" in page.text
    assert not Page(render(report(columns=tuple(number(str(k)) for k in range(24))))).all("details")


def outline(path: str) -> list[list[float]]:
    """The heights of a histogram's bars, as shares of the tallest, read back from its path."""
    return [
        [(90 - float(height)) / (0.97 * 90) for height in re.findall(r"V([\d.]+)H", part)]
        for part in path.split("M")[1:]
    ]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=3, max_size=40), st.sampled_from([[], ["missing"], ["other", "missing"]]))
def test_histograms_have_the_heights_of_the_shares(shares: list[float], apart: list[str]) -> None:
    labels = [*(str(k) for k in range(len(shares) - len(apart))), *apart]
    drawn = column("x", "number", 0.1, labels, shares, shares[::-1])
    page = Page(render(report(columns=(drawn,))))
    top = max(shares) or 1.0
    for name, values in (("real", shares), ("synthetic", shares[::-1])):
        [found] = [path["d"] for path in page.all("path", class_=name)]
        heights = outline(found)
        assert len(heights) == 1 + len(apart)
        assert np.concatenate(heights) == pytest.approx([value / top for value in values], abs=1e-3)


def test_histograms_name_their_ends_and_the_missing() -> None:
    with_missing = render(report(columns=(number("x", missing=True),)))
    assert re.search(r'>0</span><span[^>]*>4</span><span class="apart">missing</span>', with_missing)
    without = render(report(columns=(number("x"),)))
    assert re.search(r">0</span><span[^>]*>4</span></p>", without)


def test_categories_are_bars_in_percent_of_the_longest() -> None:
    drawn = column("x", "category", 0.1, ["a", "b", "missing"], [0.5, 0.4, 0.1], [0.8, 0.1, 0.1])
    page = Page(render(report(columns=(drawn,))))
    assert [bar["width"] for bar in page.all("rect", class_="real")] == ["62.5%", "50.0%", "12.5%"]
    assert [bar["width"] for bar in page.all("rect", class_="synthetic")] == ["100.0%", "12.5%", "12.5%"]
    assert "a 50.0 80.0 b 40.0 10.0 missing 10.0 10.0" in page.text


# Pairs


def squares(page: Page) -> list[dict[str, str]]:
    return [found for tag, found, _ in page.elements if tag == "rect" and re.fullmatch(r"q\d", found.get("class", ""))]


def test_map_has_a_square_for_each_pair_and_a_name_for_each_column() -> None:
    names = [f"column {k}" for k in range(7)]
    page = Page(render(report(columns=tuple(number(name) for name in names))))
    legend = 7 + 2
    assert len(squares(page)) == legend + 7 * 6 // 2
    titles = [text for text in page.texts if " with " in text and "floor" in text and text.startswith("column")]
    assert len(set(titles)) == 7 * 6 // 2
    assert set(names) <= set(page.texts)


def test_map_shows_the_worst_forty_columns_and_says_so() -> None:
    names = tuple(f"column {k}" for k in range(60))
    errors: list[list[float | None]] = [[None if i == j else (i + j) / 1000 for j in range(60)] for i in range(60)]
    page = Page(render(report(columns=(), pair_names=names, pair_errors=errors, pair_floors=[])))
    assert "Shown are the 40 worst of 60 columns." in page.text
    assert len(squares(page)) == 7 + 2 + 40 * 39 // 2
    assert "column 20" in page.texts
    assert "column 19" not in page.texts
    assert "Shown are" not in Page(render(report())).text


@pytest.mark.parametrize(
    ("error", "floor", "small"), [(0.0149, 0.01, True), (0.0151, 0.01, False), (0.0001, None, False)]
)
def test_map_makes_small_what_is_at_its_floor(error: float, floor: float | None, small: bool) -> None:
    measured = report(
        columns=(number("a"), number("b")),
        pair_errors=[[None, error], [error, None]],
        pair_floors=[[None, floor], [floor, None]],
    )
    square = squares(Page(render(measured)))[-1]
    assert (float(square["width"]) < 20) == small
    assert square["width"] == square["height"]


@pytest.mark.parametrize(
    ("error", "step"),
    [(0.0, "q0"), (0.0049, "q0"), (0.005, "q1"), (0.03, "q3"), (0.159, "q5"), (0.16, "q6"), (1.0, "q6")],
)
def test_map_has_the_same_colours_on_every_page(error: float, step: str) -> None:
    measured = report(
        columns=(number("a"), number("b")),
        pair_errors=[[None, error], [error, None]],
        pair_floors=[[None, None], [None, None]],
    )
    assert squares(Page(render(measured)))[-1]["class"] == step


def test_pairs_are_listed_by_excess_over_their_floor_ten_at_most() -> None:
    measured = CASES["hundred columns"]
    html = render(measured)
    [listed] = re.findall(r'<ol class="worst">.*?</ol>', html, re.DOTALL)
    errors, floors = measured.pair_errors, measured.pair_floors
    pairs = [(errors[i][j] or 0.0, floors[i][j] or 0.0) for i in range(100) for j in range(i)]
    worst = sorted(pairs, key=lambda pair: pair[1] - pair[0])[:10]
    assert re.findall(r"<span>(\d+\.\d\d %)</span>", listed) == [f"{100 * error:.2f} %" for error, _ in worst]


# Privacy and training


@pytest.mark.parametrize(
    ("value", "place"), [(0.5, 50.0), (0.505, 54.8), (0.495, 45.2), (0.9, 88.4), (0.0, 2.0), (1.0, 98.0)]
)
def test_gauge_has_half_in_the_middle_and_room_for_the_value(value: float, place: float) -> None:
    page = Page(render(report(scores=scores(closer_to_train=score(value, 0.0, 0.5, 0.0)))))
    [dot] = [found for found in page.all("circle", class_="dot") if found["r"] == "7"]
    assert float(dot["cx"].rstrip("%")) == pytest.approx(place, abs=0.05)


def test_gauge_is_replaced_by_the_reason() -> None:
    kept = {key: value for key, value in scores().items() if key != "closer_to_train"}
    text = Page(render(report(scores=kept, skipped={"closer_to_train": "no test rows were given"}))).text
    assert "held-out ones was not measured. No test rows were given." in text


def test_curve_is_there_only_with_a_trace() -> None:
    assert "The loss had gone flat." in Page(render(report())).text
    for case in ("no trace", "empty trace", "one step"):
        assert not [found for tag, found, _ in Page(render(CASES[case])).elements if found.get("id") == "training"]


def test_curve_runs_through_its_points() -> None:
    trace = {"step": [0.0, 5.0, 10.0], "loss": [2.0, 1.0, 0.0]}
    [line] = [found["d"] for found in Page(render(report(trace=trace))).all("path", class_="loss")][:1]
    assert line == "M0.0 0.0L500.0 200.0L1000.0 400.0"


def test_curve_is_logarithmic_over_two_decades() -> None:
    trace = {"step": [10.0, 100.0, 1000.0], "loss": [2.0, 1.0, 0.0]}
    page = Page(render(report(trace=trace)))
    assert page.all("path", class_="loss")[0]["d"] == "M0.0 0.0L500.0 200.0L1000.0 400.0"
    assert "logarithmic" in page.text
    short = Page(render(report(trace={**trace, "step": [20.0, 100.0, 1000.0]})))
    assert "logarithmic scale" not in short.text.split("Training", 1)[-1].split("About")[0]


@settings(deadline=None, max_examples=30)
@given(*[st.floats(-1e6, 1e6)] * 3)
def test_labels_of_the_curves_do_not_cover_one_another(one: float, two: float, three: float) -> None:
    trace = {"step": [1.0, 2.0], "loss": [0.0, one], "numbers": [0.0, two], "categories": [0.0, three]}
    html = render(report(trace=trace))
    names = html[html.index('<div class="names">') : html.index('<div class="x"')]
    places = sorted(float(place) for place in re.findall(r"top:([-\d.]+)%", names))
    assert len(places) == 3
    assert all(later - earlier > 7.9 for earlier, later in itertools.pairwise(places))
    assert places[0] >= -0.01
    assert places[-1] <= 100.01


def test_about_lists_the_facts_and_how_each_score_is_computed() -> None:
    text = Page(render(report())).text
    about = text[text.index("About this report") :]
    assert "27,000" in about
    assert "scorewise 0.1.0" in about
    assert all(metric.title in about for metric in METRICS)
