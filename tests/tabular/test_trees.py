"""Boosted trees as arrays predict what they predicted, and arrays that are no trees are refused."""

from collections.abc import Callable

import lightgbm
import numpy as np
import pytest
import torch
from torch import Tensor

from scorewise.tabular.trees import Trees


def _matrix(seed: int, rows: int = 3_000) -> np.ndarray:
    """Two numbers with missing cells, a category of 70 levels and one of 3."""
    rng = np.random.default_rng(seed)
    numbers = np.where(rng.random((rows, 2)) < 0.1, np.nan, rng.normal(size=(rows, 2)))
    return np.column_stack([numbers, rng.integers(0, 70, rows), rng.integers(0, 3, rows)])


def _booster(rounds: int = 20) -> lightgbm.Booster:
    matrix = _matrix(0)
    label = np.nan_to_num(matrix[:, 0]) ** 2 + (matrix[:, 2] % 7 > 3) + np.isnan(matrix[:, 1]) > 1
    data = lightgbm.Dataset(matrix, label.astype(float), categorical_feature=[2, 3])
    return lightgbm.train({"objective": "binary", "verbosity": -1, "seed": 0, "num_threads": 1}, data, rounds)


def test_trees_predict_what_the_model_did_to_the_last_bit() -> None:
    booster = _booster()
    trees = Trees.of(booster)
    again = Trees.from_arrays(4, trees.arrays())
    assert trees.sets.sum() > 20
    assert trees.words.max() == 3  # levels of 70
    fresh = _matrix(1)
    fresh[:5] = [[1e300, -1e300, 69, 2], [0, 0, 70, 3], [0, 0, 5_000, 9], [0, 0, -1, -1], [np.nan] * 4]
    expected = booster.predict(fresh, raw_score=True)
    np.testing.assert_array_equal(trees.booster().predict(fresh), expected)
    np.testing.assert_array_equal(again.booster().predict(fresh), expected)
    assert np.std(expected) > 0.5


def test_a_tree_of_one_leaf_and_the_best_round() -> None:
    matrix = _matrix(0, 300)
    label = np.arange(300) % 2.0
    settings = {"objective": "binary", "verbosity": -1, "min_data_in_leaf": 200, "num_threads": 1}
    flat = lightgbm.train(settings, lightgbm.Dataset(matrix, label), 1)
    trees = Trees.of(flat)
    assert (trees.leaves.tolist(), len(trees.feature)) == ([1], 0)
    again = Trees.from_arrays(4, trees.arrays()).booster()
    np.testing.assert_array_equal(again.predict(matrix), flat.predict(matrix, raw_score=True))
    booster = _booster()
    booster.best_iteration = 7
    assert len(Trees.of(booster).leaves) == 7


def _with(name: str, change: Callable[[Tensor], Tensor]) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda arrays: arrays | {name: change(arrays[name])}


def _set(place: int, value: float) -> Callable[[Tensor], Tensor]:
    return lambda array: array.index_put((torch.tensor(place),), torch.tensor(value, dtype=array.dtype))


def _looped(arrays: dict[str, Tensor]) -> dict[str, Tensor]:
    """A node of the first tree below itself, and each node and leaf below one."""
    left = arrays["left"].clone()
    below = int(left[0])
    assert below > 0
    left[0], left[below] = arrays["left"][below], below
    return arrays | {"left": left}


@pytest.mark.parametrize(
    "damage",
    [
        _looped,
        _with("left", _set(3, 0)),  # a node above itself
        _with("left", _set(0, 500)),  # a node that is not there
        _with("right", _set(0, -500)),  # a leaf that is not there
        _with("right", lambda array: array.flip(0)),
        _with("feature", _set(2, 4)),
        _with("feature", _set(2, -1)),
        _with("kind", _set(0, 16)),
        _with("value", _set(0, torch.inf)),
        _with("value", lambda array: array[1:]),
        _with("threshold", lambda array: array + 100),  # sets that are not there, among others
        _with("threshold", lambda array: array + 0.5),  # sets between two
        _with("left", lambda array: array[1:]),
        _with("leaves", _set(0, 0)),
        _with("leaves", _set(0, 5)),
        _with("sets", _set(0, 100)),
        _with("sets", _set(0, -1)),
        _with("words", _set(0, -1)),
        _with("words", lambda array: array + 1),
        _with("levels", _set(0, 2.0**33)),
        _with("levels", lambda array: array[1:]),
    ],
)
def test_arrays_that_are_no_trees_are_refused(damage: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    arrays = Trees.of(_booster()).arrays()
    with pytest.raises(ValueError, match="have nodes that do not fit together"):
        Trees.from_arrays(4, damage(arrays))
    with pytest.raises(ValueError, match="of 2 features have nodes"):
        Trees.from_arrays(2, arrays)
    with pytest.raises(KeyError):
        Trees.from_arrays(4, {name: array for name, array in arrays.items() if name != "kind"})
