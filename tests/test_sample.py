"""Reverse processes with the exact denoiser in the place of the network."""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from scorewise.allocation import log_levels
from scorewise.empirical import exact
from scorewise.posterior import Posterior, gaussian, mixture
from scorewise.sample import Reverse, heun, multistep

Sampler = Callable[..., Iterator[Reverse]]
COVARIANCE = torch.tensor([[1.0, 0.9], [0.9, 1.0]], dtype=torch.float64)


def _run(sampler: Sampler, churn: float, steps: int = 60, rows: int = 4_000) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    x = 20 * torch.randn(rows, 2, generator=generator, dtype=torch.float64)
    x = 20 * (x - x.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T))).T  # sample covariance 400 I
    denoiser = gaussian(torch.zeros(2).double(), COVARIANCE)
    for state in sampler(denoiser, x, log_levels(0.002, 20, steps), churn, generator):
        x = state.x
    return x


@pytest.mark.parametrize(("sampler", "churn"), [(heun, 0.0), (heun, 0.1), (multistep, 0.0), (multistep, 0.1)])
def test_samplers_reach_the_covariance_of_the_data(sampler: Sampler, churn: float) -> None:
    torch.testing.assert_close(torch.cov(_run(sampler, churn).T), COVARIANCE, atol=0.05, rtol=0)


def test_multistep_is_far_closer_than_heun_at_equal_evaluations() -> None:
    errors = [
        float((torch.cov(_run(sampler, 0.0, steps).T) - COVARIANCE).abs().max())
        for sampler, steps in ((multistep, 40), (heun, 20))
    ]
    assert errors[0] < 0.1 * errors[1]


def test_the_stochastic_sampler_differs_and_is_reproducible() -> None:
    assert torch.equal(_run(multistep, 0.2, 20, 50), _run(multistep, 0.2, 20, 50))
    assert not torch.allclose(_run(multistep, 0.2, 20, 50), _run(multistep, 0.0, 20, 50))


@pytest.mark.parametrize(
    ("sampler", "order"), [(heun, 2), (multistep, 2), (functools.partial(multistep, correct=False), 2)]
)
def test_their_order(sampler: Sampler, order: int) -> None:
    x = torch.tensor([[3.0]], dtype=torch.float64)
    one = torch.ones(1, 1, dtype=torch.float64)
    end = ((0.01**2 + 1) / (1 + 9)) ** 0.5 * x  # exact flow of N(0, 1) from level 3 to 0.01
    errors: list[float] = []
    for steps in (100, 200):
        states: list[Any] = list(sampler(gaussian(torch.zeros(1).double(), one), x, log_levels(0.01, 3, steps)))
        errors.append(abs(float(states[-2].x - end)))
    assert order - 0.4 < math.log2(errors[0] / errors[1]) < order + 0.4


@pytest.mark.parametrize("variance", [0.02, 0.3])
def test_the_corrector_brings_rows_of_a_mixture_nearer_to_their_ends(variance: float) -> None:
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(6, 2, generator=generator, dtype=torch.float64)
    denoiser = mixture(torch.full((6,), 1 / 6).double(), means, variance * torch.eye(2).double().repeat(6, 1, 1))
    x = 20 * torch.randn(200, 2, generator=generator, dtype=torch.float64)
    *_, whole = multistep(denoiser, x, log_levels(0.002, 20, 300))
    errors = []
    for correct in (True, False):
        *_, last = multistep(denoiser, x, log_levels(0.002, 20, 25), correct=correct)
        errors.append(float((last.x - whole.x).norm(dim=1).median()))
    assert errors[0] < 0.5 * errors[1]


def test_rows_of_the_exact_denoiser_are_training_rows() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(30, 2, generator=generator, dtype=torch.float64)
    x = 20 * torch.randn(40, 2, generator=generator, dtype=torch.float64)
    states = list(multistep(exact(rows), x, log_levels(0.002, 20, 25)))
    assert states[-1].sigma == 0
    assert torch.cdist(states[-1].x, rows).min(1).values.median() < 1e-3


@pytest.mark.parametrize("sampler", [heun, multistep])
def test_the_first_level_and_the_last_step_are_not_raised(sampler: Sampler) -> None:
    levels, seen = torch.tensor([4.0, 1.0, 0.5, 0.0]), list[float]()

    def denoiser(x: torch.Tensor, t: torch.Tensor) -> Posterior:
        seen.append(float(t[0]))
        return gaussian(torch.zeros(2), torch.eye(2))(x, t)

    list(sampler(denoiser, torch.ones(3, 2), levels, 0.1, torch.Generator().manual_seed(0)))
    raised = [4.0, 1.0 * 1.1, 0.5]
    assert seen == pytest.approx(raised if sampler is multistep else [4.0, 1.0, 1.1, 0.5, 0.5])
