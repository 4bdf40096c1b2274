"""A loss in the manner of EDM that takes any weight: a level goes in, a weight comes out.

EDM's own weight is the optimal one for Gaussian rows. For other rows the best weight that depends on the level alone is
measured once, from the rows, and put in its place.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from scorewise.assumed import edm, weight
from scorewise.empirical import exact
from scorewise.noise import Gaussian
from scorewise.parameterisation import clean
from scorewise.weighting import level_means, per_level

Weight = Callable[[Tensor], Tensor]


def edm_weight(sigma: Tensor) -> Tensor:
    """Give `(sigma^2 + sigma_data^2) / (sigma sigma_data)^2` for sigma_data = 0.5."""
    return weight(edm(0.5), clean(), sigma)


def measured_weight(rows: Tensor, levels: Tensor, generator: torch.Generator) -> Weight:
    """Make the weight `d / E[tr Cov[x | x_t] | sigma]` from the rows."""
    cov = per_level(level_means(exact(rows), Gaussian(), rows, levels, generator))
    return lambda sigma: 1 / cov(sigma[:, None], sigma).diag[:, 0]


def edm_loss(
    denoise: Callable[[Tensor, Tensor], Tensor], x: Tensor, weigh: Weight, generator: torch.Generator
) -> Tensor:
    """Draw log-normal levels and weigh the squared error of the clean rows, shape (B,)."""
    sigma = (1.2 * torch.randn(len(x), generator=generator) - 1.2).exp()
    x_t = x + sigma[:, None] * torch.randn(x.shape, generator=generator)
    return weigh(sigma) * (denoise(x_t, sigma) - x).square().mean(1)


if __name__ == "__main__":
    generator = torch.Generator().manual_seed(0)
    rows = 0.5 * torch.sign(torch.randn(400, 2, generator=generator)) + 0.1 * torch.randn(400, 2, generator=generator)
    levels = torch.logspace(-1, 1, 9)
    measured = measured_weight(rows, levels, generator)
    for sigma, one, other in zip(levels.tolist(), edm_weight(levels).tolist(), measured(levels).tolist(), strict=True):
        print(f"sigma {sigma:6.3f}   EDM {one:9.2f}   measured {other:9.2f}")
    for name, weigh in (("EDM", edm_weight), ("measured", measured)):
        loss = edm_loss(lambda x_t, sigma: exact(rows)(x_t, sigma).mean, rows, weigh, generator)
        print(f"loss of the exact denoiser, {name}: {float(loss.mean()):.3f}")
