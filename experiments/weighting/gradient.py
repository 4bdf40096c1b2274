"""Variance of the parameter gradient along training, for each weight, read in three ways.

    python -m experiments.weighting.gradient [--quick] [--out FOLDER]

One network is trained with the heuristic weight on a two-dimensional mixture; at several steps the gradient noise that
every weight would have there is read: raw, per unit of curvature, and as the largest stable step, which is given in
units of the inverse mean curvature and for batches of 128 rows. All are over those of the heuristic weight. Top: along
training, over all levels. Bottom: at the end, level by level, with what an isotropic Jacobian and a perfect model would
give for the scalar optimal weight. "Learned" is a variance head trained beside the network. The raw variance is that
of the weights as they are defined; the other two readings do not change when a weight is multiplied by a number.
"""

from typing import Any, NamedTuple

import torch
from experiments.result import rounded, run, spread
from experiments.weighting.ensemble import Adam, Ensemble, even_levels
from experiments.weighting.look import legend_below, line, panels, plain_ticks
from experiments.weighting.population import Population, gaussians
from matplotlib.figure import Figure
from torch import Tensor

from scorewise.covariance import Covariance, Diagonal
from scorewise.curvature import readings
from scorewise.noise import Gaussian
from scorewise.rowwise import Rowwise
from scorewise.weighting import diagonal, regularised, scalar

LOW, HIGH, GAMMA, BATCH = 0.05, 5.0, 0.1, 128
WEIGHTS = ("heuristic", "EDM", "scalar", "diagonal", "full", "regularised", "learned")
READINGS = ("raw variance", "variance per curvature", "largest stable step")


class Rows(NamedTuple):
    """Noisy rows and the root of a weight: clean rows, noisy rows, levels, matrices (B, D, D)."""

    x: Tensor
    x_t: Tensor
    t: Tensor
    root: Tensor


def root(cov: Covariance) -> Tensor:
    """Give a square root of the inverse, shape (B, D, D)."""
    unit = torch.eye(cov.diag.shape[1], dtype=cov.diag.dtype)
    return torch.stack([cov.whiten(one.expand_as(cov.diag)) for one in unit], 2).float()


def weights(population: Population, head: Ensemble, x_t: Tensor, t: Tensor) -> dict[str, Covariance]:
    """All weights as covariances of the clean row."""
    cov, h = population.truth(x_t, t).cov, t.square()
    u = head.outputs(x_t.float()[None], t.float()[None])[0].detach().double()

    def level(variance: Tensor) -> Diagonal:
        return Diagonal(variance[:, None].expand_as(x_t))

    return {
        "heuristic": level(h),
        "EDM": level(h / (1 + h)),
        "scalar": scalar(cov),
        "diagonal": diagonal(cov),
        "full": cov,
        "regularised": regularised(cov, h, GAMMA),
        "learned": Diagonal((u.exp() * (h / (1 + h))[:, None]).expand_as(x_t)),
    }


def read(population: Population, network: Ensemble, head: Ensemble, t: Tensor, probes: int, seed: int) -> Tensor:
    """Three readings for every weight, shape (weights, 3), the step in units of the inverse mean curvature."""
    generator = torch.Generator().manual_seed(seed)
    draw = Gaussian().draw(population.sample(len(t), generator), t, generator)
    found = []
    for cov in weights(population, head, draw.x_t, t).values():
        rows = Rows(draw.x.float(), draw.x_t.float(), t.float(), root(cov))
        residuals = Rowwise(network, _residual, rows)
        one = readings(residuals, rows, probes, BATCH, torch.Generator().manual_seed(seed))
        step = one.step.value * one.curvature.value
        found.append(torch.stack([one.variance.value, one.per_curvature.value, step]))
    return torch.stack(found)


def _residual(call: Any, rows: Rows) -> Tensor:
    off = call(rows.x_t[None], rows.t[None])[0] - rows.x
    return (rows.root @ off[:, :, None])[..., 0]


def predicted(population: Population, t: Tensor, seed: int) -> Tensor:
    """Raw and curvature-normalised ratio of the scalar optimal weight to the heuristic one, for isotropic Jacobians."""
    generator = torch.Generator().manual_seed(seed)
    draw = Gaussian().draw(population.sample(len(t), generator), t, generator)
    c = population.truth(draw.x_t, t).cov.trace / population.width / t.square()
    return torch.stack([(1 / c).mean() / c.mean(), 1 / (c.mean() * (1 / c).mean())])


