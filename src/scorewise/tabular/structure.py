"""Structure: what is found in a table before it is encoded: which columns others give, and how each other one is told.

Relations are looked for in an order. What holds in every row comes first, since such a column is not encoded at all;
then what holds in most rows, which a mode tells; then how what is left may be told shorter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from scorewise.tabular.calendar import Calendar, find_calendars, part_of
from scorewise.tabular.defect import TableError
from scorewise.tabular.determined import Determined, level_steps
from scorewise.tabular.digits import Digits
from scorewise.tabular.dummies import Dummies, find_dummies
from scorewise.tabular.gap import Gap, find_gaps
from scorewise.tabular.marginal import Marginal
from scorewise.tabular.multiple import find_multiples
from scorewise.tabular.number import Number, equal_to_computed, fit_numbers, parent_from_json
from scorewise.tabular.prevalent import Prevalent, find_prevalent
from scorewise.tabular.relation import Combination, before, ordered
from scorewise.tabular.schema import Cells, Schema
from scorewise.tabular.sums import Sum
from scorewise.tabular.usual import Usual, find_usual, number_codes

MOST_ONE_HOT = 256
"""Levels of a category that is told in one block."""


class Structure(NamedTuple):
    """What is found in a table. Use `Structure.find`.

    Attributes:
        numbers: encoding of each number column, in an order in which each can be decoded, and of the parts of moments,
            by the names that `part_of` gives.
        levels: number of levels of each category, the missing one included; of what dummies say together, too.
        dummies: columns of zeros and ones that say one category.
        determined: columns that others determine; they are not encoded.
        sums: encoded columns that are tied to a signed sum of two others.
        usual: columns that another one nearly determines; of a category `Usual.told` is encoded, of a number its mode
            says whether it has the usual value.
        prevalent: encoded columns that are computed from others in most rows; the mode says in which.
        digits: categories of many levels as two blocks.
        calendars: columns of moments that are told by the calendar.
    """

    numbers: dict[str, Number]
    levels: dict[str, int]
    dummies: tuple[Dummies, ...]
    determined: Determined
    sums: tuple[Sum, ...]
    usual: tuple[Usual, ...]
    prevalent: tuple[Prevalent, ...]
    digits: dict[str, Digits]
    calendars: dict[str, Calendar]

    @classmethod
    def find(cls, schema: Schema, cells: Cells) -> Structure:
        """Find it in a table.

        Args:
            schema: what the table is.
            cells: of its N rows.

        Returns:
            What is found.
        """
        values, columns = cells.numbers, {column.name: column for column in schema.numbers}
        steps, places = ({name: getattr(one, what) for name, one in columns.items()} for what in ("step", "places"))
        temporal = {name for name, one in columns.items() if one.origin is not None}
        numbers, sums = fit_numbers(values, steps, temporal, places)
        levels, codes = _category_codes(schema, cells)
        dummies = find_dummies(codes, levels)
        levels |= {one.name: one.levels for one in dummies}
        codes = _with_spread(codes, dummies)
        determined = Determined.find(schema, cells, numbers, levels, codes, dummies)
        children = determined.children

        numbers = _tied(numbers, sums, determined, values, temporal)
        coded = determined.coded
        prevalent = _find_prevalent(schema, cells, determined, coded | temporal, _ties(numbers, determined))
        numbers, sums, ties = _without_circles(numbers, sums, determined, prevalent)
        compared = {**values, **{one.column: _held(one, schema, cells) for one in prevalent}}
        for formula in prevalent:
            numbers[formula.child] = _mostly(numbers[formula.child], formula, values, compared[formula.column])
        # moments are tied to no other column, so each may come after those of which fewer are missing, unless a number
        # is tied to one that is computed from them
        others = [name for name in ties if name not in temporal]
        late = temporal.difference(*(before(name, determined.ancestors, ties) for name in others))
        order = _in_order(numbers, determined, ties)
        order = sorted(order, key=lambda name: (name in late, columns[name].missing * (name in late)))
        numbers = {name: numbers[name] for name in order}

        free = {name: columns[name] for name in numbers if name not in children}
        computed = {one.child for one in prevalent}
        gaps = find_gaps(free, values, coded | computed)
        numbers |= {name: numbers[name].measured(name, gap, values) for name, gap in gaps.items()}
        told = {name: values[name] for name in free if name not in temporal | gaps.keys() | computed}
        known = {name: numbers[name].values for name in told if len(numbers[name].values)}
        shown = {name: code for name, code in codes.items() if name not in children}
        labels = {one.name: one.levels or () for one in schema.categories if one.name in shown}
        usual = find_usual(shown, levels, told, known, labels)
        for one in usual:
            if one.child in numbers:
                compared[one.column] = one.table[_codes_of(one.parent, numbers, codes, values)]
                mostly = _mostly(numbers[one.child], one, values, compared[one.column])
                numbers[one.child] = _else_multiples(
                    mostly, one, values[one.child], compared[one.column], steps[one.child]
                )

        coded |= {one.parent for one in usual}
        for name in numbers:
            if name in coded:
                numbers[name] = numbers[name].coded(values[name][~np.isnan(values[name])])
            else:
                numbers[name] = numbers[name].apart(name, compared)
        wide = {n: size for n, size in _told_levels(levels, usual).items() if size > MOST_ONE_HOT and n not in children}
        told_codes = _told_codes(codes, usual) if wide else {}
        digits = {name: Digits.fit(told_codes[name], size) for name, size in wide.items()}
        calendars = find_calendars({name: one for name, one in free.items() if name not in gaps}, values, coded)
        numbers = _with_parts(numbers, calendars, values)
        apart = children | gaps.keys()
        sums = [one for one in sums if apart.isdisjoint({one.child, *one.parent.names})]
        return cls(
            numbers, levels, tuple(dummies), determined, tuple(sums), tuple(usual), tuple(prevalent), digits, calendars
        )

    def categories(self, schema: Schema, cells: Cells) -> dict[str, np.ndarray]:
        """Give the codes of each category, and of what dummies say.

        Args:
            schema: what the table is.
            cells: of N rows.

        Returns:
            Codes by name, (N,) each; the last one is that of missing cells, where there are any.

        Raises:
            TableError: if a category holds a level that the schema does not know.
        """
        return _with_spread(_category_codes(schema, cells, self.levels)[1], self.dummies)

    def compared(
        self, schema: Schema, numbers: Mapping[str, np.ndarray], categories: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Give the values of number columns, and of some what they may equal.

        These are their parts (`part_of`), what is usual (`Usual.column`) and what is computed (`Prevalent.column`).

        Args:
            schema: what the table is.
            numbers: values of each number column, NaN where missing, (N,) each.
            categories: codes of each category, (N,) each.

        Returns:
            Values by name, NaN where missing, (N,) each.
        """
        usual = [one for one in self.usual if one.child not in self.levels]
        tables = {one.column: self.usual_values(one, numbers, categories) for one in usual}
        known = Cells(dict(numbers), dict(categories))
        tables |= {one.column: _held(one, schema, known) for one in self.prevalent}
        return {**numbers, **tables, **_parts_of(self.calendars, numbers)}

    def usual_values(
        self, usual: Usual, numbers: Mapping[str, np.ndarray], categories: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Give what is usual of a number column.

        Args:
            usual: which column, and of which other one.
            numbers: values of the number columns before it, (N,) each.
            categories: codes of each category, (N,) each.

        Returns:
            Values, NaN where nothing is usual, shape (N,).
        """
        values: np.ndarray = usual.table[_codes_of(usual.parent, self.numbers, categories, numbers)]
        return values

    def told_levels(self) -> dict[str, int]:
        """Give the number of codes of each category as it is encoded."""
        return _told_levels(self.levels, self.usual)

    def told_codes(self, codes: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Give the codes of each category as it is encoded.

        Args:
            codes: of each category, (N,) each.

        Returns:
            Codes by name, (N,) each.
        """
        return _told_codes(codes, self.usual)

    def to_json(self) -> dict[str, Any]:
        """Give all that is not an array, as plain JSON."""
        return {
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

    def arrays(self) -> dict[str, np.ndarray]:
        """Give the arrays by name; together with `to_json` they are the structure."""
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
        return found

    @classmethod
    def from_parts(cls, said: Mapping[str, Any], arrays: Mapping[str, np.ndarray], schema: Schema) -> Structure:
        """Rebuild it from `to_json` and `arrays`.

        Args:
            said: the plain form.
            arrays: the arrays by name.
            schema: what the table is.

        Returns:
            The structure.

        Raises:
            KeyError: if a part is missing.
            ValueError: if a part does not fit the others.
        """
        numbers: dict[str, Number] = {}
        for i, (name, one) in enumerate(said["numbers"].items()):
            marginal = _marginal(f"number.{i}", arrays, one, one["rows"])
            free = None if one["free"] is None else _marginal(f"free.{i}", arrays, one, one["free"])
            parents = tuple(map(parent_from_json, one["parents"]))
            gap = None if one["gap"] is None else Gap.from_json(one["gap"])
            if gap is not None and gap.parent not in numbers:
                raise ValueError(f"{name!r} is measured from {gap.parent!r}, which must come before it")
            numbers[name] = Number(marginal, parents, one["missing"], arrays[f"number.{i}.values"], gap, free)
        levels = dict(said["levels"])
        sums = tuple(Sum(child, Combination.from_json(parent)) for child, parent in said["sums"])
        usual = tuple(Usual(child, parent, arrays[f"usual.{i}"]) for i, (child, parent) in enumerate(said["usual"]))
        for what in usual:
            if not _fits(what, numbers, levels):
                raise ValueError(f"what is usual of {what.child!r} by {what.parent!r} has shape {what.table.shape}")
        digits = {
            name: Digits(arrays[f"digits.{i}.group"], arrays[f"digits.{i}.member"])
            for i, name in enumerate(said["digits"])
        }
        dummies = tuple(Dummies.from_json(one, levels) for one in said["dummies"])
        determined = Determined.from_parts(said, arrays, schema, dummies)
        prevalent = tuple(Prevalent.from_json(one) for one in said["prevalent"])
        computed = {one.child for one in prevalent}
        known = {name for one in prevalent for name in one.formula.parents} <= set(schema.learnable)
        if not known or not computed <= numbers.keys() - determined.children:
            said_of = [one.formula for one in prevalent]
            raise ValueError(f"what is mostly computed must be numbers, of others, however: {said_of}")
        calendars = {
            name: Calendar.from_parts(one, arrays[f"calendar.{i}"])
            for i, (name, one) in enumerate(said["calendars"].items())
        }
        parts = {part_of(name, part) for name, one in calendars.items() for part in one.numbers}
        if strange := (parts | calendars.keys()) - numbers.keys():
            raise ValueError(f"moments must be among the numbers, with their parts, however: {sorted(strange)} are not")
        return cls(numbers, levels, dummies, determined, sums, usual, prevalent, digits, calendars)


def _fits(usual: Usual, numbers: Mapping[str, Number], levels: Mapping[str, int]) -> bool:
    """Tell whether what is usual of a column fits the codes of the two."""
    child, parent, table = usual
    size = len(numbers[parent].values) + 1 if parent in numbers else levels[parent]
    if table.shape != (size,) or child not in {*levels, *numbers} or not (parent in levels or child in numbers):
        return False
    return child in numbers or bool(0 <= table.min() <= table.max() < levels[child])


def _marginal(prefix: str, arrays: Mapping[str, np.ndarray], said: Mapping[str, Any], rows: int) -> Marginal:
    knots, heights = (arrays[f"{prefix}.{part}"] for part in ("knots", "heights"))
    return Marginal(knots, heights, said["step"], rows, said["places"] and tuple(map(tuple, said["places"])))


def _held(prevalent: Prevalent, schema: Schema, cells: Cells) -> np.ndarray:
    """What is computed of a column, which is the column where that is right."""
    return prevalent.held_against(cells.numbers[prevalent.child], schema.numeric(cells))


def _mostly(number: Number, one: Prevalent | Usual, values: Mapping[str, np.ndarray], told: np.ndarray) -> Number:
    """How a column is encoded of which something tells most cells; the columns that it equals elsewhere come after."""
    left = number.without(one.child, values, told == values[one.child])
    return left._replace(parents=(Combination.column(one.column), *left.parents))


def _else_multiples(number: Number, usual: Usual, own: np.ndarray, told: np.ndarray, step: float | None) -> Number:
    """How a column is encoded that is a round share of what is usual in rows in which it is not that: a discount."""
    other = own != told
    sides = {usual.child: own[other], usual.column: told[other]}
    found = find_multiples(sides, {usual.child: step, usual.column: None}, {usual.child: [usual.column]}, most=1)
    return number._replace(parents=(*number.parents, *found.get(usual.child, ())))


def _tied(
    numbers: Mapping[str, Number],
    sums: Sequence[Sum],
    determined: Determined,
    values: Mapping[str, np.ndarray],
    temporal: Collection[str],
) -> dict[str, Number]:
    """How numbers are encoded beside those that are determined, which they may equal, too."""
    children = determined.children
    freed = {name: number.freed(children) for name, number in numbers.items()}
    ties = _ties(freed, determined, sums, most=2)
    told = {name: v for name, v in values.items() if name not in children and name not in temporal}
    for name, equal in equal_to_computed(told, values, determined.ancestors, ties).items():
        freed[name] = freed[name]._replace(parents=(*freed[name].parents, *equal))
    return freed


def _ties(
    numbers: Mapping[str, Number], determined: Determined, sums: Sequence[Sum] = (), most: int = 1
) -> dict[str, list[str]]:
    """What each number that is not determined comes after: what it may equal or is near, up to so many columns."""
    free = {name: number for name, number in numbers.items() if name not in determined.children}
    equal = {name: [one.names for one in number.parents if len(one.names) <= most] for name, number in free.items()}
    ties = {name: [one for names in parents for one in names] for name, parents in equal.items()}
    for tied in sums:
        if free.keys() >= {tied.child, *tied.parent.names}:
            ties[tied.child] += tied.parent.names
    return ties


def _without_circles(
    numbers: Mapping[str, Number], sums: Sequence[Sum], determined: Determined, prevalent: Sequence[Prevalent]
) -> tuple[dict[str, Number], list[Sum], dict[str, list[str]]]:
    """Numbers and sums without those sums of two columns by which one would come after what is computed from it.

    Also what each number comes after then.
    """
    ties, kept = _ties(numbers, determined), dict(numbers)
    for one in prevalent:
        ties[one.child] += one.formula.parents

    def tie(child: str, names: Sequence[str]) -> bool:
        fits = all(child not in before(name, determined.ancestors, ties) for name in names)
        if fits:
            ties[child] += names
        return fits

    for name in ties:
        parents = tuple(one for one in kept[name].parents if len(one.names) == 1 or tie(name, one.names))
        kept[name] = kept[name]._replace(parents=parents)
    free = [one for one in sums if ties.keys() >= {one.child, *one.parent.names}]
    return kept, [one for one in free if tie(one.child, one.parent.names)], ties


def _find_prevalent(
    schema: Schema, cells: Cells, determined: Determined, fixed: Collection[str], ties: Mapping[str, Collection[str]]
) -> list[Prevalent]:
    """What is computed in most rows of a table, but for columns that are fixed; ties are what columns come after."""
    fixed = {*fixed, *determined.looked_up}
    moments = determined.moments(schema)
    sources = {name: v for name, v in schema.numeric(cells).items() if name not in fixed or name in moments}
    steps = {column.name: column.step for column in schema.numbers} | level_steps(schema)
    places = {column.name: column.places for column in schema.numbers}
    known = {*determined.children, *fixed}
    children = {name: v for name, v in cells.numbers.items() if name in sources and name not in known}
    ancestors = {name: before(name, determined.ancestors, ties) for name in sources}
    return find_prevalent(children, steps, places, sources, ancestors, moments)


def _in_order(numbers: Mapping[str, Number], determined: Determined, ties: Mapping[str, Sequence[str]]) -> list[str]:
    """Numbers in an order in which each stands after those that it is tied to; last those that are computed."""
    computed = determined.ancestors
    encoded = [name for name in numbers if name not in computed]
    roots = {name: set[str]().union(*(computed.get(one, {one}) for one in ties.get(name, ()))) for name in encoded}
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
