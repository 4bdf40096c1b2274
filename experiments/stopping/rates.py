"""Rates: how the risk at the stop falls with the number of rows.

    python -m experiments.stopping.rates [--quick] [--out FOLDER]

Left: regression on a line with the kernel min(x, z) of the first-order Sobolev space, whose eigenvectors are known, so
that thousands of rows cost nothing. Its eigenvalues fall as k^-2, so targets of bounded norm allow n^(-2/3); a target
whose norm is only just finite shows it, smoother ones are learned faster. Right: score estimation of a mixture in two
dimensions by the tangent kernel, weighted and stopped by SURE; the error of the score, and the sliced Wasserstein
distance of samples that the learned score gives, beside that of real rows to real rows.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from experiments.result import rounded, run, spread
from experiments.stopping.population import Population, mixture
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from scorewise.coupling import slope
from scorewise.covariance import Diagonal
from scorewise.localisation import fit
from scorewise.posterior import Posterior
from scorewise.regression import lift
from scorewise.sample import multistep
from scorewise.spectrum import risk, spectrum
from scorewise.stopping import geometric_steps, rademacher, sure
from scorewise.tangent import tangent_kernel
from scorewise.weighting import regularised, scalar

NOISE, STEPS = 0.5, geometric_steps(10**8, 200)
LOW, HIGH = 0.02, 2.0
TARGETS: dict[str, Callable[[Tensor], Tensor]] = {
    "kink": lambda x: (x - 0.5).abs() - 0.5,
    "smooth": lambda x: (math.pi / 2 * x).sin(),
}


@cache
def sobolev(rows: int, target: str) -> tuple[Tensor, Tensor]:
    """Eigenvalues of the kernel matrix over n at x = i / n, and the target along its eigenvectors, shape (n,) each."""
    k = torch.arange(1, rows + 1, dtype=torch.float64)
    angle = (2 * k - 1) * math.pi / (2 * rows + 1)
    values = 1 / (4 * rows**2 * (angle / 2).sin().square())
    if target == "borderline":
        return values, (rows * values).sqrt() * k.pow(-0.55)  # squared norm per label: sum of k^-1.1
    f = TARGETS[target](k / rows)
    parts = [(one[:, None] * k).sin() @ f for one in torch.split(angle, 512)]
    return values, 2 / math.sqrt(2 * rows + 1) * torch.cat(parts)


def regression(rows: int, target: str, seed: int) -> Tensor:
    """Risk at the stops of oracle, SURE, and Rademacher with the norm estimated and known."""
    values, truth = sobolev(rows, target)
    noise = torch.full_like(values, NOISE**2)[:, None]
    draw = torch.randn(rows, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found = spectrum(values, (truth + NOISE * draw)[:, None], noise)
    rate = 1 / float(values.max())
    curve = risk(found, truth.square(), rate, STEPS)
    steps = STEPS.tolist()
    norm = float((truth.square() / values).mean().sqrt())
    rules = (sure(found, rate, STEPS), rademacher(found, rate, STEPS), rademacher(found, rate, STEPS, norm=norm))
    stops = [steps.index(rule.step) for rule in rules]
    return torch.stack([curve.min(), *(curve[i] for i in stops)])


def wasserstein(x: Tensor, z: Tensor, generator: torch.Generator) -> Tensor:
    """Sliced Wasserstein distance of order 2 between equally many points."""
    directions = torch.nn.functional.normalize(torch.randn(x.shape[1], 200, generator=generator, dtype=x.dtype), dim=0)
    return ((x @ directions).sort(0).values - (z @ directions).sort(0).values).square().mean().sqrt()


def scores(population: Population, rows: int, seed: int, size: int) -> Tensor:
    """Weighted error of the score, sliced Wasserstein distance of samples, and that of real rows."""
    generator = torch.Generator().manual_seed(seed)
    draw, new = (population.draw(n, LOW, HIGH, generator) for n in (rows, 4_000))
    assumed = regularised(scalar(draw.cov), draw.level)
    learned = fit(tangent_kernel, lift(draw.x_t, draw.t, LOW), draw.label, assumed, draw.cov)
    error = ((learned(lift(new.x_t, new.t, LOW)) - new.mean).square().mean(1) / new.level).mean()

    def denoise(x_t: Tensor, sigma_t: Tensor) -> Posterior:
        t = 0.5 * sigma_t.square().log1p()
        mean = learned(lift((-t).exp()[:, None] * x_t, t, LOW))
        return Posterior(mean, Diagonal(torch.ones_like(mean)))

    ladder = torch.linspace(HIGH, LOW, 40, dtype=torch.float64)
    sigmas = torch.cat([(2 * ladder).expm1().sqrt(), torch.zeros(1, dtype=torch.float64)])
    start = sigmas[0] * torch.randn(size, population.width, generator=generator, dtype=torch.float64)
    *_, last = multistep(denoise, start, sigmas)
    real, other = population.sample(size, generator), population.sample(size, generator)
    return torch.stack([error, wasserstein(last.x, real, generator), wasserstein(other, real, generator)])


def experiment(quick: bool) -> tuple[dict[str, Any], Figure]:
    """Measure and draw."""
    sizes = [2**k for k in (range(6, 10) if quick else range(6, 14))]
    seeds = 3 if quick else 60
    rules = ("oracle", "SURE", "Rademacher", "Rademacher, norm known")
    targets = ("borderline", *TARGETS)
    line = torch.stack(
        [torch.stack([torch.stack([regression(n, f, s) for s in range(seeds)]) for n in sizes]) for f in targets]
    )  # (targets, sizes, seeds, rules)
    few = [2**k for k in (range(5, 8) if quick else range(5, 12))]
    repeats = 2 if quick else 6
    population = mixture(2)
    plane = torch.stack(
        [torch.stack([scores(population, n, s, 500 if quick else 4_000) for s in range(repeats)]) for n in few]
    )
    x, z = (torch.tensor(one, dtype=torch.float64) for one in (sizes, few))
    exponents = slope(x, line.mean(2).movedim(1, -1))  # (targets, rules)
    resampled = torch.stack(
        [
            slope(
                x,
                line[:, :, torch.randint(seeds, (seeds,), generator=torch.Generator().manual_seed(b))]
                .mean(2)
                .movedim(1, -1),
            )
            for b in range(200)
        ]
    ).std(0)
    half = len(few) // 2
    result = {
        "seeds": {"line": seeds, "scores": repeats},
        "rows": {"line": sizes, "scores": few},
        "theory": {"borderline": -2 / 3},
        "exponents on the line": {
            f: {
                rule: {"value": rounded(exponents[i, r]), "se": rounded(resampled[i, r])}
                for r, rule in enumerate(rules)
            }
            for i, f in enumerate(targets)
        },
        "risks on the line": {
            f: {rule: [spread(line[i, n, :, r]) for n in range(len(sizes))] for r, rule in enumerate(rules)}
            for i, f in enumerate(targets)
        },
        "error of the score": [spread(plane[n, :, 0]) for n in range(len(few))],
        "sliced Wasserstein distance": [spread(plane[n, :, 1]) for n in range(len(few))],
        "its floor": spread(plane[:, :, 2].flatten()),
        "exponent of the score's error": rounded(slope(z, plane[:, :, 0].mean(1))),
        "the same for the larger half of sizes": rounded(slope(z[half:], plane[half:, :, 0].mean(1))),
    }
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.2))
    for i, f in enumerate(targets):
        for r, style in ((0, "-"), (1, "--"), (3, ":")):
            label = f"{f}, {rules[r]}: {float(exponents[i, r]):.2f}"
            axes[0].plot(sizes, line[i].mean(1)[:, r], style, color=f"C{i}", label=label)
    axes[0].set_title("risk on the line")
    for axis, index, title in ((axes[1], 0, "error of the score"), (axes[2], 1, "sliced Wasserstein distance")):
        axis.errorbar(few, plane[:, :, index].mean(1), plane[:, :, index].std(1), marker="o", markersize=3, capsize=2)
        axis.set_title(title)
    axes[2].axhline(float(plane[:, :, 2].mean()), color="k", linestyle=":", label="real to real")
    axes[2].legend()
    for axis in axes:
        axis.set(xscale="log", yscale="log", xlabel="rows")
    figure.tight_layout()
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=7, loc="upper center", bbox_to_anchor=(0.5, 0), ncol=3)
    return result, figure


if __name__ == "__main__":
    run(__file__, __doc__, experiment)
