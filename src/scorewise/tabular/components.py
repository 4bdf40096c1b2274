"""Principal components of encoded rows: what a table looks like from far."""

import numpy as np
import torch

from scorewise.principal import Principal, normal_level

MOST_COMPONENTS, ROWS_A_COMPONENT = 256, 10


def fit_principal(x: np.ndarray) -> Principal:
    """Find the mean of rows, their largest components, and from which level of noise on they are as good as normal.

    Args:
        x: encoded rows, shape (N, D).

    Returns:
        What they look like from far, of `MOST_COMPONENTS` components at most, and of N / `ROWS_A_COMPONENT` at most.
    """
    from sklearn.decomposition import PCA

    kept = min(MOST_COMPONENTS, len(x) // ROWS_A_COMPONENT, x.shape[1])
    if kept == 0:  # a few rows, or no column to learn
        basis, variance = np.zeros((x.shape[1], 0), dtype=x.dtype), np.zeros(0)
        mean, rest = x.mean(0), float(x.var(0).mean()) if x.size else 0.0
    else:
        found = PCA(kept, random_state=0).fit(x)
        basis, variance = np.ascontiguousarray(found.components_.T), found.explained_variance_
        mean, rest = found.mean_, float(found.noise_variance_)
    level = normal_level(torch.from_numpy(x @ basis - mean @ basis))
    first, directions, second = map(torch.from_numpy, (mean, basis, variance))
    return Principal(first, directions, second, torch.tensor(rest), torch.tensor(level))
