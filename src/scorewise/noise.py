"""Noise: how a clean row becomes a noisy one."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple, final

import torch
from torch import Tensor

from scorewise.schedule import Schedule, ve


class Draw(NamedTuple):
    """One noisy batch.

    Attributes:
        x: clean rows, shape (B, D).
        x_t: noisy rows, shape (B, D).
        t: time of each row, shape (B,); under the variance-exploding schedule the standard deviation of its noise.
        row: index of the row of the data that each one came from, shape (B,), where that is known.
    """

    x: Tensor
    x_t: Tensor
    t: Tensor
    row: Tensor | None = None


class Noise(ABC):
    """A law of noisy rows given clean ones, `q(x_t | x, t)`: it can be drawn from, and its log-density is known."""

    @property
    @abstractmethod
    def max_order(self) -> float:
        """Highest order k at which `grad^k q / q` exists as a function and has a finite variance; may be infinite."""

    @abstractmethod
    def draw(self, x: Tensor, t: Tensor, generator: torch.Generator | None = None, row: Tensor | None = None) -> Draw:
        """Noise a batch.

        Args:
            x: clean rows, shape (B, D).
            t: times, shape (B,).
            generator: source of randomness, on the device of `x`.
            row: index in the data of each row, shape (B,), passed on to the draw.

        Returns:
            The batch with its noisy rows.
        """

    @abstractmethod
    def log_prob(self, x_t: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """Log-density of noisy rows given clean ones, `log q(x_t | x, t)`.

        Args:
            x_t: noisy rows, shape (..., D), broadcast against `x`.
            x: clean rows, shape (..., D).
            t: times, broadcast against the leading shape of `x_t - x`.

        Returns:
            Log-densities in nats, the leading shape of `x_t - x`.
        """


class LocationScale(Noise):
    """Symmetric noise that is added: `x_t = alpha_t x + sigma_t eps`, with eps of a law of its own.

    Args:
        schedule: alpha and sigma as functions of time.
    """

    def __init__(self, schedule: Schedule | None = None) -> None:
        self.schedule = ve() if schedule is None else schedule

    @abstractmethod
    def sample(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw eps.

        Args:
            like: gives shape (..., D), dtype and device.
            generator: source of randomness, on the device of `like`.

        Returns:
            Shape (..., D).
        """

    @abstractmethod
    def log_factors(self, eps: Tensor) -> Tensor:
        """Log-densities of the independent factors of eps: one for each coordinate, or one for all.

        Args:
            eps: shape (..., D).

        Returns:
            In nats, shape (..., D) or (..., 1).
        """

    @abstractmethod
    def information(self, d: int) -> float:
        """Trace of the Fisher information of the location of eps, `E |grad log q(eps)|^2`; infinite if it has none.

        At time t it is this over `sigma_t^2`.

        Args:
            d: dimension.

        Returns:
            The trace, without unit.
        """

    @final
    def draw(self, x: Tensor, t: Tensor, generator: torch.Generator | None = None, row: Tensor | None = None) -> Draw:
        eps = self.sample(x, generator)
        alpha, sigma = self.schedule
        location = x if alpha is torch.ones_like else alpha(t)[:, None] * x
        return Draw(x, torch.addcmul(location, eps, sigma(t)[:, None]), t, row)

    @final
    def log_prob(self, x_t: Tensor, x: Tensor, t: Tensor) -> Tensor:
        alpha_t, sigma_t = self.schedule.alpha(t), self.schedule.sigma(t)
        eps = (x_t - alpha_t[..., None] * x) / sigma_t[..., None]
        return self.log_factors(eps).sum(-1) - x_t.shape[-1] * sigma_t.log()

    @final
    def standardise(self, draw: Draw) -> Tensor:
        """Recover the noise of a draw, `eps = (x_t - alpha_t x) / sigma_t`.

        Args:
            draw: a noisy batch.

        Returns:
            Shape (B, D).
        """
        alpha_t, sigma_t = self.schedule.alpha(draw.t), self.schedule.sigma(draw.t)
        return (draw.x_t - alpha_t[:, None] * draw.x) / sigma_t[:, None]


@final
class Gaussian(LocationScale):
    """Gaussian noise, `eps ~ N(0, I)`.

    Reference: Song et al., "Score-based generative modeling through stochastic differential equations", 2021,
    appendix C.
    """

    @property
    def max_order(self) -> float:
        return math.inf

    def sample(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        return torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)

    def log_factors(self, eps: Tensor) -> Tensor:
        return -0.5 * eps.square() - 0.5 * math.log(2 * math.pi)

    def information(self, d: int) -> float:
        return float(d)


@final
class _Custom(Noise):
    def __init__(
        self,
        sample: Callable[[Tensor, Tensor, torch.Generator | None], Tensor],
        log_prob: Callable[[Tensor, Tensor, Tensor], Tensor],
        max_order: float,
    ) -> None:
        self._sample, self._log_prob, self._max_order = sample, log_prob, max_order

    @property
    def max_order(self) -> float:
        return self._max_order

    def draw(self, x: Tensor, t: Tensor, generator: torch.Generator | None = None, row: Tensor | None = None) -> Draw:
        return Draw(x, self._sample(x, t, generator), t, row)

    def log_prob(self, x_t: Tensor, x: Tensor, t: Tensor) -> Tensor:
        return self._log_prob(x_t, x, t)


def from_log_prob(
    sample: Callable[[Tensor, Tensor, torch.Generator | None], Tensor],
    log_prob: Callable[[Tensor, Tensor, Tensor], Tensor],
    max_order: float = math.inf,
) -> Noise:
    """Make a noise of any law whose log-density can be differentiated; it need not be added to the row.

    Args:
        sample: `(x (B, D), t (B,), generator) -> x_t (B, D)`.
        log_prob: `(x_t (..., D), x (..., D), t (...)) -> (...)`, in nats, with broadcasting. It must be made of torch
            functions that can be differentiated forwards, `max_order` times.
        max_order: highest order k at which `grad^k q / q` exists and has a finite variance. A density with a kink
            has 1, a density with a jump 0; nothing can check what is promised here.

    Returns:
        The noise.
    """
    return _Custom(sample, log_prob, max_order)
