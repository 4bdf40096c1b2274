"""One battery that every noise passes, its law held against quadrature of its own density."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from scorewise.location import GeneralizedNormal, Laplace, Logistic, MultivariateT, StudentT, Uniform
from scorewise.noise import Gaussian, LocationScale, Noise, from_log_prob
from scorewise.schedule import ou, ve, vp


def _multiplied(x: Tensor, t: Tensor, generator: torch.Generator | None) -> Tensor:
    return x * (t[:, None] * torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)).exp()


def _log_multiplied(x_t: Tensor, x: Tensor, t: Tensor) -> Tensor:
    squares = (x_t.abs().log() - x.abs().log()).square() / t[..., None].square()
    normal = -0.5 * squares - 0.5 * math.log(2 * math.pi) - t[..., None].log() - x_t.abs().log()
    return torch.where(x_t * x > 0, normal, -math.inf).sum(-1)


def _state_dependent(x: Tensor, t: Tensor, generator: torch.Generator | None) -> Tensor:
    eps = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    return x + t[:, None] * (1 + x.square()).sqrt() * eps


def _log_state_dependent(x_t: Tensor, x: Tensor, t: Tensor) -> Tensor:
    variance = t[..., None].square() * (1 + x.square())
    return (-0.5 * (x_t - x).square() / variance - 0.5 * (2 * math.pi * variance).log()).sum(-1)


ADDED: dict[str, LocationScale] = {
    "gaussian": Gaussian(),
    "gaussian vp": Gaussian(vp()),
    "laplace": Laplace(),
    "logistic ou": Logistic(ou()),
    "student": StudentT(5),
    "student, one degree": StudentT(1),
    "multivariate t": MultivariateT(5, ou()),
    "generalized normal": GeneralizedNormal(1.5),
    "generalized normal, quartic": GeneralizedNormal(4, vp()),
    "uniform": Uniform(ou()),
}
KINDS: dict[str, Noise] = {
    **ADDED,
    "multiplied": from_log_prob(_multiplied, _log_multiplied),
    "state-dependent scale": from_log_prob(_state_dependent, _log_state_dependent),
}


@pytest.fixture(params=KINDS, name="noise")
def _noise(request: pytest.FixtureRequest) -> Noise:
    return KINDS[request.param]


@pytest.fixture(params=ADDED, name="added")
def _added(request: pytest.FixtureRequest) -> LocationScale:
    return ADDED[request.param]


def _line(points: int = 200_000) -> tuple[Tensor, Tensor]:
    """Midpoints and weights of a rule on the whole line, `u = v / (1 - v^2)`; 0 is no node."""
    v = (torch.arange(points, dtype=torch.float64) + 0.5) / points * 2 - 1
    return v / (1 - v * v), (1 + v * v) / (1 - v * v).square() * (2 / points)


def _time(size: int, value: float = 0.6) -> Tensor:
    return torch.full((size,), value, dtype=torch.float64)


def test_density_integrates_to_one(noise: Noise) -> None:
    x_t, weight = _line()
    density = noise.log_prob(x_t[:, None], torch.tensor([[0.7]], dtype=torch.float64), _time(1)).exp()
    coarse = isinstance(noise, StudentT | Uniform)  # a tail of 1 / u^2, and jumps
    assert float((density * weight).sum()) == pytest.approx(1, abs=1e-4 if coarse else 1e-6)


def test_draws_follow_the_density(noise: Noise) -> None:
    size = 40_000
    x_t, weight = _line()
    density = noise.log_prob(x_t[:, None], torch.tensor([[0.7]], dtype=torch.float64), _time(1)).exp() * weight
    drawn = noise.draw(torch.full((size, 1), 0.7).double(), _time(size), torch.Generator().manual_seed(0)).x_t[:, 0]
    for bound in (-1.0, 0.2, 0.7, 1.1, 3.0):
        share = float(density[x_t < bound].sum())
        error = math.sqrt(max(0.0, share * (1 - share)) / size)
        assert abs(float((drawn < bound).double().mean()) - share) < 4 * error + 1e-4


def test_same_seed_same_draw_and_another_seed_another(noise: Noise) -> None:
    def draw(seed: int) -> Tensor:
        return noise.draw(torch.ones(5, 2).double(), _time(5), torch.Generator().manual_seed(seed)).x_t

    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))


def test_log_prob_broadcasts_to_pairs(noise: Noise) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(4, 2, generator=generator, dtype=torch.float64) + 0.5
    x_t = torch.rand(3, 2, generator=generator, dtype=torch.float64) + 0.5
    t = torch.rand(3, generator=generator, dtype=torch.float64) + 0.3
    pairs = noise.log_prob(x_t[:, None], x, t[:, None])
    assert pairs.shape == (3, 4)
    for i in range(3):
        for j in range(4):
            torch.testing.assert_close(pairs[i, j], noise.log_prob(x_t[i : i + 1], x[j : j + 1], t[i : i + 1])[0])


def test_a_draw_carries_its_rows_times_and_indices(noise: Noise) -> None:
    x, t, row = torch.ones(3, 2).double(), _time(3), torch.tensor([4, 0, 2])
    draw = noise.draw(x, t, torch.Generator().manual_seed(0), row)
    assert draw.x is x
    assert draw.t is t
    assert draw.row is row
    assert draw.x_t.shape == (3, 2)
    assert noise.draw(x, t).row is None


def test_noise_is_added_at_the_scale_of_the_schedule(added: LocationScale) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    t = torch.rand(6, generator=generator, dtype=torch.float64) * 0.8 + 0.1
    draw = added.draw(x, t, torch.Generator().manual_seed(1))
    eps = added.sample(x, torch.Generator().manual_seed(1))
    alpha_t, sigma_t = added.schedule.alpha(t)[:, None], added.schedule.sigma(t)[:, None]
    torch.testing.assert_close(draw.x_t, alpha_t * x + sigma_t * eps)
    torch.testing.assert_close(added.standardise(draw), eps)
    expected = added.log_factors(eps).sum(1) - 3 * sigma_t[:, 0].log()
    torch.testing.assert_close(added.log_prob(draw.x_t, x, t), expected)


def test_noise_is_symmetric(added: LocationScale) -> None:
    eps = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(added.log_factors(eps), added.log_factors(-eps))


def test_information_is_the_mean_square_of_the_score(added: LocationScale) -> None:
    # B7, one dimension, by quadrature; the law in more dimensions is the next test
    if added.max_order == 0:
        assert added.information(1) == math.inf
        return
    eps, weight = _line()
    eps.requires_grad_()
    log_density = added.log_factors(eps[:, None])[:, 0]
    (score,) = torch.autograd.grad(log_density.sum(), eps)
    found = float((score.square() * log_density.exp() * weight).sum().detach())
    assert added.information(1) == pytest.approx(found, rel=1e-5)


def test_information_in_more_dimensions(added: LocationScale) -> None:
    if added.max_order == 0:
        assert added.information(3) == math.inf
        return
    eps = added.sample(torch.empty(100_000, 3).double(), torch.Generator().manual_seed(0)).requires_grad_()
    (score,) = torch.autograd.grad(added.log_factors(eps).sum(), eps)
    squares = score.square().sum(1)
    assert abs(float(squares.mean()) - added.information(3)) < 4 * float(squares.std()) / math.sqrt(100_000) + 1e-9


@pytest.mark.parametrize(
    ("noise", "formula"),
    [
        (Gaussian(), lambda s: s**2),
        (Laplace(), lambda b: b**2),
        (Logistic(), lambda s: 3 * s**2),
        (StudentT(5), lambda s: s**2 * 8 / 6),
        (MultivariateT(5), lambda s: s**2 * (5 + 3 + 2) / (5 + 3)),
        (GeneralizedNormal(3), lambda a: a**2 * math.gamma(1 / 3) / (9 * math.gamma(5 / 3))),
    ],
)
def test_heuristic_weights_are_those_of_the_table(noise: LocationScale, formula: Callable[[float], float]) -> None:
    # theory 2.7, d / tr I_q at scale 0.4 in 3 dimensions
    assert 3 * 0.4**2 / noise.information(3) == pytest.approx(formula(0.4))


def test_gaussian_is_the_normal_distribution() -> None:
    generator = torch.Generator().manual_seed(0)
    x, x_t = torch.randn(2, 6, 3, generator=generator, dtype=torch.float64)
    sigma_t = torch.rand(6, generator=generator, dtype=torch.float64) + 0.1
    expected = torch.distributions.Normal(x, sigma_t[:, None]).log_prob(x_t).sum(1)
    torch.testing.assert_close(Gaussian(ve()).log_prob(x_t, x, sigma_t), expected)


@pytest.mark.parametrize(
    ("noise", "expected"),
    [
        (Gaussian(), math.inf),
        (Laplace(), 1),
        (GeneralizedNormal(0.4), 0),
        (GeneralizedNormal(1), 1),
        (GeneralizedNormal(1.5), 1),
        (GeneralizedNormal(1.6), 2),
        (GeneralizedNormal(3), 3),
        (GeneralizedNormal(2), math.inf),
        (Uniform(), 0),
        (from_log_prob(_multiplied, _log_multiplied, 2), 2),
    ],
)
def test_orders_end_where_labels_have_no_finite_variance(noise: Noise, expected: float) -> None:
    assert noise.max_order == expected


def test_the_variance_of_a_label_grows_without_bound_beyond_the_last_order() -> None:
    # GeneralizedNormal(1.5): q'' / q behaves like |u|^(-1/2), so its mean square to a cut diverges; q' / q does not
    def mean_square(order: int, cut: float) -> float:
        u = torch.logspace(math.log10(cut), 1, 100_000, dtype=torch.float64)
        density = GeneralizedNormal(1.5).log_factors(u).exp()
        first = -1.5 * u.sqrt()
        label = first if order == 1 else first.square() - 0.75 * u.rsqrt()
        return float(torch.trapezoid(label.square() * density, u))

    growth = [mean_square(order, 1e-12) / mean_square(order, 1e-6) for order in (1, 2)]
    assert growth[0] == pytest.approx(1, abs=1e-6)
    assert growth[1] > 1.5


def test_parameters_that_make_no_law_are_refused() -> None:
    for make in (StudentT, MultivariateT):
        with pytest.raises(ValueError, match="nu must be positive, however: nu=0"):
            make(0)
    with pytest.raises(ValueError, match="beta must be positive, however: beta=-1"):
        GeneralizedNormal(-1)
