"""Targets of any order: the label whose regression function is `grad^k p_t / p_t`, for any noise.

`T_k = grad^k q(x_t | x) / q(x_t | x)` has `E[T_k | x_t] = grad^k p_t(x_t) / p_t(x_t) = M_k`: differentiate
`p_t = int p q` under the integral. No property of the noise is used but that the derivative exists. Order 1 is
denoising score matching (Vincent, 2011); here the orders share one recursion (`symmetric.ratios_from_logs`).
"""

import math
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from scorewise.form import Form, Full
from scorewise.noise import Draw, Gaussian, Noise
from scorewise.parameterisation import score
from scorewise.posterior import Mixture, Posterior
from scorewise.schedule import Schedule
from scorewise.symmetric import hermite, ratios_from_logs


class OrderError(ValueError):
    """A label was asked for that does not exist under this noise."""


@final
class Target:
    """The label of order k, `T_k = grad^k q(x_t | x) / q(x_t | x)`; its mean given `x_t` is `grad^k p_t / p_t`.

    For Gaussian noise `T_k = (-1)^k sigma_t^-k He_k(eps)`, Hermite tensors of the noise; for other noises the
    derivatives of `log q` are taken automatically and put together by the recursion of moments from cumulants.

    Args:
        noise: law of the noisy rows.
        order: k, at least 1.
        form: what is kept of the tensor: `Full()`, `Pure()` or `Sliced(directions)`.

    Raises:
        OrderError: if such labels do not exist or have no finite variance under the noise.
    """

    def __init__(self, noise: Noise, order: int = 1, form: Form | None = None) -> None:
        if not 1 <= order <= noise.max_order:
            raise OrderError(
                f"order must be between 1 and max_order={noise.max_order:g} of the noise, however: {order=} with "
                f"{type(noise).__name__}. Beyond it grad^k q / q is no function or has no finite variance, for the "
                "density has a kink (Laplace, order 2) or a jump (uniform noise, order 1): take a smoother noise."
            )
        self.noise, self.order = noise, order
        self.form = Full() if form is None else form

    def label(self, draw: Draw) -> Tensor:
        """Give the noisy label of each row of a draw.

        Args:
            draw: a noisy batch.

        Returns:
            Shape (B, *E).
        """
        return ratios_from_logs(self.form.logs(self.noise, draw, self.order), self.form.product)[-1]

    def coordinates(self, d: int) -> int:
        """Count the independent numbers of the label for rows of dimension d: `C(d + k - 1, k)` of a whole tensor.

        Args:
            d: dimension of the rows.

        Returns:
            The dimension of what the label can be.
        """
        return self.form.coordinates(d, self.order)

    def kernel_variance(self, t: Tensor) -> Tensor:
        """Give the variance that Gaussian noise alone gives each independent number of the label, `k! / h_t^k`.

        For directions it is that along a unit vector.

        Args:
            t: times, shape (B,).

        Returns:
            Shape (B,).

        Raises:
            TypeError: if the noise is not Gaussian.
        """
        return math.factorial(self.order) / _schedule(self.noise).sigma(t).square() ** self.order

    def moments(self, posterior: Posterior, x_t: Tensor, t: Tensor) -> list[Tensor]:
        """Give `M_j = E[T_j | x_t]` for j = 0, ..., 2k, of a belief that is taken to be Gaussian.

        For `x ~ N(m, C)` it is `(-1)^j sigma_t^-j` times the Hermite tensor of `(x_t - alpha_t m) / sigma_t` with
        `I - alpha_t^2 C / sigma_t^2` in the place of I.

        Args:
            posterior: belief about the clean row, on shape (d,).
            x_t: noisy rows, shape (B, d).
            t: times, shape (B,).

        Returns:
            The moments in this form, each of shape (B, *E) of its order; order 0 is (B,) or (B, m).

        Raises:
            TypeError: if the noise is not Gaussian.
        """
        schedule = _schedule(self.noise)
        alpha_t, sigma_t = schedule.alpha(t), schedule.sigma(t)
        z = self.form.vector((x_t - alpha_t[:, None] * posterior.mean) / sigma_t[:, None])
        metric = self.form.metric(posterior.cov, (alpha_t / sigma_t).square())
        return [
            (-1) ** j * term / sigma_t.reshape(-1, *[1] * (term.ndim - 1)) ** j
            for j, term in enumerate(hermite(2 * self.order, z, metric, self.form.product))
        ]

    def belief(self, posterior: Posterior, x_t: Tensor, t: Tensor) -> Posterior:
        """Push a belief about the clean row to a belief about the label.

        At order 1 nothing but mean and covariance is used. From order 2 on the belief about the row is taken to be
        Gaussian, since its third and higher moments matter; `belief_of_mixture` is exact for mixtures.

        Args:
            posterior: belief about x, on shape (d,).
            x_t: noisy rows, shape (B, d).
            t: times, shape (B,).

        Returns:
            The belief about the label on E.

        Raises:
            TypeError: if the noise is not Gaussian.
        """
        if self.order == 1 and isinstance(self.form, Full):
            return score(_schedule(self.noise)).belief(posterior, x_t, t)
        return self._gather(self.moments(posterior, x_t, t), t)

    def belief_of_mixture(self, rows: Mixture, x_t: Tensor, t: Tensor) -> Posterior:
        """Give the exact belief about the label where the rows are a mixture of Gaussians.

        Args:
            rows: the mixture, under the schedule of this noise.
            x_t: noisy rows, shape (B, d).
            t: times, shape (B,).

        Returns:
            `M_k = grad^k p_t / p_t` and `Cov[T_k | x_t]`, on E.
        """
        if self.order == 1:
            return self.belief(rows(x_t, t), x_t, t)
        share, parts = rows.components(x_t, t)
        each = [self.moments(part, x_t, t) for part in parts]
        mixed = []
        for terms in zip(*each, strict=True):
            stacked = torch.stack(terms, 1)
            mixed.append((share.reshape(*share.shape, *[1] * (stacked.ndim - 2)) * stacked).sum(1))
        return self._gather(mixed, t)

    def _gather(self, moments: Sequence[Tensor], t: Tensor) -> Posterior:
        h_t = _schedule(self.noise).sigma(t).square()
        return Posterior(moments[self.order], self.form.spread(moments, h_t, self.order))


