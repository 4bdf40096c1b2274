"""The synthesizer with each weight on Credit Default: fidelity after equal steps.

    SCOREWISE_DATA_HOME=... python -m experiments.weighting.synthesizer [--quick] [--out FOLDER]

Everything but the covariance that whitens the loss of the numbers is the synthesizer's default: network, bins, levels,
optimisers, calibration. "principal" is that default, EDM's weight in every principal direction. "EDM" is one variance
`s2 / (1 + s2)` for all directions, "heuristic" is `s2` (the inverse mean square of the score's label), "constant" is 1,
"Min-SNR-5" is `max(s2, 1/5)`. "measured" is the mean square of the residual that the first seed's default network
leaves, per principal direction and level: the expected optimal weight as far as a trained network knows it, on
training rows. The first 9,000 training rows, 400 steps; seeds are compared in pairs with the default. The quick form
takes a thousand rows and a few steps.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from experiments.data import on_disk
from experiments.result import rounded, run
from experiments.weighting.look import COLOURS, panels
from matplotlib.figure import Figure
from torch import Tensor

from scorewise import datasets
from scorewise.allocation import log_levels
from scorewise.covariance import Diagonal, Spectral
from scorewise.network import Layout, Moments, TableDenoiser, Weight
from scorewise.noise import Gaussian
from scorewise.tabular import synthesizer as module
from scorewise.tabular.codec import Compact
from scorewise.tabular.lengths import Lengths
from scorewise.tabular.report import evaluate
from scorewise.tabular.synthesizer import Synthesizer
from scorewise.tabular.table import to_arrow
from scorewise.tabular.training import LOWEST, Training
from scorewise.weighting import gaussian_weight

SHOWN = {
    "detection": "detection AUC",
    "detection_differences": "detection AUC, differences",
    "shapes": "shapes error",
    "trends": "trends error",
    "utility": "utility AUC",
    "beta_recall": "beta-recall",
}
TARGET = datasets.DATASETS["credit_default_train"].target


def same(variance: Callable[[Tensor], Tensor]) -> Weight:
    """Weigh all directions alike: `variance` of squared levels (B, 1)."""

    def weight(basis: Tensor, lam: Tensor, sigma_t: Tensor) -> Diagonal:
        return Diagonal(variance(sigma_t[:, None].square()).expand(-1, len(lam)))

    return weight


class Weighted(Synthesizer):
    """The synthesizer with another weight."""

    def __init__(self, *, weight: Weight = gaussian_weight, seed: int = 0, target: str | None = None) -> None:
        super().__init__(seed=seed, target=target)
        self.weight = weight

    def _denoiser(self, layout: Layout, moments: Moments) -> TableDenoiser:
        generator = torch.Generator().manual_seed(self.seed)
        return TableDenoiser(layout, moments, module.WIDTH, module.DEPTH, generator, self.weight)

    def _lengths(self, training: Training, rows: int) -> Lengths:
        return Lengths(training, 0)  # equal steps, however few rows there are


def measured(fitted: Synthesizer, table: Any) -> Weight:
    """Weigh by the mean square residual of a network, per principal direction, at 40 levels with a line between."""
    network, codec = getattr(fitted.network_, "coarse", fitted.network_), fitted.codec_
    n, generator = codec.layout.numbers, torch.Generator().manual_seed(0)
    levels = log_levels(LOWEST, float(network.rows.level), 40)[:-1].flip(0).float()
    rows = codec.compact(table)
    logs = []
    with torch.no_grad():
        for level in levels.tolist():
            chosen = torch.randint(table.num_rows, (2_000,), generator=generator)
            x = codec.expand(Compact(*(part[chosen] for part in rows)), generator)
            draw = Gaussian().draw(x, torch.full((len(x),), level), generator)
            residual = (x - network(draw.x_t, draw.t).mean)[:, :n] @ network.basis
            logs.append(residual.square().mean(0).log())
    grid, steps = torch.stack(logs), levels.log()

    def weight(basis: Tensor, lam: Tensor, sigma_t: Tensor) -> Spectral:
        place = ((sigma_t.log() - steps[0]) / (steps[1] - steps[0])).clamp(0, len(steps) - 1.001)
        below = place.long()
        share = (place - below)[:, None]
        return Spectral(basis, ((1 - share) * grid[below] + share * grid[below + 1]).exp())

    return weight


WEIGHTS: dict[str, Weight] = {
    "principal": gaussian_weight,
    "EDM": same(lambda s2: s2 / (1 + s2)),
    "heuristic": same(lambda s2: s2),
    "constant": same(torch.ones_like),
    "Min-SNR-5": same(lambda s2: s2.clamp(min=0.2)),
}


def experiment(quick: bool) -> tuple[dict[str, Any], Figure]:
    """Fit, sample and score with each weight and seed."""
    rows, steps, seeds = (1_000, 30, (0,)) if quick else (9_000, 400, (0, 1, 2))
    if not on_disk("credit_default_train", "credit_default_test"):
        raise SystemExit(f"Credit Default must be on disk, however: it is not. Set {datasets.HOME} to its folder.")
    train, test = (to_arrow(datasets.load(f"credit_default_{part}")) for part in ("train", "test"))
    train = train.slice(0, rows)
    module.training_steps = lambda rows, columns: steps  # equal steps, far fewer than the default
    weights, scores = dict(WEIGHTS), {}
    for seed in seeds:
        for name in [*WEIGHTS, "measured"]:
            fitted = Weighted(weight=weights[name], seed=seed, target=TARGET).fit(train)
            if name == "principal" and seed == seeds[0]:
                weights["measured"] = measured(fitted, train)
            fake = fitted.sample(train.num_rows, seed=seed)
            report = evaluate(train, fake, test=test, target=TARGET, seed=seed, threads=1)
            scores[name, seed] = {key: report.scores[key] for key in SHOWN}
            print(name, seed, {key: round(score.value, 4) for key, score in scores[name, seed].items()}, flush=True)
    found: dict[str, Any] = {"table": "credit_default", "rows": train.num_rows, "steps": steps, "seeds": list(seeds)}
    figure, axes = panels(2, 3, 2.4, 2.0)
    for axis, (key, title) in zip(axes.flat, SHOWN.items(), strict=True):
        first = np.array([scores["principal", seed][key].value for seed in seeds])
        found[key] = {"floor": rounded(torch.tensor(scores["principal", seeds[0]][key].floor))}
        for index, name in enumerate(weights):
            values = np.array([scores[name, seed][key].value for seed in seeds])
            apart = values - first
            found[key][name] = {
                "values": rounded(torch.from_numpy(values)),
                "minus principal": float(f"{apart.mean():.3g}"),
                "se": float(f"{apart.std(ddof=1) / len(seeds) ** 0.5:.2g}") if len(seeds) > 1 else None,
            }
            axis.plot(values, [index] * len(seeds), "o", color=COLOURS[index], markersize=3.5, alpha=0.8)
        axis.axvline(found[key]["floor"], color="#999999", linestyle=":", linewidth=1)
        axis.set_yticks(range(len(weights)), list(weights))
        axis.invert_yaxis()
        axis.set_xlabel(title)
    for row in axes:
        for axis in row[1:]:
            axis.set_yticklabels([])
    figure.tight_layout()
    return found, figure


if __name__ == "__main__":
    run(str(Path(__file__)), __doc__ or "", experiment)
