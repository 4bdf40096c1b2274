"""Parameterisations: the labels that are affine in the clean row, and the passage between them.

Each is `y = c_x x + c_eps eps` with two numbers that depend on the time alone. Since `eps = (x_t - alpha x) / sigma`,
it is `y = skip x_t + scale x` as well, with `skip = c_eps / sigma` and `scale = c_x - c_eps alpha / sigma`. So
`Cov[y | x_t] = scale^2 Cov[x | x_t]`, a prediction of one is a prediction of all, and a weight for one is a weight for
all:

    label          c_x                 c_eps                    scale
    clean row      1                   0                        1
    score          0                   -1 / sigma               alpha / sigma^2
    noise          0                   1                        -alpha / sigma
    velocity v     -sigma              alpha                    -(alpha^2 + sigma^2) / sigma
    flow velocity  -1                  1                        -(alpha + sigma) / sigma
    EDM's F        sigma / (s_d r)     -alpha s_d / r           r / (sigma s_d),  r^2 = alpha^2 s_d^2 + sigma^2
"""

from collections.abc import Callable
from typing import final

from torch import Tensor

from scorewise.noise import Draw
from scorewise.posterior import Posterior
from scorewise.schedule import Schedule, ve

Amplitudes = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""`(alpha_t, sigma_t) -> (c_x, c_eps)`, all of shape (B,)."""


@final
class Parameterisation:
    """A label that is affine in the clean row, `y = c_x x + c_eps eps = skip x_t + scale x`.

    Args:
        amplitudes: `(alpha_t, sigma_t) -> (c_x, c_eps)`.
        schedule: alpha and sigma as functions of time; variance exploding by default.
    """

    def __init__(self, amplitudes: Amplitudes, schedule: Schedule | None = None) -> None:
        self._amplitudes = amplitudes
        self.schedule = ve() if schedule is None else schedule

    def amplitudes(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Give the share of the clean row and of the noise.

        Args:
            t: times, shape (B,).

        Returns:
            `(c_x, c_eps)`, each of shape (B,).
        """
        return self._amplitudes(self.schedule.alpha(t), self.schedule.sigma(t))

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Give the share of the noisy row and of the clean row.

        Args:
            t: times with `sigma_t > 0`, shape (B,).

        Returns:
            `(skip, scale)`, each of shape (B,).
        """
        alpha_t, sigma_t = self.schedule.alpha(t), self.schedule.sigma(t)
        c_x, c_eps = self._amplitudes(alpha_t, sigma_t)
        return c_eps / sigma_t, c_x - c_eps * alpha_t / sigma_t

    def label(self, draw: Draw) -> Tensor:
        """Give the noisy label of each row of a draw.

        Args:
            draw: a noisy batch.

        Returns:
            Shape (B, D).
        """
        skip, scale = self.coefficients(draw.t)
        return skip[:, None] * draw.x_t + scale[:, None] * draw.x

    def belief(self, posterior: Posterior, x_t: Tensor, t: Tensor) -> Posterior:
        """Push a belief about the clean row to a belief about the label.

        Args:
            posterior: belief about x, on shape (D,).
            x_t: noisy rows, shape (B, D).
            t: times, shape (B,).

        Returns:
            The belief about the label; its mean is `E[y | x_t]`.
        """
        skip, scale = self.coefficients(t)
        return Posterior(skip[:, None] * x_t + scale[:, None] * posterior.mean, posterior.cov.affine(scale.square()))


def convert(prediction: Tensor, source: Parameterisation, to: Parameterisation, x_t: Tensor, t: Tensor) -> Tensor:
    """Turn a prediction of one label into the same prediction of another.

    Args:
        prediction: of the label `source`, shape (B, D).
        source: the label that was predicted.
        to: the label that is wanted.
        x_t: noisy rows, shape (B, D).
        t: times, shape (B,).

    Returns:
        Shape (B, D).
    """
    (skip, scale), (new_skip, new_scale) = source.coefficients(t), to.coefficients(t)
    ratio = new_scale / scale
    return (new_skip - ratio * skip)[:, None] * x_t + ratio[:, None] * prediction


def clean(schedule: Schedule | None = None) -> Parameterisation:
    """Make the label that is the clean row itself, `y = x`.

    Args:
        schedule: variance exploding by default.

    Returns:
        The label.
    """
    return Parameterisation(lambda alpha_t, sigma_t: (sigma_t * 0 + 1, sigma_t * 0), schedule)


def score(schedule: Schedule | None = None) -> Parameterisation:
    """Make the score of Gaussian noise, `y = grad log q(x_t | x) = (alpha x - x_t) / h`; its mean is `grad log p_t`.

    Args:
        schedule: variance exploding by default.

    Returns:
        The label.

    Reference: Vincent, "A connection between score matching and denoising autoencoders", 2011, eq. 9.
    """
    return Parameterisation(lambda alpha_t, sigma_t: (sigma_t * 0, -1 / sigma_t), schedule)


def epsilon(schedule: Schedule | None = None) -> Parameterisation:
    """Make the label that is the noise, `y = eps = (x_t - alpha x) / sigma`.

    Args:
        schedule: variance exploding by default.

    Returns:
        The label.

    Reference: Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", 2020, eq. 14.
    """
    return Parameterisation(lambda alpha_t, sigma_t: (sigma_t * 0, sigma_t * 0 + 1), schedule)


def velocity(schedule: Schedule | None = None) -> Parameterisation:
    """Make the label v, `y = alpha eps - sigma x`.

    Args:
        schedule: variance exploding by default.

    Returns:
        The label.

    Reference: Salimans, Ho, "Progressive distillation for fast sampling of diffusion models", 2022, appendix D.
    """
    return Parameterisation(lambda alpha_t, sigma_t: (-sigma_t, alpha_t), schedule)


def flow_velocity(schedule: Schedule | None = None) -> Parameterisation:
    """Make the velocity of straight lines, `y = eps - x`.

    Args:
        schedule: variance exploding by default; `flow` makes the label the velocity of `x_t`.

    Returns:
        The label.

    Reference: Lipman, Chen, Ben-Hamu, Nickel, Le, "Flow matching for generative modeling", 2023, eq. 23.
    """
    return Parameterisation(lambda alpha_t, sigma_t: (sigma_t * 0 - 1, sigma_t * 0 + 1), schedule)


def edm(sigma_data: float, schedule: Schedule | None = None) -> Parameterisation:
    """Make EDM's label F, `y = (x - c_skip x_t) / c_out`, which has variance 1 for rows from `N(0, sigma_data^2 I)`.

    Args:
        sigma_data: standard deviation of the coordinates of the rows, in units of the encoded columns.
        schedule: variance exploding by default. Elsewhere the constants are those of `x_t / alpha` at the level
            `sigma / alpha`.

    Returns:
        The label.

    Reference: Karras et al., "Elucidating the design space of diffusion-based generative models", 2022, Table 1.
    """

    def amplitudes(alpha_t: Tensor, sigma_t: Tensor) -> tuple[Tensor, Tensor]:
        total = (alpha_t.square() * sigma_data**2 + sigma_t.square()).sqrt()
        return sigma_t / (sigma_data * total), -alpha_t * sigma_data / total

    return Parameterisation(amplitudes, schedule)
