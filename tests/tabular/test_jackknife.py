"""The grouped jackknife against closed forms and against the spread over repeated draws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorewise.tabular import jackknife


@given(st.integers(1, 200), st.integers(0, 10))
def test_groups_are_balanced(rows: int, seed: int) -> None:
    sizes = np.bincount(jackknife.groups(rows, np.random.default_rng(seed)), minlength=jackknife.GROUPS)
    assert sizes.sum() == rows
    assert sizes.max() - sizes.min() <= 1


def test_the_seed_decides_the_groups() -> None:
    first, again, other = (jackknife.groups(100, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_counts_and_left_out_sums_are_those_of_the_rows() -> None:
    generator = np.random.default_rng(0)
    codes, group = generator.integers(0, 5, 300), jackknife.groups(300, generator)
    found = jackknife.left_out(jackknife.counts(codes, group, 5))
    assert np.array_equal(found[0], np.bincount(codes, minlength=5))
    for g in range(jackknife.GROUPS):
        assert np.array_equal(found[g + 1], np.bincount(codes[group != g], minlength=5))


def test_the_error_of_a_mean_is_the_usual_one_with_one_row_a_group() -> None:
    x = np.random.default_rng(0).normal(size=jackknife.GROUPS)
    group = np.arange(jackknife.GROUPS)
    values = np.array([x.mean(), *(x[group != g].mean() for g in range(jackknife.GROUPS))])
    assert jackknife.score(values).se == pytest.approx(x.std(ddof=1) / np.sqrt(len(x)))
    assert jackknife.score(values).value == pytest.approx(x.mean())
