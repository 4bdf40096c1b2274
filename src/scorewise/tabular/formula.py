"""Columns that are computed from up to three others, such as a price in another currency, a product or an annuity."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from scorewise.tabular import grid

SCREENED_ROWS = 500
FEWEST_ROWS, FEWEST_VALUES = 100, 20
ALIKE = 0.99
"""Least correlation of a column with what it may be computed from."""
MOST_PAIRED = 64
"""Columns of which products and quotients are looked at, of which there are the square of it and more."""
MOST_RATES, MOST_LENGTHS, LONGEST = 8, 4, 600
"""Columns that are tried as rates of interest and as lengths of loans. What is longer is none; an amount is more."""
MOST_TRIED = 16
"""Ways in which a column may be computed that are tried, those that it is most correlated with."""
PRECISION, FINE_GRID = 2.0**-22, 1e-4
"""Share of its largest size to which a column has to be right that has no grid, or one finer than this: it may come
from floats of 32 bits."""
MOST_BLURRED = 1e-3
"""Most of its range that this may be."""
ROUNDING = 1e-12
"""Share of its largest size to which a column on a coarser grid has to be right: the rounding of floats of 64 bits."""
SLACK = 1e-4
"""Share of a step beyond one half that a line may be off by before its numbers are rounded."""
MOST_DIGITS = 6
LEAST_ROUNDED = 0.24
"""Least standard deviation of what rounding takes or adds, in steps: 0.29 by chance, 0.25 where it is 0 or half."""
CONSTRAINTS, ROUNDS, FINE = 64, 20, 1e-5

_ONE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "x": lambda x: x,
    "log(x)": np.log,
    "sqrt(x)": np.sqrt,
    "x^2": np.square,
    "1/x": np.reciprocal,
}
_TWO: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "x*y": np.multiply,
    "x/y": np.divide,
    "x*y^2": lambda x, y: x * np.square(y),
    "x/y^2": lambda x, y: x / np.square(y),
}


def _annuity(amount: np.ndarray, rate: np.ndarray, count: np.ndarray) -> np.ndarray:
    """What is paid in each period so that so many payments, with interest at a rate for a period, return an amount."""
    share = np.divide(rate, -np.expm1(-count * np.log1p(rate)), out=1 / count, where=rate != 0)
    paid: np.ndarray = amount * share
    return paid


_THREE: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "annuity(x,y/1200,z)": lambda x, y, z: _annuity(x, y / 1200, z),
    "annuity(x,y/12,z)": lambda x, y, z: _annuity(x, y / 12, z),
    "annuity(x,y/1200,12*z)": lambda x, y, z: _annuity(x, y / 1200, 12 * z),
    "annuity(x,y/12,12*z)": lambda x, y, z: _annuity(x, y / 12, 12 * z),
}
_ON_GRID = {"x", "x^2", "x*y", "x*y^2"}
Term = tuple[tuple[str, ...], str]
"""Names of one to three columns, and a shape."""
_PERCENT = 100.0
Line = tuple[float, float]
"""Offset and slope."""


class Computed(Protocol):
    """What computes a column from others."""

    @property
    def parents(self) -> tuple[str, ...]:
        """Names of the columns that it is computed from."""
        ...


C = TypeVar("C", bound=Computed)


class Formula(NamedTuple):
    """A number column that is computed from others: `offset + slope shape(parents)`, up to the rounding of the column.

    A child that is rounded down is in it too: `floor(x / 365)` is `x / 365 - 1/2`, rounded.

    Attributes:
        child: name of the computed column.
        parents: names of one to three columns, x, y and z.
        shape: of one column "x", "log(x)", "sqrt(x)", "x^2" or "1/x"; of two "x*y", "x/y", "x*y^2" or "x/y^2"; of three
            what is paid each month for an amount x at a yearly rate y over z months, "annuity(x,y/12,z)", in which y
            may be in percent, "y/1200", and z in years, "12*z".
        offset: in the unit of the child.
        slope: in the unit of the child for one of the shape.
    """

    child: str
    parents: tuple[str, ...]
    shape: str
    offset: float
    slope: float

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Formula:
        """Rebuild it from `to_json`.

        Args:
            said: the plain form.

        Returns:
            The formula.

        Raises:
            KeyError: if a field is missing.
            ValueError: if the shape is not one of so many columns.
        """
        parents = tuple(map(str, said["parents"]))
        shapes: Collection[str] = {1: _ONE.keys(), 2: _TWO.keys(), 3: _THREE.keys()}.get(len(parents), ())
        if said["shape"] not in shapes:
            raise ValueError(f"a formula must have a shape of its one to three parents, however: {said}")
        return cls(str(said["child"]), parents, said["shape"], float(said["offset"]), float(said["slope"]))

    def to_json(self) -> dict[str, Any]:
        """Give the formula as plain values."""
        return self._asdict() | {"parents": list(self.parents)}

    def of(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Compute the column, before it is rounded.

        Args:
            values: of its parents, (N,) each, NaN where missing.

        Returns:
            Shape (N,), NaN where a parent is missing or the shape has no value, as a quotient by 0.
        """
        return self.offset + self.slope * shape_values((self.parents, self.shape), values)


