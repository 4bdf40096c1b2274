"""Estimates: a value never goes without its standard error."""

from typing import NamedTuple

from torch import Tensor


class Estimate(NamedTuple):
    """What was estimated and how far off it may be.

    Attributes:
        value: the estimate, any shape.
        se: its standard error, the same shape and unit.
    """

    value: Tensor
    se: Tensor


def mean(samples: Tensor) -> Estimate:
    """Mean of independent samples: `value = mean`, `se = standard deviation / sqrt(R)`.

    Args:
        samples: R independent samples along the first axis, shape (R, *).

    Returns:
        The mean, shape (*), and its standard error.

    Raises:
        ValueError: if there are fewer than two samples, which carry no standard error.
    """
    if len(samples) < 2:
        raise ValueError(f"samples must be two or more, however: {len(samples)=}. Draw more of them.")
    return Estimate(samples.mean(0), samples.std(0) / len(samples) ** 0.5)
