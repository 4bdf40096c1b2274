"""Ratios of columns to others, or to sums: a model's own distribution of them, and the map that makes it the table's.

NOTE: a mode of the child that says that it is near the parent, with ratios drawn from the table, was tried in the place
of the map. On Credit Default, at equal steps, a boosting detector that is given differences told such tables apart less
easily than without either, but one without differences more easily, and training took longer to get as far.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

import numpy as np

from scorewise.tabular.codec import Chosen, Codec
from scorewise.tabular.number import Adjust
from scorewise.tabular.relation import Combination

NEAR, FAR = 0.1, 0.3
"""Log-ratios up to which a move is made in full, and from which on none is."""
GRID = np.concatenate([-np.geomspace(FAR, 1e-4, 60), [0.0], np.geomspace(1e-4, FAR, 60)])
STRATA, FEWEST_ROWS, MOST_ROWS = 5, 200, 100_000
DOUBT = 1.63
"""A Kolmogorov-Smirnov distance is larger than this over the square root of the rows once in a hundred times."""
LEAST_MISPLACED = 0.005


class Ratio(NamedTuple):
    """A map of the ratio of a column to another, or to a sum of two, `q = log(child / parent)`, that moves the child.

    Attributes:
        child: name of the column that is moved.
        parent: one or two columns before it.
        cuts: sizes of the parent between which the map changes, increasing, shape (S - 1,).
        images: what the log-ratios `GRID` are sent to, non-decreasing along the last axis, shape (S, 121).
    """

    child: str
    parent: Combination
    cuts: np.ndarray
    images: np.ndarray

    def apply(self, child: np.ndarray, parent: np.ndarray, movable: np.ndarray) -> np.ndarray:
        """Move a column.

        Args:
            child: its values, shape (N,).
            parent: values of the parent, shape (N,).
            movable: which values may be moved, shape (N,).

        Returns:
            The values; those that are not movable, or not within `FAR` of the parent in ratio, are as they were.
        """
        q, alike = log_ratio(child, parent)
        chosen = movable & alike & (q != 0) & (np.abs(q) < FAR)
        stratum = np.searchsorted(self.cuts, np.abs(parent))
        moved = child.copy()
        for i, image in enumerate(self.images):
            rows = chosen & (stratum == i)
            moved[rows] *= np.exp(np.interp(q[rows], GRID, image) - q[rows])
        return moved


def log_ratio(child: np.ndarray, parent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the logarithm of the ratio of two columns.

    Args:
        child: values, NaN where missing, shape (N,).
        parent: values, NaN where missing, shape (N,).

    Returns:
        The log-ratios, shape (N,), and where there is one: both of one sign, neither 0 nor missing, and not so far
        apart that their ratio is no float. It is 0 elsewhere.
    """
    alike: np.ndarray = np.sign(child) * np.sign(parent) > 0
    with np.errstate(over="ignore", under="ignore"):
        ratio = np.divide(child, parent, out=np.ones(len(child)), where=alike)
    alike &= (ratio > 0) & np.isfinite(ratio)
    return np.log(np.where(alike, ratio, 1.0)), alike


def fit_ratio(
    name: str,
    real: tuple[np.ndarray, np.ndarray],
    made: tuple[np.ndarray, np.ndarray],
    parents: Iterable[tuple[Combination, np.ndarray, np.ndarray]],
) -> Ratio | None:
    """Find the parent to which a column's ratio is most out of place in a sample, and the map that mends it.

    With F the distribution function of q over the sample and G over the table, in each of `STRATA` parts of the rows by
    the size of the parent, the map is `G^-1(F(q))` up to `NEAR`, fades to none at `FAR`, and is none where F and G
    differ by no more than chance would have it. Equal rows are left out.

    Args:
        name: of the column.
        real: its values in the table and which of them may be moved, shape (N,) each.
        made: its values in a sample and which of them may be moved, shape (M,) each.
        parents: what to compare with: columns, their values in the table (N,) and in the sample (M,).

    Returns:
        The map for the parent with the largest share of rows out of place; None where it is no more than
        `LEAST_MISPLACED` of the rows.
    """
    best, most = None, LEAST_MISPLACED
    for parent, real_parent, made_parent in parents:
        (q, rows), (own_q, own_rows) = (
            _movable(values, movable, other) for (values, movable), other in ((real, real_parent), (made, made_parent))
        )
        size, own_size = np.abs(real_parent[rows]), np.abs(made_parent[own_rows])
        cuts = np.quantile(size, np.arange(1, STRATA) / STRATA) if len(size) else np.zeros(STRATA - 1)
        stratum, own_stratum = np.searchsorted(cuts, size), np.searchsorted(cuts, own_size)
        found = [_image(q[stratum == i], own_q[own_stratum == i]) for i in range(STRATA)]
        misplaced = sum(excess * np.count_nonzero(stratum == i) for i, (_, excess) in enumerate(found)) / len(real[0])
        if misplaced > most:
            best, most = Ratio(name, parent, cuts, np.stack([image for image, _ in found])), misplaced
    return best


