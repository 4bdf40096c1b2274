"""Raking: weights of rows, one factor a column, that make the shares of every column those of a table."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from scorewise.tabular.schema import Cells

TAIL = (0.001, 0.005, 0.02)
HEIGHTS = np.array([*TAIL, *np.linspace(0.05, 0.95, 19), *(1 - np.array(TAIL[::-1]))])
"""Shares of the rows up to which the intervals of a number column reach, as far as its repeated values allow."""
FEWEST_ROWS = 20
"""Fewest sampled rows of a bin whose factor is moved."""
TURNS = 12
MOST_MOVE = 0.5
"""Farthest that the logarithm of a factor moves in one turn."""


class Bins(NamedTuple):
    """The bins of each column: of a number, intervals and one for missing cells; of a category, its levels.

    Attributes:
        edges: of each number column, upper ends of all intervals but the last, increasing, by name.
        levels: of each category, number of levels, by name.
    """

    edges: dict[str, np.ndarray]
    levels: dict[str, int]

    @classmethod
    def fit(cls, cells: Cells) -> "Bins":
        """Choose the bins of a table.

        Args:
            cells: columns with shape (N,).

        Returns:
            The bins.
        """
        present = {name: values[~np.isnan(values)] for name, values in cells.numbers.items()}
        edges = {name: np.unique(np.quantile(v, HEIGHTS)) if len(v) else np.zeros(0) for name, v in present.items()}
        return cls(edges, {name: int(codes.max(initial=-1)) + 1 for name, codes in cells.categories.items()})

    @property
    def sizes(self) -> list[int]:
        """Number of bins of each column, numbers first."""
        return [*(len(edges) + 2 for edges in self.edges.values()), *(count + 1 for count in self.levels.values())]

    def find(self, cells: Cells) -> Iterator[np.ndarray]:
        """Find the bin of each cell.

        Args:
            cells: the same columns with shape (M,).

        Yields:
            Bins of one column after the other, numbers first, shape (M,) each.
        """
        for name, edges in self.edges.items():
            values = cells.numbers[name]
            yield np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values))
        for name, count in self.levels.items():
            yield np.clip(cells.categories[name], -1, count - 1) + 1


class Raking(NamedTuple):
    """Factors of rows by the bins of their cells.

    Attributes:
        bins: the bins of each column.
        factors: logarithm of the factor of each bin, one array a column, numbers first.
    """

    bins: Bins
    factors: list[np.ndarray]

    def log_factors(self, cells: Cells) -> np.ndarray:
        """Add up the logarithms of a row's factors.

        Args:
            cells: columns with shape (M,).

        Returns:
            Shape (M,).
        """
        found = zip(self.factors, self.bins.find(cells), strict=True)
        total: np.ndarray = np.stack([factor[where] for factor, where in found]).sum(0)
        return total

    def to_json(self) -> dict[str, dict[str, int]]:
        """Give what is not an array: the number of edges of each number column, of levels of each category."""
        return {"numbers": {name: len(edges) for name, edges in self.bins.edges.items()}, "levels": self.bins.levels}

    def arrays(self) -> dict[str, Tensor]:
        """Give the arrays by name."""
        parts = {"edges": [*self.bins.edges.values()], "factors": self.factors}
        return {name: torch.from_numpy(np.concatenate([np.zeros(0), *some])) for name, some in parts.items()}

    @classmethod
    def from_parts(cls, said: Mapping[str, Mapping[str, int]], arrays: Mapping[str, Tensor]) -> "Raking":
        """Rebuild the factors from `to_json` and `arrays`.

        Args:
            said: the plain form.
            arrays: the arrays by name.

        Returns:
            The factors.

        Raises:
            KeyError: if a part is missing.
            ValueError: if the arrays are not of these columns.
        """
        numbers, levels = said["numbers"], dict(said["levels"])
        edges, factors = arrays["edges"].numpy(), arrays["factors"].numpy()
        bins = Bins(dict(zip(numbers, _parted(edges, numbers.values()), strict=True)), levels)
        return cls(bins, _parted(factors, bins.sizes))


def rake(table: Cells, made: Cells, log_weight: np.ndarray, kept: Callable[[np.ndarray], np.ndarray]) -> Raking:
    """Find the factors with which the rows that are kept have the table's shares in every bin.

    In turn for each column, as in iterative proportional fitting, each bin's factor is moved by the ratio of its share
    of the table to its share of what is kept, shrunk by the part of it that sampling noise explains.

    Args:
        table: columns with shape (N,).
        made: the same columns of sampled rows, shape (M,).
        log_weight: logarithm of the weight of each sampled row before, shape (M,).
        kept: share of each row that is kept, from the logarithms of weights, shape (M,) -> (M,).

    Returns:
        The factors.

    Reference: Deming, Stephan, "On a least squares adjustment of a sampled frequency table when the expected marginal
    totals are known", 1940.
    """
    bins = Bins.fit(table)
    found, log_weight = list(bins.find(made)), log_weight.copy()
    wanted = [np.bincount(b, minlength=size) / len(b) for b, size in zip(bins.find(table), bins.sizes, strict=True)]
    counts = [np.bincount(b, minlength=size) for b, size in zip(found, bins.sizes, strict=True)]
    factors = [np.zeros(size) for size in bins.sizes]
    for _ in range(TURNS):
        for factor, where, want, count in zip(factors, found, wanted, counts, strict=True):
            share = kept(log_weight)
            sums = np.bincount(where, share, len(want))
            have = sums / sums.sum()
            known = (count >= FEWEST_ROWS) & (want > 0) & (have > 0)
            apart = np.log(np.where(known, want, 1.0) / np.where(known, have, 1.0))
            noise = (1 - have) / np.maximum(count, 1)
            move = apart * np.clip(1 - noise / np.maximum(apart**2, 1e-12), 0, 1)
            move = np.where(known, move, 0.0).clip(-MOST_MOVE, MOST_MOVE)
            factor += move
            log_weight += move[where]
    return Raking(bins, factors)


def _parted(array: np.ndarray, sizes: Iterable[int]) -> list[np.ndarray]:
    """Cut an array into parts of these sizes.

    Raises:
        ValueError: if they do not add up to its length.
    """
    ends = np.cumsum([0, *sizes])
    if array.shape != (ends[-1],):
        raise ValueError(f"an array of shape {array.shape} must have {ends[-1]} entries")
    return [array[start:end] for start, end in pairwise(ends)]
