"""Symmetric tensors against naive sums over all permutations, and derivatives against autograd."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from scorewise.symmetric import (
    along,
    hermite,
    logs_from_ratios,
    multi_indices,
    multiplicities,
    outer,
    pack,
    ratios_from_logs,
    unpack,
)

B = 3


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _symmetrised(tensor: Tensor) -> Tensor:
    order = tensor.ndim - 1
    orders = list(itertools.permutations(range(1, order + 1)))
    return torch.stack([tensor.permute(0, *one) for one in orders]).mean(0)


def _log_density(x: Tensor) -> Tensor:
    """Logarithm of a smooth function that is no Gaussian, at one point of shape (2,)."""
    return torch.logsumexp(torch.stack([-(x - 1).square().sum(), -0.5 * (x + 0.5).square().sum() + x[0]]), 0)


def _derivatives(function: Callable[..., Tensor], x: Tensor, order: int) -> list[Tensor]:
    found: list[Tensor] = []
    f = function
    for _ in range(order):
        f = torch.func.jacrev(f)
        found.append(torch.func.vmap(f)(x))
    return found


@pytest.mark.parametrize(("p", "q"), [(1, 1), (1, 2), (2, 2), (3, 1), (0, 2)])
def test_outer_is_the_mean_over_all_orders_of_the_indices(p: int, q: int) -> None:
    a, b = _symmetrised(_random(B, *[2] * p)) if p else _random(B), _symmetrised(_random(B, *[2] * q, seed=1))
    whole = torch.einsum("bi,bj->bij", a.reshape(B, -1), b.reshape(B, -1)).reshape(B, *[2] * (p + q))
    torch.testing.assert_close(outer(a, b), _symmetrised(whole))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_ratios_and_logs_are_the_derivatives_of_a_density(order: int) -> None:
    x = _random(B, 2)
    logs = _derivatives(_log_density, x, order)
    of_density = _derivatives(lambda y: _log_density(y).exp(), x, order)
    density = torch.func.vmap(_log_density)(x).exp()
    ratios = [term / density.reshape(B, *[1] * (term.ndim - 1)) for term in of_density]
    for one, other in zip(ratios_from_logs(logs), ratios, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    for one, other in zip(logs_from_ratios(ratios), logs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_third_log_derivative_is_the_formula_written_out() -> None:
    # A2
    s, second, third = _random(B, 2), _symmetrised(_random(B, 2, 2)), _symmetrised(_random(B, 2, 2, 2))
    mixed = torch.einsum("bi,bjk->bijk", s, second)
    mixed = mixed + torch.einsum("bj,bik->bijk", s, second) + torch.einsum("bk,bij->bijk", s, second)
    expected = third - mixed + 2 * torch.einsum("bi,bj,bk->bijk", s, s, s)
    torch.testing.assert_close(logs_from_ratios([s, second, third])[2], expected)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_along_a_direction_the_recursions_are_those_of_numbers(order: int) -> None:
    x, v = _random(B, 2), _random(4, 2, seed=1)
    logs = _derivatives(_log_density, x, order)
    whole = [along(tensor, v) for tensor in ratios_from_logs(logs)]
    numbers = ratios_from_logs([along(tensor, v) for tensor in logs], torch.mul)
    for one, other in zip(whole, numbers, strict=True):
        torch.testing.assert_close(one, other)
    for one, other in zip(logs_from_ratios(numbers, torch.mul), logs, strict=True):
        torch.testing.assert_close(one, along(other, v))


def test_along_is_a_contraction_with_each_direction() -> None:
    tensor, v = _random(B, 2, 2, 2), _random(B, 4, 2, seed=1)
    expected = torch.einsum("bijk,bmi,bmj,bmk->bm", tensor, v, v, v)
    torch.testing.assert_close(along(tensor, v), expected)
    torch.testing.assert_close(along(tensor[:, 0, 0, 0], v), tensor[:, :1, 0, 0].expand(B, 4))


@pytest.mark.parametrize("order", [0, 1, 2, 3, 4])
def test_hermite_tensors_are_derivatives_of_the_normal_density(order: int) -> None:
    # theory 1.2: He_k(z) = (-1)^k grad^k N(z; 0, I) / N(z; 0, I)
    z, unit = _random(B, 2), torch.eye(2, dtype=torch.float64).expand(B, 2, 2)
    found = hermite(order, z, unit)
    assert len(found) == order + 1
    density = (-0.5 * z.square().sum(1)).exp()
    for k, term in enumerate(_derivatives(lambda y: (-0.5 * y.square().sum()).exp(), z, order), start=1):
        torch.testing.assert_close(found[k], (-1) ** k * term / density.reshape(B, *[1] * k), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_a_hermite_tensor_along_a_unit_vector_is_a_hermite_polynomial(order: int) -> None:
    # A6, in 5 dimensions
    z, v = _random(B, 5), torch.nn.functional.normalize(_random(4, 5, seed=1), dim=1)
    tensor = hermite(order, z, torch.eye(5, dtype=torch.float64).expand(B, 5, 5))[order]
    polynomial = torch.special.hermite_polynomial_he(z @ v.mT, torch.tensor(order))
    torch.testing.assert_close(along(tensor, v), polynomial, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(hermite(order, z @ v.mT, torch.ones(B, 4).double(), torch.mul)[order], polynomial)


def test_hermite_of_a_smaller_metric_is_an_expectation() -> None:
    # E He_k(y), y ~ N(z, S), is He_k(z) with I - S in the place of I: Gauss-Hermite nodes integrate it exactly
    z, root = _random(1, 2), _random(2, 2, seed=1) * 0.4
    k = 12
    nodes, weights = _gauss_hermite(k)
    grid = torch.cartesian_prod(nodes, nodes)
    mass = torch.cartesian_prod(weights, weights).prod(1)
    y = z + grid @ root.T
    unit = torch.eye(2, dtype=torch.float64)
    found = hermite(4, z, (unit - root @ root.T)[None])
    naive = hermite(4, y, unit.expand(len(y), 2, 2))
    for one, other in zip(found, naive, strict=True):
        torch.testing.assert_close(one[0], torch.einsum("n,n...->...", mass, other))


def _gauss_hermite(k: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights that integrate polynomials of degree below 2k against N(0, 1) (Golub, Welsch, 1969)."""
    off = torch.arange(1, k, dtype=torch.float64).sqrt()
    values, vectors = torch.linalg.eigh(torch.diag(off, 1) + torch.diag(off, -1))
    return values, vectors[0].square()


@pytest.mark.parametrize(("d", "order"), [(1, 3), (2, 2), (3, 2), (2, 4), (3, 3)])
def test_packing_keeps_inner_products_and_is_undone(d: int, order: int) -> None:
    a, b = _symmetrised(_random(B, *[d] * order)), _symmetrised(_random(B, *[d] * order, seed=1))
    assert pack(a).shape == (B, math.comb(d + order - 1, order))
    torch.testing.assert_close((pack(a) * pack(b)).sum(1), (a * b).flatten(1).sum(1))
    torch.testing.assert_close(unpack(pack(a), d, order), a)


def test_packing_keeps_only_the_symmetric_part() -> None:
    tensor = _random(B, 2, 2, 2)
    torch.testing.assert_close(unpack(pack(tensor), 2, 3), _symmetrised(tensor))


def test_multiplicities_add_up_to_all_entries() -> None:
    indices = multi_indices(3, 4, torch.device("cpu"))
    counts = multiplicities(3, 4, torch.zeros(0))
    assert len(indices) == len(counts) == math.comb(6, 4)
    assert counts.sum() == 3**4
    assert counts[indices.tolist().index([0, 0, 1, 2])] == 12
