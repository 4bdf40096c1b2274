"""One battery that every covariance passes, against its own dense matrix."""

import math

import pytest
import torch

from scorewise.covariance import Blocks, Covariance, Dense, Diagonal, Simplex, Spectral, Symmetric, clipped

B, D = 5, 4


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=_generator(), dtype=torch.float64)


def _basis() -> torch.Tensor:
    return torch.linalg.qr(_random(D, D)).Q


def _spd() -> torch.Tensor:
    root = _random(B, D, D)
    return root @ root.mT + torch.eye(D, dtype=torch.float64)


KINDS: dict[str, tuple[Covariance, tuple[int, ...]]] = {
    "diagonal": (Diagonal(_random(B, D).exp()), (D,)),
    "diagonal of a matrix event": (Diagonal(_random(B, 2, 3).exp()), (2, 3)),
    "spectral": (Spectral(_basis(), _random(B, D).exp()), (D,)),
    "spectral, a basis for each": (Spectral(torch.linalg.qr(_random(B, D, D)).Q, _random(B, D).exp()), (D,)),
    "clipped": (clipped(_random(B, D, D), torch.full((B,), 0.1).double(), torch.full((B,), 0.9).double()), (D,)),
    "dense": (Dense(_spd()), (D,)),
    "dense, by its root": (Dense(_spd(), torch.linalg.cholesky(_spd())), (D,)),
    "dense, independent groups": (Dense(_spd()[:, None] * torch.tensor([1.0, 2.0]).double()[:, None, None]), (2, D)),
    "simplex": (Simplex(_random(B, 2, 3).log_softmax(-1)), (2, 3)),
    "blocks": (
        Blocks([Spectral(_basis(), _random(B, D).exp()), Simplex(_random(B, 2, 3).log_softmax(-1))], [(D,), (2, 3)]),
        (D + 6,),
    ),
    "symmetric": (Symmetric(Dense(_spd()), 2, 3), (2, 2, 2)),
}


@pytest.fixture(params=KINDS, name="case")
def _case(request: pytest.FixtureRequest) -> tuple[Covariance, tuple[int, ...], torch.Tensor]:
    cov, event = KINDS[request.param]
    width = math.prod(event)
    units = torch.eye(width, dtype=torch.float64).reshape(width, 1, *event).expand(width, B, *event)
    dense = torch.stack([(cov @ unit).flatten(1) for unit in units], 2)
    return cov, event, dense


def test_matrix_is_symmetric_and_positive(case: tuple[Covariance, tuple[int, ...], torch.Tensor]) -> None:
    _, _, dense = case
    torch.testing.assert_close(dense, dense.mT)
    assert torch.linalg.eigvalsh(dense).min() > -1e-12


def test_diag_and_trace(case: tuple[Covariance, tuple[int, ...], torch.Tensor]) -> None:
    cov, event, dense = case
    assert cov.diag.shape == (B, *event)
    torch.testing.assert_close(cov.diag.flatten(1), dense.diagonal(dim1=1, dim2=2))
    torch.testing.assert_close(cov.trace, dense.diagonal(dim1=1, dim2=2).sum(1))


