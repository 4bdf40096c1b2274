"""The posterior covariance from a denoiser's own derivative, `Cov[x | x_t] = (h_t / alpha_t) dE[x | x_t] / dx_t`.

It holds under Gaussian noise, for the exact posterior mean. A trained mean gives what its own derivative says, errors
included: not symmetric, not positive, and biased by the derivative of the error. Nothing here has a gradient.
"""

import math

import torch
from torch import Tensor

from scorewise.covariance import clipped
from scorewise.estimate import Estimate
from scorewise.posterior import Denoiser, Posterior
from scorewise.schedule import Schedule


def jacobian_covariance(denoiser: Denoiser, schedule: Schedule, low: float = 1e-6, high: float = math.inf) -> Denoiser:
    """Give a denoiser the covariance that its own mean implies, by D forward derivatives.

    Args:
        denoiser: posterior means under Gaussian noise; its covariances are not used.
        schedule: of the noise.
        low: smallest eigenvalue that is allowed, > 0, in units of `h_t / alpha_t^2`.
        high: largest one; 1 / gamma of a regularised weight is a natural bound. True covariances exceed
            `h_t / alpha_t^2` between modes.

    Returns:
        A denoiser with the same mean and a `Spectral` covariance: symmetrised, eigenvalues clipped, without gradient.

    Raises:
        ValueError: if not `0 < low < high`.
    """
    if not 0 < low < high:
        raise ValueError(f"low and high must satisfy 0 < low < high, however: {low=}, {high=}.")

    def denoise(x_t: Tensor, t: Tensor) -> Posterior:
        unit = torch.eye(x_t.shape[1], dtype=x_t.dtype, device=x_t.device)
        columns = torch.stack([_applied(denoiser, schedule, x_t, t, one.expand_as(x_t)) for one in unit], 2)
        level = (schedule.sigma(t) / schedule.alpha(t)).square()
        return Posterior(denoiser(x_t, t).mean, clipped(columns, low * level, high * level))

    return denoise


def jacobian_trace(
    denoiser: Denoiser,
    schedule: Schedule,
    x_t: Tensor,
    t: Tensor,
    probes: int,
    generator: torch.Generator | None = None,
) -> Estimate:
    """Estimate `tr Cov[x | x_t]` by random signs, `E v' C v`, one forward derivative each.

    For a symmetric C its variance is `2 (|C|_F^2 - sum_i C_ii^2) / probes`.

    Args:
        denoiser: posterior means under Gaussian noise.
        schedule: of the noise.
        x_t: noisy rows, shape (B, D).
        t: times, shape (B,).
        probes: number of random vectors for each row, at least 2.
        generator: source of randomness, on the device of `x_t`.

    Returns:
        Traces and their standard errors over the probes, shape (B,).

    Reference: Hutchinson, "A stochastic estimator of the trace of the influence matrix for Laplacian smoothing
    splines", 1990.
    """
    return Estimate.of_mean(_probed(denoiser, schedule, x_t, t, probes, generator).sum(2))


def jacobian_diagonal(
    denoiser: Denoiser,
    schedule: Schedule,
    x_t: Tensor,
    t: Tensor,
    probes: int,
    generator: torch.Generator | None = None,
) -> Estimate:
    """Estimate the variances of the coordinates, `E v * (C v)`, by random signs, one forward derivative each.

    Args:
        denoiser: posterior means under Gaussian noise.
        schedule: of the noise.
        x_t: noisy rows, shape (B, D).
        t: times, shape (B,).
        probes: number of random vectors for each row, at least 2.
        generator: source of randomness, on the device of `x_t`.

    Returns:
        Variances and their standard errors over the probes, shape (B, D). They may be negative.

    Reference: Bekas, Kokiopoulou, Saad, "An estimator for the diagonal of a matrix", 2007.
    """
    return Estimate.of_mean(_probed(denoiser, schedule, x_t, t, probes, generator))


def _probed(
    denoiser: Denoiser, schedule: Schedule, x_t: Tensor, t: Tensor, probes: int, generator: torch.Generator | None
) -> Tensor:
    # v * (C v) for each probe, shape (probes, B, D)
    found = []
    for _ in range(probes):
        v = 2 * torch.empty_like(x_t).bernoulli_(0.5, generator=generator) - 1
        found.append(v * _applied(denoiser, schedule, x_t, t, v))
    return torch.stack(found)


def _applied(denoiser: Denoiser, schedule: Schedule, x_t: Tensor, t: Tensor, v: Tensor) -> Tensor:
    # C v by one forward derivative
    with torch.no_grad():
        slope: Tensor = torch.func.jvp(lambda x: denoiser(x, t).mean, (x_t.detach().contiguous(),), (v,))[1]
        return (schedule.sigma(t).square() / schedule.alpha(t))[:, None] * slope
