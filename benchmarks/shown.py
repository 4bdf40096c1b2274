"""How the scores are shown in tables: title, factor, digits."""

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
    "missing_patterns": ("missing patterns %", 100, 2),
}
