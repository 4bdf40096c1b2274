"""What no row of a table has, though of independent columns many would: bounds of columns, and levels kept apart.

Nor has it what columns would have to be computed from, but are not in any row: values beyond its own, unknown pairs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from scorewise.tabular import dtype, grid, rows
from scorewise.tabular.column import Column
from scorewise.tabular.computation import Computation
from scorewise.tabular.formula import tolerances
from scorewise.tabular.joint import Joint
from scorewise.tabular.relation import ROUNDING, entropy, nearly
from scorewise.tabular.schema import Cells, Schema
from scorewise.tabular.usual import level_codes, number_codes

EXPECTED = 20
"""Rows of independent columns that make it no accident that there is none."""
MOST_WRONG, ROWS_EACH = 2, 1_000
"""Rows that may break a bound, such as those in which a number was typed wrongly: so many, and one of so many rows."""
MOST_CODES, MOST_COLUMNS = 64, 100
"""Codes of a column, and columns, whose pairs are looked at; of more columns those that vary most."""
MOST_COMMON, COMMON_SHARE = 8, 0.01
"""Values of a number that has more of them that are codes: so many, each of which such a share of the rows has."""
SCREENED_CELLS, MOST_SHUFFLED = 200_000, 100_000
MOST_LOST, FEWEST_MADE = 0.1, 20
"""The largest share that a common value may lose of a model's rows that have it, where so many have."""
LEAST_KEPT = 0.4
"""The least share of a model's rows that must be left."""
_TOLERANCE_NS = 1_000.0
T = TypeVar("T")


class Values(NamedTuple):
    """What is a code of a number column.

    Attributes:
        known: values, increasing, shape (K,).
        every: whether these are all that the column has: then others, which are new, count as the nearest one. Else
            they are those that many rows share, such as a 0, or a -9 for what is not known, and others are one code.
    """

    known: np.ndarray
    every: bool

    @property
    def codes(self) -> int:
        """The number of codes, that of missing cells included, which is the last one."""
        return max(len(self.known), 1) + 1 if self.every else len(self.known) + 2

    def of(self, column: np.ndarray) -> np.ndarray:
        """Give the codes of a column.

        Args:
            column: its values, NaN where missing, shape (N,).

        Returns:
            Codes, int64, shape (N,).
        """
        others, gone = len(self.known), np.isnan(column)
        if not others:
            missing: np.ndarray = gone.astype(np.int64)
            return missing
        code = number_codes(column, self.known)
        if self.every:
            return code
        nearest = self.known[code.clip(max=others - 1)]
        found: np.ndarray = np.where(gone, others + 1, np.where(nearly(column, nearest), code, others))
        return found


