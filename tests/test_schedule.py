"""One battery for every schedule, and each against what defines it."""

import math
from itertools import pairwise

import pytest
import torch

from scorewise.schedule import Schedule, cosine, discrete, flow, ou, ve, vp

T = torch.tensor([0.01, 0.2, 0.5, 0.9], dtype=torch.float64)
KINDS: dict[str, Schedule] = {
    "ve": ve(),
    "vp": vp(),
    "cosine": cosine(),
    "ou": ou(),
    "flow": flow(),
    "any two functions": Schedule(lambda t: 1 / (1 + t), lambda t: t * t + 0.1 * t),
}


@pytest.mark.parametrize("schedule", KINDS.values(), ids=KINDS)
def test_shape_is_kept_noise_is_positive_and_the_signal_to_noise_ratio_falls(schedule: Schedule) -> None:
    for shape in ((4,), (2, 2)):
        t = T.reshape(shape)
        assert schedule.alpha(t).shape == schedule.sigma(t).shape == schedule.log_snr(t).shape == shape
    assert (schedule.sigma(T) > 0).all()
    assert all(one > other for one, other in pairwise(schedule.log_snr(T).tolist()))
    torch.testing.assert_close(schedule.log_snr(T).exp(), (schedule.alpha(T) / schedule.sigma(T)).square())


@pytest.mark.parametrize("schedule", KINDS.values(), ids=KINDS)
def test_rate_of_the_log_snr_is_its_finite_difference(schedule: Schedule) -> None:
    step = 1e-6
    naive = (schedule.log_snr(T + step) - schedule.log_snr(T - step)) / (2 * step)
    torch.testing.assert_close(schedule.log_snr_rate(T), naive, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("schedule", [vp(), cosine(), ou()])
def test_variance_is_preserved(schedule: Schedule) -> None:
    total = schedule.alpha(T).square() + schedule.sigma(T).square()
    torch.testing.assert_close(total, torch.ones_like(T), rtol=1e-14, atol=0)


def test_small_times_lose_no_digits() -> None:
    t = torch.tensor([1e-12], dtype=torch.float64)
    torch.testing.assert_close(ou().sigma(t), (2 * t).sqrt(), rtol=1e-11, atol=0)
    torch.testing.assert_close(vp(0.1, 20).sigma(t), (0.1 * t).sqrt(), rtol=1e-9, atol=0)


def test_the_rate_of_vp_is_linear_in_time() -> None:
    t = T.clone().requires_grad_()
    (slope,) = torch.autograd.grad(-2 * vp(0.1, 20).alpha(t).log().sum(), t)
    torch.testing.assert_close(slope, 0.1 + T * 19.9)


def test_ou_is_the_law_of_its_stochastic_differential_equation() -> None:
    # E1: Euler-Maruyama for dX = -X dt + sqrt(2) dB from x = 1.5 to t = 0.6; its bias is O(dt)
    generator = torch.Generator().manual_seed(0)
    end, steps, n = 0.6, 600, 20_000
    dt = end / steps
    x = torch.full((n,), 1.5, dtype=torch.float64)
    for _ in range(steps):
        x = x - x * dt + math.sqrt(2 * dt) * torch.randn(n, generator=generator, dtype=torch.float64)
    t = torch.tensor(end, dtype=torch.float64)
    mean, variance = 1.5 * float(ou().alpha(t)), float(ou().sigma(t)) ** 2
    assert abs(float(x.mean()) - mean) < 4 * math.sqrt(variance / n) + 2 * dt
    assert abs(float(x.var()) - variance) < 4 * variance * math.sqrt(2 / n) + 2 * dt


def test_a_table_of_steps_is_read_by_integers() -> None:
    table = torch.linspace(0.99, 0.01, 10, dtype=torch.float64)
    schedule = discrete(table)
    t = torch.tensor([0, 9, 4])
    torch.testing.assert_close(schedule.alpha(t).square(), table[t])
    torch.testing.assert_close(schedule.sigma(t).square(), 1 - table[t])


def test_a_table_without_signal_or_noise_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must lie in \(0, 1\), however: its minimum is 0, its maximum 0\.9"):
        discrete(torch.tensor([0.9, 0.0]))
