"""The area under the ROC curve."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from scorewise.tabular.roc import auc


@given(st.lists(st.integers(0, 4), min_size=2, max_size=9), st.lists(st.integers(0, 4), min_size=2, max_size=9))
def test_it_counts_pairs_and_its_error_is_that_of_the_pairwise_means(above: list[int], below: list[int]) -> None:
    x, y = np.array(above, dtype=float), np.array(below, dtype=float)
    pairs = (x[:, None] > y) + 0.5 * (x[:, None] == y)
    variance = pairs.mean(axis=1).var(ddof=1) / len(x) + pairs.mean(axis=0).var(ddof=1) / len(y)
    found = auc(np.concatenate([x, y]), np.repeat([True, False], [len(x), len(y)]))
    assert found.value == pytest.approx(pairs.mean())
    assert found.se == pytest.approx(np.sqrt(variance), abs=1e-12)


def test_it_agrees_with_scikit_learn_and_with_the_bootstrap() -> None:
    generator = np.random.default_rng(0)
    positive = generator.random(600) < 0.3
    prediction = np.round(generator.normal(size=600) + positive, 1)
    found = auc(prediction, positive)
    assert found.value == pytest.approx(roc_auc_score(positive, prediction))
    draws = []
    for _ in range(400):
        index = generator.integers(600, size=600)
        draws.append(roc_auc_score(positive[index], prediction[index]))
    assert found.se == pytest.approx(np.std(draws), rel=0.15)
