"""Gradient boosting with fixed settings, the judge of detection and of utility, and what it is shown of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import numpy.typing as npt

from scorewise.tabular.units import centred

if TYPE_CHECKING:
    from scorewise.tabular.schema import Cells

FloatArray = npt.NDArray[np.float64]

ROUNDS = 100
SETTINGS: dict[str, Any] = {
    "learning_rate": 0.1,
    "num_leaves": 31,
    "max_depth": 5,
    "min_data_in_leaf": 20,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


def features(cells: Cells) -> FloatArray:
    """Lay out cells for the trees: numbers first, with NaN where missing, then codes of levels, 0 where missing.

    Args:
        cells: columns with shape (N,).

    Returns:
        A matrix with shape (N, D).
    """
    columns = [*cells.numbers.values(), *(levels + 1.0 for levels in cells.categories.values())]
    return np.column_stack(columns).astype(np.float64)


def most_correlated(numbers: FloatArray, most: int) -> npt.NDArray[np.intp]:
    """Find the pairs of number columns with the largest absolute correlation; missing numbers stand at the mean.

    Args:
        numbers: with NaN where missing, shape (N, n).
        most: the most pairs to give, P.

    Returns:
        Positions of the columns of each pair, the most correlated pair first, shape (2, P) or fewer.
    """
    apart = centred(numbers)
    length = np.sqrt((apart**2).sum(axis=0))
    unit = apart / np.where(length > 0, length, 1.0)
    left, right = np.triu_indices(numbers.shape[1], k=1)
    order = np.argsort(-np.abs((unit.T @ unit)[left, right]), kind="stable")[:most]
    return np.stack([left[order], right[order]])


def with_differences(matrix: FloatArray, pairs: npt.NDArray[np.intp]) -> FloatArray:
    """Append the difference of each pair of columns to the features.

    Args:
        matrix: shape (N, D).
        pairs: positions of the columns, shape (2, P).

    Returns:
        Shape (N, D + P).
    """
    left, right = pairs
    return np.concatenate([matrix, matrix[:, left] - matrix[:, right]], axis=1)


def fit(
    matrix: FloatArray,
    label: FloatArray,
    *,
    categories: tuple[int, ...],
    objective: str,
    classes: int = 1,
    seed: int,
    threads: int = 1,
) -> lightgbm.Booster:
    """Fit 100 trees of depth 5 with learning rate 0.1, without early stopping.

    Args:
        matrix: features with shape (N, D).
        label: 0 or 1, class numbers, or numbers, with shape (N,).
        categories: the columns of `matrix` that hold codes of levels.
        objective: LightGBM's name of the loss: "binary", "multiclass" or "regression".
        classes: the number of classes for "multiclass".
        seed: the seed of LightGBM.
        threads: the number of threads; more than one slows it down on busy cores. It does not change the trees.

    Returns:
        The trees.
    """
    settings = {
        **SETTINGS,
        "objective": objective,
        "num_class": classes,
        "seed": seed,
        "num_threads": threads,
    }
    data = lightgbm.Dataset(matrix, label=label, categorical_feature=list(categories), free_raw_data=True)
    return lightgbm.train(settings, data, num_boost_round=ROUNDS)
