"""Codec: a table as the rows of numbers that a denoiser learns, and back, exactly.

Each number column becomes a normal score by the randomised probability-integral transform: a value that many rows
share, such as zero, becomes an interval of scores, and comes back from anywhere in it, so that point masses are right
in the margin by construction and in their dependence on the other columns by learning. A column that has missing cells,
or equals another one in a share of the rows, has a **mode** besides: a category that says whether the cell is free,
which column it equals, or that it is missing. Modes and categories are one-hot. All are generated jointly.

NOTE: an explicit category for the common values (atoms) of each column was tried in the place of the intervals. On
Credit Default, at equal steps, a boosting detector told such tables apart more easily: the categories cost capacity at
the levels where the scores already carry the same information. So there are none.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from scipy.special import ndtr, ndtri
from torch import Tensor

from scorewise.difference import REACH
from scorewise.network import ABSENT, Group, Layout, Moments
from scorewise.tabular.calendar import WEEK, Calendar, find_calendars, part_of
from scorewise.tabular.components import fit_principal
from scorewise.tabular.determined import Determined, level_steps
from scorewise.tabular.digits import Digits
from scorewise.tabular.dummies import Dummies, find_dummies
from scorewise.tabular.gap import Gap, find_gaps
from scorewise.tabular.marginal import Marginal
from scorewise.tabular.number import Adjust, Number, equal_to_computed, fit_numbers
from scorewise.tabular.prevalent import Prevalent, find_prevalent
from scorewise.tabular.relation import Combination, before, ordered
from scorewise.tabular.schema import Cells, Schema
from scorewise.tabular.sums import Sum
from scorewise.tabular.table import TableError, to_arrow
from scorewise.tabular.usual import Usual, find_usual, number_codes

MOST_ONE_HOT = 256
EDGE = 1e-7
BEYOND = 40.0
MOST_BINS, MOST_BINS_EACH, FEWEST_BINS_EACH = 1_024, 64, 8
VALUE_POINTS = 8_193
MOST_SEEN, MOST_SEEN_CELLS = 2**13, 2**21
"""Encoded rows, and cells of them, that are looked at together."""


class Compact(NamedTuple):
    """Encoded rows before noise is drawn for the normal scores and codes are spread to one-hot vectors.

    Attributes:
        low: lower end of each number's probability, float32, shape (N, n).
        high: upper end, float32, shape (N, n).
        codes: code of each one-hot block, int32, shape (N, M).
    """

    low: Tensor
    high: Tensor
    codes: Tensor


class Chosen(NamedTuple):
    """Rows that a model made, without the one-hot coordinates: what is needed to decode them.

    Attributes:
        scores: normal scores of the numbers, shape (N, n).
        codes: code of each one-hot block, int32, shape (N, M).
    """

    scores: np.ndarray
    codes: np.ndarray

    def take(self, rows: np.ndarray) -> "Chosen":
        """Take some of the rows.

        Args:
            rows: their places, or which, shape (M,) or (N,) bool.

        Returns:
            These rows.
        """
        return Chosen(self.scores[rows], self.codes[rows])


class Codec:
    """Encoder and decoder of the tables of one schema. Use `Codec.fit`.

    Attributes:
        schema: what the table is.
        numbers: encoding of each number column.
        levels: number of levels of each category, the missing one included; of what dummies say together, too.
        dummies: columns of zeros and ones that say one category.
        determined: columns that others determine; they are not encoded.
        sums: encoded columns that are tied to a signed sum of two others.
        usual: columns that another one nearly determines; of a category `Usual.told` is encoded, of a number its mode
            says whether it has the usual value.
        prevalent: encoded columns that are computed from others in most rows; the mode says in which.
        digits: categories of many levels as two blocks.
        calendars: columns of moments that are told by the calendar. Parts of theirs are numbers, by the names that
            `part_of` gives.
        names: the one-hot blocks in the order of `codes`: column names; a mode is `(name, "mode")`, the second block
            of a category of many levels `(name, "member")`, the weekday of a moment `(name, "weekday")`.
        scored: numbers that are encoded, in the order of their coordinates.
        layout: coordinates of an encoded row.
    """

    def __init__(
        self,
        schema: Schema,
        numbers: Mapping[str, Number],
        levels: Mapping[str, int],
        dummies: Sequence[Dummies],
        determined: Determined,
        sums: Sequence[Sum],
        usual: Sequence[Usual],
        prevalent: Sequence[Prevalent],
        digits: Mapping[str, Digits],
        calendars: Mapping[str, Calendar],
        clip: bool = True,
    ) -> None:
        self.schema = schema
        self.numbers = dict(numbers)
        self.levels = dict(levels)
        self.dummies = tuple(dummies)
        self.determined = determined
        self.usual = tuple(usual)
        self.prevalent = tuple(prevalent)
        self.digits = dict(digits)
        self.calendars = dict(calendars)
        self.clip = clip
        children = determined.children
        self.sums = tuple(one for one in sums if not children & {one.child, *one.parent.names})
        self.scored = [name for name in self.numbers if name not in children and name not in self.calendars]
        sizes = {(name, "weekday"): one.codes for name, one in self.calendars.items() if one.weekdays}
        for name in self.scored:
            if self.numbers[name].modes > 1:
                sizes[name, "mode"] = self.numbers[name].modes
        for name, count in _told_levels(self.levels, self.usual).items():
            if name in children:
                continue
            if name in self.digits:
                sizes[name, "level"] = int(self.digits[name].group.max()) + 1
                sizes[name, "member"] = int(self.digits[name].member.max()) + 1
            else:
                sizes[name, "level"] = count
        self.names = sorted(sizes, key=lambda key: sizes[key])
        self.sizes = [sizes[key] for key in self.names]
        groups: list[Group] = []
        first = 0
        for size in self.sizes:
            if groups and size <= 1.35 * first + 1:
                groups[-1] = Group(groups[-1].members + 1, size)
            else:
                groups.append(Group(1, size))
                first = size
        self.layout = Layout(len(self.scored), tuple(groups))
        offsets: list[int] = []
        start = len(self.scored)
        for group in groups:
            offsets += [start + i * group.slots for i in range(group.members)]
            start += group.members * group.slots
        self.offsets = torch.tensor(offsets, dtype=torch.int64)

    @classmethod
    def fit(cls, frame: Any, schema: Schema | None = None, *, clip: bool = True) -> "Codec":
        """Learn how to encode a table.

        Args:
            frame: the table (pandas, polars or pyarrow), N rows.
            schema: what it is; inferred if None.
            clip: whether decoded numbers stay in the range of the table.

        Returns:
            The codec.

        Raises:
            TableError: if the table cannot be used.
        """
        table = to_arrow(frame)
        schema = schema or Schema.infer(table)
        cells = schema.cells(table)
        steps = {column.name: column.step for column in schema.numbers}
        values = cells.numbers
        temporal = {column.name for column in schema.numbers if column.origin is not None}
        places = {column.name: column.places for column in schema.numbers}
        numbers, sums = fit_numbers(values, steps, temporal, places)
        levels, codes = _category_codes(schema, cells)
        dummies = find_dummies(codes, levels)
        levels |= {one.name: one.levels for one in dummies}
        codes = _with_spread(codes, dummies)
        determined = Determined.find(schema, cells, numbers, levels, codes, dummies)
        numbers = {name: number.freed(determined.children) for name, number in numbers.items()}
        ties = _ties(numbers, sums, determined.children)
        told = {name: v for name, v in values.items() if name not in determined.children | temporal}
        for name, equal in equal_to_computed(told, values, determined.ancestors, ties).items():
            numbers[name] = numbers[name]._replace(parents=(*numbers[name].parents, *equal))
            ties[name] += [one for parent in equal for one in parent.names]
        coded = {one.parent for one in determined.functions if one.part is None}
        for name in coded & numbers.keys():
            numbers[name] = numbers[name].coded(values[name][~np.isnan(values[name])])
        columns = {column.name: column for column in schema.numbers}
        prevalent = _find_prevalent(schema, cells, determined, coded | temporal, ties)
        compared = {**values, **{one.column: _held(one, schema, cells) for one in prevalent}}
        for mostly in prevalent:
            right = compared[mostly.column] == values[mostly.child]
            left = numbers[mostly.child].without(mostly.child, values, right)
            numbers[mostly.child] = left._replace(parents=(Combination.column(mostly.column), *left.parents))
        order = _in_order(numbers, determined, prevalent, ties)
        # moments are tied to no other column, so each may come after those of which fewer are missing
        order = sorted(order, key=lambda name: (name in temporal, columns[name].missing * (name in temporal)))
        numbers = {name: numbers[name] for name in order}
        free = {name: columns[name] for name in numbers if name not in determined.children}
        computed = {one.child for one in prevalent}
        gaps = find_gaps(free, values, coded | computed)
        numbers |= {name: numbers[name].measured(name, gap, values) for name, gap in gaps.items()}
        sums = [one for one in sums if gaps.keys().isdisjoint({one.child, *one.parent.names})]
        apart = determined.children | temporal | gaps.keys() | computed
        told = {name: values[name] for name in numbers if name not in apart}
        known = {name: numbers[name].values for name in told if len(numbers[name].values)}
        free_codes = {name: code for name, code in codes.items() if name not in determined.children}
        usual = find_usual(free_codes, levels, told, known)
        for one in usual:
            if one.parent in numbers:
                numbers[one.parent] = numbers[one.parent].coded(values[one.parent][~np.isnan(values[one.parent])])
            if one.child in numbers:
                compared[one.column] = one.table[_codes_of(one.parent, numbers, codes, values)]
                left = numbers[one.child].without(one.child, values, compared[one.column] == values[one.child])
                numbers[one.child] = left._replace(parents=(Combination.column(one.column), *left.parents))
        codes_only = coded | {one.parent for one in usual}
        numbers = {n: one if n in codes_only else one.apart(n, compared) for n, one in numbers.items()}
        codes, counts = _told_codes(codes, usual), _told_levels(levels, usual)
        wide = [name for name, count in counts.items() if count > MOST_ONE_HOT and name not in determined.children]
        digits = {name: Digits.fit(codes[name], counts[name]) for name in wide}
        moments = {name: column for name, column in free.items() if name not in gaps}
        calendars = find_calendars(moments, values, coded)
        numbers = _with_parts(numbers, calendars, values)
        return cls(schema, numbers, levels, dummies, determined, sums, usual, prevalent, digits, calendars, clip)

    def compact(self, table: pa.Table) -> Compact:
        """Encode a table up to the randomness of the normal scores.

        Args:
            table: N rows with the schema's columns.

        Returns:
            The compact rows.

        Raises:
            TableError: if a category holds a level that the schema does not know.
        """
        low, high, codes = self._parts(table)
        return Compact(torch.from_numpy(low).float(), torch.from_numpy(high).float(), torch.from_numpy(codes).int())

    def expand(self, rows: Compact, generator: torch.Generator | None = None) -> Tensor:
        """Draw the normal scores of compact rows and spread their codes to one-hot vectors.

        Args:
            rows: B compact rows on one device.
            generator: source of randomness on the CPU.

        Returns:
            Encoded rows, shape (B, D), in the dtype of `rows.low`.
        """
        n = self.layout.numbers
        u = torch.rand(rows.low.shape, generator=generator, dtype=rows.low.dtype).to(rows.low.device)
        u = (rows.low + u * (rows.high - rows.low)).clamp(EDGE, 1 - EDGE)
        x = rows.low.new_zeros(len(rows.low), self.layout.width)
        x[:, :n] = torch.special.ndtri(u)
        if len(self.names):
            x.scatter_(1, rows.codes.long() + self.offsets.to(x.device), 1.0)
        return x

    def encode(self, frame: Any, seed: int = 0) -> np.ndarray:
        """Encode a table.

        Args:
            frame: N rows with the schema's columns (pandas, polars or pyarrow).
            seed: seed of the position of each number within its cell.

        Returns:
            Encoded rows in float64, shape (N, D).

        Raises:
            TableError: if a category holds a level that the schema does not know.
        """
        low, high, codes = (torch.from_numpy(part) for part in self._parts(to_arrow(frame)))
        return self.expand(Compact(low, high, codes), torch.Generator().manual_seed(seed)).numpy()

    def decode(self, x: np.ndarray, seed: int = 0) -> pa.Table:
        """Decode rows; the inverse of `encode` for every row of the fitted table.

        Args:
            x: encoded rows, or a denoiser's posterior means, shape (N, D).
            seed: seed of the identifiers.

        Returns:
            The table, in the schema's column order and dtypes.

        Raises:
            ValueError: if x does not have D columns.
        """
        return self.restore(self.choose(x), seed)

    def choose(self, x: np.ndarray) -> Chosen:
        """Take the most likely code of each one-hot block.

        Args:
            x: encoded rows, or a denoiser's posterior means, shape (N, D).

        Returns:
            The chosen rows.

        Raises:
            ValueError: if x does not have D columns.
        """
        if x.ndim != 2 or x.shape[1] != self.layout.width:
            raise ValueError(
                f"x must have one column per encoded coordinate (D={self.layout.width}), however: {x.shape=}. "
                "Give the rows that this codec encoded, or a denoiser fitted to them."
            )
        codes = np.empty((len(x), len(self.names)), dtype=np.int32)
        for i, (size, start) in enumerate(zip(self.sizes, self.offsets.tolist(), strict=True)):
            codes[:, i] = x[:, start : start + size].argmax(1)
        return Chosen(x[:, : self.layout.numbers].copy(), codes)

    def restore(self, rows: Chosen, seed: int = 0, adjust: Adjust | None = None) -> pa.Table:
        """Make a table of chosen rows.

        Args:
            rows: N rows.
            seed: seed of the identifiers.
            adjust: moves the values of each number column that may be moved.

        Returns:
            The table, in the schema's column order and dtypes.
        """
        codes = {name: rows.codes[:, i].astype(np.int64) for i, name in enumerate(self.names)}
        categories: dict[str, np.ndarray] = {}
        for name in self.levels:
            if name in self.digits:
                categories[name] = self.digits[name].join(codes[name, "level"], codes[name, "member"])
            elif (name, "level") in codes:
                categories[name] = codes[name, "level"]
        for one in self.usual:
            if one.child in categories:
                categories[one.child] = one.codes(categories[one.child], categories[one.parent])
        numbers: dict[str, np.ndarray] = {}
        usual = {one.child: one for one in self.usual}
        prevalent = {one.child: one for one in self.prevalent}
        computed = self.determined.ancestors.keys()
        last = {part_of(name, one.numbers[-1]): name for name, one in self.calendars.items()}
        for position, name in enumerate(self.scored):
            if name in usual:
                one = usual[name]
                numbers[one.column] = one.table[_codes_of(one.parent, self.numbers, categories, numbers)]
            equal = {one for parent in self.numbers[name].parents for one in parent.names} & computed
            if equal or name in prevalent:
                sources = self.schema.numeric(Cells(numbers, categories))
                needed = {*equal, *(prevalent[name].formula.parents if name in prevalent else ())}
                self.determined.add_computed(sources, needed, self.numbers, clip=self.clip)
                numbers |= {one: sources[one] for one in equal}
            if name in prevalent:
                numbers[prevalent[name].column] = prevalent[name].of(sources)
            mode = codes.get((name, "mode"), np.zeros(len(rows.codes), dtype=np.int64))
            numbers[name] = self.numbers[name].decode(name, rows.scores[:, position], mode, numbers, self.clip, adjust)
            if name in last:
                moment = last[name]
                calendar = self.calendars[moment]
                parts = {part: numbers[part_of(moment, part)] for part in calendar.numbers}
                made = calendar.moments(parts | {"weekday": codes.get((moment, "weekday"), np.zeros(0))})
                numbers[moment] = np.clip(made, *self.numbers[moment].marginal.ends) if self.clip else made
        columns = {column.name for column in self.schema.numbers}
        numbers = {name: values for name, values in numbers.items() if name in columns}
        self.determined.compute(self.schema, self.numbers, numbers, categories, clip=self.clip)
        known = {column.name: len(column.levels or ()) for column in self.schema.categories}
        categories = {name: np.where(categories[name] >= size, -1, categories[name]) for name, size in known.items()}
        return self.schema.restore(Cells(numbers, categories), len(rows.codes), seed)

    def compared(self, table: pa.Table) -> dict[str, np.ndarray]:
        """Give the values of the number columns of a table, and of some what they may equal.

        These are their parts (`part_of`), what is usual (`Usual.column`) and what is computed (`Prevalent.column`).

        Args:
            table: N rows with the schema's columns.

        Returns:
            Values by name, NaN where missing, (N,) each.

        Raises:
            TableError: if a category holds a level that the schema does not know.
        """
        cells = self.schema.cells(table)
        return self._compared(cells.numbers, self._categories(cells))

    def _categories(self, cells: Cells) -> dict[str, np.ndarray]:
        """Codes of each category, and of what dummies say."""
        return _with_spread(_category_codes(self.schema, cells, self.levels)[1], self.dummies)

    def _compared(
        self, numbers: Mapping[str, np.ndarray], categories: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        usual = [one for one in self.usual if one.child not in self.levels]
        tables = {one.column: one.table[_codes_of(one.parent, self.numbers, categories, numbers)] for one in usual}
        known = Cells(dict(numbers), dict(categories))
        tables |= {one.column: _held(one, self.schema, known) for one in self.prevalent}
        return {**numbers, **tables, **_parts_of(self.calendars, numbers)}

    def present(self, rows: Chosen) -> np.ndarray:
        """Tell which scores stand for a value rather than a missing cell.

        Args:
            rows: N rows.

        Returns:
            Shape (N, n).
        """
        present = np.ones(rows.scores.shape, dtype=bool)
        for i, ((name, part), size) in enumerate(zip(self.names, self.sizes, strict=True)):
            if part == "mode" and self.numbers[name].missing:
                present[:, self.scored.index(name)] = rows.codes[:, i] < size - 1
        return present

    def edges(self) -> Tensor:
        """Normal scores at which the bins of each number column meet, float32, shape (n, K + 1); see `Marginal.bins`.

        K falls with the number of columns, so that all of them together have about `MOST_BINS`.
        """
        n = self.layout.numbers
        count = int(np.clip(MOST_BINS // max(n, 1), FEWEST_BINS_EACH, MOST_BINS_EACH))
        heights = np.stack([self.numbers[name].marginal.bins(count) for name in self.scored]) if n else np.ones((0, 2))
        edges = np.where(heights <= EDGE, -BEYOND, np.where(heights >= 1 - EDGE, BEYOND, ndtri(heights)))
        return torch.from_numpy(edges).float()

    def values(self) -> Tensor:
        """Values of each number column at even normal scores between `-REACH` and `REACH`, float64, shape (n, G)."""
        u = ndtr(np.linspace(-REACH, REACH, VALUE_POINTS))
        found = [self.numbers[name].marginal.invert(u) for name in self.scored]
        return torch.from_numpy(np.stack(found) if found else np.zeros((0, VALUE_POINTS)))

    def signed_sums(self) -> tuple[Tensor, Tensor]:
        """Positions among the number columns, and signs, of the three terms of each sum, shape (3, T) each.

        The child has the sign 1 and its parents the opposite ones of the sum, so that terms cancel.
        """
        places = [[self.scored.index(name) for name in (one.child, *one.parent.names)] for one in self.sums]
        signs = [[1.0, *(-float(sign) for sign in one.parent.signs)] for one in self.sums]
        return torch.tensor(places, dtype=torch.int64).reshape(-1, 3).T, torch.tensor(signs).reshape(-1, 3).T

    def moments(self, rows: Compact) -> Moments:
        """First and second moments of scores and of whole rows, log-frequencies of codes, bins and values of numbers.

        Args:
            rows: the fitted table's compact rows.

        Returns:
            What a network is built with.
        """
        n = self.layout.numbers
        middle = torch.special.ndtri(((rows.low.double() + rows.high) / 2).clamp(EDGE, 1 - EDGE))
        covariance = torch.cov(middle.T).reshape(n, n) if n else torch.zeros(0, 0)
        log_prior = torch.full((self.layout.slots,), ABSENT)
        for i, (start, size) in enumerate(zip(self.offsets.tolist(), self.sizes, strict=True)):
            counts = torch.bincount(rows.codes[:, i].long(), minlength=size).double() + 0.5
            log_prior[start - n : start - n + size] = (counts / counts.sum()).log().float()
        return Moments(
            middle.mean(0),
            covariance + 1e-4 * torch.eye(n),
            log_prior,
            self.edges(),
            self.values(),
            *self.signed_sums(),
            fit_principal(self._some(rows)),
        )

    def _some(self, rows: Compact) -> Tensor:
        """Encoded rows at even places, no more than fit into memory many times."""
        most = min(MOST_SEEN, MOST_SEEN_CELLS // max(self.layout.width, 1))
        places = torch.linspace(0, len(rows.low) - 1, min(most, len(rows.low))).long()
        return self.expand(Compact(*(part[places] for part in rows)), torch.Generator().manual_seed(0))

    def _parts(self, table: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        cells = self.schema.cells(table)
        levels = self._categories(cells)
        values, rows = self._compared(cells.numbers, levels), table.num_rows
        codes: dict[tuple[str, str], np.ndarray] = {}
        low, high = np.empty((rows, len(self.scored))), np.empty((rows, len(self.scored)))
        for name, calendar in self.calendars.items():
            gone = self.numbers[name].gone(name, values[name])
            if calendar.weekdays:
                codes[name, "weekday"] = np.where(gone, WEEK, calendar.part(values[name], "weekday"))
        for position, name in enumerate(self.scored):
            low[:, position], high[:, position], codes[name, "mode"] = self.numbers[name].encode(name, values)
        for name, code in _told_codes(levels, self.usual).items():
            if name in self.digits:
                codes[name, "level"] = self.digits[name].group[code]
                codes[name, "member"] = self.digits[name].member[code]
            else:
                codes[name, "level"] = code
        blocks = [codes[key] for key in self.names]
        return low, high, np.stack(blocks, 1).astype(np.int64) if blocks else np.zeros((rows, 0), dtype=np.int64)

    def to_json(self) -> dict[str, Any]:
        """Give all that is not an array, as plain JSON."""
        return {
            "schema": self.schema.to_json(),
            "clip": self.clip,
            "numbers": {
                name: {
                    **number.marginal.to_json(),
                    "parents": [parent.to_json() for parent in number.parents],
                    "missing": number.missing,
                    "gap": None if number.gap is None else number.gap.to_json(),
                    "free": None if number.free is None else number.free.rows,
                }
                for name, number in self.numbers.items()
            },
            "levels": self.levels,
            "dummies": [one.to_json() for one in self.dummies],
            **self.determined.to_json(),
            "sums": [[one.child, one.parent.to_json()] for one in self.sums],
            "usual": [[one.child, one.parent] for one in self.usual],
            "prevalent": [one.to_json() for one in self.prevalent],
            "digits": list(self.digits),
            "calendars": {name: calendar.to_json() for name, calendar in self.calendars.items()},
        }

    def arrays(self) -> dict[str, Tensor]:
        """Give the arrays by name; together with `to_json` they are the codec."""
        found: dict[str, np.ndarray] = {}
        for i, number in enumerate(self.numbers.values()):
            found[f"number.{i}.knots"] = number.marginal.knots
            found[f"number.{i}.heights"] = number.marginal.heights
            if number.free is not None:
                found[f"free.{i}.knots"], found[f"free.{i}.heights"] = number.free.knots, number.free.heights
            found[f"number.{i}.values"] = number.values
        found |= self.determined.arrays()
        for i, usual in enumerate(self.usual):
            found[f"usual.{i}"] = usual.table
        for i, digits in enumerate(self.digits.values()):
            found[f"digits.{i}.group"], found[f"digits.{i}.member"] = digits.group, digits.member
        for i, calendar in enumerate(self.calendars.values()):
            found[f"calendar.{i}"] = calendar.days
        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in found.items()}

    @classmethod
    def from_parts(cls, said: Mapping[str, Any], arrays: Mapping[str, Tensor]) -> "Codec":
        """Rebuild a codec from `to_json` and `arrays`.

        Args:
            said: the plain form.
            arrays: the arrays by name.

        Returns:
            The codec.

        Raises:
            KeyError: if a part is missing.
            ValueError: if a part does not fit the others.
        """
        numbers = {}
        for i, (name, one) in enumerate(said["numbers"].items()):
            marginal = _marginal(f"number.{i}", arrays, one, one["rows"])
            free = None if one["free"] is None else _marginal(f"free.{i}", arrays, one, one["free"])
            values = arrays[f"number.{i}.values"].numpy()
            parents = tuple(map(Combination.from_json, one["parents"]))
            gap = None if one["gap"] is None else Gap.from_json(one["gap"])
            if gap is not None and gap.parent not in numbers:
                raise ValueError(f"{name!r} is measured from {gap.parent!r}, which must come before it")
            numbers[name] = Number(marginal, parents, one["missing"], values, gap, free)
        plain = {name: array.numpy() for name, array in arrays.items()}
        sums = [Sum(child, Combination.from_json(parent)) for child, parent in said["sums"]]
        usual = []
        for i, (child, parent) in enumerate(said["usual"]):
            table, levels = arrays[f"usual.{i}"].numpy(), said["levels"]
            size = len(numbers[parent].values) + 1 if parent in numbers else levels[parent]
            known = table.shape == (size,) and (child in levels or child in numbers)
            known = known and (parent in levels or child in numbers)
            if not known or (child in levels and not 0 <= table.min() <= table.max() < levels[child]):
                raise ValueError(f"what is usual of {child!r} by {parent!r} has shape {table.shape}")
            usual.append(Usual(child, parent, table))
        digits = {
            name: Digits(arrays[f"digits.{i}.group"].numpy(), arrays[f"digits.{i}.member"].numpy())
            for i, name in enumerate(said["digits"])
        }
        schema, clip = Schema.from_json(said["schema"]), said["clip"]
        dummies = [Dummies.from_json(one, said["levels"]) for one in said["dummies"]]
        determined = Determined.from_parts(said, plain, schema, dummies)
        prevalent = [Prevalent.from_json(one) for one in said["prevalent"]]
        computed = {one.child for one in prevalent}
        known = {name for one in prevalent for name in one.formula.parents} <= set(schema.learnable)
        if not known or not computed <= numbers.keys() - determined.children:
            said_of = [one.formula for one in prevalent]
            raise ValueError(f"what is mostly computed must be numbers, of others, however: {said_of}")
        calendars = {
            name: Calendar.from_parts(one, arrays[f"calendar.{i}"].numpy())
            for i, (name, one) in enumerate(said["calendars"].items())
        }
        parts = {part_of(name, part) for name, one in calendars.items() for part in one.numbers}
        if strange := (parts | calendars.keys()) - numbers.keys():
            raise ValueError(f"moments must be among the numbers, with their parts, however: {sorted(strange)} are not")
        return cls(
            schema, numbers, said["levels"], dummies, determined, sums, usual, prevalent, digits, calendars, clip
        )


def _marginal(prefix: str, arrays: Mapping[str, Tensor], said: Mapping[str, Any], rows: int) -> Marginal:
    knots, heights = (arrays[f"{prefix}.{part}"].numpy() for part in ("knots", "heights"))
    return Marginal(knots, heights, said["step"], rows, said["places"] and tuple(map(tuple, said["places"])))


def _held(prevalent: Prevalent, schema: Schema, cells: Cells) -> np.ndarray:
    """What is computed of a column, which is the column where that is right."""
    return prevalent.held_against(cells.numbers[prevalent.child], schema.numeric(cells))


def _ties(numbers: Mapping[str, Number], sums: Sequence[Sum], children: Collection[str]) -> dict[str, list[str]]:
    """The columns that each number comes after, if it is not determined: those that it may equal, and of its sum."""
    free = {name: number for name, number in numbers.items() if name not in children}
    ties = {name: [one for parent in number.parents for one in parent.names] for name, number in free.items()}
    for tied in sums:
        if free.keys() >= {tied.child, *tied.parent.names}:
            ties[tied.child] += tied.parent.names
    return ties


def _find_prevalent(
    schema: Schema, cells: Cells, determined: Determined, fixed: Collection[str], ties: Mapping[str, Collection[str]]
) -> list[Prevalent]:
    """What is computed in most rows of a table, but for columns that are fixed; ties are what columns come after."""
    fixed = {*fixed, *determined.looked_up}
    sources = {name: v for name, v in schema.numeric(cells).items() if name not in fixed}
    steps = {column.name: column.step for column in schema.numbers} | level_steps(schema)
    places = {column.name: column.places for column in schema.numbers}
    children = {name: v for name, v in cells.numbers.items() if name in sources and name not in determined.children}
    ancestors = {name: before(name, determined.ancestors, ties) for name in sources}
    return find_prevalent(children, steps, places, sources, ancestors)


def _in_order(
    numbers: Mapping[str, Number],
    determined: Determined,
    prevalent: Sequence[Prevalent],
    ties: Mapping[str, Sequence[str]],
) -> list[str]:
    """Numbers in an order in which each stands after those that it may equal or be computed from; last the computed."""
    computed = determined.ancestors
    after = {name: list(parents) for name, parents in ties.items()}
    for one in prevalent:
        after[one.child] += one.formula.parents
    encoded = [name for name in numbers if name not in computed]
    roots = {name: set[str]().union(*(computed.get(one, {one}) for one in after.get(name, ()))) for name in encoded}
    order = ordered(encoded, {name: [one for one in encoded if one in roots[name]] for name in encoded})
    return [*order, *(name for name in numbers if name in computed)]


def _parts_of(calendars: Mapping[str, Calendar], values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Values of the parts of moments that are numbers, by name."""
    told = [(name, one, part) for name, one in calendars.items() for part in one.numbers]
    return {part_of(name, part): calendar.part(values[name], part) for name, calendar, part in told}


