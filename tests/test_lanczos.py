"""Lanczos against dense eigenvalues."""

import pytest
import torch

from scorewise.lanczos import measure, rademacher, top_eigenvalues, tridiagonalise

SIZE = 60


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _matrix() -> torch.Tensor:
    """A matrix with the spectrum of a kernel: eigenvalues fall as k^-2."""
    normal = torch.randn(SIZE, SIZE, generator=_generator(), dtype=torch.float64)
    basis = torch.linalg.qr(normal).Q
    return (basis * torch.arange(1, SIZE + 1, dtype=torch.float64).pow(-2)) @ basis.T


def _start() -> torch.Tensor:
    return torch.randn(SIZE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_the_basis_is_orthonormal_and_makes_the_operator_tridiagonal() -> None:
    matrix = _matrix()
    found = tridiagonalise(matrix.mv, _start(), 25)
    torch.testing.assert_close(found.basis @ found.basis.T, torch.eye(25, dtype=torch.float64))
    torch.testing.assert_close(found.basis @ matrix @ found.basis.T, found.matrix)
    torch.testing.assert_close(found.matrix, found.matrix.triu(-1).tril(1))
    outside = matrix @ found.basis[-1] - found.basis.T @ (found.basis @ (matrix @ found.basis[-1]))
    torch.testing.assert_close(found.rest, outside.norm())


def test_an_invariant_space_ends_it_early_and_exactly() -> None:
    low_rank = torch.randn(SIZE, 3, generator=_generator(), dtype=torch.float64)
    matrix = low_rank @ low_rank.T
    found = tridiagonalise(matrix.mv, _start(), 30)
    assert len(found.matrix) <= 5
    assert float(found.rest) == 0
    torch.testing.assert_close(
        torch.linalg.eigvalsh(found.matrix)[-3:], torch.linalg.eigvalsh(matrix)[-3:], rtol=1e-10, atol=0
    )


def test_all_steps_give_all_eigenvalues() -> None:
    matrix = _matrix()
    values = torch.linalg.eigvalsh(tridiagonalise(matrix.mv, _start(), SIZE + 10).matrix)
    torch.testing.assert_close(values, torch.linalg.eigvalsh(matrix), rtol=1e-9, atol=1e-12)


def test_top_eigenvalues_are_those_of_the_matrix_within_their_bound() -> None:
    matrix = _matrix()
    exact = torch.linalg.eigvalsh(matrix).flip(0)
    good = top_eigenvalues(matrix.mv, _start(), 8, 40)
    torch.testing.assert_close(good.values, exact[:8], rtol=1e-9, atol=0)
    rough = top_eigenvalues(matrix.mv, _start(), 5, 7)
    distance = (rough.values[:, None] - exact).abs().amin(1)
    assert bool((distance <= rough.residual + 1e-14).all())
    assert bool((rough.residual > 1e-6).any())
    torch.testing.assert_close(
        rough.residual, (rough.vectors @ matrix - rough.values[:, None] * rough.vectors).norm(dim=1)
    )


def test_a_measure_is_exact_for_polynomials() -> None:
    matrix, start = _matrix(), _start()
    found = measure(matrix.mv, start[None], 4)
    for power in range(8):
        exact = start @ torch.linalg.matrix_power(matrix, power) @ start
        torch.testing.assert_close(found.sums(lambda x, p=power: x.pow(p))[0], exact)


def test_a_measure_is_padded_with_nothing() -> None:
    matrix = torch.eye(SIZE, dtype=torch.float64)
    starts = torch.stack([_start(), 2 * _start(), 0 * _start()])
    found = measure(matrix.mv, starts, 6)
    torch.testing.assert_close(found.sums(lambda x: x + 1), 2 * starts.square().sum(1))


def test_traces_lie_within_four_standard_errors_and_the_error_is_honest() -> None:
    matrix = _matrix()
    values = torch.linalg.eigvalsh(matrix)

    def function(x: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.minimum(x, x.new_tensor(0.01)), 1 - (-50 * x).exp()])

    exact = function(values).sum(1)
    starts = rademacher(400, SIZE, matrix, _generator())
    found = measure(matrix.mv, starts, 30)
    estimate = found.trace(function)
    assert bool(((estimate.value - exact).abs() < 4 * estimate.se).all())
    batches = function(found.nodes).mul(found.weights).sum(-1).reshape(2, 20, 20).mean(2)
    torch.testing.assert_close(batches.std(1) / 20**0.5, estimate.se, rtol=0.6, atol=0)


def test_start_vectors_of_another_covariance_give_a_weighted_trace() -> None:
    matrix = _matrix()
    scale = torch.linspace(0.5, 2, SIZE, dtype=torch.float64)
    starts = rademacher(300, SIZE, matrix, _generator()) * scale
    estimate = measure(matrix.mv, starts, 30).trace(lambda x: -torch.expm1(-50 * x))
    values, vectors = torch.linalg.eigh(matrix)
    exact = ((vectors * -torch.expm1(-50 * values)) @ vectors.T).diagonal() @ scale.square()
    assert abs(float(estimate.value - exact)) < 4 * float(estimate.se)


def test_signs_are_signs() -> None:
    signs = rademacher(50, 40, _start(), _generator())
    assert signs.dtype == torch.float64
    assert bool((signs.abs() == 1).all())
    assert abs(float(signs.mean())) < 4 / 2000**0.5


@pytest.mark.parametrize(
    ("start", "steps"), [(torch.zeros(3), 2), (torch.full((3,), torch.nan), 2), (torch.ones(3), 0)]
)
def test_a_start_that_leads_nowhere_is_refused(start: torch.Tensor, steps: int) -> None:
    with pytest.raises(ValueError, match=r"start must be finite and not 0 and steps at least 1, however: \|start\|="):
        tridiagonalise(lambda v: v, start, steps)


def test_more_eigenvalues_than_steps_are_refused() -> None:
    with pytest.raises(ValueError, match=r"steps must be at least count, however: steps=3, count=4"):
        top_eigenvalues(lambda v: v, torch.ones(9), 4, 3)
