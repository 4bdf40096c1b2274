"""Forms: what is kept of the symmetric tensors that labels of higher order are.

A tensor of order k on R^d has `C(d + k - 1, k)` independent entries. `Full` keeps them all, for small d; `Pure` and
`Sliced` keep values along directions, one number each, and go to any dimension.
"""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from scorewise.covariance import Covariance, Dense, Diagonal, Symmetric
from scorewise.derivative import in_coordinates, in_directions, in_full
from scorewise.noise import Draw, Noise
from scorewise.symmetric import Product, multi_indices, multiplicities, outer


class Form(ABC):
    """What is kept of a symmetric tensor: a linear map from tensors of order k on R^d to events of shape E."""

    @property
    @abstractmethod
    def product(self) -> Product:
        """How two kept tensors are multiplied."""

    @abstractmethod
    def logs(self, noise: Noise, draw: Draw, order: int) -> list[Tensor]:
        """Keep `grad^k log q` for k = 1, ..., order; each of shape (B, *E)."""

    @abstractmethod
    def vector(self, v: Tensor) -> Tensor:
        """Keep vectors, shape (B, d); shape (B, *E) of order 1."""

    @abstractmethod
    def metric(self, cov: Covariance, ratio: Tensor) -> Tensor:
        """Keep the matrices `I - ratio C`, for covariances C on (d,) and numbers of shape (B,); (B, *E) of order 2."""

    @abstractmethod
    def coordinates(self, d: int, order: int) -> int:
        """Count the independent numbers that are kept of a tensor of this order on R^d."""

    @abstractmethod
    def spread(self, moments: Sequence[Tensor], h_t: Tensor, order: int) -> Covariance:
        """Give `Cov[T_k | x_t]` on E from `M_0, ..., M_2k` under Gaussian noise of variance `h_t`, shape (B,)."""


@final
class Full(Form):
    """The whole tensor, E = (d, ..., d): for small d, since there are d^k entries."""

    @property
    def product(self) -> Product:
        return outer

    def logs(self, noise: Noise, draw: Draw, order: int) -> list[Tensor]:
        return in_full(noise, draw, order)

    def vector(self, v: Tensor) -> Tensor:
        return v

    def metric(self, cov: Covariance, ratio: Tensor) -> Tensor:
        matrix = cov.matrix_form()
        return torch.eye(matrix.shape[1], dtype=matrix.dtype, device=matrix.device) - ratio[:, None, None] * matrix

    def coordinates(self, d: int, order: int) -> int:
        return math.comb(d + order - 1, order)

    def spread(self, moments: Sequence[Tensor], h_t: Tensor, order: int) -> Covariance:
        d = moments[1].shape[1]
        indices = multi_indices(d, order, h_t.device)
        count = multiplicities(d, order, h_t)
        square = _products(moments, h_t, indices)
        mean = _entries(moments[order], list(indices.T))
        cov = (square - mean[:, :, None] * mean[:, None]) * (count[:, None] * count).sqrt()
        scale = (square.diagonal(dim1=1, dim2=2) * count).mean(1)
        ridge = _resolution(cov) * scale[:, None, None] * torch.eye(len(indices), dtype=cov.dtype, device=cov.device)
        packed = Dense(cov + ridge)
        return packed if order == 1 else Symmetric(packed, d, order)


class _Values(Form):
    # values along directions of length |v|: one number each, multiplied elementwise
    @property
    def product(self) -> Product:
        return torch.mul

    @abstractmethod
    def lengths(self, like: Tensor) -> Tensor:
        """Squared lengths of the directions, broadcast to shape (B, m)."""

    def spread(self, moments: Sequence[Tensor], h_t: Tensor, order: int) -> Covariance:
        contraction = self.lengths(moments[1]) / h_t[:, None]
        square = sum(
            (math.factorial(r) * math.comb(order, r) ** 2 * contraction**r * moments[2 * (order - r)])
            for r in range(order + 1)
        )
        assert isinstance(square, Tensor)
        return Diagonal(torch.maximum(square - moments[order].square(), _resolution(square) * square))


