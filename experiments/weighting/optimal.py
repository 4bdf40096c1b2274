"""How far the heuristic weight is from the optimal one, over levels: for orders 1 to 3, four noises, and data sets.

    python -m experiments.weighting.optimal [--quick] [--out FOLDER]

All weights are over the heuristic one, `dim / E |T_k|^2`. Upper rows: a one-dimensional mixture, by quadrature. With
r the share of the label's mean square that is known, the Taylor expansion of the weight of a level is 1 at order 0, the
heuristic itself, 1 + r at order 1, and `1 / (1 - r)` in full: the inverse of the mean variance. The mean of the inverse
is larger; where the tails of the noise are heavier than those of the rows it grows without bound with the share of
noisy rows that is looked at. It is shown over the central 99 %; the file says what 99.9 % and 99.99 % give. The
regularised weight has a mean. Bottom row: data sets under Gaussian noise, order 1, with EDM's weight; the bracket that
500 rows alone give for the weight of the level; and the linear and van Trees' bounds on `tr (E C)^-1 / d`, with van
Trees' information that of rows with noise of 0.01. For digits and Credit Default inverses are those of the variances of
the coordinates.
"""

from typing import Any

import torch
from experiments.data import on_disk
from experiments.result import rounded, run
from experiments.weighting.look import COLOURS, legend_below, line, panels
from experiments.weighting.population import Population, credit, digits, gaussians, moons
from experiments.weighting.quadrature import NOISES, Conditional, conditional
from matplotlib.figure import Figure
from torch import Tensor

from scorewise.empirical import bracket
from scorewise.noise import Gaussian
from scorewise.weighting import level_means, precision_bounds

GAMMA = 0.1
CENTRAL = (0.99, 0.999, 0.9999)
NAMES = ("heuristic (Taylor, order 0)", "Taylor, order 1", "inverse mean variance", "mean optimal", "mean regularised")


def ratios(found: Conditional) -> tuple[Tensor, Tensor]:
    """Weights over the heuristic one, shape (5,), the mean optimal one over the central 99 %; and it for `CENTRAL`."""
    square = found.mass @ (found.variance + found.mean.square())
    mean = found.mass @ found.variance
    below = found.mass.cumsum(0) - 0.5 * found.mass
    means = []
    for share in CENTRAL:
        inside = (below > (1 - share) / 2) & (below < (1 + share) / 2)
        means.append(square * (found.mass[inside] @ (1 / found.variance[inside])) / found.mass[inside].sum())
    mixed = found.mass @ (1 / ((1 - GAMMA) * found.variance + GAMMA * square))
    first = torch.stack([torch.ones_like(mean), 2 - mean / square, square / mean, means[0], square * mixed])
    return first, torch.stack(means)


