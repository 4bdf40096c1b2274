"""Tangent kernels against wide networks, explicit Jacobians and each other."""

import pytest
import torch
from torch import Tensor, nn

from scorewise.coupling import slope
from scorewise.covariance import Dense
from scorewise.lanczos import top_eigenvalues
from scorewise.shallow import TwoLayer
from scorewise.tangent import (
    Kernel,
    empirical_kernel,
    hidden_kernel,
    jacobian,
    kernel_operator,
    output_kernel,
    subsample,
    tangent_kernel,
)

N, P, D = 6, 4, 2


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _network() -> nn.Module:
    torch_module = nn.Sequential(nn.Linear(P, 5), nn.SiLU(), nn.LayerNorm(5), nn.Linear(5, D)).double()
    with torch.no_grad():
        for i, p in enumerate(torch_module.parameters()):
            p.copy_(_normal(*p.shape, seed=i))
    return torch_module


@pytest.mark.parametrize("kernel", [hidden_kernel, output_kernel, tangent_kernel])
def test_closed_forms_are_the_mean_over_random_neurons(kernel: Kernel) -> None:
    x, z = _normal(3, P), _normal(2, P, seed=1)
    w = _normal(400_000, P, seed=2)
    left, right = x @ w.T, z @ w.T
    hidden = (x @ z.T)[..., None] * (left > 0)[:, None] * (right > 0)
    output = left.relu()[:, None] * right.relu()
    samples = {hidden_kernel: hidden, output_kernel: output, tangent_kernel: hidden + output}[kernel]
    error = samples.std(-1) / len(w) ** 0.5
    assert bool(((samples.mean(-1) - kernel(x, z)).abs() < 4 * error).all())


@pytest.mark.parametrize("kernel", [hidden_kernel, output_kernel, tangent_kernel])
def test_closed_forms_are_symmetric_positive_and_know_equal_and_opposite_inputs(kernel: Kernel) -> None:
    x = _normal(30, P)
    gram = kernel(x, x)
    torch.testing.assert_close(gram, gram.T)
    assert torch.linalg.eigvalsh(gram).min() > 0
    torch.testing.assert_close(kernel(3 * x, x), 3 * gram)
    squares = x.square().sum(1)
    factor = {hidden_kernel: 0.5, output_kernel: 0.5, tangent_kernel: 1.0}[kernel]
    torch.testing.assert_close(gram.diagonal(), factor * squares, rtol=1e-6, atol=0)
    torch.testing.assert_close(kernel(x, -x).diagonal(), torch.zeros_like(squares), rtol=0, atol=1e-6)
    assert bool(torch.isfinite(kernel(torch.zeros(1, P, dtype=torch.float64), x)).all())


def test_eigenvalues_on_circle_and_sphere_fall_as_the_theory_says() -> None:
    angle = torch.arange(1024, dtype=torch.float64) * (2 * torch.pi / 1024)
    x = torch.stack([angle.cos(), angle.sin()], 1)
    values = torch.linalg.eigvalsh(tangent_kernel(x, x) / 1024).flip(0)
    rank = torch.arange(30, 301)
    assert abs(float(slope(rank.double(), values[rank])) + 2) < 0.1  # -D / (D - 1) with D = 2
    u = torch.cos((torch.arange(20_000, dtype=torch.float64) + 0.5) * (torch.pi / 20_000))
    plane = torch.stack([u, (1 - u.square()).sqrt()], 1)
    profile = tangent_kernel(plane, torch.tensor([[1.0, 0.0]], dtype=torch.float64))[:, 0]
    degree = torch.arange(8, 41, 2)  # odd degrees above 1 are 0
    legendre = torch.special.legendre_polynomial_p(u, degree[:, None])
    weight = (1 - u.square()).sqrt() * torch.pi / 20_000
    values = legendre @ (weight * profile)  # Funk-Hecke
    assert abs(float(slope(degree.double().square(), values)) + 1.5) < 0.1  # D = 3; there are about j = l^2 before l


@pytest.mark.parametrize("train_output", [False, True])
def test_kernels_of_finite_networks_approach_the_closed_form_as_one_over_root_width(train_output: bool) -> None:
    x = _normal(N, P)
    limit = (tangent_kernel if train_output else hidden_kernel)(x, x)
    exact = torch.einsum("ij,ab->iajb", limit, torch.eye(D, dtype=torch.float64))
    widths = 4.0 ** torch.arange(3, 7)
    errors = torch.zeros(len(widths), dtype=torch.float64)
    for i, width in enumerate(widths):
        for seed in range(8):
            generator = torch.Generator().manual_seed(seed)
            network = TwoLayer(P, D, int(width), train_output=train_output, generator=generator, dtype=torch.float64)
            errors[i] += (empirical_kernel(network, [x]) - exact).square().sum() / 8
    assert abs(float(slope(widths.double(), errors.sqrt())) + 0.5) < 0.1
    assert float(errors[-1].sqrt() / exact.norm()) < 0.05


