"""Gradient boosting: the layout of its features, and that it repeats itself."""

import numpy as np
import pytest

from scorewise.tabular import boosting
from scorewise.tabular.schema import Cells


def test_features_are_numbers_and_then_codes_with_missing_as_zero() -> None:
    cells = Cells({"x": np.array([1.0, np.nan])}, {"c": np.array([-1, 2])})
    assert np.array_equal(boosting.features(cells), [[1.0, 0.0], [np.nan, 3.0]], equal_nan=True)


def test_a_level_is_no_number() -> None:
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 40, 3000).astype(float)
    odd = codes % 2
    trees = boosting.fit(codes[:, None], odd, categories=(0,), objective="binary", seed=0, threads=1)
    assert np.abs(np.asarray(trees.predict(codes[:, None])) - odd).max() < 0.1


def test_the_most_correlated_pairs_do_not_depend_on_units() -> None:
    generator = np.random.default_rng(0)
    numbers = generator.normal(size=(200, 4)) @ generator.normal(size=(4, 4))
    numbers[:5, 2] = np.nan
    pairs = boosting.most_correlated(numbers, 3)
    centred = numbers - np.nanmean(numbers, axis=0)
    naive = np.nan_to_num(centred / np.sqrt(np.nansum(centred**2, axis=0)))
    sizes = {(i, j): abs(naive[:, i] @ naive[:, j]) for i in range(4) for j in range(i + 1, 4)}
    assert list(zip(*pairs.tolist(), strict=True)) == sorted(sizes, key=lambda pair: -sizes[pair])[:3]
    units = np.array([1e307, 1.0, 1e-300, 1e200]) / 10
    assert np.array_equal(boosting.most_correlated(numbers * units, 3), pairs)
    empty = np.column_stack([np.full(200, np.nan), np.zeros(200)])
    assert boosting.most_correlated(np.concatenate([numbers, empty], axis=1), 3).tolist() == pairs.tolist()
    assert boosting.most_correlated(numbers[:0, :0], 3).shape == (2, 0)


@pytest.mark.slow  # on a busy machine, threads wait for each other
def test_the_same_seed_gives_the_same_trees_with_any_number_of_threads() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(500, 3))
    y = x[:, 0] + generator.normal(size=500)
    fits = [
        boosting.fit(x, y, categories=(), objective="regression", seed=0, threads=threads).predict(x)
        for threads in (1, 1, 2)
    ]
    assert np.array_equal(fits[0], fits[1])
    assert np.array_equal(fits[0], fits[2])
