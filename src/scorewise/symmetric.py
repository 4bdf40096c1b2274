"""Symmetric tensors: products, Hermite tensors, coordinates, and the passage between two kinds of derivatives.

A symmetric tensor of order k on R^d is a tensor of shape (B, d, ..., d) with k equal event dimensions whose entries do
not depend on the order of the indices. It is determined by its values along directions, `T[v, ..., v]`, so each
recursion below is written once for a product: `outer` for whole tensors, `torch.mul` for values along a direction.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Product = Callable[[Tensor, Tensor], Tensor]
"""A commutative product: `outer`, or `torch.mul` for values along directions."""


def outer(a: Tensor, b: Tensor) -> Tensor:
    """Multiply symmetric tensors, `Sym(a (x) b)`: the mean of the outer product over all orders of its indices.

    Args:
        a: symmetric, shape (B, d, ..., d), order p.
        b: symmetric, shape (B, d, ..., d), order q.

    Returns:
        Symmetric, order p + q. Only the `(p + q)! / (p! q!)` ways to share the indices out are summed.
    """
    p, q = a.ndim - 1, b.ndim - 1
    whole = a.reshape(*a.shape, *[1] * q) * b.reshape(len(b), *[1] * p, *b.shape[1:])
    places = list(itertools.combinations(range(p + q), p))
    total = torch.zeros_like(whole)
    for place in places:
        rest = [i for i in range(p + q) if i not in place]
        where = {axis: source for source, axis in enumerate([*place, *rest])}
        total = total + whole.permute(0, *(1 + where[axis] for axis in range(p + q)))
    return total / len(places)


def along(tensor: Tensor, directions: Tensor) -> Tensor:
    """Contract a symmetric tensor with one direction in every index, `T[v, ..., v]`.

    Args:
        tensor: shape (B, d, ..., d).
        directions: shape (m, d) or (B, m, d).

    Returns:
        Shape (B, m).
    """
    v = directions.expand(len(tensor), *directions.shape[-2:])
    if tensor.ndim == 1:
        return tensor[:, None].expand(v.shape[:2])
    part = torch.einsum("bmd,bd...->bm...", v, tensor)
    while part.ndim > 2:
        part = torch.einsum("bmd,bmd...->bm...", v, part)
    return part


def ratios_from_logs(logs: Sequence[Tensor], product: Product = outer) -> list[Tensor]:
    """Turn derivatives of `log p` into those of p over p: `T_k = sum_j C(k-1, j-1) L_j T_(k-j)`, `T_0 = 1`.

    It is the recursion of moments from cumulants. With `L_1 = -z / sigma`, `L_2 = -I / sigma^2` and nothing beyond it
    is the recursion of Hermite polynomials.

    Args:
        logs: `grad^k log p` for k = 1, 2, ..., in order.
        product: `outer` for tensors, `torch.mul` for values along a direction.

    Returns:
        `grad^k p / p` for the same k. No p is formed, so nothing under- or overflows.
    """
    ratios: list[Tensor] = []
    for k in range(1, len(logs) + 1):
        total = logs[k - 1]
        for j in range(1, k):
            total = total + math.comb(k - 1, j - 1) * product(logs[j - 1], ratios[k - j - 1])
        ratios.append(total)
    return ratios


def logs_from_ratios(ratios: Sequence[Tensor], product: Product = outer) -> list[Tensor]:
    """Turn derivatives of p over p into those of `log p`: `L_k = T_k - sum_(j<k) C(k-1, j-1) L_j T_(k-j)`.

    For k = 2 it is `T_2 - T_1 T_1'`.

    Args:
        ratios: `grad^k p / p` for k = 1, 2, ..., in order.
        product: `outer` for tensors, `torch.mul` for values along a direction.

    Returns:
        `grad^k log p` for the same k.
    """
    logs: list[Tensor] = []
    for k in range(1, len(ratios) + 1):
        total = ratios[k - 1]
        for j in range(1, k):
            total = total - math.comb(k - 1, j - 1) * product(logs[j - 1], ratios[k - j - 1])
        logs.append(total)
    return logs


def hermite(order: int, z: Tensor, metric: Tensor, product: Product = outer) -> list[Tensor]:
    """Hermite tensors `He_(k+1) = Sym(z He_k) - k Sym(Q He_(k-1))`, `He_0 = 1`.

    With Q = I they are the probabilists' Hermite tensors. With `Q = I - S` they are their expectations under
    `N(z, S)`.

    Args:
        order: the highest order, at least 0.
        z: shape (B, d), or (B, m) along directions.
        metric: Q, symmetric, shape (B, d, d), or `v' Q v`, shape (B, m).
        product: `outer` for tensors, `torch.mul` for values along a direction.

    Returns:
        `He_0, ..., He_order`; `He_0` has shape (B,), or (B, m) along directions.
    """
    found = [torch.ones_like(z[:, 0] if product is outer else z), z]
    for k in range(1, order):
        found.append(product(z, found[k]) - k * product(metric, found[k - 1]))
    return found[: order + 1]


@functools.cache
def _sorted_indices(d: int, order: int) -> tuple[tuple[int, ...], ...]:
    return tuple(itertools.combinations_with_replacement(range(d), order))


@functools.cache
def _counts(d: int, order: int) -> tuple[int, ...]:
    # of each sorted index, how many entries of the whole tensor it stands for
    repeats = ([index.count(one) for one in set(index)] for index in _sorted_indices(d, order))
    return tuple(math.factorial(order) // math.prod(map(math.factorial, found)) for found in repeats)


@functools.cache
def _classes(d: int, order: int) -> tuple[int, ...]:
    # of each entry of the flattened tensor, the place of its sorted index
    place = {index: i for i, index in enumerate(_sorted_indices(d, order))}
    return tuple(place[tuple(sorted(index))] for index in itertools.product(range(d), repeat=order))


def multi_indices(d: int, order: int, device: torch.device) -> Tensor:
    """List the sorted indices of a symmetric tensor, one for each independent entry, in lexicographic order.

    Args:
        d: dimension.
        order: k.
        device: of the result.

    Returns:
        Shape (C(d + k - 1, k), k).
    """
    return torch.tensor(_sorted_indices(d, order), dtype=torch.long, device=device)


def multiplicities(d: int, order: int, like: Tensor) -> Tensor:
    """Count the entries of the whole tensor that each sorted index stands for, `k! / prod_i n_i!`.

    Args:
        d: dimension.
        order: k.
        like: gives dtype and device.

    Returns:
        In the order of `multi_indices`, shape (C(d + k - 1, k),).
    """
    return torch.tensor(_counts(d, order), dtype=like.dtype, device=like.device)


def pack(tensor: Tensor) -> Tensor:
    """Give the coordinates of the symmetric part of a tensor in an orthonormal basis of the symmetric tensors.

    `pack(a) . pack(b) = <a, b>` for symmetric a and b; an entry with n different orders of its indices is scaled by
    `sqrt(n)`.

    Args:
        tensor: shape (B, d, ..., d), order k.

    Returns:
        Shape (B, C(d + k - 1, k)).
    """
    d, order = tensor.shape[1], tensor.ndim - 1
    counts = multiplicities(d, order, tensor)
    where = torch.tensor(_classes(d, order), device=tensor.device)
    total = tensor.new_zeros(len(tensor), len(counts)).index_add(1, where, tensor.flatten(1))
    return total * counts.rsqrt()


def unpack(coordinates: Tensor, d: int, order: int) -> Tensor:
    """Give the symmetric tensor that has these coordinates, the inverse and the adjoint of `pack`.

    Args:
        coordinates: shape (B, C(d + k - 1, k)).
        d: dimension.
        order: k.

    Returns:
        Shape (B, d, ..., d).
    """
    scaled = coordinates * multiplicities(d, order, coordinates).rsqrt()
    where = torch.tensor(_classes(d, order), device=coordinates.device)
    return scaled[:, where].reshape(len(coordinates), *[d] * order)
