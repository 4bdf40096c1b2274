"""Posteriors: what a denoiser believes about the clean row, and two denoisers in closed form."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from scorewise.binned import Binned
from scorewise.covariance import Covariance, Dense, Spectral
from scorewise.noise import GaussianNoise


class Posterior(NamedTuple):
    """A belief about a label.

    Attributes:
        mean: shape (B, *E).
        cov: covariance on E.
        margins: the distributions of the first coordinates, each on its own, where the denoiser knows them.
    """

    mean: Tensor
    cov: Covariance
    margins: Binned | None = None


Denoiser = Callable[[Tensor, Tensor], Posterior]
"""A function of noisy rows `x_t`, shape (B, D), and levels `sigma_t`, shape (B,), to a `Posterior` on shape (D,)."""


def gaussian(mean: Tensor, covariance: Tensor) -> Denoiser:
    """Exact denoiser of rows drawn from `N(mean, covariance)` under variance-exploding Gaussian noise.

    With `covariance = U diag(lam) U'` the posterior covariance is `U diag(lam s2 / (lam + s2)) U'`, `s2 = sigma_t^2`:
    EDM's loss weight is the inverse of this for `covariance = sigma_data^2 I`.

    Args:
        mean: shape (D,).
        covariance: symmetric positive definite, shape (D, D).

    Returns:
        The denoiser.

    Reference: Karras et al., "Elucidating the design space of diffusion-based generative models", 2022, eq. 8.
    """
    lam, basis = torch.linalg.eigh(covariance)

    def denoise(x_t: Tensor, sigma_t: Tensor) -> Posterior:
        s2 = sigma_t[:, None].square()
        shrink = lam / (lam + s2)
        return Posterior(mean + (((x_t - mean) @ basis) * shrink) @ basis.mT, Spectral(basis, shrink * s2))

    return denoise


def exact(rows: Tensor) -> Denoiser:
    """Exact denoiser of the empirical distribution of finitely many rows: one softmax over the rows.

    It is the oracle of the tests. It is not a weight to train with: on the training rows it underestimates the
    variance of the population at small noise.

    Args:
        rows: shape (N, D).

    Returns:
        The denoiser; its covariances have `sigma_t^2` times the resolution of the dtype (1e-12 in float64, 1e-5 in
        float32) added to the diagonal, to stay invertible.
    """
    noise = GaussianNoise()

    def denoise(x_t: Tensor, sigma_t: Tensor) -> Posterior:
        w = noise.log_prob(x_t[:, None], rows, sigma_t[:, None]).softmax(1)
        mean = w @ rows
        centred = rows - mean[:, None]
        ridge = 1e-12 if rows.dtype == torch.float64 else 1e-5
        jitter = ridge * sigma_t.square()[:, None, None] * torch.eye(rows.shape[1], dtype=rows.dtype)
        return Posterior(mean, Dense(torch.einsum("bn,bni,bnj->bij", w, centred, centred) + jitter))

    return denoise
