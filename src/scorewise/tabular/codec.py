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

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from scipy.special import ndtr, ndtri
from torch import Tensor

from scorewise.difference import REACH
from scorewise.network import ABSENT, Group, Layout, Moments
from scorewise.tabular.calendar import WEEK, part_of
from scorewise.tabular.components import fit_principal
from scorewise.tabular.number import Adjust
from scorewise.tabular.schema import Cells, Schema
from scorewise.tabular.structure import Structure
from scorewise.tabular.table import to_arrow

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
        structure: what is found in it.
        clip: whether decoded numbers stay in the range of the table.
        names: the one-hot blocks in the order of `codes`: column names; a mode is `(name, "mode")`, the second block
            of a category of many levels `(name, "member")`, the weekday of a moment `(name, "weekday")`.
        sizes: number of codes of each block.
        scored: numbers that are encoded, in the order of their coordinates.
        layout: coordinates of an encoded row.
        offsets: the coordinate at which each block begins, shape (M,).
    """

    def __init__(self, schema: Schema, structure: Structure, clip: bool = True) -> None:
        self.schema = schema
        self.structure = structure
        self.clip = clip
        numbers, children, calendars = structure.numbers, structure.determined.children, structure.calendars
        self.scored = [name for name in numbers if name not in children and name not in calendars]
        sizes = {(name, "weekday"): one.codes for name, one in calendars.items() if one.weekdays}
        for name in self.scored:
            if numbers[name].modes > 1:
                sizes[name, "mode"] = numbers[name].modes
        for name, count in structure.told_levels().items():
            if name in children:
                continue
            if name in structure.digits:
                sizes[name, "level"] = int(structure.digits[name].group.max()) + 1
                sizes[name, "member"] = int(structure.digits[name].member.max()) + 1
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
        return cls(schema, Structure.find(schema, schema.cells(table)), clip)

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
        found = self.structure
        codes = {name: rows.codes[:, i].astype(np.int64) for i, name in enumerate(self.names)}
        categories: dict[str, np.ndarray] = {}
        for name in found.levels:
            if name in found.digits:
                categories[name] = found.digits[name].join(codes[name, "level"], codes[name, "member"])
            elif (name, "level") in codes:
                categories[name] = codes[name, "level"]
        for one in found.usual:
            if one.child in categories:
                categories[one.child] = one.codes(categories[one.child], categories[one.parent])
        numbers: dict[str, np.ndarray] = {}
        usual = {one.child: one for one in found.usual}
        prevalent = {one.child: one for one in found.prevalent}
        computed = found.determined.ancestors.keys()
        last = {part_of(name, one.numbers[-1]): name for name, one in found.calendars.items()}
        for position, name in enumerate(self.scored):
            if name in usual:
                one = usual[name]
                numbers[one.column] = found.usual_values(one, numbers, categories)
            equal = {one for parent in found.numbers[name].parents for one in parent.names} & computed
            if equal or name in prevalent:
                sources = self.schema.numeric(Cells(numbers, categories))
                needed = {*equal, *(prevalent[name].formula.parents if name in prevalent else ())}
                found.determined.add_computed(self.schema, sources, needed, found.numbers, clip=self.clip)
                numbers |= {one: sources[one] for one in equal}
            if name in prevalent:
                numbers[prevalent[name].column] = prevalent[name].of(sources)
            mode = codes.get((name, "mode"), np.zeros(len(rows.codes), dtype=np.int64))
            numbers[name] = found.numbers[name].decode(name, rows.scores[:, position], mode, numbers, self.clip, adjust)
            if name in last:
                moment = last[name]
                calendar = found.calendars[moment]
                parts = {part: numbers[part_of(moment, part)] for part in calendar.numbers}
                made = calendar.moments(parts | {"weekday": codes.get((moment, "weekday"), np.zeros(0))})
                numbers[moment] = np.clip(made, *found.numbers[moment].marginal.ends) if self.clip else made
        columns = {column.name for column in self.schema.numbers}
        numbers = {name: values for name, values in numbers.items() if name in columns}
        found.determined.compute(self.schema, found.numbers, numbers, categories, clip=self.clip)
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
        return self.structure.compared(self.schema, cells.numbers, self.structure.categories(self.schema, cells))

    def present(self, rows: Chosen) -> np.ndarray:
        """Tell which scores stand for a value rather than a missing cell.

        Args:
            rows: N rows.

        Returns:
            Shape (N, n).
        """
        present = np.ones(rows.scores.shape, dtype=bool)
        for i, ((name, part), size) in enumerate(zip(self.names, self.sizes, strict=True)):
            if part == "mode" and self.structure.numbers[name].missing:
                present[:, self.scored.index(name)] = rows.codes[:, i] < size - 1
        return present

    def edges(self) -> Tensor:
        """Normal scores at which the bins of each number column meet, float32, shape (n, K + 1); see `Marginal.bins`.

        K falls with the number of columns, so that all of them together have about `MOST_BINS`.
        """
        n = self.layout.numbers
        count = int(np.clip(MOST_BINS // max(n, 1), FEWEST_BINS_EACH, MOST_BINS_EACH))
        margins = [self.structure.numbers[name].marginal for name in self.scored]
        heights = np.stack([marginal.bins(count) for marginal in margins]) if n else np.ones((0, 2))
        edges = np.where(heights <= EDGE, -BEYOND, np.where(heights >= 1 - EDGE, BEYOND, ndtri(heights)))
        return torch.from_numpy(edges).float()

    def values(self) -> Tensor:
        """Values of each number column at even normal scores between `-REACH` and `REACH`, float64, shape (n, G)."""
        u = ndtr(np.linspace(-REACH, REACH, VALUE_POINTS))
        found = [self.structure.numbers[name].marginal.invert(u) for name in self.scored]
        return torch.from_numpy(np.stack(found) if found else np.zeros((0, VALUE_POINTS)))

    def signed_sums(self) -> tuple[Tensor, Tensor]:
        """Positions among the number columns, and signs, of the three terms of each sum, shape (3, T) each.

        The child has the sign 1 and its parents the opposite ones of the sum, so that terms cancel.
        """
        places = [[self.scored.index(name) for name in (one.child, *one.parent.names)] for one in self.structure.sums]
        signs = [[1.0, *(-float(sign) for sign in one.parent.signs)] for one in self.structure.sums]
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
        levels = self.structure.categories(self.schema, cells)
        values, rows = self.structure.compared(self.schema, cells.numbers, levels), table.num_rows
        codes: dict[tuple[str, str], np.ndarray] = {}
        low, high = np.empty((rows, len(self.scored))), np.empty((rows, len(self.scored)))
        for name, calendar in self.structure.calendars.items():
            gone = self.structure.numbers[name].gone(name, values[name])
            if calendar.weekdays:
                codes[name, "weekday"] = np.where(gone, WEEK, calendar.part(values[name], "weekday"))
        for position, name in enumerate(self.scored):
            low[:, position], high[:, position], codes[name, "mode"] = self.structure.numbers[name].encode(name, values)
        for name, code in self.structure.told_codes(levels).items():
            if name in self.structure.digits:
                codes[name, "level"] = self.structure.digits[name].group[code]
                codes[name, "member"] = self.structure.digits[name].member[code]
            else:
                codes[name, "level"] = code
        blocks = [codes[key] for key in self.names]
        return low, high, np.stack(blocks, 1).astype(np.int64) if blocks else np.zeros((rows, 0), dtype=np.int64)

    def to_json(self) -> dict[str, Any]:
        """Give all that is not an array, as plain JSON."""
        return {"schema": self.schema.to_json(), "clip": self.clip, **self.structure.to_json()}

    def arrays(self) -> dict[str, Tensor]:
        """Give the arrays by name; together with `to_json` they are the codec."""
        return {n: torch.from_numpy(np.ascontiguousarray(array)) for n, array in self.structure.arrays().items()}

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
        schema, plain = Schema.from_json(said["schema"]), {name: array.numpy() for name, array in arrays.items()}
        return cls(schema, Structure.from_parts(said, plain, schema), said["clip"])