class Unseen(NamedTuple):
    """What no row has.

    Attributes:
        bounds: pairs of columns that are numbers, the first of which is below the second in no row, or in one or two of
            thousands.
        apart: pairs of columns, and which of their pairs of codes no row has, bool, shape (K, L).
        values: what are codes of number columns, by name.
        beyond: what computes columns, of which no value is beyond those of the table.
        left: the share of a model's rows that have nothing of it.
        unknown: columns that are looked up by pairs of codes, of which the table has no others.
    """

    bounds: tuple[tuple[str, str], ...]
    apart: tuple[tuple[str, str, np.ndarray], ...]
    values: dict[str, Values]
    beyond: tuple[Computation, ...] = ()
    left: float = 1.0
    unknown: tuple[Joint, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.bounds or self.apart or self.beyond or self.unknown)

    @property
    def steady(self) -> Unseen:
        """The same without what depends on whether a number has exactly a common value.

        A score next to those of such a value is another number. So margins that were fitted to the rows that are left
        would decide which rows these are: of visits of a shop, they went on moving while ever more rows were lost.
        """
        return self._replace(apart=tuple(pair for pair in self.apart if not self._is_common(pair[0], pair[1])))

    def _is_common(self, first: str, second: str) -> bool:
        """Whether a pair of columns is kept apart by common values."""
        return any(len(one.known) > 0 and not one.every for name, one in self.values.items() if name in {first, second})

    def allowed(self, schema: Schema, cells: Cells) -> np.ndarray:
        """Tell which rows have nothing that no row of the table has.

        Args:
            schema: what the table is.
            cells: columns with shape (N,).

        Returns:
            Shape (N,), bool.
        """
        broken: np.ndarray = np.any([np.zeros(rows.count(cells), dtype=bool), *self._broken(schema, cells)], axis=0)
        return ~broken

    def narrowed(self, schema: Schema, made: Cells) -> Unseen:
        """Keep what a model errs in.

        Args:
            schema: what the table is.
            made: columns of rows that a model made, shape (N,).

        Returns:
            What some of the rows have, as long as `LEAST_KEPT` of the rows have nothing of it, that of the fewest rows
            first; of common values, only where no value loses more than `MOST_LOST` of its rows.
        """
        broken = self._broken(schema, made)
        common = {i for i, pair in enumerate(self.apart, len(self.bounds)) if self._is_common(pair[0], pair[1])}
        codes = self._codes([self.apart[place - len(self.bounds)] for place in common], made).values()
        left, kept = np.ones(rows.count(made), dtype=bool), set[int]()
        counts = [(place in common, int(one.sum()), place) for place, one in enumerate(broken)]
        steady = left
        for is_common, _, place in sorted(one for one in counts if one[1]):
            still = left & ~broken[place]
            if not is_common:
                steady = still if still.mean() >= LEAST_KEPT else steady
            elif max(_lost(code[steady], ~still[steady]) for code in codes) > MOST_LOST:
                continue
            if still.mean() >= LEAST_KEPT:
                left = still
                kept.add(place)
        starts = np.cumsum([0, len(self.bounds), len(self.apart), len(self.beyond)]).tolist()
        bounds = _at(self.bounds, kept, starts[0])
        apart = _at(self.apart, kept, starts[1])
        beyond = _at(self.beyond, kept, starts[2])
        unknown = _at(self.unknown, kept, starts[3])
        used = {name for first, second, _ in apart for name in (first, second)}
        values = {name: known for name, known in self.values.items() if name in used}
        return Unseen(bounds, apart, values, beyond, float(left.mean()), unknown)

    def _broken(self, schema: Schema, cells: Cells) -> list[np.ndarray]:
        """For each bound, pair kept apart, computed and looked up column, which rows have what no row has."""
        values = schema.numeric(cells) if self.bounds or self.beyond else {}
        found = [_below(schema.column(first), schema.column(second), values) for first, second in self.bounds]
        codes = self._codes(self.apart, cells)
        found += [table[codes[first], codes[second]] for first, second, table in self.apart]
        found += [_outside(schema.column(one.child), one.of(values)) for one in self.beyond]
        return found + [~one.known(cells.numbers, cells.categories) for one in self.unknown]

    def _codes(self, apart: Iterable[tuple[str, str, np.ndarray]], cells: Cells) -> dict[str, np.ndarray]:
        """Codes of the columns of some pairs, (N,) each."""
        sizes = {
            n: size for first, second, table in apart for n, size in zip((first, second), table.shape, strict=True)
        }
        return {name: _codes(name, cells, self.values, size) for name, size in sizes.items()}

    def to_json(self) -> dict[str, Any]:
        """Give what is not an array."""
        apart = [[first, second, *table.shape] for first, second, table in self.apart]
        bounds = [list(pair) for pair in self.bounds]
        return {
            "bounds": bounds,
            "apart": apart,
            "values": [[name, one.every] for name, one in self.values.items()],
            "beyond": [one.child for one in self.beyond],
            "left": self.left,
            "unknown": [one.child for one in self.unknown],
        }

    def arrays(self) -> dict[str, Tensor]:
        """Give the arrays by name; together with `to_json` they are what no row has."""
        tables = {f"apart.{i}": table for i, (*_, table) in enumerate(self.apart)}
        values = {f"values.{i}": one.known for i, one in enumerate(self.values.values())}
        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in (tables | values).items()}

    @classmethod
    def from_parts(
        cls,
        said: Mapping[str, Any],
        arrays: Mapping[str, Tensor],
        schema: Schema,
        computed: Sequence[Computation] = (),
        joint: Sequence[Joint] = (),
    ) -> Self:
        """Rebuild it from `to_json` and `arrays`.

        Args:
            said: the plain form.
            arrays: the arrays by name.
            schema: what the table is.
            computed: what computes columns of it.
            joint: columns of it that are looked up by pairs.

        Returns:
            What no row has.

        Raises:
            KeyError: if a part is missing.
            ValueError: if a part does not fit the schema.
        """
        values = {name: Values(arrays[f"values.{i}"].numpy(), every) for i, (name, every) in enumerate(said["values"])}
        categories = {column.name: column for column in schema.categories}
        numbers = {column.name for column in schema.numbers}
        known = numbers | {name for name, column in categories.items() if column.numeric_levels is not None}
        bounds = tuple((first, second) for first, second in said["bounds"])
        apart = []
        for i, (first, second, *shape) in enumerate(said["apart"]):
            table = arrays[f"apart.{i}"].numpy()
            sizes = [
                values[name].codes if name in values else len(categories[name].levels or ()) + 1
                for name in (first, second)
            ]
            if table.dtype != np.bool_ or list(table.shape) != list(shape) or sizes != list(shape):
                raise ValueError(f"{first!r} and {second!r} are kept apart by a table of shape {table.shape}")
            apart.append((first, second, table))
        if not LEAST_KEPT <= (left := float(said["left"])) <= 1:
            raise ValueError(f"{LEAST_KEPT} of a model's rows must be left at least, and 1 at most, however: {left}")
        if strange := (values.keys() - numbers) | ({name for pair in bounds for name in pair} - known):
            raise ValueError(f"bounds and values must be of columns that are numbers, however: {sorted(strange)}")
        by_name, looked_up = {one.child: one for one in computed}, {one.child: one for one in joint}
        if strange := set(said["beyond"]) - by_name.keys():
            raise ValueError(f"what is not to be beyond the table must be computed, however: {sorted(strange)} are not")
        if strange := set(said["unknown"]) - looked_up.keys():
            raise ValueError(f"what has no unknown pairs must be looked up by them, however: {sorted(strange)} are not")
        beyond = tuple(by_name[name] for name in said["beyond"])
        return cls(bounds, tuple(apart), values, beyond, left, tuple(looked_up[name] for name in said["unknown"]))


