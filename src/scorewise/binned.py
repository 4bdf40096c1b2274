"""Beliefs about numbers whose prior is standard normal, as mixtures over bins: not the mean alone, the distribution."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

FARTHEST = 12.0
"""Standard deviations beyond which a normal distribution is taken to have no mass."""
LEAST_MASS = 1e-20
LEAST_RATIO = 1e-13
"""Share of the untilted belief, beside the most likely factor of 1, that is left in every belief."""


def truncated(edges: Tensor, centre: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    """Mass and first moment of a normal distribution in each bin.

    With `t = (edges - centre) / spread` they are `Phi(t_(k+1)) - Phi(t_k)` and `phi(t_k) - phi(t_(k+1))`, so that
    `centre + spread first_k / mass_k` is the mean of the normal distribution cut to bin k.

    Args:
        edges: non-decreasing edges of the K bins of each coordinate, shape (n, K + 1).
        centre: means, shape (B, n).
        spread: standard deviations, shape (B, 1) or (B, n).

    Returns:
        Masses, at least `LEAST_MASS`, and first moments in standard deviations, each of shape (B, n, K).
    """
    root, far = math.sqrt(0.5), FARTHEST * math.sqrt(0.5)
    t = (edges - centre[..., None]).mul_(root / spread[..., None]).clamp(-far, far)
    mass = torch.erf(t).diff(dim=-1).mul_(0.5).clamp(min=LEAST_MASS)
    density = t.square().neg_().exp_()
    return mass, (density[..., :-1] - density[..., 1:]).mul_(root / math.sqrt(math.pi))


class Binned(NamedTuple):
    """Beliefs about n coordinates: under the prior N(0, 1) tilted by a factor that is constant in each bin.

    Noise of standard deviation sigma turns the prior into `N(m, s^2)` with `m = x_t / (1 + sigma^2)` and
    `s^2 = sigma^2 / (1 + sigma^2)`. With log-ratios r of the factors the belief about a coordinate is
    `p(x) = exp(r_k) N(x; m, s^2) / Z` for x in bin k, with `Z = sum_k exp(r_k) mass_k`; its mean is
    `m + s sum_k exp(r_k) first_k / Z` and the probability of bin k `exp(r_k) mass_k / Z`. With `r = 0` it is the exact
    posterior of the prior. A point mass whose scores fill a bin, and any distribution that is smooth beside the bins,
    is in the family at every noise level.

    Attributes:
        edges: edges of the bins, shape (n, K + 1).
        log_ratio: log-ratios r, shape (B, n, K).
        mass: masses of the bins before they are tilted, shape (B, n, K).
        log_evidence: log Z, shape (B, n).
        mean: means of the beliefs, shape (B, n).

    Reference: derived; Hoogeboom, Cohen, Tomczak, "Learning discrete distributions by dequantization", 2020 (the
    likelihood of a bin).
    """

    edges: Tensor
    log_ratio: Tensor
    mass: Tensor
    log_evidence: Tensor
    mean: Tensor

    @classmethod
    def tilted(
        cls,
        log_ratio: Tensor,
        edges: Tensor,
        centre: Tensor,
        spread: Tensor,
        moments: tuple[Tensor, Tensor] | None = None,
    ) -> "Binned":
        """Tilt the posterior of the prior.

        Args:
            log_ratio: log-ratios r, shape (B, n, K), in any dtype.
            edges: edges of the bins, shape (n, K + 1).
            centre: the m of each row, shape (B, n).
            spread: the s of each row, shape (B, 1).
            moments: `truncated(edges, centre, spread)`, where the caller has it.

        Returns:
            The beliefs.
        """
        log_ratio = log_ratio.to(centre.dtype)
        mass, first = moments or truncated(edges, centre, spread)
        peak = log_ratio.detach().amax(-1, keepdim=True)
        ratio = (log_ratio - peak).exp()
        evidence = (ratio * mass).sum(-1) + LEAST_RATIO
        mean = centre + spread * ((ratio * first).sum(-1) / evidence)
        return cls(edges, log_ratio, mass, evidence.log() + peak[..., 0], mean)

    @property
    def probabilities(self) -> Tensor:
        """Probability of each bin, shape (B, n, K)."""
        tilted = (self.log_ratio - self.log_evidence[..., None]).exp() * self.mass
        normalised: Tensor = tilted / tilted.sum(-1, keepdim=True)
        return normalised

    def cross_entropy(self, y: Tensor) -> Tensor:
        """Negative log-probability of the bins that labels lie in.

        Args:
            y: labels, shape (B, n).

        Returns:
            In nats, shape (B, n).
        """
        above = y.detach()[..., None] >= self.edges[:, 1:-1]
        bins = above.sum(-1, keepdim=True, dtype=torch.int32).long()
        log_p: Tensor = (
            self.log_ratio.gather(-1, bins) + self.mass.gather(-1, bins).log() - self.log_evidence[..., None]
        )
        return -log_p[..., 0]
