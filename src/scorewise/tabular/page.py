"""The page of a report: the verdict in plain words, and one self-contained HTML file around it.

Everything here is a function of the `Report` alone: no clock, no network, no chance. The same report gives the same
bytes. Geometry is computed here, in Python; the template only places it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Literal, NamedTuple

import jinja2

from scorewise.tabular.score import METRICS, Metric, Score

if TYPE_CHECKING:
    from scorewise.tabular.report import ColumnReport, Report

CAUTION = (
    "These numbers are evidence, not a guarantee: no differential privacy is claimed, and an attacker "
    "who knows more than these tests do may learn more than they show."
)

Outcome = Literal["good", "fair", "poor", "unsure"]

_COLUMNS_SHOWN = 24  # cards before the fold; the rest is one click away
_PAIR_COLUMNS_SHOWN = 40  # columns of the heat map
_PAIRS_LISTED = 10
_NOISE_RATIO = 1.5  # an error up to 1.5 times its floor is counted as sampling noise
_STEPS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16)  # edges of the heat map's colours, the same on every page
_COMPUTED = {
    "shapes": "Numbers: Kolmogorov-Smirnov distance; categories: total variation. Mean over columns.",
    "trends": "Two numbers: half the difference of their correlations; else total variation of the joint table, "
    "numbers cut into ten bins with the real table's edges. Mean over pairs.",
    "trends_legacy": "The same with bins that each table cuts by its own range, as older benchmarks did.",
    "detection_linear": "Logistic regression over three folds: 1 - mean of (2 max(AUC, 1/2) - 1).",
    "detection": "Gradient boosting over five folds: AUC of telling synthetic rows from real ones.",
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
    "missing_patterns": "Total variation of the patterns of missing cells, averaged with that of being missing beside "
    "each other column.",
}


# The verdict ---------------------------------------------------------------------------------------------------------


def verdict(report: Report) -> list[tuple[str, str]]:
    r"""Say in plain words how good a synthetic table is.

    A score is judged by its excess, how much worse than its floor it is, and the standard error of that excess,
    :math:`s = \sqrt{\mathrm{se}^2 + \mathrm{se_{floor}}^2}`:

    - good: excess <= max(good, 2 s), and excess + 2 s <= poor;
    - poor: excess > max(poor, 2 s);
    - fair: all the rest, also where the standard error is too large to tell.

    ======================  ================================  =====================  ==========================
    score                   excess                            good                   poor
    ======================  ================================  =====================  ==========================
    shapes, trends,         value - floor                     0.5 floor              max(2 floor, 0.02)
    missing_patterns        (no floor known: value)           (0.02)                 (0.05)
    detection               |AUC - floor (0.5)|, the larger   0.05                   0.20
                            of the two boosted detectors
    utility                 lost share of the skill of the    0.05                   0.20
                            model trained on real rows
    closer_to_train         value - floor (0.5)               0.01                   0.05
    exact_copies            value - floor                     max(0.001, 0.1 floor)  max(0.01, 0.5 floor)
    ======================  ================================  =====================  ==========================

    The floors in the first row count for more where there are less than a third as many synthetic rows as real ones:
    with n real and m synthetic rows they are multiplied by :math:`\sqrt{1 + n/m} / 2`, because so few rows differ by
    more than two halves of the real table do. Columns and pairs are fair at best where the mean hides one whose excess
    over its own floor is above max(2 floor, 0.05). Skill is AUC - 0.5, or 1 - RMSE / std. Privacy is as good as the
    worse of its two scores. A standard error that is not finite counts as zero.

    Args:
        report: what was measured.

    Returns:
        Up to six pairs of a level ("good", "fair" or "poor") and a sentence that begins with its topic and a colon.
        What was not measured is named, with the reason, at level "fair".
    """
    return [
        _error_sentence(report, "shapes", "Columns one by one", _worst_column(report)),
        _error_sentence(report, "trends", "Columns together", _worst_pair(report)),
        *_missing_sentences(report),
        _detection_sentence(report),
        _utility_sentence(report),
        _privacy_sentence(report),
    ]


def _judge(excess: float, se: float, good: float, poor: float) -> Outcome:
    if excess <= max(good, 2 * se):
        return "good" if excess + 2 * se <= poor else "unsure"
    return "poor" if excess > max(poor, 2 * se) else "fair"


def _level(outcome: Outcome) -> str:
    return "fair" if outcome == "unsure" else outcome


def _measured(report: Report, key: str) -> Score | None:
    score = report.scores.get(key)
    return score if score is not None and math.isfinite(score.value) else None


def _finite(number: float | None) -> float:
    return number if number is not None and math.isfinite(number) else 0.0


def _se(score: Score) -> float:
    return math.hypot(_finite(score.se), _finite(score.floor_se))


def _floor(score: Score) -> float | None:
    return score.floor if score.floor is not None and math.isfinite(score.floor) else None


def _floor_or_half(score: Score) -> float:
    floor = _floor(score)
    return 0.5 if floor is None else floor


def _why_not(report: Report, key: str) -> str:
    if key in report.scores:
        return "The score came out as no number."
    reason = report.skipped.get(key, "the report holds no such score").strip()
    return reason[:1].upper() + reason[1:] + ("" if reason.endswith((".", "!", "?")) else ".")


def _error_sentence(report: Report, key: str, topic: str, worst: _Worst | None) -> tuple[str, str]:
    score = _measured(report, key)
    if score is None:
        return "fair", f"{topic}: not measured. {_why_not(report, key)}"
    floor, se, error = _floor(score), _se(score), f"mean error {_percent(score.value)}"
    if floor is None:
        outcome = _judge(score.value, se, good=0.02, poor=0.05)
        words, numbers = "as close to the real table as can be told", error
    else:
        base = floor * _reach(report)
        outcome = _judge(score.value - base, se, good=(_NOISE_RATIO - 1) * base, poor=max(2 * base, 0.02))
        nearly = "" if score.value <= base + 2 * se else "almost "
        words = f"{nearly}as close to the real table as two halves of it are to each other"
        numbers = f"{error}, between halves {_percent(floor)}"
        if base > floor:
            words = f"{nearly}as close to the real table as so few rows can be"
            numbers = f"{error}; so few synthetic rows leave about {_percent(base)} by chance"
    if outcome != "good":
        words = {
            "unsure": "too few rows to tell",
            "fair": "close to the real table, with differences",
            "poor": "far from the real table",
        }[outcome]
    broken = worst is not None and worst.broken
    level = "fair" if outcome == "good" and broken else _level(outcome)
    named = f" Furthest off is {worst.name}, {_percent(worst.error)}." if worst and (broken or level != "good") else ""
    on_average = "on average " if outcome == "good" and broken else ""
    return level, f"{topic}: {on_average}{words} ({numbers}).{named}"


def _reach(report: Report) -> float:
    r"""By how much chance leaves a larger error than the floor says, where there are few synthetic rows.

    The errors of samples go as :math:`\sqrt{1/n + 1/m}`. With n real and m synthetic rows, against two halves of the
    real ones, that is :math:`\sqrt{1 + n/m} / 2`, and more than 1 below a third as many synthetic rows as real ones.
    """
    real, synthetic = report.rows.get("real", 0), report.rows.get("synthetic", 0)
    return max(1.0, math.sqrt(1 + real / synthetic) / 2) if synthetic > 0 else 1.0


def _missing_sentences(report: Report) -> list[tuple[str, str]]:
    if _measured(report, "missing_patterns") is None:
        return []
    return [_error_sentence(report, "missing_patterns", "Missing cells", None)]


class _Worst(NamedTuple):
    """The column or pair with the largest excess over its floor."""

    name: str
    error: float
    base: float

    @property
    def broken(self) -> bool:
        return self.error - self.base > max(2 * self.base, 0.05)


def _worst_column(report: Report) -> _Worst | None:
    reach = _reach(report)
    found = [
        _Worst(column.name, column.error, _finite(column.floor) * reach)
        for column in report.columns
        if math.isfinite(column.error)
    ]
    return max(found, key=lambda worst: worst.error - worst.base, default=None)


def _worst_pair(report: Report) -> _Worst | None:
    reach = _reach(report)
    found = [_Worst(f"{pair.a} with {pair.b}", pair.error, _finite(pair.floor) * reach) for pair in _pairs(report)]
    return max(found, key=lambda worst: worst.error - worst.base, default=None)


def _detection_sentence(report: Report) -> tuple[str, str]:
    topic = "Told apart by a machine"
    found = {key: _measured(report, key) for key in ("detection", "detection_differences")}
    scores = {key: score for key, score in found.items() if score is not None}
    if not scores:
        return "fair", f"{topic}: not measured. {_why_not(report, 'detection')}"
    bases = {key: _floor_or_half(score) for key, score in scores.items()}
    key = max(scores, key=lambda key: abs(scores[key].value - bases[key]))
    score = scores[key]
    excess = score.value - bases[key]
    outcome = _judge(abs(excess), _se(score), good=0.05, poor=0.20)
    words = {"good": "hardly", "unsure": "too few rows to say", "fair": "at times", "poor": "yes"}[outcome]
    if excess < 0 and outcome in {"fair", "poor"}:
        words = "less often than by guessing, a sign of copied rows"
    helped = " with the differences between columns at hand" if key == "detection_differences" else ""
    return (
        _level(outcome),
        f"{topic}: {words}. Shown one real and one synthetic row, boosted trees{helped} pick out the synthetic one "
        f"{100 * score.value:.0f} times of 100; guessing gets 50 (AUC {score.value:.3f}).",
    )


def _utility_sentence(report: Report) -> tuple[str, str]:
    topic = "Usefulness"
    score = _measured(report, "utility")
    if score is None:
        return "fair", f"{topic}: not measured. {_why_not(report, 'utility')}"
    target = report.target or "the target"
    chance = _chance(report.metric("utility"))
    name = "AUC" if chance == 0.5 else "an error (RMSE / std) of"
    floor = _floor(score)
    if floor is None:
        return (
            "fair",
            f"{topic}: trained on synthetic rows, a model predicts {target} on real test rows with {name} "
            f"{score.value:.3f}; what real rows reach was not measured.",
        )
    skill = floor - chance if chance == 0.5 else chance - floor
    if skill <= 2 * _finite(score.floor_se):
        return (
            "fair",
            f"{topic}: nothing to compare. Even a model trained on the real rows hardly predicts {target} "
            f"({name} {floor:.3f}, guessing {chance:.3g}).",
        )
    kept = (score.value - chance) / (floor - chance)
    outcome = _judge(1 - kept, _se(score) / skill, good=0.05, poor=0.20)
    words = {
        "good": "synthetic rows teach as much as real ones"
        if kept >= 0.995
        else "synthetic rows teach almost as much as real ones",
        "unsure": "too few test rows to tell",
        "fair": "synthetic rows teach less than real ones",
        "poor": "synthetic rows teach far less than real ones",
    }[outcome]
    share = f"{100 * max(kept, 0.0):.0f} % of the skill is kept"
    return (
        _level(outcome),
        f"{topic}: {words}. On real test rows a model predicts {target} with {name} {score.value:.3f} when trained on "
        f"synthetic rows, {floor:.3f} when trained on real ones: {share}.",
    )


def _privacy_sentence(report: Report) -> tuple[str, str]:
    topic = "Privacy"
    closer, copies = _measured(report, "closer_to_train"), _measured(report, "exact_copies")
    if closer is None and copies is None:
        return "fair", f"{topic}: not measured. {_why_not(report, 'closer_to_train')}"
    outcomes: list[Outcome] = []
    parts = []
    if closer is None:
        outcomes.append("unsure")
        parts.append(f"whether rows were memorised was not measured. {_why_not(report, 'closer_to_train')}")
    else:
        outcome = _judge(closer.value - _floor_or_half(closer), _se(closer), good=0.01, poor=0.05)
        outcomes.append(outcome)
        words = {
            "good": "no sign of memorised rows",
            "unsure": "too few test rows to tell whether rows were memorised",
            "fair": "synthetic rows lean towards the training rows",
            "poor": "rows look memorised",
        }[outcome]
        parts.append(
            f"{words}. The real row nearest to a synthetic one is a training row, not a held-out one, "
            f"in {_percent(closer.value, closer.se)} of cases; ideal is 50 %."
        )
    if copies is None:
        outcomes.append("unsure")
        parts.append(f"Exact copies were not counted. {_why_not(report, 'exact_copies')}")
    else:
        floor = _floor(copies)
        base = 0.0 if floor is None else floor
        limits = {"good": max(0.001, 0.1 * base), "poor": max(0.01, 0.5 * base)}
        outcomes.append(_judge(copies.value - base, _se(copies), **limits))
        real = "" if floor is None else f"; among other real rows it is {_percent(floor)}"
        parts.append(f"{_percent(copies.value)} of the synthetic rows equal a training row{real}.")
    order = ("good", "fair", "poor")
    return max((_level(outcome) for outcome in outcomes), key=order.index), f"{topic}: {' '.join(parts)}"


# Numbers in words ----------------------------------------------------------------------------------------------------


def _percent(share: float, se: float | None = None) -> str:
    if not math.isfinite(share):
        return "n/a"
    if se is not None and _finite(se) > 0:
        return f"{100 * share:.2f} ± {100 * se:.2f} %"
    return "< 0.01 %" if 0 < share < 5e-5 else f"{100 * share:.2f} %"


def _number(metric: Metric, value: float | None, se: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "n/a"
    if metric.unit == "share":
        return _percent(value, se)
    return f"{value:.3f} ± {se:.3f}" if _finite(se) > 0 else f"{value:.3f}"


def _count(number: float) -> str:
    return f"{number:,.0f}"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _short(name: str, length: int) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"


# Scores --------------------------------------------------------------------------------------------------------------


class _Mark(NamedTuple):
    """Places on a strip, in percent of its width: 0 is the best there can be, 100 the worst."""

    value: float
    low: float
    high: float
    floor: float | None
    floor_low: float
    floor_high: float


class _Row(NamedTuple):
    title: str
    meaning: str
    value: str
    floor: str
    mark: _Mark


def _metrics(report: Report) -> list[Metric]:
    return [report.metric(metric.key) for metric in METRICS]


def _chance(metric: Metric) -> float:
    """The score of a model that predicts nothing: 0.5 for an AUC, 1 for RMSE / std."""
    return 1.0 if metric.better == "lower" else 0.5


def _badness(metric: Metric, value: float, floor: float | None) -> float:
    """Distance from the best value there can be, 0 to 1, drawn on a square-root scale so that small errors show."""
    if metric.better == "lower":
        bad = value
    elif metric.better == "higher":
        bad = (1 - value) * (2 if "AUC" in metric.unit else 1)
    elif metric.better == "near half":
        bad = 2 * abs(value - 0.5)
    else:
        base = 0.0 if floor is None else floor
        bad = abs(value - base) / max(base, 1 - base)
    return 100 * math.sqrt(min(max(bad, 0.0), 1.0))


def _interval(metric: Metric, value: float, se: float | None, floor: float | None) -> tuple[float, float, float]:
    reach = 2 * _finite(se)
    ends = [_badness(metric, value + sign * reach, floor) for sign in (-1, 1)]
    middle = _badness(metric, value, floor)
    return middle, min(middle, *ends), max(middle, *ends)


def _rows(report: Report) -> list[_Row]:
    rows = []
    for metric in _metrics(report):
        score = _measured(report, metric.key)
        if score is None:
            continue
        floor = _floor(score)
        value, low, high = _interval(metric, score.value, score.se, floor)
        place, floor_low, floor_high = (None, 0.0, 0.0)
        if floor is not None:
            place, floor_low, floor_high = _interval(metric, floor, score.floor_se, floor)
        rows.append(
            _Row(
                title=metric.title,
                meaning=metric.meaning,
                value=_number(metric, score.value, score.se),
                floor=_number(metric, floor, score.floor_se),
                mark=_Mark(value, low, high, place, floor_low, floor_high),
            )
        )
    return rows


def _skipped(report: Report) -> list[tuple[str, str]]:
    return [
        (metric.title, _why_not(report, metric.key))
        for metric in _metrics(report)
        if _measured(report, metric.key) is None
    ]


# Columns -------------------------------------------------------------------------------------------------------------


class _Bar(NamedTuple):
    label: str
    real: float
    synthetic: float
    real_width: float  # percent of the longest bar
    synthetic_width: float


class _Card(NamedTuple):
    name: str
    kind: str
    error: str
    floor: str
    above: bool
    real_path: str
    synthetic_path: str
    ends: tuple[str, str]
    apart: tuple[str, ...]
    ground: float
    bars: tuple[_Bar, ...]


_WIDTH, _HEIGHT = 300.0, 90.0
_SLOT, _SLOT_BAR, _SLOT_GAP = 54.0, 26.0, 6.0  # room for a bar that stands apart from the others, at the right


def _cards(report: Report) -> list[_Card]:
    ordered = sorted(report.columns, key=lambda column: -column.error if math.isfinite(column.error) else 1.0)
    return [_card(column, _NOISE_RATIO * _reach(report)) for column in ordered]


def _card(column: ColumnReport, noise: float) -> _Card:
    real, synthetic = [_finite(share) for share in column.real], [_finite(share) for share in column.synthetic]
    top = max([*real, *synthetic, 0.0]) or 1.0
    floor = column.floor if column.floor is not None and math.isfinite(column.floor) else None
    numeric = column.kind == "number"
    apart = tuple(label for label in column.labels[-2:] if numeric and label in {"other", "missing"})
    bins = column.labels[: len(column.labels) - len(apart)]
    return _Card(
        name=column.name,
        kind=column.kind,
        error=_percent(column.error),
        floor="n/a" if floor is None else _percent(floor),
        above=floor is not None and column.error > noise * floor,
        real_path=_steps(real, top, len(apart), close=True) if numeric else "",
        synthetic_path=_steps(synthetic, top, len(apart), close=False) if numeric else "",
        ends=(bins[0], bins[-1]) if bins else ("", ""),
        apart=apart,
        ground=_ground(len(apart)),
        bars=()
        if numeric
        else tuple(
            _Bar(label, a, b, 100 * a / top, 100 * b / top)
            for label, a, b in zip(column.labels, real, synthetic, strict=True)
        ),
    )


def _ground(apart: int) -> float:
    """Where the bins end and the bars that stand apart begin."""
    return _WIDTH - apart * _SLOT - (_SLOT_GAP if apart else 0.0)


def _steps(shares: list[float], top: float, apart: int, close: bool) -> str:
    """The outline of a histogram as an SVG path; the last bars may stand apart, each on its own."""
    bins, tail = shares[: len(shares) - apart], shares[len(shares) - apart :]
    right = _ground(apart)
    outlines = [(0.0, right / len(bins), bins)] if bins else []
    for k, share in enumerate(tail):
        outlines.append((_WIDTH - (apart - k - 0.5) * _SLOT - _SLOT_BAR / 2, _SLOT_BAR, [share]))
    parts = []
    for left, width, heights in outlines:
        parts.append(f"M{left:.1f} {_HEIGHT:.1f}")
        for k, share in enumerate(heights):
            parts.append(f"V{_HEIGHT * (1 - 0.97 * share / top):.1f}H{left + width * (k + 1):.1f}")
        parts.append(f"V{_HEIGHT:.1f}" + ("Z" if close else ""))
    return "".join(parts)


# Pairs ---------------------------------------------------------------------------------------------------------------


class _Pair(NamedTuple):
    a: str
    b: str
    error: float
    floor: float | None

    @property
    def excess(self) -> float:
        return self.error - _finite(self.floor)


class _Cell(NamedTuple):
    x: float
    y: float
    size: float
    step: int
    title: str


class _Label(NamedTuple):
    x: float
    y: float
    text: str
    name: str


class _Map(NamedTuple):
    width: float
    height: float
    font: int
    cells: tuple[_Cell, ...]
    labels: tuple[_Label, ...]
    shown: int
    total: int


class _Listed(NamedTuple):
    a: str
    b: str
    error: str
    floor: str
    width: float
    floor_width: float


def _entry(matrix: Sequence[Sequence[float | None]], row: int, column: int) -> float | None:
    value = matrix[row][column] if row < len(matrix) and column < len(matrix[row]) else None
    return value if value is not None and math.isfinite(value) else None


def _pair(report: Report, row: int, column: int) -> _Pair | None:
    error = _entry(report.pair_errors, row, column)
    if error is None:
        return None
    return _Pair(report.pair_names[column], report.pair_names[row], error, _entry(report.pair_floors, row, column))


def _lower(size: int) -> Iterator[tuple[int, int]]:
    return ((row, column) for row in range(size) for column in range(row))


def _pairs(report: Report) -> list[_Pair]:
    found = [_pair(report, row, column) for row, column in _lower(len(report.pair_names))]
    return sorted((pair for pair in found if pair is not None), key=lambda pair: -pair.excess)


def _map(report: Report) -> _Map | None:
    """The lower triangle of the pairs; a column's name stands on the diagonal and serves its row and its column."""
    total = len(report.pair_names)
    if total < 2:
        return None
    worst = [0.0] * total
    for row, column in _lower(total):
        pair = _pair(report, row, column)
        excess = 0.0 if pair is None else pair.excess
        worst[row], worst[column] = worst[row] + excess, worst[column] + excess
    kept = sorted(sorted(range(total), key=lambda k: -worst[k])[:_PAIR_COLUMNS_SHOWN])
    size = min(max(600 // len(kept), 14), 32)
    noise = _NOISE_RATIO * _reach(report)
    cells = []
    for row, column in _lower(len(kept)):
        pair = _pair(report, kept[row], kept[column])
        if pair is None:
            continue
        above = pair.floor is None or pair.error > noise * pair.floor
        side = size - 2 if above else size * 0.4
        inset = (size - side) / 2
        floor = "" if pair.floor is None else f" (floor {_percent(pair.floor)})"
        title = f"{pair.a} with {pair.b}: {_percent(pair.error)}{floor}"
        step = sum(pair.error >= edge for edge in _STEPS)
        cells.append(_Cell(column * size + inset, row * size + inset, side, step, title))
    labels = []
    for k, index in enumerate(kept):
        name = report.pair_names[index]
        labels.append(_Label(k * size + 3, (k + 0.5) * size, _short(name, 20), name))
    font = 13 if size >= 20 else 11
    width = max(label.x + 0.66 * font * len(label.text) for label in labels)
    return _Map(width, len(kept) * size, font, tuple(cells), tuple(labels), len(kept), total)


def _listed(report: Report) -> list[_Listed]:
    pairs = _pairs(report)[:_PAIRS_LISTED]
    top = max([max(pair.error, pair.floor or 0.0) for pair in pairs], default=0.0) or 1.0
    return [
        _Listed(
            pair.a,
            pair.b,
            _percent(pair.error),
            "n/a" if pair.floor is None else _percent(pair.floor),
            100 * pair.error / top,
            100 * (pair.floor or 0.0) / top,
        )
        for pair in pairs
    ]


# Privacy -------------------------------------------------------------------------------------------------------------


class _Gauge(NamedTuple):
    value: float  # places in percent of the gauge's width
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    words: str


def _gauge(report: Report) -> _Gauge | None:
    score = _measured(report, "closer_to_train")
    if score is None:
        return None
    band = 2 * _finite(score.se)
    reach = abs(score.value - 0.5) + band
    half = next(half for half in (0.05, 0.1, 0.25, 0.5) if reach <= 0.9 * half or half == 0.5)

    def place(share: float) -> float:
        return 50 + 50 * min(max((share - 0.5) / half, -1.0), 1.0)

    low, high = score.value - band, score.value + band
    return _Gauge(
        place(score.value),
        place(low),
        place(high),
        tuple((place(0.5 + k * half), f"{100 * (0.5 + k * half):.3g} %") for k in (-1, -0.5, 0, 0.5, 1)),
        _unbroken(
            f"{_percent(score.value)}, with a band of two standard errors from {_percent(max(low, 0.0))} "
            f"to {_percent(min(high, 1.0))}"
        ),
    )


class _Fact(NamedTuple):
    number: str
    title: str
    words: str


def _facts(report: Report) -> list[_Fact]:
    words = {
        "exact_copies": "Synthetic rows that equal a training row cell by cell. Where a table has few distinct rows, "
        "copies arise by chance: compare with the floor.",
        "alpha_precision": "How well the synthetic rows stay inside the region where the real rows lie. "
        "Far below the floor: rows that could not be real.",
        "beta_recall": "How well the synthetic rows cover the real ones. Far below the floor: kinds of rows were "
        "forgotten. Far above it: rows sit closer to the real ones than chance lets them.",
    }
    facts = []
    for key, text in words.items():
        score = _measured(report, key)
        if score is not None:
            metric = report.metric(key)
            floor = _number(metric, _floor(score), score.floor_se)
            sentence = _unbroken(f"{text} Floor: {floor}.")
            facts.append(_Fact(_percent(score.value), metric.title, sentence))
    return facts


# Training ------------------------------------------------------------------------------------------------------------


class _Line(NamedTuple):
    key: str
    path: str
    end: float  # height of the label, in percent from the top
    last: str


class _Curve(NamedTuple):
    lines: tuple[_Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    logarithmic: bool
    seconds: str | None
    steps: str


_CURVE_WIDTH, _CURVE_HEIGHT = 1000.0, 400.0


def _curve(report: Report) -> _Curve | None:
    trace = report.trace or {}
    steps = trace.get("step", [])
    drawn = {}
    for key in ("loss", "numbers", "categories"):
        points = [(x, y) for x, y in zip(steps, trace.get(key, []), strict=False) if math.isfinite(x + y)]
        if len(points) >= 2:
            drawn[key] = points
    if not drawn:
        return None
    xs = [x for points in drawn.values() for x, _ in points]
    ys = [y for points in drawn.values() for _, y in points]
    logarithmic = min(xs) >= 0 and max(xs) >= 100 * max(min(xs), 1)
    floor_x = max(min(xs), 1.0) if logarithmic else min(xs)
    y_ticks = _ticks(min(ys), max(ys))
    bottom, top = min(y_ticks[0], min(ys)), max(y_ticks[-1], max(ys))

    def across(x: float) -> float:
        if logarithmic:
            return math.log(max(x, floor_x) / floor_x) / math.log(max(xs) / floor_x)
        return (x - floor_x) / (max(xs) - floor_x or 1.0)

    def down(y: float) -> float:
        return (top - y) / (top - bottom or 1.0)

    lines = []
    for key, points in drawn.items():
        path = "L".join(f"{_CURVE_WIDTH * across(x):.1f} {_CURVE_HEIGHT * down(y):.1f}" for x, y in points)
        lines.append(_Line(key, "M" + path, 100 * down(points[-1][1]), f"{points[-1][1]:.3f}"))
    if logarithmic:
        powers = range(math.ceil(math.log10(floor_x)), math.floor(math.log10(max(xs))) + 1)
        x_values = [10.0**power for power in powers]
    else:
        x_values = [x for x in _ticks(floor_x, max(xs)) if floor_x <= x <= max(xs)]
    seconds = [second for second in trace.get("seconds", []) if math.isfinite(second)]
    return _Curve(
        tuple(_apart(lines)),
        tuple((100 * across(x), _count(x)) for x in x_values),
        tuple((100 * down(y), f"{y:.4g}") for y in y_ticks),
        logarithmic,
        _duration(seconds[-1]) if seconds else None,
        _count(max(xs)),
    )


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers that reach from below `low` to above `high`."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / 4))
    step = next(factor * power for factor in (1, 2, 5, 10) if span / (factor * power) <= 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(k * step, 12) for k in range(first, last + 1)]


def _apart(lines: list[_Line], gap: float = 8.0) -> list[_Line]:
    """Move the labels at the ends of the lines apart, so that none covers another."""
    ordered = sorted(lines, key=lambda line: line.end)
    ends: list[float] = []
    for line in ordered:
        ends.append(max(line.end, ends[-1] + gap) if ends else line.end)
    lowest = 100.0
    for k in reversed(range(len(ends))):
        ends[k] = min(ends[k], lowest)
        lowest = ends[k] - gap
    return [line._replace(end=end) for line, end in zip(ordered, ends, strict=True)]


# The page ------------------------------------------------------------------------------------------------------------


class _Sentence(NamedTuple):
    level: str  # "good", "fair", "poor" or "not measured"
    topic: str
    words: str


def _sentence(level: str, words: str) -> _Sentence:
    topic, rest = _unbroken(words).split(": ", 1)
    reason = rest.removeprefix("not measured. ")
    return _Sentence(level if reason == rest else "not measured", topic, reason)


@functools.cache
def _template() -> jinja2.Template:
    source = resources.files("scorewise.tabular").joinpath("page.html.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source)


def _unbroken(words: str) -> str:
    """Keep numbers on one line with their units and standard errors."""
    return words.replace(" %", "\u00a0%").replace(" ± ", "\u00a0±\u00a0")


def render(report: Report) -> str:
    """Write a report as one HTML page that needs nothing but itself: no network, no script, no font.

    Args:
        report: what was measured.

    Returns:
        The page; the same report gives the same text.
    """
    sentences = [_sentence(level, words) for level, words in verdict(report)]
    levels = [sentence.level for sentence in sentences]
    cards = _cards(report)
    curve = _curve(report)
    page = _template().render(
        title=report.about.get("table", "Synthetic table"),
        rows=[(name, _count(number)) for name, number in report.rows.items()],
        target=report.target,
        sentences=sentences,
        tally=[(level, levels.count(level)) for level in ("good", "fair", "poor", "not measured") if level in levels],
        caution=CAUTION,
        scores=_rows(report),
        skipped=_skipped(report),
        cards=cards[:_COLUMNS_SHOWN],
        folded=cards[_COLUMNS_SHOWN:],
        map=_map(report),
        listed=_listed(report),
        noise_ratio=f"{_NOISE_RATIO * _reach(report):.2g}",
        legend=[("" if k == 0 else f"{100 * _STEPS[k - 1]:g}", k) for k in range(len(_STEPS) + 1)],
        gauge=_gauge(report),
        facts=_facts(report),
        why_no_gauge=_why_not(report, "closer_to_train"),
        curve=curve,
        stopped=report.about.get("stopped"),
        about=[(key, value) for key, value in report.about.items() if key != "table"],
        computed=[(metric.title, _COMPUTED[metric.key]) for metric in _metrics(report)],
    )
    return page.rstrip() + "\n"
