"""Score estimation as a regression: the clean row from the noisy one and the time, on bounded sets."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

Regressor = Callable[[Tensor, Tensor], Tensor]
"""A function of noisy rows `x_t`, shape (B, D), and times `t`, shape (B,), to estimates of the clean rows, (B, D)."""


def lift(x_t: Tensor, t: Tensor, start: float = 0.0) -> Tensor:
    """Inputs of the theory's network: `(x_t, t - start, 1)`, the last one for the bias.

    Args:
        x_t: noisy rows, shape (B, D).
        t: times, shape (B,).
        start: earliest time, T_0.

    Returns:
        Inputs, shape (B, D + 2).
    """
    return torch.cat([x_t, (t - start)[:, None], torch.ones_like(t)[:, None]], 1)


def score(mean: Tensor, x_t: Tensor, alpha_t: Tensor, h_t: Tensor) -> Tensor:
    """Score of the noisy density from the mean of the clean row: `(alpha_t mean - x_t) / h_t`.

    With it denoising score matching is the regression of the label x on `(x_t, t)`: the squared error of the score is
    `alpha_t^2 / h_t^2` times that of the mean, and the label's noise is `Cov[x | x_t]`.

    Args:
        mean: estimates of `E[x | x_t]`, shape (B, D).
        x_t: noisy rows `alpha_t x + sqrt(h_t) eps`, shape (B, D).
        alpha_t: signal scales, shape (B,).
        h_t: variances of the noise, shape (B,).

    Returns:
        Scores, shape (B, D).

    Reference: Robbins, "An empirical Bayes approach to statistics", 1956 (Tweedie's formula).
    """
    return (alpha_t[:, None] * mean - x_t) / h_t[:, None]


def radius(alpha_t: Tensor, h_t: Tensor, bound: float, width: int, delta: float) -> Tensor:
    """Radius of a ball that holds a noisy row of bounded data except with probability delta.

    `R = alpha_t bound + sqrt(h_t) (sqrt(width) + sqrt(2 log(1 / delta)))`, by the concentration of the norm of a
    Gaussian vector, so `P(|x_t| > R) <= delta`. It is conservative. Rows outside are left out of training, and the
    prediction there is 0 (`localise`).

    Args:
        alpha_t: signal scales, shape (B,).
        h_t: variances of the noise, shape (B,).
        bound: largest norm of a clean row.
        width: number of coordinates, D.
        delta: probability of falling outside, in (0, 1); `N^-2` keeps N rows inside with probability `1 - 1/N`.

    Returns:
        Radii, shape (B,).

    Raises:
        ValueError: if delta is no probability between 0 and 1.

    Reference: Borell-Tsirelson-Ibragimov-Sudakov inequality; derived here.
    """
    if not 0 < delta < 1:
        raise ValueError(f"delta must lie strictly between 0 and 1, however: {delta=}. Try one over the squared rows.")
    return alpha_t * bound + h_t.sqrt() * (math.sqrt(width) + math.sqrt(2 * math.log(1 / delta)))


def project(x: Tensor, bound: Tensor | float) -> Tensor:
    """Nearest point of the centred ball, `x min(1, bound / |x|)`; it never moves two points further apart.

    Args:
        x: points, shape (B, D).
        bound: radius, a number or one per point, shape (B,).

    Returns:
        Points of norm `bound` at most, shape (B, D).
    """
    norm = x.norm(dim=1)
    return x * torch.where(norm > bound, bound / norm.clamp(min=torch.finfo(x.dtype).tiny), 1.0)[:, None]


def localise(regressor: Regressor, radius_at: Callable[[Tensor], Tensor], bound: float) -> Regressor:
    """A regressor on the whole space from one that is learned on balls: 0 outside, projected onto the data's ball.

    Args:
        regressor: estimates of the clean rows inside.
        radius_at: radius of the ball of noisy rows at given times, shape (B,) to (B,); `radius` with a schedule.
        bound: largest norm of a clean row.

    Returns:
        The regressor on all noisy rows.
    """

    def predict(x_t: Tensor, t: Tensor) -> Tensor:
        inside = x_t.norm(dim=1) <= radius_at(t)
        return torch.where(inside[:, None], project(regressor(x_t, t), bound), 0.0)

    return predict
