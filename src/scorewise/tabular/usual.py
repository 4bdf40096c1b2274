"""Usual levels and values: columns that another one nearly determines, told as what goes with it, or what else."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

FEWEST_ROWS, SCREENED_ROWS = 100, 20_000
FEWEST_ALIKE, FEWEST_TOLD = 2, 20
"""Rows of one level that make what they share usual, and rows, not of the most frequent level, that must tell."""
LEFT = 0.3
"""The largest share of its entropy that may be left to tell of a category."""
PARENTS = 25


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


def find_usual(
    codes: Mapping[str, np.ndarray],
    levels: Mapping[str, int],
    numbers: Mapping[str, np.ndarray] | None = None,
    known: Mapping[str, np.ndarray] | None = None,
) -> list[Usual]:
    """Find columns that another one nearly determines.

    A column is told by the one that leaves least of its entropy, where that is `LEFT` of it at most. What is left is
    that of `Usual.told`, with the usual code of each row taken from the other rows: many levels of few rows determine
    anything, but do not foretell it. Categories tell before numbers do. A number that tells is told by none, and stands
    before the numbers that it tells, so that rows can be decoded: the categories that categories tell, the numbers in
    their order, and what numbers tell of categories.

    Args:
        codes: codes of each category, (N,) from 0; missing cells have a code of their own.
        levels: number of codes of each.
        numbers: values of number columns that may be told, in order, (N,) each, NaN where missing.
        known: recurring values of those that may tell, increasing.

    Returns:
        At most one for each column, parents before their children.
    """
    numbers, known = numbers or {}, known or {}
    everything = {**codes, **numbers}
    rows = len(next(iter(everything.values()), []))
    if rows < FEWEST_ROWS:
        return []
    distinct, children, sizes = {}, dict(codes), dict(levels)
    for name, values in numbers.items():
        distinct[name], children[name] = np.unique(values, return_inverse=True)  # of NaN there is one
        sizes[name] = len(distinct[name])
    tell = {**codes, **{name: number_codes(numbers[name], own) for name, own in known.items()}}
    told_by = {**levels, **{name: len(own) + 1 for name, own in known.items()}}
    found: dict[str, Usual] = {}
    for kind in (codes, known):
        parents = {name: tell[name] for name in kind}
        saved = _saved({n: c for n, c in children.items() if n not in found}, sizes, parents, told_by)
        for child, parent in sorted(saved, key=lambda pair: -saved[pair]):
            if child not in found and _may_tell(child, parent, found, list(numbers)):
                table = _table(children[child], tell[parent], sizes[child], told_by[parent])
                found[child] = Usual(child, parent, distinct[child][table] if child in distinct else table)
    return _ordered(found)


def _saved(
    children: Mapping[str, np.ndarray],
    sizes: Mapping[str, int],
    parents: Mapping[str, np.ndarray],
    levels: Mapping[str, int],
) -> dict[tuple[str, str], float]:
    """Nats a row that each column saves each other one, where what is left is little enough."""
    rows = len(next(iter(parents.values()), []))
    screen = np.sort(np.random.default_rng(0).permutation(rows)[:SCREENED_ROWS])
    quick, own = ({name: one[screen] for name, one in some.items()} for some in (parents, children))
    spread, entropy = ({name: _entropy(np.bincount(one)) for name, one in some.items()} for some in (quick, own))
    saved = {}
    for parent in sorted(quick, key=lambda name: -spread[name])[:PARENTS]:
        for child, codes in own.items():
            if parent != child and spread[parent] > (1 - LEFT) * entropy[child] > 0:
                left = _left(codes, quick[parent], sizes[child], levels[parent])
                if left <= LEFT * entropy[child]:
                    saved[child, parent] = entropy[child] - left
    return saved


def _may_tell(child: str, parent: str, found: Mapping[str, Usual], numbers: list[str]) -> bool:
    """Whether rows can be decoded where a column is told by another one, too."""
    if child in _line(parent, found):
        return False
    if parent not in numbers:
        return True
    telling = {name for one in found for name in _line(one, found)[1:]}
    if parent in found or (child in numbers and child in telling):
        return False
    if child in numbers:
        return numbers.index(parent) < numbers.index(child)
    return not any(one in numbers and child in _line(one, found) for one in found)


def _line(name: str, found: Mapping[str, Usual]) -> list[str]:
    """A column, the one that tells it, and so on."""
    line = [name]
    while line[-1] in found:
        line.append(found[line[-1]].parent)
    return line


def _ordered(found: Mapping[str, Usual]) -> list[Usual]:
    placed: dict[str, Usual] = {}

    def place(name: str) -> None:
        if name in found and name not in placed:
            place(found[name].parent)
            placed[name] = found[name]

    for name in found:
        place(name)
    return list(placed.values())


def _entropy(counts: np.ndarray) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())


def _best(child: np.ndarray, parent: np.ndarray, size: int, levels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Most frequent code of the child at each level of the parent, rows that have it, and rows of the next one."""
    pairs, counts = np.unique(parent * size + child, return_counts=True)
    at, code = np.divmod(pairs, size)
    order = np.lexsort((-counts, at))
    at, code, counts = at[order], code[order], counts[order]
    first = np.append(True, at[1:] != at[:-1])
    best, alike, others = (np.zeros(levels, dtype=np.int64) for _ in range(3))
    best[at[first]], alike[at[first]] = code[first], counts[first]
    second = np.flatnonzero(~first & np.append(False, first[:-1]))
    others[at[second]] = counts[second]
    return best, alike, others


def _left(child: np.ndarray, parent: np.ndarray, size: int, levels: int) -> float:
    """Entropy that is left of a category, the usual codes taken from other rows; infinite where too few rows tell."""
    best, alike, others = _best(child, parent, size, levels)
    most = int(np.bincount(child).argmax())
    known = (alike[parent] > FEWEST_ALIKE) & (alike[parent] - 1 > others[parent])
    usual = np.where(known & (best[parent] == child), child, np.where(alike[parent] < FEWEST_ALIKE, most, -1))
    agree = usual == child
    if np.count_nonzero(agree & (child != most)) < FEWEST_TOLD:
        return np.inf
    return _entropy(np.append(np.bincount(child[~agree], minlength=size), np.count_nonzero(agree)))


def _table(child: np.ndarray, parent: np.ndarray, size: int, levels: int) -> np.ndarray:
    best, alike, _ = _best(child, parent, size, levels)
    return np.where(alike >= FEWEST_ALIKE, best, np.bincount(child).argmax())
