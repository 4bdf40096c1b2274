"""Heads that learn a covariance: of the residual of any label, by likelihood or by its second moment.

Each maps noisy rows and times to a `Covariance`. Trained on residuals `r = y - f(x_t)` it tends to `E[r r' | x_t]`, in
the structure that it has: the covariance of the label plus the squared error of f. So it is the label noise only where
f is right, and weighs down what has not been learned yet.
"""

import math

import torch
from torch import Tensor, nn

from scorewise.covariance import Dense, Diagonal
from scorewise.schedule import Schedule


class Clock(nn.Module):
    """Features of the noise level that a linear map can read: Fourier features of `log(sigma_t / alpha_t)`.

    Shape:
        Input: times (B,). Output: (B, 2 frequencies + 2), the first feature 1, the second the logarithm itself over 4.

    Args:
        schedule: of the noise.
        frequencies: number of frequencies, from 1/4 to 4 radians a nat.
    """

    frequencies: Tensor

    def __init__(self, schedule: Schedule, frequencies: int = 12) -> None:
        super().__init__()
        self.schedule = schedule
        self.register_buffer("frequencies", torch.logspace(math.log10(0.25), math.log10(4), frequencies))
        self.width = 2 * frequencies + 2

    def forward(self, t: Tensor) -> Tensor:
        level = -0.5 * self.schedule.log_snr(t)[:, None]
        angles = level * self.frequencies
        return torch.cat([torch.ones_like(level), level / 4, angles.sin(), angles.cos()], 1)


class LevelHead(nn.Module):
    """One variance for each noise level, the same for all coordinates: `C = exp(u(t)) I`.

    Trained by `negative_log_likelihood` it tends to `E[|r|^2 | t] / d`.

    Shape:
        Input: noisy rows (B, D), times (B,). Output: `Diagonal` on (D,).

    Args:
        schedule: of the noise.

    Reference: Karras, Aittala, Lehtinen, Hellsten, Aila, Laine, "Analyzing and improving the training dynamics of
    diffusion models", 2024 (uncertainty as a function of the noise level).
    """

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self.clock = Clock(schedule)
        self.outlet = nn.Linear(self.clock.width, 1, bias=False)
        nn.init.zeros_(self.outlet.weight)

    def log_variance(self, t: Tensor) -> Tensor:
        """Give u at times t, shape (B,)."""
        u: Tensor = self.outlet(self.clock(t))
        return u[:, 0]

    def forward(self, x_t: Tensor, t: Tensor) -> Diagonal:
        return Diagonal(self.log_variance(t).exp()[:, None].expand_as(x_t))


class VarianceHead(nn.Module):
    """Variances that depend on the noisy row, one for all coordinates or one for each: `C = diag(exp(u(x_t, t)))`.

    Trained by `negative_log_likelihood` it tends to `E[|r|^2 | x_t] / d`, or to `E[r_i^2 | x_t]`.

    Shape:
        Input: noisy rows (B, D), times (B,). Output: `Diagonal` on (D,).

    Args:
        d: coordinates of a row, D.
        schedule: of the noise.
        each: one variance for each coordinate instead of one for all.
        width: of the hidden layers.
        sigma_data: standard deviation of the coordinates of the rows, which sets the scale of the input.
        generator: source of randomness of the initial weights.

    References:
        Nix, Weigend, "Estimating the mean and variance of the target probability distribution", 1994;
        Kendall, Gal, "What uncertainties do we need in Bayesian deep learning for computer vision?", 2017, eq. 8.
    """

    def __init__(
        self,
        d: int,
        schedule: Schedule,
        each: bool = False,
        width: int = 64,
        sigma_data: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.body = _Body(d, d if each else 1, schedule, width, sigma_data, generator)

    def forward(self, x_t: Tensor, t: Tensor) -> Diagonal:
        u: Tensor = self.body(x_t, t)
        return Diagonal(u.exp().expand_as(x_t))


class CovarianceHead(nn.Module):
    """A covariance in full that depends on the noisy row, `C = L L'`, L lower triangular.

    It is a head of second order: trained by `second_moment_loss` on residuals of the score it tends to
    `I / h_t + grad^2 log p_t`, without a derivative of the network. By likelihood it may be trained as well.

    Shape:
        Input: noisy rows (B, D), times (B,). Output: `Dense` on (D,).

    Args:
        d: coordinates of a row, D.
        schedule: of the noise.
        width: of the hidden layers.
        sigma_data: standard deviation of the coordinates of the rows, which sets the scale of the input.
        low: smallest entry of the diagonal of L, > 0, in units of the residual.
        generator: source of randomness of the initial weights.

    Reference: Meng, Song, Li, Ermon, "Estimating high order gradients of the data distribution by denoising", 2021
    (a second network for the second order). NOTE[DIFF]: it is trained on centred residuals, and positive by
    construction.
    """

    def __init__(
        self,
        d: int,
        schedule: Schedule,
        width: int = 64,
        sigma_data: float = 1.0,
        low: float = 1e-3,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.d, self.low = d, low
        self.body = _Body(d, d * (d + 1) // 2, schedule, width, sigma_data, generator)

    def forward(self, x_t: Tensor, t: Tensor) -> Dense:
        out: Tensor = self.body(x_t, t)
        root = torch.diag_embed(nn.functional.softplus(out[:, : self.d]) + self.low)
        below = torch.tril_indices(self.d, self.d, -1, device=out.device)
        lower = torch.zeros_like(root)
        lower[:, below[0], below[1]] = out[:, self.d :]
        root = root + lower
        return Dense(root @ root.mT, root)


def second_moment_loss(cov: Dense, residual: Tensor) -> Tensor:
    """Score a covariance by its squared distance to the residual's own square, `|C - r r'|_F^2`.

    It is least at `E[r r' | x_t]`, whatever the law of the residual. For residuals of the score it is denoising score
    matching of the second order with the centred label.

    Args:
        cov: covariances on (D,).
        residual: r, held fixed by the caller, shape (B, D).

    Returns:
        Shape (B,).

    Reference: Lu, Zheng, Bao, Chen, Li, Zhu, "Maximum likelihood training for score-based diffusion ODEs by high-order
    denoising score matching", 2022 (the second order).
    """
    return (cov.matrix - residual[:, :, None] * residual[:, None]).square().flatten(1).sum(1)


class _Body(nn.Module):
    def __init__(
        self, d: int, outputs: int, schedule: Schedule, width: int, sigma_data: float, generator: torch.Generator | None
    ) -> None:
        super().__init__()
        self.schedule, self.sigma_data = schedule, sigma_data
        self.clock = Clock(schedule)
        self.inlet = nn.Linear(d + self.clock.width, width)
        self.hidden = nn.Linear(width, width)
        self.outlet = nn.Linear(width, outputs)
        for layer in (self.inlet, self.hidden):
            bound = (3 / layer.in_features) ** 0.5
            with torch.no_grad():
                layer.weight.copy_((torch.rand(layer.weight.shape, generator=generator) * 2 - 1) * bound)
                layer.bias.zero_()
        nn.init.zeros_(self.outlet.weight)
        nn.init.zeros_(self.outlet.bias)

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        alpha_t, sigma_t = self.schedule.alpha(t)[:, None], self.schedule.sigma(t)[:, None]
        scaled = x_t * (alpha_t.square() * self.sigma_data**2 + sigma_t.square()).rsqrt()
        h = nn.functional.silu(self.inlet(torch.cat([scaled, self.clock(t)], 1)))
        h = nn.functional.silu(self.hidden(h))
        out: Tensor = self.outlet(h)
        return out
