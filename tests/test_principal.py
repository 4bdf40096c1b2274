"""Rows from far: a normal distribution along principal directions, and what it looks like under noise."""

import numpy as np
import pytest
import torch

from scorewise.allocation import log_levels
from scorewise.posterior import gaussian, mixture
from scorewise.principal import LEVELS, NEARLY_NORMAL, Principal, normal_level
from scorewise.sample import multistep

D, R = 5, 2


def _principal() -> tuple[Principal, torch.Tensor]:
    """Give a distribution in float64, and its covariance."""
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(D, D, generator=generator, dtype=torch.float64)).Q[:, :R]
    mean, variance, rest = torch.randn(D, generator=generator).double(), torch.tensor([9.0, 2.0]), torch.tensor(0.3)
    kept = Principal(mean, basis, variance, rest, torch.tensor(LEVELS[0])).double()
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


def _clusters(rows: int, share: float, apart: float) -> torch.Tensor:
    """Rows (N, 1) at two places, centred, as columns are that are missing in the same rows."""
    x = apart * (torch.arange(rows) < share * rows).double()[:, None]
    return x - x.mean()


@pytest.mark.parametrize(("share", "apart", "lowest"), [(0.03, 9.0, 0.81), (0.02, 11.0, 0.68)])
def test_the_share_of_rows_that_differ_in_much_comes_out_right_from_the_level_that_is_found(
    share: float, apart: float, lowest: float
) -> None:
    x = _clusters(1_000, share, apart)
    level = normal_level(x)
    kept = Principal(torch.zeros(1), torch.eye(1), x.var()[None], torch.zeros(()), torch.tensor(level)).double()
    places = torch.tensor([[apart * (1 - share)], [-apart * share]], dtype=torch.float64)
    weights, narrow = torch.tensor([share, 1 - share], dtype=torch.float64), torch.full((2, 1, 1), 0.01).double()
    exact = mixture(weights, places, narrow)
    noise = torch.special.ndtri((torch.arange(2_000).double() + 0.5) / 2_000)[:, None]
    found = []
    for start in (LEVELS[0], level):
        drawn = kept.noised(noise, start)
        for state in multistep(exact, drawn, log_levels(0.05, start, 80)):
            drawn = state.x
        found.append(float((drawn > places.mean()).double().mean()))
    assert found[0] / share == pytest.approx(lowest, abs=0.02)
    assert found[1] / share == pytest.approx(1, abs=0.05)


def test_normal_rows_and_rows_of_few_columns_start_from_the_least_level() -> None:
    generator = torch.Generator().manual_seed(0)
    assert normal_level(5 * torch.randn(20_000, 3, generator=generator)) == LEVELS[0]
    assert normal_level(_clusters(1_000, 0.1, 2.0)) == LEVELS[0]
    assert normal_level(torch.zeros(5, 0)) == LEVELS[0]


def test_the_level_is_the_least_at_which_skewness_and_kurtosis_of_noised_rows_are_small() -> None:
    skewed = _clusters(1_000, 0.2, 10.0)
    both = _clusters(1_000, 0.5, 12.0)  # no skewness
    places, weights = np.polynomial.hermite_e.hermegauss(5)  # exact for the moments of the noise
    weights /= weights.sum()
    for x in (skewed, both, torch.cat([skewed, both], 1)):
        level, worst = normal_level(x), []
        for sigma in (level, LEVELS[LEVELS.index(level) - 1]):
            noised = x.numpy()[..., None] + sigma * places
            second, third, fourth = ((noised**k @ weights).mean(0) for k in (2, 3, 4))
            worst.append(max(np.abs(third / second**1.5).max(), np.abs(fourth / second**2 - 3).max()))
        assert worst[0] <= NEARLY_NORMAL < worst[1]
    assert normal_level(_clusters(10_000, 0.5, 1e4)) == LEVELS[-1]  # there is no larger one


def test_parts_that_do_not_fit_are_refused() -> None:
    one = torch.ones(())
    for mean, basis, variance, rest in (
        (torch.ones(3), torch.ones(4, 2), torch.ones(2), one),
        (torch.ones(3), torch.ones(3, 2), torch.ones(1), one),
        (torch.ones(3, 1), torch.ones(3, 2), torch.ones(2), one),
        (torch.ones(3), torch.ones(3, 2), torch.ones(2), torch.ones(1)),
    ):
        with pytest.raises(ValueError, match=r"mean \(D,\), basis \(D, R\), variance \(R,\), rest \(\) and level"):
            Principal(mean, basis, variance, rest, one)


def test_a_basis_that_lies_otherwise_in_memory_gives_the_same_rows_to_the_last_bit() -> None:
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(37, 37, generator=generator))[0][:, :11]
    parts = torch.zeros(37), torch.arange(11.0), torch.tensor(0.1), torch.tensor(4.0)
    drawn = [
        Principal(parts[0], one, *parts[1:]).noised(
            torch.randn(64, 37, generator=torch.Generator().manual_seed(1)), 4.0
        )
        for one in (basis.contiguous(), basis.T.contiguous().T)
    ]
    assert torch.equal(*drawn)
    assert all(part.is_contiguous() for part in Principal(parts[0], basis.T.contiguous().T, *parts[1:]).buffers())
