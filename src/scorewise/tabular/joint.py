"""Joint functions: columns that two others determine together, as a price by article and size, and neither alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple, Self

import numpy as np

from scorewise.tabular.relation import entropy, most_frequent
from scorewise.tabular.rows import as_bytes
from scorewise.tabular.schema import Cells, Schema
from scorewise.tabular.usual import level_codes, number_codes

SCREENED_ROWS, COMPARED = 4_000, 256
MOST_PAIRED = 64
"""Columns of which pairs are looked at, those that vary most."""
ROWS_EACH = 10
"""Rows of the table for each pair of codes that it has, on average."""
FEWEST_OTHERS = 2
"""Different rows of the table for each pair of codes, on average: where the same rows are there again and again, two
columns that tell one from another determine all others."""
MOST_SINGLE = 0.02
"""The largest share of rows that may be alone with their pair of codes: about as many new rows have a new pair."""
FEWEST_TOLD, SHARE_TOLD = 20, 0.005
"""Rows that neither parent tells, but which share their pair of codes with a row before them: so many, and such a share
of all rows."""

_ARRAYS = "first", "second", "pairs", "image", "usual"


class Joint(NamedTuple):
    """A column that two others determine together.

    Attributes:
        child: name of the determined column.
        parents: names of the two: categories, or numbers of recurring values.
        values: for each parent its values, increasing, shape (K,); none of a category.
        sizes: for each parent the number of its codes, that of missing cells included.
        pairs: pairs of codes that the table has, `first * sizes[1] + second`, increasing, shape (G,).
        image: code of the child for each, shape (G,).
        usual: code of the child that is the most frequent one with each code of the first parent, shape (sizes[0],): it
            stands in where the table does not have a pair.
    """

    child: str
    parents: tuple[str, str]
    values: tuple[np.ndarray, np.ndarray]
    sizes: tuple[int, int]
    pairs: np.ndarray
    image: np.ndarray
    usual: np.ndarray

    def of(self, numbers: Mapping[str, np.ndarray], categories: Mapping[str, np.ndarray]) -> np.ndarray:
        """Look the column up.

        Args:
            numbers: values of the number columns, NaN where missing, (N,) each; the parents must be there.
            categories: codes of the categories, likewise; less than 0, or the last one, where missing.

        Returns:
            Codes of the child, shape (N,).
        """
        first, place, known = self._places(numbers, categories)
        found: np.ndarray = np.where(known, self.image[place], self.usual[first])
        return found

    def known(self, numbers: Mapping[str, np.ndarray], categories: Mapping[str, np.ndarray]) -> np.ndarray:
        """Tell in which rows the table has the pair of codes.

        Args:
            numbers: values of the number columns, NaN where missing, (N,) each; the parents must be there.
            categories: codes of the categories, likewise.

        Returns:
            Shape (N,), bool.
        """
        return self._places(numbers, categories)[2]

    def _places(
        self, numbers: Mapping[str, np.ndarray], categories: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Codes of the first parent, places among the pairs, and whether they are those of the pair, (N,) each."""
        first, second = (
            _codes(name, values, size, numbers, categories)
            for name, values, size in zip(self.parents, self.values, self.sizes, strict=True)
        )
        pair = first * self.sizes[1] + second
        place = np.searchsorted(self.pairs, pair).clip(max=len(self.pairs) - 1)
        return first, place, self.pairs[place] == pair

    def to_json(self) -> dict[str, Any]:
        """Give all but the arrays as plain values."""
        return {"child": self.child, "parents": list(self.parents), "sizes": list(self.sizes)}

    def arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """Give the arrays by name; together with `to_json` they are the function.

        Args:
            prefix: of each name.

        Returns:
            The arrays.
        """
        arrays = (*self.values, self.pairs, self.image, self.usual)
        return {prefix + name: array for name, array in zip(_ARRAYS, arrays, strict=True)}

    @classmethod
    def from_parts(cls, said: Mapping[str, Any], arrays: Mapping[str, np.ndarray], prefix: str, schema: Schema) -> Self:
        """Rebuild it from `to_json` and `arrays`.

        Args:
            said: the plain form.
            arrays: the arrays by name.
            prefix: of the names.
            schema: what the table is.

        Returns:
            The function.

        Raises:
            KeyError: if a part is missing.
            ValueError: if the parts do not fit one another, or the table.
        """
        first, second, pairs, image, usual = (arrays[prefix + name] for name in _ARRAYS)
        one, other = map(str, said["parents"])
        sizes = int(said["sizes"][0]), int(said["sizes"][1])
        known = {column.name: len(column.levels or ()) for column in schema.categories}
        numbers = {column.name for column in schema.numbers}
        for name, values, size in ((one, first, sizes[0]), (other, second, sizes[1])):
            there = known[name] if name in known else len(values) if name in numbers else -1
            if size - there not in {0, 1}:
                raise ValueError(f"codes of {name!r}, by which {said['child']!r} is looked up, cannot be {size}")
        if (
            not len(pairs) == len(image) > 0
            or len(usual) != sizes[0]
            or not (np.diff(pairs) > 0).all()
            or not 0 <= pairs[0] <= pairs[-1] < sizes[0] * sizes[1]
        ):
            raise ValueError(f"{said['child']!r} must be told for pairs of codes of {one!r} and {other!r}")
        return cls(str(said["child"]), (one, other), (first, second), sizes, pairs, image, usual)


