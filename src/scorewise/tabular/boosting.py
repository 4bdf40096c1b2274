"""Gradient boosting with fixed settings: the judge of detection and of utility."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import numpy.typing as npt

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
