"""Label noise: where the labels scatter how much, and how much of the loss is scatter that no model can learn away."""

from typing import NamedTuple

import torch
from torch import Tensor

from scorewise.estimate import Estimate
from scorewise.group import by_group, group_means, group_sizes, stacked
from scorewise.replicate import smooth
from scorewise.scatter import grouped_slopes, squared_mean, variance, within


class VarianceMap(NamedTuple):
    """Conditional variance of the label over noise level and place, beside the model that knows the level alone.

    Attributes:
        position: mean position of the rows of each cell, shape (L, J).
        cells: mean variance of the rows of each cell, shape (L, J).
        constant: mean variance of each level, the constant model, shape (L,).
        dispersion: squared coefficient of variation of the variance between the cells of a level, free of bias, so it
            may be negative; 0 where the constant model is right. Its root is the relative error of a weight that knows
            the level alone, and to second order `1 + dispersion` is the variance of that weight's estimates relative
            to those of the optimal one. What varies within a cell does not count: narrow cells show more, shape (L,).
    """

    position: Tensor
    cells: Estimate
    constant: Estimate
    dispersion: Estimate


def variance_map(square: Tensor, position: Tensor, level: Tensor, cells: int) -> VarianceMap:
    """Map the variance of the label, `E[square | position, level]`, over cells that hold equally many rows of a level.

    Args:
        square: for each row a number whose mean given x_t is the label's variance there: the squared residual around
            the exact posterior mean, or the trace of a predicted covariance. Around a model's mean the square of its
            error is added. Shape (n,).
        position: where the row is, for example a coordinate or a norm of x_t, shape (n,).
        level: bucket of the row's noise level, integers 0 to L - 1, shape (n,).
        cells: cells of each level, J.

    Returns:
        The map. Rows are taken as independent draws.

    Raises:
        ValueError: if a cell has fewer than three rows.
    """
    order, sizes = by_group(level), group_sizes(level, least=3 * cells)
    found = []
    for values, places in zip(torch.split(square[order], sizes), torch.split(position[order], sizes), strict=True):
        cell = places.argsort().argsort() * cells // len(places)
        grouped = grouped_slopes(values.double()[None], cell)
        total, signal = variance(grouped.total), squared_mean(grouped.total)
        dispersion = smooth(lambda t, w, m: (t - w) / m, total, within(grouped), signal)
        found.append((group_means(places, cell).value, group_means(values, cell), dispersion))
    positions, means, dispersions = zip(*found, strict=True)
    return VarianceMap(torch.stack(positions), stacked(means), group_means(square, level), stacked(dispersions))


class Floor(NamedTuple):
    """The loss of each noise level and the part of it that is label noise, each of shape (L,).

    Attributes:
        loss: `E |y - f|^2`.
        floor: `E tr Cov[y | x_t]`, which no model gets below.
        excess: `loss - floor = E |f - E[y | x_t]|^2`, what is still to learn; estimated, it may be negative.
        share: `excess / loss`, the learnable share.
    """

    loss: Estimate
    floor: Estimate
    excess: Estimate
    share: Estimate


def floor(square: Tensor, variance: Tensor, level: Tensor) -> Floor:
    """Set the squared residuals of a model against the variance of the label, level by level.

    The two are paired row by row, which cancels most of their common scatter in `excess`. For whitened residuals the
    variance is the number of coordinates; then `excess` is in units of label noise, comparable between levels.

    Args:
        square: squared residuals `|y - f(x_t)|^2`, shape (n,).
        variance: trace of the label's conditional covariance at the same x_t, shape (n,): exact; predicted, which
            makes `floor` the model's own claim (see `scorewise.whitened`); or one end of the bracket that data alone
            give: with the posterior over finitely many rows in the place of the population's, the trace of its
            covariance is too small by the squared error of its mean, and the squared residual around its mean when
            the row's own origin is left out is too large by that.
        level: bucket of the row's noise level, integers 0 to L - 1, shape (n,).

    Returns:
        Loss, floor, excess and share of each level. Rows are taken as independent draws.
    """
    loss, excess = group_means(square, level), group_means(square - variance, level)
    share = excess.value / loss.value
    influence = (square - variance - share[level] * square) / loss.value[level]
    return Floor(loss, group_means(variance, level), excess, Estimate(share, group_means(influence, level).se))
