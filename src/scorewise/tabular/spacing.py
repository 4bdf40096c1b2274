"""Spacings: the fine structure of differences and sums of columns, and the map that makes a model's that of the table.

Two columns may each be smooth and their difference not: stripes across the plane of both, which a model blurs.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from scorewise.tabular.codec import Chosen, Codec
from scorewise.tabular.number import Adjust
from scorewise.tabular.relation import Combination

PARTS, FEWEST_ROWS, SCREENED_ROWS, MOST_ROWS = 128, 1_000, 8_000, 30_000
"""Parts of equal share of the table's rows in which distances are counted, and rows without which nothing is said."""
QUANTILES = 2_000
LEAST_MISSED = 0.03
"""Nats a row by which the model's distances must be told from those of the table."""
PAIRS, FEWEST_PARENTS = 600, 12
"""How many pairs of columns are looked at in all, but for each column so many, those next before it."""

Values = Mapping[str, np.ndarray]


class Spacing(NamedTuple):
    """A map of the distance of a column from another one, or from its negative, `d = child - parent`, moving the child.

    Attributes:
        child: name of the column that is moved.
        parent: a column before it, with a sign.
        made: quantiles of the model's distances, non-decreasing, shape (Q,).
        images: those of the table, non-decreasing, shape (Q,).
    """

    child: str
    parent: Combination
    made: np.ndarray
    images: np.ndarray

    def apply(self, child: np.ndarray, parent: np.ndarray, movable: np.ndarray) -> np.ndarray:
        """Move a column.

        Args:
            child: its values, shape (N,).
            parent: values of the parent, with its sign, shape (N,).
            movable: which values may be moved, shape (N,).

        Returns:
            The values; those that are not movable, or at no distance, are as they were.
        """
        with np.errstate(over="ignore"):  # of huge values, which stay
            distance = child - parent
        inside = np.interp(distance, self.made, self.images)
        low, high = self.images[0] - self.made[0], self.images[-1] - self.made[-1]
        ends = [distance < self.made[0], distance > self.made[-1]]
        moved = child + np.select(ends, [low, high], inside - distance)
        return np.where(movable & np.isfinite(distance) & (distance != 0), moved, child)


def fit_spacings(codec: Codec, cells: Values, made: Chosen, adjust: Adjust) -> tuple[Spacing, ...]:
    """Mend the fine structure of differences and sums of a sample's number columns; see `spacings`.

    Columns that hold times are left alone, and those that are measured from another one are not moved.

    Args:
        codec: of the table.
        cells: what `Codec.compared` gives of the table.
        made: rows that the model made, calibrated.
        adjust: what is mended before.

    Returns:
        At most one map for each column, in the order of the columns.
    """
    plain = {column.name for column in codec.schema.numbers if column.origin is None}
    names = [name for name in codec.scored if name in plain]
    own = codec.compared(codec.restore(made, adjust=adjust))

    def movable(name: str, values: Values) -> np.ndarray:
        number = codec.structure.numbers[name]
        if number.gap is not None:
            return np.zeros(len(values[name]), dtype=bool)
        return number.movable(values[name], number.encode(name, values)[2])

    def settled(name: str, values: np.ndarray) -> np.ndarray:
        return codec.structure.numbers[name].marginal.snap(values)

    with np.errstate(over="ignore", invalid="ignore"):  # of huge values, whose distances are then as good as missing
        return spacings(names, cells, own, movable, settled)


