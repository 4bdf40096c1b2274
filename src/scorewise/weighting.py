"""Weights of the loss, written as the covariances whose inverses they are.

The best linear weighting of a regression with noisy labels is the inverse of their conditional covariance (Aitken,
1935). So a weight here is a `Covariance`: `whiten` the residual by it, and the sum of squares is the weighted loss. The
forms below trade what the weight knows for what it costs; the named weights of the literature are in `assumed`.

That the labels of denoising score matching are heteroskedastic, and the heuristic weight approximates the mean optimal
one, is the subject of Zhang, Newbury, Zhang, Tran, Kulic, Burke, "Why heuristic weighting works", 2025. Only its
abstract was available: the formulas here are derived, and held in the tests.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from scorewise.covariance import Covariance, Diagonal, Spectral
from scorewise.empirical import Empirical
from scorewise.estimate import Estimate
from scorewise.noise import LocationScale, Noise
from scorewise.posterior import Denoiser
from scorewise.target import Target


class CollapsedError(RuntimeError):
    """The posterior over the rows rests on single rows, so its covariance says nothing about the population."""


def gaussian_weight(basis: Tensor, variance: Tensor, sigma_t: Tensor) -> Spectral:
    """Conditional covariance of rows that are assumed Gaussian, `Cov[x|x_t] = U diag(lam s2 / (lam + s2)) U'`.

    Its inverse is the optimal weight for Gaussian rows. For `lam = sigma_data^2` in every direction it is EDM's
    weight `(sigma_data^2 + s2) / (sigma_data^2 s2)`; here every principal direction has a variance of its own, so
    that the small differences between strongly correlated columns count as much as the columns themselves.

    Args:
        basis: principal directions U, shape (D, D).
        variance: variances lam along them, shape (D,).
        sigma_t: noise levels, shape (B,).

    Returns:
        The covariances, B of them.

    Reference: Karras et al., "Elucidating the design space of diffusion-based generative models", 2022, Table 1.
    """
    s2 = sigma_t[:, None].square()
    return Spectral(basis, variance * s2 / (variance + s2))


def diagonal(cov: Covariance) -> Diagonal:
    """Keep the variances of the coordinates: the weight `1 / diag C`.

    Args:
        cov: covariances of a label on E.

    Returns:
        On E.
    """
    return Diagonal(cov.diag)


def scalar(cov: Covariance) -> Diagonal:
    """Keep the mean variance: the weight `d / tr C`, a number for each noisy row.

    Args:
        cov: covariances of a label on E.

    Returns:
        Isotropic, on E.
    """
    mean = cov.diag.flatten(1).mean(1)
    return Diagonal(mean.reshape(-1, *[1] * (cov.diag.ndim - 1)).expand_as(cov.diag))


def regularised(cov: Covariance, kernel: Tensor, gamma: float = 0.1) -> Covariance:
    """Mix the label's covariance with the kernel's own: the weight `((1 - gamma) C + gamma v I)^-1`.

    gamma = 0 is the optimal weight, gamma = 1 the heuristic one. Its eigenvalues are at most `1 / (gamma v)`: where the
    clean row is all but known, C is singular and its inverse, even its mean inverse, belongs to rows that carry no
    information.

    Args:
        cov: covariances of a label on E, which may be near singular.
        kernel: v, the variance that the label has for a flat prior, shape (B,): `h / alpha^2` for the clean row,
            `1 / h` for the score, `k! / h^k` for the label of order k (1 / `heuristic`).
        gamma: share of the kernel, between 0 and 1.

    Returns:
        The mixed covariances.

    Raises:
        ValueError: if gamma is not between 0 and 1.
    """
    if not 0 <= gamma <= 1:
        raise ValueError(f"gamma must lie between 0 (optimal) and 1 (heuristic), however: {gamma=}.")
    return cov.affine(torch.full_like(kernel, 1 - gamma), gamma * kernel if gamma > 0 else None)


def heuristic(noise: LocationScale, t: Tensor, d: int, order: int = 1) -> Tensor:
    """Give the heuristic weight of the label of order k in closed form: `d / tr I_q`, or `h^k / k!` for Gaussian noise.

    It is the number of independent coordinates over `E|T_k|^2`: what the noise alone says. It is never larger than the
    mean optimal weight (derived; the chain of inequalities is in the tests), and exact as the noise vanishes.

    Args:
        noise: law of the noisy rows.
        t: times, shape (B,).
        d: dimension.
        order: k; beyond 1 the noise must be Gaussian, `heuristic_estimate` does the rest.

    Returns:
        Shape (B,).

    Raises:
        OrderError: if the label does not exist.
        TypeError: if there is no closed form.

    Reference: Song et al., "Score-based generative modeling through stochastic differential equations", 2021, section
    3.3 (the weight `1 / E|grad log q|^2`).
    """
    target = Target(noise, order)
    h_t = noise.schedule.sigma(t).square()
    if order == 1:
        return h_t * d / noise.information(d)
    return 1 / target.kernel_variance(t)


def label_energy(
    target: Target, x: Tensor, t: Tensor, draws: int = 1, generator: torch.Generator | None = None
) -> Estimate:
    """Estimate the mean square of a label, `E|y|^2`: at order 1 the trace of the Fisher information of location.

    Args:
        target: the label.
        x: clean rows, shape (N, d), to start from; under location-scale noise any will do.
        t: one time, shape ().
        draws: noisy rows for each clean one.
        generator: source of randomness, on the device of the rows.

    Returns:
        The mean square and its standard error, shape ().
    """
    many = x.repeat(draws, 1)
    label = target.label(target.noise.draw(many, t.expand(len(many)), generator))
    return Estimate.of_mean(label.flatten(1).square().sum(1))


def heuristic_estimate(
    target: Target, x: Tensor, t: Tensor, draws: int = 1, generator: torch.Generator | None = None
) -> Estimate:
    """Estimate the heuristic weight of any label under any noise, `dim E / E|y|^2`, by drawing labels.

    Args:
        target: the label. In `Full` form the independent entries of the tensor are counted.
        x: clean rows, shape (N, d), to start from; under location-scale noise any will do.
        t: one time, shape ().
        draws: noisy rows for each clean one.
        generator: source of randomness, on the device of the rows.

    Returns:
        The weight and its standard error, shape ().
    """
    square = label_energy(target, x, t, draws, generator)
    weight = target.coordinates(x.shape[1]) / square.value
    return Estimate(weight, weight * square.se / square.value)


class LevelMeans(NamedTuple):
    """What the optimal weight is on average at each level.

    Attributes:
        t: times, shape (G,).
        variance: `E[tr C / d | t]`, shape (G,); its inverse is the best weight that depends on the level alone.
        precision: `E[tr C^-1 / d | t]`, the mean of the optimal weight, shape (G,). It is larger (Jensen), and where
            the rows are atoms it is dominated by noisy rows that carry no information.
    """

    t: Tensor
    variance: Estimate
    precision: Estimate


def level_means(
    denoiser: Denoiser, noise: Noise, rows: Tensor, t: Tensor, generator: torch.Generator | None = None
) -> LevelMeans:
    """Average the optimal weight and its inverse over noisy rows, level by level.

    Args:
        denoiser: gives the covariances C, of the clean row or, through a `belief`, of any label.
        noise: law of the noisy rows.
        rows: clean rows, shape (N, D), at least 2, each noised once at every level.
        t: times, shape (G,).
        generator: source of randomness, on the device of the rows.

    Returns:
        Means over the rows with their standard errors, which hold the denoiser fixed.

    Raises:
        CollapsedError: if the denoiser is the posterior over rows, and at some level rests on single ones.
    """
    variances, precisions = [], []
    for time in t:
        draw = noise.draw(rows, time.expand(len(rows)), generator)
        if isinstance(denoiser, Empirical):
            _require_rows(denoiser, draw.x_t, draw.t)
        cov = denoiser(draw.x_t, draw.t).cov
        width = cov.diag[0].numel()
        variances.append(Estimate.of_mean(cov.trace / width))
        precisions.append(Estimate.of_mean(cov.inverse_trace / width))
    return LevelMeans(t, _stacked(variances), _stacked(precisions))


def per_level(means: LevelMeans) -> Callable[[Tensor, Tensor], Diagonal]:
    """Make the best weight that depends on the level alone, `d / E[tr C | t]`, from its values at some levels.

    Args:
        means: of increasing positive times.

    Returns:
        A function of noisy rows (B, D) and times (B,) to isotropic covariances on (D,): `log E[tr C / d]` is linear in
        `log t` between the times given, and constant beyond them.

    Raises:
        ValueError: if the times are not positive and increasing, or fewer than two.
    """
    if len(means.t) < 2 or not bool((means.t > 0).all()) or not bool((means.t.diff() > 0).all()):
        raise ValueError(
            f"times must be positive and increasing, at least two, however: {means.t.tolist()}. Sort them."
        )
    knots, values = means.t.log(), means.variance.value.log()

    def weight(x_t: Tensor, t: Tensor) -> Diagonal:
        place = t.log().clamp(knots[0], knots[-1])
        right = torch.searchsorted(knots, place).clamp(1, len(knots) - 1)
        share = (place - knots[right - 1]) / (knots[right] - knots[right - 1])
        variance = torch.lerp(values[right - 1], values[right], share).exp()
        return Diagonal(variance[:, None].expand_as(x_t))

    return weight


def from_rows(rows: Empirical, gamma: float = 0.1) -> Callable[[Tensor, Tensor], Covariance]:
    """Make the regularised weight of the clean row from the posterior over the training rows.

    It is biased towards too large weights, since the rows know themselves (`empirical.bracket`).

    Args:
        rows: posterior over the rows, under location-scale noise.
        gamma: share of the kernel, between 0 and 1.

    Returns:
        A function of noisy rows (B, D) and times (B,) to covariances on (D,). It raises `CollapsedError` if the median
        effective number of rows is below 2.

    Raises:
        TypeError: if the noise is not of location and scale.
    """
    noise = rows.noise
    if not isinstance(noise, LocationScale):
        raise TypeError(
            f"a regularised weight needs location-scale noise, however: {type(noise).__name__}. "
            "Take exact(rows, noise) itself, and regularise it by the variance of the noise."
        )

    def weight(x_t: Tensor, t: Tensor) -> Covariance:
        _require_rows(rows, x_t, t)
        level = (noise.schedule.sigma(t) / noise.schedule.alpha(t)).square()
        return regularised(rows(x_t, t).cov, level, gamma)

    return weight


def precision_bounds(
    covariance: Tensor, information: Tensor, alpha_t: Tensor, sigma_t: Tensor
) -> tuple[Tensor, Tensor]:
    """Bound the inverse of the mean covariance of the clean row under Gaussian noise, from two moments of the rows.

    `(alpha^2 / h) I + Cov(x)^-1 <= (E[C | t])^-1 <= (alpha^2 / h) I + J`, with equality on both sides for Gaussian
    rows: the best linear denoiser is no better than the best, and van Trees' inequality (derived). The heuristic weight
    `alpha^2 / h` is the likelihood's part alone; EDM's adds an isotropic prior.

    Args:
        covariance: Cov(x) of the rows, shape (D, D).
        information: `J = E[grad log p grad log p']` of the rows, shape (D, D).
        alpha_t: factors of the clean row, shape (B,).
        sigma_t: scales of the noise, shape (B,).

    Returns:
        The two bounds, each of shape (B, D, D).
    """
    unit = torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    likelihood = (alpha_t / sigma_t).square()[:, None, None] * unit
    return likelihood + torch.linalg.inv(covariance), likelihood + information


def _require_rows(rows: Empirical, x_t: Tensor, t: Tensor) -> None:
    size = float(rows.effective_size(x_t, t).median())
    if size < 2:
        raise CollapsedError(
            f"the posterior must rest on 2 rows or more in the median, however: effective size {size:.3g} of "
            f"{len(rows.rows)} rows. Take more rows, more noise, or a covariance from a network (jacobian, head)."
        )


def _stacked(estimates: list[Estimate]) -> Estimate:
    return Estimate(torch.stack([e.value for e in estimates]), torch.stack([e.se for e in estimates]))