def find_formulas(
    numbers: Mapping[str, np.ndarray],
    steps: Mapping[str, float | None],
    sources: Mapping[str, np.ndarray],
    taken: Collection[str] = (),
) -> list[Formula]:
    """Find the number columns that are computed from others, in every row, to the unit in which they are written.

    A column counts as found where `FEWEST_ROWS` rows tell of it, and `FEWEST_VALUES` values of it among
    `SCREENED_ROWS` rows; where it is missing just where a parent is, or where the shape has no value; and where one
    offset and slope, rounded to the grid of the column, give each of its values, to `PRECISION` where there is no grid.
    Numbers of few digits are tried, then those with the least largest error. A quantity is near `amount / price` in the
    rows that there are, and would not be in others: on a grid, either all rows come to lie on it by the grids of the
    parents, or rounding takes or adds as much as it does by chance. The columns later in the table are tried first, one
    parent before two. A parent may itself be computed, from others than its child.

    Args:
        numbers: values of the columns that may be computed, in table order, (N,) each, NaN where missing.
        steps: spacing of the grid of each of these and of the sources, or None.
        sources: values of the columns that they may be computed from, likewise; these may be among them.
        taken: columns that are known to depend on others: they are neither computed nor parents.

    Returns:
        The formulas, each after those of its parents.
    """
    sources = {name: values for name, values in sources.items() if name not in taken}
    rows = len(next(iter(sources.values()), []))
    screen = np.sort(np.random.default_rng(0).permutation(rows)[:SCREENED_ROWS])
    quick = {name: values[screen] for name, values in sources.items()}
    children = [
        name
        for name in reversed(list(numbers))
        if name not in taken
        and np.count_nonzero(~np.isnan(numbers[name])) >= FEWEST_ROWS
        and len(np.unique(numbers[name][screen])) >= FEWEST_VALUES
    ]
    found: dict[str, Formula] = {}
    for terms in (terms_of_one(quick), terms_of_two(quick), terms_of_three(quick)):
        for child, term in _alike({name: numbers[name][screen] for name in children}, terms, quick):
            if child in found or any(_depends(parent, child, found) for parent in term[0]):
                continue
            step = steps[child]
            if _nearest(numbers[child][screen], shape_values(term, quick), step) is None:
                continue
            y, g = numbers[child], shape_values(term, sources)
            line = _right(y, g, step, _nearest(y, g, step))
            if line and is_rounded(y, g, step, line, lattice(term, steps)):
                found[child] = Formula(child, *term, *line)
    return list(in_order(found))


def _depends(name: str, other: str, found: Mapping[str, Formula]) -> bool:
    parents = found[name].parents if name in found else ()
    return name == other or any(_depends(parent, other, found) for parent in parents)


def in_order(found: Mapping[str, C]) -> Iterator[C]:
    """Bring what computes columns into an order in which parents come before what is computed from them.

    Args:
        found: formulas, or the like, by the name of the child.

    Yields:
        The same.
    """
    left = dict(found)
    while left:
        for child in [name for name, one in left.items() if left.keys().isdisjoint(one.parents)]:
            yield left.pop(child)


def terms_of_one(values: Mapping[str, np.ndarray]) -> list[Term]:
    """Give every shape of every column.

    Args:
        values: of each column.

    Returns:
        The terms.
    """
    return [((name,), shape) for shape in _ONE for name in values]


def terms_of_two(values: Mapping[str, np.ndarray]) -> Iterator[Term]:
    """Give the shapes of two columns, of the first `MOST_PAIRED`.

    Args:
        values: of each column.

    Yields:
        The terms, the products and quotients of a pair before the others.
    """
    names = list(values)[:MOST_PAIRED]
    for x, y in itertools.combinations(names, 2):
        yield (x, y), "x*y"
        yield from (((a, b), shape) for a, b in ((x, y), (y, x)) for shape in ("x/y", "x*y^2", "x/y^2"))