def _with_parts(
    numbers: Mapping[str, Number], calendars: Mapping[str, Calendar], values: Mapping[str, np.ndarray]
) -> dict[str, Number]:
    """The encoding of numbers, with that of the parts of each moment before it."""
    found: dict[str, Number] = {}
    for name, number in numbers.items():
        for part, cells in _parts_of({name: calendars[name]} if name in calendars else {}, values).items():
            marginal = Marginal.fit(cells[~np.isnan(cells)], 1.0)
            found[part] = Number(marginal, (), number.missing, np.zeros(0))
        found[name] = number
    return found


def _with_spread(codes: Mapping[str, np.ndarray], dummies: Sequence[Dummies]) -> dict[str, np.ndarray]:
    """Codes of each category, and of what dummies say together."""
    return {**codes, **{one.name: one.codes(codes) for one in dummies}}


def _told_levels(levels: Mapping[str, int], usual: Sequence[Usual]) -> dict[str, int]:
    """Number of codes of each category as it is encoded."""
    return {**levels, **{one.child: levels[one.child] + 1 for one in usual if one.child in levels}}


def _told_codes(codes: Mapping[str, np.ndarray], usual: Sequence[Usual]) -> dict[str, np.ndarray]:
    """Codes of each category as it is encoded."""
    told = [one for one in usual if one.child in codes]
    return {**codes, **{one.child: one.told(codes[one.child], codes[one.parent]) for one in told}}


def _codes_of(
    name: str, numbers: Mapping[str, Number], categories: Mapping[str, np.ndarray], values: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Codes of a category, or of a number of recurring values."""
    return number_codes(values[name], numbers[name].values) if name in numbers else categories[name]


def _category_codes(
    schema: Schema, cells: Cells, levels: Mapping[str, int] | None = None
) -> tuple[dict[str, int], dict[str, np.ndarray]]:
    counts: dict[str, int] = {}
    codes: dict[str, np.ndarray] = {}
    for column in schema.categories:
        code, known = cells.categories[column.name], len(column.levels or ())
        gone = code < 0
        counts[column.name] = known + bool(gone.any()) if levels is None else levels[column.name]
        strange = int((code >= known).sum())
        if strange or (gone.any() and counts[column.name] == known):
            what = f"{strange} cells hold other values" if strange else f"{int(gone.sum())} are missing"
            raise TableError(
                f"Column {column.name!r} must hold levels of the fitted table, however: {what}. "
                "Fit to a table that has them."
            )
        codes[column.name] = np.where(gone, known, code)
    return counts, codes
