"""Repeats: columns of common values that equal another one in many rows, as this year's school is last year's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scorewise.tabular.relation import SCREENED_ROWS, Combination

FEWEST_VALUES, FEWEST_ROWS = 5, 100
TOP = 0.1
"""Values that more than this share of the rows have say nothing."""
LEAST_REPEATED, LEAST_MORE = 0.2, 0.05
"""Share of the rows that say something in which a column must be equal to another one, and to one more."""
TIMES = 3.0
"""How many times as often it must be equal to it as it is to the value next to its own, or as it would be by chance."""


def find_repeats(numbers: Mapping[str, np.ndarray]) -> dict[str, list[Combination]]:
    """Find the columns that are equal to one before them more often than values next to each other, or chance, explain.

    Columns that share values only few rows have are told by `find_equalities`. Grades, years and codes are shared by
    many rows, and two such columns may be equal by accident or since they are near each other. Then the other one would
    have the next value about as often, and the one before it; the most frequent value that both have does not count.

    Args:
        numbers: values of each column in order, (N,), NaN where missing.

    Returns:
        For each column that repeats others, these, of which the first is equal to it most often.
    """
    names = list(numbers)
    rows = len(next(iter(numbers.values()), []))
    screen = np.random.default_rng(0).permutation(rows)[:SCREENED_ROWS]
    quick = {name: values[screen] for name, values in numbers.items()}
    found: dict[str, list[Combination]] = {}
    for place, child in enumerate(names):
        known = numbers[child][~np.isnan(numbers[child])]
        values, counts = np.unique(known, return_counts=True)
        if len(values) < FEWEST_VALUES:
            continue
        telling = np.isin(numbers[child], values[counts <= TOP * rows])
        said = int(np.count_nonzero(telling))
        near = [
            parent
            for parent in names[:place]
            if np.count_nonzero((quick[parent] == quick[child]) & telling[screen])
            >= LEAST_MORE / 2 * np.count_nonzero(telling[screen])
        ]
        left, least = telling, LEAST_REPEATED * said
        while near and said >= FEWEST_ROWS:
            equal = np.array([np.count_nonzero((numbers[parent] == numbers[child]) & left) for parent in near])
            best = near.pop(int(equal.argmax()))
            if equal.max() < least or equal.max() < FEWEST_ROWS / 2:
                break
            if _stands_out(numbers[child], numbers[best], left, values):
                found.setdefault(child, []).append(Combination.column(best))
                left, least = left & (numbers[best] != numbers[child]), LEAST_MORE * said
    return found


def _stands_out(child: np.ndarray, parent: np.ndarray, rows: np.ndarray, values: np.ndarray) -> bool:
    """Whether two columns are equal far more often than they are next to each other, or would be by chance."""
    own, other = child[rows], parent[rows]
    place = np.searchsorted(values, own)
    same = own == other
    repeated = np.bincount(place[same], minlength=len(values))
    after, before = np.append(values[1:], np.nan)[place], np.append(np.nan, values[:-1])[place]
    beside = max(int(np.count_nonzero(other == one)) for one in (after, before))
    theirs = np.searchsorted(values, other[np.isin(other, values)])
    shares, others = (np.bincount(one, minlength=len(values)) for one in (place, theirs))
    chance = float(shares @ others) / max(len(own), 1)
    return bool(repeated.sum() - repeated.max(initial=0) > TIMES * max(float(beside), chance))
