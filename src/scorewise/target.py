"""Targets of the regression: a label for each draw, and beliefs about the row turned into beliefs about the label."""

from abc import ABC, abstractmethod
from typing import final

from torch import Tensor

from scorewise.covariance import Blocks, Covariance, Dense, Diagonal, Simplex, Spectral
from scorewise.noise import Draw
from scorewise.posterior import Posterior


class Target(ABC):
    """A label that is affine in the clean row, `y = skip * x_t + scale * x`, so `Cov[y|x_t] = scale^2 Cov[x|x_t]`."""

    @abstractmethod
    def coefficients(self, sigma_t: Tensor) -> tuple[Tensor, Tensor]:
        """Return `(skip, scale)` at the given levels, each of shape (B,)."""

    def label(self, draw: Draw) -> Tensor:
        """The noisy label of each row of a draw, shape (B, D)."""
        skip, scale = self.coefficients(draw.sigma_t)
        return skip[:, None] * draw.x_t + scale[:, None] * draw.x

    def belief(self, posterior: Posterior, x_t: Tensor, sigma_t: Tensor) -> Posterior:
        """Push a belief about the clean row to a belief about the label.

        Args:
            posterior: belief about x, on shape (D,).
            x_t: noisy rows, shape (B, D).
            sigma_t: levels, shape (B,).

        Returns:
            The belief about the label; its mean is `E[y | x_t]`.
        """
        skip, scale = self.coefficients(sigma_t)
        return Posterior(skip[:, None] * x_t + scale[:, None] * posterior.mean, scaled(posterior.cov, scale.square()))


@final
class Clean(Target):
    """The clean row itself: `y = x`."""

    def coefficients(self, sigma_t: Tensor) -> tuple[Tensor, Tensor]:
        return sigma_t * 0, sigma_t * 0 + 1


@final
class Score(Target):
    """The score of the noise, `y = grad log q(x_t|x) = (x - x_t) / sigma_t^2`, whose mean is `grad log p(x_t)`.

    Reference: Vincent, "A connection between score matching and denoising autoencoders", 2011, eq. 9.
    """

    def coefficients(self, sigma_t: Tensor) -> tuple[Tensor, Tensor]:
        scale = sigma_t.square().reciprocal()
        return -scale, scale


def scaled(cov: Covariance, factor: Tensor) -> Covariance:
    """Multiply a covariance by positive numbers.

    Args:
        cov: a batch of B covariances.
        factor: shape (B,).

    Returns:
        `factor * cov`, of the same kind.

    Raises:
        TypeError: for a simplex, which is no simplex any more when scaled.
    """
    match cov:
        case Diagonal(variance=v):
            return Diagonal(v * factor.reshape(-1, *[1] * (v.ndim - 1)))
        case Spectral(basis=u, variance=v):
            return Spectral(u, v * factor[:, None])
        case Dense(matrix=m):
            return Dense(m * factor[:, None, None])
        case Blocks(parts=parts, shapes=shapes):
            return Blocks([scaled(part, factor) for part in parts], shapes)
        case Simplex():
            raise TypeError(
                "a Simplex covariance cannot be scaled: it is the covariance of a one-hot vector. "
                "Use the Clean target for categories."
            )
        case _:
            raise TypeError(f"cov must be one of the kinds of scorewise.covariance, however: {type(cov).__name__}.")
