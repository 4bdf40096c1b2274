"""Weights as covariances: what they are on mixtures whose posterior is known, and the theorems that order them."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from scorewise.covariance import Blocks, Covariance, Dense, Diagonal, Simplex
from scorewise.empirical import exact
from scorewise.estimate import Estimate
from scorewise.form import Full, Pure, Sliced
from scorewise.location import GeneralizedNormal, Laplace, Logistic, MultivariateT, StudentT
from scorewise.noise import Gaussian, LocationScale, from_log_prob
from scorewise.parameterisation import score
from scorewise.posterior import Mixture, Posterior, gaussian, mixture
from scorewise.schedule import ou, ve
from scorewise.symmetric import pack
from scorewise.target import OrderError, Target
from scorewise.weighting import (
    CollapsedError,
    LevelMeans,
    diagonal,
    from_rows,
    gaussian_weight,
    heuristic,
    heuristic_estimate,
    label_energy,
    level_means,
    per_level,
    precision_bounds,
    regularised,
    scalar,
)

SIGMAS = torch.tensor([0.01, 0.3, 5.0], dtype=torch.float64)
WEIGHTS = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
MEANS = torch.tensor([[1.2, 0.0], [-1.0, 0.8], [0.0, -1.5]], dtype=torch.float64)
COVARIANCES = torch.tensor(
    [[[0.3, 0.1], [0.1, 0.2]], [[0.15, 0.0], [0.0, 0.5]], [[0.4, -0.2], [-0.2, 0.25]]], dtype=torch.float64
)


def _mixture() -> Mixture:
    return mixture(WEIGHTS, MEANS, COVARIANCES)


def _plane(half: float, points: int = 241) -> tuple[Tensor, Tensor]:
    """Nodes and weights of the trapezoidal rule on a square, exact to rounding for smooth functions that vanish."""
    line = torch.linspace(-half, half, points, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    return grid, torch.full((len(grid),), float(line[1] - line[0]) ** 2, dtype=torch.float64)


def _noisy(sigma: float) -> tuple[Tensor, Tensor, Tensor]:
    """Noisy rows of the mixture as a grid, their times, and their probabilities; those that matter."""
    grid, area = _plane(6 + 7 * sigma)
    t = torch.full((len(grid),), sigma, dtype=torch.float64)
    mass = _mixture().log_prob(grid, t).exp() * area
    keep = mass > 1e-18
    return grid[keep], t[keep], mass[keep] / mass[keep].sum()


def _rows(size: int, generator: torch.Generator) -> Tensor:
    part = torch.multinomial(WEIGHTS, size, True, generator=generator)
    noise = torch.randn(size, 2, 1, generator=generator, dtype=torch.float64)
    return MEANS[part] + (torch.linalg.cholesky(COVARIANCES)[part] @ noise)[..., 0]


def test_equal_variances_give_edms_weight() -> None:
    sigma_data = 0.5
    weight = gaussian_weight(torch.eye(2).double(), torch.full((2,), sigma_data**2).double(), SIGMAS)
    edm = (SIGMAS**2 + sigma_data**2) / (SIGMAS * sigma_data) ** 2
    torch.testing.assert_close(1 / weight.variance, edm[:, None].expand(3, 2))


def test_it_is_the_posterior_covariance_of_gaussian_rows() -> None:
    root = torch.randn(3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    variance, basis = torch.linalg.eigh(root @ root.T)
    posterior = gaussian(torch.zeros(3).double(), root @ root.T)(root, SIGMAS)
    v = torch.randn(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(gaussian_weight(basis, variance, SIGMAS) @ v, posterior.cov @ v)


def test_the_chain_from_the_heuristic_to_the_mean_optimal_weight() -> None:
    # B5, theory 2.4: h <= h / (1 - r) = d / tr E[Sigma] <= tr (E Sigma)^-1 / d <= E tr Sigma^-1 / d, by quadrature
    for sigma in (0.1, 0.3, 0.8, 2.0):
        x_t, t, mass = _noisy(sigma)
        belief = score().belief(_mixture()(x_t, t), x_t, t)
        mean_square = float(mass @ belief.mean.square().sum(1))
        share = sigma**2 / 2 * mean_square
        average = torch.einsum("n,nij->ij", mass, belief.cov.matrix_form())
        links = [
            sigma**2,
            2 / float(average.trace()),
            float(torch.linalg.inv(average).trace()) / 2,
            float(mass @ belief.cov.inverse_trace) / 2,
        ]
        assert links == sorted(links)
        assert links[1] == pytest.approx(sigma**2 / (1 - share), rel=1e-9)
        assert float(average.trace()) == pytest.approx(2 / sigma**2 - mean_square, rel=1e-9)


def test_taylor_orders_of_the_heuristic() -> None:
    # theory 2.4: E tr W* / d = h (1 + r + O(h^2)); errors of h and of h (1 + r) fall like sigma^4 and sigma^6.
    # One dimension, with wide components, so that the expansion is reached before the digits end.
    rows = mixture(
        torch.tensor([0.6, 0.4]).double(),
        torch.tensor([[-1.0], [1.5]]).double(),
        torch.tensor([[[1.0]], [[0.7]]]).double(),
    )
    grid = torch.linspace(-14, 14, 4001, dtype=torch.float64)[:, None]
    errors = []
    for sigma in (0.02, 0.04):
        t = torch.full((len(grid),), sigma, dtype=torch.float64)
        mass = rows.log_prob(grid, t).exp()
        keep = mass > 1e-20
        x_t, t, mass = grid[keep], t[keep], mass[keep] / mass[keep].sum()
        belief = score().belief(rows(x_t, t), x_t, t)
        optimal = float(mass @ belief.cov.inverse_trace)
        share = sigma**2 * float(mass @ belief.mean.square()[:, 0])
        errors.append((optimal - sigma**2, optimal - sigma**2 * (1 + share)))
    slopes = [math.log2(big / small) for small, big in zip(*errors, strict=True)]
    assert slopes[0] == pytest.approx(4, abs=0.02)
    assert slopes[1] == pytest.approx(6, abs=0.05)


def test_bounds_on_the_mean_precision() -> None:
    # B9: linear minimum mean square error below, van Trees above
    grid, area = _plane(9)
    density = sum(
        w * torch.distributions.MultivariateNormal(m, s).log_prob(grid).exp()
        for w, m, s in zip(WEIGHTS, MEANS, COVARIANCES, strict=True)
    )
    assert isinstance(density, Tensor)
    prior = density * area
    x = grid.clone().requires_grad_()
    tiny = torch.full((len(grid),), 1e-9, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(_mixture().log_prob(x, tiny).sum(), x)
    information = torch.einsum("n,ni,nj->ij", prior, gradient, gradient)
    centred = grid - prior @ grid
    covariance = torch.einsum("n,ni,nj->ij", prior, centred, centred)
    for sigma in (0.1, 0.5, 2.0):
        x_t, t, mass = _noisy(sigma)
        average = torch.einsum("n,nij->ij", mass, _mixture()(x_t, t).cov.matrix_form())
        precision = torch.linalg.inv(average)
        lower, upper = precision_bounds(covariance, information, torch.ones(1).double(), torch.tensor([sigma]).double())
        assert torch.linalg.eigvalsh(precision - lower[0]).min() > 0
        assert torch.linalg.eigvalsh(upper[0] - precision).min() > 0
    small = precision_bounds(COVARIANCES[0], torch.linalg.inv(COVARIANCES[0]), torch.ones(1), SIGMAS[1:2])
    torch.testing.assert_close(small[0], small[1])  # both are exact for Gaussian rows


FORMS: dict[str, Callable[[Covariance, float], Covariance]] = {
    "optimal": lambda cov, h: cov,
    "regularised": lambda cov, h: regularised(cov, torch.full((len(cov.diag),), 1 / h, dtype=torch.float64)),
    "diagonal": lambda cov, h: diagonal(cov),
    "scalar": lambda cov, h: scalar(cov),
    "heuristic": lambda cov, h: Diagonal(torch.full_like(cov.diag, 1 / h)),
    "constant": lambda cov, h: Diagonal(torch.ones_like(cov.diag)),
}


def test_no_weight_estimates_better_than_the_optimal_one() -> None:
    # B8, theory 2.3: V(W) - V(Sigma^-1) is positive for every weight W; what is known less costs more
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(3, 5, generator=generator, dtype=torch.float64)
    phases = torch.rand(5, generator=generator, dtype=torch.float64) * 6
    parts: dict[str, tuple[Tensor, Tensor]] = {}
    for sigma in (0.1, 0.3, 1.0, 3.0):
        generator.manual_seed(1)
        draw = Gaussian().draw(_rows(2_000, generator), torch.full((2_000,), sigma, dtype=torch.float64), generator)
        waves = (torch.cat([draw.x_t, draw.t.log()[:, None]], 1) @ features + phases).sin()
        jacobian = torch.einsum("np,ij->nijp", waves, torch.eye(2).double()).flatten(
            2
        )  # of a linear model of the score
        cov = score().belief(_mixture()(draw.x_t, draw.t), draw.x_t, draw.t).cov
        mean = Diagonal(torch.full_like(cov.diag, float(cov.trace.mean() / 2)))
        for name, form in {**FORMS, "per level": lambda cov, h, mean=mean: mean}.items():
            weight = form(cov, sigma**2)
            weighed = torch.stack([weight.solve(jacobian[:, :, p]) for p in range(10)], 2)
            spread = torch.stack([cov @ weighed[:, :, p] for p in range(10)], 2)
            a = torch.einsum("nip,niq->pq", jacobian, weighed)
            b = torch.einsum("nip,niq->pq", weighed, spread)
            old = parts.get(name, (0 * a, 0 * b))
            parts[name] = (old[0] + a, old[1] + b)
    variances = {name: torch.linalg.inv(a) @ b @ torch.linalg.inv(a) for name, (a, b) in parts.items()}
    for name, variance in variances.items():
        gap = torch.linalg.eigvalsh(variance - variances["optimal"])
        assert gap.min() > -1e-10 * float(variance.trace()), name
    traces = [float(variances[name].trace()) for name in ("optimal", "diagonal", "scalar", "per level", "constant")]
    assert traces == sorted(traces)
    assert traces[0] < float(variances["regularised"].trace()) < float(variances["heuristic"].trace())


def test_diagonal_and_scalar_keep_variances_and_their_mean() -> None:
    cov = Dense(COVARIANCES)
    torch.testing.assert_close(diagonal(cov).diag, COVARIANCES.diagonal(dim1=1, dim2=2))
    torch.testing.assert_close(scalar(cov).diag[:, 0], cov.trace / 2)
    torch.testing.assert_close(scalar(cov).trace, cov.trace)


@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.7, 1.0])
def test_the_regularised_family_goes_from_optimal_to_heuristic_and_is_bounded(gamma: float) -> None:
    # C5: eigenvalues of the weight are at most h / gamma (score)
    x_t, t, _ = _noisy(0.5)
    cov = score().belief(_mixture()(x_t, t), x_t, t).cov
    weight = regularised(cov, 1 / t.square(), gamma)
    unit = torch.eye(2).double()
    expected = (1 - gamma) * cov.matrix_form() + gamma * (1 / t.square())[:, None, None] * unit
    torch.testing.assert_close(weight.matrix_form(), expected)
    if gamma > 0:
        assert torch.linalg.eigvalsh(torch.linalg.inv(weight.matrix_form())).max() <= 0.25 / gamma


def test_the_regularised_weight_of_atoms_and_categories_is_finite() -> None:
    atoms = exact(torch.tensor([[-1.0], [1.0]]).double())
    x_t, t = torch.tensor([[3.0], [0.0]]).double(), torch.tensor([0.2, 0.2]).double()
    assert (1 / atoms(x_t, t).cov.diag).max() > 1e10
    assert (1 / regularised(atoms(x_t, t).cov, t.square()).diag).max() <= 10 / 0.04
    simplex = Simplex(torch.tensor([[[1.0, 0.0, 0.0]]]).log().log_softmax(-1).nan_to_num(neginf=-1e4))
    blocks = Blocks([Diagonal(torch.ones(1, 2)), simplex], [(2,), (1, 3)])
    weight = regularised(blocks, torch.tensor([0.04]))
    assert torch.isfinite(weight.whiten(torch.ones(1, 5))).all()
    with pytest.raises(ValueError, match=r"gamma must lie between 0 \(optimal\) and 1 \(heuristic\), however: gamma=2"):
        regularised(blocks, torch.tensor([0.04]), 2)


@pytest.mark.parametrize(
    "noise", [Gaussian(), Gaussian(ou()), Laplace(), Logistic(), StudentT(5), MultivariateT(5), GeneralizedNormal(1.5)]
)
def test_heuristic_weights_of_every_noise(noise: LocationScale) -> None:
    # B7: the closed form within 4 standard errors of its definition
    t = torch.tensor(0.6, dtype=torch.float64)
    found = heuristic(noise, t[None], 3)[0]
    generator = torch.Generator().manual_seed(0)
    rows = torch.zeros(20_000, 3).double()
    estimate = heuristic_estimate(Target(noise), rows, t, 3, generator)
    energy = label_energy(Target(noise), rows, t, 1, generator)  # the trace of the Fisher information
    assert abs(float(energy.value) - 3 / float(found)) < 4 * float(energy.se) + 1e-12
    assert abs(float(estimate.value - found)) < 4 * float(estimate.se) + 1e-12
    sigma_t = float(noise.schedule.sigma(t))
    assert float(found) == pytest.approx(3 * sigma_t**2 / noise.information(3))


@pytest.mark.parametrize("order", [2, 3, 4])
def test_heuristic_weights_of_higher_orders(order: int) -> None:
    # theory 2.8: h^k / k!
    t = torch.tensor(0.9, dtype=torch.float64)
    found = float(heuristic(Gaussian(), t[None], 2, order)[0])
    assert found == pytest.approx(0.81**order / math.factorial(order))
    generator = torch.Generator().manual_seed(0)
    rows = torch.zeros(100_000, 2).double()
    unit = torch.nn.functional.normalize(torch.tensor([[1.0, 2.0], [0.3, -1.0], [0.0, 1.0]]).double(), dim=1)
    for form in (Full(), Pure(), Sliced(unit)):
        estimate = heuristic_estimate(Target(Gaussian(), order, form), rows, t, 2, generator)
        assert abs(float(estimate.value) - found) < 4 * float(estimate.se)


def test_heuristic_estimate_averages_over_rows_where_the_noise_depends_on_them() -> None:
    # x_t ~ N(x, t^2 (1 + x^2)): E|T_1|^2 = E 1 / (t^2 (1 + x^2))
    noise = from_log_prob(
        lambda x, t, g: x + t[:, None] * (1 + x.square()).sqrt() * torch.randn(x.shape, generator=g, dtype=x.dtype),
        lambda x_t, x, t: torch.distributions.Normal(x, t[..., None] * (1 + x.square()).sqrt()).log_prob(x_t).sum(-1),
    )
    rows = torch.tensor([[0.0], [2.0]]).double().repeat(20_000, 1)
    t = torch.tensor(0.5).double()
    estimate = heuristic_estimate(Target(noise), rows, t, 1, torch.Generator().manual_seed(0))
    assert abs(float(estimate.value) - 1 / (0.5 * (4 + 0.8))) < 4 * float(estimate.se)


def test_heuristics_that_do_not_exist_are_refused() -> None:
    with pytest.raises(OrderError, match="order=2 with Laplace"):
        heuristic(Laplace(), SIGMAS, 2, 2)
    with pytest.raises(TypeError, match="needs Gaussian noise, however: Logistic"):
        heuristic(Logistic(), SIGMAS, 2, 2)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_heuristic_of_every_order_is_below_the_mean_optimal_weight(order: int) -> None:
    # 2.8: the chain of 2.4 with Cov[T_k|x_t] on the symmetric tensors
    sigma, target = 0.7, Target(Gaussian(), order)
    x_t, t, mass = _noisy(sigma)
    x_t, t, mass = x_t[::7], t[::7], mass[::7] / mass[::7].sum()
    cov = target.belief_of_mixture(_mixture(), x_t, t).cov
    width = target.coordinates(2)
    known = float(mass @ pack(target.belief_of_mixture(_mixture(), x_t, t).mean).square().sum(1))
    level = width / float(mass @ cov.trace)
    lambda_k = float(heuristic(Gaussian(), torch.tensor([sigma]).double(), 2, order)[0])
    share = known / (width / lambda_k)
    assert lambda_k < level < float(mass @ cov.inverse_trace) / width
    assert level == pytest.approx(lambda_k / (1 - share), rel=2e-2)


def test_level_means_are_those_of_the_posterior_within_their_errors() -> None:
    levels = torch.tensor([0.2, 1.0], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    means = level_means(_mixture(), Gaussian(), _rows(4_000, generator), levels, generator)
    for i, sigma in enumerate((0.2, 1.0)):
        x_t, t, mass = _noisy(sigma)
        cov = _mixture()(x_t, t).cov
        for found, expected in (
            (means.variance, float(mass @ cov.trace) / 2),
            (means.precision, float(mass @ cov.inverse_trace) / 2),
        ):
            assert abs(float(found.value[i]) - expected) < 4 * float(found.se[i])
    assert (means.precision.value > 1 / means.variance.value).all()


def test_level_means_of_any_label() -> None:
    target, levels = Target(Gaussian(), 2), torch.tensor([1.0], dtype=torch.float64)

    def belief(x_t: Tensor, t: Tensor) -> Posterior:
        return target.belief_of_mixture(_mixture(), x_t, t)

    generator = torch.Generator().manual_seed(0)
    means = level_means(belief, Gaussian(), _rows(500, generator), levels, generator)
    assert means.variance.value.shape == (1,)
    assert 0 < float(means.variance.value) < 2  # k! / h^k, without what is known


def test_per_level_weights_interpolate_in_the_logarithm() -> None:
    t = torch.tensor([0.1, 1.0, 10.0], dtype=torch.float64)
    variance = torch.tensor([0.01, 1.0, 2.0], dtype=torch.float64)
    weight = per_level(LevelMeans(t, Estimate.exactly(variance), Estimate.exactly(1 / variance)))
    found = weight(torch.zeros(5, 2), torch.tensor([0.1, 10**-0.5, 1.0, 0.01, 100.0]).double()).diag
    expected = torch.tensor([0.01, 0.1, 1.0, 0.01, 2.0]).double()
    torch.testing.assert_close(found, expected[:, None].expand(5, 2))
    for times in ([1.0], [1.0, 0.5], [0.0, 1.0]):
        value = Estimate.exactly(torch.ones(len(times)))
        with pytest.raises(ValueError, match=r"times must be positive and increasing, at least two, however: \["):
            per_level(LevelMeans(torch.tensor(times), value, value))


def test_weights_from_rows_are_regularised_and_refuse_to_rest_on_single_rows() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = exact(_rows(300, generator), Gaussian(ve()))
    draw = Gaussian().draw(rows.rows[:50], torch.full((50,), 0.5).double(), generator)
    expected = regularised(rows(draw.x_t, draw.t).cov, draw.t.square(), 0.2).matrix_form()
    torch.testing.assert_close(from_rows(rows, 0.2)(draw.x_t, draw.t).matrix_form(), expected)
    with pytest.raises(CollapsedError, match=r"rest on 2 rows or more in the median, however: effective size 1 of 300"):
        from_rows(rows)(draw.x_t, torch.full((50,), 1e-3).double())
    with pytest.raises(CollapsedError, match=r"effective size 1 of 300"):
        level_means(rows, Gaussian(), rows.rows, torch.tensor([1e-3, 1.0]).double(), generator)
    other = from_log_prob(lambda x, t, g: x, lambda x_t, x, t: -(x_t - x).square().sum(-1))
    with pytest.raises(TypeError, match="needs location-scale noise, however: _Custom"):
        from_rows(exact(rows.rows, other))
