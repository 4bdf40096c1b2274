"""The grid that numbers lie on, such as whole thousands or two decimals."""

from __future__ import annotations

import math

import numpy as np

MOST_DECIMALS = 9


def step(values: np.ndarray, bits: int = 64) -> float | int | None:
    """Find the coarsest step s such that every value is a whole multiple of s, where s has at most 9 decimals.

        s = gcd(k) 10^-d,   d = the least number of decimals with float(k_i 10^-d) = x_i for all i

    The test is exact: a value is on the grid where rounding it to d decimals gives the very same float. Where the
    values have so many digits that any float of that size would pass, there is no grid.

    Args:
        values: (N,) finite float64; floats of fewer bits must hold the values that those bits hold.
        bits: The width of the floats that the values come from: 64, 32 or 16.

    Returns:
        The step, an integer where it is whole; None where there is no grid, or every value is zero.
    """
    widths: dict[int, type[np.floating]] = {64: np.float64, 32: np.float32, 16: np.float16}
    width = widths[bits]
    most = 2.0 ** {64: 50, 32: 23, 16: 10}[bits]
    few = values[:: max(1, len(values) // 50)]
    for decimals in range(MOST_DECIMALS + 1):
        scale = 10.0**decimals
        if float(np.abs(values).max(initial=0.0)) * scale >= most:
            return None
        if not all(_on_grid(some, scale, width) for some in (few, values)):
            continue
        multiple = abs(int(np.gcd.reduce(np.rint(values * scale).astype(np.int64))))
        if multiple == 0:
            return None
        return multiple if decimals == 0 else multiple / 10**decimals
    return None


def decimals(grid_step: float) -> int:
    """Count the decimals of a step.

    >>> decimals(0.05), decimals(1000)
    (2, 0)

    Args:
        grid_step: A step as found by `step`.

    Returns:
        The least d for which the step is a whole multiple of 10^-d.

    Raises:
        ValueError: Where the step has more than 9 decimals or is not above 0.
    """
    if math.isfinite(grid_step) and grid_step > 0:
        for count in range(MOST_DECIMALS + 1):
            multiple = round(grid_step * 10**count)
            if multiple > 0 and multiple / 10**count == grid_step:
                return count
    raise ValueError(
        f"step must be above 0 and have at most {MOST_DECIMALS} decimals, however: step={grid_step}. "
        "Give such a step, or null for none."
    )


def snap(values: np.ndarray, grid_step: float) -> np.ndarray:
    """Move each value to the nearest multiple of the step, as the float that prints with the step's decimals.

    >>> snap(np.array([12.299999999, 0.31]), 0.1).tolist()
    [12.3, 0.3]

    Args:
        values: (N,) float64; NaN stays NaN.
        grid_step: A step as found by `step`.

    Returns:
        (N,) float64.
    """
    scale = 10 ** decimals(grid_step)
    multiple = round(grid_step * scale)
    snapped: np.ndarray = np.rint(values * scale / multiple) * multiple / scale + 0.0  # -0.0 becomes 0.0
    return snapped


def _on_grid(values: np.ndarray, scale: float, width: type[np.floating]) -> bool:
    return bool(np.array_equal((np.rint(values * scale) / scale).astype(width), values.astype(width)))
