import math

import pytest
import torch

from scorewise.allocation import LevelDensity, log_levels


def test_draws_are_stratified_over_a_log_normal_base() -> None:
    sigma_t, weight = LevelDensity(0.001, 100, centre=-1, spread=1).draw(1_000, torch.Generator().manual_seed(0))
    u = torch.special.ndtr(sigma_t.log() + 1)
    counts = torch.histc(u, 20, 0, 1)
    assert counts.min() >= 40
    assert counts.max() <= 60
    torch.testing.assert_close(weight, torch.ones(1_000))


def test_importance_keeps_the_expected_loss_and_lowers_its_variance() -> None:
    density = LevelDensity(0.01, 10, momentum=0.5)
    generator = torch.Generator().manual_seed(0)

    def residual(sigma_t: torch.Tensor) -> torch.Tensor:
        return torch.where(sigma_t > 1, 6.0, 1.0)

    plain = []
    for _ in range(100):
        sigma_t, weight = LevelDensity(0.01, 10).draw(512, generator)
        plain.append((weight * residual(sigma_t), weight * sigma_t.log()))
        density.observe(sigma_t, residual(sigma_t).square())
    raised = []
    for _ in range(100):
        sigma_t, weight = density.draw(512, generator)
        raised.append((weight * residual(sigma_t), weight * sigma_t.log()))
    assert (sigma_t > 1).float().mean() > 0.4  # twice the share that the base gives
    for i in (0, 1):
        means = [torch.stack([batch[i].mean() for batch in batches]) for batches in (plain, raised)]
        error = math.hypot(*(float(m.std()) / 10 for m in means))
        assert abs(float(means[0].mean() - means[1].mean())) < 4 * error + 2e-3
    assert torch.cat([batch[0] for batch in raised]).var() < 0.5 * torch.cat([batch[0] for batch in plain]).var()


def test_density_refuses_a_range_that_is_none() -> None:
    with pytest.raises(ValueError, match=r"0 < low < high, however: low=1, high=0\.5"):
        LevelDensity(1, 0.5)


def test_levels_fall_evenly_in_the_logarithm_and_end_at_zero() -> None:
    levels = log_levels(0.002, 80, 18)
    assert levels[0] == pytest.approx(80)
    assert levels[-2] == pytest.approx(0.002)
    assert levels[-1] == 0
    ratios = levels[1:-1] / levels[:-2]
    torch.testing.assert_close(ratios, ratios[:1].expand_as(ratios))
    with pytest.raises(ValueError, match="steps must be at least 2, however: steps=1"):
        log_levels(0.002, 80, 1)
