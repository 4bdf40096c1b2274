"""Kernel gradient descent on a weighted squared loss, in closed form for every number of steps at once."""

from collections.abc import Callable
from typing import NamedTuple, final

import torch
from torch import Tensor

from scorewise.covariance import Covariance
from scorewise.spectrum import Decay, Spectrum, discrete, spectrum


class Levels(NamedTuple):
    """Variances of the whitened labels along the eigenvectors, as residuals show them; shape (K, M) each.

    Attributes:
        own: what each row contributes alone, s_k for independent rows.
        pair: what different noisy copies of the same clean row contribute together, `(m - 1) gamma_k`.
        se: standard error of `own + pair`, from the spread between clean rows.
    """

    own: Tensor
    pair: Tensor
    se: Tensor

    @property
    def total(self) -> Tensor:
        """Cluster-robust variances, never negative, shape (K, M)."""
        return self.own + self.pair


@final
class Path:
    """The path of kernel gradient descent from 0 on `(1/2n) sum_i |whiten_i(y_i - f(x_i))|^2`.

    With R the whitening of all rows, so that `R'R` is the weight, and `S = R (K x I_D) R' / n = U diag(lam) U'`, after
    T steps of size eta a share `q_k = 1 - (1 - eta lam_k)^T` of each eigendirection is fitted:
    `f_T(x) = k(x, X) R' U diag(q / lam) U' R y / n`. The weight is given as the covariance that it assumes; with the
    true conditional covariance of the labels the whitened noise has variance 1 in every direction.

    Where the weight is a number per row S is `(n, n)` and shared by all outputs; where it is a number per row and
    output there is one such S per output; else, or where the kernel couples the outputs, S is `(n D, n D)`. The
    eigenvectors of n = 4,000 rows take 0.13 GB for each S, in float64; those of an S of n D = 40,000 would take a
    hundred times as much, and `from_quadrature` does without.

    Args:
        gram: kernel of the rows, symmetric, shape (n, n) for `K x I_D`, or (n, D, n, D) as `empirical_kernel` gives it.
        labels: shape (n, D).
        assumed: covariance of each label that the weight assumes, n of them on shape (D,).

    Raises:
        ValueError: if the shapes do not agree.
    """

    def __init__(self, gram: Tensor, labels: Tensor, assumed: Covariance) -> None:
        n, d = labels.shape
        if gram.shape not in {(n, n), (n, d, n, d)}:
            raise ValueError(
                f"gram must be square with one row per label, however: {tuple(gram.shape)=}, {tuple(labels.shape)=}. "
                "Evaluate the kernel at the inputs of these labels."
            )
        self.labels = labels
        self._root = _columns(assumed.whiten, labels)
        diagonal = self._root.diagonal(dim1=1, dim2=2)
        if gram.ndim == 4 or bool((self._root != torch.diag_embed(diagonal)).any()):
            self._outputs = 1, d  # blocks, labels of a row that stand in the same block
            pattern = "iac,icje,jbe->iajb" if gram.ndim == 4 else "iac,ij,jbc->iajb"
            blocks = iter([torch.einsum(pattern, self._root, gram, self._root).reshape(n * d, n * d)])
        else:
            shared = bool((diagonal == diagonal[:, :1]).all())
            self._outputs = (1, 1) if shared else (d, 1)
            blocks = (root[:, None] * gram * root for root in (diagonal[:, :1] if shared else diagonal).mT)
        size = n * self._outputs[1]
        self._values = gram.new_empty(self._outputs[0], size)
        self._vectors = gram.new_empty(self._outputs[0], size, size)
        for g, block in enumerate(blocks):  # one at a time, for the memory
            values, self._vectors[g] = torch.linalg.eigh(block / n)
            self._values[g] = values.clamp(min=0)
        self._coefficients = self._along(self.whiten(labels))

    def _blocked(self, whitened: Tensor) -> Tensor:
        """Arrange (n, D) as (G, n D / (G M), M): G blocks with M right-hand sides each."""
        groups, together = self._outputs
        if groups > 1:
            return whitened.t()[:, :, None]
        return whitened.reshape(1, -1, whitened.shape[1] // together)

    def _rowwise(self, blocked: Tensor) -> Tensor:
        """Arrange (*, G, n D / (G M), M) as (*, n, D), the inverse of `_blocked`."""
        if self._outputs[0] > 1:
            return blocked[..., 0].transpose(-1, -2)
        return blocked.reshape(*blocked.shape[:-3], *self.labels.shape)

    def _along(self, whitened: Tensor) -> Tensor:
        """Coordinates of (n, D) along the eigenvectors, shape (G, n D / (G M), M)."""
        along: Tensor = self._vectors.mT @ self._blocked(whitened)
        return along

    def whiten(self, v: Tensor) -> Tensor:
        """Apply the weight's root R to one vector per row, shape (n, D)."""
        return torch.einsum("iac,ic->ia", self._root, v)

    @property
    def values(self) -> Tensor:
        """Eigenvalues of S; the largest bounds the step size, `rate <= 1 / max`. Shape (K,)."""
        return self._values.flatten()

    @property
    def coefficients(self) -> Tensor:
        """Whitened labels along the eigenvectors, shape (K, M); M outputs share an eigenvector."""
        return self._coefficients.flatten(0, 1)

    def project(self, v: Tensor) -> Tensor:
        """Whitened vectors along the eigenvectors.

        Args:
            v: one vector per row, in the units of the labels, shape (n, D).

        Returns:
            `U' R v`, shape (K, M); summed squares over n are the weighted mean square of v.
        """
        return self._along(self.whiten(v)).flatten(0, 1)

    def levels(self, cov: Covariance) -> Tensor:
        """Variances of the whitened labels along the eigenvectors when rows are independent, `u_k' R C R' u_k`.

        Args:
            cov: conditional covariances of the labels, n of them on shape (D,).

        Returns:
            Variances s_k, shape (K, M); all 1 if `cov` is what the weight assumes.
        """
        whitened = torch.einsum("iac,icd,ibd->iab", self._root, _columns(cov.__matmul__, self.labels), self._root)
        if self._outputs[1] == 1:
            each = self._blocked(whitened.diagonal(dim1=1, dim2=2))
            pairs = zip(self._vectors, each, strict=True)  # a block at a time, for the memory
            return torch.cat([vectors.square().mT @ one for vectors, one in pairs])
        vectors = self._vectors[0].reshape(*self.labels.shape, -1)
        levels = torch.zeros_like(self.values)
        for i, matrix in enumerate(whitened):
            levels += (vectors[i] * (matrix @ vectors[i])).sum(0)
        return levels[:, None]

    def cluster_levels(self, residual: Tensor, row: Tensor) -> Levels:
        """Variances of the whitened labels when noisy copies of one clean row share its label.

        `sum over clean rows c of (sum over copies i of c of u_ik r_i)^2`. With m copies of each clean row it estimates
        `s_k + (m - 1) gamma_k`, gamma_k the variance along `phi_k` of the mean label error of a clean row; the
        independence that `levels` assumes would give s_k.

        Args:
            residual: label minus (an estimate of) its mean given the noisy row, shape (n, D).
            row: which clean row each noisy one came from, shape (n,).

        Returns:
            The levels with their standard errors.

        Raises:
            ValueError: if there is one clean row only.

        Reference: Liang, Zeger, "Longitudinal data analysis using generalized linear models", 1986 (the variance
        between clusters); derived here.
        """
        clean, cluster = torch.unique(row, return_inverse=True)
        if len(clean) < 2:
            raise ValueError(
                f"row must name two clean rows or more, however: {clean.tolist()=}. "
                "The variance between clean rows needs several of them."
            )
        whitened = self._blocked(self.whiten(residual))
        together = self._outputs[1]
        own, total, fourth = [], [], []
        for vectors, block in zip(self._vectors, whitened, strict=True):
            for r in block.mT:
                parts = vectors * r[:, None]
                per_row = parts.reshape(-1, together, parts.shape[1]).sum(1)
                sums = parts.new_zeros(len(clean), parts.shape[1]).index_add_(0, cluster, per_row)
                own.append(per_row.square().sum(0))
                total.append(sums.square().sum(0))
                fourth.append(sums.pow(4).sum(0))
        arranged = [
            torch.stack(x).reshape(len(self._vectors), -1, self._vectors.shape[1]).mT.flatten(0, 1)
            for x in (own, total, fourth)
        ]
        each = arranged[1] / len(clean)
        se = ((arranged[2] - len(clean) * each.square()).clamp(min=0) * len(clean) / (len(clean) - 1)).sqrt()
        return Levels(arranged[0], arranged[1] - arranged[0], se)

    def spectrum(self, noise: Tensor) -> Spectrum:
        """Collect what the stopping rules read.

        Args:
            noise: variances of the whitened labels along the eigenvectors: `levels` or `cluster_levels`, shape (K, M).

        Returns:
            The spectrum.
        """
        return spectrum(self.values, self.coefficients, noise)

    def weights(self, rate: float, steps: Tensor, decay: Decay = discrete) -> Tensor:
        """Weights of the rows after each number of steps: `f_T(x) = k(x, X) weights[T]`.

        Args:
            rate: step size.
            steps: numbers of steps, shape (T,).
            decay: `discrete` or `flow`.

        Returns:
            `R' U diag(q / lam) U' R y / n`, shape (T, n, D).
        """
        return self._spread(self._filtered(rate, steps, decay, divided=True)) / len(self.labels)

    def fitted(self, rate: float, steps: Tensor, decay: Decay = discrete) -> Tensor:
        """Whitened fitted values `U diag(q) U' R y` at the rows after each number of steps.

        Args:
            rate: step size.
            steps: numbers of steps, shape (T,).
            decay: `discrete` or `flow`.

        Returns:
            Whitened values, to be compared with `whiten(truth)`, shape (T, n, D).
        """
        return self._rowwise(self._filtered(rate, steps, decay, divided=False))

    def predict(self, cross: Tensor, rate: float, steps: Tensor, decay: Decay = discrete) -> Tensor:
        """The path at other points.

        Args:
            cross: kernel of these points and the rows, shape (m, n), or (m, D, n, D) like the gram.
            rate: step size.
            steps: numbers of steps, shape (T,).
            decay: `discrete` or `flow`.

        Returns:
            `f_T`, shape (T, m, D).
        """
        weights = self.weights(rate, steps, decay)
        return cross @ weights if cross.ndim == 2 else torch.einsum("majb,tjb->tma", cross, weights)

    def _spread(self, blocked: Tensor) -> Tensor:
        return torch.einsum("iac,tia->tic", self._root, self._rowwise(blocked))

    def _filtered(self, rate: float, steps: Tensor, decay: Decay, *, divided: bool) -> Tensor:
        """`U diag(g) U' R y` with `g = q`, or `q / lam` if divided, shape (T, G, n D / (G M), M)."""
        share = -decay(self.values, rate, steps).expm1()
        if divided:
            least = torch.finfo(share.dtype).eps * self.values.max()
            time = rate * steps.to(share)[:, None]
            share = torch.where(self.values > least, share / self.values.clamp(min=least), time)
        shaped = share.reshape(len(steps), *self._values.shape, 1) * self._coefficients
        columns = shaped.permute(1, 2, 0, 3).flatten(2)  # steps beside each other: broadcasting would copy the vectors
        filtered = self._vectors @ columns
        return filtered.reshape(*filtered.shape[:2], len(steps), -1).permute(2, 0, 1, 3)


def _columns(function: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
    """Matrices of a batch of linear maps on vectors, one per row of `like`, shape (n, D, D)."""
    units = torch.eye(like.shape[1], dtype=like.dtype, device=like.device)
    return torch.stack([function(unit.expand(like.shape)) for unit in units], 2)
