"""Covariances of labels: one operator, several structures.

Every kind is a batch of B positive semi-definite operators on an event space and answers the same questions:
`cov @ v`, `whiten`, `diag`, `trace` and `logdet`. `whiten` is the operation the house stands on: for `r = whiten(v)`,
`sum(r**2) == v' cov^+ v`, so half of it is the generalised-least-squares loss (Aitken, 1935).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor


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

    @property
    def diag(self) -> Tensor:
        return self.variance

    @property
    def logdet(self) -> Tensor:
        return self.variance.log().flatten(1).sum(1)


class Spectral(Covariance):
    """Independent coordinates of a rotated basis: `C = U diag(variance) U'`.

    Args:
        basis: orthogonal U, one for the whole batch, shape (D, D).
        variance: positive variances along its columns, shape (B, D).
    """

    def __init__(self, basis: Tensor, variance: Tensor) -> None:
        self.basis = basis
        self.variance = variance

    def __matmul__(self, v: Tensor) -> Tensor:
        return ((v @ self.basis) * self.variance) @ self.basis.mT

    def whiten(self, v: Tensor) -> Tensor:
        return (v @ self.basis) * self.variance.rsqrt()

    @property
    def diag(self) -> Tensor:
        return self.variance @ self.basis.square().mT

    @property
    def logdet(self) -> Tensor:
        return self.variance.log().sum(1)


class Dense(Covariance):
    """Any positive definite matrix on vectors.

    Args:
        matrix: symmetric positive definite, shape (B, D, D).

    Raises:
        torch.linalg.LinAlgError: if a matrix is not positive definite.
    """

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix
        self._factor = torch.linalg.cholesky(matrix)

    def __matmul__(self, v: Tensor) -> Tensor:
        applied: Tensor = self.matrix @ v.unsqueeze(-1)
        return applied.squeeze(-1)

    def whiten(self, v: Tensor) -> Tensor:
        solved: Tensor = torch.linalg.solve_triangular(self._factor, v.unsqueeze(-1), upper=False).squeeze(-1)
        return solved

    @property
    def diag(self) -> Tensor:
        return torch.diagonal(self.matrix, dim1=1, dim2=2)

    @property
    def logdet(self) -> Tensor:
        return 2 * torch.diagonal(self._factor, dim1=1, dim2=2).log().sum(1)


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
        self._live = log_p > -math.inf

    def __matmul__(self, v: Tensor) -> Tensor:
        p = self.log_p.exp()
        return p * v - p * (p * v).sum(-1, keepdim=True)

    def whiten(self, v: Tensor) -> Tensor:
        centre = (v * self._live).sum(-1, keepdim=True) / self._live.sum(-1, keepdim=True)
        scale = torch.where(self._live, (-0.5 * self.log_p).exp(), 0.0)
        return (v - centre) * scale

    @property
    def diag(self) -> Tensor:
        p = self.log_p.exp()
        return p * (1 - p)

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

    @property
    def diag(self) -> Tensor:
        return torch.cat([part.diag.flatten(1) for part in self.parts], 1)

    @property
    def logdet(self) -> Tensor:
        return torch.stack([part.logdet for part in self.parts]).sum(0)
