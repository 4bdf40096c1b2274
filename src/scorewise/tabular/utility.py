"""Utility: what a model learns from synthetic rows is tried on real ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scorewise.tabular import boosting, rows
from scorewise.tabular.calendar import SHOWN, part_of
from scorewise.tabular.roc import auc
from scorewise.tabular.score import Score, UnmeasuredError

if TYPE_CHECKING:
    from scorewise.tabular.schema import Cells

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Labels = FloatArray | IntArray

REPLICATES = 100


def utility(train: Cells, test: Cells, target: str, *, seed: int = 0, threads: int = 1) -> Score:
    r"""Measure how well a model trained on one table predicts the target on the rows of another.

    A category: the AUC of each class against the rest, averaged over the classes with two test rows or more. A number:

    .. math:: \mathrm{RMSE} / \mathrm{std}(y)

    with the standard deviation of the test target: 1 is what the mean predicts, and lower is better. LightGBM with the
    settings of `boosting.fit`, at most 30,000 rows a side; rows without the target are left out. The floor is the same
    with the real training rows as `train`. The standard error is of 100 bootstraps of the test rows.

    Args:
        train: the rows to learn from, synthetic or real, with shape (N,).
        test: real rows that no model has seen, with shape (M,).
        target: the column to predict.
        seed: draws the rows, the trees and the bootstraps.
        threads: the number of threads; more than one slows it down on busy cores.

    Returns:
        The AUC, or RMSE / std.

    Raises:
        UnmeasuredError: the target is no number or category column, is the only column, or does not vary.
    """
    generator = np.random.default_rng(seed)
    train, label = _labelled(rows.subsample(train, rows.ROWS_AT_MOST, generator), target)
    test, truth = _labelled(rows.subsample(test, rows.ROWS_AT_MOST, generator), target)
    if min(len(label), len(truth)) < 20:
        raise UnmeasuredError(
            f"Utility needs 20 rows or more with a target, to learn from and to test on, however: "
            f"train={len(label)}, test={len(truth)}. Give more rows."
        )
    frequency = np.sort(np.unique(truth, return_counts=True)[1])
    if len(frequency) < 2 or (truth.dtype == np.int64 and frequency[-2] < 2):
        raise UnmeasuredError(
            f"The target must have two values among the test rows, and two rows of each class, however: {target!r} is "
            f"the same in {frequency[-1]} rows of {len(truth)}. Give more test rows, or name another target."
        )
    if not train.numbers and not train.categories:
        raise UnmeasuredError(
            f"Utility needs a column to predict from, however: {target!r} is the only one. Read the score of shapes."
        )
    measure = _classes if truth.dtype == np.int64 else _number
    statistic = measure(train, label, test, truth, seed, threads)
    bootstraps = [statistic(generator.integers(len(truth), size=len(truth))) for _ in range(REPLICATES)]
    return Score(statistic(np.arange(len(truth))), float(np.nanstd(bootstraps, ddof=1)))


def _labelled(cells: Cells, target: str) -> tuple[Cells, Labels]:
    """Take the target out of the columns, and the parts of its moments; rows without it are dropped.

    Raises:
        UnmeasuredError: no column of numbers or categories has this name.
    """
    label = cells.numbers.get(target, cells.categories.get(target))
    if label is None:
        raise UnmeasuredError(
            f"The target must be a number or a category column, however: {target!r} is an identifier or a constant. "
            "Name another target."
        )
    known = np.flatnonzero(label >= 0 if label.dtype == np.int64 else ~np.isnan(label))
    cells, own = rows.take(cells, known), {target, *(part_of(target, part) for part in SHOWN)}
    others = cells._replace(
        numbers={name: values for name, values in cells.numbers.items() if name not in own},
        categories={name: levels for name, levels in cells.categories.items() if name != target},
    )
    return others, label[known]


def _columns(cells: Cells) -> tuple[int, ...]:
    return tuple(range(len(cells.numbers), len(cells.numbers) + len(cells.categories)))


def _number(
    train: Cells, label: Labels, test: Cells, truth: Labels, seed: int, threads: int
) -> Callable[[IntArray], float]:
    """RMSE / std as a function of the test rows that are looked at."""
    trees = boosting.fit(
        boosting.features(train),
        label.astype(np.float64),
        categories=_columns(train),
        objective="regression",
        seed=seed,
        threads=threads,
    )
    miss = truth - np.asarray(trees.predict(boosting.features(test), num_threads=threads))
    return lambda index: float(np.sqrt((miss[index] ** 2).mean() / np.maximum(truth[index].var(), 1e-300)))


def _classes(
    train: Cells, label: Labels, test: Cells, truth: Labels, seed: int, threads: int
) -> Callable[[IntArray], float]:
    """Mean AUC of a class against the rest as a function of the test rows that are looked at."""
    classes, codes = np.unique(label, return_inverse=True)
    chance = np.zeros((len(truth), int(max(label.max(), truth.max())) + 1))  # a class never seen is never predicted
    if len(classes) > 1:
        trees = boosting.fit(
            boosting.features(train),
            codes.astype(np.float64),
            categories=_columns(train),
            objective="binary" if len(classes) == 2 else "multiclass",
            classes=1 if len(classes) == 2 else len(classes),
            seed=seed,
            threads=threads,
        )
        predicted = np.asarray(trees.predict(boosting.features(test), num_threads=threads))
        columns = predicted if len(classes) > 2 else np.column_stack([1 - predicted, predicted])
        chance[:, classes.astype(np.int64)] = columns

    def mean_auc(index: IntArray) -> float:
        seen, frequency = np.unique(truth[index], return_counts=True)
        tried = seen[(frequency >= 2) & (frequency <= len(index) - 2)].astype(np.int64)
        areas = [auc(chance[index, level], truth[index] == level).value for level in tried]
        return float(np.mean(areas)) if areas else np.nan

    return mean_auc
