"""Tests of the page: that it stands alone, what it says, and that nothing in a report can break it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import pytest

from scorewise.tabular.page import render
from scorewise.tabular.report import ColumnReport, Report
from scorewise.tabular.score import METRICS, Score
from scorewise.tabular.verdict import CAUTION, verdict

COORDINATES = {"x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height", "d", "viewbox", "style"}


def test_page_is_balanced_and_loads_nothing(page_of: Callable[[Report], Any], case: Report) -> None:
    html = render(case)
    page = page_of(case)
    assert html.startswith("<!DOCTYPE html>\n")
    assert html.endswith("</html>\n")
    assert not {"script", "link", "img", "iframe", "object", "embed"} & {tag for tag, _, _ in page.elements}
    for _, attributes, _ in page.elements:
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#")
    assert not re.search(r"https?://|url\(|@import", html)


def test_page_links_lead_somewhere(page_of: Callable[[Report], Any], case: Report) -> None:
    page = page_of(case)
    identities = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(set(identities)) == len(identities)
    assert {found["href"][1:] for found in page.all("a")} == set(identities)


def test_page_has_only_finite_coordinates(page_of: Callable[[Report], Any], case: Report) -> None:
    for tag, attributes, path in page_of(case).elements:
        if "svg" in path or tag == "svg" or "style" in attributes:
            for name in COORDINATES & set(attributes):
                assert not re.search(r"nan|inf|none|e[+-]?\d", attributes[name], re.IGNORECASE), attributes
        if {"x", "width"} <= set(attributes) and attributes["width"].endswith("%"):
            left, width = (float(attributes[name].rstrip("%")) for name in ("x", "width"))
            assert 0 <= left <= 100
            assert 0 <= width <= 100


def test_page_is_the_same_for_the_same_report(case: Report) -> None:
    again = dataclasses.replace(case)
    assert render(again).encode() == render(case).encode()


def test_page_escapes_what_the_user_named(
    report: Callable[..., Report],
    scores: Callable[..., dict[str, Score]],
    number: Callable[..., ColumnReport],
    category: Callable[..., ColumnReport],
    page_of: Callable[[Report], Any],
) -> None:
    hostile = "</title><script>alert('x')</script>\"><img src=x onerror=y>&amp;"
    measured = report(
        columns=(number(hostile, 0.3), category(hostile + "2", levels=(hostile, "b")), number("{{ 7 * 7 }}")),
        scores=scores(shapes=Score(0.9, 0.0, 0.01), trends=Score(0.9, 0.0, 0.01)),
        skipped={"utility": hostile},
        target=hostile,
        rows={hostile: 3},
        about={"table": hostile, hostile: hostile, "stopped": hostile},
    )
    page = page_of(measured)
    assert not page.all("script")
    assert not page.all("img")
    assert [found["title"] for found in page.all("h3") if "title" in found] == [
        hostile,
        hostile + "2",
        "{{ 7 * 7 }}",
    ]
    assert hostile in page.text
    assert "{{ 7 * 7 }}" in page.text


def test_page_begins_with_the_verdict(report: Callable[..., Report], page_of: Callable[[Report], Any]) -> None:
    measured = report()
    text = page_of(measured).text.replace("\u00a0", " ")
    places = [text.index(words.split(": ", 1)[1]) for _, words in verdict(measured)]
    assert places == sorted(places)
    assert places[-1] < text.index(CAUTION) < text.index("Scores and their floors")


def test_page_counts_what_was_not_measured_apart(
    report: Callable[..., Report], scores: Callable[..., dict[str, Score]], page_of: Callable[[Report], Any]
) -> None:
    assert "5 not measured" in page_of(report(scores={})).text
    kept = {key: value for key, value in scores().items() if key != "utility"}
    assert "5 good 1 not measured" in page_of(report(scores=kept)).text


def test_page_shows_each_score_beside_its_floor(
    report: Callable[..., Report], page_of: Callable[[Report], Any]
) -> None:
    text = page_of(report()).text
    assert "0.75 ± 0.04 % 0.71 ± 0.05 %" in text
    assert "0.512 ± 0.004 0.501 ± 0.004" in text
    assert "50.30 ± 0.40 % 50.00 ± 0.40 %" in text


@pytest.mark.parametrize("value", [0.4, 0.429, 0.431, 0.519, 0.521])
def test_page_names_the_unit_of_the_utility_of_a_number(
    report: Callable[..., Report],
    scores: Callable[..., dict[str, Score]],
    page_of: Callable[[Report], Any],
    value: float,
) -> None:
    measured = report(scores=scores(utility=Score(value, 0.0, 0.4, 0.0)), target="age")
    assert "RMSE / std" in page_of(measured).text


def test_page_names_what_was_skipped_and_why(
    report: Callable[..., Report], scores: Callable[..., dict[str, Score]], page_of: Callable[[Report], Any]
) -> None:
    kept = {key: value for key, value in scores().items() if key not in {"utility", "missing_patterns"}}
    measured = report(scores=kept, skipped={"utility": "no test rows", "missing_patterns": "no cell is missing"})
    text = page_of(measured).text
    assert "Not measured Utility. No test rows. Missing patterns. No cell is missing." in text
    assert "Not measured" not in page_of(report()).text


def test_about_lists_the_facts_and_how_each_score_is_computed(
    report: Callable[..., Report], page_of: Callable[[Report], Any]
) -> None:
    text = page_of(report()).text
    about = text[text.index("About this report") :]
    assert "27,000" in about
    assert "scorewise 0.1.0" in about
    assert all(metric.title in about for metric in METRICS)
