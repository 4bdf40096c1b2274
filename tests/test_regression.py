"""The score as a regression, on bounded sets."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from scorewise.regression import lift, localise, project, radius, score


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_lift_appends_time_and_one() -> None:
    x_t, t = _normal(3, 2), torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    expected = torch.tensor([[0.0, 1.0], [0.5, 1.0], [1.5, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(lift(x_t, t, 0.5), torch.cat([x_t, expected], 1))


def test_the_score_of_the_true_mean_is_the_gradient_of_the_log_density(problem: Callable[..., object]) -> None:
    draw = problem(20, 0)
    centres = torch.tensor([[2.0, 0.5], [-1.5, 1.0], [-0.5, -2.0]], dtype=torch.float64)
    variances, shares = torch.tensor([0.1, 0.3, 0.05]).double(), torch.tensor([0.5, 0.3, 0.2]).double()

    def log_density(x: Tensor) -> Tensor:
        total = draw.alpha_t[:, None].square() * variances + draw.h_t[:, None]
        squares = (x[:, None] - draw.alpha_t[:, None, None] * centres).square().sum(2)
        return (shares.log() - total.log() - squares / (2 * total)).logsumexp(1).sum()

    exact = torch.autograd.functional.jacobian(log_density, draw.x_t)
    torch.testing.assert_close(score(draw.mean, draw.x_t, draw.alpha_t, draw.h_t), exact)


def test_the_error_of_the_score_is_that_of_the_mean_scaled() -> None:
    mean, other, x_t = _normal(3, 5, 2)
    alpha_t, h_t = _normal(2, 5, seed=1).exp()
    error = (score(mean, x_t, alpha_t, h_t) - score(other, x_t, alpha_t, h_t)).square().sum(1)
    torch.testing.assert_close(error, alpha_t.square() / h_t.square() * (mean - other).square().sum(1))


@pytest.mark.parametrize("delta", [0.5, 0.05])
def test_noisy_rows_leave_the_ball_with_less_than_delta(delta: float) -> None:
    size, width, bound = 20_000, 3, 2.0
    x = bound * torch.nn.functional.normalize(_normal(size, width), dim=1)
    for t in (0.1, 1.0):
        alpha_t, h_t = (
            torch.tensor([t, t]).double().neg().exp()[:1],
            torch.tensor([1 - 2.718281828 ** (-2 * t)]).double(),
        )
        x_t = alpha_t * x + h_t.sqrt() * _normal(size, width, seed=1)
        outside = float((x_t.norm(dim=1) > radius(alpha_t, h_t, bound, width, delta)).double().mean())
        assert outside <= delta + 4 * (delta / size) ** 0.5
        smaller = (x_t.norm(dim=1) > 0.5 * radius(alpha_t, h_t, bound, width, delta)).double().mean()
        assert float(smaller) > delta / 2  # it is no ball that holds everything


@pytest.mark.parametrize("delta", [0.0, 1.0, 2.0])
def test_delta_is_a_probability(delta: float) -> None:
    with pytest.raises(ValueError, match="delta must lie strictly between 0 and 1, however: delta="):
        radius(torch.ones(1), torch.ones(1), 1.0, 2, delta)


def test_project_goes_to_the_nearest_point_and_contracts() -> None:
    x, z = 3 * _normal(2, 200, 3)
    x[0] = 0
    p = project(x, 1.5)
    assert float(p.norm(dim=1).max()) <= 1.5 + 1e-12
    inside = x.norm(dim=1) <= 1.5
    torch.testing.assert_close(p[inside], x[inside])
    torch.testing.assert_close(p[~inside], 1.5 * x[~inside] / x[~inside].norm(dim=1, keepdim=True))
    assert bool(((p - project(z, 1.5)).norm(dim=1) <= (x - z).norm(dim=1) + 1e-12).all())
    radii = torch.linspace(0.5, 5, 200, dtype=torch.float64)
    torch.testing.assert_close(project(x, radii)[3], project(x[3:4], float(radii[3]))[0])


def test_localise_is_zero_outside_and_projected_inside() -> None:
    predict = localise(lambda x_t, t: 10 * x_t + t[:, None], lambda t: t + 1, bound=2.0)
    x_t = torch.tensor([[0.05, 0.0], [1.0, 0.0], [4.0, 0.0]])
    t = torch.tensor([0.0, 1.0, 2.0])
    torch.testing.assert_close(
        predict(x_t, t), torch.tensor([[0.5, 0.0], project(torch.tensor([[11.0, 1.0]]), 2.0)[0].tolist(), [0.0, 0.0]])
    )
