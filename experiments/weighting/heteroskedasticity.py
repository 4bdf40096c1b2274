"""Heteroskedasticity is inherent: how the variance of the label depends on the noisy row, for four noises.

    python -m experiments.weighting.heteroskedasticity [--quick] [--out FOLDER]

Top: the variance of the score's label, `Var[T_1 | x_t]`, over what the noise alone would give it, on a one-dimensional
mixture, by quadrature; a weight that knows the level alone takes each column for one colour. Bottom: the squared
coefficient of variation of the variance within a level. It is 0 where a weight of the level alone is optimal, as it is
for Gaussian rows under Gaussian noise, and about the share of efficiency that such a weight loses elsewhere. Levels of
the noises are those of equal Fisher information. Under Gaussian noise the populations are exact; under other noises
those of more than one dimension are their finitely many rows, and levels at which the median posterior rests on fewer
than 20 rows are left out.
"""

from typing import Any

import torch
from experiments.data import on_disk
from experiments.result import rounded, run
from experiments.weighting.look import legend_below, line, panels
from experiments.weighting.population import Population, credit, digits, gaussians, moons
from experiments.weighting.quadrature import NOISES, conditional, time_of
from matplotlib.figure import Figure
from torch import Tensor

from scorewise.covariance import Diagonal
from scorewise.empirical import exact
from scorewise.estimate import Estimate
from scorewise.form import Pure
from scorewise.noise import Gaussian, LocationScale
from scorewise.posterior import gaussian
from scorewise.replicate import smooth
from scorewise.scatter import of_slopes, squared_mean, variance
from scorewise.target import Target

LEAST = 20
"""Rows on which the median posterior must rest where the population is finitely many rows."""


def relative_variance(samples: Tensor) -> Estimate:
    """Squared coefficient of variation of positive numbers, without bias in its two parts."""
    found = of_slopes(samples[None])
    return smooth(lambda v, m: v / m, variance(found), squared_mean(found))


def control() -> Population:
    """Rows of a Gaussian, for which the level says everything."""
    unit = torch.eye(2, dtype=torch.float64)
    return Population(
        "Gaussian, 2-d",
        2,
        lambda n, g: torch.randn(n, 2, generator=g, dtype=torch.float64),
        gaussian(unit[0] * 0, unit),
    )


def dispersion(population: Population, noise: LocationScale, level: Tensor, queries: int, rows: int) -> Estimate | None:
    """Scatter of the variance of the score's label within a level, or None where rows alone cannot tell."""
    generator = torch.Generator().manual_seed(0)
    t = time_of(noise, level).expand(queries)
    if isinstance(noise, Gaussian):
        draw = noise.draw(population.sample(queries, generator), t, generator)
        return relative_variance(population.truth(draw.x_t, t).cov.trace)
    behind = population.sample(rows, generator) if population.rows is None else population.rows[:rows]
    denoiser = exact(behind, noise, Diagonal)
    draw = noise.draw(behind[torch.randint(len(behind), (queries,), generator=generator)], t, generator)
    if float(denoiser.effective_size(draw.x_t, t).median()) < LEAST:
        return None
    return relative_variance(denoiser.belief(Target(noise, 1, Pure()).label, draw.x_t, t).cov.trace)


def experiment(quick: bool) -> tuple[dict[str, Any], Figure]:
    """Measure and draw."""
    line_of_rows = gaussians(1)
    levels = torch.logspace(-1.3, 1, 8 if quick else 47, dtype=torch.float64)
    few = torch.logspace(-1, 1, 3 if quick else 9, dtype=torch.float64)
    queries, rows = (60, 100) if quick else (600, 1_000)
    populations = [control(), gaussians(2), *([] if quick else [gaussians(10), moons(), digits()])]
    if not quick and on_disk("credit_default_train"):
        populations.append(credit())
    names = [line_of_rows.name, *(p.name for p in populations)]
    figure, axes = panels(2, len(NOISES), height=1.8)
    found: dict[str, Any] = {}
    for column, (name, noise) in enumerate(NOISES.items()):
        cells = [conditional(line_of_rows, noise, level, grid=301 if quick else 801) for level in levels]
        places = torch.linspace(-3, 3, 121, dtype=torch.float64)
        share = torch.stack([_at(places, c.x_t, c.variance) * level**2 for c, level in zip(cells, levels, strict=True)])
        image = axes[0, column].pcolormesh(levels, places, share.T, vmin=0, vmax=1.25, cmap="cividis", rasterized=True)
        axes[0, column].set(xscale="log", title=f"{name} noise", xlabel="noise level")
        figure.colorbar(image, ax=axes[0, column], extend="max", pad=0.02)
        spreads = {line_of_rows.name: _line([_moment(c.mass, c.variance) for c in cells], levels)}
        line(axes[1, column], levels, spreads[line_of_rows.name]["value"], 0, line_of_rows.name)
        for index, population in enumerate(populations, start=1):
            if not isinstance(noise, Gaussian) and population.name in {"Credit Default", "Gaussian, 2-d"}:
                continue
            estimates = [dispersion(population, noise, level, queries, rows) for level in few]
            values = torch.tensor([float(e.value) if e else float("nan") for e in estimates], dtype=torch.float64)
            errors = [float(e.se) if e else float("nan") for e in estimates]
            spreads[population.name] = {
                "level": rounded(few),
                "value": [None if e is None else rounded(e.value) for e in estimates],
                "se": [None if e is None else rounded(e.se) for e in estimates],
            }
            line(axes[1, column], few, values, index, population.name, torch.tensor(errors), marker=".", markersize=3)
        axes[1, column].set_yscale("symlog", linthresh=0.1)
        axes[1, column].set(xscale="log", xlabel="noise level", ylim=(-0.02, 10))
        found[name] = {
            "squared coefficient of variation within a level": spreads,
            "variance over that of the noise alone, 1-d mixture, range over x_t at level 0.5": rounded(
                torch.stack(_extent(cells[int((levels - 0.5).abs().argmin())], levels[(levels - 0.5).abs().argmin()]))
            ),
        }
    axes[0, 0].set_ylabel("noisy row")
    axes[1, 0].set_ylabel("squared CV of variance")
    legend_below(figure, axes[1, 0], len(names))
    return {"seeds": [0], "populations": names, "queries": queries, "rows under other noises": rows, **found}, figure


def _moment(mass: Tensor, variance: Tensor) -> Tensor:
    mean = mass @ variance
    return mass @ (variance - mean).square() / mean.square()


def _line(values: list[Tensor], levels: Tensor) -> dict[str, Any]:
    return {"level": rounded(levels), "value": rounded(torch.stack(values))}


def _extent(found: Any, level: Tensor) -> tuple[Tensor, Tensor]:
    central = (found.mass.cumsum(0) > 0.005) & (found.mass.cumsum(0) < 0.995)
    return found.variance[central].min() * level**2, found.variance[central].max() * level**2


def _at(places: Tensor, x: Tensor, y: Tensor) -> Tensor:
    right = torch.searchsorted(x, places).clamp(1, len(x) - 1)
    share = (places - x[right - 1]) / (x[right] - x[right - 1])
    return torch.lerp(y[right - 1], y[right], share)


if __name__ == "__main__":
    run(__file__, __doc__, experiment)
