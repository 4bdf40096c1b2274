"""Schedules: how much of the clean row is left, and how much noise is there, at each time.

A noisy row is `x_t = alpha_t x + sigma_t eps`. A schedule is the pair of functions `alpha(t)` and `sigma(t)`; all else
(`h_t = sigma_t^2`, the signal-to-noise ratio `alpha_t^2 / h_t`) follows from them.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Schedule(NamedTuple):
    """Signal and noise as functions of time.

    Any two functions make a schedule. `torch.ones_like` as `alpha` says that the signal is never scaled; code that
    scales may look for it and save the multiplication.

    Attributes:
        alpha: factor of the clean row, `t -> alpha_t`, shape kept.
        sigma: scale of the noise, in units of the encoded columns, `t -> sigma_t > 0`, shape kept.
    """

    alpha: Callable[[Tensor], Tensor]
    sigma: Callable[[Tensor], Tensor]

    def log_snr(self, t: Tensor) -> Tensor:
        """Logarithm of the signal-to-noise ratio, `log(alpha_t^2 / sigma_t^2)`.

        Args:
            t: times, any shape.

        Returns:
            In nats, the shape of `t`.
        """
        return 2 * (self.alpha(t).log() - self.sigma(t).log())

    def log_snr_rate(self, t: Tensor) -> Tensor:
        """Derivative of `log_snr`: its negative is 1 / density of the log-SNR when t is drawn uniformly.

        Args:
            t: times, any shape.

        Returns:
            In nats per unit of time, the shape of `t`.
        """
        rate: Tensor = torch.func.jvp(self.log_snr, (t,), (torch.ones_like(t),))[1]
        return rate


def _same(t: Tensor) -> Tensor:
    return t


def ve() -> Schedule:
    """Variance exploding: `alpha = 1`, `sigma = t`; time is the standard deviation of the noise.

    Returns:
        The schedule, for t > 0.

    Reference: Karras, Aittala, Aila, Laine, "Elucidating the design space of diffusion-based generative models",
    2022, Table 1.
    """
    return Schedule(torch.ones_like, _same)


def vp(beta_min: float = 0.1, beta_max: float = 20.0) -> Schedule:
    """Variance preserving with a rate that grows linearly: `alpha^2 = exp(-int_0^t beta)`, `sigma^2 = 1 - alpha^2`.

    Args:
        beta_min: rate at t = 0.
        beta_max: rate at t = 1.

    Returns:
        The schedule, for 0 < t <= 1.

    Reference: Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole, "Score-based generative modeling through stochastic
    differential equations", 2021, appendix C.
    """

    def exponent(t: Tensor) -> Tensor:
        return -0.5 * t * (beta_min + 0.5 * t * (beta_max - beta_min))

    return Schedule(lambda t: exponent(t).exp(), lambda t: (-torch.expm1(2 * exponent(t))).sqrt())


def cosine() -> Schedule:
    """Variance preserving on a quarter circle: `alpha = cos(pi t / 2)`, `sigma = sin(pi t / 2)`.

    Returns:
        The schedule, for 0 < t < 1.

    Reference: Nichol, Dhariwal, "Improved denoising diffusion probabilistic models", 2021, eq. 17. NOTE[DIFF]: without
    their offset s = 0.008, so that signal and noise are exact complements.
    """
    return Schedule(lambda t: (0.5 * math.pi * t).cos(), lambda t: (0.5 * math.pi * t).sin())


def ou() -> Schedule:
    """Ornstein-Uhlenbeck, `dX = -X dt + sqrt(2) dB`: `alpha = exp(-t)`, `sigma^2 = 1 - exp(-2 t)`.

    Returns:
        The schedule, for t > 0.
    """
    return Schedule(lambda t: (-t).exp(), lambda t: (-torch.expm1(-2 * t)).sqrt())


def flow() -> Schedule:
    """Straight lines from the rows to the noise: `alpha = 1 - t`, `sigma = t`.

    Returns:
        The schedule, for 0 < t < 1.

    Reference: Lipman, Chen, Ben-Hamu, Nickel, Le, "Flow matching for generative modeling", 2023, eq. 22.
    """
    return Schedule(lambda t: 1 - t, _same)


def discrete(alphas_cumprod: Tensor) -> Schedule:
    """Variance preserving on a table of steps: `alpha^2 = alphas_cumprod[t]`, `sigma^2 = 1 - alpha^2`, t an integer.

    Args:
        alphas_cumprod: share of the signal's variance that is left after each step, shape (T,), each in (0, 1).

    Returns:
        The schedule, for integer t in 0 ... T - 1 on the device of the table.

    Raises:
        ValueError: if an entry is not in (0, 1).

    Reference: Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", 2020, eq. 4.
    """
    if not bool(((alphas_cumprod > 0) & (alphas_cumprod < 1)).all()):
        raise ValueError(
            "alphas_cumprod must lie in (0, 1), however: its minimum is "
            f"{float(alphas_cumprod.min()):g}, its maximum {float(alphas_cumprod.max()):g}. "
            "Leave out the steps without signal or without noise: no finite weight exists there."
        )
    return Schedule(lambda t: alphas_cumprod[t.long()].sqrt(), lambda t: (1 - alphas_cumprod[t.long()]).sqrt())
