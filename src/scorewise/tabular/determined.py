"""Columns that others determine: found in a table, not encoded, and computed again in what is decoded."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from scorewise.tabular import grid
from scorewise.tabular.band import Band, find_bands
from scorewise.tabular.column import Column
from scorewise.tabular.computation import Computation, computation_from_json
from scorewise.tabular.dummies import Dummies
from scorewise.tabular.elapsed import Elapsed, find_elapsed
from scorewise.tabular.formula import find_formulas, in_order
from scorewise.tabular.joint import Joint, find_joint
from scorewise.tabular.moment import find_parts, part_code, parts
from scorewise.tabular.number import Number
from scorewise.tabular.relation import Function, before, find_functions
from scorewise.tabular.schema import Cells, Schema
from scorewise.tabular.usual import number_codes
from scorewise.tabular.weighted import find_weighted_sums


class Determined(NamedTuple):
    """What is determined, in the order in which it can be computed.

    Attributes:
        formulas: number columns that are computed from others.
        functions: columns that another column determines, or a part of its moments.
        bands: columns that say in which band a number lies.
        joint: columns that two others determine together, none of which is determined.
    """

    formulas: tuple[Computation, ...]
    functions: tuple[Function, ...]
    bands: tuple[Band, ...] = ()
    joint: tuple[Joint, ...] = ()

    @classmethod
    def find(
        cls,
        schema: Schema,
        cells: Cells,
        numbers: Mapping[str, Number],
        levels: Mapping[str, int],
        codes: Mapping[str, np.ndarray],
        dummies: Sequence[Dummies] = (),
    ) -> Determined:
        """Find it in a table.

        Args:
            schema: what the table is.
            cells: of its N rows.
            numbers: encoding of each number column.
            levels: number of levels of each category, the missing one included.
            codes: levels of each category, (N,) each.
            dummies: columns that are determined by what they say together, which is among the categories.

        Returns:
            What is determined in every row, on evidence that is not an accident of few rows.
        """
        values, coded = cells.numbers, dict(codes)
        for name, number in numbers.items():
            if len(number.values):
                coded[name] = number_codes(values[name], number.values)
        counts = {name: levels.get(name) or len(numbers[name].values) + 1 for name in coded}
        spread = [function for one in dummies for function in one.functions()]
        for function in spread:
            del coded[function.child]
        names = [*schema.learnable, *(one.name for one in dummies)]
        looked_up = find_functions({n: coded[n] for n in names if n in coded}, counts)
        known = {one.child for one in looked_up}
        moments = {c.name: c for c in schema.numbers if c.origin is not None and c.name not in known}
        left = {name: one for name, one in coded.items() if name not in known}
        functions = [*find_parts(moments, values, left), *looked_up, *spread]
        known = {one.child for one in functions}
        steps = {column.name: column.step for column in schema.numbers} | level_steps(schema)
        computed = (values, steps, schema.numeric(cells))
        formulas = find_formulas(*computed, known)
        looked = set(known)
        known |= {one.child for one in formulas}
        totals = find_weighted_sums(*computed, known)
        # of an end less the time since a start, it is the time that is computed, and days keep recurring
        starts = [one for one in totals if schema.column(one.child).origin is not None and min(one.weights) < 0]
        found = cls((*(one for one in totals if one not in starts), *formulas), tuple(functions))
        elapsed = _elapsed(schema, cells, steps, found)
        members = {frozenset((one.child, *one.parents)) for one in elapsed}
        if any(frozenset((one.child, *one.parents)) not in members for one in starts):
            found = cls((*totals, *formulas), tuple(functions))
            elapsed = _elapsed(schema, cells, steps, found)
        ordered = in_order({one.child: one for one in (*found.formulas, *elapsed)})
        found = found._replace(formulas=tuple(ordered))
        fixed = found.children | found.in_formulas | {one.parent for one in functions}
        told = {name: coded[name] for name in schema.learnable if name in coded and name not in fixed}
        bands = find_bands(told, {n: v for n, v in values.items() if n not in looked})
        found = found._replace(bands=tuple(bands))
        free = {name: coded[name] for name in schema.learnable if name in coded and name not in found.children}
        recurring = {name: numbers[name].values for name in free if name in numbers}
        children = free.keys() - found.in_formulas - {one.parent for one in bands}
        joint = find_joint(free, counts, recurring, children, cells)
        return found._replace(joint=tuple(joint))

    @property
    def children(self) -> set[str]:
        """Names of the columns that are determined."""
        return {one.child for one in self.formulas} | self.looked_up

    @property
    def looked_up(self) -> set[str]:
        """Names of the columns that are determined, but are not computed."""
        return {one.child for some in (self.functions, self.bands, self.joint) for one in some}

    @property
    def coded(self) -> set[str]:
        """Names of the columns by whose codes others are looked up."""
        alone = {one.parent for one in self.functions if one.part is None}
        return alone.union(*(one.parents for one in self.joint))

    def moments(self, schema: Schema) -> dict[str, Column]:
        """Give the columns of times that are not looked up, from which others may be computed.

        Args:
            schema: what the table is.

        Returns:
            The columns by name.
        """
        known = self.looked_up
        return {one.name: one for one in schema.numbers if one.origin is not None and one.name not in known}

    @property
    def in_formulas(self) -> set[str]:
        """Names of the columns that are computed, and of those that they are computed from."""
        return {name for one in self.formulas for name in (one.child, *one.parents)}

    @property
    def ancestors(self) -> dict[str, set[str]]:
        """Names of the columns that each computed one depends on, itself among them."""
        found: dict[str, set[str]] = {}
        for one in self.formulas:  # parents come first
            found[one.child] = {one.child}.union(*(found.get(parent, {parent}) for parent in one.parents))
        return found

    def add_computed(
        self,
        schema: Schema,
        sources: dict[str, np.ndarray],
        names: Collection[str],
        known: Mapping[str, Number],
        *,
        clip: bool,
    ) -> None:
        """Add those of some columns that are computed, and what they are computed from.

        Args:
            schema: what the table is.
            sources: values of the columns that they are computed from, (N,) each; the computed ones are added.
            names: of columns.
            known: encoding of each number column.
            clip: whether computed numbers stay in the range of the table.
        """
        ancestors = self.ancestors
        needed = set[str]().union(*(ancestors.get(name, ()) for name in names))
        for formula in self.formulas:
            if formula.child in needed:
                sources[formula.child] = _computed(formula, schema, known, sources, clip)

    def compute(
        self,
        schema: Schema,
        known: Mapping[str, Number],
        numbers: dict[str, np.ndarray],
        categories: dict[str, np.ndarray],
        *,
        clip: bool,
    ) -> None:
        """Add the columns that are determined.

        Args:
            schema: what the table is.
            known: encoding of each number column.
            numbers: values of the number columns that are not determined, (N,) each; the others are added.
            categories: codes of the categories, likewise.
            clip: whether computed numbers stay in the range of the table.
        """
        sources = schema.numeric(Cells(numbers, categories)) if self.formulas else {}
        for formula in self.formulas:  # the parents of these are not looked up; those of functions may be computed
            child = formula.child
            sources[child] = _computed(formula, schema, known, sources, clip)
            if child in known:
                numbers[child] = sources[child]
            else:
                categories[child] = _nearest_levels(schema.column(child), sources[child])
        for band in self.bands:
            self._put(band.child, band.of(numbers[band.parent]), known, numbers, categories)
        for joint in self.joint:
            self._put(joint.child, joint.of(numbers, categories), known, numbers, categories)
        for function in self.functions:
            child, parent, table = function[:3]
            if function.part is not None:
                code = part_code(function, schema.column(parent), numbers[parent])
            elif parent in known:
                code = number_codes(numbers[parent], known[parent].values)
            else:
                code = categories[parent]
            self._put(child, table[code], known, numbers, categories)

    @staticmethod
    def _put(
        child: str,
        image: np.ndarray,
        known: Mapping[str, Number],
        numbers: dict[str, np.ndarray],
        categories: dict[str, np.ndarray],
    ) -> None:
        """Add a column by its codes."""
        if child in known:
            numbers[child] = np.append(known[child].values, np.nan)[image]
        else:
            categories[child] = image

    def to_json(self) -> dict[str, Any]:
        """Give all but the arrays as plain values."""
        return {
            "functions": [[one.child, one.parent, one.part, one.first] for one in self.functions],
            "formulas": [one.to_json() for one in self.formulas],
            "bands": [[one.child, one.parent, one.gone] for one in self.bands],
            "joint": [one.to_json() for one in self.joint],
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Give the arrays by name; together with `to_json` they are what is determined."""
        found = {f"function.{i}": one.table for i, one in enumerate(self.functions)}
        for i, band in enumerate(self.bands):
            found |= {f"band.{i}.cuts": band.cuts, f"band.{i}.codes": band.codes}
        for i, joint in enumerate(self.joint):
            found |= joint.arrays(f"joint.{i}.")
        return found

    @classmethod
    def from_parts(
        cls, said: Mapping[str, Any], arrays: Mapping[str, np.ndarray], schema: Schema, dummies: Sequence[Dummies] = ()
    ) -> Determined:
        """Rebuild it from `to_json` and `arrays`.

        Args:
            said: the plain form.
            arrays: the arrays by name.
            schema: what the table is.
            dummies: columns that are determined by what they say together.

        Returns:
            What is determined.

        Raises:
            KeyError: if a part is missing.
            ValueError: if a column, or a part of its moments, is not there, or a table is not one of its columns.
        """
        functions = tuple(
            Function(child, parent, arrays[f"function.{i}"], part, first)
            for i, (child, parent, part, first) in enumerate(said["functions"])
        )
        bands = tuple(
            Band(child, parent, arrays[f"band.{i}.cuts"], arrays[f"band.{i}.codes"], int(gone))
            for i, (child, parent, gone) in enumerate(said["bands"])
        )
        formulas = tuple(map(computation_from_json, said["formulas"]))
        joint = tuple(Joint.from_parts(one, arrays, f"joint.{i}.", schema) for i, one in enumerate(said["joint"]))
        found = cls(formulas, functions, bands, joint)
        strange = (found.children | found.in_formulas | {one.parent for one in functions}) - set(schema.learnable)
        strange -= {one.name for one in dummies}
        strange |= {one.parent for one in bands} - {column.name for column in schema.numbers}
        if strange:
            raise ValueError(f"relations must be of columns that can be learned, however: of {sorted(strange)}")
        numeric = {c.name for c in schema.columns if c.kind == "number" or c.numeric_levels is not None}
        if text := found.in_formulas - numeric:
            raise ValueError(
                f"what is computed, and what it is computed from, must be numbers, however: {sorted(text)}"
            )
        for band in bands:
            if len(band.codes) != len(band.cuts) + 1 or not (np.diff(band.cuts) > 0).all():
                raise ValueError(f"bands of {band.child!r} must begin at increasing numbers, however: {band.cuts}")
        for one in functions:
            if one.part is not None and one.part not in (there := parts(schema.column(one.parent))):
                raise ValueError(
                    f"{one.child!r} must be of a part of {one.parent!r}, of {there}, however: {one.part!r}"
                )
        return found


