"""Noise: how a clean row becomes a noisy one."""

import math
from typing import NamedTuple, final

import torch
from torch import Tensor


class Draw(NamedTuple):
    """One noisy batch.

    Attributes:
        x: clean rows, shape (B, D).
        x_t: noisy rows, shape (B, D).
        sigma_t: standard deviation of the noise of each row, in units of the encoded columns, shape (B,).
    """

    x: Tensor
    x_t: Tensor
    sigma_t: Tensor


@final
class GaussianNoise:
    """Variance-exploding Gaussian noise: `x_t = x + sigma_t * eps`, `eps ~ N(0, I)`.

    Reference: Karras, Aittala, Aila, Laine, "Elucidating the design space of diffusion-based generative models",
    2022, Table 1.
    """

    def draw(self, x: Tensor, sigma_t: Tensor, generator: torch.Generator | None = None) -> Draw:
        """Noise a batch.

        Args:
            x: clean rows, shape (B, D).
            sigma_t: standard deviations, shape (B,).
            generator: source of randomness, on the device of `x`.

        Returns:
            The batch with its noisy rows.
        """
        eps = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return Draw(x, torch.addcmul(x, eps, sigma_t[:, None]), sigma_t)

    def log_prob(self, x_t: Tensor, x: Tensor, sigma_t: Tensor) -> Tensor:
        """Log-density of noisy rows given clean ones, `log N(x_t; x, sigma_t^2 I)`.

        Args:
            x_t: noisy rows, shape (B, D), broadcast against `x`.
            x: clean rows, shape (B, D).
            sigma_t: standard deviations, broadcast against the leading shape of `x_t - x`.

        Returns:
            Log-densities in nats, the leading shape of `x_t - x`.
        """
        d = x_t.shape[-1]
        squares = (x_t - x).square().sum(-1)
        return -0.5 * squares / sigma_t.square() - d * sigma_t.log() - 0.5 * d * math.log(2 * math.pi)
