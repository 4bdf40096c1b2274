"""The kernel path against gradient descent that is carried out, one battery for every structure of the weight."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from scorewise.covariance import Blocks, Covariance, Dense, Diagonal, Simplex, Spectral
from scorewise.descent import Path
from scorewise.shallow import TwoLayer, gradient_descent
from scorewise.spectrum import discrete, flow, risk
from scorewise.tangent import empirical_kernel, hidden_kernel, tangent_kernel

N, D = 12, 3
STEPS = torch.tensor([0, 1, 2, 7, 200])


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _spd(seed: int) -> Tensor:
    root = _normal(N, D, D, seed=seed)
    return root @ root.mT + 0.3 * torch.eye(D, dtype=torch.float64)


def _per_row() -> Tensor:
    return _normal(N, 1, seed=5).exp().expand(N, D)


WEIGHTS: dict[str, Covariance] = {
    "constant": Diagonal(torch.full((N, D), 2.0, dtype=torch.float64)),
    "a number per row": Diagonal(_per_row()),
    "a number per row, as matrices": Dense(_per_row()[:, :, None] * torch.eye(D, dtype=torch.float64)),
    "a number per row and output": Diagonal(_normal(N, D, seed=6).exp()),
    "a matrix per row": Dense(_spd(7)),
    "rotated": Spectral(torch.linalg.qr(_normal(D, D, seed=8)).Q, _normal(N, D, seed=9).exp()),
    "blocks": Blocks(
        [Diagonal(_normal(N, 1, seed=6).exp()), Simplex(_normal(N, 1, 2, seed=7).log_softmax(-1))], [(1,), (1, 2)]
    ),
}


def _matrices(cov: Covariance) -> Tensor:
    return torch.stack([cov @ unit.expand(N, D) for unit in torch.eye(D, dtype=torch.float64)], 2)


def _weights(cov: Covariance) -> Tensor:
    return torch.linalg.pinv(_matrices(cov), hermitian=True)


class Case:
    """A problem with its path, and the same path carried out step by step with explicit matrices."""

    def __init__(self, assumed: Covariance, *, coupled: bool = False) -> None:
        self.x, self.z, self.y, self.assumed = _normal(N, 4), _normal(5, 4, seed=1), _normal(N, D, seed=2), assumed
        if coupled:
            network = TwoLayer(4, D, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
            self.gram = empirical_kernel(network, [self.x])
            self.cross = empirical_kernel(network, [self.z], [self.x])
            self.big, self.big_cross = self.gram.reshape(N * D, N * D), self.cross.reshape(5 * D, N * D)
        else:
            unit = torch.eye(D, dtype=torch.float64)
            self.gram, self.cross = tangent_kernel(self.x, self.x), tangent_kernel(self.z, self.x)
            self.big, self.big_cross = torch.kron(self.gram, unit), torch.kron(self.cross, unit)
        self.path = Path(self.gram, self.y, assumed)
        self.rate = 0.9 / float(self.path.values.max())

    def carried_out(self) -> tuple[Tensor, Tensor]:
        """Values at the rows and at other points after each of STEPS, shapes (T, n, D) and (T, m, D)."""
        weight = torch.block_diag(*_weights(self.assumed))
        f, g = torch.zeros(N * D, dtype=torch.float64), torch.zeros(5 * D, dtype=torch.float64)
        fs, gs = [], []
        for done in range(int(STEPS.max()) + 1):
            if done in STEPS:
                fs.append(f.reshape(N, D))
                gs.append(g.reshape(5, D))
            push = weight @ (self.y.flatten() - f) / N
            f, g = f + self.rate * self.big @ push, g + self.rate * self.big_cross @ push
        return torch.stack(fs), torch.stack(gs)


@pytest.fixture(params=[*WEIGHTS, "a number per row, coupled outputs"], name="case", scope="module")
def _case(request: pytest.FixtureRequest) -> Case:
    if request.param in WEIGHTS:
        return Case(WEIGHTS[request.param])
    return Case(WEIGHTS["a number per row"], coupled=True)


def test_the_path_is_gradient_descent(case: Case) -> None:
    at_rows, elsewhere = case.carried_out()
    whitened = torch.stack([case.assumed.whiten(f) for f in at_rows])
    torch.testing.assert_close(case.path.fitted(case.rate, STEPS), whitened)
    torch.testing.assert_close(case.path.predict(case.cross, case.rate, STEPS), elsewhere)
    torch.testing.assert_close(case.path.predict(case.gram, case.rate, STEPS), at_rows, rtol=1e-6, atol=1e-8)


def test_eigenvalues_are_those_of_the_weighted_kernel(case: Case) -> None:
    exact = torch.linalg.eigvals(torch.block_diag(*_weights(case.assumed)) @ case.big / N).real.sort().values
    values = case.path.values.repeat_interleave(case.path.coefficients.shape[1]).sort().values
    torch.testing.assert_close(values, exact, rtol=1e-7, atol=1e-12)


def test_labels_in_the_eigenbasis_keep_the_weighted_norm(case: Case) -> None:
    v = _normal(N, D, seed=11)
    norm = torch.einsum("ia,iab,ib->", v, _weights(case.assumed), v)
    torch.testing.assert_close(case.path.project(v).square().sum(), norm)
    torch.testing.assert_close(case.path.project(case.y), case.path.coefficients)
    assert case.path.coefficients.numel() == N * D


def test_the_flow_is_the_solution_of_its_equation(case: Case) -> None:
    time = torch.tensor([0.4], dtype=torch.float64)
    fitted = case.path.predict(case.cross, 1.0, time, flow)
    step = 1e-5
    ahead, behind = (case.path.predict(case.cross, 1.0, time + h, flow)[0] for h in (step, -step))
    at_rows = case.path.predict(case.gram, 1.0, time, flow)[0]
    push = torch.einsum("iab,ib->ia", _weights(case.assumed), case.y - at_rows).flatten() / N
    torch.testing.assert_close(((ahead - behind) / (2 * step)).flatten(), case.big_cross @ push, rtol=1e-4, atol=1e-7)
    many = case.path.predict(case.cross, 1e-4, torch.tensor([4000]), discrete)
    torch.testing.assert_close(many, fitted, rtol=1e-2, atol=1e-4)


def test_levels_are_the_variances_of_the_labels_in_the_eigenbasis(case: Case) -> None:
    cov = Dense(_spd(12))
    big = torch.block_diag(*cov.matrix)
    columns = torch.stack([case.path.project(v.reshape(N, D)).flatten() for v in torch.linalg.cholesky(big).T], 1)
    exact = columns.square().sum(1)
    torch.testing.assert_close(case.path.levels(cov).flatten(), exact)


def test_the_weight_that_is_the_covariance_whitens_the_noise(case: Case) -> None:
    if isinstance(case.assumed, Blocks):
        assert float(case.path.levels(case.assumed).max()) < 1 + 1e-9  # a simplex has one direction without noise
    else:
        torch.testing.assert_close(case.path.levels(case.assumed), torch.ones_like(case.path.coefficients))


def test_clusters_of_one_row_are_independent_rows(case: Case) -> None:
    residual = _normal(N, D, seed=13)
    found = case.path.cluster_levels(residual, torch.arange(N))
    outer = Dense(residual[:, :, None] * residual[:, None] + 1e-13 * torch.eye(D, dtype=torch.float64))
    torch.testing.assert_close(found.total, case.path.levels(outer))
    torch.testing.assert_close(found.pair, torch.zeros_like(found.pair))


def test_cluster_levels_are_sums_over_clusters(case: Case) -> None:
    residual, row = _normal(N, D, seed=13), torch.tensor([3, 1, 1, 0, 3, 3, 7, 7, 9, 9, 9, 9])
    found = case.path.cluster_levels(residual, row)
    own, total = torch.zeros_like(found.own), torch.zeros_like(found.own)
    for i, j in itertools.product(range(N), range(N)):
        left, right = torch.zeros(2, N, D, dtype=torch.float64)
        left[i], right[j] = residual[i], residual[j]
        product = case.path.project(left) * case.path.project(right)
        own += product * (i == j)
        total += product * (row[i] == row[j])
    torch.testing.assert_close(found.own, own)
    torch.testing.assert_close(found.total, total)
    assert float(found.total.min()) > -1e-12


def test_rescaling_data_and_noise_together_changes_nothing(case: Case) -> None:
    if isinstance(case.assumed, Blocks):
        pytest.skip("probabilities have no unit")
    unit = 7.0
    scaled = Path(case.gram, unit * case.y, Dense(unit**2 * _matrices(case.assumed)))
    torch.testing.assert_close(scaled.values.max(), case.path.values.max() / unit**2)
    rate = case.rate * unit**2
    torch.testing.assert_close(
        scaled.predict(case.cross, rate, STEPS), unit * case.path.predict(case.cross, case.rate, STEPS)
    )


def test_structures_that_are_the_same_weight_give_the_same_path() -> None:
    one, other = (Case(WEIGHTS[name]) for name in ("a number per row", "a number per row, as matrices"))
    torch.testing.assert_close(one.path.fitted(one.rate, STEPS), other.path.fitted(one.rate, STEPS))
    assert one.path.coefficients.shape == other.path.coefficients.shape == (N, D)


def test_a_wide_network_follows_the_path_of_its_own_kernel() -> None:
    x, y = _normal(6, 4), _normal(6, 2, seed=2)
    network = TwoLayer(4, 2, 8192, train_output=True, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    cov = Diagonal(_normal(6, 2, seed=3).exp())
    path = Path(empirical_kernel(network, [x]), y, cov)
    rate = 0.5 / float(path.values.max())
    outputs = list(itertools.islice(gradient_descent(network, lambda: network(x), y, cov, rate), 11))
    expected = path.fitted(rate, torch.tensor([10]))[0]
    assert float((cov.whiten(outputs[10]) - expected).norm() / expected.norm()) < 0.02


def test_risk_is_the_mean_loss_over_label_noise() -> None:
    case = Case(WEIGHTS["a matrix per row"])
    truth, cov = case.y, Dense(_spd(12))
    spectrum = case.path.spectrum(case.path.levels(cov))
    exact = risk(spectrum, case.path.project(truth).square().sum(1), case.rate, STEPS)
    losses = torch.zeros(400, len(STEPS), dtype=torch.float64)
    factor = torch.linalg.cholesky(cov.matrix)
    for i, draw in enumerate(_normal(400, N, D, 1, seed=14)):
        path = Path(case.gram, truth + (factor @ draw)[..., 0], case.assumed)
        losses[i] = (path.fitted(case.rate, STEPS) - path.whiten(truth)).square().mean((1, 2))
    assert bool(((losses.mean(0) - exact).abs() <= 4 * losses.std(0) / 20 + 1e-12).all())


def test_copies_of_a_row_have_the_noise_that_the_formula_says(problem: Callable[..., Any]) -> None:
    """Label noise along a fixed function phi of the noisy row is `s + (m - 1) gamma` per label with m copies."""
    frequency = torch.tensor([0.6, -0.4], dtype=torch.float64)

    def phi(x_t: Tensor) -> Tensor:
        return (x_t @ frequency).cos()

    many = problem(4_000, 1, 100)  # s and gamma from their definitions
    own = phi(many.x_t).square() * many.cov.diagonal(dim1=1, dim2=2).sum(1)
    products = (phi(many.x_t)[:, None] * (many.label - many.mean)).reshape(4_000, 100, 2)
    gamma = (products.sum(1).square().sum(1) - products.square().sum((1, 2))) / (100 * 99)
    copies, found = 4, []
    for seed in range(60):
        draw = problem(40, seed, copies)
        p = phi(draw.x_t)
        path = Path(torch.outer(p, p), draw.label, Diagonal(torch.ones_like(draw.label)))  # eigenvector phi / |phi|
        levels = path.cluster_levels(draw.label - draw.mean, draw.row)
        found.append(torch.stack([levels.own[-1].sum(), levels.total[-1].sum()]) * p.square().mean())
    level = torch.stack(found)
    expected = torch.stack([own.mean(), own.mean() + (copies - 1) * gamma.mean()])
    error = (level.var(0) / len(level) + (copies - 1) ** 2 * gamma.var() / 4_000).sqrt()
    assert bool(((level.mean(0) - expected).abs() < 4 * error).all())
    assert float(gamma.mean()) > 0.1 * float(own.mean())  # taking copies for independent rows would be wrong


def test_the_error_of_cluster_levels_is_their_spread_between_clean_rows(problem: Callable[..., Any]) -> None:
    draw = problem(60, 0, 2)
    gram = tangent_kernel(draw.x_t, draw.x_t)
    path = Path(gram, draw.label, Diagonal(torch.ones_like(draw.label)))
    levels, errors = [], []
    for seed in range(400):  # another label error of each clean row, at the same noisy rows
        residual = _normal(60, 2, seed=seed)[draw.row]
        found = path.cluster_levels(residual, draw.row)
        levels.append(found.total)
        errors.append(found.se)
    typical = torch.stack(levels).std(0)
    torch.testing.assert_close(torch.stack(errors).mean(0)[-1], typical[-1], rtol=0.15, atol=0)


def test_the_gram_must_fit_the_labels_and_clusters_must_be_several() -> None:
    cov = Diagonal(torch.ones(N, D).double())
    with pytest.raises(ValueError, match=r"gram must be square with one row per label, however: .*\(3, 3\)"):
        Path(torch.eye(3), _normal(N, D), cov)
    path = Path(torch.eye(N).double(), _normal(N, D), cov)
    with pytest.raises(ValueError, match=r"row must name two clean rows or more, however: clean.tolist\(\)=\[4\]"):
        path.cluster_levels(_normal(N, D), torch.full((N,), 4))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("shared", [True, False])
def test_four_thousand_rows_of_ten_outputs_fit_in_four_gigabytes(*, shared: bool) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4_000, 12, generator=generator, dtype=torch.float64)
    variance = 0.5 + torch.rand(4_000, 1 if shared else 10, generator=generator, dtype=torch.float64)
    assumed = Diagonal(variance.expand(-1, 10))
    path = Path(hidden_kernel(x, x), x[:, :10], assumed)
    levels = path.levels(assumed)
    torch.testing.assert_close(levels, torch.ones_like(levels))
    steps = torch.tensor([1, 10, 100])
    found = path.predict(hidden_kernel(x[:50], x), 1 / float(path.values.max()), steps)
    assert found.shape == (3, 50, 10)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4 * 2**20  # in KiB