def terms_of_three(values: Mapping[str, np.ndarray]) -> Iterator[Term]:
    """Give the annuities of columns that may be an amount, a rate of interest and the length of a loan.

    A rate is 0 to 100 and no whole number throughout; a length is one from 2 to `LONGEST`. Of these the `MOST_RATES`
    and `MOST_LENGTHS` of fewest values are tried, with amounts that are never negative.

    Args:
        values: of each column.

    Yields:
        The terms.
    """
    known = {name: np.unique(one[~np.isnan(one)]) for name, one in values.items()}
    known = {name: one for name, one in known.items() if len(one) > 1 and one[0] >= 0}
    whole = {name for name, one in known.items() if (one == np.rint(one)).all()}
    fewest = sorted(known, key=lambda name: len(known[name]))
    rates = [name for name in fewest if name not in whole and known[name][-1] <= _PERCENT][:MOST_RATES]
    lengths = [name for name in fewest if name in whole and known[name][0] >= 2 and known[name][-1] <= LONGEST]
    amounts = [name for name in known if known[name][-1] > LONGEST][:MOST_PAIRED]
    for x, y, z in itertools.product(amounts, rates, lengths[:MOST_LENGTHS]):
        yield from (((x, y, z), shape) for shape in _THREE)


def _alike(
    children: Mapping[str, np.ndarray], terms: Iterable[Term], values: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, Term]]:
    """Go through the children, and through the terms that each is correlated with.

    Yields:
        A child and a term; of one child those that fit best first.
    """
    terms = list(terms)
    if not children or not terms:
        return
    standard = np.stack([_standardised(one) for one in children.values()])
    close = np.abs(standard @ np.stack([_standardised(shape_values(term, values)) for term in terms], 1))
    for child, row in zip(children, close, strict=True):
        likely = np.flatnonzero(row >= ALIKE)
        for j in likely[np.argsort(-row[likely], kind="stable")][:MOST_TRIED].tolist():
            yield child, terms[j]


