"""Closed-form denoisers against Bayes' rule, autograd, Monte Carlo and each other."""

import math

import pytest
import torch
from torch import Tensor

from scorewise.covariance import Dense, Diagonal
from scorewise.noise import Gaussian
from scorewise.posterior import Denoiser, Mixture, Posterior, gaussian, mixture, negative_log_likelihood
from scorewise.schedule import Schedule, flow, ou, ve, vp

SCHEDULES = {"ve": ve(), "vp": vp(), "ou": ou(), "flow": flow()}
T = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _spd(d: int, seed: int = 0) -> Tensor:
    root = _random(d, d, seed=seed)
    return root @ root.T + 0.1 * torch.eye(d, dtype=torch.float64)


def _mixture(schedule: Schedule) -> Mixture:
    weights = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    covariances = torch.stack([0.2 * _spd(2, seed) for seed in range(3)])
    return mixture(weights, 1.5 * _random(3, 2), covariances, schedule)


@pytest.fixture(params=SCHEDULES, name="schedule")
def _schedule(request: pytest.FixtureRequest) -> Schedule:
    return SCHEDULES[request.param]


@pytest.mark.parametrize("d", [1, 3])
def test_gaussian_is_bayes_rule_of_two_normals(schedule: Schedule, d: int) -> None:
    mean, covariance, x_t = _random(d), _spd(d), _random(3, d, seed=1)
    posterior = gaussian(mean, covariance, schedule)(x_t, T)
    for i, t in enumerate(T):
        alpha_t, h_t = schedule.alpha(t), schedule.sigma(t).square()
        # B9: for Gaussian rows the optimal weight is the precision S^-1 + alpha^2 / h I exactly
        precision = torch.linalg.inv(covariance) + alpha_t**2 / h_t * torch.eye(d, dtype=torch.float64)
        expected = torch.linalg.solve(precision, torch.linalg.solve(covariance, mean) + alpha_t * x_t[i] / h_t)
        torch.testing.assert_close(posterior.mean[i], expected)
        torch.testing.assert_close(posterior.cov.matrix_form()[i], torch.linalg.inv(precision))


def test_a_mixture_of_one_is_a_gaussian(schedule: Schedule) -> None:
    mean, covariance, x_t = _random(3), _spd(3), _random(3, 3, seed=1)
    alone = mixture(torch.ones(1).double(), mean[None], covariance[None], schedule)
    one, other = alone(x_t, T), gaussian(mean, covariance, schedule)(x_t, T)
    torch.testing.assert_close(one.mean, other.mean)
    torch.testing.assert_close(one.cov.matrix_form(), other.cov.matrix_form())
    alpha_t, h_t = schedule.alpha(T), schedule.sigma(T).square()
    for i in range(3):
        total = alpha_t[i] ** 2 * covariance + h_t[i] * torch.eye(3, dtype=torch.float64)
        normal = torch.distributions.MultivariateNormal(alpha_t[i] * mean, total)
        torch.testing.assert_close(alone.log_prob(x_t, T)[i], normal.log_prob(x_t[i]))


def test_mean_is_tweedies_formula_and_covariance_its_derivative(schedule: Schedule) -> None:
    # B1: s = (alpha E[x|x_t] - x_t) / h and Cov[T_1|x_t] = I / h + grad^2 log p = alpha^2 / h^2 Cov[x|x_t]
    rows, x_t = _mixture(schedule), _random(3, 2, seed=1)
    posterior = rows(x_t, T)
    alpha_t, h_t = schedule.alpha(T), schedule.sigma(T).square()
    for i in range(3):
        point, time = x_t[i], T[i : i + 1]

        def log_density(x: Tensor, time: Tensor = time) -> Tensor:
            return rows.log_prob(x[None], time)[0]

        score = torch.func.grad(log_density)(point)
        hessian = torch.func.hessian(log_density)(point)
        torch.testing.assert_close(score, (alpha_t[i] * posterior.mean[i] - point) / h_t[i])
        expected = (torch.eye(2, dtype=torch.float64) / h_t[i] + hessian) * (h_t[i] / alpha_t[i]) ** 2
        torch.testing.assert_close(posterior.cov.matrix_form()[i], expected)