def experiment(quick: bool) -> tuple[dict[str, Any], Figure]:
    """Measure and draw."""
    seeds, steps, rows, probes = (2, 20, 64, 2) if quick else (5, 2_000, 1_024, 8)
    marks = [5, 20] if quick else [20, 50, 100, 200, 500, 1_000, 2_000]
    edges = torch.logspace(-1.3, 0.7, 3 if quick else 8, dtype=torch.float64)
    population = gaussians(2)
    generator = torch.Generator().manual_seed(0)
    network, head = Ensemble(1, seeds, 2, 48), Ensemble(1, seeds, 2, 32, 1)
    optimizers = [Adam(module, torch.full((seeds,), 3e-3), steps) for module in (network, head)]
    along, errors = [], []
    for step in range(1, steps + 1):
        t = torch.cat([even_levels(BATCH, LOW, HIGH, generator) for _ in range(seeds)])
        draw = Gaussian().draw(population.sample(seeds * BATCH, generator), t, generator)
        x, x_t, sigma_t = (one.float().reshape(seeds, BATCH, -1) for one in (draw.x, draw.x_t, t))
        off = network(x_t, sigma_t[..., 0]) - x
        h = sigma_t.square()
        u = head.outputs(x_t, sigma_t[..., 0])
        square = off.detach().square().mean(2, keepdim=True) * (1 + h) / h
        optimizers[0].advance((off.square() / h).mean((1, 2)).sum())
        optimizers[1].advance(((-u).exp() * square + u).mean((1, 2)).sum())
        if step in marks:
            levels = even_levels(rows, LOW, HIGH, torch.Generator().manual_seed(step))
            each = [
                read(population, network.member(s), head.member(s), levels, probes, 1_000 * s + step)
                for s in range(seeds)
            ]
            along.append(torch.stack(each))
            errors.append((off.square() / h).mean((1, 2)).detach())
    ends = torch.stack(
        [
            torch.stack(
                [
                    read(population, network.member(s), head.member(s), edge.expand(rows), probes, 17 * s + 1)
                    for s in range(seeds)
                ]
            )
            for edge in edges
        ]
    )
    theory = torch.stack([predicted(population, edge.expand(4_000 if not quick else 100), 0) for edge in edges])
    figure, axes = panels(2, 3, width=2.5, sharex="row")
    found: dict[str, Any] = {
        "seeds": list(range(seeds)),
        "batch": BATCH,
        "gamma": GAMMA,
        "steps": marks,
        "levels at the end": rounded(edges),
        "loss, heuristic norm": rounded(torch.stack(errors).mean(1)),
    }
    for name, values, x in (("along training", torch.stack(along), marks), ("by level at the end", ends, edges)):
        ratio = (values / values[:, :, :1]).log()  # (places, seeds, weights, readings)
        row = 0 if name == "along training" else 1
        found[name] = {
            reading: {
                weight: {
                    "ratio to heuristic, log": spread(ratio[:, :, w, r].T),
                    "ratio to heuristic": rounded(ratio[:, :, w, r].mean(1).exp()),
                }
                for w, weight in enumerate(WEIGHTS)
            }
            for r, reading in enumerate(READINGS)
        }
        for r, reading in enumerate(READINGS):
            axis = axes[row, r]
            for w, weight in enumerate(WEIGHTS):
                line(axis, x, ratio[:, :, w, r].mean(1).exp(), w, weight, marker=".", markersize=3)
            axis.set(xscale="log", yscale="log", title=reading if row == 0 else "", xlabel="step")
    for r in range(2):
        axes[1, r].plot(edges, theory[:, r], "k+", markersize=5, label="scalar, isotropic theory" if r == 0 else None)
    for axis in axes[1]:
        axis.set_xlabel("noise level, after training")
    for row in range(2):
        axes[row, 0].set_ylabel("over heuristic")
    found["theory for the scalar weight, isotropic Jacobian"] = {
        "raw variance": rounded(theory[:, 0]),
        "variance per curvature": rounded(theory[:, 1]),
    }
    for axis in axes.flat:
        plain_ticks(axis, "x")
        plain_ticks(axis, "y")
    legend_below(figure, axes[1, 0], 4)
    return found, figure


if __name__ == "__main__":
    run(__file__, __doc__, experiment)
