"""A right covariance is found right, and a wrong one wrong."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from scorewise.covariance import Blocks, Covariance, Dense, Diagonal, Simplex, Spectral
from scorewise.estimate import Estimate
from scorewise.group import group_means
from scorewise.posterior import Posterior, gaussian
from scorewise.whitened import calibration, covered, whitened_square


def _near(found: Estimate, truth: Tensor | float) -> bool:
    return bool(((found.value - truth).abs() < 4 * found.se).all())


def test_the_exact_denoiser_is_calibrated_and_a_wrong_one_is_not(noisy_scores: Callable[..., Any]) -> None:
    draw = noisy_scores(5_000, seed=0)
    right = calibration(Posterior(draw.score, Dense(draw.cov)), draw.label)
    assert _near(right.mean_square, 1)
    assert float(right.mean_square.se) < 0.02
    wide = calibration(Posterior(draw.score, Dense(1.1 * draw.cov)), draw.label).mean_square
    assert _near(wide, 1 / 1.1)
    assert not _near(wide, 1)
    off = calibration(Posterior(draw.score + 0.5, Dense(draw.cov)), draw.label).mean_square
    assert float(off.value) > 1 + 4 * float(off.se)
    # a constant covariance of the right size on average is wrong level by level
    level = (draw.sigma_t > 1).long()
    constant = draw.cov.mean(0).expand_as(draw.cov)
    by_level = group_means(whitened_square(Posterior(draw.score, Dense(constant)), draw.label), level)
    exact = group_means(whitened_square(Posterior(draw.score, Dense(draw.cov)), draw.label), level)
    assert _near(exact, 1)
    assert ((by_level.value - 1).abs() > 4 * by_level.se).all()


def test_coverage_of_normal_rows_is_nominal() -> None:
    covariance = torch.tensor([[1.0, 0.8], [0.8, 2.0]], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20_000, 2, generator=generator, dtype=torch.float64) @ torch.linalg.cholesky(covariance).mT
    sigma_t = torch.rand(20_000, generator=generator, dtype=torch.float64) + 0.2
    x_t = x + sigma_t[:, None] * torch.randn(x.shape, generator=generator, dtype=torch.float64)
    posterior = gaussian(torch.zeros(2, dtype=torch.float64), covariance)(x_t, sigma_t)
    found = calibration(posterior, x, deviations=(0.5, 1.0, 2.0))
    torch.testing.assert_close(found.nominal, torch.tensor([0.382925, 0.682689, 0.954500]).double(), rtol=0, atol=1e-6)
    assert _near(found.coverage, found.nominal)
    assert _near(found.mean_square, 1)
    narrow = calibration(Posterior(posterior.mean, Spectral(torch.eye(2).double(), 0.5 * posterior.cov.diag)), x)
    assert (narrow.coverage.value < narrow.nominal - 4 * narrow.coverage.se).all()


def _kinds() -> dict[str, tuple[Covariance, tuple[int, ...], int]]:
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(4, 3, 3, generator=generator, dtype=torch.float64)
    log_p = torch.randn(4, 2, 3, generator=generator, dtype=torch.float64).log_softmax(-1)
    basis = torch.linalg.qr(root[0]).Q
    positive = torch.rand(4, 3, generator=generator, dtype=torch.float64) + 0.5
    spectral, simplex = Spectral(basis, positive), Simplex(log_p)
    return {
        "diagonal": (Diagonal(positive), (3,), 3),
        "spectral": (spectral, (3,), 3),
        "dense": (Dense(root @ root.mT + torch.eye(3)), (3,), 3),
        "simplex": (simplex, (2, 3), 4),
        "blocks": (Blocks([spectral, simplex], [(3,), (2, 3)]), (9,), 7),
    }


@pytest.mark.parametrize("kind", ["diagonal", "spectral", "dense", "simplex", "blocks"])
def test_every_covariance_is_calibrated_by_a_loop_over_rows(kind: str) -> None:
    cov, event, rank = _kinds()[kind]
    width = math.prod(event)
    units = torch.eye(width, dtype=torch.float64).reshape(width, 1, *event).expand(width, 4, *event)
    dense = torch.stack([(cov @ unit).flatten(1) for unit in units], 2)
    generator = torch.Generator().manual_seed(1)
    mean, y = torch.randn(2, 4, *event, generator=generator, dtype=torch.float64)
    squares = whitened_square(Posterior(mean, cov), y, rank)
    shares = covered(Posterior(mean, cov), y, (1.0,))
    for i in range(4):
        off = (y - mean)[i].flatten()
        inverse = torch.linalg.pinv(dense[i], hermitian=True)
        assert float(squares[i]) == pytest.approx(float(off @ inverse @ off) / rank)
        inside = [abs(float(o)) <= math.sqrt(float(v)) for o, v in zip(off, dense[i].diagonal(), strict=True)]
        assert float(shares[i, 0]) == pytest.approx(sum(inside) / width)


def test_a_category_is_calibrated_on_its_simplex() -> None:
    """Labels drawn from the predicted probabilities have mean square 1 once the rank K - 1 is told."""
    generator = torch.Generator().manual_seed(0)
    log_p = torch.randn(20_000, 1, 4, generator=generator, dtype=torch.float64).log_softmax(-1)
    code = torch.multinomial(log_p.exp()[:, 0], 1, generator=generator)[:, 0]
    y = torch.nn.functional.one_hot(code, 4).double()[:, None]
    assert _near(calibration(Posterior(log_p.exp(), Simplex(log_p)), y, rank=3).mean_square, 1)
    assert not _near(calibration(Posterior(log_p.exp(), Simplex(log_p)), y).mean_square, 1)
