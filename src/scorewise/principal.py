"""What rows look like from far: a normal distribution along their principal directions."""

import torch
from torch import Tensor, nn

LEVELS = (*(4 * 2 ** (k / 2) for k in range(9)), 80.0)
"""Levels of the noise from which a sampler may start, the least first."""
NEARLY_NORMAL = 0.05
"""Largest skewness and excess kurtosis of rows that are as good as normal."""


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
        level: standard deviation of the noise under which the rows are as good as normal, shape ().

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
    level: Tensor

    def __init__(self, mean: Tensor, basis: Tensor, variance: Tensor, rest: Tensor, level: Tensor) -> None:
        super().__init__()
        parts = {"mean": mean, "basis": basis, "variance": variance, "rest": rest, "level": level}
        shapes = [(len(mean),), (len(mean), len(variance)), (len(variance),), (), ()]
        if [tuple(part.shape) for part in parts.values()] != shapes:
            raise ValueError(
                "mean (D,), basis (D, R), variance (R,), rest () and level () must fit, however: "
                f"{[tuple(part.shape) for part in parts.values()]}. Take all from the same rows."
            )
        for name, part in parts.items():
            self.register_buffer(name, part.float().contiguous())  # products round by how matrices lie in memory

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


def normal_level(along: Tensor) -> float:
    """Find the least of `LEVELS` at which noised rows are as good as normal along each of several directions.

    With the cumulants k of rows along a direction, those of noised rows are `k_2 + sigma^2`, k_3 and k_4, and so the
    skewness is `k_3 / (k_2 + sigma^2)^(3/2)` and the excess kurtosis `k_4 / (k_2 + sigma^2)^2`. Many columns that
    change together, such as those that are missing in the same rows, make both large.

    Args:
        along: centred rows along the directions, shape (N, R).

    Returns:
        The level at which both are `NEARLY_NORMAL` or less, the largest one if none is.
    """
    second, third, fourth = torch.zeros(3, along.shape[1], dtype=torch.float64)
    for some in torch.split(along, 1_024):  # few at once, since their powers are wider than they are
        square = some.double().square()
        second += square.sum(0) / len(along)
        third += (square * some).sum(0) / len(along)
        fourth += square.square().sum(0) / len(along)
    for level in LEVELS[:-1]:
        total = second + level**2
        skewness, kurtosis = third / total**1.5, (fourth - 3 * second**2) / total**2
        if bool((torch.stack([skewness, kurtosis]).abs() <= NEARLY_NORMAL).all()):
            return level
    return LEVELS[-1]
