"""Allocation of noise levels: from which density they are drawn, and in which order the sampler visits them."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from scorewise.interpolation import interpolate

Base = Callable[[Tensor], Tensor]
"""The density in the loss: of edges of buckets in `log sigma`, shape (K + 1,), to the mass of each, shape (K,)."""

Rule = Callable[[Tensor, Tensor], Tensor]
"""How levels are drawn: of the base and a running mean, each of shape (K,), to an unnormalised density, shape (K,)."""


def log_uniform(edges: Tensor) -> Tensor:
    """Base that is even in `log sigma`.

    Args:
        edges: in `log sigma`, shape (K + 1,).

    Returns:
        Masses, shape (K,).
    """
    return edges.diff()


def log_normal(centre: float, spread: float) -> Base:
    """Base with `log sigma ~ N(centre, spread^2)`; EDM has `log_normal(-1.2, 1.2)` for data of standard deviation 0.5.

    Args:
        centre: mean of `log sigma`.
        spread: standard deviation of `log sigma`.

    Returns:
        The base.

    Reference: Karras, Aittala, Aila, Laine, "Elucidating the design space of diffusion-based generative models", 2022,
    Table 1.
    """

    def masses(edges: Tensor) -> Tensor:
        below: Tensor = torch.special.ndtr((edges - centre) / spread)
        return below.diff()

    return masses


WIDE = log_normal(-1.0, 1.4)
"""The base of tables: EDM's, wider, since most columns are learned at levels of their own."""


def as_it_is(base: Tensor, mean: Tensor) -> Tensor:
    """Draw from the base itself; nothing is learned.

    Args:
        base: shape (K,).
        mean: unused.

    Returns:
        The base.
    """
    del mean
    return base


def minimum_variance(base: Tensor, mean: Tensor) -> Tensor:
    """Draw from `pi* ~ base * sqrt(m2)`, by which the gradient has the least variance.

    Only the product of weight and density enters the expected loss. With levels from pi and importance weights
    `base / pi`, the variance of a one-row gradient is `sum base^2 m2 / pi - |E g|^2`, with `m2 = E|g_t|^2` of the
    unweighted gradient at a level; pi* makes it `(sum base sqrt(m2))^2 - |E g|^2`, the least there is (Cauchy-Schwarz).
    If the variance within a level, `tr Cov(g | level)`, is observed instead of m2, it is Neyman's allocation, the best
    one for stratified draws of large batches, which have no variance between levels.

    Args:
        base: shape (K,).
        mean: running mean of the squared gradient, or of what stands for it; below 0 is taken for 0, shape (K,).

    Returns:
        The density, unnormalised, shape (K,).

    Reference: Katharopoulos, Fleuret, "Not all samples are created equal", 2018, eq. 6 (importance by gradient norm);
    the form for levels is derived in this project.
    """
    return base * mean.clamp(min=0).sqrt()


def loss_slope(base: Tensor, mean: Tensor) -> Tensor:
    """Draw where the loss rises with the level, `pi ~ d loss / d log sigma`: the loss is the distribution function.

    NOTE[DIFF]: the originals fit a parametric curve to the loss and draw without importance weights, which changes
    what the loss weighs; here the curve is the running mean, and the weights keep the expected loss as it was.

    Args:
        base: unused.
        mean: running mean of the unweighted loss on the scale of clean rows, which rises with the level, shape (K,).

    Returns:
        The slope where it is positive, shape (K,).

    References:
        Dieleman et al., "Continuous diffusion for categorical data", 2022 (time warping); Mueller, Gruber, Fok,
        "Continuous diffusion for mixed-type tabular data", 2023 (adaptive noise schedules).
    """
    del base
    (slope,) = torch.gradient(mean)
    return slope.clamp(min=0)


def gradient_variance(base: Tensor, density: Tensor, mean_square: Tensor, squared_mean: float = 0.0) -> Tensor:
    """Variance of the importance-weighted gradient of one row, `sum base^2 m2 / density - |E g|^2`.

    Args:
        base: density in the loss, normalised, shape (K,).
        density: density of the draws, normalised, shape (K,).
        mean_square: `m2 = E|g_t|^2` of the unweighted gradient at each level, shape (K,).
        squared_mean: `|E g|^2`; it does not depend on the density of the draws.

    Returns:
        The variance, a scalar.
    """
    return (base.square() * mean_square / density).sum() - squared_mean


