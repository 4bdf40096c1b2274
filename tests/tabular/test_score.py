"""A score beside its floor."""

from scorewise.tabular.score import METRICS, Score


def test_a_score_takes_value_and_error_of_its_floor() -> None:
    assert Score(0.3, 0.02).against(Score(0.1, 0.01)) == Score(0.3, 0.02, 0.1, 0.01)


def test_meanings_are_one_plain_sentence() -> None:
    assert all(metric.meaning.endswith(".") and len(metric.meaning) < 200 for metric in METRICS)
