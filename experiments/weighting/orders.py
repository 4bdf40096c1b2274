"""Second and third derivatives of a density, learned with and without the weight of their order and control variates.

    python -m experiments.weighting.orders [--quick] [--out FOLDER]

Networks learn `grad^k p_t / p_t` along fixed directions, k = 2 and 3, on a two-dimensional mixture and on digits, all
on the same draws. "Weight" is that of the order, `h^k / k!`; "corrected" divides it by the share of the label that
is not known at the level. The error against the truth is relative to the mean square of the truth at the level: 1 is
what predicting 0 gives.
"""

from collections.abc import Callable
from typing import Any

import torch
from experiments.result import rounded, run
from experiments.weighting.ensemble import Adam, Ensemble, even_levels
from experiments.weighting.look import legend_below, line, panels, plain_ticks
from experiments.weighting.paired import compare
from experiments.weighting.population import Population, digits, gaussians
from matplotlib.figure import Figure
from torch import Tensor

from scorewise.control_variate import antithetic_loss, control_variate_loss, plain_loss
from scorewise.covariance import Diagonal
from scorewise.empirical import exact
from scorewise.form import Sliced
from scorewise.noise import Draw, Gaussian
from scorewise.target import Target
from scorewise.weighting import heuristic

LOW, HIGH, BINS = 0.1, 3.0, 8
RATES = (1e-3, 3e-3)
WAYS: dict[str, tuple[Callable[..., Tensor], str]] = {
    "plain, weight": (plain_loss, "weight"),
    "plain, no weight": (plain_loss, "none"),
    "plain, corrected": (plain_loss, "corrected"),
    "control variate, no weight": (control_variate_loss, "none"),
    "control variate, weight": (control_variate_loss, "weight"),
    "antithetic, weight": (antithetic_loss, "weight"),
}


def truth(population: Population, target: Target, x_t: Tensor, t: Tensor) -> Tensor:
    """Give `grad^k p_t / p_t` along the directions, shape (B, m)."""
    if population.closed is not None:
        return target.belief_of_mixture(population.closed, x_t, t).mean
    assert population.rows is not None
    behind = exact(population.rows, Gaussian(), Diagonal)
    return behind.belief(target.label, x_t, (population.tau**2 + t.square()).sqrt()).mean


def unknown_share(population: Population, target: Target, rows: int) -> Callable[[Tensor], Tensor]:
    """Make `1 - r_k` as a function of the level, from draws at some levels."""
    generator = torch.Generator().manual_seed(5)
    knots = torch.logspace(-1, 0.48, 12, dtype=torch.float64)
    shares = []
    for knot in knots:
        at = knot.expand(rows)
        draw = Gaussian().draw(population.sample(rows, generator), at, generator)
        known = truth(population, target, draw.x_t, at).square().mean()
        shares.append((1 - known / target.kernel_variance(at)[0]).clamp(0.01, 1))
    values = torch.stack(shares).log()

    def share(t: Tensor) -> Tensor:
        right = torch.searchsorted(knots, t.double()).clamp(1, len(knots) - 1)
        place = (t / knots[right - 1]).log() / (knots[right] / knots[right - 1]).log()
        return torch.lerp(values[right - 1], values[right], place.clamp(0, 1).double()).exp().to(t)

    return share


