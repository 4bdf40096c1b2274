"""Gradient noise: how far the gradients of single rows scatter around their mean, by three estimators that agree.

Each estimator gives a `Scatter`, which holds all there is to know: `gradient_noise` reads the variance, the signal and
the critical batch from it, `split_groups` and `split_clusters` (of `scorewise.scatter`) say where the variance is from.

By rows: `vmap(grad)` in chunks, exact, time of a backward pass and memory of `chunk * P`.
By probes: directional derivatives of all rows along Rademacher directions in one forward-mode pass each; memory of a
forward pass. By batches: backward passes over a few batches alone; few batches mean a large standard error.
"""

import itertools
from typing import NamedTuple

import torch
from torch import Tensor

from scorewise.estimate import Estimate
from scorewise.group import by_group, group_sizes
from scorewise.replicate import smooth
from scorewise.rowwise import Batch, Rowwise, chunks, rows, take
from scorewise.scatter import Clusters, Grouped, Scatter, check_copies, squared_mean, variance


class GradientNoise(NamedTuple):
    """What the scatter of gradients says of one row and of batches.

    Attributes:
        variance: `tr Cov(g)` of the gradient of one row.
        squared_mean: `|E g|^2`, free of bias, so it may be negative.
        signal: signal-to-noise ratio of one row, `|E g|^2 / tr Cov(g)`; that of B rows is B times it.
        critical_batch: `tr Cov(g) / |E g|^2`, rows at which signal and noise are equal; infinite, with an infinite
            standard error, where the signal is estimated at 0 or below.
    """

    variance: Estimate
    squared_mean: Estimate
    signal: Estimate
    critical_batch: Estimate


def gradient_noise(scatter: Scatter, size: int = 1) -> GradientNoise:
    """Read the gradient noise of one row.

    Args:
        scatter: of the gradients of rows, or of the mean gradients of independent batches.
        size: rows whose mean each vector of the scatter is.

    Returns:
        The noise of a single row.

    Reference: McCandlish, Kaplan, Amodei, OpenAI Dota team, "An empirical model of large-batch training", 2018
    (the simple noise scale, here `critical_batch`).
    """
    spread, signal = variance(scatter), squared_mean(scatter)
    ratio = smooth(lambda g, t: g / (size * t), signal, spread)
    positive = ratio.value > 0
    batch = torch.where(positive, 1 / ratio.value, torch.inf)
    return GradientNoise(
        smooth(lambda t: size * t, spread),
        smooth(torch.clone, signal),
        ratio,
        Estimate(batch, torch.where(positive, ratio.se * batch.square(), torch.inf)),
    )


class Probe(NamedTuple):
    """Losses of rows and their derivatives along random directions.

    Attributes:
        value: losses, shape (B,).
        slopes: `<g_i, v_k>`, in float64, shape (K, B).
    """

    value: Tensor
    slopes: Tensor


def probe(losses: Rowwise[Batch], batch: Batch, probes: int, generator: torch.Generator | None = None) -> Probe:
    """Differentiate the loss of every row along Rademacher directions, one forward-mode pass each.

    `E_v Var_i <g_i, v> = tr Cov(g)`: feed the slopes to `of_slopes`, `grouped_slopes` or `clustered_slopes`.

    Args:
        losses: losses of rows, shape (B,).
        batch: B rows.
        probes: number of directions, K, at least 2; the standard error needs their scatter.
        generator: source of randomness, on any device.

    Returns:
        Losses and slopes, on the device of the losses.

    Raises:
        ValueError: if there are fewer than two probes.

    References:
        Baydin, Pearlmutter, Syme, Wood, Torr, "Gradients without backpropagation", 2022 (forward gradient);
        Hutchinson, "A stochastic estimator of the trace of the influence matrix", 1989.
    """
    if probes < 2:
        raise ValueError(f"probes must be 2 or more, however: {probes=}. One probe has no standard error.")
    passes = [losses.along(batch, losses.signs(generator)) for _ in range(probes)]
    return Probe(passes[0][0], torch.stack([slope.double() for _, slope in passes]))


def row_scatter(losses: Rowwise[Batch], batch: Batch, chunk: int = 64) -> Scatter:
    """Scatter of the gradients of rows, exact: `vmap(grad)` in chunks, then one forward-mode pass along their mean.

    Args:
        losses: losses of rows, shape (B,).
        batch: B rows.
        chunk: rows whose gradients are held at a time.

    Returns:
        The scatter, K = 1.
    """
    square, total = _accumulate(losses, batch, chunk)
    return Scatter(square[None], _along(losses, batch, total / rows(batch))[None])


