"""Closed-form denoisers against autograd, Monte Carlo and each other."""

import torch

from scorewise.noise import GaussianNoise
from scorewise.posterior import exact, gaussian

SIGMAS = torch.tensor([0.1, 0.5, 2.0], dtype=torch.float64)


def _data() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    return (
        torch.randn(3, generator=generator, dtype=torch.float64),
        root @ root.T + 0.1 * torch.eye(3, dtype=torch.float64),
        torch.randn(3, 3, generator=generator, dtype=torch.float64),
    )


def test_gaussian_is_bayes_rule_of_two_normals() -> None:
    mean, covariance, x_t = _data()
    posterior = gaussian(mean, covariance)(x_t, SIGMAS)
    for i, sigma in enumerate(SIGMAS):
        precision = torch.linalg.inv(covariance) + torch.eye(3, dtype=torch.float64) / sigma**2
        expected = torch.linalg.solve(precision, torch.linalg.solve(covariance, mean) + x_t[i] / sigma**2)
        torch.testing.assert_close(posterior.mean[i], expected)
        unit = torch.eye(3, dtype=torch.float64)
        columns = torch.stack([(posterior.cov @ u.expand(3, 3))[i] for u in unit], 1)
        torch.testing.assert_close(columns, torch.linalg.inv(precision))


def test_exact_mean_is_tweedies_formula_and_covariance_its_derivative() -> None:
    rows = torch.randn(12, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x_t = torch.tensor([[0.3, -0.2]], dtype=torch.float64)
    sigma = torch.tensor([0.6], dtype=torch.float64)

    def log_density(x: torch.Tensor) -> torch.Tensor:
        return GaussianNoise().log_prob(x[:, None], rows, sigma[:, None]).logsumexp(1).sum()

    posterior = exact(rows)(x_t, sigma)
    score = torch.autograd.functional.jacobian(log_density, x_t)
    torch.testing.assert_close(posterior.mean, x_t + sigma**2 * score)
    hessian = torch.autograd.functional.hessian(log_density, x_t)[0, :, 0]
    expected = sigma**2 * (torch.eye(2, dtype=torch.float64) + sigma**2 * hessian)
    columns = torch.stack([(posterior.cov @ u[None])[0] for u in torch.eye(2, dtype=torch.float64)], 1)
    torch.testing.assert_close(columns, expected)


def test_exact_on_many_gaussian_rows_tends_to_gaussian() -> None:
    rows = torch.randn(40_000, 1, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    x_t = torch.tensor([[0.4]], dtype=torch.float64)
    sigma = torch.tensor([0.8], dtype=torch.float64)
    one = torch.ones(1, 1, dtype=torch.float64)
    limit = gaussian(torch.zeros(1, dtype=torch.float64), one)(x_t, sigma)
    found = exact(rows)(x_t, sigma)
    torch.testing.assert_close(found.mean, limit.mean, atol=0.02, rtol=0)
    torch.testing.assert_close(found.cov.diag, limit.cov.diag, atol=0.02, rtol=0)
