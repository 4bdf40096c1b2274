"""What the weighting experiments rest on: populations that are as they say, networks side by side, quadrature."""

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch

from scorewise.estimate import Estimate
from scorewise.noise import Gaussian
from scorewise.rowwise import Rowwise
from scorewise.target import Target
from scorewise.whitened import whitened_square

ROOT = Path(__file__).parents[1]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("matplotlib", reason="figures need the extra: pip install -e '.[experiments]'")
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"experiments.weighting.{name}")


@pytest.mark.parametrize("make", ["gaussians 1", "gaussians 2", "gaussians 10", "moons"])
def test_rows_scatter_around_the_truth_as_the_truth_says(load: Any, make: str) -> None:
    name, *width = make.split()
    population = getattr(load("population"), name)(*map(int, width))
    generator = torch.Generator().manual_seed(0)
    x = population.sample(4_000, generator)
    t = 0.1 + 2 * torch.rand(len(x), generator=generator, dtype=torch.float64)
    draw = Gaussian().draw(x, t, generator)
    truth = population.truth(draw.x_t, t)
    for found, expected in (
        (whitened_square(truth, x), 1.0),
        ((x - truth.mean).sum(1), 0.0),
        (((x - truth.mean) * draw.x_t).sum(1), 0.0),
        (x.square().mean(1), 1.0),
    ):
        estimate = Estimate.of_mean(found)
        assert abs(float(estimate.value) - expected) < 4 * float(estimate.se)


def test_conditional_variance_by_quadrature_is_that_of_the_mixture(load: Any) -> None:
    population = load("population").gaussians(1)
    for order in (1, 2):
        level = torch.tensor(0.6, dtype=torch.float64)
        found = load("quadrature").conditional(population, Gaussian(), level, order)
        belief = Target(Gaussian(), order).belief_of_mixture(
            population.closed, found.x_t[:, None], level.expand_as(found.x_t)
        )
        near = found.x_t.abs() < 3
        torch.testing.assert_close(found.mean[near], belief.mean.flatten()[near], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(found.variance[near], belief.cov.diag.flatten()[near], rtol=1e-6, atol=1e-6)


def test_squared_gradients_of_rows_are_those_of_rowwise(load: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    network = load("ensemble").Ensemble(1, 1, 2, 8)
    with torch.no_grad():
        network.weights[-1].normal_(generator=generator)
    x, noise = torch.randn(6, 2, generator=generator), torch.randn(6, 2, generator=generator)
    sigma_t = 0.1 + torch.rand(6, generator=generator)
    x_t = x + sigma_t[:, None] * noise
    found = load("allocation").losses(network, x[None], x_t[None], sigma_t[None])[1][0]

    def loss(call: Any, batch: Any) -> torch.Tensor:
        x, x_t, sigma_t = batch
        h = sigma_t.square()[:, None]
        return ((call(x_t[None], sigma_t[None])[0] - x).square() * (1 + h) / h).mean(1)

    gradients = Rowwise(network, loss, (x, x_t, sigma_t)).gradients((x, x_t, sigma_t))
    torch.testing.assert_close(found, gradients.square().sum(1), rtol=1e-4, atol=1e-4)


def test_members_are_trained_as_by_adam_alone(load: Any) -> None:
    ensemble = load("ensemble")
    generator = torch.Generator().manual_seed(0)
    x_t, label = torch.randn(16, 2, generator=generator), torch.randn(16, 2, generator=generator)
    sigma_t = 0.1 + torch.rand(16, generator=generator)
    network = ensemble.Ensemble(2, 1, 2, 8)
    alone = network.member(1)
    mine = ensemble.Adam(network, torch.tensor([1e-3, 1e-2]), 5)
    other = torch.optim.Adam(alone.parameters(), 1e-2, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        other, lambda s: min(1, (s + 1) / 50) * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * (s + 1) / 5)).item())
    )
    for _ in range(5):
        mine.advance((network(x_t.repeat(2, 1, 1), sigma_t.repeat(2, 1)) - label).square().mean((1, 2)).sum())
        other.zero_grad()
        (alone(x_t[None], sigma_t[None]) - label).square().mean().backward()
        other.step()
        schedule.step()
    for one, both in zip(alone.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(one[0], both[1], rtol=1e-4, atol=1e-6)