def test_whiten_is_a_root_of_the_pseudo_inverse(case: tuple[Covariance, tuple[int, ...], torch.Tensor]) -> None:
    cov, event, dense = case
    v = torch.randn(B, *event, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    flat = v.flatten(1)
    naive = (flat[:, None] @ torch.linalg.pinv(dense, hermitian=True) @ flat[:, :, None])[:, 0, 0]
    assert cov.whiten(v).shape == (B, *event)
    torch.testing.assert_close(cov.whiten(v).flatten(1).square().sum(1), naive)


def test_logdet_is_that_of_the_nonzero_eigenvalues(case: tuple[Covariance, tuple[int, ...], torch.Tensor]) -> None:
    cov, _, dense = case
    values = torch.linalg.eigvalsh(dense)
    naive = torch.where(values > 1e-10, values, 1.0).log().sum(1)
    torch.testing.assert_close(cov.logdet, naive)


def test_matrix_form_is_the_operator(case: tuple[Covariance, tuple[int, ...], torch.Tensor]) -> None:
    cov, _, dense = case
    torch.testing.assert_close(cov.matrix_form(), dense)


def test_solve_is_the_pseudo_inverse(case: tuple[Covariance, tuple[int, ...], torch.Tensor]) -> None:
    cov, event, dense = case
    v = torch.randn(B, *event, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    naive = torch.linalg.pinv(dense, hermitian=True) @ v.flatten(1)[:, :, None]
    assert cov.solve(v).shape == (B, *event)
    torch.testing.assert_close(cov.solve(v).flatten(1), naive[:, :, 0])


def test_inverse_trace(case: tuple[Covariance, tuple[int, ...], torch.Tensor]) -> None:
    cov, _, dense = case
    naive = torch.linalg.pinv(dense, hermitian=True).diagonal(dim1=1, dim2=2).sum(1)
    torch.testing.assert_close(cov.inverse_trace, naive)


def test_affine_scales_and_adds_the_identity(case: tuple[Covariance, tuple[int, ...], torch.Tensor]) -> None:
    cov, event, dense = case
    scale, shift = torch.rand(2, B, generator=_generator(), dtype=torch.float64) + 0.1
    space = torch.linalg.pinv(dense, hermitian=True) @ dense if isinstance(cov, Symmetric) else torch.eye(len(dense[0]))
    moved = cov.affine(scale, shift)
    assert moved.diag.shape == (B, *event)
    torch.testing.assert_close(moved.matrix_form(), scale[:, None, None] * dense + shift[:, None, None] * space)
    nothing = cov.affine(torch.zeros_like(scale), shift)
    torch.testing.assert_close(nothing.matrix_form(), (shift[:, None, None] * space).expand_as(dense))
    if not isinstance(cov, Simplex | Blocks):
        torch.testing.assert_close(cov.affine(scale).matrix_form(), scale[:, None, None] * dense)


def test_a_one_hot_covariance_cannot_be_scaled() -> None:
    simplex = Simplex(torch.zeros(1, 1, 2).log_softmax(-1))
    for cov in (simplex, Blocks([simplex], [(1, 2)])):
        with pytest.raises(TypeError, match="a Simplex covariance cannot be scaled"):
            cov.affine(torch.ones(1))


def test_clipping_is_the_nearest_covariance_within_the_bounds() -> None:
    low, high = torch.full((B,), 0.1).double(), torch.full((B,), 0.9).double()
    matrix = _random(B, D, D)
    found = clipped(matrix, low, high)
    values = torch.linalg.eigvalsh(found.matrix_form())
    assert values.min() >= 0.1 - 1e-12
    assert values.max() <= 0.9 + 1e-12
    inside = found.matrix_form()
    torch.testing.assert_close(clipped(inside, low, high).matrix_form(), inside)
    distance = (inside - matrix).square().sum()
    generator = _generator()
    for _ in range(20):
        basis = torch.linalg.qr(torch.randn(B, D, D, generator=generator, dtype=torch.float64)).Q
        other = Spectral(basis, 0.1 + 0.8 * torch.rand(B, D, generator=generator, dtype=torch.float64))
        assert (other.matrix_form() - matrix).square().sum() > distance


def test_simplex_ignores_levels_that_cannot_occur() -> None:
    log_p = _random(B, 1, 3).log_softmax(-1)
    padded = torch.cat([log_p, torch.full((B, 1, 2), -math.inf, dtype=torch.float64)], -1)
    v = _random(B, 1, 3)
    wide = torch.cat([v, torch.zeros(B, 1, 2, dtype=torch.float64)], -1)
    torch.testing.assert_close(Simplex(padded).whiten(wide)[..., :3], Simplex(log_p).whiten(v))
    torch.testing.assert_close(Simplex(padded).logdet, Simplex(log_p).logdet)
    torch.testing.assert_close(Simplex(padded).solve(wide)[..., :3], Simplex(log_p).solve(v))
    torch.testing.assert_close(Simplex(padded).inverse_trace, Simplex(log_p).inverse_trace)


def test_cross_entropy_is_the_whitened_loss_of_a_category() -> None:
    logits = _random(B, 1, 4).requires_grad_()
    label = torch.nn.functional.one_hot(torch.arange(B) % 4, 4).double()[:, None]
    log_p = logits.log_softmax(-1)
    (entropy,) = torch.autograd.grad(-(label * log_p).sum(), logits)
    cov = Simplex(logits.detach().log_softmax(-1))
    residual = cov.whiten(label - logits.softmax(-1))
    (whitened,) = torch.autograd.grad(0.5 * residual.square().sum(), logits)
    torch.testing.assert_close(whitened, entropy)


def test_diagonal_refuses_variances_that_are_not_positive() -> None:
    with pytest.raises(ValueError, match=r"variance must be positive, however: its minimum is -1"):
        Diagonal(torch.tensor([[1.0, -1.0]]))


def test_blocks_refuse_parts_without_shapes() -> None:
    with pytest.raises(ValueError, match=r"same length, however: len\(parts\)=1, len\(shapes\)=2"):
        Blocks([Diagonal(torch.ones(1, 1))], [(1,), (1,)])