def centred_label(noise: Noise, draw: Draw, score_t: Tensor, form: Form | None = None) -> Tensor:
    """Give a label of the Hessian, `Y_2 = grad^2 log q + (T_1 - s)(T_1 - s)'`, with `E[Y_2 | x_t] = grad^2 log p_t`.

    With a score that is off by b its mean is off by `b b'`, which is small to second order.

    Args:
        noise: law of the noisy rows, with labels of order 2.
        draw: a noisy batch.
        score_t: s, an estimate of `grad log p_t(x_t)` that is held fixed, shape (B, d).
        form: what is kept of the matrix; `Full()` by default.

    Returns:
        Shape (B, *E).

    Reference: Lu, Zheng, Bao, Chen, Li, Zhu, "Maximum likelihood training for score-based diffusion ODEs by high-order
    denoising score matching", 2022 (the second order).
    """
    kept = Target(noise, 2, form).form
    away = kept.vector(Target(noise, 1).label(draw) - score_t)
    return kept.logs(noise, draw, 2)[1] + kept.product(away, away)


def _schedule(noise: Noise) -> Schedule:
    if not isinstance(noise, Gaussian):
        raise TypeError(
            f"a label in closed form needs Gaussian noise, however: {type(noise).__name__}. "
            "Take exact(rows, noise) for beliefs and heuristic_estimate for weights, which hold under any noise."
        )
    return noise.schedule
