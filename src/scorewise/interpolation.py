"""Piecewise linear interpolation."""

import torch
from torch import Tensor


def interpolate(at: Tensor, knots: Tensor, values: Tensor) -> Tensor:
    """Interpolate linearly between knots, constant beyond the first and the last one.

    Args:
        at: where, shape (A,).
        knots: increasing, shape (K,).
        values: at the knots, shape (K,).

    Returns:
        Shape (A,).
    """
    if len(knots) == 1:
        return values[0].expand(at.shape)
    right = torch.searchsorted(knots, at).clamp(1, len(knots) - 1)
    share = ((at - knots[right - 1]) / (knots[right] - knots[right - 1])).clamp(0, 1)
    return torch.lerp(values[right - 1], values[right], share)