def shape_values(term: Term, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Compute a term.

    Args:
        term: names of its columns, and a shape.
        values: of the columns, (N,) each, NaN where missing.

    Returns:
        Shape (N,), NaN where a column is missing or the shape has no value.
    """
    parents, shape = term
    with np.errstate(all="ignore"):  # the logarithm of 0 and the like are no numbers, and said to be so
        shapes: Mapping[str, Callable[..., np.ndarray]] = (_ONE, _TWO, _THREE)[len(parents) - 1]
        shaped = shapes[shape](*(values[name] for name in parents))
    return np.where(np.isfinite(shaped), shaped, np.nan)


def _standardised(values: np.ndarray) -> np.ndarray:
    """Values with mean 0 and sum of squares 1; 0 where missing, or all of them where they do not vary."""
    known = ~np.isnan(values)
    if not known.any():
        return np.zeros(len(values))
    with np.errstate(all="ignore"):  # huge values, whose squares are infinite, correlate with nothing
        centred = np.where(known, values - values[known].mean(), 0.0)
        scaled = centred / np.sqrt(np.square(centred).sum())
    return np.where(np.isfinite(scaled), scaled, 0.0)


def precision_share(step: float | None) -> float:
    """Tell to which share of its size a computed column has to be right once it is rounded.

    Args:
        step: spacing of its grid, or None.

    Returns:
        The share.
    """
    return PRECISION if step is None or step < FINE_GRID else ROUNDING


def tolerances(y: np.ndarray, step: float | None) -> tuple[float, float]:
    """Tell what a computed column may be off by.

    Args:
        y: its values, NaN where missing, shape (N,).
        step: spacing of its grid, or None.

    Returns:
        How much once it is rounded, and before that, in its unit.
    """
    precision = precision_share(step) * float(np.nanmax(np.abs(y)))
    return precision, max(precision, (0.5 + SLACK) * (step or 0.0))


def _nearest(y: np.ndarray, g: np.ndarray, step: float | None) -> Line | None:
    """The line from g to y whose largest error is least, where that is half a step and a little, or less."""
    known = ~np.isnan(y)
    if not np.array_equal(known, ~np.isnan(g)):
        return None
    y, g = y[known], g[known]
    precision, most = tolerances(y, step)
    centre, spread, base = float(g.mean()), float(g.std()), float(y.mean())
    if not (np.isfinite(most) and np.isfinite(spread) and spread > 0 and most > 0):
        return None
    if precision > MOST_BLURRED * float(np.ptp(y)):  # the values are alike but for what floats of 32 bits do not tell
        return None
    offset, slope = _minimax((y - base) / most, (g - centre) / spread)
    slope *= most / spread
    offset = base + offset * most - slope * centre
    return (offset, slope) if np.abs(y - offset - slope * g).max() <= most else None


def _right(y: np.ndarray, g: np.ndarray, step: float | None, near: Line | None) -> Line | None:
    """A line near another one, of numbers as plain as may be, that gives every y once it is rounded to the grid."""
    if near is None:
        return None
    precision, most = tolerances(y, step)
    for offset, slope in (*short_lines(*near, most), near):
        computed = offset + slope * g
        if step is not None:
            computed = grid.snap(computed, step)
        if np.nanmax(np.abs(y - computed)) <= precision:
            return offset, slope
    return None


def is_rounded(y: np.ndarray, g: np.ndarray, step: float | None, line: Line, spacing: float) -> bool:
    """Tell whether a column is what a line gives, rounded, for other values of its parents too.

    Args:
        y: values of the column that the line gives, shape (N,).
        g: what it is computed from, shape (N,).
        step: spacing of the grid of the column, or None.
        line: offset and slope.
        spacing: that of the grid on which g lies, NaN where there is none.

    Returns:
        Whether rounding takes or adds as much as it does by chance, or there is none, by the grids.
    """
    if step is None or step < FINE_GRID:
        return True
    offset, slope = line
    if np.nanstd(y - offset - slope * g) >= LEAST_ROUNDED * step:
        return True
    jump = abs(slope * spacing / step)
    return bool(jump > 0.5 and abs(jump - np.rint(jump)) <= SLACK)


def lattice(term: Term, steps: Mapping[str, float | None]) -> float:
    """Tell the spacing of the grid that a shape lies on for any values on the grids of its parents.

    Args:
        term: names of its columns, and the shape.
        steps: spacing of the grid of each column, or None.

    Returns:
        The spacing; NaN where there is none.
    """
    grids = {name: np.array(np.nan if steps[name] is None else steps[name]) for name in term[0]}
    return float(shape_values(term, grids)) if term[1] in _ON_GRID else math.nan


def agreed(low: np.ndarray, high: np.ndarray) -> float:
    """Find the number that lies in most of some intervals.

    Args:
        low: lower ends, shape (N,), N >= 1.
        high: upper ends, shape (N,).

    Returns:
        The middle of where most of them overlap.
    """
    low, high = np.sort(low), np.sort(high)
    inside = np.arange(1, len(low) + 1) - np.searchsorted(high, low, "left")  # of the intervals, where each begins
    start = low[int(inside.argmax())]
    return float(start + high[np.searchsorted(high, start, "left")]) / 2


def short_lines(offset: float, slope: float, unit: float) -> Iterator[Line]:
    """Round a line's numbers to few digits, such as those of a rate that people have set, or of what they divide by.

    Args:
        offset: of the line.
        slope: of the line.
        unit: an offset that is smaller is taken for 0.

    Yields:
        Offset and slope, those of fewest digits first.
    """
    for digits in range(1, MOST_DIGITS + 1):
        for plain in _shortened(slope, digits):
            yield 0.0, plain
            if abs(offset) > unit:
                yield float(f"{offset:.{digits}g}"), plain


def short(number: float, digits: int) -> float:
    """Round a number that is not 0 to few digits, or its reciprocal, whichever is nearer to it.

    >>> short(0.0833, 2) == 1 / 12, short(0.996, 2)
    (True, 1.0)

    Args:
        number: the number.
        digits: how many.

    Returns:
        The rounded number.
    """
    return min(_shortened(number, digits), key=lambda plain: abs(plain - number))


def _shortened(number: float, digits: int) -> tuple[float, float]:
    return float(f"{number:.{digits}g}"), 1 / float(f"{1 / number:.{digits}g}")


def _minimax(y: np.ndarray, g: np.ndarray) -> Line:
    """Offset and slope of the line whose largest error is least, where that may be below 1; found on rows that bind."""
    from scipy.optimize import linprog

    slope, offset = np.polyfit(g, y, 1).tolist()
    rest = y - offset - slope * g
    if np.sqrt(np.square(rest).mean()) > 1:  # no line has a largest error below the least root mean square
        return offset, slope
    error, binding, shift = np.abs(rest), np.zeros(0, dtype=np.int64), (0.0, 0.0)
    for _ in range(ROUNDS):
        binding = np.union1d(binding, np.argpartition(error, max(0, len(y) - CONSTRAINTS))[-CONSTRAINTS:])
        ones = np.ones(len(binding))
        above = np.stack([ones, g[binding], -ones], 1)
        below = np.stack([-ones, -g[binding], -ones], 1)
        solved = linprog(
            [0, 0, 1],
            A_ub=np.concatenate([above, below]),
            b_ub=np.concatenate([rest[binding], -rest[binding]]),
            bounds=[(None, None), (None, None), (0, None)],
        )
        if not solved.success:
            break
        *shift, least = solved.x.tolist()
        error = np.abs(rest - shift[0] - shift[1] * g)
        if error.max() <= least + FINE or least > 1:
            break
    return offset + shift[0], slope + shift[1]
