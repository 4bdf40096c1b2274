"""Stopping rules against the oracle: risk at the rule over risk at the best step, over data, levels, rows and weights.

    python -m experiments.stopping.rules [--quick] [--out FOLDER]

Kernel gradient descent (the tangent kernel of a two-layer network) learns the clean row from the noisy one. The truth
is known, so is the risk of every step at the training inputs. Every rule reads the spectrum, the labels and the label
covariance, the true one but for the last weight, where the covariance and the weight are those of the posterior over
the training rows themselves. The reference, held out, is given a quarter more rows, which no other rule has, and stops
at the least loss on them. Also written: the risk at the stop of SURE in the unweighted norm, which compares the weights
with each other. Every weight is one number a row.
"""

from collections.abc import Callable
from typing import Any

import torch
from experiments.result import run, spread
from experiments.stopping.population import PROCESS, Draw, Population, all_populations
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from scorewise.covariance import Covariance, Diagonal
from scorewise.descent import Path
from scorewise.empirical import exact
from scorewise.noise import Gaussian
from scorewise.regression import lift
from scorewise.spectrum import risk
from scorewise.stopping import Stop, discrepancy, gcv, geometric_steps, held_out, rademacher, sharp, sure
from scorewise.tangent import tangent_kernel
from scorewise.weighting import regularised, scalar

LEVELS = {"low": (0.05, 0.3), "wide": (0.15, 1.5), "high": (0.5, 2.0)}
RULES = {"SURE": sure, "GCV": gcv, "discrepancy": discrepancy, "sharp": sharp, "Rademacher": rademacher}
STEPS = geometric_steps(10**6, 100)
Assume = Callable[[Draw], Covariance]


def assumptions(draw: Draw, population: Population) -> dict[str, Assume]:
    """For each weight the covariance that it assumes of rows like those drawn."""
    known = exact(draw.label, Gaussian(PROCESS))

    def isotropic(variance: Tensor) -> Diagonal:
        return Diagonal(variance[:, None].expand(-1, population.width))

    return {
        "none": lambda at: isotropic(torch.ones_like(at.level)),
        "heuristic": lambda at: isotropic(at.level),
        "EDM": lambda at: isotropic(1 / (1 / at.level + 1 / population.scale)),
        "optimal": lambda at: scalar(at.cov),
        "regularised": lambda at: regularised(scalar(at.cov), at.level),
        "plug-in": lambda at: regularised(scalar(known(at.x_t, at.t).cov), at.level),
    }


WEIGHTS = ("none", "heuristic", "EDM", "optimal", "regularised", "plug-in")


