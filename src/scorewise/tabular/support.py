"""Support: whether synthetic rows lie where real rows lie, and cover them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import NearestNeighbors

from scorewise.tabular import jackknife, rows
from scorewise.tabular.score import Score, UnmeasuredError
from scorewise.tabular.units import within_range

if TYPE_CHECKING:
    from scorewise.tabular.schema import Cells

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

STEPS = 30
WORK_AT_MOST = 1e11  # coordinates of pairs of points


def alpha_precision(real: Cells, synthetic: Cells, *, seed: int = 0) -> Score:
    r"""Measure whether the synthetic rows lie in the balls that hold a given share of the real rows.

    .. math:: 1 - \frac{\sum_\alpha |P_\alpha - \alpha|}{\sum_\alpha \alpha}, \qquad
        P_\alpha = \Pr(\lVert z - c \rVert \le r_\alpha)

    over 30 levels from 0 to 1, with c the mean of the real rows and :math:`r_\alpha` the quantile of their distances
    from it. Rows are embedded with numbers scaled by the real range (a missing number stands at the real mean and is
    marked) and levels one-hot. At most 30,000 rows a side, fewer where the points have D > 111 coordinates: so that
    N^2 D is at most 10^11. The standard error is of the grouped jackknife.

    Args:
        real: columns with shape (N,).
        synthetic: the same columns with shape (M,).
        seed: draws the rows and deals them into groups.

    Returns:
        1 where the synthetic rows are spread like the real ones around their centre.

    Raises:
        UnmeasuredError: a side has fewer than 20 rows, or there is no column.

    References:
        How Faithful is your Synthetic Data?, Alaa et al., 2022, equations 4 and 8, in the input space.
    """
    x, z, group, other = _embedded(real, synthetic, seed)
    centre = x.mean(axis=0)
    ours, theirs = _length(x - centre), _length(z - centre)
    levels = np.linspace(0, 1, STEPS)
    values = []
    for g in range(-1, jackknife.GROUPS):  # no group has the number -1
        radii = np.quantile(ours[group != g], levels)
        values.append(_agreement((theirs[other != g, None] <= radii).mean(axis=0)))
    return jackknife.score(np.array(values))


def beta_recall(real: Cells, synthetic: Cells, *, seed: int = 0) -> Score:
    r"""Measure whether the synthetic rows cover the real ones.

    .. math:: 1 - \frac{\sum_\beta |R_\beta - \beta|}{\sum_\beta \beta}, \qquad
        R_\beta = \Pr(\lVert x - z_x \rVert \le \lVert x - x' \rVert,\ \lVert z_x - c \rVert \le r_\beta)

    over 30 levels from 0 to 1, with :math:`z_x` the synthetic row nearest to the real row x, :math:`x'` the nearest
    other real row, c the mean of the synthetic rows and :math:`r_\beta` the quantile of the distances of all
    :math:`z_x` from it. The embedding is that of `alpha_precision`. Real against real scores about 0.5; far above is
    copying, of which a subsample shows less. The standard error is of the grouped jackknife over the real rows, with
    their neighbours kept.

    Args:
        real: columns with shape (N,).
        synthetic: the same columns with shape (M,).
        seed: draws the rows and deals them into groups.

    Returns:
        The coverage; more is better up to the floor.

    Raises:
        UnmeasuredError: a side has fewer than 20 rows, or there is no column.

    References:
        How Faithful is your Synthetic Data?, Alaa et al., 2022, equations 5 and 8, in the input space.
    """
    x, z, group, _ = _embedded(real, synthetic, seed)
    own = _nearest(x, x, 2)
    other_real = np.where(own[:, 0] == np.arange(len(x)), own[:, 1], own[:, 0])
    nearest = _nearest(z, x, 1)[:, 0]
    covered = _length(x - z[nearest]) <= _length(x - x[other_real])
    outward = _length(z - z.mean(axis=0))[nearest]
    levels = np.linspace(0, 1, STEPS)
    values = []
    for g in range(-1, jackknife.GROUPS):
        kept = group != g
        radii = np.quantile(outward[kept], levels)
        values.append(_agreement((covered[kept, None] & (outward[kept, None] <= radii)).mean(axis=0)))
    return jackknife.score(np.array(values))


def _agreement(share: FloatArray) -> float:
    levels = np.linspace(0, 1, STEPS)
    return float(1 - np.abs(share - levels).sum() / levels.sum())


def _length(vectors: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt((vectors**2).sum(axis=1)), dtype=np.float64)


def _nearest(among: FloatArray, of: FloatArray, number: int) -> IntArray:
    """The numbers of the rows of `among` that are nearest to each row of `of`; brute force, in chunks."""
    search = NearestNeighbors(n_neighbors=number, algorithm="brute").fit(among)
    return np.asarray(search.kneighbors(of, return_distance=False), dtype=np.int64)


def _embedded(real: Cells, synthetic: Cells, seed: int) -> tuple[FloatArray, FloatArray, IntArray, IntArray]:
    """Both tables as points, (N, D) and (M, D), and the groups of their rows.

    Raises:
        UnmeasuredError: a side has fewer than 20 rows.
    """
    found = min(rows.count(real), rows.count(synthetic))
    if found < 20:
        raise UnmeasuredError(f"The support needs 20 rows a side or more, however: N={found}. Compare larger tables.")
    generator = np.random.default_rng(seed)
    codes = {name: np.unique(np.append(v, synthetic.categories[name])) for name, v in real.categories.items()}
    coordinates = 2 * len(real.numbers) + sum(len(levels) for levels in codes.values())
    most = min(rows.ROWS_AT_MOST, int((WORK_AT_MOST / coordinates) ** 0.5))
    real, synthetic = (rows.subsample(cells, most, generator) for cells in (real, synthetic))
    ours: list[FloatArray] = []
    theirs: list[FloatArray] = []
    for name, values in real.numbers.items():
        for columns, side in ((ours, values), (theirs, synthetic.numbers[name])):
            columns += [within_range(side, values), np.isnan(side).astype(np.float64)]
    for name, levels in real.categories.items():
        ours.append((levels[:, None] == codes[name]).astype(np.float64))
        theirs.append((synthetic.categories[name][:, None] == codes[name]).astype(np.float64))
    x, z = np.column_stack(ours), np.column_stack(theirs)
    varies = (x != x[0]).any(axis=0) | (z != x[0]).any(axis=0)
    varies |= not varies.any()
    return (
        x[:, varies],
        z[:, varies],
        jackknife.groups(len(x), generator),
        jackknife.groups(len(z), generator),
    )