def test_covariance_is_that_of_posterior_samples() -> None:
    # B1 by Monte Carlo: rows near in x_t, by importance
    schedule = ou()
    rows, size, t = _mixture(schedule), 400_000, torch.tensor([0.5], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    label = torch.multinomial(torch.tensor([0.5, 0.3, 0.2]), size, True, generator=generator)
    roots = torch.linalg.cholesky(torch.stack([0.2 * _spd(2, seed) for seed in range(3)]))
    x = 1.5 * _random(3, 2)[label]
    x = x + (roots[label] @ torch.randn(size, 2, 1, generator=generator, dtype=torch.float64))[..., 0]
    x_t = torch.tensor([[0.3, -0.2]], dtype=torch.float64)
    w = Gaussian(schedule).log_prob(x_t, x, t).exp()
    found = rows(x_t, t)
    for value, expected in (
        (x, found.mean[0]),
        ((x - found.mean).square(), found.cov.diag[0]),
        ((x - found.mean).prod(1, keepdim=True), found.cov.matrix_form()[0, 0, 1:]),
    ):
        error = (w[:, None] * (value - expected)).std(0) / w.mean() / math.sqrt(size)
        estimate = (w[:, None] * value).sum(0) / w.sum()
        assert (abs(estimate - expected) < 4 * error).all()


def test_components_add_up_to_the_posterior(schedule: Schedule) -> None:
    rows, x_t = _mixture(schedule), _random(3, 2, seed=1)
    share, parts = rows.components(x_t, T)
    torch.testing.assert_close(share.sum(1), torch.ones(3).double())
    torch.testing.assert_close(sum(share[:, k, None] * parts[k].mean for k in range(3)), rows(x_t, T).mean)


@pytest.mark.parametrize("rows", [gaussian(torch.zeros(2).double(), _spd(2)), _mixture(ve())])
def test_small_and_large_noise(rows: Denoiser) -> None:
    # F1: C / h -> I as sigma -> 0; C -> Cov(x) as sigma -> infinity
    x_t = _random(3, 2, seed=1)
    small = rows(x_t, torch.full((3,), 1e-4).double())
    unit = torch.eye(2, dtype=torch.float64).expand(3, 2, 2)
    torch.testing.assert_close(small.cov.matrix_form() / 1e-8, unit, rtol=0, atol=1e-5)
    torch.testing.assert_close(small.mean, x_t, rtol=0, atol=1e-6)
    large = [rows(x, torch.full((3,), 1e5).double()).cov.matrix_form() for x in (x_t, x_t + 1)]
    torch.testing.assert_close(large[0], large[1], rtol=1e-6, atol=1e-6)


def test_a_mixture_far_from_every_component_keeps_its_digits() -> None:
    rows = _mixture(ve())
    x_t = torch.tensor([[1e3, -2e3]], dtype=torch.float64)
    found = rows(x_t, torch.tensor([0.1], dtype=torch.float64))
    assert torch.isfinite(found.mean).all()
    assert torch.isfinite(found.cov.logdet).all()


def test_likelihood_is_that_of_a_normal_distribution() -> None:
    mean, y, covariance = _random(3, 2), _random(3, 2, seed=1), torch.stack([_spd(2, seed) for seed in range(3)])
    found = negative_log_likelihood(Posterior(mean, Dense(covariance)), y)
    normal = torch.distributions.MultivariateNormal(mean, covariance).log_prob(y)
    torch.testing.assert_close(found, -normal - math.log(2 * math.pi))


def test_likelihood_is_least_at_the_second_moment_of_the_residual() -> None:
    # C3: d/du (e^-u E|r|^2 + u) = 0 at e^u = E|r|^2, noise and bias together
    residual = _random(10_000, 1) * 0.7 + 0.3
    u = torch.linspace(-2, 1, 3001, dtype=torch.float64)
    curve = [
        float(negative_log_likelihood(Posterior(0 * residual, Diagonal(v.exp().expand(10_000, 1))), residual).mean())
        for v in u
    ]
    best = float(u[int(torch.tensor(curve).argmin())].exp())
    assert best == pytest.approx(float(residual.square().mean()), rel=2e-3)


def test_weights_that_are_no_probabilities_are_refused() -> None:
    for weights in ([0.5, 0.6], [1.0, 0.0]):
        with pytest.raises(ValueError, match=r"weights must be positive with sum 1, however: \["):
            mixture(torch.tensor(weights), torch.zeros(2, 1), torch.ones(2, 1, 1))
