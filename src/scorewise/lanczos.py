"""Spectra of symmetric operators that are known by their products only: Lanczos, and quadrature with it."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from scorewise.estimate import Estimate

Operator = Callable[[Tensor], Tensor]
"""A symmetric matrix S of size n as a function: a vector v, shape (n,), to S v, shape (n,)."""


class Tridiagonal(NamedTuple):
    """A symmetric operator in the basis of a Krylov space, `Q S Q' = T`.

    Attributes:
        matrix: T, shape (m, m).
        basis: Q, orthonormal rows, the first one along the start, shape (m, n).
        rest: norm of what the next basis vector would have been; 0 if the space is invariant.
    """

    matrix: Tensor
    basis: Tensor
    rest: Tensor


class Ritz(NamedTuple):
    """Approximate eigenpairs of a symmetric operator.

    Attributes:
        values: Ritz values in decreasing order, shape (k,).
        vectors: Ritz vectors, orthonormal rows, shape (k, n).
        residual: `|S u - value u|`; within this distance of each value there is an eigenvalue, shape (k,).
    """

    values: Tensor
    vectors: Tensor
    residual: Tensor


class Measure(NamedTuple):
    """Gauss quadrature of the spectral measures `sum_k (u_k' z)^2 delta(lambda_k)` of R start vectors z.

    Attributes:
        nodes: Ritz values, shape (R, m).
        weights: `|z|^2` times the squared first components of T's eigenvectors, shape (R, m).
    """

    nodes: Tensor
    weights: Tensor

    def sums(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """`z' f(S) z` of every start vector.

        Args:
            function: f, on nodes of shape (R, m), to values of shape (*, R, m).

        Returns:
            The sums, shape (*, R).
        """
        return (function(self.nodes) * self.weights).sum(-1)

    def trace(self, function: Callable[[Tensor], Tensor]) -> Estimate:
        """`tr f(S)` when the start vectors have mean 0 and covariance I; `tr f(S) M` when it is M.

        Args:
            function: f, on nodes of shape (R, m), to values of shape (*, R, m).

        Returns:
            Mean and standard error over the start vectors, shape (*).
        """
        return Estimate.of_mean(self.sums(function).movedim(-1, 0))


def tridiagonalise(operator: Operator, start: Tensor, steps: int) -> Tridiagonal:
    """Run Lanczos with full reorthogonalisation.

    `S q_j = beta_(j-1) q_(j-1) + alpha_j q_j + beta_j q_(j+1)`, each new vector made orthogonal to all earlier ones
    twice. It ends early when the Krylov space is invariant, which makes the result exact.

    Args:
        operator: v, shape (n,), to S v.
        start: first direction, not 0, shape (n,).
        steps: largest dimension m of the Krylov space; more than n is taken as n.

    Returns:
        T, its basis and the norm of the rest.

    Raises:
        ValueError: if the start is 0 or not finite, or no step is asked for.

    Reference: Lanczos, "An iteration method for the solution of the eigenvalue problem of linear differential and
    integral operators", 1950; Parlett, "The symmetric eigenvalue problem", 1980, section 13 (reorthogonalisation).
    """
    norm = start.norm()
    if steps < 1 or not 0 < float(norm) < float("inf"):
        raise ValueError(
            f"start must be finite and not 0 and steps at least 1, however: |start|={float(norm):g}, {steps=}. "
            "Start from random numbers or from the labels."
        )
    steps = min(steps, len(start))
    basis = start.new_zeros(steps, len(start))
    matrix = start.new_zeros(steps, steps)
    direction, rest, largest = start / norm, norm, norm * 0
    for j in range(steps):
        basis[j] = direction
        image = operator(direction)
        matrix[j, j] = direction @ image
        for _ in range(2):
            image = image - (basis[: j + 1] @ image) @ basis[: j + 1]
        rest = image.norm()
        largest = torch.maximum(largest, matrix[j, j].abs() + rest)
        if float(rest) <= 4 * torch.finfo(start.dtype).eps * len(start) ** 0.5 * float(largest):
            return Tridiagonal(matrix[: j + 1, : j + 1], basis[: j + 1], rest * 0)
        if j + 1 < steps:
            matrix[j, j + 1] = matrix[j + 1, j] = rest
            direction = image / rest
    return Tridiagonal(matrix, basis, rest)


def top_eigenvalues(operator: Operator, start: Tensor, count: int, steps: int) -> Ritz:
    """Largest eigenvalues by Lanczos.

    Args:
        operator: v, shape (n,), to S v.
        start: a random direction, shape (n,); an eigenvector orthogonal to it is not found.
        count: how many eigenvalues.
        steps: products with the operator; about `count + 30` for the spectra of kernels.

    Returns:
        The largest Ritz pairs, each with a bound on its error; fewer than `count` only if the Krylov space is smaller.

    Raises:
        ValueError: if more eigenvalues than steps are asked for.
    """
    if count > steps:
        raise ValueError(f"steps must be at least count, however: {steps=}, {count=}. Take about 30 more than count.")
    krylov = tridiagonalise(operator, start, steps)
    values, vectors = torch.linalg.eigh(krylov.matrix)
    values, vectors = values.flip(0)[:count], vectors.flip(1)[:, :count]
    return Ritz(values, vectors.mT @ krylov.basis, krylov.rest * vectors[-1].abs())


def measure(operator: Operator, starts: Tensor, steps: int) -> Measure:
    """Stochastic Lanczos quadrature: the spectral measure of each start vector, exact for polynomials below 2 m.

    From random start vectors of covariance I (`rademacher`) it gives traces of functions of S; from labels y it gives
    `y' f(S) y` for every f at once; from label noise of covariance M it gives `tr f(S) M`.

    Args:
        operator: v, shape (n,), to S v.
        starts: R start vectors, shape (R, n).
        steps: products with the operator for each, m.

    Returns:
        Nodes and weights, padded with weight 0 where a Krylov space is smaller; a start of 0 has all weights 0.

    Reference: Ubaru, Chen, Saad, "Fast estimation of tr(f(A)) via stochastic Lanczos quadrature", 2017, section 3.
    """
    steps = min(steps, starts.shape[1])
    nodes, weights = starts.new_zeros(2, len(starts), steps)
    for r, start in enumerate(starts):
        if not bool(start.any()):
            continue
        values, vectors = torch.linalg.eigh(tridiagonalise(operator, start, steps).matrix)
        nodes[r, : len(values)], weights[r, : len(values)] = values, start.square().sum() * vectors[0].square()
    return Measure(nodes, weights)


def rademacher(count: int, size: int, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Random signs, the start vectors of smallest variance for a trace.

    Args:
        count: how many vectors, R.
        size: length of each, n.
        like: a tensor of the dtype and on the device wanted.
        generator: source of randomness, on that device.

    Returns:
        Signs, shape (R, n).
    """
    signs = torch.randint(0, 2, (count, size), generator=generator, device=like.device)
    return signs.to(like.dtype) * 2 - 1
