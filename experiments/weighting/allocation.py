"""Where noise levels are drawn: least gradient variance against log-uniform, log-normal and the slope of the loss.

    python -m experiments.weighting.allocation [--quick] [--out FOLDER]

Small networks are trained with EDM's weight, its loss averaged over log-uniform levels, 10 seeds for each allocation.
The first five draw levels differently and weigh the rows so that the expected loss is the same: log-uniform; least
variance by the squared gradient of every row; least variance by the squared residual in its place; EDM's log-normal;
the slope of the loss (CDTD). The last two have no such weights and so another loss: EDM and CDTD as they are. Written
are the second moment of the gradient over that of log-uniform levels for the same network, which is what the
allocation is for, and errors against the truth, paired by seed with log-uniform levels at equal steps.
"""

from typing import Any

import torch
from experiments.result import rounded, run
from experiments.weighting.ensemble import Adam, Ensemble, even_levels
from experiments.weighting.look import COLOURS, line, panels, plain_ticks
from experiments.weighting.paired import compare, quantile
from experiments.weighting.population import Population, gaussians, moons
from matplotlib.figure import Figure
from torch import Tensor

from scorewise.allocation import (
    LevelDensity,
    Rule,
    as_it_is,
    gradient_variance,
    log_normal,
    log_uniform,
    loss_slope,
    minimum_variance,
)
from scorewise.noise import Gaussian

LOW, HIGH, BUCKETS = 0.05, 5.0, 32
EDM = log_normal(-0.5, 1.2)  # EDM's -1.2 is for rows of standard deviation 0.5; these have 1, and log 2 is 0.7
CDTD = "CDTD, no weights"
NORMAL = "EDM, no weights"
WAYS = ("log-uniform", "least variance", "by residual", "log-normal", "loss slope", NORMAL, CDTD)
NORMS = ("EDM norm", "heuristic norm", "optimal norm")


def density_of(way: str) -> LevelDensity:
    """Make the density of one run."""

    def fixed(base: Tensor, mean: Tensor) -> Tensor:
        del mean
        edges = torch.linspace(LOW, HIGH, 2, dtype=torch.float64).log()
        return EDM(torch.linspace(float(edges[0]), float(edges[1]), len(base) + 1, dtype=torch.float64)).to(base)

    rules: dict[str, Rule] = {
        "least variance": minimum_variance,
        "by residual": minimum_variance,
        "log-normal": fixed,
        NORMAL: fixed,
        "loss slope": loss_slope,
        CDTD: loss_slope,
    }
    return LevelDensity(LOW, HIGH, log_uniform, rules.get(way, as_it_is), 0.1, BUCKETS, 0.9)


