"""Localisation: one kernel regression for all noise levels, or K of them, each with a stop of its own.

    python -m experiments.stopping.localisation [--quick] [--out FOLDER]

Risk on new rows of a mixture in two dimensions, unweighted and with the optimal number per row as weight, each stopped
by SURE, over the number of training rows.
"""

from typing import Any

import torch
from experiments.result import run, spread
from experiments.stopping.population import mixture
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from scorewise.covariance import Covariance, Dense, Diagonal
from scorewise.localisation import fit_intervals
from scorewise.regression import lift
from scorewise.tangent import tangent_kernel
from scorewise.weighting import scalar

LOW, HIGH, COUNTS = 0.15, 1.5, (1, 2, 4, 8)


def one(rows: int, seed: int) -> Tensor:
    """Risks on new rows, shape (2 weights, 4 numbers of intervals, 2 norms: unweighted, heuristic)."""
    population = mixture(2)
    generator = torch.Generator().manual_seed(seed)
    draw, new = (population.draw(size, LOW, HIGH, generator) for size in (rows, 4_000))
    inputs, others = lift(draw.x_t, draw.t, LOW), lift(new.x_t, new.t, LOW)

    def true(index: Tensor) -> Covariance:
        return Dense(draw.cov.matrix[index])

    def constant(index: Tensor) -> Covariance:
        return Diagonal(torch.ones_like(draw.label[index]))

    def optimal(index: Tensor) -> Covariance:
        return scalar(true(index))

    found = torch.zeros(2, len(COUNTS), 2, dtype=torch.float64)
    for w, weight in enumerate((constant, optimal)):
        for k, count in enumerate(COUNTS):
            local = fit_intervals(tangent_kernel, inputs, draw.label, draw.t, weight, true, count)
            squares = (local(others, new.t) - new.mean).square().mean(1)
            found[w, k, 0], found[w, k, 1] = squares.mean(), (squares / new.level).mean()
    return found


def experiment(quick: bool) -> tuple[dict[str, Any], Figure]:
    """Measure and draw."""
    sizes, seeds = ([60, 120], 2) if quick else ([100, 200, 400, 800, 1600], 8)
    found = torch.stack([torch.stack([one(n, s) for s in range(seeds)]) for n in sizes])  # (sizes, seeds, 2, K, norms)
    weights, norms = ("none", "optimal"), ("unweighted", "heuristic")
    cells = [
        {
            "rows": n,
            "weight": weight,
            "norm": norm,
            "intervals": count,
            "risk": spread(found[i, :, w, k, m]),
            "relative to one interval": spread(found[i, :, w, k, m] / found[i, :, w, 0, m]),
        }
        for i, n in enumerate(sizes)
        for w, weight in enumerate(weights)
        for m, norm in enumerate(norms)
        for k, count in enumerate(COUNTS)
    ]
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), sharey=True)
    for w, (axis, weight) in enumerate(zip(axes, weights, strict=True)):
        for k, count in enumerate(COUNTS):
            values = found[:, :, w, k, 0]
            axis.errorbar(
                sizes,
                values.mean(1),
                values.std(1) / seeds**0.5,
                marker="o",
                markersize=3,
                capsize=2,
                label=f"K = {count}",
            )
        axis.set(xscale="log", yscale="log", xlabel="training rows", title=f"weight: {weight}")
    axes[0].set_ylabel("squared error of the clean row")
    axes[0].legend()
    figure.tight_layout()
    return {"seeds": list(range(seeds)), "times": [LOW, HIGH], "results": cells}, figure


if __name__ == "__main__":
    run(__file__, __doc__, experiment)
