"""Covariances from a denoiser's own derivative, against closed forms and explicit Jacobians."""

import math

import pytest
import torch
from torch import Tensor

from scorewise.covariance import Dense
from scorewise.jacobian import jacobian_covariance, jacobian_diagonal, jacobian_trace
from scorewise.network import Group, Layout, Moments, TableDenoiser
from scorewise.posterior import Mixture, Posterior, mixture
from scorewise.schedule import Schedule, ou, ve, vp

T = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _mixture(schedule: Schedule) -> Mixture:
    roots = _random(3, 4, 4, seed=1)
    covariances = 0.3 * roots @ roots.mT + 0.05 * torch.eye(4, dtype=torch.float64)
    return mixture(torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64), _random(3, 4, seed=2), covariances, schedule)


def _wrong(x_t: Tensor, t: Tensor) -> Posterior:
    """A denoiser whose Jacobian is neither symmetric nor positive."""
    mean = (x_t @ _random(4, 4, seed=3)).sin() * t[:, None]
    return Posterior(mean, Dense(torch.eye(4, dtype=torch.float64).expand(len(x_t), 4, 4)))


@pytest.mark.parametrize("schedule", [ve(), vp(), ou()])
def test_covariance_is_the_derivative_of_the_mean(schedule: Schedule) -> None:
    # C2
    rows, x_t = _mixture(schedule), _random(3, 4)
    found, truth = jacobian_covariance(rows, schedule)(x_t, T), rows(x_t, T)
    torch.testing.assert_close(found.mean, truth.mean)
    torch.testing.assert_close(found.cov.matrix_form(), truth.cov.matrix_form(), rtol=1e-9, atol=1e-11)


def test_a_wrong_jacobian_is_symmetrised_and_clipped() -> None:
    x_t = _random(3, 4)
    found = jacobian_covariance(_wrong, ve(), low=0.01, high=0.5)(x_t, T).cov
    jacobian = torch.stack(
        [
            torch.autograd.functional.jacobian(lambda x, i=i: _wrong(x[None], T[i : i + 1]).mean[0], x_t[i])
            for i in range(3)
        ]
    )
    symmetric = T.square()[:, None, None] * 0.5 * (jacobian + jacobian.mT)
    values, basis = torch.linalg.eigh(symmetric)
    level = T.square()[:, None]
    assert (values < 0.01 * level).any()
    assert (values > 0.5 * level).any()
    clamped = torch.minimum(torch.maximum(values, 0.01 * level), 0.5 * level)
    torch.testing.assert_close(found.matrix_form(), basis @ torch.diag_embed(clamped) @ basis.mT)


def test_probes_are_unbiased_with_the_variance_of_hutchinson() -> None:
    # C2: the variance of the trace is 2 (|C|_F^2 - sum C_ii^2) / probes
    rows = _mixture(ve())
    many, probes = 4_000, 4
    x_t, t = _random(1, 4).expand(many, 4), T[1:2].expand(many)
    truth = rows(x_t[:1], t[:1]).cov.matrix_form()[0]
    trace = jacobian_trace(rows, ve(), x_t, t, probes, torch.Generator().manual_seed(0))
    assert trace.value.shape == trace.se.shape == (many,)
    variance = float(2 * (truth.square().sum() - truth.diag().square().sum()) / probes)
    assert abs(float(trace.value.mean() - truth.trace())) < 4 * math.sqrt(variance / many)
    assert float(trace.value.var()) == pytest.approx(variance, rel=0.15)
    assert float(trace.se.square().mean()) == pytest.approx(variance, rel=0.15)
    diagonal = jacobian_diagonal(rows, ve(), x_t, t, probes, torch.Generator().manual_seed(1))
    assert diagonal.value.shape == diagonal.se.shape == (many, 4)
    spread = (truth.square().sum(1) - truth.diag().square()) / probes
    assert (abs(diagonal.value.mean(0) - truth.diag()) < 4 * (spread / many).sqrt()).all()
    torch.testing.assert_close(diagonal.value.var(0), spread, rtol=0.2, atol=0)


def test_many_probes_find_the_trace_of_a_wrong_jacobian_too() -> None:
    x_t = _random(3, 4)
    trace = jacobian_trace(_wrong, ve(), x_t, T, 400, torch.Generator().manual_seed(0))
    for i in range(3):
        jacobian = torch.autograd.functional.jacobian(lambda x, i=i: _wrong(x[None], T[i : i + 1]).mean[0], x_t[i])
        assert abs(float(trace.value[i] - T[i] ** 2 * jacobian.trace())) < 4 * float(trace.se[i])


def test_it_runs_on_the_table_network_and_carries_no_gradient() -> None:
    moments = Moments(torch.zeros(2), torch.eye(2), torch.full((2,), 0.5).log())
    network = TableDenoiser(Layout(2, (Group(1, 2),)), moments, 16, 1, torch.Generator().manual_seed(0))
    x_t, t = _random(3, 4).float(), T.float()
    cov = jacobian_covariance(network, ve())(x_t, t).cov
    assert not cov.diag.requires_grad
    trace = jacobian_trace(network, ve(), x_t, t, 100, torch.Generator().manual_seed(0))
    assert not trace.value.requires_grad
    raw = torch.stack(
        [
            torch.autograd.functional.jacobian(lambda x, i=i: network(x[None], t[i : i + 1]).mean[0], x_t[i])
            for i in range(3)
        ]
    )
    expected = t.square() * raw.diagonal(dim1=1, dim2=2).sum(1)
    assert (abs(trace.value - expected) < 4 * trace.se + 1e-6).all()


def test_bounds_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0 < low < high, however: low=0, high=1"):
        jacobian_covariance(_wrong, ve(), 0, 1)
