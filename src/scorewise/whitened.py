"""Whitened residuals: whether a predicted covariance is the one that the labels have."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from scorewise.estimate import Estimate
from scorewise.posterior import Posterior


class Calibration(NamedTuple):
    """A predicted covariance against the labels.

    Attributes:
        mean_square: mean square of a whitened coordinate. 1 if the covariance and the mean are right; more if labels
            scatter more than predicted, or around another mean.
        coverage: share of the coordinates within so many predicted standard deviations of the mean, shape (Z,).
        nominal: that share for a normal label, `erf(z / sqrt 2)`, shape (Z,). Labels that are not normal given x_t
            differ from it even where the covariance is exact.
    """

    mean_square: Estimate
    coverage: Estimate
    nominal: Tensor


def whitened_square(posterior: Posterior, y: Tensor, rank: int | None = None) -> Tensor:
    """Mean square of the whitened residual of each row, `(y - m)' C^+ (y - m) / rank`, of expectation 1.

    Args:
        posterior: beliefs about the labels.
        y: labels, shape (B, *E).
        rank: rank of the covariance; None is the number of coordinates. M categories of K possible levels have
            `M (K - 1)`.

    Returns:
        Mean squares, shape (B,), to be averaged by `Estimate.of_mean` or, level by level, by `group_means`.
    """
    residual = posterior.cov.whiten(y - posterior.mean).flatten(1)
    return residual.square().sum(1) / (residual.shape[1] if rank is None else rank)


def covered(posterior: Posterior, y: Tensor, deviations: Sequence[float]) -> Tensor:
    """Share of the coordinates of each row that lie within so many predicted standard deviations of the mean.

    Args:
        posterior: beliefs about the labels; a coordinate without variance counts as covered if it equals its mean.
        y: labels, shape (B, *E).
        deviations: Z numbers of standard deviations.

    Returns:
        Shares, shape (B, Z).
    """
    off, spread = (y - posterior.mean).abs().flatten(1), posterior.cov.diag.sqrt().flatten(1)
    return torch.stack([(off <= z * spread).to(y.dtype).mean(1) for z in deviations], 1)


def calibration(
    posterior: Posterior, y: Tensor, rank: int | None = None, deviations: Sequence[float] = (1.0, 2.0, 3.0)
) -> Calibration:
    """Hold a predicted covariance against labels.

    Args:
        posterior: beliefs about the labels of B independent rows.
        y: labels, shape (B, *E).
        rank: rank of the covariance; None is the number of coordinates.
        deviations: Z numbers of standard deviations.

    Returns:
        The mean square and the coverage, each with its standard error.
    """
    nominal = torch.erf(torch.tensor(tuple(deviations), dtype=y.dtype, device=y.device) / 2**0.5)
    return Calibration(
        Estimate.of_mean(whitened_square(posterior, y, rank)),
        Estimate.of_mean(covered(posterior, y, deviations)),
        nominal,
    )
