"""Usual levels and values: columns that another one nearly determines, told as what goes with it, or what else."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from scorewise.tabular.relation import entropy, most_frequent, ordered

FEWEST_ROWS, SCREENED_ROWS = 100, 20_000
FEWEST_ALIKE, FEWEST_TOLD = 2, 20
"""Rows of one level that make what they share usual, and rows, not of the most frequent level, that must tell."""
LEFT = 0.3
"""The largest share of its entropy that may be left to tell of a category."""
PARENTS = 25
MANY, REPEATED = 20, 0.5
"""Levels that a network matches with those of another category only after long; and, of the rows that do not have the
most frequent level of a category of so many, the least share, beyond chance, that must have the level of the other one.
"""


class Usual(NamedTuple):
    """A column that is told by whether it has the level, or the value, that usually goes with that of another one.

    Attributes:
        child: name of the column.
        parent: name of the other one: a category, or a number of recurring values.
        table: what is usual of the child for each code of the parent, shape (levels of the parent,): a code where the
            child is a category, else a value, NaN for a missing one. It is the child's most frequent one where fewer
            than `FEWEST_ALIKE` rows of a level share one: single rows do not tell.
    """

    child: str
    parent: str
    table: np.ndarray

    @property
    def column(self) -> str:
        """The name of the usual values among those of all number columns; no column of a table has it."""
        return f"\0usual {self.child}"

    def told(self, child: np.ndarray, parent: np.ndarray) -> np.ndarray:
        """Tell a category by its parent; a number is compared with its usual value (`Number.parents`).

        Args:
            child: its codes, shape (N,).
            parent: codes of the parent, shape (N,).

        Returns:
            0 for the usual code, and one more than the code else, shape (N,).
        """
        return np.where(self.table[parent] == child, 0, child + 1)

    def codes(self, told: np.ndarray, parent: np.ndarray) -> np.ndarray:
        """Give the codes back; the inverse of `told`.

        Args:
            told: shape (N,).
            parent: codes of the parent, shape (N,).

        Returns:
            Shape (N,).
        """
        return np.where(told == 0, self.table[parent], told - 1)


def number_codes(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Give the codes of a number of recurring values.

    Args:
        values: shape (N,), NaN where missing.
        known: its values in increasing order, shape (K,).

    Returns:
        Indices of the nearest ones, K where missing, shape (N,).
    """
    nearest = np.searchsorted((known[1:] + known[:-1]) / 2, values)
    return np.where(np.isnan(values), len(known), nearest)


def level_codes(levels: np.ndarray, size: int) -> np.ndarray:
    """Give the codes of a category, the last of which is that of missing cells.

    Args:
        levels: shape (N,), less than 0 or the last code where missing.
        size: the number of codes.

    Returns:
        Codes from 0, int64, shape (N,).
    """
    return np.where((levels < 0) | (levels >= size), size - 1, levels).astype(np.int64)


def find_usual(
    codes: Mapping[str, np.ndarray],
    levels: Mapping[str, int],
    numbers: Mapping[str, np.ndarray] | None = None,
    known: Mapping[str, np.ndarray] | None = None,
    labels: Mapping[str, Sequence[Any]] | None = None,
) -> list[Usual]:
    """Find columns that another one nearly determines.

    A column is told by the one that leaves least of its entropy, where that is `LEFT` of it at most. What is left is
    that of `Usual.told`, with the usual code of each row taken from the other rows: many levels of few rows determine
    anything, but do not foretell it. Where no category tells a number, a number before it may; categories are told by
    categories alone, since a network knows a level better than a number that would stand for it. And a category of
    `MANY` levels may have those of another one (the countries of birth of mother and father) where it is told by it:
    of such a one the same level is usual.

    Args:
        codes: codes of each category, (N,) from 0; missing cells have a code of their own.
        levels: number of codes of each.
        numbers: values of number columns that may be told, in order, (N,) each, NaN where missing.
        known: recurring values of those that may tell, increasing.
        labels: levels of the categories that may have those of others, by code.

    Returns:
        At most one for each column, parents before their children.
    """
    numbers, known, labels = numbers or {}, known or {}, labels or {}
    rows = len(next(iter({**codes, **numbers}.values()), []))
    if rows < FEWEST_ROWS:
        return []

    def coded(name: str, some: np.ndarray) -> tuple[np.ndarray, int, np.ndarray | None]:
        """Codes of a column that may be told, how many there are, and of a number its values."""
        if name in codes:
            return codes[name][some], levels[name], None
        distinct, own = np.unique(numbers[name][some], return_inverse=True)  # of NaN there is one
        return own, len(distinct), distinct

    def telling(name: str, some: np.ndarray) -> tuple[np.ndarray, int]:
        """Codes of a column that may tell, and how many there are."""
        if name in codes:
            return codes[name][some], levels[name]
        return number_codes(numbers[name][some], known[name]), len(known[name]) + 1

    screen = np.sort(np.random.default_rng(0).permutation(rows)[:SCREENED_ROWS])
    children = {name: coded(name, screen)[:2] for name in (*codes, *numbers)}
    found: dict[str, Usual] = {}
    for telling_ones in (codes, known):
        told = {n: one for n, one in children.items() if telling_ones is codes or (n in numbers and n not in found)}
        saved = _saved(told, {name: telling(name, screen) for name in telling_ones})
        again = _repeated({name: codes[name][screen] for name in labels}, labels) if telling_ones is codes else {}
        saved |= {pair: nats for pair, (nats, _) in again.items()}
        for child, parent in sorted(saved, key=lambda pair: -saved[pair]):
            if child not in found and _may_tell(child, parent, found, list(numbers)):
                own, size, distinct = coded(child, np.arange(rows))
                table = _table(own, size, *telling(parent, np.arange(rows)))
                if (child, parent) in again:
                    same = again[child, parent][1]
                    table[: len(same)] = np.where(same < 0, table[: len(same)], same)
                found[child] = Usual(child, parent, table if distinct is None else distinct[table])
    order = ordered(list(found), {child: (one.parent,) for child, one in found.items()})
    return [found[name] for name in order if name in found]


