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
    denoiser: Denoiser,
    x: Tensor,
    levels: Tensor,
    churn: float = 0.0,
    generator: torch.Generator | None = None,
    correct: bool = True,
) -> Iterator[Reverse]:
    """Integrate the probability flow by an exponential predictor and corrector, one evaluation a step.

    With `l = -log sigma` and `h = l' - l` a step is `x' = exp(-h) x + int_0^h exp(s - h) D(l + s) ds`. The predictor
    takes for the posterior mean D the line through its last two evaluations. The corrector makes the step before once
    more, with the line through the newest evaluation and the one before, and moves the rows by what that changes,
    `h - 1 + exp(-h)` times the difference of the slopes; the evaluation is not repeated, so it is free. Both are of
    second order; of exact mixtures corrected rows are less than half as far, in the median, from where many small
    steps lead. For Gaussian rows and log-uniform levels the error in the covariance is less than a tenth of Heun's at
    equal evaluations (40 against 40). The tests hold both.

    With `churn > 0` it is stochastic: before each step between two positive levels but the first, whose rows are fresh,
    the level is raised by the factor `1 + churn` with more noise, which lets later steps correct the errors of earlier
    ones.

    Args:
        denoiser: posterior mean at any level.
        x: rows at the first level, shape (B, D).
        levels: decreasing standard deviations, shape (T + 1,), the last one 0.
        churn: relative raise of the level before steps; 0 is deterministic.
        generator: source of randomness when `churn > 0`.
        correct: whether steps are corrected.

    Yields:
        The state after each of the T steps, as predicted; the last one has level 0.

    Reference: Zhao, Bai, Rao, Zhou, Lu, "UniPC: a unified predictor-corrector framework for fast sampling of diffusion
    models", 2023, algorithm 1 (of data prediction); the weights are those of Adams' methods, derived here.
    """
    last: tuple[Tensor, Tensor, float] | None = None  # mean, slope of the line that was followed, length of the step
    for here, below, raised in _steps(levels, churn):
        x, start = _raised(x, here, raised, generator)
        mean = _mean_at(denoiser, x, start)
        slope = torch.zeros_like(mean)
        if last is not None:
            earlier, followed, h = last
            slope = (mean - earlier) / h
            if correct:
                x = torch.add(x, slope - followed, alpha=h + math.expm1(-h))
        ahead = mean
        if below > 0:
            h = math.log(start / below)
            share = -math.expm1(-h)
            ahead = torch.add(torch.lerp(x, mean, share), slope, alpha=h - share)
            last = mean, slope, h
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
        churn: relative raise of the level, with more noise, before each step between two positive levels but the first;
            0 is deterministic.
        generator: source of randomness when `churn > 0`.

    Yields:
        The state after each of the T steps; the last one has level 0.

    Reference: Karras et al., "Elucidating the design space of diffusion-based generative models", 2022,
    algorithms 1 (deterministic) and 2 (stochastic).
    """
    for here, below, raised in _steps(levels, churn):
        x, start = _raised(x, here, raised, generator)
        mean = _mean_at(denoiser, x, start)
        slope = (x - mean) / start
        ahead = x + (below - start) * slope
        if below > 0:
            mean = _mean_at(denoiser, ahead, below)
            ahead = x + (below - start) * 0.5 * (slope + (ahead - mean) / below)
        x = ahead
        yield Reverse(x, below, mean)


def _steps(levels: Tensor, churn: float) -> Iterator[tuple[float, float, float]]:
    # the level before each step, that after it, and by which share the first is raised
    ladder = [float(level) for level in levels]
    for place, (here, below) in enumerate(itertools.pairwise(ladder)):
        yield here, below, churn if place > 0 and below > 0 else 0.0


def _raised(x: Tensor, here: float, share: float, generator: torch.Generator | None) -> tuple[Tensor, float]:
    if share == 0:
        return x, here
    start = here * (1 + share)
    fresh = torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
    return x + math.sqrt(start**2 - here**2) * fresh, start


def _mean_at(denoiser: Denoiser, x: Tensor, sigma: float) -> Tensor:
    return denoiser(x, x.new_full((len(x),), sigma)).mean
