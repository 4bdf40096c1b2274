"""Posteriors: what a denoiser believes about the clean row, and denoisers in closed form."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, final

import torch
from torch import Tensor

from scorewise.covariance import Covariance, Dense, Spectral
from scorewise.schedule import Schedule, ve


class Posterior(NamedTuple):
    """A belief about a label: its mean, shape (B, *E), and its covariance on E."""

    mean: Tensor
    cov: Covariance


Denoiser = Callable[[Tensor, Tensor], Posterior]
"""A function of noisy rows `x_t`, shape (B, D), and times `t`, shape (B,), to a `Posterior` on shape (D,)."""


def negative_log_likelihood(posterior: Posterior, y: Tensor) -> Tensor:
    """Score a label under a Gaussian belief, `0.5 |whiten(y - mean)|^2 + 0.5 logdet`, up to a constant.

    In the mean it is a weighted regression; in the covariance it is least where the covariance is the second moment
    of the residual, `Cov[y | x_t] + b b'` with b the error of the mean.

    Args:
        posterior: beliefs, on shape E.
        y: labels, shape (B, *E).

    Returns:
        In nats, shape (B,).

    Reference: Nix, Weigend, "Estimating the mean and variance of the target probability distribution", 1994.
    """
    whitened = posterior.cov.whiten(y - posterior.mean)
    return 0.5 * whitened.flatten(1).square().sum(1) + 0.5 * posterior.cov.logdet


def gaussian(mean: Tensor, covariance: Tensor, schedule: Schedule | None = None) -> Denoiser:
    """Exact denoiser of rows drawn from `N(mean, covariance)` under Gaussian noise.

    With `covariance = U diag(lam) U'` the posterior covariance is `U diag(lam h_t / (alpha_t^2 lam + h_t)) U'`,
    `h_t = sigma_t^2`: EDM's loss weight is the inverse of this for `covariance = sigma_data^2 I` and `alpha_t = 1`.

    Args:
        mean: shape (D,).
        covariance: symmetric positive definite, shape (D, D).
        schedule: alpha and sigma as functions of time; variance exploding by default.

    Returns:
        The denoiser.

    Reference: Karras et al., "Elucidating the design space of diffusion-based generative models", 2022, eq. 8.
    """
    component = _Component(mean, covariance, ve() if schedule is None else schedule)
    return component.posterior


class _Component:
    # rows from N(mean, U diag(lam) U'), under Gaussian noise
    def __init__(self, mean: Tensor, covariance: Tensor, schedule: Schedule) -> None:
        self.mean, self.schedule = mean, schedule
        self.lam, self.basis = torch.linalg.eigh(covariance)

    def _centred(self, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        alpha_t, h_t = self.schedule.alpha(t)[:, None], self.schedule.sigma(t)[:, None].square()
        return (x_t - alpha_t * self.mean) @ self.basis, alpha_t, h_t, alpha_t.square() * self.lam + h_t

    def posterior(self, x_t: Tensor, t: Tensor) -> Posterior:
        centred, alpha_t, h_t, total = self._centred(x_t, t)
        shrunk = centred * alpha_t * self.lam / total
        return Posterior(self.mean + shrunk @ self.basis.mT, Spectral(self.basis, self.lam * h_t / total))

    def log_prob(self, x_t: Tensor, t: Tensor) -> Tensor:
        centred, _, _, total = self._centred(x_t, t)
        return -0.5 * (centred.square() / total + (2 * math.pi * total).log()).sum(1)


@final
class Mixture:
    """Exact denoiser of rows drawn from a mixture of Gaussians under Gaussian noise; made by `mixture`."""

    def __init__(self, weights: Tensor, components: Sequence[_Component]) -> None:
        self.weights = weights
        self._components = components

    def __call__(self, x_t: Tensor, t: Tensor) -> Posterior:
        """Give the posterior of the clean row: `C = sum_k r_k (C_k + (m_k - m)(m_k - m)')`.

        Args:
            x_t: noisy rows, shape (B, D).
            t: times, shape (B,).

        Returns:
            Mean and dense covariance.
        """
        share, parts = self.components(x_t, t)
        means = torch.stack([part.mean for part in parts], 1)
        mean = (share[..., None] * means).sum(1)
        within = torch.stack([part.cov.matrix_form() for part in parts], 1)
        apart = means - mean[:, None]
        return Posterior(
            mean, Dense(torch.einsum("bk,bkij->bij", share, within + apart[..., None] * apart[..., None, :]))
        )

    def components(self, x_t: Tensor, t: Tensor) -> tuple[Tensor, list[Posterior]]:
        """Give the posterior as the mixture of Gaussians that it is.

        Args:
            x_t: noisy rows, shape (B, D).
            t: times, shape (B,).

        Returns:
            Probabilities of the components, shape (B, K), and the Gaussian belief in each.
        """
        return self._joint(x_t, t).softmax(1), [part.posterior(x_t, t) for part in self._components]

    def log_prob(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give the log-density of noisy rows, `log p_t(x_t)`.

        Args:
            x_t: noisy rows, shape (B, D).
            t: times, shape (B,).

        Returns:
            In nats, shape (B,).
        """
        return self._joint(x_t, t).logsumexp(1)

    def _joint(self, x_t: Tensor, t: Tensor) -> Tensor:
        return self.weights.log() + torch.stack([part.log_prob(x_t, t) for part in self._components], 1)


def mixture(weights: Tensor, means: Tensor, covariances: Tensor, schedule: Schedule | None = None) -> Mixture:
    """Exact denoiser of rows drawn from `sum_k w_k N(m_k, S_k)` under Gaussian noise.

    Args:
        weights: positive, of sum 1, shape (K,).
        means: shape (K, D).
        covariances: symmetric positive definite, shape (K, D, D).
        schedule: alpha and sigma as functions of time; variance exploding by default.

    Returns:
        The denoiser, which also knows its components and the log-density of noisy rows.

    Raises:
        ValueError: if the weights are not positive with sum 1.
    """
    if not bool((weights > 0).all()) or abs(float(weights.sum()) - 1) > 1e-5:
        raise ValueError(f"weights must be positive with sum 1, however: {weights.tolist()}. Divide them by their sum.")
    kept = ve() if schedule is None else schedule
    return Mixture(weights, [_Component(m, s, kept) for m, s in zip(means, covariances, strict=True)])