def _saved(
    children: Mapping[str, tuple[np.ndarray, int]], parents: Mapping[str, tuple[np.ndarray, int]]
) -> dict[tuple[str, str], float]:
    """Nats a row that each column saves each other one, where what is left is little enough."""
    spread, whole = (
        {name: entropy(np.bincount(one)) for name, (one, _) in kind.items()} for kind in (parents, children)
    )
    saved = {}
    for parent in sorted(parents, key=lambda name: -spread[name])[:PARENTS]:
        for child, coded in children.items():
            if parent != child and spread[parent] > (1 - LEFT) * whole[child] > 0:
                left = _left(*coded, *parents[parent])
                if left <= LEFT * whole[child]:
                    saved[child, parent] = whole[child] - left
    return saved


def _repeated(
    codes: Mapping[str, np.ndarray], labels: Mapping[str, Sequence[Any]]
) -> dict[tuple[str, str], tuple[float, np.ndarray]]:
    """Nats a row that each category saves each other one that often has its level, and where that is there."""
    saved = {}
    for child, own in codes.items():
        counts = np.bincount(own, minlength=len(labels[child]))
        telling, place = own != counts.argmax(), {label: code for code, label in enumerate(labels[child])}
        for parent, other in codes.items():
            same = np.array([place.get(label, -1) for label in labels[parent]])
            if parent == child or np.count_nonzero(same >= 0) < MANY:
                continue
            theirs = np.append(same, -1)[np.minimum(other, len(same))]
            agree = theirs == own
            hits, said = int(np.count_nonzero(agree & telling)), int(np.count_nonzero(telling))
            if hits < FEWEST_ROWS:
                continue
            beside = np.bincount(theirs[theirs >= 0], minlength=len(counts)) / len(own)
            chance = float(np.bincount(own[telling], minlength=len(counts)) @ beside) / said
            if hits / said - chance >= REPEATED * (1 - chance):
                left = entropy(np.append(np.bincount(own[~agree]), np.count_nonzero(agree)))
                saved[child, parent] = entropy(counts) - left, same
    return saved


def _may_tell(child: str, parent: str, found: Mapping[str, Usual], numbers: list[str]) -> bool:
    """Whether a column does not come to depend on itself, nor a number on a later one, where another one tells it."""
    if parent in numbers:
        return numbers.index(parent) < numbers.index(child)
    line = [parent]
    while line[-1] in found:
        line.append(found[line[-1]].parent)
    return child not in line


def _left(child: np.ndarray, size: int, parent: np.ndarray, levels: int) -> float:
    """Entropy that is left of a category, the usual codes taken from other rows; infinite where too few rows tell."""
    best, alike, others = most_frequent(child, size, parent, levels)
    most = int(np.bincount(child).argmax())
    known = (alike[parent] > FEWEST_ALIKE) & (alike[parent] - 1 > others[parent])
    usual = np.where(known & (best[parent] == child), child, np.where(alike[parent] < FEWEST_ALIKE, most, -1))
    agree = usual == child
    if np.count_nonzero(agree & (child != most)) < FEWEST_TOLD:
        return np.inf
    return entropy(np.append(np.bincount(child[~agree], minlength=size), np.count_nonzero(agree)))


def _table(child: np.ndarray, size: int, parent: np.ndarray, levels: int) -> np.ndarray:
    best, alike, _ = most_frequent(child, size, parent, levels)
    return np.where(alike >= FEWEST_ALIKE, best, np.bincount(child).argmax())
