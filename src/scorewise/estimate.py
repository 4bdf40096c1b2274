"""Estimate: a number that was measured, with its standard error."""

from typing import NamedTuple, Self

from torch import Tensor


class Estimate(NamedTuple):
    """What was measured, and how far off it may be.

    Attributes:
        value: the estimates, any shape.
        se: their standard errors, same shape and unit; 0 where the value is exact.
    """

    value: Tensor
    se: Tensor

    @classmethod
    def exactly(cls, value: Tensor) -> Self:
        """Take a value that is known: its standard error is 0.

        Args:
            value: any shape.

        Returns:
            The value with errors of 0.
        """
        return cls(value, value * 0)

    @classmethod
    def of_mean(cls, samples: Tensor, dim: int = 0) -> Self:
        """Average independent samples: `value = mean`, `se = sd / sqrt(n)`.

        Args:
            samples: at least two along `dim`.
            dim: the dimension to average over.

        Returns:
            The mean and its standard error, the shape of `samples` without `dim`.

        Raises:
            ValueError: if there are fewer than two samples.
        """
        size = samples.shape[dim]
        if size < 2:
            raise ValueError(f"a standard error needs at least two samples, however: {size=}. Draw more.")
        return cls(samples.mean(dim), samples.std(dim) / size**0.5)
