"""Kernel regressions that stop by themselves: one for all noise levels, or a sequence of local ones."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from scorewise.covariance import Covariance
from scorewise.descent import Path
from scorewise.spectrum import Spectrum
from scorewise.stopping import Stop, geometric_steps, sure
from scorewise.tangent import Kernel

Rule = Callable[[Spectrum, float, Tensor], Stop]
"""A stopping rule: of a spectrum, a step size and steps to compare."""

Labels = Callable[[Tensor], Covariance]
"""Conditional covariances of the labels of some rows: of their indices, shape (b,)."""


class Fit(NamedTuple):
    """A kernel regression, stopped.

    Attributes:
        kernel: the kernel.
        inputs: of the rows it was fitted to, shape (n, p).
        weights: of the rows, `f(x) = k(x, inputs) weights`, shape (n, D).
        path: the whole path.
        rate: its step size, one over the largest eigenvalue.
        stop: where it was stopped, and why.
    """

    kernel: Kernel
    inputs: Tensor
    weights: Tensor
    path: Path
    rate: float
    stop: Stop

    def __call__(self, inputs: Tensor) -> Tensor:
        """Predict labels, inputs of shape (m, p) to (m, D)."""
        return self.kernel(inputs, self.inputs) @ self.weights


def fit(
    kernel: Kernel,
    inputs: Tensor,
    labels: Tensor,
    assumed: Covariance,
    cov: Covariance,
    rule: Rule = sure,
    last: int = 10**6,
) -> Fit:
    """Run kernel gradient descent and stop it by a rule.

    Args:
        kernel: of the inputs; outputs do not interact.
        inputs: shape (n, p).
        labels: shape (n, D).
        assumed: covariance of each label that the weight assumes, n of them on shape (D,).
        cov: conditional covariance of each label; where it is `assumed` the whitened noise has variance 1.
        rule: the stopping rule.
        last: largest number of steps to compare.

    Returns:
        The regression.
    """
    path = Path(kernel(inputs, inputs), labels, assumed)
    rate = 1 / float(path.values.max())
    steps = geometric_steps(last, device=inputs.device)
    stop = rule(path.spectrum(path.levels(cov)), rate, steps)
    return Fit(kernel, inputs, path.weights(rate, steps[steps == stop.step])[0], path, rate, stop)


def divide(level: Tensor, count: int) -> Tensor:
    """Edges of intervals of the noise level that hold equally many rows.

    Args:
        level: noise level or time of each row, shape (n,).
        count: number of intervals, K.

    Returns:
        Inner edges, increasing, shape (K - 1,).

    Raises:
        ValueError: if there are fewer rows than intervals.
    """
    if not 1 <= count <= len(level):
        raise ValueError(f"count must lie between 1 and the rows, however: {count=}, rows={len(level)}. Take fewer.")
    shares = torch.arange(1, count, dtype=level.dtype, device=level.device) / count
    return torch.quantile(level, shares)


class Local(NamedTuple):
    """A sequence of kernel regressions, each for an interval of the noise level.

    Attributes:
        edges: inner edges between the intervals, shape (K - 1,).
        fits: the regressions, in the order of the intervals, each with a path and a stop of its own.
    """

    edges: Tensor
    fits: tuple[Fit, ...]

    def __call__(self, inputs: Tensor, level: Tensor) -> Tensor:
        """Predict labels by the regression of each row's interval.

        Args:
            inputs: shape (m, p).
            level: noise level of each row, shape (m,).

        Returns:
            Predictions, shape (m, D).
        """
        found = inputs.new_zeros(len(inputs), self.fits[0].weights.shape[1])
        where = torch.bucketize(level, self.edges)
        for k, one in enumerate(self.fits):
            found[where == k] = one(inputs[where == k])
        return found


def fit_intervals(
    kernel: Kernel,
    inputs: Tensor,
    labels: Tensor,
    level: Tensor,
    assumed: Labels,
    cov: Labels,
    count: int = 1,
    rule: Rule = sure,
    last: int = 10**6,
) -> Local:
    """Run kernel gradient descent on each of K intervals of the noise level, each stopped by itself.

    NOTE[DIFF]: the paper speaks of a sequence of localised kernel regressions; how it localises could not be read, so
    this is one reading. More than one interval pays only where each keeps some thousand rows.

    Args:
        kernel: of the inputs.
        inputs: shape (n, p).
        labels: shape (n, D).
        level: noise level or time of each row, shape (n,).
        assumed: covariances that the weight assumes, of the rows with given indices.
        cov: conditional covariances of the labels, likewise.
        count: number of intervals K, equally many rows in each.
        rule: the stopping rule.
        last: largest number of steps to compare.

    Returns:
        The regressions.

    Raises:
        ValueError: if there are fewer rows than intervals.

    Reference: Han, Razaviyayn, Xu, "Neural network-based score estimation in diffusion models: optimization and
    generalization", 2024 (abstract).
    """
    edges = divide(level, count)
    where = torch.bucketize(level, edges)
    rows = [(where == k).nonzero()[:, 0] for k in range(count)]
    return Local(edges, tuple(fit(kernel, inputs[i], labels[i], assumed(i), cov(i), rule, last) for i in rows))
