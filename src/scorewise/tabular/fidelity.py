"""Fidelity: distances between the columns, the pairs of columns and the missing cells of two tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from scorewise.tabular import jackknife, rows
from scorewise.tabular.jackknife import FloatArray, IntArray
from scorewise.tabular.score import Score, UnmeasuredError
from scorewise.tabular.units import centred

if TYPE_CHECKING:
    from scorewise.tabular.schema import Cells

BINS = 10
PATTERNS_AT_MOST = 50
_DENSE_CELLS = 100_000  # larger joint tables are counted over their occupied cells only


class Shapes(NamedTuple):
    """The mean error of the columns, and the error of each."""

    score: Score
    columns: dict[str, Score]


class Trends(NamedTuple):
    """The mean error of the pairs, and the error of each: (D, D), symmetric, NaN where a pair is not measured."""

    score: Score
    names: tuple[str, ...]
    errors: FloatArray


def shapes(real: Cells, synthetic: Cells, *, seed: int = 0) -> Shapes:
    r"""Compare two tables column by column.

    .. math:: \mathrm{KS} = \sup_x |F(x) - G(x)|, \qquad \mathrm{TV} = \tfrac12 \sum_k |p_k - q_k|

    The Kolmogorov-Smirnov distance for numbers, among present values (1 if only one of the tables has any); total
    variation for categories, with missing as a level. The standard errors are of the grouped jackknife over the rows
    of both tables.

    NOTE[DIFF]: sdmetrics 0.25 leaves missing categories out; without missing categories the errors are the same.

    Args:
        real: columns with shape (N,).
        synthetic: the same columns with shape (M,).
        seed: deals the rows into the groups of the jackknife.

    Returns:
        The mean over the columns, as a share, and the error of each column.

    Raises:
        UnmeasuredError: there is no column.
    """
    group, other = _groups(real, synthetic, seed)
    distances: dict[str, FloatArray] = {}
    for name, values in real.numbers.items():
        distances[name] = _kolmogorov_smirnov(values, synthetic.numbers[name], group, other)
    for name, levels in real.categories.items():
        p, q, size = _levels(levels, synthetic.categories[name])
        distances[name] = _total_variation(p, q, group, other, size)
    mean = np.mean(list(distances.values()), axis=0)
    return Shapes(jackknife.score(mean), {name: jackknife.score(values) for name, values in distances.items()})


def trends(real: Cells, synthetic: Cells, *, seed: int = 0) -> Trends:
    r"""Compare two tables pair of columns by pair of columns.

    Two numbers: :math:`|\rho - \rho'| / 2` with Pearson's correlation over the rows where both are present. Any other
    pair: the total variation of the joint table, with numbers cut into 10 bins of equal width between the least and
    the greatest *real* value (the outer bins are open) and missing in a bin of its own. A pair of numbers whose real
    correlation is undefined is not measured; an undefined synthetic one counts as 0. The standard error is of the
    grouped jackknife over the rows of both tables.

    Args:
        real: columns with shape (N,).
        synthetic: the same columns with shape (M,).
        seed: deals the rows into the groups of the jackknife.

    Returns:
        The mean over the measured pairs, as a share, and the error of each pair.

    Raises:
        UnmeasuredError: there are fewer than two columns.
    """
    bins = {name: _shared_bins(values, synthetic.numbers[name]) for name, values in real.numbers.items()}
    return _trends(real, synthetic, bins, BINS + 1, _real_defined, seed)


def trends_legacy(real: Cells, synthetic: Cells, *, seed: int = 0) -> Trends:
    r"""Compare two tables pair by pair with the bins of sdmetrics 0.25 and earlier.

    As `trends`, but each table is cut between its *own* least and greatest value, the greatest value has a bin of its
    own, missing numbers share that bin, and a pair with an undefined correlation in either table is left out. One
    outlier of one table moves all of its bins, so that two halves of one real table can differ by ten percent and
    more. It is here to be compared with published numbers, and for nothing else.

    Args:
        real: columns with shape (N,).
        synthetic: the same columns with shape (M,).
        seed: deals the rows into the groups of the jackknife.

    Returns:
        The mean over the measured pairs, as a share, and the error of each pair.

    Raises:
        UnmeasuredError: there are fewer than two columns.
    """
    bins = {name: (_own_bins(values), _own_bins(synthetic.numbers[name])) for name, values in real.numbers.items()}
    return _trends(real, synthetic, bins, BINS + 2, _both_defined, seed)


def missing_patterns(real: Cells, synthetic: Cells, *, seed: int = 0) -> Score:
    r"""Compare which cells are missing, together and beside which values.

    .. math:: \tfrac12 \mathrm{TV}(\text{pattern}) + \tfrac12 \operatorname{mean}_{c, o} \mathrm{TV}(m_c, x_o)

    The pattern of a row says which of its cells are missing; the 50 most frequent real patterns are kept, the others
    are one. The second part runs over the columns c with a missing cell and all other columns o: the joint table of
    "c is missing" and o, cut as in `trends`. Without a second column the first part stands alone. The standard error
    is of the grouped jackknife over the rows of both tables.

    Args:
        real: columns with shape (N,).
        synthetic: the same columns with shape (M,).
        seed: deals the rows into the groups of the jackknife.

    Returns:
        The distance, as a share.

    Raises:
        UnmeasuredError: no cell is missing, or there is no column.
    """
    group, other = _groups(real, synthetic, seed)
    absent, absent_other = _missing(real), _missing(synthetic)
    holes = absent.any(axis=0) | absent_other.any(axis=0)
    if not holes.any():
        raise UnmeasuredError(
            "A cell must be missing in one of the tables, however: missing=0. Nothing is to be done: the synthetic "
            "table is as complete as the real one."
        )
    names = [*real.numbers, *real.categories]
    p, q = _patterns(absent[:, holes], absent_other[:, holes])
    pattern = _total_variation(p, q, group, other, PATTERNS_AT_MOST + 1)
    codes = {name: (*_shared_bins(v, synthetic.numbers[name]), BINS + 1) for name, v in real.numbers.items()}
    codes |= {name: _levels(v, synthetic.categories[name]) for name, v in real.categories.items()}
    beside = []
    for column in np.flatnonzero(holes):
        missing, missing_other = absent[:, column].astype(np.int64), absent_other[:, column].astype(np.int64)
        for name in names:
            if name != names[column]:
                a, b, size = codes[name]
                beside.append(_total_variation(missing * size + a, missing_other * size + b, group, other, 2 * size))
    return jackknife.score((pattern + np.mean(beside, axis=0)) / 2 if beside else pattern)


def _groups(real: Cells, synthetic: Cells, seed: int) -> tuple[IntArray, IntArray]:
    generator = np.random.default_rng(seed)
    return jackknife.groups(rows.count(real), generator), jackknife.groups(rows.count(synthetic), generator)


def _levels(real: IntArray, synthetic: IntArray) -> tuple[IntArray, IntArray, int]:
    """Codes from 0 (missing) up, and how many there are."""
    size = int(max(real.max(initial=-1), synthetic.max(initial=-1))) + 2
    return real + 1, synthetic + 1, size


def _shared_bins(real: FloatArray, synthetic: FloatArray) -> tuple[IntArray, IntArray]:
    edges = np.histogram_bin_edges(real[~np.isnan(real)], bins=BINS)[1:-1]
    first, second = (
        np.where(np.isnan(values), BINS, np.searchsorted(edges, values, side="right")) for values in (real, synthetic)
    )
    return first.astype(np.int64), second.astype(np.int64)


def _own_bins(values: FloatArray) -> IntArray:
    edges = np.histogram_bin_edges(values[~np.isnan(values)], bins=BINS)
    return np.digitize(values, edges).astype(np.int64)


def _half_distance(p: FloatArray, q: FloatArray) -> FloatArray:
    """Total variation along the last axis between counts; the sums must not be 0."""
    distance = np.abs(p / p.sum(axis=-1, keepdims=True) - q / q.sum(axis=-1, keepdims=True)).sum(axis=-1) / 2
    return np.asarray(distance, dtype=np.float64)


def _total_variation(p: IntArray, q: IntArray, group: IntArray, other: IntArray, size: int) -> FloatArray:
    """Total variation of codes in [0, size): of all rows, then without each group, with shape (21,)."""
    if size > _DENSE_CELLS:
        occupied, codes = np.unique(np.concatenate([p, q]), return_inverse=True)
        p, q, size = codes[: len(p)], codes[len(p) :], len(occupied)
    first = jackknife.left_out(jackknife.counts(p, group, size))
    second = jackknife.left_out(jackknife.counts(q, other, size))
    return _half_distance(first, second)


def _kolmogorov_smirnov(real: FloatArray, synthetic: FloatArray, group: IntArray, other: IntArray) -> FloatArray:
    here, there = ~np.isnan(real), ~np.isnan(synthetic)
    values, rank = np.unique(np.concatenate([real[here], synthetic[there]]), return_inverse=True)
    if not len(values):
        return np.zeros(jackknife.GROUPS + 1)
    split = int(here.sum())
    curves = []
    for ranks, labels in ((rank[:split], group[here]), (rank[split:], other[there])):
        below = jackknife.left_out(jackknife.counts(ranks, labels, len(values))).cumsum(axis=1)
        curves.append(below / np.maximum(below[:, -1:], 1))
    return np.asarray(np.abs(curves[0] - curves[1]).max(axis=1), dtype=np.float64)


def _correlations(cells: Cells, group: IntArray) -> FloatArray:
    """Pearson's correlations over the rows where both are present, (21, d, d); NaN where undefined."""
    size = len(cells.numbers)
    if not size:
        return np.zeros((jackknife.GROUPS + 1, 0, 0))
    values = np.column_stack(list(cells.numbers.values()))
    here = ~np.isnan(values)
    unit = centred(values)
    scale = np.sqrt((unit**2).sum(axis=0) / np.maximum(here.sum(axis=0), 1))
    unit /= np.where(scale > 0, scale, 1.0)
    sums = np.zeros((4, jackknife.GROUPS, size, size))
    for g in range(jackknife.GROUPS):
        x, m = unit[group == g], here[group == g].astype(np.float64)
        sums[:, g] = m.T @ m, x.T @ m, (x**2).T @ m, x.T @ x
    n, x_sum, x_square, product = (jackknife.left_out(part) for part in sums)
    n = np.maximum(n, 1)
    mean = x_sum / n
    variance = x_square / n - mean**2
    covariance = product / n - mean * mean.swapaxes(1, 2)
    square = variance * variance.swapaxes(1, 2)
    defined = (variance > 1e-12) & (variance.swapaxes(1, 2) > 1e-12)
    return np.where(defined, covariance / np.sqrt(np.where(defined, square, 1.0)), np.nan)


