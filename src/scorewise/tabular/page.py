"""The page of a report: one self-contained HTML file.

The page, its verdict and its charts are functions of the `Report` alone: no clock, no network, no chance. The same
report gives the same bytes.
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

import jinja2

from scorewise.tabular import chart
from scorewise.tabular.figure import count, number, percent, unbroken
from scorewise.tabular.score import METRICS, Metric
from scorewise.tabular.verdict import CAUTION, known_floor, measured, noise_ratio, verdict, why_not

if TYPE_CHECKING:
    from scorewise.tabular.report import Report

_COLUMNS_SHOWN = 24  # cards before the fold; the rest is one click away
_COMPUTED = {
    "shapes": "Numbers: Kolmogorov-Smirnov distance; categories: total variation. Mean over columns.",
    "trends": "Two numbers: half the difference of their correlations; else total variation of the joint table, "
    "numbers cut into ten bins with the real table's edges. Mean over pairs.",
    "trends_legacy": "The same with bins that each table cuts by its own range, as older benchmarks did.",
    "detection_linear": "Logistic regression over three folds: 1 - mean of (2 max(AUC, 1/2) - 1).",
    "detection": "Gradient boosting over five folds: AUC of telling synthetic rows from real ones. Of dates it is "
    "shown the weekday, the time and the day of the year, too.",
    "detection_differences": "The same with differences of pairs of number columns as further columns.",
    "utility": "Gradient boosting trained on the synthetic rows, scored on real test rows; "
    "its floor is the same model trained on the real rows.",
    "alpha_precision": "Balls around the mean that hold a share a of the real rows: how near the share of synthetic "
    "rows in them is to a. Alaa et al., How Faithful is your Synthetic Data?, 2022.",
    "beta_recall": "Balls around the mean that hold a share b of the synthetic rows: how near the share of real rows "
    "with one of those close by is to b. Alaa et al., 2022.",
    "closer_to_train": "Share of synthetic rows whose nearest real row is a training row and not one of as many "
    "held-out rows.",
    "exact_copies": "Share of synthetic rows that equal a training row in every number and category column.",
    "singled_out": "Share of the numbers in synthetic rows that exactly one training row has in that column.",
    "missing_patterns": "Total variation of the patterns of missing cells, averaged with that of being missing beside "
    "each other column.",
}


class _Row(NamedTuple):
    title: str
    meaning: str
    value: str
    floor: str
    mark: chart.Mark


def _metrics(report: Report) -> list[Metric]:
    return [report.metric(metric.key) for metric in METRICS]


def _rows(report: Report) -> list[_Row]:
    rows = []
    for metric in _metrics(report):
        score = measured(report, metric.key)
        if score is None:
            continue
        rows.append(
            _Row(
                title=metric.title,
                meaning=metric.meaning,
                value=number(metric, score.value, score.se),
                floor=number(metric, known_floor(score), score.floor_se),
                mark=chart.mark(metric, score),
            )
        )
    return rows


def _skipped(report: Report) -> list[tuple[str, str]]:
    return [
        (metric.title, why_not(report, metric.key))
        for metric in _metrics(report)
        if measured(report, metric.key) is None
    ]


class _Fact(NamedTuple):
    number: str
    title: str
    words: str


def _facts(report: Report) -> list[_Fact]:
    words = {
        "exact_copies": "Synthetic rows that equal a training row cell by cell. Where a table has few distinct rows, "
        "copies arise by chance: compare with the floor.",
        "singled_out": "Numbers in synthetic rows that one training row alone has: they may point to it. "
        "Where numbers have few digits they meet by chance: compare with the floor.",
        "alpha_precision": "How well the synthetic rows stay inside the region where the real rows lie. "
        "Far below the floor: rows that could not be real.",
        "beta_recall": "How well the synthetic rows cover the real ones. Far below the floor: kinds of rows were "
        "forgotten. Far above it: rows sit closer to the real ones than chance lets them.",
    }
    facts = []
    for key, text in words.items():
        score = measured(report, key)
        if score is not None:
            metric = report.metric(key)
            floor = number(metric, known_floor(score), score.floor_se)
            sentence = unbroken(f"{text} Floor: {floor}.")
            facts.append(_Fact(percent(score.value), metric.title, sentence))
    return facts


class _Sentence(NamedTuple):
    level: str  # "good", "fair", "poor" or "not measured"
    topic: str
    words: str


def _sentence(level: str, words: str) -> _Sentence:
    topic, rest = unbroken(words).split(": ", 1)
    reason = rest.removeprefix("not measured. ")
    return _Sentence(level if reason == rest else "not measured", topic, reason)


@functools.cache
def _template() -> jinja2.Template:
    source = resources.files("scorewise.tabular").joinpath("page.html.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source)


def render(report: Report) -> str:
    """Write a report as one HTML page that needs nothing but itself: no network, no script, no font.

    Args:
        report: what was measured.

    Returns:
        The page; the same report gives the same text.
    """
    sentences = [_sentence(level, words) for level, words in verdict(report)]
    levels = [sentence.level for sentence in sentences]
    cards = chart.cards(report)
    page = _template().render(
        title=report.about.get("table", "Synthetic table"),
        rows=[(name, count(rows)) for name, rows in report.rows.items()],
        target=report.target,
        sentences=sentences,
        tally=[(level, levels.count(level)) for level in ("good", "fair", "poor", "not measured") if level in levels],
        caution=CAUTION,
        scores=_rows(report),
        skipped=_skipped(report),
        cards=cards[:_COLUMNS_SHOWN],
        folded=cards[_COLUMNS_SHOWN:],
        map=chart.heat_map(report),
        listed=chart.worst_pairs(report),
        noise_ratio=f"{noise_ratio(report):.2g}",
        legend=chart.legend(),
        gauge=chart.gauge(report),
        facts=_facts(report),
        why_no_gauge=why_not(report, "closer_to_train"),
        curve=chart.curve(report),
        stopped=report.about.get("stopped"),
        about=[(key, value) for key, value in report.about.items() if key not in {"table", "stopped"}],
        computed=[(metric.title, _COMPUTED[metric.key]) for metric in _metrics(report)],
    )
    return page.rstrip() + "\n"
