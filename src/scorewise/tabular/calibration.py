"""Calibration of the margins: what a model's normal scores are distributed like, and the map that makes them normal."""

import numpy as np
from scipy.special import ndtr

LEVELS = np.linspace(-2.5, 2.5, 21)
"""Normal scores between which the map is linear."""
FEWEST_ROWS, MOST_ROWS, ROWS_A_STEP = 4_096, 30_000, 30


def calibration_rows(rows: int, steps: int) -> int:
    """Number of rows to sample for a calibration, from the size of the table and the length of the training alone.

    As many as the table has, `MOST_ROWS` at most, and `ROWS_A_STEP` for each step of training, `FEWEST_ROWS` at least:
    sampling them takes about a quarter of the time that training took.

    Args:
        rows: rows of the table.
        steps: steps that it was trained for.

    Returns:
        Number of rows.
    """
    return min(rows, MOST_ROWS, max(FEWEST_ROWS, ROWS_A_STEP * steps))


class Calibration:
    """A monotone map of each normal score, from the model's own distribution of it to the standard normal one.

    A denoiser that has been trained for minutes gets the margins nearly right; the encoding knows them exactly. With
    Q the model's quantile function of a score, measured on a sample, the map sends `Q(Phi(a))` to a for a on a grid, is
    linear between and a shift beyond. Each shift is shrunk by the share of it that sampling noise explains, so a margin
    that is right is left alone. It moves values within a column only and so keeps the dependence (the copula).

    Args:
        quantiles: the model's quantiles at `Phi(LEVELS)`, non-decreasing along the last axis, shape (n, 21).
    """

    def __init__(self, quantiles: np.ndarray) -> None:
        self.quantiles = quantiles

    @classmethod
    def identity(cls, numbers: int) -> "Calibration":
        """Leave all scores as they are.

        Args:
            numbers: number of columns, n.

        Returns:
            The calibration.
        """
        return cls(np.tile(LEVELS, (numbers, 1)))

    @classmethod
    def fit(cls, scores: np.ndarray, present: np.ndarray) -> "Calibration":
        """Measure the model's quantiles.

        Args:
            scores: normal scores that the model sampled, shape (N, n).
            present: which of them stand for a value rather than a missing cell, shape (N, n).

        Returns:
            The calibration; a column with fewer than 100 present cells is left as it is.
        """
        quantiles = cls.identity(scores.shape[1]).quantiles
        for i in range(scores.shape[1]):
            column = scores[present[:, i], i]
            if len(column) >= 100:
                p = ndtr(LEVELS)
                shift = np.quantile(column, p) - LEVELS
                density = np.exp(-0.5 * LEVELS**2) / np.sqrt(2 * np.pi)
                noise = p * (1 - p) / (len(column) * density**2)  # variance of a sample quantile
                kept = np.clip(1 - noise / np.maximum(shift**2, 1e-12), 0, 1)
                quantiles[i] = np.maximum.accumulate(LEVELS + kept * shift)
        return cls(quantiles)

    def apply(self, scores: np.ndarray) -> np.ndarray:
        """Map scores.

        Args:
            scores: shape (N, n).

        Returns:
            Calibrated scores, shape (N, n).
        """
        mapped = np.empty_like(scores, dtype=np.float64)
        for i, q in enumerate(self.quantiles):
            column = scores[:, i].astype(np.float64)
            inside = np.interp(column, q, LEVELS)
            inside = np.where(column < q[0], LEVELS[0] + column - q[0], inside)
            mapped[:, i] = np.where(column > q[-1], LEVELS[-1] + column - q[-1], inside)
        return mapped