def fit_ratios(
    codec: Codec, cells: Mapping[str, np.ndarray], made: Chosen, pairs: Iterable[tuple[str, str]]
) -> tuple[Ratio, ...]:
    """Mend the ratios of a sample's number columns, one column after another.

    A column is compared with those that it is paired with, and with its sum, if the codec has one. Columns that hold
    times have no ratios, nor do those that are measured from another one. Of more than `MOST_ROWS` rows some are taken.

    Args:
        codec: of the table.
        cells: what `Codec.compared` gives of the table.
        made: rows that the model made, calibrated.
        pairs: names of two columns to compare, the earlier one first.

    Returns:
        At most one map for each column, in the order of the columns.
    """
    temporal = {column.name for column in codec.schema.numbers if column.origin is not None}
    parents: dict[str, list[Combination]] = {}
    for parent, child in pairs:
        if not {parent, child} & temporal:
            parents.setdefault(child, []).append(Combination.column(parent))
    for child, total in codec.structure.sums:
        parents.setdefault(child, []).append(total)
    if not parents:
        return ()
    rows = len(next(iter(cells.values())))
    chosen = np.sort(np.random.default_rng(0).permutation(rows)[:MOST_ROWS])
    cells = {name: values[chosen] for name, values in cells.items()}
    found: list[Ratio] = []

    def adjust(name: str, values: np.ndarray, movable: np.ndarray, done: Mapping[str, np.ndarray]) -> np.ndarray:
        if name not in parents:
            return values
        others = [(parent, parent.total(cells), parent.total(done)) for parent in parents[name]]
        number = codec.structure.numbers[name]
        real = cells[name], number.movable(cells[name], number.encode(name, cells)[2])
        ratio = fit_ratio(name, real, (values, movable), others)
        if ratio is None:
            return values
        found.append(ratio)
        return ratio.apply(values, ratio.parent.total(done), movable)

    codec.restore(made, adjust=adjust)
    return tuple(found)


class Map(Protocol):
    """What moves a column by how it compares with others: a `Ratio`, or a `Spacing`."""

    @property
    def child(self) -> str:
        """Name of the column that is moved."""

    @property
    def parent(self) -> Combination:
        """What it is compared with, of columns before it."""

    def apply(self, child: np.ndarray, parent: np.ndarray, movable: np.ndarray) -> np.ndarray:
        """Move a column."""


def adjustment(maps: Iterable[Map]) -> Adjust:
    """Give what applies maps to columns as they are decoded.

    Args:
        maps: those of one column are applied in turn.

    Returns:
        What `Codec.restore` takes.
    """
    by_child: dict[str, list[Map]] = {}
    for one in maps:
        by_child.setdefault(one.child, []).append(one)

    def adjust(name: str, values: np.ndarray, movable: np.ndarray, done: Mapping[str, np.ndarray]) -> np.ndarray:
        for one in by_child.get(name, ()):
            values = one.apply(values, one.parent.total(done), movable)
        return values

    return adjust


def _movable(values: np.ndarray, movable: np.ndarray, parent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log-ratios of the rows that may be moved and are not equal, and which rows they are."""
    q, alike = log_ratio(values, parent)
    rows = movable & alike & (q != 0)
    return q[rows], rows


def _image(real: np.ndarray, made: np.ndarray) -> tuple[np.ndarray, float]:
    """The image of `GRID`, and by how much more than chance the two distributions differ on it."""
    if min(len(real), len(made)) < FEWEST_ROWS:
        return GRID, 0.0
    below = np.searchsorted(np.sort(made), GRID, "right") / len(made)
    distance = np.abs(below - np.searchsorted(np.sort(real), GRID, "right") / len(real)).max()
    excess = distance - DOUBT * np.sqrt(1 / len(real) + 1 / len(made))
    if excess <= 0:
        return GRID, 0.0
    fade = np.clip((FAR - np.abs(GRID)) / (FAR - NEAR), 0, 1)
    return np.maximum.accumulate(GRID + fade * (np.quantile(real, below) - GRID)), float(excess)
