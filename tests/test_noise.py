import math

import torch

from scorewise.noise import GaussianNoise


def _draw(seed: int) -> torch.Tensor:
    x = torch.zeros(20_000, 2, dtype=torch.float64)
    sigma_t = torch.full((20_000,), 0.7, dtype=torch.float64)
    return GaussianNoise().draw(x, sigma_t, torch.Generator().manual_seed(seed)).x_t


def test_noise_has_the_standard_deviation_asked_for() -> None:
    x_t = _draw(0)
    error = 4 * 0.7 / math.sqrt(2 * x_t.numel())
    assert abs(float(x_t.std()) - 0.7) < error
    assert abs(float(x_t.mean())) < 4 * 0.7 / math.sqrt(x_t.numel())


def test_same_seed_same_draw_and_another_seed_another() -> None:
    assert torch.equal(_draw(0), _draw(0))
    assert not torch.equal(_draw(0), _draw(1))


def test_log_prob_is_that_of_a_normal_distribution() -> None:
    generator = torch.Generator().manual_seed(0)
    x, x_t = torch.randn(2, 6, 3, generator=generator, dtype=torch.float64)
    sigma_t = torch.rand(6, generator=generator, dtype=torch.float64) + 0.1
    expected = torch.distributions.Normal(x, sigma_t[:, None]).log_prob(x_t).sum(1)
    torch.testing.assert_close(GaussianNoise().log_prob(x_t, x, sigma_t), expected)
