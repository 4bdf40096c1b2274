"""The posterior over finitely many rows against a naive softmax, and against the population that they come from."""

import math

import pytest
import torch
from torch import Tensor

import scorewise.empirical
from scorewise.covariance import Dense, Diagonal, Symmetric
from scorewise.empirical import bracket, exact
from scorewise.form import Pure
from scorewise.location import Laplace, Logistic, MultivariateT, StudentT, Uniform
from scorewise.noise import Draw, Gaussian, Noise, from_log_prob
from scorewise.posterior import gaussian
from scorewise.schedule import flow, ou, vp
from scorewise.target import Target

ROWS = torch.randn(37, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
X_T = torch.tensor([[0.3, -0.2], [1.0, 0.4], [-2.0, 0.0]], dtype=torch.float64)
T = torch.tensor([0.6, 0.3, 0.8], dtype=torch.float64)
KINDS: dict[str, Noise] = {
    "gaussian": Gaussian(),
    "gaussian vp": Gaussian(vp()),
    "gaussian flow": Gaussian(flow()),
    "laplace": Laplace(),
    "logistic ou": Logistic(ou()),
    "student": StudentT(5),
    "multivariate t": MultivariateT(5),
    "state-dependent": from_log_prob(
        lambda x, t, generator: x + t[:, None] * (1 + x.square()).sqrt() * torch.randn(x.shape, generator=generator),
        lambda x_t, x, t: torch.distributions.Normal(x, t[..., None] * (1 + x.square()).sqrt()).log_prob(x_t).sum(-1),
    ),
}


@pytest.fixture(params=KINDS, name="noise")
def _noise(request: pytest.FixtureRequest) -> Noise:
    return KINDS[request.param]


def _naive(noise: Noise, x_t: Tensor, t: Tensor, values: Tensor, left_out: int | None = None) -> tuple[Tensor, Tensor]:
    """Mean and covariance of values, shape (N, F), over the rows behind one noisy row."""
    w = noise.log_prob(x_t.expand(len(ROWS), 2), ROWS, t.expand(len(ROWS)))
    if left_out is not None:
        w[left_out] = -math.inf
    w = w.softmax(0)
    mean = w @ values
    return mean, torch.einsum("n,ni,nj->ij", w, values - mean, values - mean)


@pytest.mark.parametrize("chunk", [2**19, 16])
@pytest.mark.parametrize("kept", [2**24, 0])
def test_posterior_is_one_softmax_in_any_chunks(
    noise: Noise, chunk: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scorewise.empirical, "CHUNK", chunk)
    monkeypatch.setattr(scorewise.empirical, "KEPT", kept)
    found, variances = exact(ROWS, noise)(X_T, T), exact(ROWS, noise, Diagonal)(X_T, T)
    size = exact(ROWS, noise).effective_size(X_T, T)
    log_density = exact(ROWS, noise).log_prob(X_T, T)
    for i in range(3):
        mean, covariance = _naive(noise, X_T[i], T[i], ROWS)
        torch.testing.assert_close(found.mean[i], mean)
        torch.testing.assert_close(variances.mean[i], mean)
        torch.testing.assert_close(found.cov.matrix_form()[i], covariance, rtol=1e-7, atol=1e-11)
        torch.testing.assert_close(variances.cov.diag[i], covariance.diag(), rtol=1e-7, atol=1e-11)
        log_q = noise.log_prob(X_T[i].expand(37, 2), ROWS, T[i].expand(37))
        torch.testing.assert_close(size[i], 1 / log_q.softmax(0).square().sum())
        torch.testing.assert_close(log_density[i], log_q.exp().mean().log())


def test_leave_one_out_is_the_posterior_over_the_others(noise: Noise) -> None:
    row = torch.tensor([4, 0, 36])
    found = exact(ROWS, noise).leave_one_out(Draw(ROWS[row], X_T, T, row))
    for i in range(3):
        mean, covariance = _naive(noise, X_T[i], T[i], ROWS, int(row[i]))
        torch.testing.assert_close(found.mean[i], mean)
        torch.testing.assert_close(found.cov.matrix_form()[i], covariance, rtol=1e-7, atol=1e-11)


@pytest.mark.parametrize(
    ("noise", "order"), [(noise, k) for noise in KINDS.values() for k in (1, 2, 3) if k <= noise.max_order]
)
def test_belief_about_a_label_is_its_mean_and_covariance_over_the_rows(noise: Noise, order: int) -> None:
    target = Target(noise, order)
    found = exact(ROWS, noise).belief(target.label, X_T, T)
    pure = exact(ROWS, noise, Diagonal).belief(Target(noise, order, Pure()).label, X_T, T)
    assert isinstance(found.cov, Dense if order == 1 else Symmetric)
    for i in range(3):
        labels = target.label(Draw(ROWS, X_T[i].expand(37, 2), T[i].expand(37)))
        mean, covariance = _naive(noise, X_T[i], T[i], labels.flatten(1))
        torch.testing.assert_close(found.mean[i].flatten(), mean)
        scale = float(covariance.diag().max())
        torch.testing.assert_close(found.cov.matrix_form()[i], covariance, rtol=1e-7, atol=1e-9 * scale)
        corner = [0, 2**order - 1]  # T[0, ..., 0] and T[1, ..., 1]
        torch.testing.assert_close(pure.mean[i], mean[corner])
        torch.testing.assert_close(pure.cov.diag[i], covariance.diag()[corner], rtol=1e-7, atol=1e-9 * scale)


def test_small_noise_keeps_the_digits_that_a_matrix_product_would_lose() -> None:
    near = 1e4 * ROWS + 1e-3 * torch.tensor([1.0, -1.0], dtype=torch.float64)
    rows, t = torch.cat([1e4 * ROWS, near]), torch.full((3,), 1e-3, dtype=torch.float64)
    x_t = rows[:3] + 1e-3 * X_T
    found = exact(rows)(x_t, t).mean - x_t
    w = Gaussian().log_prob(x_t[:, None], rows, t[:, None]).softmax(1)
    assert (w.max(1).values < 0.95).any()
    naive = (w[..., None] * (rows - x_t[:, None])).sum(1)
    torch.testing.assert_close(found, naive, rtol=0, atol=1e-3 * 1e-6)


def test_the_posterior_can_be_differentiated() -> None:
    # C2: Cov[x|x_t] = (h / alpha) dD / dx_t
    t = T[:1]
    rows = exact(ROWS, Gaussian(ou()))
    jacobian = torch.autograd.functional.jacobian(lambda x: rows(x, t).mean, X_T[:1])[0, :, 0]
    scale = ou().sigma(t).square() / ou().alpha(t)
    torch.testing.assert_close(scale * jacobian, rows(X_T[:1], t).cov.matrix_form()[0], rtol=1e-6, atol=1e-9)


def test_single_precision_rows_give_single_precision_posteriors() -> None:
    one, other = exact(ROWS.float())(X_T.float(), T.float()), exact(ROWS)(X_T, T)
    assert one.mean.dtype == one.cov.diag.dtype == torch.float32
    torch.testing.assert_close(one.mean.double(), other.mean, rtol=0, atol=1e-5)
    torch.testing.assert_close(one.cov.diag.double(), other.cov.diag, rtol=0, atol=1e-4)


def test_many_gaussian_rows_tend_to_the_gaussian_posterior() -> None:
    rows = torch.randn(40_000, 1, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    x_t = torch.tensor([[0.4]], dtype=torch.float64)
    sigma = torch.tensor([0.8], dtype=torch.float64)
    one = torch.ones(1, 1, dtype=torch.float64)
    limit = gaussian(torch.zeros(1, dtype=torch.float64), one)(x_t, sigma)
    found = exact(rows)(x_t, sigma)
    torch.testing.assert_close(found.mean, limit.mean, atol=0.02, rtol=0)
    torch.testing.assert_close(found.cov.diag, limit.cov.diag, atol=0.02, rtol=0)


def test_two_atoms_have_the_variance_of_the_hyperbolic_secant() -> None:
    # C4: Var[x|x_t] = a^2 sech^2(a x_t / s^2) and E 1/Var = (3 + exp(4 a^2 / s^2)) / (4 a^2), by quadrature
    a, s = 1.0, 0.8
    rows = torch.tensor([[-a], [a]], dtype=torch.float64)
    x_t = torch.linspace(-25, 25, 200_001, dtype=torch.float64)[:, None]
    inside = x_t[abs(x_t[:, 0]) < 6]
    found = exact(rows, Gaussian(), Diagonal)(inside, torch.full((len(inside),), s, dtype=torch.float64)).cov.diag[:, 0]
    expected = a**2 / torch.cosh(a * inside[:, 0] / s**2).square()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-11)
    log_p = exact(rows).log_prob(x_t, torch.full((len(x_t),), s, dtype=torch.float64))
    log_inverse = 2 * torch.logaddexp(a * x_t[:, 0] / s**2, -a * x_t[:, 0] / s**2) - math.log(4 * a**2)
    mean_inverse = torch.trapezoid((log_p + log_inverse).exp(), x_t[:, 0])
    assert float(mean_inverse) == pytest.approx((3 + math.exp(4 * a**2 / s**2)) / (4 * a**2), rel=1e-9)


def test_identities_of_the_bracket_hold_for_every_number_of_rows() -> None:
    # C1: E tr C_S = E tr C - E|D_S - D|^2 and E|x - D_S'|^2 = E tr C + E|D_S' - D|^2, over many samples of 12 rows
    sigma, size, repeats = 0.7, 12, 1_500
    generator = torch.Generator().manual_seed(0)
    truth = gaussian(torch.zeros(2).double(), torch.eye(2).double())
    floor = float(truth(torch.zeros(1, 2).double(), torch.tensor([sigma]).double()).cov.trace)
    below, above = [], []
    for _ in range(repeats):
        rows = torch.randn(size, 2, generator=generator, dtype=torch.float64)
        t, row = torch.full((size,), sigma).double(), torch.arange(size)
        draw = Gaussian().draw(rows, t, generator, row)
        best = truth(draw.x_t, t).mean
        sample = exact(rows, Gaussian(), Diagonal)
        within, without = sample(draw.x_t, t), sample.leave_one_out(draw)
        below.append((within.cov.trace + (within.mean - best).square().sum(1)).mean())
        above.append(((rows - without.mean).square().sum(1) - (without.mean - best).square().sum(1)).mean())
    for found in (torch.stack(below), torch.stack(above)):
        assert abs(float(found.mean()) - floor) < 4 * float(found.std()) / math.sqrt(repeats)


def test_the_bracket_holds_the_variance_of_the_population_with_honest_errors() -> None:
    sigma, size, repeats = torch.tensor(0.7, dtype=torch.float64), 100, 60
    generator = torch.Generator().manual_seed(0)
    truth = gaussian(torch.zeros(2).double(), torch.eye(2).double())
    floor = float(truth(torch.zeros(1, 2).double(), sigma[None]).cov.trace)
    found = [
        bracket(torch.randn(size, 2, generator=generator, dtype=torch.float64), Gaussian(), sigma, generator)
        for _ in range(repeats)
    ]
    for estimates, sign in (([b.lower for b in found], -1), ([b.upper for b in found], 1)):  # signs of the biases
        values = torch.stack([e.value for e in estimates])
        errors = torch.stack([e.se for e in estimates])
        spread = float(values.std())
        assert sign * (float(values.mean()) - floor) > 0
        assert 0.75 * spread < float(errors.square().mean().sqrt()) < 1.35 * spread


def test_effective_size_falls_with_the_noise() -> None:
    sizes = [float(exact(ROWS).effective_size(ROWS[:1], torch.tensor([s]).double())) for s in (1e-3, 0.3, 100.0)]
    assert sizes[0] == pytest.approx(1)
    assert 1 < sizes[1] < 37
    assert sizes[2] == pytest.approx(37, rel=1e-3)


@pytest.mark.slow
def test_a_hundred_thousand_rows_and_four_thousand_queries_fit_in_two_gigabytes() -> None:
    resource = pytest.importorskip("resource")
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(100_000, 16, generator=generator)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    draw = Gaussian().draw(rows[:4096], torch.full((4096,), 0.5), generator, torch.arange(4096))
    sample = exact(rows, Gaussian(), Diagonal)
    assert torch.isfinite(sample(draw.x_t, draw.t).cov.trace).all()
    assert torch.isfinite(sample.leave_one_out(draw).mean).all()
    assert (sample.effective_size(draw.x_t, draw.t) >= 1 - 1e-6).all()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2 * 2**20  # in KiB


@pytest.mark.parametrize("kind", [Dense, Diagonal])
def test_the_largest_temporary_does_not_grow_with_the_rows(kind: type) -> None:
    class Largest(torch.utils._python_dispatch.TorchDispatchMode):
        numbers = 0

        def __torch_dispatch__(
            self, func: object, types: object, args: tuple = (), kwargs: dict | None = None
        ) -> object:
            out = func(*args, **(kwargs or {}))  # type: ignore[operator]
            if isinstance(out, Tensor) and out.numel() != rows.numel():
                self.numbers = max(self.numbers, out.numel())
            return out

    for size in (5_000, 40_000):
        rows = torch.randn(size, 4, generator=torch.Generator().manual_seed(0))
        with Largest() as largest:
            exact(rows, Gaussian(), kind)(rows[:1000], torch.ones(1000))
        assert largest.numbers <= 8 * scorewise.empirical.CHUNK


def test_what_cannot_be_answered_is_refused() -> None:
    with pytest.raises(ValueError, match=r"rows must have shape \(N, D\) with N > 0, however: rows\.shape=\(0, 2\)"):
        exact(torch.zeros(0, 2))
    with pytest.raises(ValueError, match=r"needs the row of each draw and at least 2 rows, however: draw\.row=None"):
        exact(ROWS).leave_one_out(Draw(ROWS[:3], X_T, T))
    with pytest.raises(ValueError, match=r"possible under the noise given some row, however: 1 of 3 are not"):
        exact(ROWS, Uniform())(torch.tensor([[0.1, 0.1], [0.2, 0.1], [50.0, 0.0]]).double(), T)
    with pytest.raises(ValueError, match=r"at least 2 rows each, however: groups=20, len\(rows\)=37"):
        bracket(ROWS, Gaussian(), T[0])
