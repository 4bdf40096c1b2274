"""The figures of a page as SVG geometry: computed here, in Python; the template only places it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from scorewise.tabular.figure import count, finite, percent, unbroken
from scorewise.tabular.score import Metric, Score
from scorewise.tabular.verdict import known_floor, lower, measured, noise_ratio, pair_at, pairs_by_excess

if TYPE_CHECKING:
    from scorewise.tabular.report import ColumnReport, Report

_PAIR_COLUMNS_SHOWN = 40  # columns of the heat map
_PAIRS_LISTED = 10
_STEPS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16)  # edges of the heat map's colours, the same on every page


# Strips --------------------------------------------------------------------------------------------------------------


class Mark(NamedTuple):
    """Places on a strip, in percent of its width: 0 is the best there can be, 100 the worst."""

    value: float
    low: float
    high: float
    floor: float | None
    floor_low: float
    floor_high: float


def mark(metric: Metric, score: Score) -> Mark:
    """Place a score and its floor on a strip, each with two standard errors to both sides.

    Args:
        metric: what is measured.
        score: the score; its value is a number.

    Returns:
        The places.
    """
    floor = known_floor(score)
    value, low, high = _interval(metric, score.value, score.se, floor)
    if floor is None:
        return Mark(value, low, high, None, 0.0, 0.0)
    return Mark(value, low, high, *_interval(metric, floor, score.floor_se, floor))


def _interval(metric: Metric, value: float, se: float | None, floor: float | None) -> tuple[float, float, float]:
    reach = 2 * finite(se)
    ends = [_badness(metric, value + sign * reach, floor) for sign in (-1, 1)]
    middle = _badness(metric, value, floor)
    return middle, min(middle, *ends), max(middle, *ends)


def _badness(metric: Metric, value: float, floor: float | None) -> float:
    """Distance from the best value there can be, 0 to 1, drawn on a square-root scale so that small errors show."""
    base = floor or 0.0
    most = {"near half": 0.5, "near floor": max(base, 1 - base)}.get(metric.better, 1.0)
    if metric.better == "higher" and "AUC" in metric.unit:
        most = 0.5
    bad = metric.distance(value, floor) / most
    return 100 * math.sqrt(min(max(bad, 0.0), 1.0))


# Columns -------------------------------------------------------------------------------------------------------------


class Bar(NamedTuple):
    """A category's level: its share in both tables, and the lengths of its two bars."""

    label: str
    real: float
    synthetic: float
    real_width: float  # percent of the longest bar
    synthetic_width: float


class Card(NamedTuple):
    """One column: its error beside its floor, and a histogram as two paths or as bars."""

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
    bars: tuple[Bar, ...]


_WIDTH, _HEIGHT = 300.0, 90.0
_SLOT, _SLOT_BAR, _SLOT_GAP = 54.0, 26.0, 6.0  # room for a bar that stands apart from the others, at the right


def cards(report: Report) -> list[Card]:
    """Draw every column.

    Args:
        report: what was measured.

    Returns:
        One card a column, the largest error first.
    """
    ordered = sorted(report.columns, key=lambda column: -column.error if math.isfinite(column.error) else 1.0)
    return [_card(column, noise_ratio(report)) for column in ordered]


