"""Spectra of a regression by gradient descent: what is fitted in each eigendirection, and what the labels hold."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from scorewise.lanczos import Measure

Decay = Callable[[Tensor, float, Tensor], Tensor]
"""Logarithm of the share of each eigendirection that is left: of eigenvalues (K,), a rate, steps (T,) to (T, K)."""


def discrete(values: Tensor, rate: float, steps: Tensor) -> Tensor:
    """Gradient descent by steps: the share left is `(1 - rate lambda)^T`.

    Args:
        values: eigenvalues, shape (K,).
        rate: step size, at most the inverse of the largest eigenvalue.
        steps: numbers of steps T, shape (T,).

    Returns:
        `T log(1 - rate lambda)`, shape (T, K).

    Raises:
        ValueError: if the rate overshoots.
    """
    largest = float(values.max())
    if rate * largest > 1 + 1e-9:
        raise ValueError(
            f"rate must be at most one over the largest eigenvalue, however: {rate=:g}, {largest=:g}. "
            "Lower the rate, or use the flow."
        )
    log_left: Tensor = torch.special.xlog1py(steps.to(values)[:, None], -(rate * values).clamp(0, 1))
    return log_left


def flow(values: Tensor, rate: float, steps: Tensor) -> Tensor:
    """Gradient flow: the share left is `exp(-rate lambda T)`, the limit of many small steps.

    Args:
        values: eigenvalues, shape (K,).
        rate: time per step.
        steps: numbers of steps T, not necessarily whole, shape (T,).

    Returns:
        `-rate lambda T`, shape (T, K).
    """
    return -rate * steps.to(values)[:, None] * values.clamp(min=0)


class Spectrum(NamedTuple):
    """Eigenvalues of a weighted kernel, with the energy of labels and of their noise at each.

    Every rule adds up over the K entries, so they may be eigendirections, eigendirections of several outputs taken
    together, or the nodes of a quadrature; entries of the labels and of their noise need not be the same.

    Attributes:
        values: eigenvalues lambda_k of `W^(1/2) K W^(1/2) / n`, shape (K,).
        squares: squared whitened labels `y_k^2`, shape (K,).
        noise: their variances `s_k = u_k' W^(1/2) C W^(1/2) u_k`, 1 for each direction under the optimal weight,
            shape (K,).
        spread: variances of the squares, shape (K,).
        size: number of labels, rows times outputs, N.
    """

    values: Tensor
    squares: Tensor
    noise: Tensor
    spread: Tensor
    size: int


def spectrum(values: Tensor, labels: Tensor, noise: Tensor) -> Spectrum:
    """Collect a spectrum from whitened labels in an eigenbasis.

    The variance of the squares is estimated by `4 y^2 s - 2 s^2`, unbiased for Gaussian labels.

    Args:
        values: eigenvalues, shape (K,).
        labels: whitened labels along the eigenvectors, shape (K, M) for M outputs that share them.
        noise: their variances, shape (K, M).

    Returns:
        The spectrum, outputs added up.

    Raises:
        ValueError: if a variance is negative.
    """
    if bool((noise < 0).any()):
        raise ValueError(
            f"noise must not be negative, however: its minimum is {float(noise.min()):g}. "
            "Take the levels from residuals of whole clusters, which cannot be."
        )
    squares = labels.square()
    spread = (4 * squares * noise - 2 * noise.square()).sum(1)
    return Spectrum(values, squares.sum(1), noise.sum(1), spread, labels.numel())


def from_quadrature(labels: Measure, noise: Measure, size: int) -> Spectrum:
    """Collect a spectrum from Lanczos quadrature, for kernels whose eigenvectors are out of reach.

    Args:
        labels: measure of the whitened labels, the one start vector.
        noise: measure of R start vectors whose covariance is that of the whitened label noise; random signs under the
            optimal weight.
        size: number of labels, N.

    Returns:
        The spectrum. Its spread takes all labels to have noise of the mean level.

    Raises:
        ValueError: if the labels are not one start vector.
    """
    if len(labels.nodes) != 1:
        raise ValueError(
            f"labels must be the measure of one start vector, however: {len(labels.nodes)=}. Give the labels alone."
        )
    nodes = noise.nodes.flatten()
    energy = noise.weights.flatten() / len(noise.weights)
    level = energy.sum() / size
    return Spectrum(
        torch.cat([labels.nodes[0], nodes]).clamp(min=0),
        torch.cat([labels.weights[0], torch.zeros_like(nodes)]),
        torch.cat([torch.zeros_like(labels.nodes[0]), energy]),
        torch.cat([4 * level * labels.weights[0], -2 * level * energy]),
        size,
    )


class Curves(NamedTuple):
    """What is known of the risk after each number of steps, per label, in whitened units; shape (T,) each.

    Attributes:
        bias: `(1/N) sum (1 - q)^2 (y^2 - s)`, without bias for the squared bias; it may fall below 0.
        variance: `(1/N) sum q^2 s`.
        residual: squared training residual, `(1/N) sum (1 - q)^2 y^2`.
        fitted: degrees of freedom weighted by the noise, `(1/N) sum q s`.
        noise: mean noise level `(1/N) sum s`, the floor of the residual; a number.
        se: standard error of `bias + variance`.
    """

    bias: Tensor
    variance: Tensor
    residual: Tensor
    fitted: Tensor
    noise: Tensor
    se: Tensor


def curves(spectrum: Spectrum, rate: float, steps: Tensor, decay: Decay = discrete) -> Curves:
    """Estimate bias and variance along the path: `q_k = 1 - exp(decay)`; their sum is Stein's unbiased risk.

    Args:
        spectrum: eigenvalues, labels and noise.
        rate: step size.
        steps: numbers of steps, shape (T,).
        decay: `discrete` or `flow`.

    Returns:
        The curves.
    """
    log_left = decay(spectrum.values, rate, steps)
    left, share = log_left.exp(), -log_left.expm1()
    debiased = spectrum.squares - spectrum.noise
    return Curves(
        left.square() @ debiased / spectrum.size,
        share.square() @ spectrum.noise / spectrum.size,
        left.square() @ spectrum.squares / spectrum.size,
        share @ spectrum.noise / spectrum.size,
        spectrum.noise.sum() / spectrum.size,
        (left.pow(4) @ spectrum.spread).clamp(min=0).sqrt() / spectrum.size,
    )


def risk(spectrum: Spectrum, truth: Tensor, rate: float, steps: Tensor, decay: Decay = discrete) -> Tensor:
    """Exact risk of every number of steps when the truth is known: `(1/N) sum (1 - q)^2 theta^2 + q^2 s`.

    Args:
        spectrum: eigenvalues and noise; its labels are not read.
        truth: squared whitened truth theta_k^2 at each entry, shape (K,).
        rate: step size.
        steps: numbers of steps, shape (T,).
        decay: `discrete` or `flow`.

    Returns:
        Expected squared error per label over draws of the label noise, in whitened units, shape (T,).
    """
    log_left = decay(spectrum.values, rate, steps)
    return ((2 * log_left).exp() @ truth + log_left.expm1().square() @ spectrum.noise) / spectrum.size
