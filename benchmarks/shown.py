"""How the scores are shown in tables: title, factor, digits."""

import statistics
from collections.abc import Sequence

SCORES = {
    "shapes": ("shapes %", 100, 2),
    "trends": ("trends %", 100, 2),
    "detection_linear": ("logistic detection", 1, 3),
    "detection": ("detection", 1, 3),
    "detection_differences": ("detection, differences", 1, 3),
    "utility": ("utility", 1, 3),
    "alpha_precision": ("alpha-precision", 1, 3),
    "beta_recall": ("beta-recall", 1, 3),
    "closer_to_train": ("closer to train", 1, 3),
    "exact_copies": ("exact copies %", 100, 2),
    "singled_out": ("singled out %", 100, 1),
    "missing_patterns": ("missing patterns %", 100, 2),
}


def mean_and_range(key: str, values: Sequence[float]) -> str:
    """Show what a score was in several samples: the mean, in brackets the least and the largest."""
    _, scale, digits = SCORES[key]
    mean, low, high = (f"{scale * value:.{digits}f}" for value in (statistics.mean(values), min(values), max(values)))
    return f"{mean} ({low} to {high})"
