"""Exact relations between columns, found in the data: one column a function of another, one equal to another."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

SCREENED_ROWS = 2_000


class Function(NamedTuple):
    """A column that another one determines.

    Attributes:
        child: name of the determined column.
        parent: name of the column that determines it.
        table: code of the child for each code of the parent, shape (levels of the parent,).
    """

    child: str
    parent: str
    table: np.ndarray


def find_functions(codes: Mapping[str, np.ndarray], levels: Mapping[str, int]) -> list[Function]:
    """Find the coded columns that are functions of one other coded column in every row.

    A function counts as found only where the parent has ten rows a level or more on average and at least two levels
    that occur, so that it is not an accident of few rows. Of two columns that determine each other the first stays.

    Args:
        codes: codes of each column, (N,) from 0; missing cells have a code of their own.
        levels: number of codes of each column.

    Returns:
        Functions whose parents are not themselves determined.
    """
    order = sorted(codes, key=lambda name: -levels[name])
    rows = len(next(iter(codes.values()), []))
    screen = np.random.default_rng(0).permutation(rows)[:SCREENED_ROWS]
    found: list[Function] = []
    determined: set[str] = set()
    for position, child in enumerate(order):
        for parent in order[:position]:
            if parent in determined or rows < 10 * levels[parent]:
                continue
            if _table(codes[parent][screen], codes[child][screen], levels[parent]) is None:
                continue
            table = _table(codes[parent], codes[child], levels[parent])
            if table is not None and len(np.unique(codes[child])) > 1:
                found.append(Function(child, parent, table))
                determined.add(child)
                break
    return found


def _table(parent: np.ndarray, child: np.ndarray, levels: int) -> np.ndarray | None:
    table = np.zeros(levels, dtype=np.int64)
    table[parent] = child
    return table if bool((table[parent] == child).all()) else None


def find_equalities(
    numbers: Mapping[str, np.ndarray], free: Mapping[str, np.ndarray], share: float = 0.01
) -> dict[str, list[str]]:
    """Find the earlier columns that each number column equals, to the unit, in a share of the rows.

    Parents are chosen greedily: first the one that explains most free rows of the child, then the one that explains
    most of those left, and so on.

    Args:
        numbers: values of each column in table order, (N,), NaN where missing.
        free: rows of each column that need an explanation (not missing, not a common value), (N,) bool.
        share: smallest share of all rows that makes a relation.

    Returns:
        For each child that has any, its parents, the most frequent first; parents stand before the child in the table.
    """
    names = list(numbers)
    rows = len(next(iter(numbers.values()), []))
    screen = np.random.default_rng(0).permutation(rows)[:SCREENED_ROWS]
    found: dict[str, list[str]] = {}
    for position, child in enumerate(names):
        quick = numbers[child][screen]
        quick_free = free[child][screen]
        near = [
            name
            for name in names[:position]
            if np.count_nonzero((numbers[name][screen] == quick) & quick_free) >= 0.5 * share * len(screen)
        ]
        left = free[child].copy()
        while near:
            counts = [np.count_nonzero((numbers[name] == numbers[child]) & left) for name in near]
            best = int(np.argmax(counts))
            if counts[best] < share * rows or counts[best] < 10:
                break
            found.setdefault(child, []).append(near[best])
            left &= numbers[near[best]] != numbers[child]
            del near[best]
    return found
