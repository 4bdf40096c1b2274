"""Numbers of any size in units of their column."""

import numpy as np

from scorewise.tabular.units import centred, within_range


def test_what_is_centred_is_the_distance_from_the_mean_in_units_of_a_power_of_two() -> None:
    values = np.array([[1.0, -6.0, 0.0], [2.0, np.nan, 0.0], [6.0, 2.0, 0.0]])
    found = centred(values)
    np.testing.assert_array_equal(found, [[-2 / 8, -4 / 8, 0.0], [-1 / 8, 0.0, 0.0], [3 / 8, 4 / 8, 0.0]])


def test_the_largest_and_the_smallest_numbers_can_be_squared() -> None:
    largest = float(np.finfo(np.float64).max)
    values = np.array([[largest, 1e-300, np.nan], [-largest, 2e-300, np.nan], [largest, 3e-300, np.nan]])
    found = centred(values)
    np.testing.assert_allclose(found[:, 0], [2 / 3, -4 / 3, 2 / 3], rtol=1e-12)
    assert ((found[[0, 2], 1] ** 2) > 0.01).all()
    assert not found[:, 2].any()
    assert centred(np.empty((0, 0))).shape == (0, 0)
    assert centred(np.empty((0, 2))).shape == (0, 2)


def test_a_range_is_that_of_the_known_numbers() -> None:
    known = np.array([2.0, np.nan, 6.0, 3.0])
    found = within_range(np.array([2.0, 6.0, 8.0, np.nan, -2.0]), known)
    np.testing.assert_allclose(found, [0.0, 1.0, 1.5, (11 / 3 - 2) / 4, -1.0], rtol=1e-15)
    np.testing.assert_array_equal(within_range(np.array([7.0, 9.5, np.nan]), np.array([7.0, 7.0])), [0.0, 2.5, 0.0])
    np.testing.assert_array_equal(within_range(np.array([7.0, np.nan]), np.array([np.nan])), [7.0, 0.0])


def test_a_range_may_be_that_of_all_floats() -> None:
    largest = float(np.finfo(np.float64).max)
    known = np.array([largest, largest, -largest, largest, 0.0])
    np.testing.assert_allclose(within_range(np.array([0.0, np.nan, largest]), known), [0.5, 0.7, 1.0], rtol=1e-12)
