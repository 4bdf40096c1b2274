"""Scores: a value with its standard error and its floor, and what each of them means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple


class Score(NamedTuple):
    """An estimate with its standard error, and the same score between real and real."""

    value: float
    se: float
    floor: float | None = None
    floor_se: float | None = None

    def against(self, floor: Score) -> Score:
        """Set a score beside its floor.

        Args:
            floor: the same score, measured between real rows and other real rows.

        Returns:
            This score with the value and the standard error of `floor` as its floor.
        """
        return self._replace(floor=floor.value, floor_se=floor.se)


class UnmeasuredError(ValueError):
    """A score that these tables cannot give; the message says what it needs and what to do."""


@dataclass(frozen=True)
class Metric:
    """What a score measures, and which way is better."""

    key: str
    title: str
    unit: str
    better: Literal["lower", "higher", "near floor", "near half"]
    meaning: str

    def distance(self, value: float, floor: float | None) -> float:
        """How far a value is from the best one there can be, in the unit of the score; without a floor that is 0."""
        if self.better == "higher":
            return 1 - value
        if self.better == "near half":
            return abs(value - 0.5)
        if self.better == "near floor":
            return abs(value - (floor or 0.0))
        return value


METRICS: tuple[Metric, ...] = (
    Metric(
        "shapes",
        "Shapes",
        "share",
        "lower",
        "How far each column on its own is from the real one, averaged over the columns.",
    ),
    Metric(
        "trends",
        "Trends",
        "share",
        "lower",
        "How far each pair of columns is from the real pair, averaged over the pairs.",
    ),
    Metric(
        "trends_legacy",
        "Trends, legacy bins",
        "share",
        "lower",
        "Trends as older benchmarks computed them, each table with bins of its own: for comparison with published "
        "numbers only.",
    ),
    Metric(
        "detection_linear",
        "Linear detection",
        "score",
        "higher",
        "How well the table hides from a linear classifier; 1 means it cannot tell. It is blind to dependence.",
    ),
    Metric(
        "detection",
        "Detection",
        "AUC",
        "near half",
        "How well boosted trees tell a synthetic row from a real one; 0.5 means they cannot.",
    ),
    Metric(
        "detection_differences",
        "Detection with differences",
        "AUC",
        "near half",
        "The same with the differences of number columns at hand, so that broken equalities between columns show.",
    ),
    Metric(
        "utility",
        "Utility",
        "AUC",
        "higher",
        "How well a model trained on synthetic rows predicts the target on real test rows; the floor is the same "
        "model trained on real rows.",
    ),
    Metric(
        "alpha_precision",
        "Alpha precision",
        "share",
        "higher",
        "Whether the synthetic rows lie where the real rows lie; 1 is best.",
    ),
    Metric(
        "beta_recall",
        "Beta recall",
        "share",
        "near floor",
        "Whether the synthetic rows cover the real ones; another real table scores about 0.5, a copy far more.",
    ),
    Metric(
        "closer_to_train",
        "Closer to train",
        "share",
        "near half",
        "How often a synthetic row is nearer to a training row than to a held-out one; above 0.5 rows were memorised.",
    ),
    Metric(
        "exact_copies",
        "Exact copies",
        "share",
        "near floor",
        "How many synthetic rows equal a training row; among other real rows the floor is usual.",
    ),
    Metric(
        "singled_out",
        "Singled out",
        "share",
        "near floor",
        "How many synthetic numbers are those of a single training row; among other real rows the floor is usual.",
    ),
    Metric(
        "missing_patterns",
        "Missing patterns",
        "share",
        "lower",
        "How far the missing cells are from the real ones: which are missing together, and beside which values.",
    ),
)

UTILITY_OF_NUMBERS = Metric(
    "utility",
    "Utility",
    "RMSE / std",
    "lower",
    "How far a model trained on synthetic rows misses the target on real test rows, in standard deviations of the "
    "target; the floor is the same model trained on real rows.",
)