def _real_defined(real: FloatArray, synthetic: FloatArray) -> npt.NDArray[np.bool_]:
    return np.asarray(np.isfinite(real[0]), dtype=np.bool_)


def _both_defined(real: FloatArray, synthetic: FloatArray) -> npt.NDArray[np.bool_]:
    return np.asarray(np.isfinite(real[0]) & np.isfinite(synthetic[0]), dtype=np.bool_)


class _Coded(NamedTuple):
    real: IntArray
    synthetic: IntArray
    size: int


def _coded_pairs(codes: list[_Coded], numbers: int) -> Iterator[tuple[int, int]]:
    """The pairs of columns, numbers first, that are compared by their joint table."""
    return ((a, b) for a, b in combinations(range(len(codes)), 2) if b >= numbers)


def _trends(
    real: Cells,
    synthetic: Cells,
    bins: dict[str, tuple[IntArray, IntArray]],
    size: int,
    measured: Callable[[FloatArray, FloatArray], npt.NDArray[np.bool_]],
    seed: int,
) -> Trends:
    """Compare all pairs; `measured` says which pairs of numbers count, from the correlations of both tables.

    Raises:
        UnmeasuredError: no pair can be compared.
    """
    names = (*real.numbers, *real.categories)
    if len(names) < 2:
        raise UnmeasuredError(
            f"Pairs need two columns or more, however: columns={len(names)}. Identifiers and constants are not "
            "compared; override the kind of a column to have it compared."
        )
    group, other = _groups(real, synthetic, seed)
    numbers = len(real.numbers)
    values = np.full((jackknife.GROUPS + 1, len(names), len(names)), np.nan)
    ours, theirs = _correlations(real, group), _correlations(synthetic, other)
    distance = np.abs(np.nan_to_num(ours) - np.nan_to_num(theirs)) / 2
    values[:, :numbers, :numbers] = np.where(measured(ours, theirs), distance, np.nan)
    codes = [_Coded(*bins[name], size) for name in real.numbers]
    codes += [_Coded(*_levels(v, synthetic.categories[name])) for name, v in real.categories.items()]
    for a, b in _coded_pairs(codes, numbers):
        first, second = codes[a], codes[b]
        values[:, a, b] = values[:, b, a] = _total_variation(
            first.real * second.size + second.real,
            first.synthetic * second.size + second.synthetic,
            group,
            other,
            first.size * second.size,
        )
    upper = np.triu(np.ones((len(names), len(names)), dtype=bool), k=1)
    pairs = values[:, upper]
    pairs = pairs[:, ~np.isnan(pairs[0])]
    if not pairs.shape[1]:
        raise UnmeasuredError(
            "Pairs need two columns that vary, however: pairs=0. Compare tables with more rows, or with other columns."
        )
    errors = values[0].copy()
    np.fill_diagonal(errors, np.nan)
    return Trends(jackknife.score(pairs.mean(axis=1)), names, errors)


def _missing(cells: Cells) -> npt.NDArray[np.bool_]:
    """Which cells are missing, (N, D), numbers first."""
    columns = [np.isnan(values) for values in cells.numbers.values()]
    columns += [values < 0 for values in cells.categories.values()]
    return np.column_stack(columns)


def _patterns(real: npt.NDArray[np.bool_], synthetic: npt.NDArray[np.bool_]) -> tuple[IntArray, IntArray]:
    """Rank of each row's pattern among the real ones, the most frequent first; beyond 49 all are 50."""
    packed = np.packbits(np.concatenate([real, synthetic]), axis=1)
    _, codes = np.unique(packed, axis=0, return_inverse=True)
    codes = codes.reshape(-1)
    frequency = np.bincount(codes[: len(real)], minlength=int(codes.max()) + 1)
    rank = np.empty(len(frequency), dtype=np.int64)
    rank[np.argsort(-frequency, kind="stable")] = np.arange(len(frequency))
    ranks = np.minimum(rank[codes], PATTERNS_AT_MOST)
    return ranks[: len(real)], ranks[len(real) :]
