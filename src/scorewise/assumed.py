"""The weights of the literature, read as the variance of the clean row that each of them assumes.

A weight w on the squared error of the clean row is optimal if `Cov[x | x_t] = 1 / w`. So a named weight is an assumed
variance of a coordinate, a function of the time; for any other label it follows by the label's own scale
(`Cov[y | x_t] = scale^2 Cov[x | x_t]`), once for all of them in `weight`.

A constant weight on a label assumes `1 / scale^2`. Half of the names are that, for one label or another:

    constant weight on            assumes                               which is exact for
    the noise (DDPM's simple)     h / alpha^2                           a flat prior: the noise alone
    the clean row                 1                                     noise that hides everything
    v, variance preserving        h                                     rows from N(0, I)
    EDM's F                       1 / (alpha^2 / h + 1 / sigma_data^2)  rows from N(0, sigma_data^2 I)
"""

from collections.abc import Callable

import torch
from torch import Tensor

from scorewise import parameterisation
from scorewise.covariance import Diagonal
from scorewise.parameterisation import Parameterisation
from scorewise.schedule import Schedule

Assumed = Callable[[Schedule, Tensor], Tensor]
"""`(schedule, t (B,)) -> (B,)`: the variance of a coordinate of x given `x_t` that a weight assumes, up to a factor."""


def weight(assumed: Assumed, label: Parameterisation, t: Tensor) -> Tensor:
    """Give the weight of the squared error of a label, `1 / (scale^2 variance)`.

    Args:
        assumed: what the weight assumes.
        label: what the network predicts.
        t: times with `alpha_t > 0` and `sigma_t > 0`, shape (B,).

    Returns:
        Shape (B,).
    """
    _, scale = label.coefficients(t)
    return 1 / (scale.square() * assumed(label.schedule, t))


def covariance(assumed: Assumed, label: Parameterisation, x_t: Tensor, t: Tensor) -> Diagonal:
    """Give the same as a covariance of the label, to whiten residuals with.

    Args:
        assumed: what the weight assumes.
        label: what the network predicts.
        x_t: noisy rows, which give the shape (B, D).
        t: times, shape (B,).

    Returns:
        Isotropic covariances on (D,).
    """
    return Diagonal((1 / weight(assumed, label, t))[:, None].expand_as(x_t))


def constant(label: Callable[[Schedule], Parameterisation]) -> Assumed:
    """Weigh the squared error of one label equally at every time: it assumes `1 / scale^2`.

    Args:
        label: makes the label for a schedule, such as `parameterisation.clean`.

    Returns:
        What it assumes.
    """
    return lambda schedule, t: label(schedule).coefficients(t)[1].pow(-2)


def snr() -> Assumed:
    """Weigh the clean row by the signal-to-noise ratio, the noise by 1: DDPM's simple loss, and the heuristic weight.

    Returns:
        `h / alpha^2`: what the noise alone leaves open.

    Reference: Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", 2020, eq. 14.
    """
    return constant(parameterisation.epsilon)


def constant_v() -> Assumed:
    """Weigh v equally: `SNR + 1` on the clean row under a variance-preserving schedule.

    Returns:
        `h / (alpha^2 + h)^2`; under a variance-preserving schedule the exact variance of rows from `N(0, I)`.

    Reference: Salimans, Ho, "Progressive distillation for fast sampling of diffusion models", 2022, section 4.
    """
    return constant(parameterisation.velocity)


def constant_flow() -> Assumed:
    """Weigh the flow velocity equally: `(alpha + sigma)^2 / h` on the clean row.

    Returns:
        `h / (alpha + sigma)^2`.

    Reference: Lipman, Chen, Ben-Hamu, Nickel, Le, "Flow matching for generative modeling", 2023, eq. 23.
    """
    return constant(parameterisation.flow_velocity)


def edm(sigma_data: float) -> Assumed:
    """Weigh EDM's label F equally: `alpha^2 / h + 1 / sigma_data^2` on the clean row.

    Args:
        sigma_data: standard deviation of the coordinates of the rows.

    Returns:
        The exact variance of rows from `N(0, sigma_data^2 I)`.

    Reference: Karras, Aittala, Aila, Laine, "Elucidating the design space of diffusion-based generative models", 2022,
    Table 1.
    """
    return constant(lambda schedule: parameterisation.edm(sigma_data, schedule))


