"""Reverse processes: from noise to rows, as generators that yield one state per level."""

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from scorewise.posterior import Denoiser


class Reverse(NamedTuple):
    """Where a reverse process stands.

    Attributes:
        x: rows at the current level, shape (B, D).
        sigma: the current level.
        mean: posterior mean that the last evaluation gave, shape (B, D).
    """

    x: Tensor
    sigma: float
    mean: Tensor


def multistep(
    denoiser: Denoiser, x: Tensor, levels: Tensor, churn: float = 0.0, generator: torch.Generator | None = None
) -> Iterator[Reverse]:
    """Integrate the probability flow by an exponential integrator of second order, one evaluation a step.

    With `h = log(sigma/sigma')` the step `x' = (sigma'/sigma) x + (1 - sigma'/sigma) D` is exact for a posterior mean D
    that does not change; D is extrapolated to the middle of the step from the two last evaluations,
    `D = D_i + (h_i / (2 h_(i-1))) (D_i - D_(i-1))`. For Gaussian rows and log-uniform levels its error in the
    covariance is less than a third of Heun's at equal evaluations (40 against 40, held in the tests).

    With `churn > 0` it is stochastic: before each step the level is raised by the factor `1 + churn` with fresh
    noise, which lets later steps correct the errors of earlier ones.

    Args:
        denoiser: posterior mean at any level.
        x: rows at the first level, shape (B, D).
        levels: decreasing standard deviations, shape (T + 1,), the last one 0.
        churn: relative raise of the level before each step; 0 is deterministic.
        generator: source of randomness when `churn > 0`.

    Yields:
        The state after each of the T steps; the last one has level 0.

    Reference: Lu, Zhou, Bao, Chen, Li, Zhu, "DPM-Solver++: fast solver for guided sampling of diffusion probabilistic
    models", 2022, algorithm 2.
    """
    last: tuple[Tensor, float] | None = None
    for here, below in _steps(levels):
        x, start = _raised(x, here, below, churn, generator)
        mean = _mean_at(denoiser, x, start)
        ahead = mean
        if below > 0:
            h = math.log(start / below)
            middle = mean if last is None else mean + (mean - last[0]) * (h / (2 * last[1]))
            ahead = (below / start) * x + (1 - below / start) * middle
            last = mean, h
        x = ahead
        yield Reverse(x, below, mean)


def heun(
    denoiser: Denoiser, x: Tensor, levels: Tensor, churn: float = 0.0, generator: torch.Generator | None = None
) -> Iterator[Reverse]:
    """Integrate the probability flow `dx/dsigma = (x - E[x_0|x]) / sigma` by Heun's method, two evaluations a step.

    Args:
        denoiser: posterior mean at any level.
        x: rows at the first level, shape (B, D).
        levels: decreasing standard deviations, shape (T + 1,), the last one 0.
        churn: relative raise of the level before each step, with fresh noise; 0 is deterministic.
        generator: source of randomness when `churn > 0`.

    Yields:
        The state after each of the T steps; the last one has level 0.

    Reference: Karras et al., "Elucidating the design space of diffusion-based generative models", 2022,
    algorithms 1 (deterministic) and 2 (stochastic).
    """
    for here, below in _steps(levels):
        x, start = _raised(x, here, below, churn, generator)
        mean = _mean_at(denoiser, x, start)
        slope = (x - mean) / start
        ahead = x + (below - start) * slope
        if below > 0:
            mean = _mean_at(denoiser, ahead, below)
            ahead = x + (below - start) * 0.5 * (slope + (ahead - mean) / below)
        x = ahead
        yield Reverse(x, below, mean)


def _steps(levels: Tensor) -> Iterator[tuple[float, float]]:
    ladder = [float(level) for level in levels]
    return itertools.pairwise(ladder)


def _raised(
    x: Tensor, here: float, below: float, churn: float, generator: torch.Generator | None
) -> tuple[Tensor, float]:
    if churn == 0 or below == 0:
        return x, here
    start = here * (1 + churn)
    fresh = torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
    return x + math.sqrt(start**2 - here**2) * fresh, start


def _mean_at(denoiser: Denoiser, x: Tensor, sigma: float) -> Tensor:
    return denoiser(x, x.new_full((len(x),), sigma)).mean
