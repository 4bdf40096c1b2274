import pytest
import torch

from scorewise.estimate import mean


def test_mean_and_its_error_are_those_of_independent_samples() -> None:
    samples = torch.randn(4_000, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3 + 1
    found = mean(samples)
    torch.testing.assert_close(found.se, torch.full((50,), 3 / 4_000**0.5, dtype=torch.float64), rtol=0.05, atol=0)
    z = (found.value - 1) / found.se
    assert z.abs().max() < 4
    assert abs(float(z.std()) - 1) < 4 / 100**0.5


def test_one_sample_has_no_standard_error() -> None:
    with pytest.raises(ValueError, match=r"two or more, however: len\(samples\)=1"):
        mean(torch.ones(1, 3))
