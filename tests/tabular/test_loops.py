import math

import numpy as np
import pytest

from scorewise.tabular import loops

F = np.float32


def test_exponentials_are_right_to_three_units_in_the_last_place() -> None:
    x = np.linspace(-87, 60, 4_001, dtype=F)
    found = np.array([loops.exp(each) for each in x])
    np.testing.assert_allclose(found, np.exp(x.astype(np.float64)), rtol=3.6e-7)
    assert loops.exp(F(-1e4)) == loops.exp(F(-87))
    assert loops.exp(F(0)) == 1


def test_error_function_is_right_to_4e_7_and_odd() -> None:
    x = np.linspace(-9, 9, 4_001, dtype=F)
    found = np.array([loops.erf(each, loops.exp(-each * each)) for each in x])
    exact = np.array([math.erf(each) for each in x])
    np.testing.assert_allclose(found, exact, atol=4e-7, rtol=0)
    np.testing.assert_array_equal(found, -found[::-1])


def test_logarithms_are_right_to_two_units_in_the_last_place() -> None:
    x = np.geomspace(1e-37, 1e37, 4_001).astype(F)
    found = np.array([loops.log(each) for each in x])
    np.testing.assert_allclose(found, np.log(x.astype(np.float64)), rtol=2.4e-7, atol=1e-7)


@pytest.mark.parametrize("function", [loops.exp, loops.log])
def test_nan_comes_through(function: loops.Function) -> None:
    assert np.isnan(function(F(np.nan)))


def test_labels_are_told_by_the_number_of_inner_edges_that_they_reach() -> None:
    edges = np.array([[-40, -1, 0, 0.5, 40], [-40, 0, 1, 2, 40]], dtype=F)
    labels = np.array([[-1, -5], [0, 1.5], [0.25, 2], [7, 99], [-50, 0]], dtype=F)
    given = np.random.default_rng(0).normal(size=(5, 3 + 8)).astype(F)  # of two numbers and a slot, four bins each
    features = np.random.default_rng(1).uniform(0.1, 1, (5, 3 + 8)).astype(F)
    evidence = np.random.default_rng(2).normal(size=(5, 2)).astype(F)
    places, found = np.zeros((5, 2), np.int64), np.zeros((5, 2), F)
    loops.entropies(labels, edges, given, features, evidence, places, found)
    for b in range(5):
        for j in range(2):
            place = 3 + 4 * j + int((edges[j, 1:-1] <= labels[b, j]).sum())
            assert places[b, j] == place
            exact = float(evidence[b, j]) - float(given[b, place]) - math.log(features[b, place])
            assert found[b, j] == pytest.approx(exact, abs=1e-6)


def test_a_function_is_compiled_where_nothing_can_be_kept() -> None:
    namespace: dict[str, loops.Function] = {}
    exec(
        compile("def twice(x):\n    return x + x\n", "<made up>", "exec"), namespace
    )  # of no file, so of no place beside it
    assert loops.compiled(namespace["twice"])(F(1.5)) == 3
