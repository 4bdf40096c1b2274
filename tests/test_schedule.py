import math

import pytest
import torch

from scorewise.schedule import LevelDensity, log_levels


def test_draws_are_stratified_over_a_log_uniform_base() -> None:
    sigma_t, weight = LevelDensity(0.01, 10).draw(256, torch.Generator().manual_seed(0))
    share = (sigma_t / 0.01).log() / math.log(1000)
    counts = torch.histc(share, 64, 0, 1)
    assert counts.min() >= 2
    assert counts.max() <= 6
    torch.testing.assert_close(weight, torch.ones(256))


def test_importance_keeps_the_expected_loss() -> None:
    density = LevelDensity(0.01, 10, momentum=0.5)
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        sigma_t, _ = density.draw(512, generator)
        density.observe(sigma_t, 1 + 4 * (sigma_t > 1).float())
    assert density.density[-5:].mean() > 2 * density.density[:5].mean()
    estimates = []
    for _ in range(200):
        sigma_t, weight = density.draw(512, generator)
        estimates.append(float((weight * sigma_t.log()).mean()))
    mean, error = torch.tensor(estimates).mean(), torch.tensor(estimates).std() / math.sqrt(200)
    assert abs(float(mean) - math.log(0.01 * 10) / 2) < 4 * float(error) + 1e-3


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