def _card(column: ColumnReport, noise: float) -> Card:
    real, synthetic = [finite(share) for share in column.real], [finite(share) for share in column.synthetic]
    top = max([*real, *synthetic, 0.0]) or 1.0
    floor = column.floor if column.floor is not None and math.isfinite(column.floor) else None
    numeric = column.kind == "number"
    apart = tuple(label for label in column.labels[-2:] if numeric and label in {"other", "missing"})
    bins = column.labels[: len(column.labels) - len(apart)]
    return Card(
        name=column.name,
        kind=column.kind,
        error=percent(column.error),
        floor="n/a" if floor is None else percent(floor),
        above=floor is not None and column.error > noise * floor,
        real_path=_steps(real, top, len(apart), close=True) if numeric else "",
        synthetic_path=_steps(synthetic, top, len(apart), close=False) if numeric else "",
        ends=(bins[0], bins[-1]) if bins else ("", ""),
        apart=apart,
        ground=_ground(len(apart)),
        bars=()
        if numeric
        else tuple(
            Bar(label, a, b, 100 * a / top, 100 * b / top)
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
            parts.append(f"V{_HEIGHT * (1 - 0.97 * (share / top)):.1f}H{left + width * (k + 1):.1f}")
        parts.append(f"V{_HEIGHT:.1f}" + ("Z" if close else ""))
    return "".join(parts)


# Pairs ---------------------------------------------------------------------------------------------------------------


class Cell(NamedTuple):
    """One pair on the map: a square, small where the error is no more than noise."""

    x: float
    y: float
    size: float
    step: int
    title: str


class Label(NamedTuple):
    """A column's name on the map: what fits, and all of it."""

    x: float
    y: float
    text: str
    name: str


class HeatMap(NamedTuple):
    """The map of the pairs, with the number of columns on it and of all columns."""

    width: float
    height: float
    font: int
    cells: tuple[Cell, ...]
    labels: tuple[Label, ...]
    shown: int
    total: int


class Listed(NamedTuple):
    """A pair in the list of the worst, with the lengths of its bars in percent."""

    a: str
    b: str
    error: str
    floor: str
    width: float
    floor_width: float


def heat_map(report: Report) -> HeatMap | None:
    """Draw the lower triangle of the pairs; a column's name stands on the diagonal and serves its row and its column.

    Args:
        report: what was measured.

    Returns:
        The map of the forty worst columns; None where there are fewer than two.
    """
    total = len(report.pair_names)
    if total < 2:
        return None
    worst = [0.0] * total
    for row, column in lower(total):
        pair = pair_at(report, row, column)
        excess = 0.0 if pair is None else pair.excess
        worst[row], worst[column] = worst[row] + excess, worst[column] + excess
    kept = sorted(sorted(range(total), key=lambda k: -worst[k])[:_PAIR_COLUMNS_SHOWN])
    size = min(max(600 // len(kept), 14), 32)
    noise = noise_ratio(report)
    cells = []
    for row, column in lower(len(kept)):
        pair = pair_at(report, kept[row], kept[column])
        if pair is None:
            continue
        above = pair.floor is None or pair.error > noise * pair.floor
        side = size - 2 if above else size * 0.4
        inset = (size - side) / 2
        floor = "" if pair.floor is None else f" (floor {percent(pair.floor)})"
        title = f"{pair.a} with {pair.b}: {percent(pair.error)}{floor}"
        step = sum(pair.error >= edge for edge in _STEPS)
        cells.append(Cell(column * size + inset, row * size + inset, side, step, title))
    labels = []
    for k, index in enumerate(kept):
        name = report.pair_names[index]
        labels.append(Label(k * size + 3, (k + 0.5) * size, _short(name, 20), name))
    font = 13 if size >= 20 else 11
    width = max(label.x + 0.66 * font * len(label.text) for label in labels)
    return HeatMap(width, len(kept) * size, font, tuple(cells), tuple(labels), len(kept), total)


def legend() -> list[tuple[str, int]]:
    """Name the colours of the map.

    Returns:
        Of each colour, the error in percent at which it begins, and its number.
    """
    return [("" if k == 0 else f"{100 * _STEPS[k - 1]:g}", k) for k in range(len(_STEPS) + 1)]


def worst_pairs(report: Report) -> list[Listed]:
    """List the ten pairs furthest above their floors.

    Args:
        report: what was measured.

    Returns:
        The pairs, the worst first.
    """
    pairs = pairs_by_excess(report)[:_PAIRS_LISTED]
    top = max([max(pair.error, pair.floor or 0.0) for pair in pairs], default=0.0) or 1.0
    return [
        Listed(
            pair.a,
            pair.b,
            percent(pair.error),
            "n/a" if pair.floor is None else percent(pair.floor),
            100 * pair.error / top,
            100 * (pair.floor or 0.0) / top,
        )
        for pair in pairs
    ]


def _short(name: str, length: int) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"


# Privacy -------------------------------------------------------------------------------------------------------------


class Gauge(NamedTuple):
    """The share of synthetic rows closer to the training rows, on a scale with one half in the middle."""

    value: float  # places in percent of the gauge's width
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    words: str


def gauge(report: Report) -> Gauge | None:
    """Draw how often synthetic rows are closer to the training rows than to held-out ones.

    Args:
        report: what was measured.

    Returns:
        The gauge; None where that was not measured.
    """
    score = measured(report, "closer_to_train")
    if score is None:
        return None
    band = 2 * finite(score.se)
    reach = abs(score.value - 0.5) + band
    half = next(half for half in (0.05, 0.1, 0.25, 0.5) if reach <= 0.9 * half or half == 0.5)

    def place(share: float) -> float:
        return 50 + 50 * min(max((share - 0.5) / half, -1.0), 1.0)

    low, high = score.value - band, score.value + band
    return Gauge(
        place(score.value),
        place(low),
        place(high),
        tuple((place(0.5 + k * half), f"{100 * (0.5 + k * half):.3g} %") for k in (-1, -0.5, 0, 0.5, 1)),
        unbroken(
            f"{percent(score.value)}, with a band of two standard errors from {percent(max(low, 0.0))} "
            f"to {percent(min(high, 1.0))}"
        ),
    )


# Training ------------------------------------------------------------------------------------------------------------


class Line(NamedTuple):
    """One curve of the loss, and the label at its end."""

    key: str
    path: str
    end: float  # height of the label, in percent from the top
    last: str


class Curve(NamedTuple):
    """The losses over training, with the ticks of both axes."""

    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    logarithmic: bool
    held: bool  # whether the loss on held-out rows is among them
    seconds: str | None
    steps: str


_CURVE_WIDTH, _CURVE_HEIGHT = 1000.0, 400.0
_CURVES = {
    "loss": ("step", "loss"),
    "new": ("check", "new rows"),
    "numbers": ("step", "numbers"),
    "categories": ("step", "categories"),
}


def curve(report: Report) -> Curve | None:
    """Draw the losses over the steps of training, that on held-out rows among them.

    Over two decades of steps or more the scale is logarithmic.

    Args:
        report: what was measured.

    Returns:
        The curves; None where no loss has two points.
    """
    trace = report.trace or {}
    drawn = {}
    for key, (at, values) in _CURVES.items():
        pairs = zip(trace.get(at, []), trace.get(values, []), strict=False)
        points = [(x, y) for x, y in pairs if math.isfinite(x + y)]
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
        lines.append(Line(key, "M" + path, 100 * down(points[-1][1]), f"{points[-1][1]:.3f}"))
    if logarithmic:
        powers = range(math.ceil(math.log10(floor_x)), math.floor(math.log10(max(xs))) + 1)
        x_values = [10.0**power for power in powers]
    else:
        x_values = [x for x in _ticks(floor_x, max(xs)) if floor_x <= x <= max(xs)]
    seconds = [second for second in trace.get("seconds", []) if math.isfinite(second)]
    return Curve(
        tuple(_apart(lines)),
        tuple((100 * across(x), count(x)) for x in x_values),
        tuple((100 * down(y), f"{y:.4g}") for y in y_ticks),
        logarithmic,
        "new" in drawn,
        _duration(seconds[-1]) if seconds else None,
        count(max(xs)),
    )


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers that reach from below `low` to above `high`."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / 4))
    step = next(factor * power for factor in (1, 2, 5, 10) if span / (factor * power) <= 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(k * step, 12) for k in range(first, last + 1)]


def _apart(lines: list[Line], gap: float = 8.0) -> list[Line]:
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


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
