"""Scatter of vectors that are known by inner products alone: variance, squared mean, and their splits by groups.

The vectors are the gradients of n rows. None is stored: the squared length of each and its product with their mean are
enough for the trace of their covariance, the squared length of their expectation, and the standard errors of both.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from scorewise.estimate import Estimate
from scorewise.group import by_group, group_sizes
from scorewise.replicate import Replicates, mean_replicates, smooth


class Scatter(NamedTuple):
    """Inner products of n vectors g_i with mean gbar, exact (K = 1) or under K random probes.

    Attributes:
        square: `|g_i|^2`, shape (K, n).
        along: `<g_i, gbar>`, shape (K, n).
    """

    square: Tensor
    along: Tensor


class Grouped(NamedTuple):
    """The same vectors together and group by group.

    Attributes:
        total: all of them, the groups one after another.
        parts: each group on its own.
    """

    total: Scatter
    parts: tuple[Scatter, ...]


class Clusters(NamedTuple):
    """Clusters of m vectors each: the same clean row, noised m times.

    Attributes:
        means: the means of the n clusters.
        within: trace of the covariance within each cluster, unbiased (divided by m - 1), shape (K, n).
        copies: m.
    """

    means: Scatter
    within: Tensor
    copies: int


class GroupSplit(NamedTuple):
    """`tr Cov(g) = E_l tr Cov(g|l) + tr Cov_l(E[g|l])`: total, within groups, between groups."""

    total: Estimate
    within: Estimate
    between: Estimate


class ClusterSplit(NamedTuple):
    """`n Var(mean of a batch of n rows, m draws each) = between + label / m`, and `tr Cov(g) = between + label`.

    Attributes:
        between: variance between clean rows, `tr Cov_x(E[g|x])`.
        label: variance between draws of the same clean row, of noise and, where it is drawn anew, of level:
            `E tr Cov(g|x)`, which more draws a row average out.
        share: `label / (between + label)`.
    """

    between: Estimate
    label: Estimate
    share: Estimate


def of_slopes(slopes: Tensor) -> Scatter:
    """Scatter from the products of the vectors with Rademacher directions, `d_ki = <g_i, v_k>`.

    `E_v d_i d_j = <g_i, g_j>`, so every inner product is estimated without bias and no vector is needed. For plain
    numbers g_i in the place of vectors (K = 1) it is exact.

    Args:
        slopes: shape (K, n).

    Returns:
        The scatter under K probes.
    """
    return Scatter(slopes.square(), slopes * slopes.mean(1, keepdim=True))


def grouped_slopes(slopes: Tensor, group: Tensor) -> Grouped:
    """Scatter of all rows and of the rows of each group, from products with Rademacher directions.

    Args:
        slopes: shape (K, n).
        group: the group of each row, integers 0 to L - 1, shape (n,).

    Returns:
        All of them together and the L groups.

    Raises:
        ValueError: if a group has fewer than three rows.
    """
    ordered = slopes[:, by_group(group)]
    parts = torch.split(ordered, group_sizes(group, least=3), dim=1)
    return Grouped(of_slopes(ordered), tuple(of_slopes(part) for part in parts))


def clustered_slopes(slopes: Tensor, copies: int) -> Clusters:
    """Scatter of clusters, from products with Rademacher directions.

    Args:
        slopes: n clusters of m rows, one after another, shape (K, n m).
        copies: m.

    Returns:
        The clusters.

    Raises:
        ValueError: if there are fewer than two copies, or the rows are no whole number of clusters.
    """
    check_copies(slopes.shape[1], copies)
    table = slopes.reshape(len(slopes), -1, copies)
    return Clusters(of_slopes(table.mean(2)), table.var(2), copies)


def check_copies(rows: int, copies: int) -> None:
    """Refuse rows that are not three or more clusters of two or more.

    Args:
        rows: number of rows.
        copies: rows of a cluster.

    Raises:
        ValueError: if they are not.
    """
    if copies < 2 or rows % copies or rows < 3 * copies:
        raise ValueError(
            f"rows must be at least 3 whole clusters of at least 2 copies, however: {rows=}, {copies=}. "
            "Noise each of the clean rows the same number of times and let its draws stand side by side."
        )


def variance(scatter: Scatter) -> Replicates:
    """Trace of the covariance, `T = sum_i (|g_i|^2 - <g_i, gbar>) / (n - 1)`, without bias.

    Args:
        scatter: of n >= 3 vectors.

    Returns:
        T and its delete-one replicates.

    Raises:
        ValueError: if there are fewer than three vectors.
    """
    n = scatter.square.shape[1]
    if n < 3:
        raise ValueError(f"a scatter must have 3 vectors or more, however: {n=}. Draw more rows.")
    total = scatter.square.sum(1, keepdim=True)
    whole = (scatter.square - scatter.along).sum(1) / (n - 1)
    without = (total - scatter.square - _sum_without(scatter) / (n - 1)) / (n - 2)
    return Replicates(whole, without)


def squared_mean(scatter: Scatter) -> Replicates:
    """Squared length of the expectation, `|gbar|^2 - T / n`, without bias; it may be negative.

    Args:
        scatter: of n >= 3 vectors.

    Returns:
        The squared length and its delete-one replicates.
    """
    n = scatter.square.shape[1]
    spread = variance(scatter)
    whole = scatter.along.mean(1) - spread.whole / n
    without = _sum_without(scatter) / (n - 1) ** 2 - spread.without / (n - 1)
    return Replicates(whole, without)


def _sum_without(scatter: Scatter) -> Tensor:
    """Squared length of the sum of all vectors but one, shape (K, n)."""
    n = scatter.square.shape[1]
    everything = n**2 * scatter.along.mean(1, keepdim=True)
    return everything - 2 * n * scatter.along + scatter.square


def split_groups(grouped: Grouped) -> GroupSplit:
    """Split the variance by the law of total variance over groups, each as likely as its share of the rows.

    `within = sum_l (n_l / n) T_l` and `between = total - within` are free of bias where rows are independent and fall
    into groups at random; `between` may be negative. Stratified draws of groups make `total` too small by less than
    `between / n`, and the standard error of `between` too large.

    Args:
        grouped: at least two groups of three vectors or more.

    Returns:
        The three parts; the values add up exactly.
    """
    whole, inner = variance(grouped.total), within(grouped)
    return GroupSplit(smooth(torch.clone, whole), smooth(torch.clone, inner), smooth(lambda t, w: t - w, whole, inner))


def within(grouped: Grouped) -> Replicates:
    """Mean variance within groups, `sum_l (n_l / n) T_l`.

    Args:
        grouped: groups of three vectors or more.

    Returns:
        The mean and its delete-one replicates, in the order of the groups.
    """
    n = grouped.total.square.shape[1]
    sizes = [part.square.shape[1] for part in grouped.parts]
    parts = [variance(part) for part in grouped.parts]
    summed = torch.stack([size * part.whole for size, part in zip(sizes, parts, strict=True)]).sum(0)
    without = [
        (summed[:, None] - size * part.whole[:, None] + (size - 1) * part.without) / (n - 1)
        for size, part in zip(sizes, parts, strict=True)
    ]
    return Replicates(summed / n, torch.cat(without, 1))


def split_clusters(clusters: Clusters) -> ClusterSplit:
    """Split the variance between clean rows and between draws of the same row (one-way random effects).

    `label` is the mean of the variances within clusters and `between` the variance of the means of the clusters less
    `label / m`; both are free of bias, so `between` may be negative.

    Args:
        clusters: at least three.

    Returns:
        Both parts and the share of the label. The rows of the jackknife are whole clusters.

    Reference: Searle, Casella, McCulloch, "Variance components", 1992 (analysis of variance estimators).
    """
    means, inner, m = variance(clusters.means), mean_replicates(clusters.within), clusters.copies
    return ClusterSplit(
        smooth(lambda t, w: t - w / m, means, inner),
        smooth(torch.clone, inner),
        smooth(lambda t, w: w / (t - w / m + w), means, inner),
    )
