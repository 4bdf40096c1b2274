"""The verdict: how good a synthetic table is, judged by thresholds and said in plain words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from scorewise.tabular.figure import finite, number, percent
from scorewise.tabular.score import Metric, Score

if TYPE_CHECKING:
    from scorewise.tabular.report import Report

CAUTION = (
    "These numbers are evidence, not a guarantee: no differential privacy is claimed, and an attacker "
    "who knows more than these tests do may learn more than they show."
)

Outcome = Literal["good", "fair", "poor", "unsure"]

_NOISE_RATIO = 1.5  # an error up to 1.5 times its floor is counted as sampling noise


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
    detection               AUC - floor (0.5) of the boosted  0.05                   0.20
                            detector that is further off
    utility                 lost share of the skill of the    0.05                   0.20
                            model trained on real rows
    closer_to_train         value - floor (0.5)               0.01                   0.05
    exact_copies            value - floor                     max(0.001, 0.1 floor)  max(0.01, 0.5 floor)
    singled_out             value - floor                     max(0.01, floor)       max(0.05, 4 floor)
    ======================  ================================  =====================  ==========================

    The floors in the first row count for more where there are less than a third as many synthetic rows as real ones:
    with n real and m synthetic rows they are multiplied by :math:`\sqrt{1 + n/m} / 2`, because so few rows differ by
    more than two halves of the real table do. Columns and pairs are fair at best where the mean hides one whose excess
    over its own floor is above max(2 floor, 0.05). Detection that is less than its floor by more than that is as good
    as closer_to_train: rows that are copied are found less often than by guessing, and so are new rows whose columns
    are matched to those of the table. Skill is AUC - 0.5, or 1 - RMSE / std. Privacy is as good as the
    worst of its scores. A standard error that is not finite counts as zero.

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


def _se(score: Score) -> float:
    return math.hypot(finite(score.se), finite(score.floor_se))


def _floor_or_half(score: Score) -> float:
    floor = known_floor(score)
    return 0.5 if floor is None else floor


def _error_sentence(report: Report, key: str, topic: str, worst: _Worst | None) -> tuple[str, str]:
    score = measured(report, key)
    if score is None:
        return "fair", f"{topic}: not measured. {why_not(report, key)}"
    floor, se, error = known_floor(score), _se(score), f"mean error {percent(score.value)}"
    if floor is None:
        outcome = _judge(score.value, se, good=0.02, poor=0.05)
        words, numbers = "as close to the real table as can be told", error
    else:
        base = floor * _reach(report)
        outcome = _judge(score.value - base, se, good=(_NOISE_RATIO - 1) * base, poor=max(2 * base, 0.02))
        nearly = "" if score.value <= base + 2 * se else "almost "
        words = f"{nearly}as close to the real table as two halves of it are to each other"
        numbers = f"{error}, between halves {percent(floor)}"
        if base > floor:
            words = f"{nearly}as close to the real table as so few rows can be"
            numbers = f"{error}; so few synthetic rows leave about {percent(base)} by chance"
    if outcome != "good":
        words = {
            "unsure": "too few rows to tell",
            "fair": "close to the real table, with differences",
            "poor": "far from the real table",
        }[outcome]
    broken = worst is not None and worst.broken
    level = "fair" if outcome == "good" and broken else _level(outcome)
    named = f" Furthest off is {worst.name}, {percent(worst.error)}." if worst and (broken or level != "good") else ""
    on_average = "on average " if outcome == "good" and broken else ""
    return level, f"{topic}: {on_average}{words} ({numbers}).{named}"


def _missing_sentences(report: Report) -> list[tuple[str, str]]:
    if measured(report, "missing_patterns") is None:
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
        _Worst(column.name, column.error, finite(column.floor) * reach)
        for column in report.columns
        if math.isfinite(column.error)
    ]
    return max(found, key=lambda worst: worst.error - worst.base, default=None)


def _worst_pair(report: Report) -> _Worst | None:
    reach = _reach(report)
    found = [
        _Worst(f"{pair.a} with {pair.b}", pair.error, finite(pair.floor) * reach) for pair in pairs_by_excess(report)
    ]
    return max(found, key=lambda worst: worst.error - worst.base, default=None)


def _detection_sentence(report: Report) -> tuple[str, str]:
    topic = "Told apart by a machine"
    found = {key: measured(report, key) for key in ("detection", "detection_differences")}
    scores = {key: score for key, score in found.items() if score is not None}
    if not scores:
        return "fair", f"{topic}: not measured. {why_not(report, 'detection')}"
    bases = {key: _floor_or_half(score) for key, score in scores.items()}
    key = max(scores, key=lambda key: abs(scores[key].value - bases[key]))
    score = scores[key]
    excess = score.value - bases[key]
    outcome = _judge(abs(excess), _se(score), good=0.05, poor=0.20)
    words = {"good": "hardly", "unsure": "too few rows to say", "fair": "at times", "poor": "yes"}[outcome]
    if excess < 0 and outcome in {"fair", "poor"}:
        outcome = _closeness(report) or "unsure"
        words = {
            "good": "no, less often than by guessing: columns are matched more exactly than those of new rows would be",
            "poor": "less often than by guessing, a sign of copied rows",
        }.get(
            outcome,
            "less often than by guessing: columns are matched more exactly than those of new rows would be, or rows "
            "are copied",
        )
    helped = " with the differences between columns at hand" if key == "detection_differences" else ""
    return (
        _level(outcome),
        f"{topic}: {words}. Shown one real and one synthetic row, boosted trees{helped} pick out the synthetic one "
        f"{100 * score.value:.0f} times of 100; guessing gets 50 (AUC {score.value:.3f}).",
    )


def _closeness(report: Report) -> Outcome | None:
    """Whether synthetic rows are no closer to training rows than to others; None where that was not measured."""
    score = measured(report, "closer_to_train")
    return None if score is None else _judge(score.value - _floor_or_half(score), _se(score), good=0.01, poor=0.05)


def _utility_sentence(report: Report) -> tuple[str, str]:
    topic = "Usefulness"
    score = measured(report, "utility")
    if score is None:
        return "fair", f"{topic}: not measured. {why_not(report, 'utility')}"
    target = report.target or "the target"
    chance = _chance(report.metric("utility"))
    name = "AUC" if chance == 0.5 else "an error (RMSE / std) of"
    floor = known_floor(score)
    if floor is None:
        return (
            "fair",
            f"{topic}: trained on synthetic rows, a model predicts {target} on real test rows with {name} "
            f"{score.value:.3f}; what real rows reach was not measured.",
        )
    skill = floor - chance if chance == 0.5 else chance - floor
    if skill <= 2 * finite(score.floor_se):
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
    closer, copies = measured(report, "closer_to_train"), measured(report, "exact_copies")
    singled, closeness = measured(report, "singled_out"), _closeness(report)
    if closer is None and copies is None:
        return "fair", f"{topic}: not measured. {why_not(report, 'closer_to_train')}"
    outcomes: list[Outcome] = []
    parts = []
    if closer is None or closeness is None:
        outcomes.append("unsure")
        parts.append(f"whether rows were memorised was not measured. {why_not(report, 'closer_to_train')}")
    else:
        outcomes.append(closeness)
        words = {
            "good": "no sign of memorised rows",
            "unsure": "too few test rows to tell whether rows were memorised",
            "fair": "synthetic rows lean towards the training rows",
            "poor": "rows look memorised",
        }[closeness]
        parts.append(
            f"{words}. The real row nearest to a synthetic one is a training row, not a held-out one, "
            f"in {number(report.metric('closer_to_train'), closer.value, closer.se)} of cases; ideal is 50 %."
        )
    if copies is None:
        outcomes.append("unsure")
        parts.append(f"Exact copies were not counted. {why_not(report, 'exact_copies')}")
    else:
        base = known_floor(copies) or 0.0
        limits = {"good": max(0.001, 0.1 * base), "poor": max(0.01, 0.5 * base)}
        outcomes.append(_judge(copies.value - base, _se(copies), **limits))
        parts.append(f"{percent(copies.value)} of the synthetic rows equal a training row{_others(copies)}.")
    if singled is not None:  # there are tables without numbers
        base = known_floor(singled) or 0.0
        outcomes.append(_judge(singled.value - base, _se(singled), good=max(0.01, base), poor=max(0.05, 4 * base)))
        parts.append(
            f"{percent(singled.value)} of the synthetic numbers are those of one training row alone{_others(singled)}."
        )
    order = ("good", "fair", "poor")
    return max((_level(outcome) for outcome in outcomes), key=order.index), f"{topic}: {' '.join(parts)}"


def _others(score: Score) -> str:
    floor = known_floor(score)
    return "" if floor is None else f"; among other real rows it is {percent(floor)}"


def _chance(metric: Metric) -> float:
    """The score of a model that predicts nothing: 0.5 for an AUC, 1 for RMSE / std."""
    return 1.0 if metric.better == "lower" else 0.5


def _reach(report: Report) -> float:
    r"""By how much chance leaves a larger error than the floor says, where there are few synthetic rows.

    The errors of samples go as :math:`\sqrt{1/n + 1/m}`. With n real and m synthetic rows, against two halves of the
    real ones, that is :math:`\sqrt{1 + n/m} / 2`, and more than 1 below a third as many synthetic rows as real ones.
    """
    real, synthetic = report.rows.get("real", 0), report.rows.get("synthetic", 0)
    return max(1.0, math.sqrt(1 + real / synthetic) / 2) if synthetic > 0 else 1.0


# What a report holds -------------------------------------------------------------------------------------------------


def measured(report: Report, key: str) -> Score | None:
    """Look a score up.

    Args:
        report: what was measured.
        key: the key of the score.

    Returns:
        The score; None where it was not measured or came out as no number.
    """
    score = report.scores.get(key)
    return score if score is not None and math.isfinite(score.value) else None


def known_floor(score: Score) -> float | None:
    """Look the floor of a score up.

    Args:
        score: the score.

    Returns:
        The floor; None where it was not measured or came out as no number.
    """
    return score.floor if score.floor is not None and math.isfinite(score.floor) else None


def why_not(report: Report, key: str) -> str:
    """Say why there is no score.

    Args:
        report: what was measured.
        key: the key of a score that is not `measured`.

    Returns:
        The reason, one sentence or more.
    """
    if key in report.scores:
        return "The score came out as no number."
    reason = report.skipped.get(key, "the report holds no such score").strip()
    return reason[:1].upper() + reason[1:] + ("" if reason.endswith((".", "!", "?")) else ".")


def noise_ratio(report: Report) -> float:
    """Say where errors of columns and pairs begin to be more than sampling noise.

    Args:
        report: what was measured.

    Returns:
        How many times its floor an error may be.
    """
    return _NOISE_RATIO * _reach(report)


class Pair(NamedTuple):
    """Two columns, their error, and the same between two halves of the real table."""

    a: str
    b: str
    error: float
    floor: float | None

    @property
    def excess(self) -> float:
        """How much larger the error is than its floor, or than zero where no floor is known."""
        return self.error - finite(self.floor)


def _entry(matrix: Sequence[Sequence[float | None]], row: int, column: int) -> float | None:
    value = matrix[row][column] if row < len(matrix) and column < len(matrix[row]) else None
    return value if value is not None and math.isfinite(value) else None


def pair_at(report: Report, row: int, column: int) -> Pair | None:
    """Look a pair up.

    Args:
        report: what was measured.
        row: the place of the pair's second column in the names of the pairs.
        column: the place of its first.

    Returns:
        The pair; None where it was not measured.
    """
    error = _entry(report.pair_errors, row, column)
    if error is None:
        return None
    return Pair(report.pair_names[column], report.pair_names[row], error, _entry(report.pair_floors, row, column))


def lower(size: int) -> Iterator[tuple[int, int]]:
    """Name the places below the diagonal of a square matrix, where each pair stands once.

    Args:
        size: the number of rows.

    Returns:
        Row and column of each place, row by row.
    """
    return ((row, column) for row in range(size) for column in range(row))


def pairs_by_excess(report: Report) -> list[Pair]:
    """List the pairs that were measured.

    Args:
        report: what was measured.

    Returns:
        The pairs, the one furthest above its floor first.
    """
    found = [pair_at(report, row, column) for row, column in lower(len(report.pair_names))]
    return sorted((pair for pair in found if pair is not None), key=lambda pair: -pair.excess)