def test_output_weights_never_couple_outputs() -> None:
    network = TwoLayer(P, D, 8, train_output=True, dtype=torch.float64)
    network.hidden.requires_grad_(False)
    kernel = empirical_kernel(network, [_normal(N, P)])
    assert bool((kernel[:, 0, :, 1] == 0).all())


def test_jacobian_is_that_of_a_loop_over_outputs() -> None:
    network, x = _network(), _normal(N, P)
    found = jacobian(network, [x], chunk=4)
    parameters = list(network.parameters())
    for i in range(N):
        for a in range(D):
            naive = torch.cat([g.flatten() for g in torch.autograd.grad(network(x[i : i + 1])[0, a], parameters)])
            torch.testing.assert_close(found[i, a], naive)


def test_empirical_kernel_is_the_product_of_jacobians_whatever_the_chunks() -> None:
    network, x, z = _network(), _normal(N, P), _normal(5, P, seed=7)
    j, other = jacobian(network, [x]), jacobian(network, [z])
    torch.testing.assert_close(empirical_kernel(network, [x], rows=4), torch.einsum("nap,mbp->namb", j, j))
    torch.testing.assert_close(empirical_kernel(network, [x], [z], rows=4), torch.einsum("nap,mbp->namb", j, other))


def test_operator_is_the_matrix_and_leaves_the_network_alone() -> None:
    network, x = _network(), _normal(N, P)
    matrix = empirical_kernel(network, [x]).reshape(N * D, N * D) / N
    operator = kernel_operator(network, [x])
    v = _normal(N * D, seed=3)
    torch.testing.assert_close(operator(v), matrix @ v)
    assert all(p.grad is None for p in network.parameters())
    values = top_eigenvalues(operator, v, 5, N * D).values
    torch.testing.assert_close(values, torch.linalg.eigvalsh(matrix).flip(0)[:5])
    with torch.no_grad():
        for p in network.parameters():
            p.zero_()
    torch.testing.assert_close(operator(v), matrix @ v)


def test_reading_through_whiten_weights_the_kernel() -> None:
    network, x = _network(), _normal(N, P)
    root = _normal(N, D, D, seed=4)
    cov = Dense(root @ root.mT + torch.eye(D, dtype=torch.float64))
    j = jacobian(network, [x])
    units = torch.eye(D, dtype=torch.float64)
    r = torch.stack([cov.whiten(u.expand(N, D)) for u in units], 2)
    weighted = torch.einsum("nac,ncp->nap", r, j).reshape(N * D, -1)
    v = _normal(N * D, seed=3)
    product = kernel_operator(network, [x], lambda output: cov.whiten(output))(v)
    torch.testing.assert_close(product, weighted @ (weighted.T @ v) / N)


def test_frozen_parameters_do_not_count() -> None:
    network, x = _network(), _normal(N, P)
    full = jacobian(network, [x])
    next(network.parameters()).requires_grad_(False)
    first = next(network.parameters()).numel()
    torch.testing.assert_close(jacobian(network, [x]), full[..., first:])
    for p in network.parameters():
        p.requires_grad_(False)
    with pytest.raises(
        ValueError, match="must have a parameter that requires a gradient, however: Sequential has none"
    ):
        jacobian(network, [x])


def test_several_arguments_and_a_structured_output() -> None:
    class Timed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = _network()

        def forward(self, x_t: Tensor, t: Tensor) -> dict[str, Tensor]:
            return {"mean": self.inner(x_t) * t[:, None]}

    x, t = _normal(N, P), _normal(N, seed=5)
    found = empirical_kernel(Timed(), [x, t], read=lambda output: output["mean"])
    plain = empirical_kernel(_network(), [x])
    torch.testing.assert_close(found, plain * t[:, None, None, None] * t[None, None, :, None])


def test_subsampled_spectral_sums_lie_within_their_error() -> None:
    x = _normal(240, P)
    gram = tangent_kernel(x, x)

    def complexity(rows: Tensor) -> Tensor:
        values = torch.linalg.eigvalsh(gram[rows][:, rows]) / len(rows)
        return torch.stack([values.clamp(max=cut).sum() for cut in (0.3, 0.03)])

    exact = complexity(torch.arange(240))
    found = subsample(complexity, 240, 120, 8, torch.Generator().manual_seed(0))
    assert bool(((found.value - exact).abs() < 4 * found.se).all())
    assert bool((found.se / exact < 0.02).all())


def test_subsamples_are_disjoint_as_long_as_rows_suffice() -> None:
    taken: list[list[int]] = []
    subsample(lambda rows: (taken.append(rows.tolist()), rows.double().mean())[1], 12, 4, 3)
    assert sorted(row for rows in taken if len(rows) == 4 for row in rows) == list(range(12))
    assert sorted(row for rows in taken if len(rows) == 2 for row in rows) == list(range(12))


@pytest.mark.parametrize("size", [13, 14, 0])
def test_a_subsample_has_halves_and_is_a_subsample(size: int) -> None:
    with pytest.raises(ValueError, match=rf"size must be even, from 2 to rows, however: size={size}, rows=13"):
        subsample(lambda rows: rows, 13, size, 2)
