"""Sums: columns that are near the sum or the difference of two others, or on one side of it, found in the data."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from scorewise.tabular.relation import Combination, ranked

FEWEST_ROWS, SCREENED_ROWS = 100, 2_000
PAIRS, THIRDS = 96, 12
STRATA = 40
NEAR = 0.02
"""Share of the sizes of all terms within which they cancel."""
LEAST_INFORMATION, CHANCE = 0.05, 25.0
"""Nats a row that a sum must tell, and nats of all rows together that no sum of thousands tells by chance."""
MOST_SUMS = 32

_Terms = tuple[tuple[int, int], ...]
"""Positions and signs of three columns."""


class Sum(NamedTuple):
    """A column tied to a signed sum of two others, such as a balance to the one before less what was paid.

    Attributes:
        child: name of the column.
        parent: the sum, to which the child is near, or than which it is hardly ever larger, or smaller.
    """

    child: str
    parent: Combination


def find_sums(numbers: Mapping[str, np.ndarray], common: Mapping[str, np.ndarray]) -> list[Sum]:
    """Find columns that are tied to the sum or the difference of two others.

    Whether `r = a + s b + t c` is negative, near 0 (within `NEAR` of the sizes of its terms) or positive is counted
    over rows, and counted again with c taken from other rows with nearly the same a, or b. The relative entropy of the
    first shares to the second tells what the rows as they are say about the three columns together: of the two
    permutations the smaller one is taken, and what the sum of c with a or b alone tells is subtracted. Sums of
    `LEAST_INFORMATION` nats a row and more are relations, where that is more than chance. Looked at are the most
    correlated pairs, each with the columns that are most correlated with it.

    The child is the column with fewest common values, among equals the first; no column is so twice, nor comes to
    depend on itself.

    Args:
        numbers: values of each column in table order, (N,), NaN where missing.
        common: which of them are values that many rows share, (N,) bool.

    Returns:
        The sums, those that tell most first, `MOST_SUMS` at most.
    """
    names = list(numbers)
    rows = len(numbers[names[0]]) if names else 0
    if len(names) < 3 or rows < FEWEST_ROWS:
        return []
    screen = np.random.default_rng(0).permutation(rows)[:SCREENED_ROWS]
    values = np.stack([numbers[name][screen] for name in names], 1).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # of huge values, which are then as good as missing
        told = _told(values)
    shared = [float(common[name].mean()) for name in names]
    found: dict[str, Sum] = {}
    for signed, _ in sorted(told.items(), key=lambda item: -item[1])[:MOST_SUMS]:
        terms = dict(signed)
        for child in sorted(terms, key=lambda i: (round(20 * shared[i]), i)):
            first, second = (i for i in terms if i != child)
            if names[child] in found or child in _ancestors((first, second), names, found):
                continue
            signs = (-terms[first] * terms[child], -terms[second] * terms[child])
            found[names[child]] = Sum(names[child], Combination((names[first], names[second]), signs))
            break
    return list(found.values())


def _terms(*signed: tuple[int, int]) -> _Terms:
    """Put terms in the order of their positions, the first one positive."""
    first, *rest = sorted(signed)
    return tuple((position, sign * first[1]) for position, sign in (first, *rest))


def _told(values: np.ndarray) -> dict[_Terms, float]:
    """What each signed sum of three columns tells, in nats a row, where it is enough."""
    generator = np.random.default_rng(0)
    ranks = ranked(values)
    alike = np.abs(np.corrcoef(ranks.T))
    swaps = [_swapped(ranks[:, i], generator) for i in range(values.shape[1])]
    left, right = np.triu_indices(values.shape[1], 1)
    strongest = np.argsort(-alike[left, right], kind="stable")[:PAIRS]
    known, told = np.isfinite(values), dict[_Terms, float]()
    for i, j in zip(left[strongest].tolist(), right[strongest].tolist(), strict=True):
        nearness = np.maximum(alike[i], alike[j])
        nearness[[i, j]] = -1.0
        thirds = np.argsort(-nearness, kind="stable")[: min(THIRDS, len(nearness) - 2)]
        a, b = values[:, [i]], values[:, [j]]
        rows = np.count_nonzero(known[:, [i]] & known[:, [j]] & known[:, thirds], axis=0)
        enough = np.maximum(LEAST_INFORMATION, CHANCE / np.maximum(rows, 1))
        for s in (-1, 1):
            for t in (-1, 1):
                nats = _beyond(a, s * b, t * values[:, thirds], (swaps[i], swaps[j]))
                for k, one in zip(thirds[nats >= enough].tolist(), nats[nats >= enough].tolist(), strict=True):
                    terms = _terms((i, 1), (j, s), (k, t))
                    told[terms] = max(one, told.get(terms, 0.0))
    return told


def _beyond(a: np.ndarray, b: np.ndarray, third: np.ndarray, swaps: Sequence[np.ndarray]) -> np.ndarray:
    """What the sum of a, b and each third tells beyond those of the third with a or with b alone, shape (K,)."""
    least = _least_entropy(a + b, np.abs(a) + np.abs(b), third, swaps)
    likely = np.flatnonzero(least >= LEAST_INFORMATION)
    if len(likely):
        alone = [_least_entropy(one, np.abs(one), third[:, likely], swaps) for one in (a, b)]
        least[likely] -= np.max(alone, axis=0)
    return least


def _least_entropy(rest: np.ndarray, size: np.ndarray, third: np.ndarray, swaps: Sequence[np.ndarray]) -> np.ndarray:
    least: np.ndarray = np.min([_entropy(rest, size, third, swap) for swap in swaps], axis=0)
    return least


def _entropy(rest: np.ndarray, size: np.ndarray, third: np.ndarray, swap: np.ndarray) -> np.ndarray:
    """Relative entropy of how terms cancel to how they do with the third one of other rows, in nats, shape (K,)."""
    own, other = (_shares(rest + one, size + np.abs(one)) for one in (third, third[swap]))
    told: np.ndarray = (own * np.log(own / other)).sum(0)
    return told


def _shares(total: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Shares of the rows in which a sum is negative, near 0 and positive, shape (3, K); never 0."""
    below, above = (
        np.count_nonzero(kind & np.isfinite(total), axis=0) for kind in (total < -NEAR * size, total > NEAR * size)
    )
    known = np.count_nonzero(np.isfinite(total), axis=0)
    shares: np.ndarray = (np.stack([below, known - below - above, above]) + 2.0) / (known + 6.0)
    return shares


def _swapped(ranks: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Exchange rows at random among those of nearly the same rank."""
    stratum = (ranks * STRATA / len(ranks)).astype(np.int64)
    there = np.empty(len(ranks), dtype=np.int64)
    there[np.argsort(stratum, kind="stable")] = np.lexsort((generator.random(len(ranks)), stratum))
    return there


def _ancestors(positions: Collection[int], names: Sequence[str], found: Mapping[str, Sum]) -> set[int]:
    """Positions of columns and of all that they depend on."""
    place = {name: i for i, name in enumerate(names)}
    seen: set[int] = set()
    left = list(positions)
    while left:
        position = left.pop()
        if position not in seen:
            seen.add(position)
            parents = found[names[position]].parent.names if names[position] in found else ()
            left += [place[parent] for parent in parents]
    return seen
