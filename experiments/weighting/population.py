"""Populations of rows with mean 0 and variance 1 a coordinate, whose posteriors are known: what a network could learn.

Mixtures of Gaussians are known in closed form. Data sets become populations by a little Gaussian noise of their own:
a clean row is a row of the data, drawn with equal chances, plus `tau eps`. Two moons are that by definition.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from experiments.data import encoded
from torch import Tensor

from scorewise.covariance import Dense, Diagonal
from scorewise.empirical import exact
from scorewise.posterior import Denoiser, Mixture, Posterior, mixture


class Population(NamedTuple):
    """Rows that can be drawn without end, and the exact denoiser under variance-exploding Gaussian noise.

    Attributes:
        name: what it is.
        width: coordinates of a row, D.
        sample: of a number of rows and a generator, to rows in float64, shape (n, D).
        truth: posterior means and covariances; of high-dimensional data the variances of the coordinates alone.
        rows: the rows of the data, or None.
        tau: standard deviation of the noise that clean rows have around the rows of the data.
        closed: the mixture, or None.
    """

    name: str
    width: int
    sample: Callable[[int, torch.Generator], Tensor]
    truth: Denoiser
    rows: Tensor | None = None
    tau: float = 0.0
    closed: Mixture | None = None


def gaussians(width: int) -> Population:
    """Elongated components in random directions with random centres."""
    count = {1: 3, 2: 5}.get(width, 8)
    generator = torch.Generator().manual_seed(width)
    centre = torch.randn(count, width, generator=generator, dtype=torch.float64)
    basis = torch.linalg.qr(torch.randn(count, width, width, generator=generator, dtype=torch.float64))[0]
    spread = 0.02 * 15 ** torch.linspace(0, 1, width, dtype=torch.float64).expand(count, -1)
    cov = basis * spread[:, None] @ basis.mT
    share = torch.full((count,), 1 / count, dtype=torch.float64)
    centre = centre - centre.mean(0)
    scale = (centre.square().sum(1).mean() + spread.sum(1).mean()).div(width).sqrt()
    centre, root = centre / scale, torch.linalg.cholesky(cov / scale.square())
    closed = mixture(share, centre, cov / scale.square())

    def sample(rows: int, generator: torch.Generator) -> Tensor:
        part = torch.randint(count, (rows,), generator=generator)
        normal = torch.randn(rows, width, 1, generator=generator, dtype=torch.float64)
        return centre[part] + (root[part] @ normal)[..., 0]

    return Population(f"mixture, {width}-d", width, sample, closed, closed=closed)


def smoothed(name: str, data: Tensor, tau: float, kind: type[Dense] | type[Diagonal] = Dense) -> Population:
    """Rows of the data plus noise: `x_t` is one of them plus noise of variance `tau^2 + sigma^2`."""
    centred = data.double() - data.double().mean(0)
    rows = centred * ((1 - tau**2) / centred.square().mean()).sqrt()
    behind = exact(rows, kind=kind)

    def sample(count: int, generator: torch.Generator) -> Tensor:
        part = torch.randint(len(rows), (count,), generator=generator)
        return rows[part] + tau * torch.randn(count, rows.shape[1], generator=generator, dtype=torch.float64)

    def truth(x_t: Tensor, t: Tensor) -> Posterior:
        total = (tau**2 + t.square()).sqrt()
        share = (t / total).square()
        found = behind(x_t, total)
        mean = (1 - share)[:, None] * x_t + share[:, None] * found.mean
        return Posterior(mean, found.cov.affine(share.square(), tau**2 * share))

    return Population(name, rows.shape[1], sample, truth, rows, tau)


def moons() -> Population:
    """Two moons: 400 points on two half circles, with noise of a tenth of their radius."""
    from sklearn.datasets import make_moons

    points = torch.from_numpy(make_moons(400, noise=0.0, random_state=0)[0])
    scale = (points - points.mean(0)).square().mean().add(0.01).sqrt()
    return smoothed("two moons", points, float(0.1 / scale))


def digits() -> Population:
    """The 1,797 images of 8 x 8 pixels of scikit-learn's digits."""
    from sklearn.datasets import load_digits

    return smoothed("digits", torch.from_numpy(load_digits().data), 0.2, Diagonal)


def credit() -> Population:
    """4,000 encoded rows of Credit Default: normal scores and one-hot categories."""
    return smoothed("Credit Default", encoded("credit_default_train", 4_000), 0.1, Diagonal)
