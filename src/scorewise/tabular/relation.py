"""Relations between columns: one is a function of another, or equals another, or a signed sum of two."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

SCREENED_ROWS = 2_000
FEWEST_TOLD = 10
ROUNDING = 1e-9
"""Share of the sizes of its terms within which a sum of two columns is equal to a third."""


class Combination(NamedTuple):
    """A number column, or a sum or difference of two: what another column may be compared with.

    Attributes:
        names: of one or two columns.
        signs: 1 or -1 for each.
    """

    names: tuple[str, ...]
    signs: tuple[int, ...]

    @classmethod
    def column(cls, name: str) -> Combination:
        """A column by itself."""
        return cls((name,), (1,))

    @classmethod
    def from_json(cls, said: Mapping[str, int]) -> Combination:
        """Rebuild it from `to_json`.

        Args:
            said: signs by name.

        Returns:
            The combination.

        Raises:
            ValueError: if there are not one or two columns, or a sign is neither 1 nor -1.
        """
        if not isinstance(said, Mapping) or len(said) not in {1, 2} or not set(said.values()) <= {1, -1}:
            raise ValueError(f"a combination must have one or two columns with signs 1 or -1, however: {said}")
        return cls(tuple(said), tuple(said.values()))

    def to_json(self) -> dict[str, int]:
        """Give the signs by name."""
        return dict(zip(self.names, self.signs, strict=True))

    def total(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Add up.

        Args:
            values: of the columns, (N,) each, NaN where missing.

        Returns:
            Shape (N,), NaN where a term is missing.
        """
        if self.signs == (1,):
            return values[self.names[0]]
        total: np.ndarray = sum(s * values[n] for n, s in zip(self.names, self.signs, strict=True))  # type: ignore[assignment]
        return total

    def equal(self, child: np.ndarray, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Tell where a column is equal to it: to the unit, of a sum up to the rounding of its terms.

        Args:
            child: values of the column, shape (N,).
            values: of the columns of the combination, (N,) each.

        Returns:
            Shape (N,), False where a cell is missing.
        """
        total = self.total(values)
        if len(self.names) == 1:
            same: np.ndarray = total == child
            return same
        near: np.ndarray = np.abs(total - child) <= ROUNDING * sum(np.abs(values[name]) for name in self.names)
        return near


def nearly(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Tell where values are equal to others up to the rounding of these.

    Args:
        values: NaN where missing; may be as large as there are.
        others: likewise, of a shape that fits.

    Returns:
        False where one is missing.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        equal: np.ndarray = np.abs(values - others) <= ROUNDING * np.abs(others)
    return equal


class Function(NamedTuple):
    """A column that another one determines, or a part of its moments, such as the month.

    Attributes:
        child: name of the determined column.
        parent: name of the column that determines it.
        table: code of the child for each code of the parent, shape (levels of the parent,).
        part: which part of the parent's moments the codes are of; None where they are those of the column.
        first: the least value of that part.
    """

    child: str
    parent: str
    table: np.ndarray
    part: str | None = None
    first: float = 0.0


def find_functions(codes: Mapping[str, np.ndarray], levels: Mapping[str, int]) -> list[Function]:
    """Find the coded columns that are functions of one other coded column in every row.

    A function counts as found only where the parent has ten rows a level or more on average, and `FEWEST_TOLD` rows
    tell of it: rows of another code than the child's most frequent one, at a level of the parent that other rows share.
    So it is not an accident of few rows. Of two columns that determine each other the first stays.

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
            if lookup(codes[parent][screen], codes[child][screen], levels[parent]) is None:
                continue
            table = lookup(codes[parent], codes[child], levels[parent])
            if table is not None and told(codes[parent], codes[child]) >= FEWEST_TOLD:
                found.append(Function(child, parent, table))
                determined.add(child)
                break
    return found


def lookup(parent: np.ndarray, child: np.ndarray, levels: int) -> np.ndarray | None:
    """Give the table of a function.

    Args:
        parent: codes, shape (N,).
        child: codes, shape (N,).
        levels: number of codes of the parent.

    Returns:
        Code of the child for each code of the parent, 0 where no row has it, shape (levels,); None where there is no
        function.
    """
    table = np.zeros(levels, dtype=np.int64)
    table[parent] = child
    return table if bool((table[parent] == child).all()) else None


def told(parent: np.ndarray, child: np.ndarray) -> int:
    """Count the rows that tell of a function: of another code than the child's most frequent one, and not alone.

    Args:
        parent: codes, shape (N,).
        child: codes, shape (N,).

    Returns:
        The number of rows that share their code of the parent with others, and whose child is another than most.
    """
    shared = np.bincount(parent)[parent] > 1
    return int(np.count_nonzero(shared & (child != np.bincount(child).argmax())))


def most_frequent(
    child: np.ndarray, size: int, parent: np.ndarray, levels: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the most frequent code of a column at each code of another one.

    Args:
        child: codes, shape (N,).
        size: number of codes of the child.
        parent: codes, shape (N,).
        levels: number of codes of the parent.

    Returns:
        That code, the rows that have it, and the rows of the next frequent one, shape (levels,) each; 0 where no row
        has the parent's code.
    """
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


def ordered(names: Sequence[str], parents: Mapping[str, Sequence[str]]) -> list[str]:
    """Put columns in an order in which each stands after those that it depends on.

    Args:
        names: in table order.
        parents: columns that a column depends on; none comes to depend on itself.

    Returns:
        The names; each comes where it is first needed, and in the order given otherwise.
    """
    order: dict[str, None] = {}

    def place(name: str) -> None:
        for parent in parents.get(name, ()):
            if parent not in order:
                place(parent)
        order[name] = None

    for name in names:
        if name not in order:
            place(name)
    return list(order)


def before(name: str, *after: Mapping[str, Collection[str]]) -> set[str]:
    """Find all columns that one comes after.

    Args:
        name: of the column.
        after: columns that a column comes directly after, from one or more sources.

    Returns:
        Their names, and its own.
    """
    seen, left = set[str](), [name]
    while left:
        one = left.pop()
        if one not in seen:
            seen.add(one)
            left += [other for some in after for other in some.get(one, ())]
    return seen


def ranked(values: np.ndarray) -> np.ndarray:
    """Give the ranks of the values of each column, missing ones last.

    Args:
        values: shape (N, n).

    Returns:
        Ranks from 0, float64, shape (N, n).
    """
    ranks: np.ndarray = np.argsort(np.argsort(values, axis=0, kind="stable"), axis=0, kind="stable").astype(np.float64)
    return ranks


def entropy(counts: np.ndarray) -> float:
    """Give the entropy of shares.

    Args:
        counts: rows of each kind, shape (K,).

    Returns:
        Nats.
    """
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())


def find_equalities(
    numbers: Mapping[str, np.ndarray],
    free: Mapping[str, np.ndarray],
    sums: Sequence[tuple[str, Combination]] = (),
    share: float = 0.01,
) -> dict[str, list[Combination]]:
    """Find what each number column equals, to the unit, in a share of the rows: a column before it, or a sum of two.

    Parents are chosen greedily: first the one that explains most free rows of the child, then the one that explains
    most of those left, and so on.

    Args:
        numbers: values of each column in order, (N,), NaN where missing.
        free: rows of each column that need an explanation (not missing, not a common value), (N,) bool.
        sums: children, and signed sums of columns before them that they may be equal to.
        share: smallest share of all rows that makes a relation.

    Returns:
        For each child that has any, its parents, the most frequent first.
    """
    names = list(numbers)
    rows = len(next(iter(numbers.values()), []))
    screen = np.random.default_rng(0).permutation(rows)[:SCREENED_ROWS]
    quick = {name: values[screen] for name, values in numbers.items()}
    found: dict[str, list[Combination]] = {}
    for position, child in enumerate(names):
        quick_free = free[child][screen]
        near = [
            parent
            for parent in [*map(Combination.column, names[:position]), *(sum_ for one, sum_ in sums if one == child)]
            if np.count_nonzero(parent.equal(quick[child], quick) & quick_free) >= 0.5 * share * len(screen)
        ]
        left = free[child].copy()
        while near:
            counts = [np.count_nonzero(parent.equal(numbers[child], numbers) & left) for parent in near]
            best = int(np.argmax(counts))
            if counts[best] < share * rows or counts[best] < 10:
                break
            found.setdefault(child, []).append(near[best])
            left &= ~near[best].equal(numbers[child], numbers)
            del near[best]
    return found
