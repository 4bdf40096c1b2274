"""Populations whose truth is known: Gaussian mixtures, made up or fitted to data, and noisy draws from them."""

from typing import NamedTuple

import torch
from experiments.data import encoded, on_disk
from torch import Tensor

from scorewise import posterior
from scorewise.covariance import Dense
from scorewise.noise import Gaussian
from scorewise.posterior import Denoiser
from scorewise.schedule import Schedule, ou

PROCESS = ou()


class Population(NamedTuple):
    """A mixture of Gaussians in standardised coordinates.

    Attributes:
        name: what it is.
        share: of the components, shape (K,).
        centre: shape (K, D).
        variance: covariances, shape (K, D, D).
    """

    name: str
    share: Tensor
    centre: Tensor
    variance: Tensor

    @property
    def width(self) -> int:
        """Number of coordinates, D."""
        return self.centre.shape[1]

    @property
    def scale(self) -> float:
        """Variance per coordinate."""
        mean = self.share @ self.centre
        within = self.share @ self.variance.diagonal(dim1=1, dim2=2)
        return float((within + self.share @ (self.centre - mean).square()).mean())

    def sample(self, rows: int, generator: torch.Generator) -> Tensor:
        """Draw clean rows, shape (rows, D)."""
        component = torch.multinomial(self.share, rows, replacement=True, generator=generator)
        normal = torch.randn(rows, self.width, 1, generator=generator, dtype=torch.float64)
        return self.centre[component] + (torch.linalg.cholesky(self.variance)[component] @ normal)[..., 0]

    def draw(self, rows: int, low: float, high: float, generator: torch.Generator, copies: int = 1) -> "Draw":
        """Draw clean rows and noise them at times uniform on [low, high], each `copies` times."""
        return self.noised(self.sample(rows, generator), low, high, generator, copies)

    def noised(self, clean: Tensor, low: float, high: float, generator: torch.Generator, copies: int = 1) -> "Draw":
        """Noise given rows, each `copies` times, and give the truth at the noisy rows."""
        row = torch.arange(len(clean)).repeat_interleave(copies)
        t = low + (high - low) * torch.rand(len(row), generator=generator, dtype=torch.float64)
        x_t = Gaussian(PROCESS).draw(clean[row], t, generator).x_t
        truth = self.denoiser(PROCESS)(x_t, t)
        return Draw(x_t, t, clean[row], row, truth.mean, truth.cov)

    def split(self, rows: int, seed: int) -> tuple[Tensor, Tensor]:
        """Draw training rows, shape (rows, D), and new rows, shape (4,000, D)."""
        generators = [torch.Generator().manual_seed(s) for s in (seed, 10_000 + seed)]
        return self.sample(rows, generators[0]), self.sample(4_000, generators[1])

    def denoiser(self, schedule: Schedule) -> Denoiser:
        """Mean and covariance of the clean row given the noisy one."""
        return posterior.mixture(self.share, self.centre, self.variance, schedule)


class Draw(NamedTuple):
    """Noisy rows with their labels and the truth; see `Population.draw`."""

    x_t: Tensor
    t: Tensor
    label: Tensor
    row: Tensor
    mean: Tensor
    cov: Dense

    @property
    def level(self) -> Tensor:
        """Variance of the noise over that of the signal, `h / alpha^2`, shape (n,)."""
        return (PROCESS.sigma(self.t) / PROCESS.alpha(self.t)).square()


def mixture(width: int, components: int = 5, seed: int = 0) -> Population:
    """Spherical components of different sizes with random centres."""
    generator = torch.Generator().manual_seed(seed)
    centre = torch.randn(components, width, generator=generator, dtype=torch.float64)
    variance = 0.05 + 0.25 * torch.rand(components, generator=generator, dtype=torch.float64)
    share = torch.full((components,), 1 / components, dtype=torch.float64)
    return Population(
        f"mixture, {width}-d", share, centre, variance[:, None, None] * torch.eye(width, dtype=torch.float64)
    )


def fitted(name: str, rows: Tensor, components: int, width: int) -> Population:
    """Mixture fitted to the first principal components of real rows, standardised together."""
    from sklearn.mixture import GaussianMixture

    centred = rows.double() - rows.double().mean(0)
    width = min(width, rows.shape[1])
    _, _, basis = torch.linalg.svd(centred, full_matrices=False)
    scores = centred @ basis[:width].T
    scores = scores / scores.square().mean().sqrt()
    model = GaussianMixture(components, reg_covar=1e-3, random_state=0).fit(scores.numpy())
    parts = (torch.from_numpy(part) for part in (model.weights_, model.means_, model.covariances_))
    return Population(name, *parts)


def moons() -> Population:
    """Two moons, as a mixture of 30 components fitted to 20,000 points."""
    from sklearn.datasets import make_moons

    points, _ = make_moons(20_000, noise=0.05, random_state=0)
    return fitted("moons", torch.from_numpy(points), 30, 2)


def digits() -> Population:
    """The digits of scikit-learn in 16 principal components, as a mixture of 10 components."""
    from sklearn.datasets import load_digits

    return fitted("digits, 16 components", torch.from_numpy(load_digits().data), 10, 16)


class Rows(NamedTuple):
    """Real rows, whose population is not known; shape (N, D)."""

    name: str
    values: Tensor

    @property
    def width(self) -> int:
        """Number of coordinates, D."""
        return self.values.shape[1]

    def split(self, rows: int, seed: int) -> tuple[Tensor, Tensor]:
        """Take training rows, shape (rows, D), and other rows, 4,000 at most."""
        order = torch.randperm(len(self.values), generator=torch.Generator().manual_seed(seed))
        return self.values[order[:rows]], self.values[order[rows : rows + 4_000]]


def table(name: str, rows: int = 8_000) -> Population:
    """A named table, encoded, in 16 principal components, as a mixture of 20 components."""
    return fitted(f"{name.replace('_', ' ')}, 16 components", encoded(name, rows), 20, 16)


def all_populations(*, quick: bool) -> list[Population]:
    """The data sets of the experiments; tables only where `SCOREWISE_DATA_HOME` names their folder."""
    if quick:
        return [mixture(2), moons()]
    found = [mixture(2), mixture(10), moons(), digits()]
    if on_disk("credit_default_train", "adult"):
        found += [table("credit_default_train"), table("adult")]
    return found
