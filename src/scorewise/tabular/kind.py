"""Of what kind a column is."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scorewise.tabular import amount, dtype, grid, identifier, level, packed, written
from scorewise.tabular.column import Column, Kind
from scorewise.tabular.defect import TableError

MOST_LEVELS = 32
FEWEST_ROWS_PER_LEVEL = 20
FEWEST_BESIDE_BLANK = 3
"""Values of a column, one of which may say that there is none."""

_TEMPORAL = ("moment", "time", "duration")
_WIDE, _NARROW = 64, 32  # bits of floats; of the first it can be told how many digits they were written with


def describe(field: pa.Field[Any], array: pa.Array[Any], kind: Kind | None, *, is_target: bool) -> Column:
    """Find out what a column is.

    The rules of the kinds are told by `Schema.infer`.

    Args:
        field: The Arrow field.
        array: (N,) cells, none infinite.
        kind: The kind to give it; None to find it.
        is_target: Whether the column is the target, which is never an identifier.

    Returns:
        The column.

    Raises:
        TableError: Where it cannot be of the given kind.
    """
    array = array if pa.types.is_dictionary(array.type) else level.decoded(array)
    known = dtype.present(array)
    family = dtype.family(array.type)
    nan = family == "float" and array.null_count == 0 and not known.all()
    column = _Draft(
        name=field.name,
        array=array.filter(pa.array(known)),
        missing=float(1 - known.mean()),
        same={
            "name": field.name,
            "arrow_type": str(field.type),
            "missing": float(1 - known.mean()),
            "nan": nan,
            "nullable": field.nullable,
            "metadata": _text_metadata(field.metadata),
        },
    )
    return column.finish(kind, is_target=is_target) if known.any() else column.nothing(kind)


@dataclasses.dataclass(frozen=True)
class _Draft:
    """A column whose kind is being found out."""

    name: str
    array: pa.Array[Any]  # the cells that are present
    missing: float
    same: dict[str, Any]  # the fields of the column that do not depend on its kind

    def finish(self, kind: Kind | None, *, is_target: bool) -> Column:
        family = dtype.family(self.array.type)
        encoded = pa.types.is_dictionary(self.array.type)
        if encoded or family in {"text", "boolean"}:
            return self._qualitative(kind, is_target=is_target)
        single: grid.SingleForm | None = None
        if family in _TEMPORAL:
            values = dtype.integers(self.array)
            step: float | None = 1
        elif family == "float":
            values = dtype.floats(self.array)
            step = grid.step(values, self.array.type.bit_width)
            if step is None and self.array.type.bit_width == _WIDE:
                single = grid.single_form(values)
                if single is not None:
                    step, values = grid.step(values, _NARROW), grid.plain(values)
            if step is not None:
                values = grid.snap(values, step)
        else:
            values = dtype.integers(self.array)
            step = _integer_step(values, self.array.type)
        distinct = np.unique(values)
        moments = self._packed(distinct) if isinstance(step, int) else None
        if kind is None:
            kind = self._kind(distinct, step, is_target=is_target)
            kind = "number" if kind == "identifier" and moments is not None else kind
        if kind == "number":
            return self._number(distinct, step, single) if moments is None else moments
        if kind == "identifier":
            return self._integer_identifier(distinct, step)
        return self._levels(kind, level.distinct(self.array))

    def nothing(self, kind: Kind | None) -> Column:
        """The column of which all cells are missing."""
        if kind not in {None, "constant"}:
            raise self._refusal(f"have a value to be of kind {kind}", "all cells are missing")
        every = self._every_level()
        return Column(kind="constant", levels=() if every is None else level.to_json(every), **self.same)

    def _every_level(self) -> pa.Array[Any] | None:
        """The levels of an encoded column, in order, whether a cell has them or not; None for another column."""
        if not isinstance(self.array, pa.DictionaryArray):
            return None
        every: pa.Array[Any] = pc.unique(level.decoded(self.array.dictionary)).drop_null()
        return every

    def _kind(self, distinct: np.ndarray, step: float | None, *, is_target: bool) -> Kind:
        family = dtype.family(self.array.type)
        count = len(distinct)
        if count == 1:
            return "constant" if self.missing == 0 else "category"
        if family in _TEMPORAL:
            return "number"
        if count <= MOST_LEVELS and len(self.array) >= FEWEST_ROWS_PER_LEVEL * count:
            return "category"
        whole = family == "integer" or (family == "float" and isinstance(step, int))
        if (
            whole
            and not is_target
            and count == len(self.array)
            and identifier.is_integer_identifier(distinct, self.name)
        ):
            return "identifier"
        return "number"

    def _packed(self, distinct: np.ndarray) -> Column | None:
        """The column of moments that integers are, where all are, but for the least or the largest one."""
        form = packed.find_form(distinct, self.array.type, self.name)
        if form is not None:
            return self._written(packed.read(self.array, form), form)
        if self.missing > 0 or len(distinct) < FEWEST_BESIDE_BLANK:
            return None
        for blank, rest in ((distinct[0], distinct[1:]), (distinct[-1], distinct[:-1])):
            form = packed.find_form(rest, self.array.type, self.name)
            if form is not None:
                draft = self._but(self.array, pa.scalar(blank).cast(self.array.type), f"{int(blank)}")
                return draft._written(packed.read(draft.array, form), form)
        return None

    def _but(self, cells: pa.Array[Any], blank: pa.Scalar[Any], text: str) -> _Draft:
        """The same without the cells that say that there is no value."""
        said: Any = pc.not_equal(cells, blank)
        gone = float(1 - said.to_numpy(zero_copy_only=False).mean())
        same = self.same | {"blank": text, "missing": gone}
        return dataclasses.replace(self, array=cells.filter(said), missing=gone, same=same)

    def _qualitative(self, kind: Kind | None, *, is_target: bool) -> Column:
        encoded = pa.types.is_dictionary(self.array.type)
        used = level.distinct(
            self.array.dictionary_decode() if isinstance(self.array, pa.DictionaryArray) else self.array
        )
        is_text = dtype.family(self.array.type) == "text" and not encoded
        if is_text and (kind == "number" or (kind is None and len(used) > 1)):
            column = self._read(used, kind, is_target=is_target)
            if column is not None:
                return column
        if kind is None:
            if len(used) == 1 and self.missing == 0:
                kind = "constant"
            elif is_text and not is_target and identifier.is_text_identifier(self.array):
                kind = "identifier"
            else:
                kind = "category"
        if kind == "number":
            raise self._refusal("be numeric or temporal to be a number", self.same["arrow_type"])
        if kind == "identifier":
            if not is_text:
                raise self._refusal("hold text or integers to be an identifier", self.same["arrow_type"])
            return Column(kind=kind, patterns=identifier.patterns_of(cast("list[str]", used.to_pylist())), **self.same)
        every = self._every_level()
        return self._levels(kind, used) if every is None else self._levels(kind, every, used)

    def _read(self, used: pa.Array[Any], kind: Kind | None, *, is_target: bool) -> Column | None:
        """The column of what the text says, where all cells say it in one form, but for one word for what is not."""
        form = written.find_form(used) or self._packed_form(used)
        if form is not None:
            return self._written(written.read(used, form), form)
        form = amount.find_form(used)
        if form is not None:
            return self._amounts(form, kind, is_target=is_target)
        if self.missing > 0 or len(used) < FEWEST_BESIDE_BLANK:
            return None
        for says in (r"\d", r"[1-9]"):  # "?" beside numbers and dates, and 0000-00-00 beside dates
            number: Any = pc.match_substring_regex(used, says)
            words, rest = used.filter(pc.invert(number)), used.filter(number)
            if len(words) != 1:
                continue
            draft = self._but(self.array.cast(pa.large_string()), words[0], words[0].as_py())
            form = written.find_form(rest) or self._packed_form(rest)
            if form is not None:
                return draft._written(written.read(rest, form), form)
            form = amount.find_form(rest, plain=True)
            if form is not None and says == r"\d":
                return draft._amounts(form, kind, is_target=is_target)
        return None

    def _packed_form(self, used: pa.Array[Any]) -> str | None:
        """The form of texts that are digits alone, in which all of them are moments."""
        if not pc.all(pc.match_substring_regex(used, r"\A\d{4,15}\z")).as_py():
            return None
        form = packed.find_form(np.unique(used.cast(pa.int64())), pa.int64(), self.name)
        same = form is not None and written.write(written.read(used, form), form).equals(used)
        return form if same else None

    def _written(self, moments: pa.Array[Any], form: str) -> Column:
        draft = dataclasses.replace(self, array=moments, same=self.same | {"written": form})
        return draft._number(np.unique(dtype.integers(moments)), 1)

    def _amounts(self, form: str, kind: Kind | None, *, is_target: bool) -> Column | None:
        amounts = amount.read(self.array.cast(pa.large_string()), form)
        draft = dataclasses.replace(self, array=amounts, same=self.same | {"written": form})
        distinct = np.unique(dtype.floats(amounts))
        step = grid.step(distinct)
        found = draft._kind(distinct, step, is_target=is_target) if kind is None else kind
        return draft._number(distinct, step) if found == "number" else None

    def _levels(self, kind: Kind, levels: pa.Array[Any], used: pa.Array[Any] | None = None) -> Column:
        used = levels if used is None else used
        if kind == "constant":
            if len(used) != 1 or self.missing > 0:
                raise self._refusal("hold one value and no missing cell to be a constant", f"{len(used)} values")
            value = level.to_json(used)[0]
            return Column(kind=kind, levels=level.to_json(levels), value=value, **self.same)
        return Column(kind=kind, levels=level.to_json(levels), **self.same)

    def _number(self, distinct: np.ndarray, step: float | None, single: grid.SingleForm | None = None) -> Column:
        if len(distinct) < 2:
            raise self._refusal("hold two values or more to be a number", "one value")
        family = dtype.family(self.array.type)
        low, high = distinct[0], distinct[-1]
        if family in _TEMPORAL:
            origin = int(low)
            tick = math.gcd(*(np.diff(distinct.view(np.uint64))).tolist())
            last = float((int(high) - origin) // tick)
            return Column(kind="number", step=1, minimum=0.0, maximum=last, origin=origin, tick=tick, **self.same)
        if family == "decimal":
            low, high = dtype.unscaled_to_float(np.array([low, high], dtype=object), self.array.type)
        wide = family == "integer" or (family == "float" and self.array.type.bit_width == _WIDE)
        places = grid.find_places(distinct.astype(np.float64), step) if wide else None
        low, high = float(low), float(high)
        return Column(kind="number", step=step, single=single, places=places, minimum=low, maximum=high, **self.same)

    def _integer_identifier(self, distinct: np.ndarray, step: float | None) -> Column:
        family = dtype.family(self.array.type)
        if family not in {"integer", "float"} or not isinstance(step, int):
            raise self._refusal("hold text or integers to be an identifier", self.same["arrow_type"])
        whole = distinct.astype(np.int64) if family == "float" else distinct
        low, high = identifier.outer_bounds(whole, step)
        return Column(kind="identifier", step=step, minimum=low, maximum=high, **self.same)

    def _refusal(self, must: str, found: str) -> TableError:
        return TableError(
            f"Column {self.name!r} must {must}, however: {found}. Choose another kind for it, or convert the column."
        )


def _integer_step(values: np.ndarray, of: pa.DataType) -> float | None:
    multiple = math.gcd(*values.tolist())
    if dtype.family(of) == "integer":
        return multiple or 1
    step = float(dtype.unscaled_to_float(np.array([multiple], dtype=object), of)[0])
    try:
        grid.decimals(step)
    except ValueError:
        return None
    return step


def _text_metadata(metadata: Mapping[bytes, bytes] | None) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in (metadata or {}).items()}
