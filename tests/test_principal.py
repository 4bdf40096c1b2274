"""Rows from far: a normal distribution along principal directions, and what it looks like under noise."""

import pytest
import torch

from scorewise.allocation import log_levels
from scorewise.posterior import gaussian
from scorewise.principal import Principal
from scorewise.sample import multistep

D, R = 5, 2


def _principal() -> tuple[Principal, torch.Tensor]:
    """Give a distribution in float64, and its covariance."""
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(D, D, generator=generator, dtype=torch.float64)).Q[:, :R]
    mean, variance, rest = torch.randn(D, generator=generator).double(), torch.tensor([9.0, 2.0]), torch.tensor(0.3)
    kept = Principal(mean, basis, variance, rest).double()
    across = torch.eye(D, dtype=torch.float64) - kept.basis @ kept.basis.T
    return kept, kept.basis * kept.variance @ kept.basis.T + kept.rest * across


@pytest.mark.parametrize("sigma", [0.0, 0.5, 4.0])
def test_noised_rows_have_the_covariance_of_the_rows_and_the_noise(sigma: float) -> None:
    kept, covariance = _principal()
    root = kept.noised(torch.eye(D, dtype=torch.float64), sigma) - kept.mean
    torch.testing.assert_close(
        root.T @ root, covariance + sigma**2 * torch.eye(D, dtype=torch.float64), rtol=1e-6, atol=1e-6
    )
    torch.testing.assert_close(kept.noised(torch.zeros(1, D, dtype=torch.float64), sigma)[0], kept.mean)


def test_noised_rows_are_where_the_probability_flow_leads_from_more_noise() -> None:
    kept, covariance = _principal()
    noise = torch.randn(7, D, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x = kept.noised(noise, 300.0)
    levels = log_levels(4.0, 300.0, 2_000)[:-1]
    for state in multistep(gaussian(kept.mean, covariance), x, levels):
        x = state.x
    torch.testing.assert_close(x, kept.noised(noise, 4.0), rtol=1e-5, atol=1e-5)


def test_parts_that_do_not_fit_are_refused() -> None:
    one = torch.ones(())
    for mean, basis, variance, rest in (
        (torch.ones(3), torch.ones(4, 2), torch.ones(2), one),
        (torch.ones(3), torch.ones(3, 2), torch.ones(1), one),
        (torch.ones(3), torch.ones(3, 2), torch.ones(2), torch.ones(1)),
    ):
        with pytest.raises(ValueError, match=r"mean \(D,\), basis \(D, R\), variance \(R,\) and rest \(\) must fit"):
            Principal(mean, basis, variance, rest)
