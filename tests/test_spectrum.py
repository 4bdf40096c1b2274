"""Filters, curves and spectra against sums written out."""

import pytest
import torch
from torch import Tensor

from scorewise.coupling import slope
from scorewise.lanczos import measure, rademacher
from scorewise.spectrum import Decay, curves, discrete, flow, from_quadrature, risk, spectrum

K, M = 40, 2
STEPS = torch.tensor([0, 1, 3, 30, 1000])


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _values() -> Tensor:
    return torch.arange(1, K + 1, dtype=torch.float64).pow(-2)


def _truth() -> Tensor:
    return torch.randn(K, M, generator=_generator(), dtype=torch.float64) * _values()[:, None].sqrt() * 3


def _noise() -> Tensor:
    return torch.rand(K, M, generator=_generator(1), dtype=torch.float64) + 0.2


def test_discrete_is_repeated_multiplication_and_the_flow_its_limit() -> None:
    values = torch.cat([_values(), torch.zeros(1, dtype=torch.float64)])
    naive = torch.stack([(1 - 0.7 * values).pow(int(t)) for t in STEPS])
    torch.testing.assert_close(discrete(values, 0.7, STEPS).exp(), naive)
    torch.testing.assert_close(flow(values, 0.7, STEPS).exp(), (-0.7 * values * STEPS[:, None]).exp())
    fine = discrete(values, 0.7e-6, STEPS * 1_000_000)
    torch.testing.assert_close(fine, flow(values, 0.7, STEPS), rtol=1e-5, atol=0)


def test_the_largest_step_is_exact_and_a_larger_one_refused() -> None:
    log_left = discrete(_values(), 1.0, STEPS)
    assert bool((log_left[0] == 0).all())
    assert float(log_left[1, 0].exp()) == 0
    with pytest.raises(
        ValueError, match=r"rate must be at most one over the largest eigenvalue, however: rate=1\.1, l"
    ):
        discrete(_values(), 1.1, STEPS)


@pytest.mark.parametrize("decay", [discrete, flow])
def test_curves_are_the_sums_they_stand_for(decay: Decay) -> None:
    noise = _noise()
    labels = _truth() + noise.sqrt() * torch.randn(K, M, generator=_generator(2), dtype=torch.float64)
    found = curves(spectrum(_values(), labels, noise), 0.9, STEPS, decay)
    for t, step in enumerate(STEPS):
        sums = torch.zeros(4, dtype=torch.float64)
        for k in range(K):
            left = (1 - 0.9 * _values()[k]) ** step if decay is discrete else (-0.9 * _values()[k] * step).exp()
            for a in range(M):
                y2, s = labels[k, a] ** 2, noise[k, a]
                sums += torch.stack([left**2 * (y2 - s), (1 - left) ** 2 * s, left**2 * y2, (1 - left) * s]) / (K * M)
        written = torch.stack([found.bias[t], found.variance[t], found.residual[t], found.fitted[t]])
        torch.testing.assert_close(written, sums)
    torch.testing.assert_close(found.noise, noise.mean())


@pytest.mark.parametrize("decay", [discrete, flow])
def test_estimated_risk_is_unbiased_and_its_error_is_honest(decay: Decay) -> None:
    noise, truth = _noise(), _truth()
    exact = risk(spectrum(_values(), truth, noise), truth.square().sum(1), 0.9, STEPS, decay)
    repeats, estimates, errors = 2_000, [], []
    draws = torch.randn(repeats, K, M, generator=_generator(3), dtype=torch.float64)
    losses = torch.zeros(len(STEPS), dtype=torch.float64)
    left = decay(_values(), 0.9, STEPS).exp()[:, :, None]
    for draw in draws:
        labels = truth + noise.sqrt() * draw
        found = curves(spectrum(_values(), labels, noise), 0.9, STEPS, decay)
        estimates.append(found.bias + found.variance)
        errors.append(found.se.square())
        losses += ((1 - left) * labels - truth).square().mean((1, 2)) / repeats
    estimate = torch.stack(estimates)
    spread = estimate.std(0)
    assert bool(((estimate.mean(0) - exact).abs() <= 4 * spread / repeats**0.5).all())
    torch.testing.assert_close(losses, exact, rtol=0.02, atol=1e-12)
    torch.testing.assert_close(torch.stack(errors).mean(0).sqrt(), spread, rtol=0.06, atol=1e-12)


def test_entries_of_several_outputs_may_be_taken_apart_or_together() -> None:
    labels, noise = _truth() + 1, _noise()
    together = curves(spectrum(_values(), labels, noise), 0.9, STEPS)
    apart = curves(spectrum(_values().repeat_interleave(M), labels.reshape(-1, 1), noise.reshape(-1, 1)), 0.9, STEPS)
    for one, other in zip(together, apart, strict=True):
        torch.testing.assert_close(one, other)


def test_quadrature_reads_the_same_curves_off_products_alone() -> None:
    basis = torch.linalg.qr(torch.randn(K, K, generator=_generator(4), dtype=torch.float64)).Q
    matrix = (basis * _values()) @ basis.T
    labels = _truth()[:, :1] + torch.randn(K, 1, generator=_generator(2), dtype=torch.float64)
    dense = curves(spectrum(_values(), labels, torch.ones(K, 1, dtype=torch.float64)), 0.9, STEPS)
    y = basis @ labels[:, 0]
    probes = rademacher(200, K, y, _generator(5))
    found = curves(from_quadrature(measure(matrix.mv, y[None], K), measure(matrix.mv, probes, K), K), 0.9, STEPS)
    torch.testing.assert_close(found.residual, dense.residual)
    torch.testing.assert_close(found.noise, dense.noise)
    spread = measure(matrix.mv, probes, K).trace(
        lambda x: -discrete(x.flatten(), 0.9, STEPS).expm1().reshape(5, 200, K)
    )
    assert bool(((found.fitted - dense.fitted).abs() <= 4 * spread.se / K + 1e-12).all())
    torch.testing.assert_close(found.variance, dense.variance, rtol=0.2, atol=1e-12)
    torch.testing.assert_close(found.se, dense.se, rtol=0.2, atol=1e-12)


def test_negative_noise_and_several_label_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match=r"noise must not be negative, however: its minimum is -1"):
        spectrum(_values(), _truth(), -torch.ones(K, M))
    one = measure(lambda v: v, torch.ones(2, 3), 1)
    with pytest.raises(ValueError, match=r"measure of one start vector, however: len\(labels.nodes\)=2"):
        from_quadrature(one, one, 3)


def test_the_least_risk_falls_at_the_rate_of_the_eigenvalues_for_a_target_of_barely_finite_norm() -> None:
    """First-order Sobolev kernel on a grid: eigenvalues fall as k^-2, so the rate is n^(-2/3)."""
    sizes = 2.0 ** torch.arange(9, 16)
    steps = torch.logspace(0, 8, 400, dtype=torch.float64)
    risks = []
    for n in sizes.long().tolist():
        k = torch.arange(1, n + 1, dtype=torch.float64)
        values = 1 / (4 * n**2 * ((2 * k - 1) * torch.pi / (4 * n + 2)).sin().square())
        truth = n * values * k.pow(-1.1)
        noise = spectrum(values, truth.sqrt()[:, None], torch.full((n, 1), 0.25, dtype=torch.float64))
        risks.append(risk(noise, truth, 1.0, steps, flow).min())
    exponent = slope(sizes.double(), torch.stack(risks))
    assert abs(float(exponent) + 2 / 3) < 0.05
