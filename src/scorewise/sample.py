"""Reverse processes: from noise to rows, as generators that yield one state per level."""

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


def heun(
    denoiser: Denoiser, x: Tensor, levels: Tensor, churn: float = 0.0, generator: torch.Generator | None = None
) -> Iterator[Reverse]:
    """Integrate the probability flow `dx/dsigma = (x - E[x_0|x]) / sigma` by Heun's method.

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

    Reference: Karras et al., "Elucidating the design space of diffusion-based generative models", 2022,
    algorithms 1 (deterministic) and 2 (stochastic).
    """

    def mean_at(x: Tensor, sigma: float) -> Tensor:
        return denoiser(x, x.new_full((len(x),), sigma)).mean

    ladder = [float(level) for level in levels]
    for here, below in zip(ladder[:-1], ladder[1:], strict=True):
        start = here
        if churn > 0 and below > 0:
            start = here * (1 + churn)
            fresh = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
            x = x + math.sqrt(start**2 - here**2) * fresh
        mean = mean_at(x, start)
        slope = (x - mean) / start
        ahead = x + (below - start) * slope
        if below > 0:
            mean = mean_at(ahead, below)
            ahead = x + (below - start) * 0.5 * (slope + (ahead - mean) / below)
        x = ahead
        yield Reverse(x, below, mean)
