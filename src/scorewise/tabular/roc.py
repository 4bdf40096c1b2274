"""The area under the ROC curve, with the standard error of DeLong."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scorewise.tabular.score import Score


def auc(prediction: npt.NDArray[np.float64], positive: npt.NDArray[np.bool_]) -> Score:
    r"""Estimate how often a positive row is ranked above a negative one; ties count half.

    .. math::
        \mathrm{AUC} = \frac{1}{mn} \sum_{ij} \psi(x_i, y_j), \qquad \mathrm{se}^2 =
        \frac{1}{m} \mathrm{Var}_i \frac1n \sum_j \psi + \frac{1}{n} \mathrm{Var}_j \frac1m \sum_i \psi

    with :math:`\psi` = 1, 1/2 or 0 for :math:`x_i` above, equal to or below :math:`y_j`. The predictions are taken as
    given: the standard error does not hold what another fit of the model would change.

    Args:
        prediction: larger for rows that look positive, with shape (N,).
        positive: which rows are positive, with shape (N,); two or more are, and two or more are not.

    Returns:
        The area with its standard error, without a floor.

    References:
        Comparing the Areas under Two or More Correlated Receiver Operating Characteristic Curves, DeLong, DeLong and
        Clarke-Pearson, 1988; Fast Implementation of DeLong's Algorithm, Sun and Xu, 2014 (by midranks).
    """
    x, y = prediction[positive], prediction[~positive]
    ranks = _midranks(prediction)
    above = (ranks[positive] - _midranks(x)) / len(y)  # of each positive: the share of negatives below it
    below = 1 - (ranks[~positive] - _midranks(y)) / len(x)
    variance = above.var(ddof=1) / len(x) + below.var(ddof=1) / len(y)
    return Score(float(above.mean()), float(np.sqrt(variance)))


def _midranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    _, code, frequency = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(frequency) - (frequency - 1) / 2
    return np.asarray(middle[code], dtype=np.float64)
