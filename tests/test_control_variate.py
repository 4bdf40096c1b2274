"""Control variates: the same mean, and the slopes of the variance in the noise that the derivation says."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from scorewise.control_variate import Model, antithetic_loss, control_variate_loss, plain_loss
from scorewise.form import Form, Full, Pure, Sliced
from scorewise.location import Logistic
from scorewise.noise import Draw, Gaussian, LocationScale, from_log_prob
from scorewise.schedule import ou
from scorewise.target import Target

SIZE = 40_000


def _full(order: int) -> Model:
    """A smooth model of the derivative of this order in 2 dimensions."""
    weight = torch.randn(2, 2**order, generator=torch.Generator().manual_seed(order), dtype=torch.float64)

    def model(x: Tensor, t: Tensor) -> Tensor:
        return ((x @ weight).sin() + 0.5 * t[:, None]).reshape(-1, *[2] * order)

    return model


def _vector(x: Tensor, t: Tensor) -> Tensor:
    return torch.stack([x[:, 0].sin() * x[:, 1], (x[:, 0] - x[:, 1]).cos() * t], 1)


def _draw(noise: LocationScale, t: float) -> Draw:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(SIZE, 2, generator=generator, dtype=torch.float64)
    return noise.draw(x, torch.full((SIZE,), t, dtype=torch.float64), generator)


@pytest.mark.parametrize("noise", [Gaussian(), Gaussian(ou()), Logistic()])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("loss", [control_variate_loss, antithetic_loss])
def test_the_mean_is_that_of_the_plain_loss(
    noise: LocationScale, order: int, loss: Callable[[Model, Target, Draw], Tensor]
) -> None:
    # A5
    for form, model in ((Full(), _full(order)), (Pure(), _vector), (Sliced(torch.eye(2).double() + 0.5), _vector)):
        target, draw = Target(noise, order, form), _draw(noise, 0.6)
        apart = loss(model, target, draw) - plain_loss(model, target, draw)
        assert apart.std() > 0
        assert abs(float(apart.mean())) < 4 * float(apart.std()) / math.sqrt(SIZE)


@pytest.mark.parametrize(
    ("loss", "order", "slope"),
    [
        (plain_loss, 2, -4),
        (control_variate_loss, 2, -2),
        (antithetic_loss, 2, 0),
        (plain_loss, 1, -2),
        (control_variate_loss, 1, 0),
        (antithetic_loss, 1, 0),
    ],
)
@pytest.mark.parametrize("form", [Full(), Pure()], ids=["full", "pure"])
def test_the_variance_grows_as_derived(
    loss: Callable[[Model, Target, Draw], Tensor], order: int, slope: float, form: Form
) -> None:
    # A5: log-log slopes in sigma, of the same noise at both levels
    model = _full(order) if isinstance(form, Full) else _vector
    target = Target(Gaussian(), order, form)
    variances = [float(loss(model, target, _draw(Gaussian(), sigma)).var()) for sigma in (0.005, 0.01)]
    assert math.log2(variances[1] / variances[0]) == pytest.approx(slope, abs=0.1)


def test_the_plain_loss_is_the_squared_error_without_its_constant() -> None:
    target, draw, model = Target(Gaussian(), 2), _draw(Gaussian(), 0.6), _full(2)
    label = target.label(draw)
    squares = (model(draw.x_t, draw.t) - label).square().flatten(1).sum(1) - label.square().flatten(1).sum(1)
    torch.testing.assert_close(plain_loss(model, target, draw), squares)


def test_second_order_losses_are_the_formulas_written_out() -> None:
    draw, model = _draw(Gaussian(), 0.6), _full(2)
    z, h = Gaussian().standardise(draw), 0.36
    outer = (torch.eye(2).double() - z[:, :, None] * z[:, None]) / h
    noisy, still, mirrored = (model(x, draw.t) for x in (draw.x_t, draw.x, 2 * draw.x - draw.x_t))
    one = noisy.square().sum((1, 2)) + 2 * (outer * (noisy - still)).sum((1, 2))
    torch.testing.assert_close(control_variate_loss(model, Target(Gaussian(), 2), draw), one)
    squares = 0.5 * (noisy.square() + mirrored.square()).sum((1, 2))
    other = squares + (outer * (noisy + mirrored - 2 * still)).sum((1, 2))
    torch.testing.assert_close(antithetic_loss(model, Target(Gaussian(), 2), draw), other)


def test_a_noise_without_location_is_refused() -> None:
    noise = from_log_prob(lambda x, t, g: x, lambda x_t, x, t: (x_t - x).sum(-1))
    for loss in (control_variate_loss, antithetic_loss):
        with pytest.raises(TypeError, match="a control variate needs location-scale noise, however: _Custom"):
            loss(_vector, Target(noise), _draw(Gaussian(), 0.6))
