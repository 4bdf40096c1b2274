"""Numbers in units of their own column, in which those of any table can be added up and squared.

A column is divided by a power of two first, by which its numbers are at most 1: that changes no digit of what does not
depend on units, and sums and squares of the largest floats do not overflow.
"""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def centred(values: FloatArray) -> FloatArray:
    """Take from the numbers of each column their mean; missing numbers are taken to be at the mean.

    Args:
        values: with NaN where missing, shape (N, n).

    Returns:
        In units of a power of two of each column, 0 where missing, shape (N, n).
    """
    here = ~np.isnan(values)
    known = np.where(here, values, 0.0)
    known = np.ldexp(known, -_exponent(known))
    return np.where(here, known - known.sum(axis=0) / np.maximum(here.sum(axis=0), 1), 0.0)


def within_range(values: FloatArray, known: FloatArray) -> FloatArray:
    """Scale numbers by the range of others, from 0 for the least to 1 for the largest of these; missing is their mean.

    Args:
        values: with NaN where missing, shape (N,).
        known: the others, with NaN where missing, shape (M,); of a single value, or none, it is the unit that is 1.

    Returns:
        Shape (N,).
    """
    present = known[~np.isnan(known)]
    exponent = _exponent(present)
    present, values = np.ldexp(present, -exponent), np.ldexp(values, -exponent)
    low, high, mean = (present.min(), present.max(), present.mean()) if len(present) else (0.0, 1.0, 0.0)
    unit = high - low if high > low else np.ldexp(1.0, -exponent)
    return np.where(np.isnan(values), mean - low, values - low) / unit


def _exponent(values: FloatArray) -> npt.NDArray[np.int32]:
    """Exponent of the least power of two that no number of a column exceeds."""
    exponent: npt.NDArray[np.int32] = np.frexp(np.abs(values).max(axis=0, initial=0.0))[1]
    return exponent
