"""What rows look like from far: a normal distribution along their principal directions."""

from torch import Tensor, nn


class Principal(nn.Module):
    """A normal distribution of rows, of covariance `U diag(lam) U' + rest (I - U U')`.

    Under much noise rows are nearly normal, whatever they are without it: cumulants of third and higher order stay what
    they are, and their share falls with the third and higher powers of the level. So a reverse process may start from
    rows of this distribution, noised, and its levels above need no network.

    Args:
        mean: of the rows, shape (D,).
        basis: U, orthonormal columns, shape (D, R).
        variance: lam, along each of them, shape (R,).
        rest: variance in all other directions, shape ().

    Raises:
        ValueError: if the shapes do not fit.

    References:
        Tipping, Bishop, "Probabilistic principal component analysis", 1999, section 3; Wang, Vastola, "The unreasonable
        effectiveness of Gaussian score approximation for diffusion models and its applications", 2024.
    """

    mean: Tensor
    basis: Tensor
    variance: Tensor
    rest: Tensor

    def __init__(self, mean: Tensor, basis: Tensor, variance: Tensor, rest: Tensor) -> None:
        super().__init__()
        if mean.ndim != 1 or basis.shape != (len(mean), len(variance)) or variance.ndim != 1 or rest.ndim != 0:
            raise ValueError(
                "mean (D,), basis (D, R), variance (R,) and rest () must fit, however: "
                f"{[tuple(part.shape) for part in (mean, basis, variance, rest)]}. Take all from the same rows."
            )
        for name, part in (("mean", mean), ("basis", basis), ("variance", variance), ("rest", rest)):
            self.register_buffer(name, part.float())

    def noised(self, noise: Tensor, sigma: float) -> Tensor:
        """Draw noised rows, of covariance `U diag(lam) U' + rest (I - U U') + sigma^2 I`.

        They are where the probability flow of such rows leads from much more noise: `mean + C^(1/2) noise`, with the
        symmetric root.

        Args:
            noise: standard normal, shape (B, D).
            sigma: standard deviation of the noise on the rows.

        Returns:
            Shape (B, D).
        """
        other = (self.rest + sigma**2).sqrt()
        more = (self.variance + sigma**2).sqrt() - other
        drawn: Tensor = self.mean + other * noise + (noise @ self.basis * more) @ self.basis.mT
        return drawn
