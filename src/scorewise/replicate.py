"""Delete-one replicates: the standard error of a smooth function of statistics of n rows and K random probes."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from scorewise.estimate import Estimate


class Replicates(NamedTuple):
    """A statistic of all rows, and what it is without each one of them.

    Attributes:
        whole: the statistic under each of K probes, shape (K,). One probe stands for none: the statistic is exact.
        without: the statistic without row i, shape (K, n).
    """

    whole: Tensor
    without: Tensor


def mean_replicates(samples: Tensor) -> Replicates:
    """Replicates of a mean over rows.

    Args:
        samples: shape (K, n).

    Returns:
        The means, each with its replicates.
    """
    n = samples.shape[1]
    total = samples.sum(1)
    return Replicates(total / n, (total[:, None] - samples) / (n - 1))


def smooth(function: Callable[..., Tensor], *statistics: Replicates) -> Estimate:
    r"""Estimate a differentiable function of statistics that are unbiased and linear in the probes.

    The function is linearised at the statistics (delta method). The pseudo-values of the linear statistic,
    `p_ki = n theta_k - (n - 1) theta_k,-i`, are a table of probes and rows, both drawn at random, so that

        se^2 = Var_i(mean_k p) / n + Var_k(theta) / K - Var_ki(interaction) / (n K);

    the last term is what the first two count twice. With one probe the first term is all: the jackknife.

    Args:
        function: of as many scalars as there are statistics, to a scalar.
        statistics: each with K probes of the same n rows.

    Returns:
        The function of the statistics, a scalar, and its standard error.

    References:
        Efron, Stein, "The jackknife estimate of variance", 1981; Searle, Casella, McCulloch, "Variance
        components", 1992 (two-way crossed table).
    """
    means = tuple(statistic.whole.mean() for statistic in statistics)
    slopes = torch.func.grad(function, argnums=tuple(range(len(means))))(*means)
    pairs = list(zip(slopes, statistics, strict=True))
    whole = torch.stack([slope * statistic.whole for slope, statistic in pairs]).sum(0)
    without = torch.stack([slope * statistic.without for slope, statistic in pairs]).sum(0)
    k, n = without.shape
    pseudo = n * whole[:, None] - (n - 1) * without
    over_rows = pseudo.mean(0).var() / n
    if k == 1:
        return Estimate(function(*means), over_rows.sqrt())
    over_probes = whole.var() / k
    apart = pseudo - pseudo.mean(0) - pseudo.mean(1, keepdim=True) + pseudo.mean()
    twice = apart.square().sum() / ((n - 1) * (k - 1) * n * k)
    squared = torch.maximum(over_rows + over_probes - twice, torch.maximum(over_rows, over_probes))
    return Estimate(function(*means), squared.sqrt())
