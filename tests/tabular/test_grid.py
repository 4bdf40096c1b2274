from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorewise.tabular import grid


@pytest.mark.parametrize(
    ("values", "bits", "step"),
    [
        ([1000.0, 3000.0, -4000.0], 64, 1000),
        ([1.0, 3.0, 5.0], 64, 1),
        ([12.3, 0.1, -7.0], 64, 0.1),
        ([0.25, 0.75, 1.5], 64, 0.25),
        ([0.05, 0.15], 64, 0.05),
        ([1e-9, 1.0], 64, 1e-9),
        ([1e-10, 1.0], 64, None),
        ([1 / 3, 0.5], 64, None),
        ([0.1 + 0.2, 0.5], 64, None),
        ([1e300, 1.0], 64, None),
        ([0.0, -0.0], 64, None),
        (np.array([0.1, 12.3], np.float32).astype(float), 32, 0.1),
        (np.array([0.1, 12.3], np.float32).astype(float), 64, None),
        (np.random.default_rng(0).random(100, np.float32).astype(float), 32, None),
        (np.random.default_rng(0).random(100), 64, None),
        (1e6 * np.random.default_rng(0).random(100), 64, None),
        (np.array([0.5, 0.25], np.float16).astype(float), 16, 0.25),
    ],
)
def test_step(values, bits, step):
    assert grid.step(np.array(values), bits) == step


def test_whole_steps_are_integers():
    assert isinstance(grid.step(np.array([2.0, 4.0])), int)
    assert isinstance(grid.step(np.array([0.5, 1.0])), float)


multiples = st.lists(st.integers(-(10**6), 10**6), min_size=2).filter(any)


@given(multiples, st.integers(0, 9))
def test_step_is_the_greatest_common_divisor_of_the_decimals(counts, decimals):
    values = np.array([float(Fraction(count, 10**decimals)) for count in counts])
    exact = Fraction(int(np.gcd.reduce(counts)), 10**decimals)
    assert grid.step(values) == float(exact)


@given(multiples, st.sampled_from([1, 1000, 0.1, 0.25, 0.05, 1e-9, 0.125]))
def test_snapped_values_print_like_the_step(counts, step):
    exact = [float(Fraction(str(step)) * count) for count in counts]
    noisy = np.array(exact) + 0.3 * step * np.sin(np.arange(len(counts)))
    snapped = grid.snap(noisy, step)
    assert [repr(value) for value in (snapped + 0.0).tolist()] == [repr(value + 0.0) for value in exact]


def test_snap_leaves_missing_cells_and_has_no_negative_zero():
    snapped = grid.snap(np.array([np.nan, -0.01]), 0.1)
    assert np.isnan(snapped[0])
    assert repr(snapped[1].item()) == "0.0"


@pytest.mark.parametrize("step", [1e-10, 1 / 3, 0.0, -1.0, float("inf"), float("nan")])
def test_no_step(step):
    with pytest.raises(ValueError, match="step must be above 0 and have at most 9 decimals, however: step="):
        grid.decimals(step)
