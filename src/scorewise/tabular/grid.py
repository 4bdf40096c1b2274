"""The grid that numbers lie on, such as whole thousands or two decimals, and how many digits they have."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np

MOST_DECIMALS = 9
Places = tuple[tuple[int, int], ...]
"""Pairs (e, p), e increasing: numbers of 10^e and more, up to the next pair, have no digits below the place 10^p."""
MOST_DIGITS = 15
"""Significant digits that every float tells apart."""
SingleForm = Literal["exact", "written", "read"]
_SINGLE_DIGITS = 9
"""Significant digits that tell every float of 32 bits from its neighbours."""
SINGLE_FORMS: tuple[SingleForm, ...] = get_args(SingleForm)
_DIGITS = 17  # that a float without a grid has
_NEXT, _BLURRED = 5e-15, 1e-9  # share of a float that 15 digits leave open, and one that no form does
_EVIDENCE = 9.0
_FARTHEST = 400  # power of ten
_FEWEST = 5  # numbers of a size that may tell of themselves
_FEW = 20_000  # numbers that are looked at before all of them are


def step(values: np.ndarray, bits: int = 64) -> float | int | None:
    """Find the coarsest step s such that every value is a whole multiple of s, where s has at most 9 decimals.

        s = gcd(k) 10^-d,   d = the least number of decimals with float(k_i 10^-d) = x_i for all i

    The test is exact: a value is on the grid where rounding it to d decimals gives the very same float. Where the
    values have so many digits that any float of that size would pass, there is no grid.

    Args:
        values: (N,) finite float64; floats of fewer bits must hold the values that those bits hold.
        bits: The width of the floats that the values come from: 64, 32 or 16.

    Returns:
        The step, an integer where it is whole; None where there is no grid, or every value is zero.
    """
    widths: dict[int, type[np.floating]] = {64: np.float64, 32: np.float32, 16: np.float16}
    width = widths[bits]
    most = 2.0 ** {64: 50, 32: 23, 16: 10}[bits]
    few = values[:: max(1, len(values) // 50)]
    for decimals in range(MOST_DECIMALS + 1):
        scale = 10.0**decimals
        if float(np.abs(values).max(initial=0.0)) * scale >= most:
            return None
        if not all(_on_grid(some, scale, width) for some in (few, values)):
            continue
        multiple = abs(int(np.gcd.reduce(np.rint(values * scale).astype(np.int64))))
        if multiple == 0:
            return None
        return multiple if decimals == 0 else multiple / 10**decimals
    return None


def single_form(values: np.ndarray) -> SingleForm | None:
    """Tell whether floats of 64 bits hold what floats of 32 bits were, and in which form.

    >>> single_form(np.array([39.150001525878906, 0.5])), single_form(np.array([39.1500015258789, 0.5]))
    ('exact', 'written')

    Args:
        values: (N,) finite float64.

    Returns:
        The form that most of some distinct values have to the last bit, and all to what 15 digits tell: "exact" as a
        database gives them, "written" with 15 digits as R writes them, "read" with 17 digits as pandas before version 3
        reads them, which may take the next float for the one that is written. None where they were no floats of 32
        bits.
    """
    distinct = np.unique(values)
    if not (np.abs(as_single(distinct, "exact") - distinct) <= _BLURRED * np.abs(distinct)).all():
        return None
    distinct = distinct[:: max(1, len(distinct) // _FEW)]
    found = {form: as_single(distinct, form) for form in SINGLE_FORMS}
    near = [form for form, one in found.items() if (np.abs(one - distinct) <= _NEXT * np.abs(distinct)).all()]
    return max(near, key=lambda form: np.count_nonzero(found[form] == distinct), default=None)


def as_single(values: np.ndarray, form: SingleForm) -> np.ndarray:
    """Give the nearest floats of 32 bits in a form that `single_form` finds.

    Args:
        values: (N,) float64; NaN stays NaN.
        form: "exact", "written" or "read".

    Returns:
        (N,) float64.
    """
    with np.errstate(over="ignore"):  # huge numbers are no floats of 32 bits
        single = values.astype(np.float32).astype(np.float64)
    if form == "exact":
        return single
    distinct, place = np.unique(single, return_inverse=True)
    take = _written if form == "written" else _read
    return np.array([take(value) for value in distinct.tolist()])[place]


def _written(value: float) -> float:
    return float(f"{value:.{MOST_DIGITS}g}")


def _read(value: float) -> float:
    """What pandas 2 reads of a float that is written with all of its digits, which it adds up as floats."""
    text, _, exponent = repr(abs(value)).partition("e")
    whole, _, decimals = text.partition(".")
    if not whole.isdecimal():  # no number
        return value
    number = 0.0
    for digit in (whole + decimals)[:_DIGITS]:
        number = 10.0 * number + float(digit)
    power = int(exponent or 0) + len(whole) - min(_DIGITS, len(whole + decimals))
    return math.copysign(number * 10.0**power if power > 0 else number / 10.0**-power, value)


def plain(values: np.ndarray) -> np.ndarray:
    """Give the numbers of fewest digits that are the same floats of 32 bits.

    >>> plain(np.array([39.150001525878906, 0.1])).tolist()
    [39.15, 0.1]

    Args:
        values: (N,) float64; NaN stays NaN.

    Returns:
        (N,) float64.
    """
    with np.errstate(over="ignore"):  # huge numbers are no floats of 32 bits
        single, place = np.unique(values.astype(np.float32), return_inverse=True)
    found = single.astype(np.float64)
    left = np.isfinite(found) & (found != 0)
    exponent = _exponent(np.where(left, np.abs(found), 1.0))
    for digits in range(1, _SINGLE_DIGITS + 1):
        rounded = _round(found, exponent - digits + 1)
        with np.errstate(over="ignore"):
            same = left & (rounded.astype(np.float32) == single)
        found, left = np.where(same, rounded, found), left & ~same
    return found[place]


def decimals(grid_step: float) -> int:
    """Count the decimals of a step.

    >>> decimals(0.05), decimals(1000)
    (2, 0)

    Args:
        grid_step: A step as found by `step`.

    Returns:
        The least d for which the step is a whole multiple of 10^-d.

    Raises:
        ValueError: Where the step has more than 9 decimals or is not above 0.
    """
    if math.isfinite(grid_step) and grid_step > 0:
        for count in range(MOST_DECIMALS + 1):
            multiple = round(grid_step * 10**count)
            if multiple > 0 and multiple / 10**count == grid_step:
                return count
    raise ValueError(
        f"step must be above 0 and have at most {MOST_DECIMALS} decimals, however: step={grid_step}. "
        "Give such a step, or null for none."
    )


def snap(values: np.ndarray, grid_step: float) -> np.ndarray:
    """Move each value to the nearest multiple of the step, as the float that prints with the step's decimals.

    >>> snap(np.array([12.299999999, 0.31]), 0.1).tolist()
    [12.3, 0.3]

    Args:
        values: (N,) float64; NaN stays NaN.
        grid_step: A step as found by `step`.

    Returns:
        (N,) float64.
    """
    scale = 10 ** decimals(grid_step)
    multiple = round(grid_step * scale)
    snapped: np.ndarray = np.rint(values * scale / multiple) * multiple / scale + 0.0  # -0.0 becomes 0.0
    return snapped


def find_places(values: np.ndarray, grid_step: float | None) -> Places | None:
    """Find down to which place numbers have digits, by their size, where their grid allows more.

    >>> find_places(np.array([1.234, 9.871, 12.34, 56.71, 98.76, 123.4, 234.5, 345.6, 456.7, 567.8]), 0.001)
    ((1, -2), (2, -1))

    Programs write so many significant digits, 2.666666667 beside 137.3333333; people and pages count large numbers in
    hundreds or thousands. What is found is no chance: of as many multiples of the step of that size all would be as
    round with a probability below 1e-9, where each size is judged alone, and what so many significant digits explain
    of all sizes together. A size of too few values is as round as the sizes below it, if its values are.

    Args:
        values: (L,) distinct finite float64.
        grid_step: The step of their grid; None where there is none.

    Returns:
        Pairs (e, p), e increasing: numbers of 10^e and more, up to the next pair, have no digits below the place 10^p.
        None where they have all the digits that they may have.
    """
    sizes = np.abs(values[values != 0])
    if len(sizes) > _FEW and not _places(sizes[:: len(sizes) // _FEW], grid_step):
        return None
    found = _places(sizes, grid_step)
    if not found or not np.array_equal(round_to(values, found), values):  # as near the ends of floats
        return None
    return found


def round_to(values: np.ndarray, places: Places) -> np.ndarray:
    """Round each value to the place that numbers of its size have, to the float that prints so.

    >>> round_to(np.array([137.33333333, 0.0266666, -987654.0, 0.0, 8.25]), ((-2, -5), (0, -1), (3, 2))).tolist()
    [137.3, 0.02667, -987700.0, 0.0, 8.2]

    Args:
        values: (N,) float64; NaN stays NaN, and numbers below the first of the sizes are left.
        places: What `find_places` gives.

    Returns:
        (N,) float64.
    """
    sizes, lowest = (np.array(part) for part in zip(*places, strict=True))
    known = np.isfinite(values) & (values != 0)
    exponent = _exponent(np.where(known, np.abs(values), 1.0))
    at = np.searchsorted(sizes, exponent, "right") - 1
    fine = known & (at >= 0) & (exponent - lowest[at] < MOST_DIGITS)
    return np.where(fine, _round(values, np.where(fine, lowest[at], 0)), values)


def is_places(value: object) -> bool:
    """Tell whether a value is what `find_places` may give.

    >>> is_places(((1, -2), (2, -1))), is_places(((1, -2), (1, -1))), is_places(()), is_places(((1, 0.5),))
    (True, False, False, False)

    Args:
        value: The value.

    Returns:
        Whether it is.
    """
    pairs = value if isinstance(value, tuple) and value else ((),)
    if not all(isinstance(pair, tuple) and [type(part) for part in pair] == [int, int] for pair in pairs):
        return False
    sizes = [pair[0] for pair in pairs]
    return sizes == sorted(set(sizes)) and all(abs(part) <= _FARTHEST for pair in pairs for part in pair)


def _places(sizes: np.ndarray, grid_step: float | None) -> Places:
    """What `find_places` gives; nothing in the place of None."""
    if len(sizes) == 0:
        return ()
    exponent = _exponent(sizes)
    finest, free = _last_place(grid_step)
    floor = exponent - _DIGITS + 1 if grid_step is None else np.full(len(sizes), float(finest))
    last = _last_digit(sizes, exponent, floor)
    every, first, group, counts = np.unique(exponent, return_index=True, return_inverse=True, return_counts=True)
    least, own = floor[first], np.full(len(every), np.inf)
    np.minimum.at(own, group, last)

    def told(place: np.ndarray) -> np.ndarray:
        """What it tells that all numbers of a size end at a place or before, in powers of ten."""
        return np.where(place > least, (place - least - np.log10(free)) * counts, 0.0)

    written = np.maximum(every - (exponent - last).max(), least)
    place = np.where(told(written).sum() > _EVIDENCE, written, least)
    alone = (told(own) > _EVIDENCE) & (counts >= _FEWEST)
    place = np.where(alone, np.maximum(place, own), place)
    for i in range(1, len(every)):
        place[i] = max(place[i], min(place[i - 1], own[i]))
    open_end = -_FARTHEST if grid_step is None else finest
    whole = np.array([10 ** max(0, int(p - finest)) % free == 0 for p in place])  # multiples of the step, too
    place = np.where((place > least) & whole, place, open_end)
    turns = np.diff(place, prepend=open_end) != 0
    return tuple((int(e), int(p)) for e, p in zip(every[turns], place[turns], strict=True))


def _last_digit(sizes: np.ndarray, exponent: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """The place of the last digit that is not 0 of each size, or the floor where there are more digits than 15."""
    last = floor.copy()
    on = np.ones(len(sizes), dtype=bool)
    for digits in range(MOST_DIGITS, 0, -1):
        place = exponent - digits + 1
        on &= (place <= floor) | (_round(sizes, place) == sizes)
        last = np.where(on & (place > floor), place, last)
    return last


def _round(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):  # near the ends of floats, where nothing is found
        up, down = 10.0 ** np.maximum(-place, 0), 10.0 ** np.maximum(place, 0)  # one of them is 1
        rounded: np.ndarray = np.rint(values * up / down) / up * down
    return rounded


def _exponent(sizes: np.ndarray) -> np.ndarray:
    """The power of ten of the first digit of each size."""
    exponent: np.ndarray = np.floor(np.log10(sizes))
    with np.errstate(over="ignore"):
        return exponent - (sizes < 10.0**exponent) + (sizes >= 10.0 ** (exponent + 1))


def _last_place(grid_step: float | None) -> tuple[int, int]:
    """The power of ten of the last digit of a step's multiples, and the factor by which they have fewer than all."""
    if grid_step is None:
        return 0, 1
    places = decimals(grid_step)
    multiple, zeros = round(grid_step * 10**places), 0
    while multiple % 10 == 0:
        multiple, zeros = multiple // 10, zeros + 1
    return zeros - places, multiple


def _on_grid(values: np.ndarray, scale: float, width: type[np.floating]) -> bool:
    return bool(np.array_equal((np.rint(values * scale) / scale).astype(width), values.astype(width)))