def of_data(population: Population, levels: Tensor, rows: int) -> dict[str, Any]:
    """Weights over the heuristic one for rows under Gaussian noise, each of shape (G,)."""
    generator = torch.Generator().manual_seed(0)
    x, noise, d = population.sample(rows, generator), Gaussian(), population.width
    means = level_means(population.truth, noise, x, levels, generator)
    h = levels.square()
    some = [bracket(x[: rows // 2], noise, level, generator) for level in levels]
    near = torch.full((len(x),), 0.01, dtype=torch.float64)
    close = noise.draw(x, near, generator).x_t
    score = (population.truth(close, near).mean - close) / near[:, None].square()
    low, high = precision_bounds(torch.cov(x.T), score.T @ score / len(x), torch.ones_like(levels), levels)
    full = []
    for level in levels:
        at = level.expand(len(x))
        full.append(population.truth(noise.draw(x, at, generator).x_t, at).cov.matrix_form().mean(0))
    return {
        "EDM": 1 + h,
        "inverse mean variance": h / means.variance.value,
        "inverse mean variance, se": h * means.variance.se / means.variance.value.square(),
        "trace of the inverse mean": torch.stack(
            [h_t * torch.linalg.inv(m).trace() / d for h_t, m in zip(h, full, strict=True)]
        ),
        "mean optimal": h * means.precision.value,
        "mean optimal, se": h * means.precision.se,
        "from rows, lower": torch.stack([h_t * d / b.upper.value for h_t, b in zip(h, some, strict=True)]),
        "from rows, upper": torch.stack([h_t * d / b.lower.value for h_t, b in zip(h, some, strict=True)]),
        "linear bound": h * low.diagonal(dim1=1, dim2=2).mean(1),
        "van Trees bound": h * high.diagonal(dim1=1, dim2=2).mean(1),
    }


def experiment(quick: bool) -> tuple[dict[str, Any], Figure]:
    """Measure and draw."""
    levels = torch.logspace(-1.3, 1, 6 if quick else 25, dtype=torch.float64)
    few = torch.logspace(-1, 1, 3 if quick else 11, dtype=torch.float64)
    population = gaussians(1)
    populations = [gaussians(2), moons()] if quick else [gaussians(2), gaussians(10), moons(), digits()]
    if not quick and on_disk("credit_default_train"):
        populations[2] = credit()
    figure, axes = panels(4, 4, height=1.6)
    found: dict[str, Any] = {"seeds": [0], "gamma": GAMMA, "levels": rounded(levels), "1-d mixture": {}}
    for row, order in enumerate((1, 2, 3)):
        for column, (name, noise) in enumerate(NOISES.items()):
            axis = axes[row, column]
            axis.set(title=f"{name}, order {order}")
            if order > noise.max_order:
                axis.axis("off")
                axis.text(0.5, 0.5, "no such label:\nthe density has a kink", ha="center", transform=axis.transAxes)
                continue
            cells = [conditional(population, noise, level, order, grid=301 if quick else 801) for level in levels]
            curves, central = (torch.stack(one, 1) for one in zip(*map(ratios, cells), strict=True))
            for index, (label, curve) in enumerate(zip(NAMES, curves, strict=True)):
                line(axis, levels, curve, index, label)
            axis.set(xscale="log", yscale="log", ylim=(0.7, 300))
            found["1-d mixture"][f"{name}, order {order}"] = {
                **{label: _finite(curve) for label, curve in zip(NAMES, curves, strict=True)},
                "mean optimal over the central share": {
                    f"{share:g}": _finite(one) for share, one in zip(CENTRAL, central, strict=True)
                },
            }
    for column, one in enumerate(populations):
        axis = axes[3, column]
        weights = of_data(one, few, 100 if quick else 1_000)
        line(axis, few, torch.ones_like(few), 0)
        line(axis, few, weights["inverse mean variance"], 2)
        line(axis, few, weights["mean optimal"], 3)
        line(axis, few, weights["EDM"], 5, "EDM")
        axis.fill_between(
            few,
            weights["from rows, lower"],
            weights["from rows, upper"],
            color=COLOURS[2],
            alpha=0.2,
            linewidth=0,
            label="inverse mean variance from rows alone",
        )
        axis.fill_between(
            few,
            weights["linear bound"],
            weights["van Trees bound"],
            color=COLOURS[7],
            alpha=0.25,
            linewidth=0,
            label="linear and van Trees' bounds",
        )
        axis.set(xscale="log", yscale="log", ylim=(0.7, 1e4), title=f"{one.name}, Gaussian, order 1")
        axis.set_xlabel("noise level")
        found[one.name] = {"levels": rounded(few), **{key: _finite(value) for key, value in weights.items()}}
    for row in range(4):
        axes[row, 0].set_ylabel("weight / heuristic")
    for index, label in enumerate(NAMES):
        line(axes[3, 0], [], [], index, label)
    legend_below(figure, axes[3, 0], 4)
    return found, figure


def _finite(values: Tensor) -> list[float | None]:
    return [rounded(v) if bool(v.isfinite()) and float(v) < 1e12 else None for v in values]


if __name__ == "__main__":
    run(__file__, __doc__, experiment)
