"""Three readings of the gradient's variance: as it is, per unit of curvature, and the largest stable step.

Comparing raw variances of two loss weights is meaningless: a weight twice as large has four times the variance and
trains the same at half the step. A heuristic weight wins the first reading and loses the second to the optimal one;
the third favours weights that vary little. Report all three, never one.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from scorewise.estimate import Estimate
from scorewise.replicate import mean_replicates, smooth
from scorewise.rowwise import Batch, Rowwise
from scorewise.scatter import Scatter, of_slopes, squared_mean, variance


class Readings(NamedTuple):
    """Gradient noise of a least-squares loss `0.5 |r_i|^2` with whitened residuals r_i and curvatures `A_i = J_i' J_i`.

    Attributes:
        variance: raw, `V = tr Cov(g)` of one row.
        curvature: `tr A`, with `A = E A_i` the Gauss-Newton matrix.
        per_curvature: `V / (tr A)^2`; it does not change when the loss is multiplied by a number.
        step: largest stable step, `2 tr A / tr E[A_B^2]`, with A_B the mean curvature of a batch.
    """

    variance: Estimate
    curvature: Estimate
    per_curvature: Estimate
    step: Estimate


def readings(
    residuals: Rowwise[Batch], batch: Batch, probes: int, size: int = 1, generator: torch.Generator | None = None
) -> Readings:
    r"""Read the gradient noise in three ways, from forward-mode passes alone.

    Let J_i be the Jacobian of r_i, the residual whitened by a covariance that carries no gradient: with a weight W,
    `r = W^(1/2) (f - y)`, so that `J' J` is `J_f' W J_f`. Along Rademacher directions v and u,

        <g_i, v> = <r_i, J_i v>,    E |J_i v|^2 = tr A_i,    E <J_i u, J_i v>^2 = tr A_i^2,
        E <J_i u, J_i v> <J_j u, J_j v> = tr A_i A_j.

    Near the optimum gradient descent on batches of b rows multiplies an error by `I - step * A_B`; averaged over errors
    of random direction its mean square decreases if and only if

        step < 2 tr A / tr E[A_B^2],    E[A_B^2] = A^2 + (E[A_i^2] - A^2) / b.

    With one parameter and one row this is `step * A < 2 / (1 + CV^2)`, with CV the coefficient of variation of A_i.
    NOTE[DIFF]: an error along the direction of largest curvature needs a smaller step than this average.

    Args:
        residuals: whitened residuals of rows, shape (B, *E).
        batch: B >= 3 rows.
        probes: number of pairs of directions, at least 2.
        size: rows of a batch in training, b, for `step`; the variance is that of one row.
        generator: source of randomness, on any device.

    Returns:
        The three readings and the curvature.

    Raises:
        ValueError: if there are fewer than two probes, or no row to a batch.

    References:
        the scalar case is derived and checked in this project, not taken from a paper; Widrow, Stearns, "Adaptive
        signal processing", 1985 (stability of least mean squares in the mean square).
    """
    if probes < 2 or size < 1:
        raise ValueError(
            f"probes must be 2 or more and size 1 or more, however: {probes=}, {size=}. Raise the one below."
        )
    scatters, traces, crossings = [], [], []
    for _ in range(probes):
        value, along_u = _along(residuals, batch, generator)
        _, along_v = _along(residuals, batch, generator)
        scatters += [of_slopes((value * along).sum(1)[None]) for along in (along_u, along_v)]
        traces.append(0.5 * (along_u.square() + along_v.square()).sum(1))
        crossings.append((along_u * along_v).sum(1))
    pairs = [torch.cat(list(one)).reshape(probes, 2, -1).mean(1) for one in zip(*scatters, strict=True)]
    crossing = torch.stack(crossings)
    spread = variance(Scatter(*pairs))
    trace = mean_replicates(torch.stack(traces))
    one_row, two_rows = mean_replicates(crossing.square()), squared_mean(of_slopes(crossing))
    return Readings(
        smooth(torch.clone, spread),
        smooth(torch.clone, trace),
        smooth(lambda v, a: v / a.square(), spread, trace),
        smooth(lambda a, c, m: 2 * a / (m + (c - m) / size), trace, one_row, two_rows),
    )


def _along(residuals: Rowwise[Batch], batch: Batch, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Whitened residuals and their derivatives along a random direction, in float64, each of shape (B, E)."""
    value, derivative = residuals.along(batch, residuals.signs(generator))
    return value.double().reshape(len(value), -1), derivative.double().reshape(len(value), -1)
