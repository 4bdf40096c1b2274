"""Covariances of labels: one operator, several structures.

Every kind is a batch of B positive semi-definite operators on an event space and answers the same questions:
`cov @ v`, `solve`, `whiten`, `diag`, `trace`, `inverse_trace` and `logdet`, and can be scaled and moved away from
singularity by `affine`. `whiten` is the operation the house stands on: for `r = whiten(v)`, `sum(r**2) == v' cov^+ v`,
so half of it is the generalised-least-squares loss (Aitken, 1935).
"""

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from scorewise.symmetric import pack, unpack


class Covariance(ABC):
    """A batch of positive semi-definite operators on events of shape E."""

    @abstractmethod
    def __matmul__(self, v: Tensor) -> Tensor:
        """Apply the operator.

        Args:
            v: events, shape (B, *E).

        Returns:
            `C v`, shape (B, *E).
        """

    @abstractmethod
    def whiten(self, v: Tensor) -> Tensor:
        """Apply a square root of the (pseudo-)inverse: `sum(whiten(v)**2) == v' C^+ v`.

        Args:
            v: events, shape (B, *E).

        Returns:
            Whitened events, shape (B, *E).
        """

    @abstractmethod
    def solve(self, v: Tensor) -> Tensor:
        """Apply the (pseudo-)inverse, which is the optimal weight of a label that has this covariance.

        Args:
            v: events, shape (B, *E).

        Returns:
            `C^+ v`, shape (B, *E).
        """

    @abstractmethod
    def affine(self, scale: Tensor, shift: Tensor | None = None) -> "Covariance":
        """Scale, and add a multiple of the identity: `scale C + shift I`.

        Args:
            scale: non-negative, positive without a shift; shape (B,).
            shift: positive, shape (B,); None is 0.

        Returns:
            The covariances, of a kind that can be inverted wherever there is a shift.
        """

    @property
    @abstractmethod
    def diag(self) -> Tensor:
        """Variances of the coordinates, shape (B, *E)."""

    @property
    @abstractmethod
    def logdet(self) -> Tensor:
        """Logarithm of the determinant (of the product of non-zero eigenvalues if singular), shape (B,)."""

    @property
    def trace(self) -> Tensor:
        """Sum of the variances, shape (B,)."""
        return self.diag.flatten(1).sum(1)

    @property
    @abstractmethod
    def inverse_trace(self) -> Tensor:
        """Trace of the (pseudo-)inverse, shape (B,)."""

    def matrix_form(self) -> Tensor:
        """Write the operators out on flattened events, shape (B, E, E): for small events, and for tests."""
        width = self.diag[0].numel()
        unit = torch.eye(width, dtype=self.diag.dtype, device=self.diag.device)
        columns = [(self @ one.reshape(self.diag[:1].shape).expand_as(self.diag)).flatten(1) for one in unit]
        return torch.stack(columns, 2)


class Diagonal(Covariance):
    """Independent coordinates: `C = diag(variance)`.

    Args:
        variance: positive variances, shape (B, *E). Isotropic noise is an expanded tensor.

    Raises:
        ValueError: if a variance is not positive.
    """

    def __init__(self, variance: Tensor) -> None:
        if not bool((variance > 0).all()):
            raise ValueError(
                f"variance must be positive, however: its minimum is {float(variance.min()):g}. "
                "Add a floor to the variances or drop the coordinate."
            )
        self.variance = variance

    def __matmul__(self, v: Tensor) -> Tensor:
        return self.variance * v

    def whiten(self, v: Tensor) -> Tensor:
        return v * self.variance.rsqrt()

    def solve(self, v: Tensor) -> Tensor:
        return v / self.variance

    def affine(self, scale: Tensor, shift: Tensor | None = None) -> "Diagonal":
        shape = (-1, *[1] * (self.variance.ndim - 1))
        moved = self.variance * scale.reshape(shape)
        return Diagonal(moved if shift is None else moved + shift.reshape(shape))

    @property
    def diag(self) -> Tensor:
        return self.variance

    @property
    def inverse_trace(self) -> Tensor:
        return self.variance.reciprocal().flatten(1).sum(1)

    @property
    def logdet(self) -> Tensor:
        return self.variance.log().flatten(1).sum(1)


