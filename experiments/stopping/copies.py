"""Noisy copies of one row share its label: what rules do that know it, and rules that do not.

    python -m experiments.stopping.copies [--quick] [--out FOLDER]

A mixture in two dimensions; a kernel regression without weight learns from m noisy copies of each clean row. SURE is
told the label noise as if rows were independent, or the cluster-robust levels, from residuals to the truth or from
residuals to the fit at the discrepancy stop, which data alone give. Held-out rules see either fresh noise on the
training rows or as many clean rows as a quarter of the training set has, with eight copies each. Written is the risk on
new rows at the stop over the least risk of the path.
"""

from typing import Any

import torch
from experiments.result import run, spread
from experiments.stopping.population import Draw, mixture
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from scorewise.covariance import Diagonal
from scorewise.descent import Path
from scorewise.regression import lift
from scorewise.stopping import discrepancy, geometric_steps, held_out, sure
from scorewise.tangent import tangent_kernel

LOW, HIGH, STEPS = 0.15, 1.5, geometric_steps(10**6, 100)
TICKS = (1, 1.2, 1.5, 2, 3, 5, 10)
KINDS = ("independent", "clusters, truth", "clusters, fit", "held-out noise", "held-out rows", "never")


def one(rows: int, copies: int, seed: int) -> Tensor:
    """Risk on new rows at each stop over the least one, minus 1, shape (KINDS,)."""
    population = mixture(2)
    generator = torch.Generator().manual_seed(seed)
    clean = population.sample(rows, generator)
    draw = population.noised(clean, LOW, HIGH, generator, copies)
    again = population.noised(clean, LOW, HIGH, generator, 8)
    more = population.draw(max(rows // 4, 5), LOW, HIGH, generator, 8)
    new = population.draw(4_000, LOW, HIGH, generator)
    inputs = lift(draw.x_t, draw.t, LOW)
    path = Path(tangent_kernel(inputs, inputs), draw.label, Diagonal(torch.ones_like(draw.label)))
    rate = 1 / float(path.values.max())
    weights = path.weights(rate, STEPS)

    def squares(at: Draw, aim: Tensor) -> Tensor:
        return (tangent_kernel(lift(at.x_t, at.t, LOW), inputs) @ weights - aim).square().mean(2)

    independent = path.spectrum(path.levels(draw.cov))
    early = path.fitted(rate, torch.tensor([discrepancy(independent, rate, STEPS).step]))[0]
    stops = [sure(independent, rate, STEPS)]
    for residual in (draw.label - draw.mean, draw.label - early):
        stops.append(sure(path.spectrum(path.cluster_levels(residual, draw.row).total), rate, STEPS))
    stops += [held_out(STEPS, squares(at, at.label)) for at in (again, more)]
    curve = squares(new, new.mean).mean(1)
    index = [STEPS.tolist().index(stop.step) for stop in stops]
    return torch.stack([curve[i] for i in [*index, -1]]) / curve.min() - 1


def experiment(quick: bool) -> tuple[dict[str, Any], Figure]:
    """Measure and draw."""
    settings = [(20, 1), (20, 4)] if quick else [(80, 1), (80, 8), (20, 64)]
    seeds = range(2 if quick else 16)
    found = torch.stack([torch.stack([one(n, m, s) for s in seeds]) for n, m in settings])
    figure, axis = plt.subplots(figsize=(6, 3.4))
    for k, kind in enumerate(KINDS):
        place = torch.arange(len(settings)) + 0.13 * (k - 2.5)
        error = found[:, :, k].std(1) / len(seeds) ** 0.5
        axis.errorbar(place, 1 + found[:, :, k].mean(1), error, fmt="osD^vx"[k], capsize=2, label=kind)
    axis.set_xticks(range(len(settings)), [f"{n} rows, {m} {'copies' if m > 1 else 'copy'}" for n, m in settings])
    axis.set(yscale="log", ylabel="risk at the stop / least risk")
    axis.set_yticks(TICKS, [str(tick) for tick in TICKS])
    axis.minorticks_off()
    axis.axhline(1, color="k", linewidth=0.5)
    axis.legend(fontsize=7, ncols=2)
    figure.tight_layout()
    cells = [
        {
            "rows": n,
            "copies": m,
            "excess risk": {kind: spread(found[i, :, k]) for k, kind in enumerate(KINDS)},
        }
        for i, (n, m) in enumerate(settings)
    ]
    return {"seeds": list(seeds), "times": [LOW, HIGH], "results": cells}, figure


if __name__ == "__main__":
    run(__file__, __doc__, experiment)
