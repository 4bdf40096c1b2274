"""The list of metrics, and that each has a function."""

from scorewise.tabular import metrics
from scorewise.tabular.metrics import METRICS, UTILITY_OF_NUMBERS


def test_every_metric_has_a_function_of_its_name() -> None:
    keys = [metric.key for metric in METRICS]
    assert keys == [
        "shapes",
        "trends",
        "trends_legacy",
        "detection_linear",
        "detection",
        "detection_differences",
        "utility",
        "alpha_precision",
        "beta_recall",
        "closer_to_train",
        "exact_copies",
        "singled_out",
        "missing_patterns",
    ]
    assert all(callable(getattr(metrics, key)) for key in keys)


def test_utility_of_numbers_is_an_error_and_shares_the_key_of_utility() -> None:
    assert UTILITY_OF_NUMBERS.key == "utility"
    assert UTILITY_OF_NUMBERS.better == "lower"