class Spectral(Covariance):
    """Independent coordinates of a rotated basis: `C = U diag(variance) U'`.

    Args:
        basis: orthogonal U, one for the whole batch, shape (D, D), or one for each, shape (B, D, D).
        variance: positive variances along its columns, shape (B, D).
    """

    def __init__(self, basis: Tensor, variance: Tensor) -> None:
        self.basis = basis
        self.variance = variance

    def _turn(self, v: Tensor, basis: Tensor) -> Tensor:
        return v @ basis if basis.ndim == 2 else (v[:, None] @ basis)[:, 0]

    def __matmul__(self, v: Tensor) -> Tensor:
        return self._turn(self._turn(v, self.basis) * self.variance, self.basis.mT)

    def whiten(self, v: Tensor) -> Tensor:
        return self._turn(v, self.basis) * self.variance.rsqrt()

    def solve(self, v: Tensor) -> Tensor:
        return self._turn(self._turn(v, self.basis) / self.variance, self.basis.mT)

    def affine(self, scale: Tensor, shift: Tensor | None = None) -> "Spectral":
        moved = self.variance * scale[:, None]
        return Spectral(self.basis, moved if shift is None else moved + shift[:, None])

    @property
    def diag(self) -> Tensor:
        return self._turn(self.variance, self.basis.square().mT)

    @property
    def inverse_trace(self) -> Tensor:
        return self.variance.reciprocal().sum(1)

    @property
    def logdet(self) -> Tensor:
        return self.variance.log().sum(1)


def clipped(matrix: Tensor, low: Tensor, high: Tensor) -> Spectral:
    """Make a covariance of a matrix that estimates one: symmetrise it, and clip its eigenvalues.

    Args:
        matrix: shape (B, D, D), neither symmetric nor positive by itself.
        low: smallest variance allowed, > 0, shape (B,).
        high: largest variance allowed, shape (B,).

    Returns:
        The nearest such covariances in the Frobenius norm.
    """
    values, basis = torch.linalg.eigh(0.5 * (matrix + matrix.mT))
    return Spectral(basis, torch.minimum(torch.maximum(values, low[:, None]), high[:, None]))


class Dense(Covariance):
    """Any positive definite matrix on the last dimension of the events; the other dimensions are independent.

    Args:
        matrix: symmetric positive definite, shape (B, D, D) for events (D,), or (B, M, D, D) for events (M, D).
        factor: its lower triangular root L with `matrix = L L'` and a positive diagonal, where the caller has it.

    Raises:
        torch.linalg.LinAlgError: if a matrix is not positive definite.
    """

    def __init__(self, matrix: Tensor, factor: Tensor | None = None) -> None:
        self.matrix = matrix
        self._factor = torch.linalg.cholesky(matrix) if factor is None else factor

    def __matmul__(self, v: Tensor) -> Tensor:
        applied: Tensor = self.matrix @ v.unsqueeze(-1)
        return applied.squeeze(-1)

    def whiten(self, v: Tensor) -> Tensor:
        solved: Tensor = torch.linalg.solve_triangular(self._factor, v.unsqueeze(-1), upper=False).squeeze(-1)
        return solved

    def solve(self, v: Tensor) -> Tensor:
        solved: Tensor = torch.cholesky_solve(v.unsqueeze(-1), self._factor).squeeze(-1)
        return solved

    def affine(self, scale: Tensor, shift: Tensor | None = None) -> "Dense":
        shape = (-1, *[1] * (self.matrix.ndim - 1))
        moved = self.matrix * scale.reshape(shape)
        return Dense(moved if shift is None else moved + shift.reshape(shape) * _unit(moved))

    @property
    def diag(self) -> Tensor:
        return torch.diagonal(self.matrix, dim1=-2, dim2=-1)

    @property
    def inverse_trace(self) -> Tensor:
        root: Tensor = torch.linalg.solve_triangular(self._factor, _unit(self._factor), upper=False)
        return root.square().flatten(1).sum(1)

    @property
    def logdet(self) -> Tensor:
        return 2 * torch.diagonal(self._factor, dim1=-2, dim2=-1).log().flatten(1).sum(1)


class Simplex(Covariance):
    """Covariances of one-hot categories: `C = diag(p) - p p'` for each of M categories with K levels.

    It is singular (rows sum to zero), so `whiten` and `logdet` belong to the pseudo-inverse
    `P diag(1/p) P`, with P the projection onto vectors that sum to zero (over the levels with p > 0).
    `0.5 * sum(whiten(y - p)**2)` and the cross-entropy `-log p[y]` have the same gradient with respect to the
    logits of p when the covariance is held fixed, which is why cross-entropy is the whitened loss of a category.

    Args:
        log_p: log-probabilities of the levels, shape (B, M, K); `-inf` marks a level that cannot occur.
    """

    def __init__(self, log_p: Tensor) -> None:
        self.log_p = log_p

    @functools.cached_property
    def _live(self) -> Tensor:
        return self.log_p > -math.inf

    def __matmul__(self, v: Tensor) -> Tensor:
        p = self.log_p.exp()
        return p * v - p * (p * v).sum(-1, keepdim=True)

    def whiten(self, v: Tensor) -> Tensor:
        centre = (v * self._live).sum(-1, keepdim=True) / self._live.sum(-1, keepdim=True)
        scale = torch.where(self._live, (-0.5 * self.log_p).exp(), 0.0)
        return (v - centre) * scale

    def solve(self, v: Tensor) -> Tensor:
        levels = self._live.sum(-1, keepdim=True)
        inverse = torch.where(self._live, (-self.log_p).exp(), 0.0)
        scaled = (v - (v * self._live).sum(-1, keepdim=True) / levels) * inverse
        return (scaled - scaled.sum(-1, keepdim=True) / levels) * self._live

    def affine(self, scale: Tensor, shift: Tensor | None = None) -> Dense:
        if shift is None:
            raise TypeError(
                "a Simplex covariance cannot be scaled: it is the covariance of a one-hot vector. "
                "Add a positive shift, or take the clean row as the label of a category."
            )
        p = self.log_p.exp()
        matrix = torch.diag_embed(p) - p[..., None] * p[..., None, :]
        return Dense(scale[:, None, None, None] * matrix + shift[:, None, None, None] * _unit(matrix))

    @property
    def diag(self) -> Tensor:
        p = self.log_p.exp()
        return p * (1 - p)

    @property
    def inverse_trace(self) -> Tensor:
        inverse = torch.where(self._live, (-self.log_p).exp(), 0.0).sum(-1)
        return (inverse * (1 - 1 / self._live.sum(-1))).sum(-1)

    @property
    def logdet(self) -> Tensor:
        levels = self._live.sum(-1)
        return (torch.where(self._live, self.log_p, 0.0).sum(-1) + levels.log()).sum(-1)


