"""Training with each weight: score error against the truth, and quality of samples.

    python -m experiments.weighting.training [--quick] [--out FOLDER]

Small networks are trained by Adam on fresh rows and noise, from the same start and on the same draws under every
weight, 10 seeds each, at several learning rates. Written are, on fresh draws, the error of the posterior mean in three
norms (the heuristic one `h |s - s*|^2`, that of the optimal weight, and the plain one of the clean row), and for
samples the sliced Wasserstein distance and the maximum mean discrepancy to fresh rows. Each weight has its own best
learning rate in each measure; the file has the figures at one rate for all, too. Ratios are to the heuristic weight,
paired by seed; tests are two-sided t-tests on the logarithm of the ratio, with Holm's correction over the weights.
"Optimal", "scalar" and "regularised" use the true covariance, which no user has; "level" its mean at a level; "learned"
is a head trained beside the network and knows no more than a user does. For digits matrices are their diagonals.
"""

from typing import Any

import torch
from experiments.result import rounded, run
from experiments.weighting.ensemble import Adam, Ensemble, even_levels
from experiments.weighting.look import COLOURS, panels, plain_ticks
from experiments.weighting.paired import compare, quantile
from experiments.weighting.population import Population, digits, gaussians, moons
from matplotlib.figure import Figure
from torch import Tensor

from scorewise.allocation import log_levels
from scorewise.assumed import constant, edm, min_snr, snr
from scorewise.assumed import weight as named
from scorewise.covariance import Covariance, Diagonal
from scorewise.noise import Gaussian
from scorewise.parameterisation import clean
from scorewise.posterior import Posterior
from scorewise.sample import multistep
from scorewise.schedule import ve
from scorewise.weighting import diagonal, level_means, per_level, regularised, scalar

LOW, HIGH, GAMMA = 0.05, 5.0, 0.1
WEIGHTS = ("heuristic", "constant", "EDM", "Min-SNR-5", "level", "scalar", "optimal", "regularised", "learned")
MEASURES = ("heuristic norm", "optimal norm", "clean-row norm", "sliced Wasserstein", "MMD")
ASSUMED = {"heuristic": snr(), "constant": constant(clean), "EDM": edm(1.0), "Min-SNR-5": min_snr(5.0)}


def root(cov: Covariance) -> Tensor:
    """Give a square root of the inverse: a matrix (B, D, D), or a vector (B, D) where it is diagonal."""
    if isinstance(cov, Diagonal):
        return cov.variance.rsqrt().float()
    width = cov.diag.shape[1]
    unit = torch.eye(width, dtype=cov.diag.dtype)
    return torch.stack([cov.whiten(one.expand_as(cov.diag)) for one in unit], 2).float()


def whitened(roots: Tensor, e: Tensor) -> Tensor:
    """Apply roots (S, B, D) or (S, B, D, D) to residuals (L, S, B, D)."""
    return e * roots if roots.ndim == 3 else torch.einsum("sbij,lsbj->lsbi", roots, e)