def row_squares(loss: Tensor, layers: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Squared gradient of each row's loss, exactly: `sum over layers of |delta|^2 (|input|^2 + 1)`; shape (M, B)."""
    deltas = torch.autograd.grad(loss.sum(), [after for _, after in layers], retain_graph=True)
    pairs = zip(deltas, layers, strict=True)
    return torch.stack([d.square().sum(2) * (before.square().sum(2) + 1) for d, (before, _) in pairs]).sum(0).detach()


def losses(network: Ensemble, x: Tensor, x_t: Tensor, sigma_t: Tensor) -> tuple[Tensor, Tensor]:
    """EDM's loss of every row and its squared gradient, each of shape (M, B)."""
    layers: list[tuple[Tensor, Tensor]] = []
    h = sigma_t.square()[..., None]
    output = network.outputs(x_t, sigma_t, layers)
    label = (x - x_t / (1 + h)) * ((1 + h) / h).sqrt()
    loss = (output - label).square().mean(2)
    return loss, row_squares(loss, layers)


def race(population: Population, seeds: int, steps: int, batch: int, marks: list[int]) -> tuple[Tensor, Tensor]:
    """Second moments over those of log-uniform levels, (marks, ways, seeds), and errors, (ways, seeds, norms)."""
    members, d = len(WAYS) * seeds, population.width
    network = Ensemble(len(WAYS), seeds, d, 48)
    optimizer = Adam(network, torch.full((members,), 3e-3), steps)
    densities = [density_of(way) for way in WAYS for _ in range(seeds)]
    source = [torch.Generator().manual_seed(m % seeds) for m in range(members)]
    generator = torch.Generator().manual_seed(99)
    moments = []
    for step in range(1, steps + 1):
        x = population.sample(seeds * batch, generator).float().reshape(seeds, batch, d).repeat(len(WAYS), 1, 1)
        noise = torch.randn(seeds, batch, d, generator=generator).repeat(len(WAYS), 1, 1)
        drawn = [density.draw(batch, g) for density, g in zip(densities, source, strict=True)]
        sigma_t, weight = (torch.stack(one) for one in zip(*drawn, strict=True))
        loss, square = losses(network, x, x + sigma_t[..., None] * noise, sigma_t)
        weight[5 * seeds :] = 1
        optimizer.advance((weight * loss).sum() / batch)
        h = sigma_t.square()
        slope = loss.detach() * h / (1 + h)
        for m, density in enumerate(densities):
            way = WAYS[m // seeds]
            seen = {"least variance": square, "by residual": loss.detach()}.get(way, slope)
            density.observe(sigma_t[m], seen[m])
        if step in marks:
            moments.append(_moments(population, network, densities).reshape(len(WAYS), seeds))
    return torch.stack(moments), _errors(population, network).reshape(len(WAYS), seeds, 3)


def _moments(population: Population, network: Ensemble, densities: list[LevelDensity]) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    sigma_t = even_levels(BUCKETS * 32, LOW, HIGH, generator).sort()[0]
    draw = Gaussian().draw(population.sample(len(sigma_t), generator), sigma_t, generator)
    found = []
    for m, density in enumerate(densities):
        _, square = losses(network.member(m), draw.x.float()[None], draw.x_t.float()[None], sigma_t.float()[None])
        each = square[0].reshape(BUCKETS, -1).mean(1)
        found.append(
            gradient_variance(density.base, density.density, each) / gradient_variance(density.base, density.base, each)
        )
    return torch.stack(found)


@torch.no_grad()
def _errors(population: Population, network: Ensemble) -> Tensor:
    generator = torch.Generator().manual_seed(8)
    t = even_levels(1_000, LOW, HIGH, generator)
    draw = Gaussian().draw(population.sample(len(t), generator), t, generator)
    truth = population.truth(draw.x_t, t)
    h, found = t.square()[:, None], []
    for m in range(len(network.weights[0])):
        off = network.member(m)(draw.x_t.float()[None], t.float()[None])[0].double() - truth.mean
        norms = [off.square() * (1 + h) / h, off.square() / h, truth.cov.whiten(off).square()]
        found.append(torch.stack([one.mean() for one in norms]))
    return torch.stack(found)


def experiment(quick: bool) -> tuple[dict[str, Any], Figure]:
    """Measure and draw."""
    seeds, steps, batch = (2, 20, 32) if quick else (10, 500, 64)
    marks = [10, 20] if quick else [20, 50, 100, 200, 500]
    populations = [gaussians(2)] if quick else [gaussians(2), gaussians(10), moons()]
    found: dict[str, Any] = {"seeds": list(range(seeds)), "steps": steps, "batch": batch, "marks": marks}
    figure, axes = panels(len(populations), 4, width=1.9, height=1.7)
    for row, population in enumerate(populations):
        moments, errors = race(population, seeds, steps, batch, marks)
        ratio = moments.log()
        for index in range(5):
            line(axes[row, 0], marks, ratio[:, index].mean(1).exp(), index, WAYS[index])
        axes[row, 0].set(xscale="log", yscale="log", xlabel="step", ylabel=population.name)
        plain_ticks(axes[row, 0], "y")
        plain_ticks(axes[row, 0], "x")
        cell: dict[str, Any] = {
            "second moment over log-uniform": {
                way: rounded(ratio[:, index].mean(1).exp()) for index, way in enumerate(WAYS[:5])
            }
        }
        for n, norm in enumerate(NORMS):
            axis = axes[row, n + 1]
            logs = (errors[:, :, n] / errors[:1, :, n]).log()
            half = quantile(seeds) / seeds**0.5 * logs.std(1)
            centre, place = logs.mean(1), [-i for i in range(len(WAYS))]
            bars = [centre.exp() - (centre - half).exp(), (centre + half).exp() - centre.exp()]
            for i in range(len(WAYS)):
                bar = [[float(bars[0][i])], [float(bars[1][i])]]
                axis.errorbar(float(centre[i].exp()), place[i], xerr=bar, fmt="o", color=COLOURS[i], markersize=3.5)
            axis.axvline(1, color="0.6", linewidth=0.7)
            axis.set(xscale="log")
            plain_ticks(axis, "x")
            axis.set_yticks(place, WAYS if n == 0 else [""] * len(WAYS))
            if row == 0:
                axis.set_title(f"error, {norm}")
            cell[norm] = compare(errors[:, :, n], WAYS)
        found[population.name] = cell
    axes[0, 0].set_title("second moment of gradient")
    axes[-1, 2].set_xlabel("ratio to log-uniform levels")
    figure.tight_layout()
    return found, figure


if __name__ == "__main__":
    run(__file__, __doc__, experiment)
