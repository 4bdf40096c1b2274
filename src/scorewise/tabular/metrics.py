"""All metrics under one name: functions of cells that return scores."""

from scorewise.tabular.detection import detection, detection_differences, detection_linear
from scorewise.tabular.fidelity import Shapes, Trends, missing_patterns, shapes, trends, trends_legacy
from scorewise.tabular.privacy import closer_to_train, exact_copies, singled_out
from scorewise.tabular.score import METRICS, UTILITY_OF_NUMBERS, Metric, Score, UnmeasuredError
from scorewise.tabular.support import alpha_precision, beta_recall
from scorewise.tabular.utility import utility

__all__ = [
    "METRICS",
    "UTILITY_OF_NUMBERS",
    "Metric",
    "Score",
    "Shapes",
    "Trends",
    "UnmeasuredError",
    "alpha_precision",
    "beta_recall",
    "closer_to_train",
    "detection",
    "detection_differences",
    "detection_linear",
    "exact_copies",
    "missing_patterns",
    "shapes",
    "singled_out",
    "trends",
    "trends_legacy",
    "utility",
]