def find_unseen(
    schema: Schema,
    cells: Cells,
    seed: int = 0,
    computed: Sequence[Computation] = (),
    joint: Sequence[Joint] = (),
) -> Unseen:
    """Find what no row has, though `EXPECTED` rows or more would have it if columns were independent.

    That is one number being below another (a total below its part, an end before its start), and two codes together
    (a state and a city elsewhere; a cell that is there beside one that is missing). Codes are levels, values of numbers
    that have few, and of other numbers the values that many rows share, what is none of these, and what is missing.
    What none of the table's rows has next to none of further rows would have, so next to nothing that could be is left
    out of a sample by this. A bound may be broken by `MOST_WRONG` rows, one of `ROWS_EACH` at most: a single number
    that was typed wrongly would hide it. Nor is what a column is computed to be beyond its values in the table, such as
    the share that a rank above the number of those ranked is, nor do two columns have together what a third one cannot
    be looked up by.

    Args:
        schema: what the table is.
        cells: of its N rows.
        seed: of the order in which columns are independent.
        computed: what computes columns, in every row.
        joint: columns that are looked up by pairs of codes.

    Returns:
        What no row has.
    """
    bounds = _find_bounds(schema, cells, np.random.default_rng(seed))
    return Unseen(bounds, *_find_apart(schema, cells), tuple(computed), unknown=tuple(joint))


def _at(some: tuple[T, ...], places: Collection[int], start: int) -> tuple[T, ...]:
    """Those of which the places, counted from a start, are among others."""
    return tuple(one for place, one in enumerate(some, start) if place in places)


def _lost(codes: np.ndarray, broken: np.ndarray) -> float:
    """The largest share of the rows of a code, (N,), that are broken, (N,)."""
    rows_of, lost = np.bincount(codes), np.bincount(codes[broken], minlength=int(codes.max()) + 1)
    return float((lost / np.maximum(rows_of, 1))[rows_of >= FEWEST_MADE].max(initial=0.0))


