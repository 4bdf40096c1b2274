"""Tests of the verdict: where its thresholds lie, and what it says."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorewise.tabular.report import ColumnReport, Report
from scorewise.tabular.score import METRICS, Score
from scorewise.tabular.verdict import verdict

NAN = math.nan


def level_of(topic: str, measured: Report) -> str:
    return next(level for level, words in verdict(measured) if words.startswith(topic + ": "))


@pytest.mark.parametrize(("key", "topic"), [("shapes", "Columns one by one"), ("trends", "Columns together")])
@pytest.mark.parametrize(
    ("value", "se", "floor", "level"),
    [
        (0.0149, 0.0, 0.01, "good"),
        (0.0151, 0.0, 0.01, "fair"),
        (0.0189, 0.002, 0.01, "fair"),
        (0.0179, 0.004, 0.01, "good"),
        (0.0299, 0.0, 0.01, "fair"),
        (0.0301, 0.0, 0.01, "poor"),
        (0.0209, 0.0, 0.001, "fair"),
        (0.0211, 0.0, 0.001, "poor"),
        (0.0, 0.0, 0.01, "good"),
        (0.02, 0.0, None, "good"),
        (0.0201, 0.0, None, "fair"),
        (0.0501, 0.0, None, "poor"),
    ],
)
def test_verdict_of_errors(
    report: Callable[..., Report],
    scores: Callable[..., dict[str, Score]],
    key: str,
    topic: str,
    value: float,
    se: float,
    floor: float | None,
    level: str,
) -> None:
    assert level_of(topic, report(scores=scores(**{key: Score(value, se, floor)}))) == level


@pytest.mark.parametrize(
    ("synthetic", "value", "level"),
    [
        (9000, 0.0149, "good"),
        (9000, 0.0151, "fair"),
        (1000, 0.0396, "good"),
        (1000, 0.0398, "fair"),
        (1000, 0.0793, "fair"),
        (1000, 0.0795, "poor"),
    ],
)
def test_verdict_expects_more_error_of_few_synthetic_rows(
    report: Callable[..., Report], scores: Callable[..., dict[str, Score]], synthetic: int, value: float, level: str
) -> None:
    rows = {"real": 27000, "synthetic": synthetic}
    measured = report(rows=rows, scores=scores(shapes=Score(value, 0.0, 0.01)))
    assert level_of("Columns one by one", measured) == level
    assert ("so few synthetic rows" in verdict(measured)[0][1]) == (synthetic == 1000)


@pytest.mark.parametrize(
    ("value", "level"),
    [
        (0.5, "good"),
        (0.549, "good"),
        (0.551, "fair"),
        (0.699, "fair"),
        (0.701, "poor"),
        (1.0, "poor"),
        (0.451, "good"),
        (0.449, "poor"),
        (0.1, "poor"),
    ],
)
@pytest.mark.parametrize("key", ["detection", "detection_differences"])
def test_verdict_of_detection_is_that_of_the_detector_further_from_guessing(
    report: Callable[..., Report], scores: Callable[..., dict[str, Score]], key: str, value: float, level: str
) -> None:
    blind = {"detection": Score(0.5, 0.0, 0.5), "detection_differences": Score(0.5, 0.0, 0.5)}
    copied = {"closer_to_train": Score(0.7, 0.0, 0.5)}
    measured = report(scores=scores(**{**blind, **copied, key: Score(value, 0.0, 0.5, 0.0)}))
    assert level_of("Told apart by a machine", measured) == level


@pytest.mark.parametrize("value", [0.1, 0.3, 0.46, 0.75])
@pytest.mark.parametrize(
    ("closer", "level", "said"),
    [
        (Score(0.7, 0.0, 0.5), "poor", "a sign of copied rows"),
        (Score(0.53, 0.0, 0.5), "fair", "would be, or rows are copied"),
        (Score(0.5, 0.1, 0.5), "fair", "would be, or rows are copied"),
        (None, "fair", "would be, or rows are copied"),
        (Score(0.505, 0.0, 0.5), "good", "no, less often than by guessing: columns are matched more exactly"),
    ],
)
def test_verdict_says_what_detection_below_guessing_means(
    report: Callable[..., Report], value: float, closer: Score | None, level: str, said: str
) -> None:
    scores = {"detection": Score(value, 0.0, 0.5)} | ({} if closer is None else {"closer_to_train": closer})
    [(found, words)] = [
        (found, words) for found, words in verdict(report(scores=scores)) if words.startswith("Told apart")
    ]
    below = value < 0.45
    assert (said in words) == below
    assert ("copied" in words) == (below and "copied" in said)
    assert found == (level if below else "good" if value < 0.5 else "poor")


@pytest.mark.parametrize(
    ("value", "level"),
    [(0.71, "good"), (0.6901, "good"), (0.6899, "fair"), (0.6601, "fair"), (0.6599, "poor"), (0.4, "poor")],
)
def test_verdict_of_utility_as_auc(
    report: Callable[..., Report], scores: Callable[..., dict[str, Score]], value: float, level: str
) -> None:
    assert level_of("Usefulness", report(scores=scores(utility=Score(value, 0.0, 0.7, 0.0)))) == level


@pytest.mark.parametrize(
    ("value", "level"), [(0.4, "good"), (0.429, "good"), (0.431, "fair"), (0.519, "fair"), (0.521, "poor")]
)
def test_verdict_of_utility_as_error(
    report: Callable[..., Report], scores: Callable[..., dict[str, Score]], value: float, level: str
) -> None:
    measured = report(scores=scores(utility=Score(value, 0.0, 0.4, 0.0)), target="age")
    assert level_of("Usefulness", measured) == level


def test_verdict_of_utility_without_anything_to_learn(
    report: Callable[..., Report], scores: Callable[..., dict[str, Score]]
) -> None:
    measured = report(scores=scores(utility=Score(0.52, 0.01, 0.515, 0.01)))
    assert ("fair", "Even a model trained on the real rows hardly predicts sex") in [
        (level, words.split(". ")[1].split(" (")[0]) for level, words in verdict(measured) if words[:10] == "Usefulness"
    ]


@pytest.mark.parametrize(
    ("value", "se", "level"),
    [
        (0.509, 0.0, "good"),
        (0.511, 0.0, "fair"),
        (0.519, 0.01, "good"),
        (0.549, 0.0, "fair"),
        (0.551, 0.0, "poor"),
        (0.3, 0.0, "good"),
        (0.5, 0.026, "fair"),
        (0.9, 0.1, "poor"),
    ],
)
def test_verdict_of_closeness_to_the_training_rows(
    report: Callable[..., Report], scores: Callable[..., dict[str, Score]], value: float, se: float, level: str
) -> None:
    assert level_of("Privacy", report(scores=scores(closer_to_train=Score(value, se, 0.5, 0.0)))) == level


@pytest.mark.parametrize(
    ("value", "floor", "level"),
    [
        (0.0019, 0.001, "good"),
        (0.0021, 0.001, "fair"),
        (0.0109, 0.001, "fair"),
        (0.0111, 0.001, "poor"),
        (0.219, 0.2, "good"),
        (0.299, 0.2, "fair"),
        (0.301, 0.2, "poor"),
        (1.0, 0.0, "poor"),
    ],
)
def test_verdict_of_copies(
    report: Callable[..., Report], scores: Callable[..., dict[str, Score]], value: float, floor: float, level: str
) -> None:
    assert level_of("Privacy", report(scores=scores(exact_copies=Score(value, 0.0, floor, 0.0)))) == level


@pytest.mark.parametrize(
    ("value", "floor", "level"),
    [
        (0.0109, 0.001, "good"),
        (0.0111, 0.001, "fair"),
        (0.0509, 0.001, "fair"),
        (0.0511, 0.001, "poor"),
        (0.199, 0.1, "good"),
        (0.201, 0.1, "fair"),
        (0.499, 0.1, "fair"),
        (0.501, 0.1, "poor"),
    ],
)
def test_verdict_of_numbers_of_single_rows(
    report: Callable[..., Report], scores: Callable[..., dict[str, Score]], value: float, floor: float, level: str
) -> None:
    shown = report(scores=scores(singled_out=Score(value, 0.0, floor, 0.0)))
    assert level_of("Privacy", shown) == level
    [words] = [words for _, words in verdict(shown) if words.startswith("Privacy")]
    assert f"{100 * value:.2f} % of the synthetic numbers are those of one training row alone" in words.replace(
        "\u00a0", " "
    )


def test_verdict_does_not_call_good_what_it_cannot_tell(
    report: Callable[..., Report], scores: Callable[..., dict[str, Score]]
) -> None:
    assert level_of("Told apart by a machine", report(scores=scores(detection=Score(0.55, 0.11, 0.5, 0.0)))) == "fair"
    [words] = [
        words
        for _, words in verdict(report(scores=scores(closer_to_train=Score(0.52, 0.04, 0.5))))
        if words[:7] == "Privacy"
    ]
    assert "too few test rows to tell" in words


def test_verdict_names_what_is_furthest_off(
    report: Callable[..., Report], scores: Callable[..., dict[str, Score]]
) -> None:
    measured = report(scores=scores(shapes=Score(0.2, 0.0, 0.01), trends=Score(0.2, 0.0, 0.01)))
    errors, floors = measured.pair_errors, measured.pair_floors
    pairs = [(i, j) for i in range(3) for j in range(i)]
    a, b = max(pairs, key=lambda pair: (errors[pair[0]][pair[1]] or 0.0) - (floors[pair[0]][pair[1]] or 0.0))
    words = [words for _, words in verdict(measured)]
    assert "Furthest off is debt, 5.00 %." in words[0]
    assert f"Furthest off is {measured.pair_names[b]} with {measured.pair_names[a]}" in words[1]


@pytest.mark.parametrize(
    ("error", "floor", "level"),
    [(0.0499, 0.0, "good"), (0.0501, 0.0, "fair"), (0.149, 0.05, "good"), (0.151, 0.05, "fair")],
)
def test_verdict_does_not_let_a_mean_hide_a_broken_column_or_pair(
    report: Callable[..., Report], number: Callable[..., ColumnReport], error: float, floor: float, level: str
) -> None:
    broken = dataclasses.replace(number("debt", error), floor=floor)
    for topic, measured in {
        "Columns one by one": report(columns=(number("age"), broken)),
        "Columns together": report(
            pair_errors=[[None, error, None], [error, None, None], [None] * 3],
            pair_floors=[[None, floor, None], [floor, None, None], [None] * 3],
        ),
    }.items():
        [(found, words)] = [one for one in verdict(measured) if one[1].startswith(topic)]
        assert found == level
        assert ("on average" in words) == ("debt" in words) == (level == "fair")


def test_verdict_says_what_was_not_measured_and_why(report: Callable[..., Report]) -> None:
    measured = report(scores={}, skipped={"utility": "no test rows were given; pass test=."})
    sentences = {words.split(": ")[0]: (level, words) for level, words in verdict(measured)}
    assert set(sentences) == {
        "Columns one by one",
        "Columns together",
        "Told apart by a machine",
        "Usefulness",
        "Privacy",
    }
    assert {level for level, _ in sentences.values()} == {"fair"}
    assert sentences["Usefulness"][1] == "Usefulness: not measured. No test rows were given; pass test=."


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([metric.key for metric in METRICS]),
        st.builds(Score, *[st.floats(0, 1) | st.just(NAN)] * 2, *[st.none() | st.floats(0, 1) | st.just(NAN)] * 2),
    )
)
def test_verdict_is_three_to_six_sentences_whatever_was_measured(
    report: Callable[..., Report], found: dict[str, Score]
) -> None:
    sentences = verdict(report(scores=found))
    assert 3 <= len(sentences) <= 6
    for level, words in sentences:
        assert level in {"good", "fair", "poor"}
        assert ": " in words
        assert words.endswith((".", ")."))
        assert "nan" not in words


@settings(deadline=None)
@given(st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0.001, 0.2))
def test_verdict_never_gets_better_with_a_larger_error(
    report: Callable[..., Report], scores: Callable[..., dict[str, Score]], one: float, other: float, floor: float
) -> None:
    order = ("good", "fair", "poor")
    ranks = [
        order.index(level_of("Columns one by one", report(scores=scores(shapes=Score(error, 0.0, floor)))))
        for error in sorted((one, other))
    ]
    assert ranks == sorted(ranks)
