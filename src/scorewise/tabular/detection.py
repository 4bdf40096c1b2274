"""Detection: how well a classifier tells synthetic rows from real ones."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, RobustScaler

from scorewise.tabular import boosting, rows
from scorewise.tabular.roc import auc
from scorewise.tabular.score import Score, UnmeasuredError

if TYPE_CHECKING:
    from scorewise.tabular.schema import Cells

FloatArray = npt.NDArray[np.float64]

FOLDS = 5
LINEAR_FOLDS = 3
LARGEST = 1e100
"""Absolute number that larger ones count as in logistic detection, so that no sum of them overflows."""
LEVELS_AT_MOST = 100
DIFFERENCES_AT_MOST = 120


def detection_linear(real: Cells, synthetic: Cells, *, seed: int = 0) -> Score:
    r"""Measure how well a table hides from logistic regression.

    .. math:: 1 - \operatorname{mean}_k (2 \max(\mathrm{AUC}_k, \tfrac12) - 1)

    over 3 stratified folds. Numbers are centred by the median and scaled by the interquartile range, a missing one is
    replaced by the mean and marked by a column of its own; levels are one-hot, those beyond the 100 most frequent of a
    column are one. At most 100 iterations of L-BFGS with an L2 penalty of 1, at most 30,000 rows a side. The standard
    error is DeLong's, of the folds together.

    NOTE[DIFF]: sdmetrics 0.25 encodes with the real table alone and does not mark missing numbers.

    Args:
        real: columns with shape (N,).
        synthetic: the same columns with shape (M,).
        seed: draws the rows and the folds.

    Returns:
        1 where the classifier cannot tell, 0 where it always can.

    Raises:
        UnmeasuredError: a side has fewer than 20 rows, or there is no column.
    """
    matrix, label = _stacked(real, synthetic, seed)
    numbers = len(real.numbers)
    matrix = np.clip(matrix, -LARGEST, LARGEST)
    imputed = make_pipeline(SimpleImputer(add_indicator=True, keep_empty_features=True), RobustScaler())
    one_hot = OneHotEncoder(max_categories=LEVELS_AT_MOST + 1, handle_unknown="infrequent_if_exist")
    levels = slice(numbers, matrix.shape[1])
    parts = [("numbers", imputed, slice(0, numbers)), ("levels", one_hot, levels)]
    encoder = ColumnTransformer([part for part in parts if part[2].start < part[2].stop])
    model = make_pipeline(encoder, LogisticRegression(max_iter=100))
    folds = StratifiedKFold(LINEAR_FOLDS, shuffle=True, random_state=seed)
    scores = []
    for train, test in folds.split(matrix, label):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 100 iterations are part of the definition
            model.fit(matrix[train], label[train])
        scores.append(auc(model.predict_proba(matrix[test])[:, 1], label[test]))
    told = np.mean([2 * max(score.value, 0.5) - 1 for score in scores])
    return Score(float(1 - told), float(2 * np.sqrt(sum(score.se**2 for score in scores)) / LINEAR_FOLDS))


def detection(real: Cells, synthetic: Cells, *, seed: int = 0, threads: int = 1) -> Score:
    """Measure how well gradient boosting tells synthetic rows from real ones.

    The AUC over the out-of-fold predictions of 5 stratified folds; LightGBM with the settings of `boosting.fit`, levels
    as levels, missing as missing, no early stopping, at most 30,000 rows a side. Below 0.5 either rows are copied (one
    whose twin stands on the other side is taken for the other kind) or columns are matched more exactly than those of
    new rows would be: what is too frequent in the folds that the trees are fitted to is as much too rare in the other
    one. `closer_to_train` tells which it is. The standard error is DeLong's.

    Args:
        real: columns with shape (N,).
        synthetic: the same columns with shape (M,).
        seed: draws the rows and the folds.
        threads: the number of threads; more than one slows it down on busy cores.

    Returns:
        The AUC: 0.5 where the trees cannot tell, 1 where they always can.

    Raises:
        UnmeasuredError: a side has fewer than 20 rows, or there is no column.
    """
    matrix, label = _stacked(real, synthetic, seed)
    return _boosted(matrix, label, len(real.numbers), matrix.shape[1], seed, threads)


def detection_differences(real: Cells, synthetic: Cells, *, seed: int = 0, threads: int = 1) -> Score:
    """Measure how well gradient boosting tells synthetic rows from real ones when it is given differences of columns.

    As `detection`, with the difference of each pair of number columns as a further column: a tree cuts one column at a
    time and does not see that two columns are equal. At most 120 pairs, those with the largest absolute correlation
    among the real rows first.

    Args:
        real: columns with shape (N,).
        synthetic: the same columns with shape (M,).
        seed: draws the rows and the folds.
        threads: the number of threads; more than one slows it down on busy cores.

    Returns:
        The AUC: 0.5 where the trees cannot tell, 1 where they always can.

    Raises:
        UnmeasuredError: there are fewer than two number columns, or a side has fewer than 20 rows.
    """
    numbers = len(real.numbers)
    if numbers < 2:
        raise UnmeasuredError(
            f"Differences need two number columns or more, however: columns={numbers}. Read the score of detection."
        )
    matrix, label = _stacked(real, synthetic, seed)
    wide = boosting.with_differences(matrix, boosting.most_correlated(matrix[label, :numbers], DIFFERENCES_AT_MOST))
    return _boosted(wide, label, numbers, matrix.shape[1], seed, threads)


def _stacked(real: Cells, synthetic: Cells, seed: int) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Features of both tables and which rows are real.

    Raises:
        UnmeasuredError: a side has fewer than 20 rows.
    """
    found = min(rows.count(real), rows.count(synthetic))
    if found < 20:
        raise UnmeasuredError(f"Detection needs 20 rows a side or more, however: N={found}. Compare larger tables.")
    generator = np.random.default_rng(seed)
    sides = [boosting.features(rows.subsample(cells, rows.ROWS_AT_MOST, generator)) for cells in (real, synthetic)]
    return np.concatenate(sides), np.repeat([True, False], [len(side) for side in sides])


def _boosted(matrix: FloatArray, label: npt.NDArray[np.bool_], first: int, last: int, seed: int, threads: int) -> Score:
    """AUC over out-of-fold predictions; columns `first` to `last` hold levels."""
    prediction = np.empty(len(label))
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(matrix, label):
        trees = boosting.fit(
            matrix[train],
            label[train].astype(np.float64),
            categories=tuple(range(first, last)),
            objective="binary",
            seed=seed,
            threads=threads,
        )
        prediction[test] = trees.predict(matrix[test], num_threads=threads)
    return auc(prediction, label)
