"""Allocation of noise levels: from which density they are drawn, and in which order the sampler visits them."""

import math

import torch
from torch import Tensor


class LevelDensity:
    """A density of noise levels: log-normal, re-weighted towards levels where the gradient is large.

    The loss to minimise is the mean over the base density, `log sigma ~ N(centre, spread^2)` cut to `[low, high]`.
    Levels are drawn from `base * sqrt(m)` instead, with m a running mean of the squared residual in each of a number of
    buckets, mixed with a tenth of the base; a weight of `base / density` undoes the change in expectation. This is the
    density of smallest gradient variance when the residual, not the Jacobian, makes the gradient's size. Draws are
    stratified, so a batch covers the density evenly.

    Args:
        low: smallest standard deviation, > 0.
        high: largest standard deviation, > low.
        centre: mean of `log sigma` of the base.
        spread: standard deviation of `log sigma` of the base.
        buckets: number of buckets, equal in `log sigma`.
        momentum: share of the running mean kept at each observation of a bucket.

    Raises:
        ValueError: if not `0 < low < high`.

    References:
        Karras et al., "Elucidating the design space of diffusion-based generative models", 2022, Table 1 (log-normal);
        Kingma, Salimans, Poole, Ho, "Variational diffusion models", 2021, appendix I.1 (low-discrepancy levels);
        Katharopoulos, Fleuret, "Not all samples are created equal", 2018, eq. 6 (importance by gradient norm).
    """

    def __init__(
        self,
        low: float,
        high: float,
        centre: float = -1.0,
        spread: float = 1.4,
        buckets: int = 64,
        momentum: float = 0.98,
    ) -> None:
        if not 0 < low < high:
            raise ValueError(f"low and high must satisfy 0 < low < high, however: {low=}, {high=}.")
        self.low, self.high, self.momentum = low, high, momentum
        edges = torch.linspace(math.log(low), math.log(high), buckets + 1, dtype=torch.float64)
        mass = torch.special.ndtr((edges - centre) / spread).diff()
        self.base: Tensor = (mass / mass.sum()).float()
        self.mean_square = torch.zeros(buckets)
        self.seen = torch.zeros(buckets)

    @property
    def density(self) -> Tensor:
        """Probability of each bucket, shape (buckets,)."""
        if not bool((self.seen > 0).any()):
            return self.base
        square = torch.where(self.seen > 0, self.mean_square, self.mean_square[self.seen > 0].mean())
        raised = self.base * square.sqrt()
        mixed: Tensor = 0.9 * raised / raised.sum() + 0.1 * self.base
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
        u = (torch.randperm(size, generator=generator) + torch.rand(size, generator=generator)) / size
        cdf = density.cumsum(0)
        bucket = torch.searchsorted(cdf, u * cdf[-1]).clamp(max=len(density) - 1)
        position = (bucket + torch.rand(size, generator=generator)) / len(density)
        sigma_t = (math.log(self.low) + position * math.log(self.high / self.low)).exp()
        return sigma_t, self.base[bucket] / density[bucket]

    def observe(self, sigma_t: Tensor, square: Tensor) -> None:
        """Update the running means.

        Args:
            sigma_t: levels, shape (B,).
            square: squared norms of the residuals at these levels, shape (B,).
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
