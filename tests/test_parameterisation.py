"""One battery that every affine label passes, over schedules: its table, its belief, and the passage to the others."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from scorewise.empirical import exact
from scorewise.noise import Draw, Gaussian
from scorewise.parameterisation import (
    Parameterisation,
    clean,
    convert,
    edm,
    epsilon,
    flow_velocity,
    score,
    velocity,
)
from scorewise.schedule import Schedule, flow, ou, ve, vp

SCHEDULES = {"ve": ve(), "vp": vp(), "ou": ou(), "flow": flow()}
MAKERS = {
    "clean": clean,
    "score": score,
    "epsilon": epsilon,
    "velocity": velocity,
    "flow velocity": flow_velocity,
    "edm": lambda schedule=None: edm(0.5, schedule),
}
ROWS = torch.randn(9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
X_T = torch.tensor([[0.2, 0.5], [1.0, -0.3]], dtype=torch.float64)
T = torch.tensor([0.7, 0.2], dtype=torch.float64)


@pytest.fixture(params=SCHEDULES, name="schedule")
def _schedule(request: pytest.FixtureRequest) -> Schedule:
    return SCHEDULES[request.param]


@pytest.fixture(params=MAKERS, name="label")
def _label(request: pytest.FixtureRequest, schedule: Schedule) -> Parameterisation:
    made: Parameterisation = MAKERS[request.param](schedule)
    return made


def test_belief_has_the_mean_and_covariance_of_the_label(label: Parameterisation, schedule: Schedule) -> None:
    # B6: Cov[y|x_t] = scale^2 Cov[x|x_t]
    noise = Gaussian(schedule)
    belief = label.belief(exact(ROWS, noise)(X_T, T), X_T, T)
    for i in range(2):
        x_t, t = X_T[i].expand(9, 2), T[i].expand(9)
        weights = noise.log_prob(x_t, ROWS, t).softmax(0)
        labels = label.label(Draw(ROWS, x_t, t))
        mean = weights @ labels
        covariance = torch.einsum("n,ni,nj->ij", weights, labels - mean, labels - mean)
        torch.testing.assert_close(belief.mean[i], mean)
        torch.testing.assert_close(belief.cov.matrix_form()[i], covariance)


def test_label_is_its_share_of_the_row_and_of_the_noise(label: Parameterisation, schedule: Schedule) -> None:
    noise = Gaussian(schedule)
    draw = noise.draw(ROWS[:2], T, torch.Generator().manual_seed(0))
    c_x, c_eps = label.amplitudes(T)
    expected = c_x[:, None] * draw.x + c_eps[:, None] * noise.standardise(draw)
    torch.testing.assert_close(label.label(draw), expected)


@pytest.mark.parametrize("other", MAKERS.values(), ids=MAKERS)
def test_a_label_is_converted_to_every_other_and_back(
    label: Parameterisation, schedule: Schedule, other: Callable[[Schedule], Parameterisation]
) -> None:
    to = other(schedule)
    draw = Gaussian(schedule).draw(ROWS[:2], T, torch.Generator().manual_seed(0))
    there = convert(label.label(draw), label, to, draw.x_t, T)
    torch.testing.assert_close(there, to.label(draw))
    torch.testing.assert_close(convert(there, to, label, draw.x_t, T), label.label(draw))


def test_the_table(schedule: Schedule) -> None:
    # theory 2.6: the factor of x in each label, written out
    alpha_t, sigma_t = schedule.alpha(T), schedule.sigma(T)
    h_t, s_d = sigma_t.square(), 0.5
    c_out = sigma_t / alpha_t * s_d / (h_t / alpha_t**2 + s_d**2).sqrt()
    expected = {
        "clean": torch.ones_like(T),
        "score": alpha_t / h_t,
        "epsilon": -alpha_t / sigma_t,
        "velocity": -(alpha_t**2 + h_t) / sigma_t,
        "flow velocity": -(alpha_t + sigma_t) / sigma_t,
        "edm": 1 / c_out,
    }
    for name, make in MAKERS.items():
        torch.testing.assert_close(make(schedule).coefficients(T)[1], expected[name])


def test_score_is_the_gradient_of_the_noise(schedule: Schedule) -> None:
    x_t = X_T.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(Gaussian(schedule).log_prob(x_t, ROWS[:2], T).sum(), x_t)
    torch.testing.assert_close(score(schedule).label(Draw(ROWS[:2], X_T, T)), gradient)


def test_edms_label_is_that_of_its_preconditioning() -> None:
    s_d, sigma = 0.5, T[:, None]
    c_skip, c_out = s_d**2 / (sigma**2 + s_d**2), sigma * s_d / (sigma**2 + s_d**2).sqrt()
    found = edm(s_d).label(Draw(ROWS[:2], X_T, T))
    torch.testing.assert_close(found, (ROWS[:2] - c_skip * X_T) / c_out)


def test_edms_label_has_variance_one_for_gaussian_rows(schedule: Schedule) -> None:
    size = 40_000
    generator = torch.Generator().manual_seed(0)
    x = 0.5 * torch.randn(size, 1, generator=generator, dtype=torch.float64)
    for time in (0.05, 0.5, 0.9):
        draw = Gaussian(schedule).draw(x, torch.full((size,), time, dtype=torch.float64), generator)
        variance = float(edm(0.5, schedule).label(draw).var())
        assert abs(variance - 1) < 4 * (2 / size) ** 0.5


def test_flow_velocity_is_the_time_derivative_of_a_noisy_row() -> None:
    def position(t: Tensor) -> Tensor:
        return flow().alpha(t)[:, None] * ROWS[:2] + flow().sigma(t)[:, None] * X_T

    _, slope = torch.func.jvp(position, (T,), (torch.ones_like(T),))
    found = flow_velocity(flow()).label(Draw(ROWS[:2], position(T), T))
    torch.testing.assert_close(found, slope)


def test_variance_preserving_velocity_is_turned_by_a_right_angle() -> None:
    # Salimans, Ho: with alpha = cos and sigma = sin of an angle, v is the derivative of x_t in the angle
    schedule = Schedule(torch.cos, torch.sin)
    eps = X_T

    def position(angle: Tensor) -> Tensor:
        return angle.cos()[:, None] * ROWS[:2] + angle.sin()[:, None] * eps

    _, slope = torch.func.jvp(position, (T,), (torch.ones_like(T),))
    torch.testing.assert_close(velocity(schedule).label(Draw(ROWS[:2], position(T), T)), slope)