def learn(population: Population, order: int, seeds: int, steps: int, batch: int, rows: int) -> Tensor:
    """Relative errors at each level, shape (ways, rates, seeds, bins)."""
    generator = torch.Generator().manual_seed(0)
    d = population.width
    angle = torch.arange(4, dtype=torch.float64) * torch.pi / 4
    spread = torch.randn(8, d, generator=generator, dtype=torch.float64)
    v = torch.stack([angle.cos(), angle.sin()], 1) if d == 2 else spread / spread.norm(dim=1, keepdim=True)
    double, target = Target(Gaussian(), order, Sliced(v)), Target(Gaussian(), order, Sliced(v.float()))
    share = unknown_share(population, double, rows // 2)
    members = len(RATES) * seeds
    networks = [Ensemble(len(RATES), seeds, d, 64, len(v)) for _ in WAYS]
    optimizers = [Adam(one, torch.tensor(RATES).repeat_interleave(seeds), steps) for one in networks]

    def model_of(network: Ensemble) -> Callable[[Tensor, Tensor], Tensor]:
        def model(x_t: Tensor, t: Tensor) -> Tensor:
            sigma_t = t.reshape(members, -1)
            found = network.outputs(x_t.reshape(members, -1, d), sigma_t)
            return (found * (sigma_t.square() + 0.09).pow(-order / 2)[..., None]).reshape(len(t), -1)

        return model

    for _ in range(steps):
        t = torch.cat([even_levels(batch, LOW, HIGH, generator) for _ in range(seeds)])
        one = Gaussian().draw(population.sample(seeds * batch, generator), t, generator)
        draw = Draw(*(part.float().repeat(len(RATES), *[1] * (part.ndim - 1)) for part in one[:3]))
        weight = heuristic(Gaussian(), draw.t, d, order)
        each = {"none": torch.ones_like(weight), "weight": weight, "corrected": weight / share(draw.t)}
        for (loss, kind), network, optimizer in zip(WAYS.values(), networks, optimizers, strict=True):
            optimizer.advance((each[kind] * loss(model_of(network), target, draw)).sum() / batch)
    t = even_levels(rows, LOW, HIGH, generator).sort()[0]
    draw = Gaussian().draw(population.sample(rows, generator), t, generator)
    wanted = truth(population, double, draw.x_t, t).float()
    found = []
    with torch.no_grad():
        for network in networks:
            made = model_of(network)(draw.x_t.float().repeat(members, 1), t.float().repeat(members))
            off = (made.reshape(members, rows, -1) - wanted).square().sum(2)
            parts = [o.mean(1) / w.mean() for o, w in zip(off.chunk(BINS, 1), _norms(wanted).chunk(BINS), strict=True)]
            found.append(torch.stack(parts, 1))
    return torch.stack(found).reshape(len(WAYS), len(RATES), seeds, BINS)


def _norms(wanted: Tensor) -> Tensor:
    return wanted.square().sum(1)


def experiment(quick: bool) -> tuple[dict[str, Any], Figure]:
    """Measure and draw."""
    seeds, steps, batch, rows = (3, 10, 32, 160) if quick else (6, 1_500, 128, 800)
    populations = [gaussians(2)] if quick else [gaussians(2), digits()]
    centres = LOW * (HIGH / LOW) ** ((torch.arange(BINS) + 0.5) / BINS)
    found: dict[str, Any] = {"seeds": list(range(seeds)), "steps": steps, "batch": batch, "levels": rounded(centres)}
    figure, axes = panels(len(populations), 2, width=3.0, height=2.1)
    for row, population in enumerate(populations):
        for column, order in enumerate((2, 3)):
            errors = learn(population, order, seeds, steps, batch, rows)
            overall = errors.mean(3)
            best = overall.mean(2).argmin(1)
            own = torch.stack([errors[w, best[w]] for w in range(len(WAYS))])
            axis = axes[row, column]
            for index, name in enumerate(WAYS):
                logs = own[index].log()
                line(axis, centres, logs.mean(0).exp(), index, name, marker=".", markersize=3)
                band = 2 * logs.std(0) / seeds**0.5
                low, high = (logs.mean(0) - band).exp(), (logs.mean(0) + band).exp()
                axis.fill_between(centres, low, high, alpha=0.12, color=axis.lines[-1].get_color(), linewidth=0)
            axis.axhline(1, color="0.6", linewidth=0.7)
            axis.set(xscale="log", yscale="log", title=f"{population.name}, order {order}", xlabel="noise level")
            plain_ticks(axis, "x")
            plain_ticks(axis, "y")
            found[f"{population.name}, order {order}"] = {
                "mean relative error over levels": compare(own.mean(2), tuple(WAYS)),
                "best rates": {name: RATES[int(best[w])] for w, name in enumerate(WAYS)},
                "relative error at each level": {name: rounded(own[w].mean(0)) for w, name in enumerate(WAYS)},
            }
        axes[row, 0].set_ylabel("relative error")
    legend_below(figure, axes[0, 0], 3)
    return found, figure


if __name__ == "__main__":
    run(__file__, __doc__, experiment)