class LevelDensity:
    """A density of noise levels: draws follow a rule, importance weights keep the expected loss that of the base.

    The loss to minimise is the mean over the base, cut to `[low, high]`. Levels are drawn from the density that the
    rule makes of the base and of a running mean in each of a number of buckets, mixed with some of the base, which
    bounds the weights `base / density` by `1 / explore`. What is averaged is what is observed: squared norms of
    gradients, or squared residuals, which stand for them when the residual, not the Jacobian, makes the gradient's
    size. Draws are stratified: a batch of B has one level in each B-th part of the density.

    Levels are standard deviations of variance-exploding noise, `sqrt(h) / alpha` for any other schedule, so that
    buckets even in `log sigma` are even in the logarithm of the signal-to-noise ratio, `-2 log sigma`.

    NOTE[DIFF]: the square is averaged and its root taken afterwards; the mean of roots would be too small.

    Args:
        low: smallest standard deviation, > 0.
        high: largest standard deviation, > low.
        base: the density in the loss.
        rule: how levels are drawn.
        explore: share of the base in the density, above 0, at most 1.
        buckets: number of buckets, K, equal in `log sigma`, at least 2.
        momentum: share of the running mean kept at each observation of a bucket.

    Raises:
        ValueError: if not `0 < low < high`, `0 < explore <= 1` and `buckets >= 2`, or the base gives no masses.

    References:
        Karras et al., "Elucidating the design space of diffusion-based generative models", 2022, Table 1 (log-normal);
        Kingma, Salimans, Poole, Ho, "Variational diffusion models", 2021, appendix I.1 (low-discrepancy levels).
    """

    def __init__(
        self,
        low: float,
        high: float,
        base: Base = WIDE,
        rule: Rule = minimum_variance,
        explore: float = 0.1,
        buckets: int = 64,
        momentum: float = 0.98,
    ) -> None:
        if not 0 < low < high:
            raise ValueError(f"low and high must satisfy 0 < low < high, however: {low=}, {high=}.")
        if not 0 < explore <= 1 or buckets < 2:
            raise ValueError(f"0 < explore <= 1 and buckets >= 2 must hold, however: {explore=}, {buckets=}.")
        edges = torch.linspace(math.log(low), math.log(high), buckets + 1, dtype=torch.float64)
        mass = base(edges)
        if mass.shape != (buckets,) or not bool((mass >= 0).all()) or not float(mass.sum()) > 0:
            raise ValueError(
                f"base must return a mass of 0 or more for each of {buckets} buckets, not all 0, however: "
                f"mass.shape={tuple(mass.shape)}, with {int((mass > 0).sum())} positive. Widen the base or [low, high]."
            )
        self.low, self.high, self.rule, self.explore, self.momentum = low, high, rule, explore, momentum
        self.base: Tensor = (mass / mass.sum()).float()
        self.mean_square = torch.zeros(buckets)
        self.seen = torch.zeros(buckets)

    @property
    def density(self) -> Tensor:
        """Probability of each bucket, shape (buckets,). A rule that gives 0 everywhere leaves the base."""
        if not bool((self.seen > 0).any()):
            return self.base
        mean = torch.where(self.seen > 0, self.mean_square, self.mean_square[self.seen > 0].mean())
        raised = self.rule(self.base, mean)
        if not bool((raised > 0).any()):
            return self.base
        mixed: Tensor = (1 - self.explore) * raised / raised.sum() + self.explore * self.base
        return mixed

    def draw(self, size: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw levels.

        Args:
            size: number of levels, B.
            generator: source of randomness (on the CPU).

        Returns:
            Levels in random order, shape (B,), and importance weights of mean 1 under the density, shape (B,).
        """
        density = self.density
        jitter = torch.rand(size, generator=generator, dtype=torch.float64)
        ends = density.double().cumsum(0)
        u = (torch.randperm(size, generator=generator) + jitter) / size * ends[-1]
        bucket = torch.searchsorted(ends, u, right=True).clamp(max=len(density) - 1)
        inside = (1 - (ends[bucket] - u) / density[bucket]).clamp(0, 1)
        position = (bucket + inside) / len(density)
        sigma_t = (math.log(self.low) + position * math.log(self.high / self.low)).exp().float()
        return sigma_t, self.base[bucket] / density[bucket]

    def observe(self, sigma_t: Tensor, square: Tensor) -> None:
        """Update the running means.

        Args:
            sigma_t: levels, shape (B,).
            square: what the rule asks for at these levels, unweighted: squared norms of gradients, squared residuals
                in their place, or losses; shape (B,).
        """
        buckets = len(self.base)
        position = (sigma_t / self.low).log() / math.log(self.high / self.low)
        bucket = (position * buckets).long().clamp(0, buckets - 1)
        count = torch.zeros(buckets).index_add_(0, bucket, torch.ones(len(bucket)))
        mean = torch.zeros(buckets).index_add_(0, bucket, square) / count.clamp(min=1)
        keep = torch.where(self.seen > 0, self.momentum, 0.0)
        self.mean_square = torch.where(count > 0, keep * self.mean_square + (1 - keep) * mean, self.mean_square)
        self.seen = self.seen + count


def log_levels(low: float, high: float, steps: int) -> Tensor:
    """Decreasing levels of a sampler, even in `log sigma`, then 0.

    Args:
        low: last positive level.
        high: first level.
        steps: number of positive levels, at least 2.

    Returns:
        Levels, shape (steps + 1,), the last one 0.

    Raises:
        ValueError: if fewer than 2 steps are asked for.
    """
    if steps < 2:
        raise ValueError(f"steps must be at least 2, however: {steps=}.")
    levels = torch.linspace(math.log(high), math.log(low), steps, dtype=torch.float64).exp()
    return torch.cat([levels, torch.zeros(1, dtype=torch.float64)])


def table_levels(low: float, high: float, steps: int) -> Tensor:
    """Decreasing levels of a sampler of tables, denser where most columns are decided, then 0.

    `log sigma` are quantiles of `0.3 U(log low, log high) + 0.7 N(-1/2, 2^2)`, the second cut to the range. The step of
    an exponential integrator errs by how much the posterior mean changes within it; of standardised columns that is
    most around the levels that training weighs most (`WIDE`), and next to nothing at both ends.

    Args:
        low: last positive level.
        high: first level.
        steps: number of positive levels, at least 2.

    Returns:
        Levels, shape (steps + 1,), the last one 0.

    Raises:
        ValueError: if fewer than 2 steps are asked for.

    Reference: derived here; what it saves is in `docs/performance.md`.
    """
    levels = log_levels(low, high, steps)
    grid = torch.linspace(math.log(high), math.log(low), 4_097, dtype=torch.float64)
    above = torch.special.ndtr((grid + 0.5) / 2.0)
    passed = 0.3 * torch.linspace(0, 1, len(grid), dtype=torch.float64)
    passed += 0.7 * (above[0] - above) / (above[0] - above[-1])
    aims = torch.linspace(0, 1, steps, dtype=torch.float64)
    levels[:-1] = interpolate(aims, passed, grid).exp()
    return levels