def batch_scatter(losses: Rowwise[Batch], batch: Batch, size: int) -> Scatter:
    """Scatter of the mean gradients of batches: reverse-mode passes, then one forward-mode pass along their mean.

    `gradient_noise(batch_scatter(losses, batch, b), b).variance` is the two-batch estimator
    `(mean |G_b|^2 - |G_B|^2) / (1/b - 1/B)`, with G_b the gradient of a part and G_B that of all.

    Args:
        losses: losses of rows, shape (B,).
        batch: B rows.
        size: rows of a part, b.

    Returns:
        The scatter of the B / b parts, K = 1.

    Raises:
        ValueError: if the rows are not three or more whole parts.

    Reference: McCandlish et al., "An empirical model of large-batch training", 2018, appendix A.1.
    """
    count = rows(batch)
    if count % size or count < 3 * size:
        raise ValueError(f"rows must be 3 or more whole parts, however: rows={count}, {size=}. Change the size.")
    square, total = [], losses.zero()
    for part in chunks(batch, size):
        one = losses.mean_gradient(part).double()
        square.append(one.square().sum())
        total += one
    along = _along(losses, batch, total * size / count)
    return Scatter(torch.stack(square)[None], along.reshape(-1, size).mean(1)[None])


def grouped_scatter(losses: Rowwise[Batch], batch: Batch, group: Tensor, chunk: int = 64) -> Grouped:
    """Scatter of all rows and of each group, exact, with the gradients of a chunk of one group held at a time.

    Args:
        losses: losses of rows, shape (B,).
        batch: B rows.
        group: the group of each row, such as its noise level in buckets, integers 0 to L - 1, shape (B,).
        chunk: rows whose gradients are held at a time.

    Returns:
        All of them together and the L groups, K = 1.

    Raises:
        ValueError: if a group has fewer than three rows.
    """
    parts, total = [], losses.zero()
    ordered = take(batch, by_group(group))
    ends = list(itertools.accumulate(group_sizes(group, least=3), initial=0))
    for start, end in itertools.pairwise(ends):
        part = take(ordered, slice(start, end))
        square, summed = _accumulate(losses, part, chunk)
        parts.append(Scatter(square[None], _along(losses, part, summed / rows(part))[None]))
        total += summed
    square = torch.cat([part.square for part in parts], 1)
    return Grouped(Scatter(square, _along(losses, ordered, total / rows(batch))[None]), tuple(parts))


def clustered_scatter(losses: Rowwise[Batch], batch: Batch, copies: int, chunk: int = 64) -> Clusters:
    """Scatter between and within clusters, exact, with the gradients of a chunk of whole clusters held at a time.

    Args:
        losses: losses of rows, shape (B,).
        batch: n clusters of m rows, one after another: the same clean row noised m times.
        copies: m.
        chunk: rows whose gradients are held at a time; one cluster at least is.

    Returns:
        The clusters, K = 1.

    Raises:
        ValueError: if there are fewer than two copies, or the rows are not three or more whole clusters.
    """
    check_copies(rows(batch), copies)
    square, within, total = [], [], losses.zero()
    for piece in chunks(batch, max(chunk // copies, 1) * copies):
        table = losses.gradients(piece).reshape(-1, copies, losses.width)
        means = table.mean(1)
        square.append(_squares(means))
        within.append(table.var(1).sum(1, dtype=torch.float64))
        total += means.sum(0, dtype=torch.float64)
    along = _along(losses, batch, total * copies / rows(batch)).reshape(-1, copies).mean(1)
    return Clusters(Scatter(torch.cat(square)[None], along[None]), torch.cat(within)[None], copies)


def _accumulate(losses: Rowwise[Batch], batch: Batch, chunk: int) -> tuple[Tensor, Tensor]:
    """Squared norms of the gradients of rows, shape (B,), and their sum, shape (P,)."""
    square, total = [], losses.zero()
    for piece in chunks(batch, chunk):
        gradients = losses.gradients(piece)
        square.append(_squares(gradients))
        total += gradients.sum(0, dtype=torch.float64)
    return torch.cat(square), total


def _squares(vectors: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(vectors, dim=1, dtype=torch.float64)
    return norms.square()


def _along(losses: Rowwise[Batch], batch: Batch, direction: Tensor) -> Tensor:
    return losses.along(batch, direction)[1].double()
