"""Prolonged training on noisy labels overfits, and memorises: for a kernel, the theory's network, a real network.

    python -m experiments.stopping.overfit [--quick] [--out FOLDER]

A mixture in ten dimensions; its rows are noised at levels between 0.1 and 3. The kernel (closed form) and the two-layer
network (full-batch gradient descent) learn from eight noisy copies of each row, the denoising network of the library
from fresh noise at every step (Adam, batches of 128). Along each path: the loss on training rows, the loss on new rows,
both whitened so that a row's prior alone has loss 1, and the share of samples that are memorised, that is three times
nearer to their nearest training row than to the second. The time of memorisation is the first step at which a tenth
of the samples is memorised.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from experiments.result import rounded, run
from experiments.stopping.population import mixture
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from scorewise.coupling import slope
from scorewise.covariance import Diagonal
from scorewise.descent import Path
from scorewise.difference import REACH
from scorewise.network import Layout, Moments, TableDenoiser
from scorewise.noise import Gaussian
from scorewise.posterior import Denoiser, Posterior
from scorewise.sample import multistep
from scorewise.schedule import ve
from scorewise.shallow import TwoLayer, gradient_descent
from scorewise.stopping import geometric_steps
from scorewise.tangent import tangent_kernel
from scorewise.train import loss

WIDTH, COPIES, LOW, HIGH, BATCH = 10, 8, 0.1, 3.0, 128
NOISE = Gaussian(ve())
LADDER = torch.cat([torch.logspace(0.4771, -1, 20, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)])


class Point(NamedTuple):
    """Where a path stands."""

    step: int
    train: float
    new: float
    memorised: float


class Data:
    """Rows, noisy copies of them, and new rows, each noised at log-uniform levels; standardised together."""

    def __init__(self, rows: int, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        population = mixture(WIDTH)
        self.scale = population.scale
        self.rows = population.sample(rows, self.generator)
        self.train = self.noised(self.rows.repeat_interleave(COPIES, 0))
        self.new = self.noised(population.sample(2_000, self.generator))

    def noised(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Noisy rows, levels and labels."""
        u = torch.rand(len(x), generator=self.generator, dtype=torch.float64)
        sigma_t = LOW * (HIGH / LOW) ** u
        draw = NOISE.draw(x, sigma_t, self.generator)
        return draw.x_t, sigma_t, x

    def inputs(self, x_t: Tensor, sigma_t: Tensor) -> Tensor:
        """Inputs of kernel and two-layer network: the row scaled to variance 1, the level, 1."""
        total = (self.scale + sigma_t.square()).sqrt()[:, None]
        return torch.cat([x_t / total, 0.5 * sigma_t.log()[:, None], torch.ones_like(total)], 1)

    def prior(self, x_t: Tensor, sigma_t: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the clean row given the noisy one, for Gaussian rows of the same variance."""
        s2 = sigma_t.square()[:, None]
        return self.scale / (self.scale + s2) * x_t, (self.scale * s2 / (self.scale + s2)).sqrt()

    def loss(self, denoise: Callable[[Tensor, Tensor], Tensor], noisy: tuple[Tensor, Tensor, Tensor]) -> float:
        """Mean squared whitened residual per coordinate."""
        x_t, sigma_t, x = noisy
        return float(((denoise(x_t, sigma_t) - x) / self.prior(x_t, sigma_t)[1]).square().mean())

    def memorised(self, denoise: Callable[[Tensor, Tensor], Tensor], size: int = 300) -> float:
        """Share of samples that are copies of training rows."""

        def posterior(x_t: Tensor, sigma_t: Tensor) -> Posterior:
            mean = denoise(x_t, sigma_t)
            return Posterior(mean, Diagonal(torch.ones_like(mean)))

        generator = torch.Generator().manual_seed(0)
        start = LADDER[0] * torch.randn(size, WIDTH, generator=generator, dtype=torch.float64)
        denoiser: Denoiser = posterior
        *_, last = multistep(denoiser, start * (1 + self.scale / HIGH**2) ** 0.5, LADDER)
        nearest = torch.cdist(last.x, self.rows).topk(2, largest=False).values
        return float((nearest[:, 0] * 3 < nearest[:, 1]).double().mean())

    def point(self, step: int, denoise: Callable[[Tensor, Tensor], Tensor]) -> Point:
        """Measure a denoiser."""
        return Point(step, self.loss(denoise, self.train), self.loss(denoise, self.new), self.memorised(denoise))


def kernel(data: Data, last: int) -> Iterator[Point]:
    """Path of kernel gradient descent on the whitened correction of the Gaussian prior's mean."""
    x_t, sigma_t, x = data.train
    mean, deviation = data.prior(x_t, sigma_t)
    inputs = data.inputs(x_t, sigma_t)
    label = (x - mean) / deviation
    path = Path(tangent_kernel(inputs, inputs), label, Diagonal(torch.ones_like(label)))
    rate = 1 / float(path.values.max())
    for step in geometric_steps(last, 22).tolist():
        weights = path.weights(rate, torch.tensor([step]))[0]

        def denoise(x_t: Tensor, sigma_t: Tensor, weights: Tensor = weights) -> Tensor:
            mean, deviation = data.prior(x_t, sigma_t)
            return mean + deviation * (tangent_kernel(data.inputs(x_t, sigma_t), inputs) @ weights)

        yield data.point(step, denoise)


def shallow(data: Data, last: int) -> Iterator[Point]:
    """Two-layer network of width 1,024 by full-batch gradient descent on the same labels as the kernel."""
    x_t, sigma_t, x = data.train
    mean, deviation = data.prior(x_t, sigma_t)
    inputs = data.inputs(x_t, sigma_t).float()
    label = ((x - mean) / deviation).float()
    network = TwoLayer(inputs.shape[1], WIDTH, 1024, train_output=True, generator=torch.Generator().manual_seed(0))
    largest = float(torch.linalg.eigvalsh(tangent_kernel(inputs, inputs) / len(inputs)).max())
    one = Diagonal(torch.ones_like(label))

    def denoise(x_t: Tensor, sigma_t: Tensor) -> Tensor:
        mean, deviation = data.prior(x_t, sigma_t)
        with torch.no_grad():
            return mean + deviation * network(data.inputs(x_t, sigma_t).float()).double()

    wanted = set(geometric_steps(last, 16).tolist())
    for step, _ in enumerate(gradient_descent(network, lambda: network(inputs), label, one, 0.75 / largest)):
        if step in wanted:
            yield data.point(step, denoise)
        if step >= last:
            return


def network(data: Data, last: int) -> Iterator[Point]:
    """The denoising network of the library by Adam on fresh noise."""
    unit = data.scale**0.5  # the network expects coordinates of variance 1
    rows = data.rows.float() / unit
    edges = torch.special.ndtri(torch.linspace(0, 1, 17)).clamp(-40, 40).repeat(WIDTH, 1)
    values = torch.linspace(-REACH, REACH, 101, dtype=torch.float64).repeat(WIDTH, 1)
    moments = Moments(torch.zeros(WIDTH), torch.eye(WIDTH), torch.zeros(0), edges, values)
    net = TableDenoiser(Layout(WIDTH, ()), moments, 128, 2, torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    generator = torch.Generator().manual_seed(1)

    def denoise(x_t: Tensor, sigma_t: Tensor) -> Tensor:
        with torch.no_grad():
            return net(x_t.float() / unit, sigma_t.float() / unit).mean.double() * unit

    wanted = set(geometric_steps(last, 22).tolist())
    for step in itertools.count():
        if step in wanted:
            yield data.point(step, denoise)
        if step >= last:
            return
        x = rows[torch.randint(len(rows), (BATCH,), generator=generator)]
        sigma_t = LOW * (HIGH / LOW) ** torch.rand(BATCH, generator=generator) / unit
        draw = NOISE.draw(x, sigma_t, generator)
        optimizer.zero_grad()
        loss(net(draw.x_t, sigma_t), x).objective.mean().backward()
        optimizer.step()


PATHS = {"kernel": kernel, "two-layer network": shallow, "denoising network": network}


def memorisation_time(points: list[Point]) -> float:
    """First step at which a tenth of the samples is memorised, interpolated in the logarithm; inf if there is none."""
    for before, after in itertools.pairwise(points):
        if before.memorised < 0.1 <= after.memorised:
            share = (0.1 - before.memorised) / (after.memorised - before.memorised)
            return float(max(before.step, 1) * (after.step / max(before.step, 1)) ** share)
    return float("inf")


def experiment(quick: bool) -> tuple[dict[str, Any], Figure]:
    """Measure and draw."""
    sizes = [25] if quick else [25, 50, 100, 200]
    lengths = {
        "kernel": 10**3 if quick else 10**7,
        "two-layer network": 30 if quick else 3_000,
        "denoising network": 60 if quick else 5_000,
    }
    seeds = [0] if quick else [0, 1, 2]
    found: dict[str, dict[int, list[list[Point]]]] = {}
    for name, path in PATHS.items():
        sized = {"kernel": sizes[:3], "two-layer network": sizes[:2], "denoising network": sizes}[name]
        found[name] = {n: [list(path(Data(n, seed), lengths[name])) for seed in seeds] for n in sized}
    figure, axes = plt.subplots(2, len(PATHS), figsize=(4 * len(PATHS), 5.2), sharex="col", squeeze=False)
    result: dict[str, Any] = {"seeds": seeds, "rows": sizes, "paths": {}}
    for p, (name, by_rows) in enumerate(found.items()):
        said: dict[str, Any] = {}
        times = []
        for i, (n, runs) in enumerate(by_rows.items()):
            steps = [point.step for point in runs[0]]
            curves = torch.tensor([[point[1:] for point in one] for one in runs])  # (seeds, points, 3)
            middle = curves.mean(0)
            axes[0, p].plot(steps, middle[:, 0], ":", color=f"C{i}")
            axes[0, p].plot(steps, middle[:, 1], "-", color=f"C{i}", label=f"{n} rows")
            axes[1, p].plot(steps, middle[:, 2], "-", color=f"C{i}")
            times.append([memorisation_time(one) for one in runs])
            best = curves[:, :, 1].argmin(1)
            said[str(n)] = {
                "steps": steps,
                "train": rounded(middle[:, 0]),
                "new": rounded(middle[:, 1]),
                "sd of new": rounded(curves[:, :, 1].std(0)) if len(seeds) > 1 else None,
                "memorised": rounded(middle[:, 2]),
                "best step": [steps[int(b)] for b in best],
                "memorisation step": [round(t, 1) if t < float("inf") else None for t in times[-1]],
            }
        typical = torch.tensor(times, dtype=torch.float64).log().mean(1).exp()
        said["exponent of the memorisation step in the rows"] = (
            rounded(slope(torch.tensor(list(by_rows), dtype=torch.float64), typical))
            if len(by_rows) > 1 and bool(typical.isfinite().all())
            else None
        )
        result["paths"][name] = said
        axes[0, p].set(xscale="symlog", yscale="log", title=name, ylim=(0.05, 2))
        axes[1, p].set(xscale="symlog", xlabel="steps")
    axes[0, 0].set_ylabel("loss (dotted: training rows)")
    axes[1, 0].set_ylabel("samples memorised")
    axes[0, -1].legend(fontsize=8)
    figure.tight_layout()
    return result, figure


if __name__ == "__main__":
    run(__file__, __doc__, experiment)
