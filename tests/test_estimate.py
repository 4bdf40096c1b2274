import pytest
import torch

from scorewise.estimate import Estimate


def test_a_mean_has_the_standard_error_that_repetition_shows() -> None:
    samples = torch.randn(2_000, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64).exp()
    found = Estimate.of_mean(samples, dim=1)
    assert found.value.shape == found.se.shape == (2_000,)
    spread = float(found.value.std())
    assert abs(float(found.se.square().mean().sqrt()) - spread) < 4 * spread / 2_000**0.5 * 3  # heavy-tailed: 3 times
    torch.testing.assert_close(found.value, samples.sum(1) / 50)


def test_what_is_known_has_no_error() -> None:
    known = Estimate.exactly(torch.tensor([2.0, 3.0]))
    assert known.value.tolist() == [2, 3]
    assert known.se.tolist() == [0, 0]


def test_one_sample_has_no_standard_error() -> None:
    with pytest.raises(ValueError, match="at least two samples, however: size=1"):
        Estimate.of_mean(torch.ones(1, 3))
