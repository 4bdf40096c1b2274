"""Mixtures over bins against quadrature on a fine grid."""

import math

import torch
from torch import Tensor

from scorewise.binned import Binned, truncated

EDGES = torch.tensor([[-40.0, -1.0, 0.0, 0.3, 40.0], [-40.0, -0.5, -0.2, 1.0, 40.0]], dtype=torch.float64)


def _case(rows: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    centre = torch.randn(rows, 2, generator=generator, dtype=torch.float64)
    spread = torch.rand(rows, 1, generator=generator, dtype=torch.float64) + 0.2
    return torch.randn(rows, 2, 4, generator=generator, dtype=torch.float64), centre, spread


def _quadrature(log_ratio: Tensor, centre: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and bin probabilities of `exp(r) N(centre, spread^2)` by the midpoint rule, bin by bin."""
    means, masses = torch.empty_like(centre), torch.empty_like(log_ratio)
    for i in range(2):
        total, first = torch.zeros(len(centre), dtype=torch.float64), torch.zeros(len(centre), dtype=torch.float64)
        for k in range(4):
            low, high = (float(edge) for edge in EDGES[i, k : k + 2].clamp(-12, 12))
            x = low + (torch.arange(20_000, dtype=torch.float64) + 0.5) * (high - low) / 20_000
            density = torch.exp(-0.5 * ((x - centre[:, i, None]) / spread) ** 2) * log_ratio[:, i, k, None].exp()
            density = density * (high - low) / 20_000 / (spread * math.sqrt(2 * math.pi))
            masses[:, i, k] = density.sum(1)
            total, first = total + density.sum(1), first + (density * x).sum(1)
        means[:, i] = first / total
    return means, masses / masses.sum(2, keepdim=True)


def test_mean_and_probabilities_are_those_of_quadrature() -> None:
    log_ratio, centre, spread = _case()
    found = Binned.tilted(log_ratio, EDGES, centre, spread)
    mean, probabilities = _quadrature(log_ratio, centre, spread)
    torch.testing.assert_close(found.mean, mean, atol=1e-6, rtol=0)
    torch.testing.assert_close(found.probabilities, probabilities, atol=1e-6, rtol=0)


def test_cross_entropy_is_that_of_the_bin_which_holds_the_label() -> None:
    log_ratio, centre, spread = _case(3)
    found = Binned.tilted(log_ratio, EDGES, centre, spread)
    y = torch.tensor([[-3.0, -0.3], [0.0, -0.2], [9.0, 1.5]], dtype=torch.float64)
    bins = torch.tensor([[0, 1], [2, 2], [3, 3]])
    expected = -found.probabilities.gather(2, bins[..., None])[..., 0].log()
    torch.testing.assert_close(found.cross_entropy(y), expected)


def test_without_a_tilt_it_is_the_posterior_of_a_standard_normal_prior() -> None:
    sigma_t = torch.tensor([[0.002], [0.5], [80.0]], dtype=torch.float64)
    x_t = torch.tensor([[0.3, -1.0], [2.0, 0.1], [100.0, -20.0]], dtype=torch.float64)
    centre, spread = x_t / (1 + sigma_t**2), sigma_t * (1 + sigma_t**2).rsqrt()
    found = Binned.tilted(torch.zeros(3, 2, 4, dtype=torch.float64), EDGES, centre, spread)
    torch.testing.assert_close(found.mean, centre)


def test_gradients_are_those_of_finite_differences() -> None:
    log_ratio, centre, spread = _case(2)
    y = torch.tensor([[-3.0, -0.3], [0.1, 2.0]], dtype=torch.float64)

    def both(r: Tensor) -> tuple[Tensor, Tensor]:
        belief = Binned.tilted(r, EDGES, centre, spread)
        return belief.mean, belief.cross_entropy(y)

    assert torch.autograd.gradcheck(both, (log_ratio.requires_grad_(),))


def test_extreme_ratios_and_levels_stay_finite() -> None:
    x_t = torch.tensor([[3.0, -300.0], [0.0, 0.0]])
    for sigma in (1e-3, 80.0):
        spread = torch.full((2, 1), sigma / math.sqrt(1 + sigma**2))
        log_ratio = (1e4 * torch.randn(2, 2, 4, generator=torch.Generator().manual_seed(0))).requires_grad_()
        found = Binned.tilted(log_ratio, EDGES.float(), x_t / (1 + sigma**2), spread)
        assert torch.isfinite(found.mean).all()
        (found.mean.sum() + found.cross_entropy(torch.ones(2, 2)).sum()).backward()
        assert log_ratio.grad is not None
        assert torch.isfinite(log_ratio.grad).all()


def test_moments_of_bins_sum_to_those_of_the_whole() -> None:
    _, centre, spread = _case()
    mass, first = truncated(EDGES, centre, spread)
    torch.testing.assert_close(mass.sum(2), torch.ones_like(centre))
    torch.testing.assert_close(first.sum(2), torch.zeros_like(centre))


def test_a_share_of_the_untilted_belief_is_left() -> None:
    log_ratio = torch.tensor([[[0.0, -200.0, -200.0, 0.0]]], dtype=torch.float64)
    edges = torch.tensor([[-40.0, -35.0, 0.0, 35.0, 40.0]], dtype=torch.float64)
    found = Binned.tilted(log_ratio, edges, torch.full((1, 1), 0.3).double(), torch.full((1, 1), 0.1).double())
    torch.testing.assert_close(found.log_evidence, torch.full((1, 1), 1e-13).double().log(), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.mean, torch.full((1, 1), 0.3).double())
