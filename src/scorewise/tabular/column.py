"""One column: what it is, its cells as numbers or as categories, and cells made anew in its own type."""

from __future__ import annotations

import dataclasses
import decimal
import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scorewise.tabular import amount, delimited, dtype, grid, identifier, level, packed, written
from scorewise.tabular.defect import TableError
from scorewise.tabular.identifier import Patterns
from scorewise.tabular.level import Level

Kind = Literal["number", "category", "identifier", "constant"]

_NUMERIC = ("integer", "float", "decimal")
_TEMPORAL = ("moment", "time", "duration")


@dataclasses.dataclass(frozen=True)
class Column:
    """What one column of a table is; all fields are plain values that can be written as JSON.

    Attributes:
        name: The name.
        kind: "number", "category", "identifier" or "constant".
        arrow_type: The Arrow type, as Arrow prints it.
        missing: The share of cells that are missing, between 0 and 1.
        nan: Whether a missing cell of a float column is NaN instead of null.
        levels: Category, constant: the values, in order; of a constant that is missing there may be none. Decimals,
            dates and timestamps are text; times and durations are ticks of the type.
        value: Constant: the one level that is there; None where all cells are missing.
        step: Number: the spacing of the grid that the values lie on, in the unit of the cells; None without one.
            Identifier: the same.
        single: Number of floats of 64 bits that were floats of 32 bits: the form that they have now, as found by
            `scorewise.tabular.grid.single_form`. Its cells are the numbers of fewest digits that they stand for: 39.15
            for 39.150001525878906.
        places: Number: down to which place numbers have digits, by their size, where the step allows more: of a pair
            (e, p) those of 10^e and more are whole multiples of 10^p, as found by `scorewise.tabular.grid.find_places`.
        minimum: Number: the smallest value, in the unit of the cells. Identifier: a round number below all values.
        maximum: Number: the largest value, in the unit of the cells. Identifier: a round number above all values.
        origin: Temporal number: the first value, in ticks of the type (a tick is one unit of its integers; for text, of
            those of `counted`).
        tick: Temporal number: the length of one step, in ticks of the type. A cell counts steps from the origin.
        written: Number of text: the form in which its moments are written, in directives of strftime, as found by
            `scorewise.tabular.written.find_form`; such a number is temporal. Or that of its amounts, such as
            "$#,##0.00", as found by `scorewise.tabular.amount.find_form`. Number of integers or whole floats: the form
            in which those are moments, such as "%Y%m%d", as found by `scorewise.tabular.packed.find_form`.
        blank: Number of a written form: the text of a cell that says no such number, such as "?", or "0" where it is an
            integer; None where such a cell is missing.
        patterns: Identifier of text: how the values look.
        nullable: Whether the Arrow field may hold nulls.
        metadata: The metadata of the Arrow field.
    """

    name: str
    kind: Kind
    arrow_type: str
    missing: float = 0.0
    nan: bool = False
    levels: tuple[Level, ...] | None = None
    value: Level | None = None
    step: float | None = None
    single: grid.SingleForm | None = None
    places: grid.Places | None = None
    minimum: float | None = None
    maximum: float | None = None
    origin: int | None = None
    tick: int | None = None
    written: str | None = None
    blank: str | None = None
    patterns: Patterns | None = None
    nullable: bool = True
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        family = dtype.family(self.dtype)
        if self.kind not in get_args(Kind):
            raise self._refusal(f"have a kind among {', '.join(get_args(Kind))}", f"kind={self.kind!r}")
        empty = self.kind == "constant" and self.value is None and self.missing == 1
        if self.kind in {"category", "constant"}:
            if not (self.levels or empty) or len(set(self.levels or ())) < len(self.levels or ()):
                raise self._refusal("have distinct levels, one or more", f"levels={self.levels!r}")
            try:
                level.from_json(self.levels or (), self.dtype)
            except (pa.ArrowException, TypeError, ValueError, decimal.InvalidOperation) as error:
                raise self._refusal(f"have levels of type {self.arrow_type}", f"{error}") from error
        if self.kind == "constant" and not empty and self.value not in (self.levels or ()):
            raise self._refusal("have one of its levels as its value", f"value={self.value!r}")
        if self.written is not None:
            plain = family in {"text", "integer", "float"} and not pa.types.is_dictionary(self.dtype)
            if self.kind != "number" or not plain or (family != "text" and not packed.is_form(self.written)):
                must = "be a number of text to have a written form, or of integers to have one of digits alone"
                raise self._refusal(must, f"{self.kind} of {self.arrow_type}")
            if not (written.is_form(self.written) or amount.is_form(self.written)):
                known = "a known form such as '%-m/%-d/%Y' or '$#,##0.00'"
                raise self._refusal(f"be written in {known}", f"written={self.written!r}")
            family = dtype.family(self.counted)
        if self.blank is not None and (self.written is None or not self._is_cell(self.blank)):
            raise self._refusal("have a written form to have a text for what is blank", f"blank={self.blank!r}")
        if self.kind == "number":
            if family not in _NUMERIC + _TEMPORAL or pa.types.is_dictionary(self.dtype):
                raise self._refusal("be numeric or temporal to be a number", f"arrow_type={self.arrow_type!r}")
            if self.minimum is None or self.maximum is None or not self.minimum <= self.maximum:
                raise self._refusal(
                    "have a minimum and a maximum", f"minimum={self.minimum!r} and maximum={self.maximum!r}"
                )
            if family in _TEMPORAL and (self.origin is None or self.tick is None or self.tick < 1):
                raise self._refusal("have an origin and a tick", f"origin={self.origin!r} and tick={self.tick!r}")
            if self.step is not None:
                grid.decimals(self.step)
            if self.single is not None and (self.single not in grid.SINGLE_FORMS or self.dtype != pa.float64()):
                must = f"be of floats of 64 bits, in a form among {', '.join(grid.SINGLE_FORMS)}, to be of 32"
                raise self._refusal(must, f"single={self.single!r} of {self.arrow_type}")
            if self.places is not None and (family not in {"integer", "float"} or not grid.is_places(self.places)):
                must = "have pairs of increasing powers of ten as its places if it is of integers or floats, or none"
                raise self._refusal(must, f"places={self.places!r} of {self.arrow_type}")
        if self.kind == "identifier":
            bounded = self.minimum is not None and self.maximum is not None and self.step is not None
            if not (self.patterns if family == "text" else bounded and family in {"integer", "float"}):
                raise self._refusal("have patterns, or bounds and a step, to be an identifier", f"{self.arrow_type!r}")
        if not 0 <= self.missing <= 1:
            raise self._refusal("have a share of missing cells between 0 and 1", f"missing={self.missing!r}")

    def _refusal(self, must: str, found: str) -> TableError:
        return TableError(
            f"Column {self.name!r} must {must}, however: {found}. Correct it, or take it from `scorewise schema`."
        )

    def _is_cell(self, blank: object) -> bool:
        """Whether a value is the text of a cell of the column's type."""
        of_text = dtype.family(self.dtype) == "text"
        return isinstance(blank, str) and (of_text or blank.removeprefix("-").isdecimal())

    @property
    def dtype(self) -> pa.DataType:
        """The Arrow type."""
        return dtype.parse(self.arrow_type)

    @property
    def counted(self) -> pa.DataType:
        """The Arrow type in whose unit a number counts: its own, or that of what is written as text."""
        if self.written is None:
            return self.dtype
        return pa.float64() if amount.is_form(self.written) else written.dtype_of(self.written)

    @property
    def zone(self) -> str | None:
        """The zone whose clock its moments go by; None where that is UTC's, or they have none."""
        if self.written is not None:
            return None if amount.is_form(self.written) else written.zone_of(self.written)
        named: str | None = getattr(self.dtype, "tz", None)
        return None if named == "UTC" else named

    @property
    def origin_ns(self) -> int:
        """The point that temporal cells are counted from, in nanoseconds."""
        return (self.origin or 0) * dtype.nanoseconds(self.counted)

    @property
    def tick_ns(self) -> int:
        """What temporal cells are counted in, in nanoseconds."""
        return (self.tick or 1) * dtype.nanoseconds(self.counted)

    @property
    def numeric_levels(self) -> np.ndarray | None:
        """The levels as float64, shape (L,); None where they are no numbers, or there are none."""
        if self.levels is None or dtype.family(self.dtype) not in _NUMERIC:
            return None
        return dtype.floats(level.from_json(self.levels, self.dtype))

    @property
    def learnable(self) -> bool:
        """Whether a model learns the column: it is a number or a category."""
        return self.kind in {"number", "category"}

    def to_json(self) -> dict[str, Any]:
        """Give the column as plain lists, dicts, strings and numbers, without what it does not have."""
        said: dict[str, Any] = {"name": self.name, "kind": self.kind, "arrow_type": self.arrow_type}
        for field in dataclasses.fields(self)[len(said) :]:
            value = getattr(self, field.name)
            if value != (field.default if field.default is not dataclasses.MISSING else {}):
                said[field.name] = value
        if self.levels is not None:
            said["levels"] = list(self.levels)
        if self.places is not None:
            said["places"] = [list(pair) for pair in self.places]
        if self.patterns is not None:
            said["patterns"] = self.patterns.to_json()
        return said

    @staticmethod
    def from_json(said: Mapping[str, Any]) -> Column:
        """Read what `to_json` gave, or a person's edit of it.

        Args:
            said: The plain form.

        Returns:
            The column.

        Raises:
            TableError: Where the form is not right; the message names the column and the field.
        """
        fields = {field.name for field in dataclasses.fields(Column)}
        lacking = {"name", "kind", "arrow_type"} - set(said)
        unknown = set(said) - fields
        if lacking or unknown:
            raise TableError(
                f"A column must have a name, a kind and an arrow_type and no other fields than "
                f"{', '.join(sorted(fields))}, however: {said.get('name', 'a column')!r} has "
                f"{sorted(unknown) or 'no ' + ' and no '.join(sorted(lacking))}. Take it from `scorewise schema`."
            )
        given = dict(said)
        if isinstance(given.get("levels"), list):
            given["levels"] = tuple(given["levels"])
        if isinstance(given.get("places"), list):
            given["places"] = tuple(tuple(pair) if isinstance(pair, list) else pair for pair in given["places"])
        if given.get("patterns") is not None:
            given["patterns"] = Patterns.from_json(given["patterns"])
        try:
            return Column(**given)
        except TableError:
            raise
        except (TypeError, ValueError) as error:
            raise TableError(
                f"Column {said['name']!r} must have fields of the right types, however: {error}. "
                "Take it from `scorewise schema`."
            ) from error

    def numbers(self, array: pa.Array[Any]) -> np.ndarray:
        """Give the cells of a number column, of its own type or of one that says the same.

        Args:
            array: (N,) cells: numbers of any type or text that reads as numbers; for dates, timestamps, times and
                durations the same in any unit, ISO 8601 text for dates and timestamps, seconds for durations; for
                what is written as text also text of its form, for what is written as integers also such numbers.

        Returns:
            (N,) float64 in the column's own unit (temporal columns: steps counted from the origin), NaN where missing.

        Raises:
            TableError: Where the cells cannot be read so.
        """
        family = dtype.family(self.counted)
        array = level.decoded(array)
        found = dtype.family(array.type)
        if found == "null":
            return np.full(len(array), np.nan)
        if found == "text" and family in {"moment", *_NUMERIC}:
            array = self._read(array)
            found = dtype.family(array.type)
        elif self.written is not None and packed.is_form(self.written) and found in _NUMERIC:
            if self.blank is not None:
                cells = dtype.floats(array)
                array = pa.array(cells, mask=cells == float(self.blank))
            array = self._known(array, packed.read(array, self.written))
            found = dtype.family(array.type)
        if family in _NUMERIC and found in {"boolean", *_NUMERIC}:
            values = dtype.floats(array)
            if self.single is not None:
                plain = grid.plain(values)
                return np.where(np.isinf(plain), values, plain)  # of another table, in which there are huge numbers
            if self.step is not None and found == "float" and array.type.bit_width < 64:
                snapped = grid.snap(values, self.step)
                width = array.type.to_pandas_dtype()
                return np.where(snapped.astype(width) == values.astype(width), snapped, values)
            return values
        if family == "duration" and found in _NUMERIC:
            ticks = dtype.floats(array) * (10**9 / dtype.nanoseconds(self.dtype))
            counted: np.ndarray = (ticks - float(self.origin or 0)) / float(self.tick or 1)
            return counted
        if family != found:
            raise self._mismatch(array)
        steps = _steps(dtype.integers(array), dtype.nanoseconds(array.type), self)
        return np.where(dtype.present(array), steps, np.nan)

    def categories(self, array: pa.Array[Any]) -> np.ndarray:
        """Give the cells of a category column, of its own type or of one that says the same.

        Args:
            array: (N,) cells.

        Returns:
            (N,) int64 indices into `levels`, -1 where missing, `len(levels)` for a value that is no level.
        """
        levels = level.from_json(self.levels or (), self.dtype)
        if isinstance(array, pa.DictionaryArray):
            known = level.match(levels, array.dictionary)
            indices = array.indices.cast(pa.int64()).fill_null(len(known)).to_numpy(zero_copy_only=False)
            codes: np.ndarray = np.append(known, -1)[indices]
            return codes
        return level.match(levels, array)

    def restore(self, cells: np.ndarray | None, rows: int, generator: np.random.Generator) -> pa.Array[Any]:
        """Make cells of the column's own type; the inverse of `numbers` and `categories`.

        Args:
            cells: (rows,) as given by `numbers` or `categories`; None for an identifier or a constant.
            rows: The number of cells.
            generator: The source of randomness of identifiers.

        Returns:
            (rows,) cells. Numbers are moved to the nearest value of the grid that the type can hold.

        Raises:
            ValueError: Where the cells are not of that form.
        """
        if self.kind == "identifier":
            return self._identifiers(rows, generator)
        if self.kind == "constant":
            if self.value is None:
                return self._nothing(rows)
            code = [known == self.value for known in self.levels or ()].index(True)
            return self._from_codes(np.full(rows, code))
        if cells is None or cells.shape != (rows,):
            found = "none" if cells is None else f"shape {cells.shape}"
            raise ValueError(f"Column {self.name!r} must have {rows} cells, however: {found}. Give one for each row.")
        gone = np.isnan(cells) if self.kind == "number" else cells < 0
        if not self.nullable and self.blank is None and gone.any():
            raise ValueError(
                f"Column {self.name!r} must have no missing cell, however: {int(gone.sum())} are missing. "
                "Its field is not nullable: give a value for each row."
            )
        return self._from_numbers(cells, gone) if self.kind == "number" else self._from_codes(cells)

    def _read(self, array: pa.Array[Any]) -> pa.Array[Any]:
        """Read text as numbers or points in time."""
        text = array.cast(pa.large_string())
        if self.blank is not None:
            said: Any = pc.not_equal(text, pa.scalar(self.blank, pa.large_string()))
            text = pc.if_else(said, text, None)
        try:
            read: pa.Array[Any]
            if self.written is not None and amount.is_form(self.written):
                read = amount.read(text, self.written)
            elif self.written is not None:
                read = _read_written(text, self.written)
            else:
                numeric = dtype.family(self.dtype) in _NUMERIC
                read = delimited.numbers(text) if numeric else delimited.timestamps(text)
        except pa.ArrowInvalid as error:
            raise self._mismatch(array) from error
        return self._known(text, read)

    def _known(self, cells: pa.Array[Any], read: pa.Array[Any]) -> pa.Array[Any]:
        """What was read of cells, where all of them could be that hold a value."""
        unread = dtype.present(cells) & pc.is_null(read).to_numpy(zero_copy_only=False)
        if unread.any():
            raise self._mismatch(cells.filter(pa.array(unread)))
        return read

    def _mismatch(self, array: pa.Array[Any]) -> TableError:
        example = next((value for value in array.to_pylist() if value is not None), None)
        form = "" if self.written is None else f" written as {self.written}"
        advice = "Convert the column to the type that it had in the fitted table"
        if self.written is not None:
            advice = "Write all of its cells in that form, as in the fitted table, or leave out those that say nothing"
        return TableError(
            f"Column {self.name!r} must hold values of type {self.arrow_type}{form}, however: {example!r} is of type "
            f"{array.type}. {advice}."
        )

    def _from_numbers(self, cells: np.ndarray, gone: np.ndarray) -> pa.Array[Any]:
        own = self.counted
        values = np.where(gone, self.minimum or 0.0, cells)
        if self.places is not None:
            values = grid.round_to(values if self.step is None else grid.snap(values, self.step), self.places)
        family = dtype.family(own)
        if family == "float":
            values = values if self.step is None else grid.snap(values, self.step)
            values = values if self.single is None else grid.as_single(values, self.single)
            made = dtype.from_floats(values, gone, own, nan=self.nan)
            return made if self.written is None else self._worded(amount.write(made, self.written))
        low, high = dtype.limits(own) if self.written is None else written.limits(self.written)
        if family == "decimal":
            values = values if self.step is None else grid.snap(values, self.step)
            values = np.rint(values * 10.0**own.scale)  # type: ignore[attr-defined]
            return dtype.from_integers(_clip(values, low, high), gone, own)
        if family == "integer":
            step = int(self.step or 1)
            count = _clip(np.rint(values / step), -(-low // step), high // step)
            unsigned = np.uint64 if low == 0 else np.int64
            return dtype.from_integers(count.astype(unsigned) * unsigned(step), gone, own)
        restored = self._ticks(values, gone, low, high)
        if self.written is None:
            return restored
        if dtype.family(self.dtype) != "text":
            made = packed.write(restored, self.written, self.dtype, nan=self.nan)
            return made if self.blank is None else made.fill_null(pa.scalar(int(self.blank)).cast(self.dtype))
        return self._worded(written.write(restored, self.written))

    def _worded(self, text: pa.Array[Any]) -> pa.Array[Any]:
        """Cells of the column's type, with the text of what is blank in them."""
        if self.blank is not None:
            text = text.fill_null(self.blank)
        return text.cast(self.dtype)

    def moments(self, cells: np.ndarray) -> pa.Array[Any]:
        """Give the moments, times or durations of a temporal number column; written ones not as text.

        Args:
            cells: (N,) float64 in the column's own unit, NaN where missing.

        Returns:
            (N,) cells of the type `counted`.
        """
        gone = np.isnan(cells)
        return self._ticks(np.where(gone, 0.0, cells), gone, *dtype.limits(self.counted))

    def _ticks(self, values: np.ndarray, gone: np.ndarray, low: int, high: int) -> pa.Array[Any]:
        origin, tick = int(self.origin or 0), int(self.tick or 1)
        count = _clip(np.rint(values), -((origin - low) // tick), (high - origin) // tick)
        # NOTE: two points of a 64-bit type can be more than 2^63 ticks apart; arithmetic modulo 2^64 is exact
        ticks = np.abs(count).astype(np.uint64) * np.uint64(tick)
        start = np.array(origin, dtype=np.int64).view(np.uint64)
        moments = np.where(count < 0, start - ticks, start + ticks).view(np.int64)
        return dtype.from_integers(moments, gone, self.counted)

    def _nothing(self, rows: int) -> pa.Array[Any]:
        if isinstance(self.dtype, pa.DictionaryType):
            return self._from_codes(np.full(rows, -1))
        if dtype.family(self.dtype) == "float":
            return dtype.from_floats(np.zeros(rows), np.ones(rows, dtype=bool), self.dtype, nan=self.nan)
        nothing: pa.Array[Any] = pa.nulls(rows).cast(self.dtype)
        return nothing

    def _from_codes(self, codes: np.ndarray) -> pa.Array[Any]:
        own = self.dtype
        levels = level.from_json(self.levels or (), own)
        if len(codes) and (codes.min() < -1 or codes.max() >= len(levels)):
            raise ValueError(
                f"Column {self.name!r} must have cells from -1 to {len(levels) - 1}, "
                f"however: {int(codes.min())} to {int(codes.max())}. Give indices of levels, or -1 for missing."
            )
        gone = codes < 0
        if isinstance(own, pa.DictionaryType):
            encoded = pa.array(np.where(gone, 0, codes), mask=gone).cast(own.index_type)
            return pa.DictionaryArray.from_arrays(encoded, levels.cast(own.value_type), ordered=own.ordered)
        if dtype.family(own) == "float":
            return dtype.from_floats(dtype.floats(levels)[codes], gone, own, nan=self.nan)
        indices = pa.array(np.where(gone, 0, codes), type=pa.int64(), mask=gone)
        taken: pa.Array[Any] = levels.take(indices).cast(own)
        return taken

    def _identifiers(self, rows: int, generator: np.random.Generator) -> pa.Array[Any]:
        own = self.dtype
        gone = np.zeros(rows, dtype=bool)
        gone[generator.permutation(rows)[: round(self.missing * rows)]] = True
        if self.patterns is not None:
            values = np.array(self.patterns.make(rows, generator), dtype=object)
            return pa.array(values, mask=gone, type=pa.large_string()).cast(own)
        step = int(self.step or 1)
        floating = dtype.family(own) == "float"
        limits = (-(2**53), 2**53) if floating else dtype.limits(own)
        whole = identifier.fresh_integers(rows, int(self.minimum or 0), int(self.maximum or 0), step, limits, self.name)
        if floating:
            return dtype.from_floats(whole.astype(np.float64), gone, own, nan=self.nan)
        return dtype.from_integers(whole, gone, own)


def _read_written(text: pa.Array[Any], form: str) -> pa.Array[Any]:
    """Read text of a form, or where that says the day of ISO 8601, as points in time; null where it is neither."""
    encoded: Any = text.dictionary_encode()
    moments: Any = written.read(encoded.dictionary, form)
    if moments.null_count and written.has_date(form):
        iso = delimited.timestamps(pc.if_else(pc.is_null(moments), encoded.dictionary, None))
        finer = min(moments.type, iso.type, key=dtype.nanoseconds)
        moments = pc.coalesce(moments.cast(finer), iso.cast(finer))
    read: pa.Array[Any] = moments.take(encoded.indices)
    return read


def _steps(ticks: np.ndarray, tick_ns: int, column: Column) -> np.ndarray:
    """Count the column's steps from its origin to each point in time."""
    origin, tick = int(column.origin or 0), int(column.tick or 1)
    own_ns = dtype.nanoseconds(column.counted)
    if tick_ns != own_ns:
        ahead = ticks.astype(object) * tick_ns - origin * own_ns
        counted: np.ndarray = (ahead / (tick * own_ns)).astype(np.float64)
        return counted
    # NOTE: two points of a 64-bit type can be more than 2^63 ticks apart; arithmetic modulo 2^64 is exact
    start = np.array(origin, dtype=np.int64).view(np.uint64)
    later = ticks >= origin
    points = ticks.view(np.uint64)
    whole, rest = np.divmod(np.where(later, points - start, start - points), np.uint64(tick))
    count = whole.astype(np.float64) + rest.astype(np.float64) / tick
    return np.where(later, count, -count)


def _clip(values: np.ndarray, low: int, high: int) -> np.ndarray:
    """Clip floats to integer bounds that floats may not be able to hold."""
    least, most = float(low), float(high)
    least = least if int(least) >= low else math.nextafter(least, math.inf)
    most = most if int(most) <= high else math.nextafter(most, -math.inf)
    clipped: np.ndarray = np.clip(values, least, most)
    return clipped