@final
class Pure(_Values):
    """The pure derivatives, `T[e_i, ..., e_i]`, E = (d,): the diagonal of the tensor.

    Its beliefs have the variances of the coordinates, not their covariances.
    """

    def logs(self, noise: Noise, draw: Draw, order: int) -> list[Tensor]:
        return in_coordinates(noise, draw, order)

    def vector(self, v: Tensor) -> Tensor:
        return v

    def metric(self, cov: Covariance, ratio: Tensor) -> Tensor:
        return 1 - ratio[:, None] * cov.diag

    def coordinates(self, d: int, order: int) -> int:
        return d

    def lengths(self, like: Tensor) -> Tensor:
        return torch.ones_like(like)


@final
class Sliced(_Values):
    """Values along directions, `T[v, ..., v]`, E = (m,): any order in any dimension at the cost of m numbers.

    Its beliefs have the variances along the directions, not their covariances.

    Args:
        directions: v, shape (m, d), or (B, m, d) with directions of its own for each row of a batch.
    """

    def __init__(self, directions: Tensor) -> None:
        self.directions = directions

    def logs(self, noise: Noise, draw: Draw, order: int) -> list[Tensor]:
        return in_directions(noise, draw, order, self.directions)

    def vector(self, v: Tensor) -> Tensor:
        return (self.directions @ v[:, :, None])[..., 0]

    def metric(self, cov: Covariance, ratio: Tensor) -> Tensor:
        v = self.directions.expand(len(ratio), *self.directions.shape[-2:])
        along = torch.stack([((cov @ one) * one).sum(1) for one in v.unbind(1)], 1)
        return v.square().sum(2) - ratio[:, None] * along

    def coordinates(self, d: int, order: int) -> int:
        return self.directions.shape[-2]

    def lengths(self, like: Tensor) -> Tensor:
        return self.directions.square().sum(-1).expand_as(like)


def random_directions(m: int, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw directions uniformly on the unit sphere, m for each row of a batch.

    Args:
        m: directions for each row.
        like: gives shape (B, d), dtype and device.
        generator: source of randomness, on the device of `like`.

    Returns:
        Unit vectors, shape (B, m, d).
    """
    shape = (len(like), m, like.shape[1])
    return torch.nn.functional.normalize(
        torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device), dim=2
    )


def _products(moments: Sequence[Tensor], h_t: Tensor, indices: Tensor) -> Tensor:
    # E[T_I T_J | x_t] for sorted indices I, J of order k, by the product formula of Hermite tensors:
    # sum over r disjoint pairs (i in I, j in J) of h^-r prod delta_ij M_(2k-2r)[what is left of I and J]
    size, order = indices.shape
    total = torch.zeros_like(h_t)[:, None, None].expand(-1, size, size)
    for r in range(order + 1):
        scale = h_t[:, None, None] ** -r
        for left in itertools.combinations(range(order), r):
            for right in itertools.permutations(range(order), r):
                same = torch.ones(size, size, dtype=torch.bool, device=indices.device)
                for a, b in zip(left, right, strict=True):
                    same = same & (indices[:, a, None] == indices[None, :, b])
                rest = [indices[:, a, None].expand(size, size) for a in range(order) if a not in left]
                rest += [indices[None, :, b].expand(size, size) for b in range(order) if b not in right]
                moment = moments[2 * (order - r)]
                picked = _entries(moment, rest) if rest else moment[:, None, None]
                total = total + scale * same * picked
    return total


def _entries(tensor: Tensor, index: Sequence[Tensor]) -> Tensor:
    where: tuple[slice | Tensor, ...] = (slice(None), *index)
    return tensor[where]


def _resolution(like: Tensor) -> float:
    return 1e-12 if like.dtype == torch.float64 else 1e-5
