"""Groups of rows: rows of the same noise level, or of the same place, each with the means of its own."""

from collections.abc import Sequence

import torch
from torch import Tensor

from scorewise.estimate import Estimate


def group_means(samples: Tensor, group: Tensor) -> Estimate:
    """Mean of the independent samples of each group: `value_l = mean`, `se_l = standard deviation / sqrt(n_l)`.

    Args:
        samples: one along the first axis for each row, shape (n, *).
        group: the group of each row, integers 0 to L - 1, shape (n,).

    Returns:
        The means, shape (L, *), and their standard errors.

    Raises:
        ValueError: if a group has fewer than two rows.
    """
    parts = torch.split(samples[by_group(group)], group_sizes(group, least=2))
    return stacked([Estimate.of_mean(part) for part in parts])


def stacked(estimates: Sequence[Estimate]) -> Estimate:
    """Stack L estimates of the same shape (*) to one of shape (L, *)."""
    return Estimate(torch.stack([one.value for one in estimates]), torch.stack([one.se for one in estimates]))


def by_group(group: Tensor) -> Tensor:
    """Order of the rows by which the groups stand one after another, each in the order it had, shape (n,)."""
    return torch.argsort(group, stable=True)


def group_sizes(group: Tensor, least: int) -> list[int]:
    """Count the rows of each group.

    Args:
        group: the group of each row, integers 0 to L - 1, shape (n,).
        least: rows that every group must have.

    Returns:
        The L counts.

    Raises:
        ValueError: if a group has fewer rows, or an integer below the largest has none.
    """
    sizes: list[int] = torch.bincount(group).tolist()
    if min(sizes) < least:
        raise ValueError(
            f"every group must have {least} rows or more, however: {sizes=}. "
            "Draw more rows or make the groups wider, and number them from 0 without gaps."
        )
    return sizes