class Race:
    """All weights, learning rates and seeds on one population."""

    def __init__(self, population: Population, seeds: int, rates: tuple[float, ...], steps: int, batch: int) -> None:
        self.population, self.seeds, self.rates = population, seeds, rates
        self.steps, self.batch = steps, batch
        self.generator = torch.Generator().manual_seed(0)
        self.hidden = 32 if population.width <= 10 else 64
        members = (len(WEIGHTS) * len(rates), seeds, population.width)
        self.network = Ensemble(*members, self.hidden)
        self.head = Ensemble(len(rates), seeds, population.width, 32, 1)
        each = torch.tensor(rates).repeat_interleave(seeds)
        self.optimizer = Adam(self.network, each.repeat(len(WEIGHTS)), steps)
        self.head_optimizer = Adam(self.head, each, steps)
        knots = torch.logspace(-1.31, 0.71, 12, dtype=torch.float64)
        rows = population.sample(1_000, self.generator)
        self.level = per_level(level_means(population.truth, Gaussian(), rows, knots, self.generator))

    def weights(self, posterior: Posterior, x_t: Tensor, t: Tensor) -> dict[str, Covariance]:
        """Covariances of the weights that are not learned, for (S B) rows."""
        made: dict[str, Covariance] = {
            name: Diagonal((1 / named(assumed, clean(ve()), t))[:, None].expand_as(x_t))
            for name, assumed in ASSUMED.items()
        }
        made["level"] = self.level(x_t, t)
        made["scalar"] = scalar(posterior.cov)
        wide = self.population.width > 10
        made["optimal"] = diagonal(posterior.cov) if wide else posterior.cov
        made["regularised"] = regularised(made["optimal"], t.square(), GAMMA)
        return made

    def train(self) -> None:
        """Train all networks."""
        shape = (self.seeds, self.batch, self.population.width)
        for _ in range(self.steps):
            count = self.seeds * self.batch
            t = torch.cat([even_levels(self.batch, LOW, HIGH, self.generator) for _ in range(self.seeds)])
            draw = Gaussian().draw(self.population.sample(count, self.generator), t, self.generator)
            covs = self.weights(self.population.truth(draw.x_t, t), draw.x_t, t)
            x, x_t = draw.x.float().reshape(shape), draw.x_t.float().reshape(shape)
            sigma_t = t.float().reshape(shape[:2])
            copies = len(WEIGHTS) * len(self.rates)
            mean = self.network(x_t.repeat(copies, 1, 1), sigma_t.repeat(copies, 1))
            e = (mean.reshape(copies, *shape) - x).unflatten(0, (len(WEIGHTS), -1))
            total = torch.zeros(())
            for index, name in enumerate(WEIGHTS[:-1]):
                found = root(covs[name])
                total = total + whitened(found.reshape(*shape, *found.shape[2:]), e[index]).square().mean((2, 3)).sum()
            u = self.head.outputs(x_t.repeat(len(self.rates), 1, 1), sigma_t.repeat(len(self.rates), 1))
            u = u.reshape(len(self.rates), *shape[:2], 1)
            h = sigma_t.square()[..., None]
            square = e[-1].square().mean(3, keepdim=True) * (1 + h) / h
            total = total + ((-u.detach()).exp() * square).mean((2, 3)).sum()
            self.optimizer.advance(total)
            self.head_optimizer.advance(((-u).exp() * square.detach() + u).mean((2, 3)).sum())

    @torch.no_grad()
    def errors(self, rows: int) -> Tensor:
        """Errors of the posterior mean in three norms, shape (weights, rates, seeds, 3)."""
        generator = torch.Generator().manual_seed(1)
        t = even_levels(rows, LOW, HIGH, generator)
        draw = Gaussian().draw(self.population.sample(rows, generator), t, generator)
        truth = self.population.truth(draw.x_t, t)
        roots = root(diagonal(truth.cov) if self.population.width > 10 else truth.cov)[None]
        x_t, sigma_t, found = draw.x_t.float()[None], t.float()[None], []
        for index in range(len(self.network.weights[0])):
            off = (self.network.member(index)(x_t, sigma_t) - truth.mean.float())[None]
            h = sigma_t.square()[None, ..., None]
            norms = [(off.square() / h).mean(), whitened(roots, off).square().mean(), off.square().mean()]
            found.append(torch.stack(norms))
        return torch.stack(found).reshape(len(WEIGHTS), len(self.rates), self.seeds, 3)

    @torch.no_grad()
    def samples(self, rows: int) -> Tensor:
        """Distances of samples to fresh rows, shape (weights, rates, seeds, 2)."""
        generator = torch.Generator().manual_seed(2)
        width, members = self.population.width, len(self.network.weights[0])
        start = self.population.sample(rows * self.seeds, generator)
        start = (start + HIGH * torch.randn(start.shape, generator=generator)).float().reshape(self.seeds, rows, width)

        def denoiser(x_t: Tensor, t: Tensor) -> Posterior:
            one = x_t.reshape(members, rows, width)
            mean = self.network(one, t.reshape(members, rows)).reshape(-1, width)
            return Posterior(mean, Diagonal(torch.ones(1, width)))

        x = start.repeat(members // self.seeds, 1, 1).reshape(-1, width)
        for state in multistep(denoiser, x, log_levels(LOW, HIGH, 20)):
            x = state.x
        made = x.reshape(-1, self.seeds, rows, width)
        real = self.population.sample(rows * self.seeds, generator).float().reshape(self.seeds, rows, width)
        found = [[distances(one, real[s], s) for s, one in enumerate(copy)] for copy in made]
        return torch.stack([torch.stack(row) for row in found]).reshape(len(WEIGHTS), len(self.rates), self.seeds, 2)

    def floor(self, rows: int) -> Tensor:
        """Distances of fresh rows to fresh rows, shape (seeds, 2)."""
        generator = torch.Generator().manual_seed(3)
        pairs = [[self.population.sample(rows, generator).float() for _ in range(2)] for _ in range(self.seeds)]
        return torch.stack([distances(one, other, s) for s, (one, other) in enumerate(pairs)])


def distances(one: Tensor, other: Tensor, seed: int) -> Tensor:
    """Sliced Wasserstein-2 distance over 64 directions, and MMD with a Gaussian kernel of bandwidth sqrt(D)."""
    generator = torch.Generator().manual_seed(seed)
    v = torch.nn.functional.normalize(torch.randn(one.shape[1], 64, generator=generator), dim=0)
    sliced = ((one @ v).sort(0)[0] - (other @ v).sort(0)[0]).square().mean().sqrt()

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (-0.5 * torch.cdist(a, b).square() / one.shape[1]).exp().mean()

    mmd = (kernel(one, one) + kernel(other, other) - 2 * kernel(one, other)).clamp(min=0).sqrt()
    return torch.stack([sliced, mmd])


def experiment(quick: bool) -> tuple[dict[str, Any], Figure]:
    """Measure and draw."""
    seeds, rows = (3, 200) if quick else (10, 1_000)
    populations = [gaussians(2)] if quick else [gaussians(2), gaussians(10), moons(), digits()]
    figure, axes = panels(len(populations), len(MEASURES), width=1.75, height=1.7, sharey=True)
    found: dict[str, Any] = {"seeds": list(range(seeds)), "levels": [LOW, HIGH], "gamma": GAMMA}
    for line, population in enumerate(populations):
        wide = population.width > 10
        rates = (3e-3, 1e-2, 3e-2, 1e-1) if not wide else (1e-3, 3e-3, 1e-2, 3e-2)
        race = Race(population, seeds, rates, 30 if quick else 1_200, 32 if wide else 64)
        race.train()
        values = torch.cat([race.errors(rows), race.samples(rows * 3 // 5)], 3)
        values = values.nan_to_num(nan=torch.inf)  # where a rate made training diverge
        floor = race.floor(rows * 3 // 5)
        best = values.mean(2).argmin(1)  # (weights, measures)
        cell: dict[str, Any] = {"steps": race.steps, "batch": race.batch, "rates": list(rates), "hidden": race.hidden}
        for m, measure in enumerate(MEASURES):
            own = torch.stack([values[w, best[w, m], :, m] for w in range(len(WEIGHTS))])
            equal = values[:, 1, :, m]
            cell[measure] = {
                "own best rate": compare(own, WEIGHTS),
                "best rates": {name: rates[int(best[w, m])] for w, name in enumerate(WEIGHTS)},
                f"rate {rates[1]:g} for all": compare(equal, WEIGHTS),
            }
            if m >= 3:
                cell[measure]["floor: rows against rows"] = rounded(floor[:, m - 3].mean())
            axis = axes[line, m]
            for shift, one, face in ((0.12, own, COLOURS[0]), (-0.12, equal, "white")):
                logs = (one / one[:1]).log()
                half = quantile(seeds) / seeds**0.5
                centre, band = logs.mean(1), half * logs.std(1)
                place = -torch.arange(len(WEIGHTS)) + shift
                low, high = centre.exp() - (centre - band).exp(), (centre + band).exp() - centre.exp()
                options: dict[str, Any] = {"markersize": 3.5, "markerfacecolor": face, "elinewidth": 0.9}
                axis.errorbar(centre.exp(), place, xerr=[low, high], fmt="o", color=COLOURS[0], **options)
            axis.axvline(1, color="0.6", linewidth=0.7)
            axis.set(xscale="log")
            plain_ticks(axis, "x")
            if line == 0:
                axis.set_title(measure)
            axis.set_yticks([-i for i in range(len(WEIGHTS))], WEIGHTS)
        axes[line, 0].set_ylabel(population.name)
        found[population.name] = cell
    figure.supxlabel(
        "ratio to the heuristic weight (filled: own best learning rate; open: one rate for all)", fontsize=8
    )
    figure.tight_layout()
    return found, figure


if __name__ == "__main__":
    run(__file__, __doc__, experiment)