def find_joint(
    codes: Mapping[str, np.ndarray],
    levels: Mapping[str, int],
    values: Mapping[str, np.ndarray],
    children: Collection[str],
    cells: Cells,
) -> list[Joint]:
    """Find the coded columns that are functions of two others in every row.

    A function counts as found where the table has `ROWS_EACH` rows or more for each pair of codes, hardly any of which
    are of one row, and where enough rows tell of it (`FEWEST_TOLD`): rows of another code than the one that is the most
    frequent with the first parent's alone, and with the second's, that a row before them of the same pair foretells. So
    it is no accident of few rows, nor of one parent that nearly determines the column; nor of rows that are there
    several times, since there are `FEWEST_OTHERS` different rows for each pair. Of several, that of the fewest pairs is
    taken, then the child of the most codes (a count of all rather than its parts), then the later one.

    Args:
        codes: codes of each column, (N,) from 0; missing cells have the last one.
        levels: number of codes of each.
        values: values of those that are numbers, increasing.
        children: columns that may be determined.
        cells: the table.

    Returns:
        The functions. No parent is a child.
    """
    names, rows = list(codes), len(next(iter(codes.values()), []))
    spread = {name: entropy(np.bincount(codes[name])) for name in names if 2 * ROWS_EACH * levels[name] <= rows}
    keys = sorted(sorted(spread, key=lambda name: -spread[name])[:MOST_PAIRED], key=names.index)
    least = max(FEWEST_TOLD, SHARE_TOLD * rows)
    told = [name for name in names if name in children and rows - np.bincount(codes[name]).max() >= least]
    likely = sorted(_likely(codes, levels, keys, told), key=lambda one: (one[0], -levels[one[1]], -names.index(one[1])))
    found: dict[str, Joint] = {}
    parents = set[str]()
    different = len(set(as_bytes(cells))) if likely else 0
    for count, child, pair in likely:
        if FEWEST_OTHERS * count > different or child in found or child in parents or not found.keys().isdisjoint(pair):
            continue
        alone = [_exceptions(codes[child], levels[child], codes[name], levels[name]) for name in pair]
        if min(_foretold(_pairs(codes, levels, pair), exceptions) for exceptions, _ in alone) < least:
            continue
        order = pair if alone[0][0].sum() <= alone[1][0].sum() else (pair[1], pair[0])
        found[child] = _joint(child, order, codes, levels, values, alone[pair.index(order[0])][1])
        parents |= set(pair)
    return list(found.values())


def _likely(
    codes: Mapping[str, np.ndarray], levels: Mapping[str, int], keys: Sequence[str], children: Sequence[str]
) -> Iterator[tuple[int, str, tuple[str, str]]]:
    """Find the pairs of columns that determine a child in every row.

    Yields:
        The number of their codes, the child, and the two.
    """
    rows = len(next(iter(codes.values()), []))
    screen = np.sort(np.random.default_rng(0).permutation(rows)[:SCREENED_ROWS])
    quick = {name: codes[name][screen] for name in {*keys, *children}}
    every = np.stack([quick[name] for name in children], 1) if children else np.zeros((0, 0))
    for pair in combinations(keys, 2) if children else ():
        pairs = _pairs(quick, levels, pair)
        later, earlier = (side[:: max(1, len(side) // COMPARED)] for side in _again(pairs))
        alike: list[int] = np.flatnonzero((every[later] == every[earlier]).all(0)).tolist()
        left = [children[i] for i in alike if children[i] not in pair]
        if not (left := _same(pairs, left, quick)):
            continue
        whole = _pairs(codes, levels, pair)
        counts = np.unique(whole, return_counts=True)[1]
        if ROWS_EACH * len(counts) <= rows and np.count_nonzero(counts == 1) <= MOST_SINGLE * rows:
            yield from ((len(counts), child, pair) for child in _same(whole, left, codes))


def _pairs(codes: Mapping[str, np.ndarray], levels: Mapping[str, int], pair: tuple[str, str]) -> np.ndarray:
    both: np.ndarray = codes[pair[0]] * np.int64(levels[pair[1]]) + codes[pair[1]]
    return both


def _again(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a pair that a row before them has, too, and which row that is."""
    order = np.argsort(pairs, kind="stable")
    again = np.flatnonzero(pairs[order[1:]] == pairs[order[:-1]])
    return order[again + 1], order[again]


def _same(pairs: np.ndarray, children: Sequence[str], codes: Mapping[str, np.ndarray]) -> list[str]:
    """Those children that are the same in all rows of a pair."""
    later, earlier = _again(pairs)
    return [name for name in children if (codes[name][later] == codes[name][earlier]).all()]


def _exceptions(child: np.ndarray, size: int, parent: np.ndarray, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Which rows have not the child's most frequent code with that of a parent, (N,), and that code, (levels,)."""
    usual = most_frequent(child, size, parent, levels)[0]
    other: np.ndarray = usual[parent] != child
    return other, usual


def _foretold(pairs: np.ndarray, rows: np.ndarray) -> int:
    """How many of some rows, (N,) bool, come after another row of the same pair."""
    return int(rows.sum()) - len(np.unique(pairs[rows]))


def _joint(
    child: str,
    parents: tuple[str, str],
    codes: Mapping[str, np.ndarray],
    levels: Mapping[str, int],
    values: Mapping[str, np.ndarray],
    usual: np.ndarray,
) -> Joint:
    pairs, first = np.unique(_pairs(codes, levels, parents), return_index=True)
    known = np.array(values.get(parents[0], ())), np.array(values.get(parents[1], ()))  # copies, which can be saved
    sizes = levels[parents[0]], levels[parents[1]]
    return Joint(child, parents, known, sizes, pairs, codes[child][first], usual)


def _codes(
    name: str,
    values: np.ndarray,
    size: int,
    numbers: Mapping[str, np.ndarray],
    categories: Mapping[str, np.ndarray],
) -> np.ndarray:
    """Codes of a parent, (N,)."""
    if len(values):
        return number_codes(numbers[name], values)
    return level_codes(categories[name], size)
