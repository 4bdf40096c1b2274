"""One battery that every covariance passes, against its own dense matrix."""

import math

import pytest
import torch

from scorewise.covariance import Blocks, Covariance, Dense, Diagonal, Simplex, Spectral

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
    "dense": (Dense(_spd()), (D,)),
    "simplex": (Simplex(_random(B, 2, 3).log_softmax(-1)), (2, 3)),
    "blocks": (
        Blocks([Spectral(_basis(), _random(B, D).exp()), Simplex(_random(B, 2, 3).log_softmax(-1))], [(D,), (2, 3)]),
        (D + 6,),
    ),
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


def test_simplex_ignores_levels_that_cannot_occur() -> None:
    log_p = _random(B, 1, 3).log_softmax(-1)
    padded = torch.cat([log_p, torch.full((B, 1, 2), -math.inf, dtype=torch.float64)], -1)
    v = _random(B, 1, 3)
    wide = torch.cat([v, torch.zeros(B, 1, 2, dtype=torch.float64)], -1)
    torch.testing.assert_close(Simplex(padded).whiten(wide)[..., :3], Simplex(log_p).whiten(v))
    torch.testing.assert_close(Simplex(padded).logdet, Simplex(log_p).logdet)


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