class Blocks(Covariance):
    """Independent blocks of coordinates, each with a covariance of its own.

    Args:
        parts: the covariances, in the order in which their flattened events stand in the vector.
        shapes: the event shape of each part.

    Raises:
        ValueError: if `parts` and `shapes` differ in length.
    """

    def __init__(self, parts: Sequence[Covariance], shapes: Sequence[tuple[int, ...]]) -> None:
        if len(parts) != len(shapes):
            raise ValueError(
                f"parts and shapes must have the same length, however: {len(parts)=}, {len(shapes)=}. "
                "Give the event shape of every part."
            )
        self.parts = tuple(parts)
        self.shapes = tuple(tuple(shape) for shape in shapes)

    def split(self, v: Tensor) -> list[Tensor]:
        """Cut vectors of shape (B, D) into the events of the parts, each of shape (B, *shape)."""
        pieces = torch.split(v, [math.prod(shape) for shape in self.shapes], dim=1)
        return [piece.reshape(len(v), *shape) for piece, shape in zip(pieces, self.shapes, strict=True)]

    def __matmul__(self, v: Tensor) -> Tensor:
        return torch.cat([(p @ x).flatten(1) for p, x in zip(self.parts, self.split(v), strict=True)], 1)

    def whiten(self, v: Tensor) -> Tensor:
        return torch.cat([p.whiten(x).flatten(1) for p, x in zip(self.parts, self.split(v), strict=True)], 1)

    def solve(self, v: Tensor) -> Tensor:
        return torch.cat([p.solve(x).flatten(1) for p, x in zip(self.parts, self.split(v), strict=True)], 1)

    def affine(self, scale: Tensor, shift: Tensor | None = None) -> "Blocks":
        return Blocks([part.affine(scale, shift) for part in self.parts], self.shapes)

    @property
    def diag(self) -> Tensor:
        return torch.cat([part.diag.flatten(1) for part in self.parts], 1)

    @property
    def inverse_trace(self) -> Tensor:
        return torch.stack([part.inverse_trace for part in self.parts]).sum(0)

    @property
    def logdet(self) -> Tensor:
        return torch.stack([part.logdet for part in self.parts]).sum(0)


class Symmetric(Covariance):
    """Covariances of symmetric tensors: a positive definite matrix on their independent entries.

    It is singular on tensors that are not symmetric, so `solve`, `whiten`, `inverse_trace`, `logdet` and the identity
    of `affine` are those of the space of symmetric tensors.

    Args:
        packed: covariance of `symmetric.pack(tensor)`.
        d: dimension.
        order: order of the tensors.
    """

    def __init__(self, packed: Dense, d: int, order: int) -> None:
        self.packed, self.d, self.order = packed, d, order

    def __matmul__(self, v: Tensor) -> Tensor:
        return unpack(self.packed @ pack(v), self.d, self.order)

    def whiten(self, v: Tensor) -> Tensor:
        return unpack(self.packed.whiten(pack(v)), self.d, self.order)

    def solve(self, v: Tensor) -> Tensor:
        return unpack(self.packed.solve(pack(v)), self.d, self.order)

    def affine(self, scale: Tensor, shift: Tensor | None = None) -> "Symmetric":
        return Symmetric(self.packed.affine(scale, shift), self.d, self.order)

    @property
    def diag(self) -> Tensor:
        # an entry is its packed coordinate over the root of its multiplicity, which `unpack` divides by
        deviation = unpack(self.packed.diag.sqrt(), self.d, self.order)
        return deviation.square()

    @property
    def inverse_trace(self) -> Tensor:
        return self.packed.inverse_trace

    @property
    def logdet(self) -> Tensor:
        return self.packed.logdet


def _unit(matrix: Tensor) -> Tensor:
    return torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device).expand_as(matrix)
