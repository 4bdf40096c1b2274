"""Paired comparison of several ways with the first of them, over seeds that all of them share."""

from collections.abc import Sequence
from typing import Any

from experiments.result import rounded
from scipy import stats
from torch import Tensor


def quantile(seeds: int) -> float:
    """Give the 97.5 % quantile of Student's law for a mean of so many seeds."""
    return float(stats.t.ppf(0.975, seeds - 1))


def compare(values: Tensor, names: Sequence[str]) -> dict[str, Any]:
    """Compare each way with the first by t-tests on the logarithm of the ratio, with Holm's correction.

    Values of one measure have shape (ways, seeds) and are positive.
    """
    logs = (values / values[:1]).log().double()
    p = [float(stats.ttest_1samp(one.numpy(), 0).pvalue) for one in logs[1:]]
    corrected, worst = [0.0] * len(p), 0.0
    for rank, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        worst = max(worst, min(1.0, (len(p) - rank) * p[i]))
        corrected[i] = worst
    half = quantile(values.shape[1]) / values.shape[1] ** 0.5
    result = {}
    for index, name in enumerate(names):
        mean, deviation = logs[index].mean(), logs[index].std()
        result[name] = {
            "mean": rounded(values[index].mean()),
            "sd": rounded(values[index].std()),
            "ratio": rounded(mean.exp()),
            "95 % interval": [rounded((mean - half * deviation).exp()), rounded((mean + half * deviation).exp())],
            "p, Holm": None if index == 0 else float(f"{corrected[index - 1]:.3g}"),
        }
    return result
