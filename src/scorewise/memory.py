"""Memory: when gradient descent has learned what rows have in common, and when it begins to learn them by heart."""

from typing import NamedTuple

import torch
from torch import Tensor


class Window(NamedTuple):
    """Times in units of one over an eigenvalue of `K / n`: steps times step size of gradient descent.

    Attributes:
        learn: when the slowest direction that rows have in common is learned; constant in the number of rows.
        memorise: when half of the directions that tell single rows apart are learned; grows with the number of rows.
        common: how many directions rows have in common.
    """

    learn: float
    memorise: float
    common: int


def memorised_variance(log_q: Tensor, rows: Tensor, count: int) -> Tensor:
    """Variance of the denoiser that has learned its training rows by heart, over draws of these rows.

    With fresh noise for ever the best fit is the posterior mean over the n training rows, whose squared distance to the
    population's, D, is `E[q(x_t|X)^2 |X - D(x_t)|^2] / (n p(x_t)^2)` to first order in 1/n. As the score it is of order
    `n^-1 h^(-(d+2)/2)` for small noise of variance h in d dimensions.

    Args:
        log_q: log-densities of noisy rows given many rows of the population, shape (B, M).
        rows: these rows, shape (M, D).
        count: number of training rows, n.

    Returns:
        Sum of the variances of the coordinates at each noisy row, shape (B,).

    Reference: derived here.
    """
    weight = log_q.softmax(1)
    mean = weight @ rows
    distance = torch.cdist(mean, rows).square()
    return len(rows) / count * (weight.square() * distance).sum(1)


def window(gram: Tensor, row: Tensor) -> Window:
    """Split the spectrum of a kernel of noisy copies of rows at its widest gap, that after the first value apart.

    Averaged over the copies of each row the kernel has as many eigenvalues as there are rows. The first ones belong to
    functions that vary slowly over the rows and do not depend on how many there are; the others tell rows apart, and
    fall as 1 over their number. Between the two times there is nothing to lose by training on.

    Args:
        gram: kernel of the noisy rows, for weighted rows the weighted one, shape (n, n).
        row: which clean row each came from, the same number of copies of each, shape (n,).

    Returns:
        The window.

    Raises:
        ValueError: if rows have different numbers of copies, or there are fewer than four rows.

    Reference: Bonnaire, Urfin, Biroli, Mezard, "Why diffusion models don't memorize", 2025 (the two times); the
    estimate is derived here.
    """
    clean, cluster, copies = torch.unique(row, return_inverse=True, return_counts=True)
    if len(clean) < 4 or int(copies.min()) != int(copies.max()):
        raise ValueError(
            f"row must name four rows or more equally often, however: rows={len(clean)}, copies from "
            f"{int(copies.min())} to {int(copies.max())}. Take the same number of noisy copies of each."
        )
    average = gram.new_zeros(len(clean), len(row))
    average[cluster, torch.arange(len(row), device=row.device)] = float(copies[0]) ** -0.5
    values = torch.linalg.eigvalsh(average @ gram @ average.mT / len(row)).flip(0)
    values = values.clamp(min=torch.finfo(values.dtype).eps * float(values[0]))
    leading = values[: len(clean) // 2 + 1]
    common = int((leading[1:-1] / leading[2:]).argmax()) + 2
    return Window(1 / float(values[common - 1]), 1 / float(values[common:].median()), common)