def learned(log_variance: Callable[[Tensor], Tensor], label: Callable[[Schedule], Parameterisation]) -> Assumed:
    """Weigh a label by a variance that is learned for each level, as EDM2 does for F.

    Args:
        log_variance: u(t), the logarithm of the mean squared residual of a coordinate of the label, shape kept; such as
            `LevelHead.log_variance`.
        label: makes the label for a schedule.

    Returns:
        `exp(u) / scale^2`, without gradient.

    Reference: Karras, Aittala, Lehtinen, Hellsten, Aila, Laine, "Analyzing and improving the training dynamics of
    diffusion models", 2024.
    """
    unit = constant(label)
    return lambda schedule, t: log_variance(t).detach().exp() * unit(schedule, t)


def min_snr(gamma: float = 5.0) -> Assumed:
    """Cut the signal-to-noise ratio: `min(SNR, gamma)` on the clean row.

    For the noise it is `min(SNR, gamma) / SNR`, for v `min(SNR, gamma) / (SNR + 1)` (variance preserving).

    Args:
        gamma: the largest weight.

    Returns:
        `max(h / alpha^2, 1 / gamma)`.

    Reference: Hang, Gu, Li, Bao, Chen, Hu, Geng, Guo, "Efficient diffusion training via min-SNR weighting strategy",
    2023, section 3.4.
    """
    return lambda schedule, t: schedule.log_snr(t).exp().clamp(max=gamma).reciprocal()


def p2(k: float = 1.0, gamma: float = 1.0) -> Assumed:
    """Weigh the noise by `1 / (k + SNR)^gamma`: less at small noise.

    Args:
        k: keeps the weight finite where there is no signal; > 0.
        gamma: strength; 0 is DDPM's simple loss.

    Returns:
        `(k + SNR)^gamma / SNR`.

    Reference: Choi, Lee, Shin, Kim, Kim, Yoon, "Perception prioritized training of diffusion models", 2022, eq. 8.
    """

    def variance(schedule: Schedule, t: Tensor) -> Tensor:
        ratio = schedule.log_snr(t).exp()
        return (k + ratio) ** gamma / ratio

    return variance


def sigmoid(bias: float = 2.0) -> Assumed:
    """Weigh the noise by `1 / (1 + exp(log SNR - bias))`, a monotone weight of VDM++.

    It is meant for levels that are uniform in `log SNR`. For another density of levels divide by it; for t drawn
    uniformly multiply by `-Schedule.log_snr_rate`.

    Args:
        bias: log-SNR at which the weight is one half.

    Returns:
        `(1 + exp(log SNR - bias)) / SNR`.

    Reference: Kingma, Gao, "Understanding diffusion objectives as the ELBO with simple data augmentation", 2023.
    """

    def variance(schedule: Schedule, t: Tensor) -> Tensor:
        log_ratio = schedule.log_snr(t)
        return (-log_ratio).exp() / torch.sigmoid(bias - log_ratio)

    return variance


def erd(label: Callable[[Schedule], Parameterisation]) -> Assumed:
    """Weigh a label `c_x x + c_eps eps` by the amplitude of it that is in the input, `sqrt(c_x^2 alpha^2 + c_eps^2 h)`.

    Up to constants alpha for the clean row, sigma for the noise, `alpha sigma` for v; so it is another weight for
    another label (alpha, `alpha^2 / sigma`, `alpha / sigma` on the clean row), to be compared at one label only.

    Args:
        label: makes the label for a schedule.

    Returns:
        `1 / (scale^2 amplitude)`.

    Reference: Yao et al., "Elucidating representation degradation", 2026 (arXiv 2605.10790), as far as its
    released code says; the text of the paper was not available.
    """

    def variance(schedule: Schedule, t: Tensor) -> Tensor:
        made = label(schedule)
        (c_x, c_eps), (_, scale) = made.amplitudes(t), made.coefficients(t)
        amplitude = torch.hypot(c_x * schedule.alpha(t), c_eps * schedule.sigma(t))
        return 1 / (scale.square() * amplitude)

    return variance