def _find_bounds(schema: Schema, cells: Cells, generator: np.random.Generator) -> tuple[tuple[str, str], ...]:
    values, count = schema.numeric(cells), rows.count(cells)
    columns = [schema.column(name) for name in values]
    columns = [column for column in columns if column.origin is None or dtype.family(column.counted) == "moment"]
    some = generator.permutation(count)[: max(1, SCREENED_CELLS // max(len(columns), 1))]
    quick = {name: column[some] for name, column in values.items()}
    more = generator.permutation(count)[:MOST_SHUFFLED]
    shuffled = {name: generator.permutation(column[more]) for name, column in values.items()}
    least, wrong = EXPECTED * len(more) / count, min(MOST_WRONG, count // ROWS_EACH)
    found = []
    for first in columns:
        for second in columns:
            if first is second or (first.origin is None) != (second.origin is None):
                continue
            if np.count_nonzero(_below(first, second, quick)) > wrong:
                continue
            rows_below = np.count_nonzero(_below(first, second, values))
            if rows_below <= wrong and np.count_nonzero(_below(first, second, shuffled)) >= least * (1 + rows_below):
                found.append((first.name, second.name))
    return tuple(found)


def _below(first: Column, second: Column, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Where a column is below another one by more than rounding, shape (N,)."""
    left, right = values[first.name], values[second.name]
    below: np.ndarray
    with np.errstate(over="ignore", invalid="ignore"):  # of huge values
        if first.origin is None:
            below = left < right - ROUNDING * (np.abs(left) + np.abs(right))
        else:
            apart = left * first.tick_ns - right * second.tick_ns + float(first.origin_ns - second.origin_ns)
            below = apart < -_TOLERANCE_NS
    return below


def _outside(column: Column, computed: np.ndarray) -> np.ndarray:
    """Where what is computed of a column is beyond its range by more than rounding, shape (N,)."""
    levels, step = column.numeric_levels, column.step
    low, high = float(column.minimum or 0.0), float(column.maximum or 0.0)
    if levels is not None:
        low, high, step = float(levels.min()), float(levels.max()), grid.step(levels)
    slack = tolerances(np.array([low, high]), step)[1]
    outside: np.ndarray = (computed < low - slack) | (computed > high + slack)
    return outside


def _find_apart(schema: Schema, cells: Cells) -> tuple[tuple[tuple[str, str, np.ndarray], ...], dict[str, Values]]:
    values = {name: known for name, column in cells.numbers.items() if (known := _told(column)) is not None}
    sizes = {name: known.codes for name, known in values.items()}
    sizes |= {column.name: len(column.levels or ()) + 1 for column in schema.categories}
    narrow = {name: size for name, size in sizes.items() if size <= MOST_CODES + 1}
    codes = {name: _codes(name, cells, values, size).astype(np.uint8) for name, size in narrow.items()}
    spread = {name: entropy(np.bincount(code)) for name, code in codes.items()}
    some = set(sorted((name for name in codes if spread[name] > 0), key=lambda name: -spread[name])[:MOST_COLUMNS])
    found = []
    for first, second in combinations([name for name in schema.names if name in some], 2):
        shape = sizes[first], sizes[second]
        both = codes[first] * np.intp(shape[1]) + codes[second]
        counts = np.bincount(both, minlength=shape[0] * shape[1]).reshape(shape)
        expected = counts.sum(1, keepdims=True) * (counts.sum(0, keepdims=True) / max(counts.sum(), 1))
        never = (counts == 0) & (expected >= EXPECTED)
        if never.any():
            found.append((first, second, never))
    used = {name for first, second, _ in found for name in (first, second)}
    return tuple(found), {name: known for name, known in values.items() if name in used}


def _told(column: np.ndarray) -> Values | None:
    """What are codes of a number column; None where none of many values is common, and none missing."""
    known, counts = np.unique(column[~np.isnan(column)], return_counts=True)
    if len(known) <= MOST_CODES:
        return Values(known, True)
    order = np.argsort(-counts, kind="stable")[:MOST_COMMON]
    common = np.sort(known[order[counts[order] >= COMMON_SHARE * len(column)]])
    return Values(common, False) if len(common) or np.isnan(column).any() else None


def _codes(name: str, cells: Cells, values: Mapping[str, Values], size: int) -> np.ndarray:
    """Codes of a column, the last of which is missing, int64, shape (N,)."""
    if name in cells.categories:
        return level_codes(cells.categories[name], size)
    return values[name].of(cells.numbers[name])
