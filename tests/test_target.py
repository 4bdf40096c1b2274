"""Targets of any order, over noises and forms: against derivatives of the density, and against the exact denoiser."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from scorewise.derivative import in_coordinates, in_directions, in_full
from scorewise.empirical import exact
from scorewise.form import Form, Full, Pure, Sliced, random_directions
from scorewise.location import GeneralizedNormal, Laplace, Logistic, MultivariateT, StudentT, Uniform
from scorewise.noise import Draw, Gaussian, Noise, from_log_prob
from scorewise.posterior import Mixture, gaussian, mixture
from scorewise.schedule import ou, vp
from scorewise.symmetric import along, logs_from_ratios, pack
from scorewise.target import OrderError, Target, centred_label

SMOOTH: dict[str, Noise] = {
    "gaussian": Gaussian(),
    "gaussian ou": Gaussian(ou()),
    "logistic": Logistic(),
    "student vp": StudentT(5, vp()),
    "multivariate t": MultivariateT(5, ou()),
    "generalized normal, quartic": GeneralizedNormal(4),
    "gaussian, by its density alone": from_log_prob(
        lambda x, t, generator: x + t[:, None] * torch.randn(x.shape, generator=generator, dtype=x.dtype),
        lambda x_t, x, t: -0.5 * ((x_t - x) / t[..., None]).square().sum(-1) - x.shape[-1] * t.log(),
    ),
    "state-dependent scale": from_log_prob(
        lambda x, t, generator: x + t[:, None] * (1 + x.square()).sqrt() * torch.randn(x.shape, generator=generator),
        lambda x_t, x, t: torch.distributions.Normal(x, t[..., None] * (1 + x.square()).sqrt()).log_prob(x_t).sum(-1),
    ),
}
ROWS = torch.randn(7, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
X_T = torch.tensor([[0.2, 0.5], [1.0, -0.3], [-1.5, 0.1]], dtype=torch.float64)
T = torch.tensor([0.7, 0.4, 0.9], dtype=torch.float64)
DIRECTIONS = torch.tensor([[0.6, 0.8], [1.0, 0.0], [2.0, -1.0]], dtype=torch.float64)
DRAW = Draw(ROWS[:3], X_T, T)


def _derivatives(noise: Noise, i: int, order: int) -> Tensor:
    """`grad^k p_t / p_t` of the rows at the i-th point, by reverse differentiation of the density itself."""

    def density(x_t: Tensor) -> Tensor:
        return noise.log_prob(x_t[None], ROWS, T[i : i + 1]).exp().mean()

    f = density
    for _ in range(order):
        f = torch.func.jacrev(f)
    return f(X_T[i]) / density(X_T[i])


def _mixture() -> Mixture:
    generator = torch.Generator().manual_seed(3)
    roots = torch.randn(3, 2, 2, generator=generator, dtype=torch.float64)
    covariances = 0.2 * roots @ roots.mT + 0.05 * torch.eye(2, dtype=torch.float64)
    means = torch.randn(3, 2, generator=generator, dtype=torch.float64)
    return mixture(torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64), means, covariances, ou())


@pytest.fixture(params=SMOOTH, name="noise")
def _noise(request: pytest.FixtureRequest) -> Noise:
    return SMOOTH[request.param]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_mean_of_the_label_is_the_derivative_of_the_density_over_it(noise: Noise, order: int) -> None:
    # A1 (Gaussian) and A3 (others): E[T_k|x_t] = grad^k p / p, in each form
    forms: list[tuple[Form, Callable[[Tensor], Tensor]]] = [
        (Full(), lambda tensor: tensor),
        (Pure(), lambda tensor: along(tensor[None], torch.eye(2).double())[0]),
        (Sliced(DIRECTIONS), lambda tensor: along(tensor[None], DIRECTIONS)[0]),
    ]
    for i in range(2):
        w = noise.log_prob(X_T[i : i + 1], ROWS, T[i : i + 1]).softmax(0)
        expected = _derivatives(noise, i, order)
        for form, keep in forms:
            labels = Target(noise, order, form).label(Draw(ROWS, X_T[i].expand(7, 2), T[i].expand(7)))
            mean = torch.einsum("n,n...->...", w, labels)
            torch.testing.assert_close(mean, keep(expected), rtol=1e-9, atol=1e-9)


def test_first_order_under_kinks() -> None:
    for noise in (Laplace(), GeneralizedNormal(1.5)):
        labels = Target(noise).label(Draw(ROWS, X_T[0].expand(7, 2), T[0].expand(7)))
        mean = noise.log_prob(X_T[:1], ROWS, T[:1]).softmax(0) @ labels
        torch.testing.assert_close(mean, _derivatives(noise, 0, 1))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_the_closed_form_is_the_automatic_one(order: int) -> None:
    by_density = SMOOTH["gaussian, by its density alone"]
    for form in (Full(), Pure(), Sliced(DIRECTIONS), Sliced(random_directions(4, X_T))):
        one, other = Target(Gaussian(), order, form), Target(by_density, order, form)
        torch.testing.assert_close(one.label(DRAW), other.label(DRAW), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_gaussian_labels_are_hermite_polynomials_of_the_noise(order: int) -> None:
    # theory 1.2 and A6, in 200 dimensions
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 200, generator=generator, dtype=torch.float64)
    draw = Gaussian(ou()).draw(x, torch.full((5,), 0.6).double(), generator)
    v = random_directions(3, x, generator)
    torch.testing.assert_close(v.square().sum(2), torch.ones(5, 3).double())
    eps, sigma_t = Gaussian(ou()).standardise(draw), ou().sigma(draw.t)
    for form, z in ((Pure(), eps), (Sliced(v), (v @ eps[..., None])[..., 0])):
        expected = (-1 / sigma_t[:, None]) ** order * torch.special.hermite_polynomial_he(z, torch.tensor(order))
        torch.testing.assert_close(Target(Gaussian(ou()), order, form).label(draw), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_mean_square_of_gaussian_labels(order: int) -> None:
    # B4: E|T_k|^2 = k! C(d + k - 1, k) h^-k, by Gauss-Hermite nodes
    off = torch.arange(1, 8, dtype=torch.float64).sqrt()
    values, vectors = torch.linalg.eigh(torch.diag(off, 1) + torch.diag(off, -1))
    for d in (1, 2, 3):
        eps = torch.cartesian_prod(*[values] * d).reshape(-1, d)
        mass = torch.cartesian_prod(*[vectors[0].square()] * d).reshape(-1, d).prod(1)
        t = torch.full((len(eps),), 0.7, dtype=torch.float64)
        labels = Target(Gaussian(), order).label(Draw(0 * eps, 0.7 * eps, t))
        found = float(mass @ labels.flatten(1).square().sum(1))
        assert found == pytest.approx(math.factorial(order) * math.comb(d + order - 1, order) * 0.7 ** (-2 * order))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("form", [Full(), Pure(), Sliced(DIRECTIONS)], ids=["full", "pure", "sliced"])
def test_belief_of_a_mixture_is_that_of_many_rows(form: Form, order: int) -> None:
    # B3: the covariance from moments up to 2k is the covariance of the labels, by quadrature over the clean row
    schedule, rows = ou(), _mixture()
    target = Target(Gaussian(schedule), order, form)
    line = torch.linspace(-8, 8, 161, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    prior = sum(
        weight
        * torch.distributions.MultivariateNormal(part.mean, part.basis @ torch.diag(part.lam) @ part.basis.T)
        .log_prob(grid)
        .exp()
        for weight, part in zip(rows.weights, rows._components, strict=True)
    )
    assert isinstance(prior, Tensor)
    found = target.belief_of_mixture(rows, X_T, T)
    for i in range(3):
        log_q = Gaussian(schedule).log_prob(X_T[i : i + 1], grid, T[i : i + 1])
        w = (prior.log() + log_q).softmax(0)
        labels = target.label(Draw(grid, X_T[i].expand_as(grid), T[i].expand(len(grid)))).flatten(1)
        mean = w @ labels
        covariance = torch.einsum("n,ni,nj->ij", w, labels - mean, labels - mean)
        scale = float((w @ labels.square()).max())
        torch.testing.assert_close(found.mean[i].flatten(), mean, rtol=1e-7, atol=1e-7)
        if isinstance(form, Full):
            torch.testing.assert_close(found.cov.matrix_form()[i], covariance, rtol=1e-6, atol=1e-9 * scale)
        else:
            torch.testing.assert_close(found.cov.diag[i], covariance.diag(), rtol=1e-6, atol=1e-9 * scale)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("form", [Full(), Pure(), Sliced(DIRECTIONS)], ids=["full", "pure", "sliced"])
def test_belief_of_a_gaussian_posterior(form: Form, order: int) -> None:
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(2, 2, generator=generator, dtype=torch.float64)
    mean, covariance = torch.randn(2, generator=generator, dtype=torch.float64), root @ root.T
    alone = mixture(torch.ones(1).double(), mean[None], covariance[None], ou())
    target = Target(Gaussian(ou()), order, form)
    one = target.belief(gaussian(mean, covariance, ou())(X_T, T), X_T, T)
    other = target.belief_of_mixture(alone, X_T, T)
    torch.testing.assert_close(one.mean, other.mean)
    torch.testing.assert_close(one.cov.diag, other.cov.diag, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_share_of_the_label_that_is_known_for_gaussian_rows(order: int) -> None:
    # B10: E|M_k|^2 / E|T_k|^2 = (h / (h + s_d^2))^k, over x_t by Gauss-Hermite nodes
    s_d, sigma, k = 0.8, 0.6, 10
    off = torch.arange(1, k, dtype=torch.float64).sqrt()
    values, vectors = torch.linalg.eigh(torch.diag(off, 1) + torch.diag(off, -1))
    mass = torch.cartesian_prod(*[vectors[0].square()] * 2).prod(1)
    x_t = torch.cartesian_prod(values, values) * math.hypot(s_d, sigma)
    t = torch.full((len(x_t),), sigma, dtype=torch.float64)
    rows = gaussian(torch.zeros(2).double(), s_d**2 * torch.eye(2).double())
    belief = Target(Gaussian(), order).belief(rows(x_t, t), x_t, t)
    known = float(mass @ pack(belief.mean).square().sum(1))
    label = math.factorial(order) * math.comb(order + 1, order) * sigma ** (-2 * order)
    assert known / label == pytest.approx((sigma**2 / (sigma**2 + s_d**2)) ** order)
    assert float(mass @ belief.cov.trace) == pytest.approx(label - known)


def test_logs_of_the_moments_are_derivatives_of_the_log_density() -> None:
    # A2, on the exact belief of a mixture
    rows = _mixture()
    moments = [Target(Gaussian(ou()), k).belief_of_mixture(rows, X_T, T).mean for k in (1, 2, 3, 4)]

    def log_density(x: Tensor, t: Tensor) -> Tensor:
        return rows.log_prob(x[None], t[None])[0]

    f: Callable[[Tensor, Tensor], Tensor] = log_density
    for log in logs_from_ratios(moments):
        f = torch.func.jacrev(f)
        torch.testing.assert_close(log, torch.func.vmap(f)(X_T, T), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("form", [Full(), Pure(), Sliced(DIRECTIONS)], ids=["full", "pure", "sliced"])
def test_centred_label_has_the_hessian_as_its_mean(noise: Noise, form: Form) -> None:
    # A4, exact with the true score and off by b b' with a score that is off by b
    off = torch.tensor([0.3, -0.2], dtype=torch.float64)
    for i in range(3):
        first, second = _derivatives(noise, i, 1), _derivatives(noise, i, 2)
        hessian = second - first[:, None] * first
        draw = Draw(ROWS, X_T[i].expand(7, 2), T[i].expand(7))
        w = noise.log_prob(X_T[i : i + 1], ROWS, T[i : i + 1]).softmax(0)
        for bias in (0 * off, off):
            labels = centred_label(noise, draw, (first + bias).expand(7, 2), form)
            expected = hessian + bias[:, None] * bias
            if isinstance(form, Pure):
                expected = expected.diag()
            if isinstance(form, Sliced):
                expected = along(expected[None], DIRECTIONS)[0]
            torch.testing.assert_close(torch.einsum("n,n...->...", w, labels), expected, rtol=1e-9, atol=1e-9)


def test_covariance_of_the_first_label_is_a_difference_of_hessians(noise: Noise) -> None:
    # 2.1, B1, B2: Cov[T_1|x_t] = grad^2 log p - E[grad^2 log q|x_t]
    belief = exact(ROWS, noise).belief(Target(noise).label, X_T, T)
    for i in range(3):
        first, second = _derivatives(noise, i, 1), _derivatives(noise, i, 2)
        draw = Draw(ROWS, X_T[i].expand(7, 2), T[i].expand(7))
        w = noise.log_prob(X_T[i : i + 1], ROWS, T[i : i + 1]).softmax(0)
        curvature = torch.einsum("n,nij->ij", w, in_full(noise, draw, 2)[1])
        expected = second - first[:, None] * first - curvature
        torch.testing.assert_close(belief.cov.matrix_form()[i], expected, rtol=1e-8, atol=1e-9)


def test_derivatives_in_directions_and_coordinates_are_contractions(noise: Noise) -> None:
    whole = in_full(noise, DRAW, 4)
    assert [term.shape for term in whole] == [(3, *[2] * k) for k in (1, 2, 3, 4)]
    for v in (DIRECTIONS, random_directions(3, X_T, torch.Generator().manual_seed(0))):
        for one, other in zip(in_directions(noise, DRAW, 4, v), whole, strict=True):
            torch.testing.assert_close(one, along(other, v), rtol=1e-9, atol=1e-9)
    for one, other in zip(in_coordinates(noise, DRAW, 4), whole, strict=True):
        torch.testing.assert_close(one, along(other, torch.eye(2).double()), rtol=1e-9, atol=1e-9)


def test_labels_far_in_the_tails_neither_overflow_nor_vanish() -> None:
    draw = Draw(torch.zeros(1, 2).double(), torch.tensor([[60.0, -8000.0]]).double(), torch.tensor([1.0]).double())
    assert Gaussian().log_prob(draw.x_t, draw.x, draw.t).exp() == 0
    for noise in (Gaussian(), Logistic()):
        label = Target(noise, 4).label(draw)
        assert torch.isfinite(label).all()
        assert label.abs().max() > 0.1


def test_labels_that_do_not_exist_are_refused() -> None:
    sentence = r"between 1 and max_order={} of the noise, however: order={} with {}\. .*kink .* or a jump"
    for noise, order in ((Laplace(), 2), (Uniform(), 1), (GeneralizedNormal(2.5), 3), (Gaussian(), 0)):
        message = sentence.format(f"{noise.max_order:g}", order, type(noise).__name__)
        with pytest.raises(OrderError, match=message):
            Target(noise, order)
    with pytest.raises(OrderError, match="order=2 with Laplace"):
        centred_label(Laplace(), DRAW, 0 * X_T)


def test_a_belief_about_labels_of_other_noises_is_left_to_the_rows() -> None:
    posterior = exact(ROWS, Laplace())(X_T, T)
    for form in (Full(), Pure()):
        with pytest.raises(TypeError, match="a label in closed form needs Gaussian noise, however: Laplace"):
            Target(Laplace(), 1, form).belief(posterior, X_T, T)
