import pytest
import torch
from torch import nn

from scorewise.orthogonal import Muon, orthogonalise


@pytest.mark.parametrize("shape", [(2, 8, 8), (1, 5, 12), (3, 12, 5)])
def test_singular_values_move_to_one_and_vectors_stay(shape: tuple[int, int, int]) -> None:
    matrices = torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u, s, vt = torch.linalg.svd(matrices, full_matrices=False)
    found = orthogonalise(matrices)
    inner = u.mT @ found @ vt.mT
    values = inner.diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(inner, torch.diag_embed(values), atol=1e-9, rtol=0)
    large = s / s.square().sum(1, keepdim=True).sqrt() > 0.05
    assert float(values[large].min()) > 0.6
    assert float(values[large].max()) < 1.25


def test_stacked_matrices_move_as_one_by_one() -> None:
    generator = torch.Generator().manual_seed(0)
    together = [nn.Parameter(torch.randn(4, 6, generator=generator).double()) for _ in range(3)]
    alone = [nn.Parameter(p.detach().clone()) for p in together]
    gradients = [torch.randn(4, 6, generator=generator).double() for _ in together]
    joint, single = Muon(together, 0.01), [Muon([p], 0.01) for p in alone]
    for _ in range(3):
        for p, q, g in zip(together, alone, gradients, strict=True):
            p.grad, q.grad = g.clone(), g.clone()
        joint.step()
        for optimizer in single:
            optimizer.step()
    for p, q in zip(together, alone, strict=True):
        torch.testing.assert_close(p, q)


def test_it_fits_a_linear_map() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(6, 6, generator=generator)
    weight = nn.Parameter(torch.zeros(6, 6))
    x = torch.randn(200, 6, generator=generator)
    optimizer = Muon([weight], 0.1, weight_decay=0.0)
    for step in range(300):
        optimizer.lr = 0.1 * (1 - step / 300)
        weight.grad = None
        (x @ (weight - truth).T).square().mean().backward()
        optimizer.step()
    assert float((weight - truth).detach().square().mean()) < 1e-3


def test_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match=r"two dimensions, however: shape=\(3,\)"):
        Muon([nn.Parameter(torch.zeros(3))], 0.1)


def test_updates_are_orthogonalised_in_the_dtype_that_is_asked_for_and_weights_keep_theirs() -> None:
    gradient = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    moved = []
    for dtype in (None, torch.bfloat16):
        matrix = torch.nn.Parameter(torch.zeros(6, 4))
        matrix.grad = gradient.clone()
        Muon([matrix], 0.1, dtype=dtype).step()
        assert matrix.dtype == torch.float32
        moved.append(matrix.detach())
    assert not torch.equal(*moved)
    torch.testing.assert_close(*moved, atol=0.03 * float(moved[0].abs().max()), rtol=0)
