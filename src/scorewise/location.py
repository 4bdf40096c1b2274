"""Location-scale noises other than the Gaussian: heavier tails, lighter tails, kinks and jumps."""

import math
from abc import abstractmethod
from typing import final

import torch
from torch import Tensor

from scorewise.noise import LocationScale
from scorewise.schedule import Schedule


def _exponential(like: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.empty_like(like).exponential_(generator=generator)


def _gamma(shape: float, like: Tensor, generator: torch.Generator | None) -> Tensor:
    # NOTE: torch.distributions.Gamma calls the same function, but takes no generator
    return torch._standard_gamma(torch.full_like(like, shape), generator=generator)


@final
class Laplace(LocationScale):
    """Independent coordinates with density `exp(-|u|) / 2`.

    Its log-density has a kink, so there are no labels beyond order 1.
    """

    @property
    def max_order(self) -> float:
        return 1

    def sample(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        return _exponential(like, generator) - _exponential(like, generator)

    def log_factors(self, eps: Tensor) -> Tensor:
        return -eps.abs() - math.log(2)

    def information(self, d: int) -> float:
        return float(d)


@final
class Logistic(LocationScale):
    """Independent coordinates with density `1 / (4 cosh^2(u / 2))`."""

    @property
    def max_order(self) -> float:
        return math.inf

    def sample(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        return _exponential(like, generator).log() - _exponential(like, generator).log()

    def log_factors(self, eps: Tensor) -> Tensor:
        # NOTE: nested derivatives of logaddexp overflow at |eps| > 710, those of logsigmoid nowhere
        return torch.nn.functional.logsigmoid(eps) + torch.nn.functional.logsigmoid(-eps)

    def information(self, d: int) -> float:
        return d / 3


class _Student(LocationScale):
    # eps = normal / sqrt(chi^2 / nu), with one chi^2 for each number of `groups`
    def __init__(self, nu: float, schedule: Schedule | None = None) -> None:
        super().__init__(schedule)
        self.nu = _positive("nu", nu)

    @property
    def max_order(self) -> float:
        return math.inf

    @abstractmethod
    def groups(self, eps: Tensor) -> Tensor:
        """Sum the squares of what shares a scale, (..., D) -> (..., D) or (..., 1)."""

    @final
    def sample(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        normal = torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)
        return normal * (0.5 * self.nu / _gamma(0.5 * self.nu, self.groups(normal), generator)).sqrt()

    @final
    def log_factors(self, eps: Tensor) -> Tensor:
        squares = self.groups(eps)
        d = eps.shape[-1] // squares.shape[-1]
        constant = math.lgamma(0.5 * (self.nu + d)) - math.lgamma(0.5 * self.nu) - 0.5 * d * math.log(self.nu * math.pi)
        return constant - 0.5 * (self.nu + d) * torch.log1p(squares / self.nu)


@final
class StudentT(_Student):
    """Independent coordinates of Student's law, density proportional to `(1 + u^2 / nu)^(-(nu + 1) / 2)`.

    Args:
        nu: degrees of freedom, > 0.
        schedule: alpha and sigma as functions of time.

    Raises:
        ValueError: if `nu` is not positive.
    """

    def groups(self, eps: Tensor) -> Tensor:
        return eps.square()

    def information(self, d: int) -> float:
        return d * (self.nu + 1) / (self.nu + 3)


@final
class MultivariateT(_Student):
    """Student's law of vectors, density proportional to `(1 + |u|^2 / nu)^(-(nu + d) / 2)`; its coordinates depend.

    Args:
        nu: degrees of freedom, > 0.
        schedule: alpha and sigma as functions of time.

    Raises:
        ValueError: if `nu` is not positive.
    """

    def groups(self, eps: Tensor) -> Tensor:
        return eps.square().sum(-1, keepdim=True)

    def information(self, d: int) -> float:
        return d * (self.nu + d) / (self.nu + d + 2)


@final
class GeneralizedNormal(LocationScale):
    """Independent coordinates with density `beta / (2 Gamma(1 / beta)) exp(-|u|^beta)`.

    `beta = 1` is the Laplace law; `beta = 2` a Gaussian of variance 1/2. Near 0 the k-th derivative behaves like
    `|u|^(beta - k)`, so unless beta is even, labels of order k have a finite variance only for `k < beta + 1/2`.

    Args:
        beta: power in the exponent, > 0.
        schedule: alpha and sigma as functions of time.

    Raises:
        ValueError: if `beta` is not positive.
    """

    def __init__(self, beta: float, schedule: Schedule | None = None) -> None:
        super().__init__(schedule)
        self.beta = _positive("beta", beta)

    @property
    def max_order(self) -> float:
        return math.inf if self.beta % 2 == 0 else math.ceil(self.beta + 0.5) - 1

    def sample(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        sign = 2 * torch.empty_like(like).bernoulli_(0.5, generator=generator) - 1
        return sign * _gamma(1 / self.beta, like, generator).pow(1 / self.beta)

    def log_factors(self, eps: Tensor) -> Tensor:
        return math.log(0.5 * self.beta) - math.lgamma(1 / self.beta) - eps.abs().pow(self.beta)

    def information(self, d: int) -> float:
        if self.beta <= 0.5:
            return math.inf
        return d * self.beta**2 * math.gamma(2 - 1 / self.beta) / math.gamma(1 / self.beta)


@final
class Uniform(LocationScale):
    """Independent coordinates, uniform on [-1, 1].

    Its density jumps, so it has no labels at all: `grad q` is not a function. The posterior over rows still exists.
    """

    @property
    def max_order(self) -> float:
        return 0

    def sample(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        return 2 * torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype) - 1

    def log_factors(self, eps: Tensor) -> Tensor:
        return torch.full_like(eps, -math.log(2)).masked_fill(eps.abs() > 1, -math.inf)

    def information(self, d: int) -> float:
        return math.inf


def _positive(name: str, value: float) -> float:
    if not value > 0:
        raise ValueError(f"{name} must be positive, however: {name}={value:g}.")
    return value
