"""Principal components of encoded rows: what a table looks like from far."""

import torch
from torch import Tensor

from scorewise.principal import Principal, normal_level

MOST_COMPONENTS, ROWS_A_COMPONENT = 256, 10
MOST_EXACT = 1_024
"""Coordinates up to which all components are found before the largest are taken; of more, these alone are sought."""


def fit_principal(x: Tensor) -> Principal:
    """Find the mean of rows, their largest components, and from which level of noise on they are as good as normal.

    Args:
        x: encoded rows, shape (N, D).

    Returns:
        What they look like from far, of `MOST_COMPONENTS` components at most, and of N / `ROWS_A_COMPONENT` at most.
    """
    rows, width = x.shape
    kept, spare = min(MOST_COMPONENTS, rows // ROWS_A_COMPONENT, width), max(rows - 1, 1)
    mean = x.mean(0)
    centred = (x - mean).double()  # in float32 LAPACK does not always converge where many variances are 0
    if width <= MOST_EXACT:
        variance, basis = torch.linalg.eigh(centred.T @ centred / spare)
    else:
        with torch.random.fork_rng(devices=[]):  # the sketch that it begins with takes no generator
            torch.manual_seed(0)
            _, scale, basis = torch.svd_lowrank(centred, q=max(kept, 1), niter=4)
        variance, basis = scale.square().flip(0) / spare, basis.flip(1)
    variance, basis = variance[len(variance) - kept :].clamp(min=0), basis[:, len(variance) - kept :]
    rest = (centred.square().sum() / spare - variance.sum()).clamp(min=0) / max(width - kept, 1)
    return Principal(mean, basis, variance, rest, torch.tensor(normal_level(centred @ basis)))