def _elapsed(schema: Schema, cells: Cells, steps: Mapping[str, float | None], determined: Determined) -> list[Elapsed]:
    """The columns of numbers, those of few values too, that are elapsed time in every row and not determined yet."""
    known = determined.children
    moments = determined.moments(schema)
    numbers = {n: v for n, v in schema.numeric(cells).items() if n not in known and schema.column(n).origin is None}
    ancestors = {name: before(name, determined.ancestors) for name in moments}
    return [
        one
        for one, share in find_elapsed(numbers, steps, moments, cells.numbers, ancestors)
        if share == 1 and np.array_equal(np.isnan(one.of(cells.numbers)), np.isnan(numbers[one.child]))
    ]


def _computed(
    formula: Computation,
    schema: Schema,
    known: Mapping[str, Number],
    sources: Mapping[str, np.ndarray],
    clip: bool,
) -> np.ndarray:
    computed = formula.of(sources)
    if formula.child not in known:
        codes = _nearest_levels(schema.column(formula.child), computed)
        return schema.numeric(Cells({}, {formula.child: codes}))[formula.child]
    marginal = known[formula.child].marginal
    if marginal.step is not None:
        computed = grid.snap(computed, marginal.step)
    return np.clip(computed, *marginal.ends) if clip else computed


def _nearest_levels(column: Column, values: np.ndarray) -> np.ndarray:
    """Codes of the levels nearest to numbers, once these are on their grid; of what is missing the number of levels."""
    levels = column.numeric_levels
    assert levels is not None
    order, step = np.argsort(levels), grid.step(levels)
    nearest = number_codes(values if step is None else grid.snap(values, step), levels[order])
    codes: np.ndarray = np.append(order, len(levels))[nearest]
    return codes


def level_steps(schema: Schema) -> dict[str, float | None]:
    """Tell the spacing of the grid of the levels of each category.

    Args:
        schema: what the table is.

    Returns:
        The spacing by name; None where there is no grid, or levels are no numbers.
    """
    levels = {column.name: column.numeric_levels for column in schema.categories}
    return {name: None if values is None else grid.step(values) for name, values in levels.items()}