def spacings(
    names: Sequence[str],
    real: Values,
    made: Values,
    movable: Callable[[str, Values], np.ndarray],
    settled: Callable[[str, np.ndarray], np.ndarray],
) -> tuple[Spacing, ...]:
    """Mend the fine structure of differences and sums, one column after another.

    The rows of the table are cut into `PARTS` parts of equal share by the distance of a column from one before it, or
    from its negative. How many nats a row tell the sample's shares from them, beyond chance, is what is missed. The
    distance of which most is missed is mapped, where it is `LEAST_MISSED` at least, by `G^-1(F(d))` with F its
    distribution in the sample and G that in the table. The map is kept if, fitted to one half of the sample and applied
    to the other, less is missed there of the column and all its distances together.

    Args:
        names: columns that may be moved or compared with, in order.
        real: values of each in the table, (N,), NaN where missing.
        made: values of each in a sample, (M,).
        movable: of a column and the values of all, which of its values may be moved.
        settled: of a column and what its values are moved to, what they become.

    Returns:
        At most one map for each column, in the order of the columns.
    """
    if len(names) < 2 or min(len(side[names[0]]) for side in (real, made)) < FEWEST_ROWS:
        return ()
    rows = np.random.default_rng(0).permutation(len(real[names[0]]))[:MOST_ROWS]
    real = {name: values[rows] for name, values in real.items()}
    own = {name: values[:MOST_ROWS] for name, values in made.items()}
    parents = max(FEWEST_PARENTS, PAIRS // len(names))
    # NOTE: at random, since every other row of an evenly spread sequence comes from one half of the space
    first = np.random.default_rng(1).permutation(len(own[names[0]])) % 2 == 0
    found = []
    for place, child in enumerate(names):
        free, own_free = movable(child, real), movable(child, own)
        best, most = None, LEAST_MISSED
        for parent in _signed(names[max(0, place - parents) : place]):
            sides = (_distances(child, parent, *side)[:SCREENED_ROWS] for side in ((real, free), (own, own_free)))
            missed = _missed(*sides) * float(free.mean())
            if missed > most:
                best, most = parent, missed
        if best is None:
            continue
        others = [name for name in names if name != child]
        tried = _fitted(
            child, best, _distances(child, best, real, free), _distances(child, best, own, own_free & first)
        )
        second = {name: values[~first] for name, values in own.items()}
        moved = settled(child, tried.apply(second[child], best.total(second), own_free[~first]))
        if _all_missed(child, others, real, second | {child: moved}) < _all_missed(child, others, real, second):
            kept = _fitted(child, best, _distances(child, best, real, free), _distances(child, best, own, own_free))
            own[child] = settled(child, kept.apply(own[child], best.total(own), own_free))
            found.append(kept)
    return tuple(found)


def _signed(names: Collection[str]) -> Iterator[Combination]:
    for name in names:
        yield Combination((name,), (1,))
        yield Combination((name,), (-1,))


def _distances(child: str, parent: Combination, values: Values, rows: np.ndarray) -> np.ndarray:
    """Distances of a column from another one in some of the rows; none that are 0 or missing."""
    distances = (values[child] - parent.total(values))[rows]
    found: np.ndarray = distances[np.isfinite(distances) & (distances != 0)]
    return found


def _fitted(child: str, parent: Combination, real: np.ndarray, made: np.ndarray) -> Spacing:
    count = max(2, min(QUANTILES, len(real) // 4, len(made) // 4))
    shares = (np.arange(count) + 0.5) / count
    return Spacing(child, parent, np.quantile(made, shares), np.quantile(real, shares))


def _all_missed(child: str, others: Sequence[str], real: Values, made: Values) -> float:
    """What is missed of a column and of its distances from all others."""
    alone = _missed(real[child], made[child])
    return alone + sum(_missed(real[child] - one.total(real), made[child] - one.total(made)) for one in _signed(others))


def _missed(real: np.ndarray, made: np.ndarray) -> float:
    """Nats a row that tell the shares of a sample from those of the table, beyond chance; 0 where few rows tell."""
    real, made = real[np.isfinite(real)], made[np.isfinite(made)]
    if min(len(real), len(made)) < FEWEST_ROWS:
        return 0.0
    cuts = np.unique(np.quantile(real, np.arange(1, PARTS) / PARTS))
    counts = [np.bincount(np.searchsorted(cuts, side), minlength=len(cuts) + 1) for side in (real, made)]
    shares = np.stack([one / one.sum() for one in counts])
    scale = 1 / len(real) + 1 / len(made)
    both = (counts[0] + counts[1]) / (len(real) + len(made))
    chi2 = (np.square(shares[0] - shares[1])[both > 0] / both[both > 0]).sum()
    return float(chi2 - scale * np.count_nonzero(both[1:])) / 2
