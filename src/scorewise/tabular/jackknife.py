"""The grouped jackknife: standard errors from leaving out one of twenty groups of rows at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from scorewise.tabular.score import Score

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

GROUPS = 20


def groups(rows: int, generator: np.random.Generator) -> IntArray:
    """Deal rows at random into groups whose sizes differ by one at most.

    Args:
        rows: the number of rows, N.
        generator: the source of randomness.

    Returns:
        The group of each row, 0 to 19, with shape (N,).
    """
    return generator.permutation(rows).astype(np.int64) % GROUPS


def counts(codes: IntArray, group: IntArray, size: int) -> FloatArray:
    """Count codes in each group.

    Args:
        codes: integers in [0, size), with shape (N,).
        group: the group of each row, with shape (N,).
        size: the number of codes, K.

    Returns:
        Counts with shape (20, K).
    """
    return np.bincount(group * size + codes, minlength=GROUPS * size).reshape(GROUPS, size).astype(np.float64)


def left_out(parts: npt.NDArray[Any]) -> FloatArray:
    r"""Sum over all groups, and over all groups but one.

    Args:
        parts: a sum over the rows of each group, with shape (20, ...).

    Returns:
        The sum over all rows first, then the sums without group 0, 1, ..., with shape (21, ...).
    """
    total = parts.sum(axis=0, keepdims=True)
    return np.concatenate([total, total - parts]).astype(np.float64)


def errors(values: FloatArray) -> FloatArray:
    r"""Estimate standard errors from a statistic of all rows and of all groups but one.

    .. math:: \mathrm{se}^2 = \frac{G - 1}{G} \sum_g (\theta_{-g} - \bar\theta)^2

    The statistic is taken as linear around its value. A distance at its floor is not: there the standard error comes
    out up to twice too large, never too small.

    Args:
        values: the statistic of all rows first, then without each group, with shape (21, ...).

    Returns:
        Standard errors with shape (...).

    References:
        The Jackknife and the Bootstrap, Shao and Tu, 1995, section 2.3 (grouped jackknife).
    """
    without = values[1:]
    spread = ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    return np.asarray(np.sqrt((GROUPS - 1) / GROUPS * spread), dtype=np.float64)


def score(values: FloatArray) -> Score:
    """Turn a statistic of all rows and of all groups but one into a score.

    Args:
        values: the statistic of all rows first, then without each group, with shape (21,).

    Returns:
        The statistic of all rows with its jackknife standard error, without a floor.
    """
    return Score(float(values[0]), float(errors(values)))
