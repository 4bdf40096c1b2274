"""Noise levels: from which density they are drawn, and in which order the sampler visits them."""

import math

import torch
from torch import Tensor


class LevelDensity:
    """A density of noise levels on a log-uniform base, re-weighted towards levels where the loss is large.

    The range `[log low, log high]` is cut into equal buckets; a running average of the loss in each bucket, plus a
    floor of a tenth of their mean, is the density between buckets. Draws are stratified, so a batch covers the
    density evenly, and each comes with the weight that keeps the expected loss that of the log-uniform base.

    Args:
        low: smallest standard deviation, > 0.
        high: largest standard deviation, > low.
        buckets: number of buckets.
        momentum: share of the running average kept at each observation of a bucket.

    Raises:
        ValueError: if not `0 < low < high`.

    References:
        Kingma, Salimans, Poole, Ho, "Variational diffusion models", 2021, appendix I.1 (low-discrepancy levels);
        Nichol, Dhariwal, "Improved denoising diffusion probabilistic models", 2021, eq. 18 (importance by loss).
    """

    def __init__(self, low: float, high: float, buckets: int = 64, momentum: float = 0.98) -> None:
        if not 0 < low < high:
            raise ValueError(f"low and high must satisfy 0 < low < high, however: {low=}, {high=}.")
        self.low, self.high, self.momentum = low, high, momentum
        self.mean_loss = torch.zeros(buckets)
        self.seen = torch.zeros(buckets)

    @property
    def density(self) -> Tensor:
        """Probability of each bucket, shape (buckets,)."""
        buckets = len(self.mean_loss)
        if not bool((self.seen > 0).all()):
            return torch.full((buckets,), 1 / buckets)
        raised = self.mean_loss + 0.1 * self.mean_loss.mean() + 1e-12
        return raised / raised.sum()

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
        return sigma_t, 1 / (density[bucket] * len(density))

    def observe(self, sigma_t: Tensor, loss: Tensor) -> None:
        """Update the running averages.

        Args:
            sigma_t: levels, shape (B,).
            loss: losses at these levels without importance weights, in nats, shape (B,).
        """
        buckets = len(self.mean_loss)
        position = (sigma_t / self.low).log() / math.log(self.high / self.low)
        bucket = (position * buckets).long().clamp(0, buckets - 1)
        count = torch.zeros(buckets).index_add_(0, bucket, torch.ones(len(bucket)))
        mean = torch.zeros(buckets).index_add_(0, bucket, loss) / count.clamp(min=1)
        keep = torch.where(self.seen > 0, self.momentum, 0.0)
        self.mean_loss = torch.where(count > 0, keep * self.mean_loss + (1 - keep) * mean, self.mean_loss)
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