def one(population: Population, levels: tuple[float, float], rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """Ratios to the oracle, shape (weights, rules + 2), and unweighted risks at SURE's stop, shape (weights,)."""
    generator = torch.Generator().manual_seed(seed)
    draw, more = (population.draw(size, *levels, generator) for size in (rows, rows // 4))
    inputs, others = (lift(noisy.x_t, noisy.t, levels[0]) for noisy in (draw, more))
    gram, cross = tangent_kernel(inputs, inputs), tangent_kernel(others, inputs)
    ratios, risks = [], []
    for weight, assume in assumptions(draw, population).items():
        assumed = assume(draw)
        path = Path(gram, draw.label, assumed)
        rate = 1 / float(path.values.max())
        true = path.spectrum(path.levels(draw.cov))
        curve = risk(true, path.project(draw.mean).square().sum(1), rate, STEPS)
        spectrum = path.spectrum(path.levels(assumed)) if weight == "plug-in" else true
        stops: list[Stop] = [rule(spectrum, rate, STEPS) for rule in RULES.values()]
        squares = (path.predict(cross, rate, STEPS) - more.label).square() / assume(more).diag
        stops.append(held_out(STEPS, squares.mean(2)))
        index = [STEPS.tolist().index(stop.step) for stop in stops]
        ratios.append(torch.stack([curve[i] for i in [*index, -1]]) / curve.min())
        fitted = path.predict(gram, rate, STEPS[[index[0]]])[0]
        risks.append((fitted - draw.mean).square().mean() / population.scale)
    return torch.stack(ratios), torch.stack(risks)


def experiment(quick: bool) -> tuple[dict[str, Any], Figure]:
    """Measure and draw."""
    populations = all_populations(quick=quick)
    sizes, seeds = ([60], 3) if quick else ([100, 200, 400], 4)
    levels = {"wide": LEVELS["wide"]} if quick else LEVELS
    names = [*RULES, "held out", "never"]
    cells: list[dict[str, Any]] = []
    everything, unweighted = [], []
    for population in populations:
        for level, interval in levels.items():
            for rows in sizes:
                ratios, risks = (
                    torch.stack(x)
                    for x in zip(*(one(population, interval, rows, s) for s in range(seeds)), strict=True)
                )
                everything.append(ratios)
                unweighted.append(risks)
                cell = {"data": population.name, "levels": level, "rows": rows}
                cell["risk over oracle"] = {
                    weight: {name: spread(ratios[:, w, r]) for r, name in enumerate(names)}
                    for w, weight in enumerate(WEIGHTS)
                }
                cell["unweighted risk at SURE"] = {weight: spread(risks[:, w]) for w, weight in enumerate(WEIGHTS)}
                cells.append(cell)
    ratios, risks = torch.stack(everything), torch.stack(unweighted)  # (cells, seeds, weights, rules)
    typical = ratios.log().mean(1)  # geometric means over seeds
    summary = {
        weight: {
            name: {
                "geometric mean": round(float(typical[:, w, r].mean().exp()), 4),
                "se of its logarithm over settings": round(float(typical[:, w, r].std() / len(typical) ** 0.5), 4)
                if len(typical) > 1
                else None,
                "worst setting": round(float(typical[:, w, r].max().exp()), 4),
            }
            for r, name in enumerate(names)
        }
        for w, weight in enumerate(WEIGHTS)
    }
    relative = (risks / risks[:, :, :1]).log().mean(1)
    return {
        "seeds": list(range(seeds)),
        "steps": [int(STEPS[0]), int(STEPS[-1])],
        "summary of risk over oracle": summary,
        "unweighted risk at SURE over that without weight": {
            weight: {
                "geometric mean": round(float(relative[:, w].mean().exp()), 4),
                "least": round(float(relative[:, w].min().exp()), 4),
                "greatest": round(float(relative[:, w].max().exp()), 4),
            }
            for w, weight in enumerate(WEIGHTS)
        },
        "settings": cells,
    }, draw_figure(typical, names)


def draw_figure(typical: Tensor, names: list[str]) -> Figure:
    """One panel a rule: the ratios of all settings for every weight."""
    figure, axes = plt.subplots(1, len(names), figsize=(2.3 * len(names), 3.2), sharey=True)
    for r, (axis, name) in enumerate(zip(axes, names, strict=True)):
        values = typical[:, :, r].exp()
        for w in range(len(WEIGHTS)):
            shift = torch.linspace(-0.25, 0.25, len(values)) if len(values) > 1 else torch.zeros(1)
            axis.plot(w + shift, values[:, w], ".", color="0.6", markersize=4)
            axis.plot([w - 0.35, w + 0.35], [float(typical[:, w, r].mean().exp())] * 2, color="C0", linewidth=2)
        axis.axhline(1, color="k", linewidth=0.5)
        axis.set_title(name)
        axis.set_xticks(range(len(WEIGHTS)), WEIGHTS, rotation=60, ha="right")
        axis.set_yscale("log")
    axes[0].set_ylabel("risk at the stop / least risk")
    figure.tight_layout()
    return figure


if __name__ == "__main__":
    run(__file__, __doc__, experiment)
