"""Privacy: whether synthetic rows repeat the training rows."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import torch

from scorewise.tabular import jackknife, rows
from scorewise.tabular.score import Score, UnmeasuredError
from scorewise.tabular.units import within_range

if TYPE_CHECKING:
    from scorewise.tabular.schema import Cells

REFERENCES_AT_MOST = 5_000
SYNTHETIC_AT_MOST = 10_000
BLOCKS_AT_MOST = 5
_CHUNK = 500


def closer_to_train(train: Cells, test: Cells, synthetic: Cells, *, seed: int = 0) -> Score:
    r"""Measure how often the real row nearest to a synthetic row is a training row and not a held-out one.

    .. math:: \Pr(d(z, \text{train}) < d(z, \text{test})) + \tfrac12 \Pr(d(z, \text{train}) = d(z, \text{test}))

    with d the least L1 distance over numbers divided by their range among the training rows (a missing one stands at
    the mean and is marked) and one-hot levels, so that two different levels are 2 apart. As many training rows as test
    rows are used: up to 5 disjoint blocks of the training rows in turn, of at most 5,000 rows, and the mean over them.
    At most 10,000 synthetic rows. A generator that has memorised nothing scores 1/2 exactly, because training and
    test rows are then exchangeable: that is the floor, and it needs no estimate. The standard error is the spread of
    the share over twenty disjoint twentieths of the synthetic, training and test rows, divided by the root of twenty;
    where rows were memorised it is too large.

    Args:
        train: the rows that the generator was fitted to, with shape (N,).
        test: other rows of the same source, with shape (M,).
        synthetic: the synthetic rows, with shape (S,).
        seed: draws the rows and deals them into twentieths.

    Returns:
        The share with the floor 1/2; above it, rows were memorised.

    Raises:
        UnmeasuredError: there are fewer than 20 training, test or synthetic rows.
    """
    found = min(rows.count(train), rows.count(test), rows.count(synthetic))
    if found < jackknife.GROUPS:
        raise UnmeasuredError(
            f"Distances to the closest row need 20 training, test and synthetic rows or more, however: N={found}. "
            "Hold out more rows."
        )
    generator = np.random.default_rng(seed)
    size = min(rows.count(train), rows.count(test), REFERENCES_AT_MOST) // jackknife.GROUPS * jackknife.GROUPS
    order = generator.permutation(rows.count(train))
    blocks = order[: min(len(order) // size, BLOCKS_AT_MOST) * size].reshape(-1, size)
    synthetic = rows.subsample(synthetic, SYNTHETIC_AT_MOST, generator)
    group = jackknife.groups(rows.count(synthetic), generator)
    held_out = _Points.of(rows.take(test, generator.permutation(rows.count(test))[:size]), train)
    points = _Points.of(synthetic, train)
    far = points.to(held_out)
    least = far.amin(dim=0)
    whole = torch.zeros(len(group))
    parts = torch.zeros(len(group))  # each row against the training and test rows of its own group
    own = torch.as_tensor(group)[None]
    for block in blocks:
        near = points.to(_Points.of(rows.take(train, block), train))
        whole += _preference(near.amin(dim=0), least) / len(blocks)
        parts += _preference(near.gather(0, own)[0], far.gather(0, own)[0]) / len(blocks)
    shares = [float(parts[own[0] == g].mean()) for g in range(jackknife.GROUPS)]
    return Score(float(whole.mean()), float(np.std(shares, ddof=1) / np.sqrt(len(shares)))).against(Score(0.5, 0.0))


def exact_copies(train: Cells, synthetic: Cells | None = None) -> Score:
    r"""Count the synthetic rows that equal a training row in every number and category column.

    The standard error is the binomial one around :math:`(k + 1) / (S + 2)`, so that it is not 0 where no copy is found;
    of training rows, each of which equals others or none does, that of a share of clusters where it is larger.

    Args:
        train: the rows that the generator was fitted to, with shape (N,).
        synthetic: the synthetic rows, or other real rows for the floor, with shape (S,). Without them each training
            row is held against all the others.

    Returns:
        The share k / S of copies.

    Raises:
        UnmeasuredError: there is no column.
    """
    known = Counter(rows.as_bytes(train))
    if synthetic is None:
        sizes = np.array(list(known.values()))
        total, copies = int(sizes.sum()), int(sizes[sizes > 1].sum())
        together = float(np.sqrt(np.square(((sizes > 1) - copies / total) * sizes).sum()) / total)
        return Score(copies / total, max(together, _binomial_error(copies, total)))
    total = rows.count(synthetic)
    copies = sum(row in known for row in rows.as_bytes(synthetic))
    return Score(copies / total, _binomial_error(copies, total))


def singled_out(train: Cells, synthetic: Cells | None = None) -> Score:
    r"""Count the synthetic numbers that are those of a single training row.

    A number that one person alone has singles this person out, wherever it turns up; numbers of few digits meet by
    chance, as often as those of other real rows do. Dates and times are numbers here. The standard error is of the
    ratio of two sums over the synthetic rows, or the binomial one around :math:`(k + 1) / (S + 2)` where that is
    larger, so that it is not 0 where no number is found; of training rows, of which two have a number or none does,
    it is the root of two as large.

    Args:
        train: the rows that the generator was fitted to, with shape (N,).
        synthetic: the synthetic rows, or other real rows for the floor, with shape (S,). Without them each training
            row is held against all the others: a number is that of one of these alone where two rows in all have it.

    Returns:
        The share of the numbers that are there, of all columns together.

    Raises:
        UnmeasuredError: there is no number column, or no number in the rows that are held against the others.

    Reference: Giomi, Boenisch, Wehmeyer, Tasnadi, "A unified framework for quantifying privacy risk in synthetic data",
    2023, section 4.1 (univariate singling out; here the numbers themselves are counted, not attacks).
    """
    others = train if synthetic is None else synthetic
    own, together = (1, 1.0) if synthetic is not None else (2, math.sqrt(2))
    there, hits = (np.zeros(rows.count(others)) for _ in range(2))
    for name, values in others.numbers.items():
        known, counts = np.unique(train.numbers[name], return_counts=True)
        there += ~np.isnan(values)
        hits += np.isin(values, known[counts == own])  # NaN is in nothing
    total, found = float(there.sum()), float(hits.sum())
    if total == 0:
        raise UnmeasuredError(
            "Whether rows are singled out by their numbers needs numbers, however: none are in the synthetic rows. "
            "Read the share of exact copies instead."
        )
    share = found / total
    spread = float(np.sqrt(np.square(hits - share * there).sum()) / total)
    return Score(share, together * max(spread, _binomial_error(found, total)))


def _binomial_error(found: float, total: float) -> float:
    near = (found + 1) / (total + 2)
    return float(np.sqrt(near * (1 - near) / total))


class _Points:
    """Rows as points: (N, d) scaled numbers with marks of missing ones, and (N, k) codes of levels."""

    def __init__(self, numbers: torch.Tensor, levels: torch.Tensor) -> None:
        self.numbers = numbers
        self.levels = levels

    @classmethod
    def of(cls, cells: Cells, train: Cells) -> _Points:
        columns = [np.zeros(rows.count(cells))]
        for name, values in cells.numbers.items():
            known = train.numbers[name]
            columns.append(within_range(values, known))
            if np.isnan(known).any():
                columns.append(np.isnan(values).astype(np.float64))
        levels = [np.zeros(rows.count(cells)), *cells.categories.values()]
        return cls(*(torch.as_tensor(np.column_stack(part), dtype=torch.float32) for part in (columns, levels)))

    def to(self, others: _Points) -> torch.Tensor:
        """Least distance of each point to each twentieth of the other points, with shape (20, N)."""
        least = []
        for start in range(0, len(self.numbers), _CHUNK):
            some = slice(start, start + _CHUNK)
            distance = torch.cdist(self.numbers[some], others.numbers, p=1)
            distance += 2 * torch.cdist(self.levels[some], others.levels, p=0)
            least.append(distance.reshape(len(distance), jackknife.GROUPS, -1).amin(dim=2).T)
        return torch.cat(least, dim=1)


def _preference(near: torch.Tensor, far: torch.Tensor) -> torch.Tensor:
    """1 where the training row is nearer, 1/2 at a tie."""
    return (near < far).float() + 0.5 * (near == far).float()
