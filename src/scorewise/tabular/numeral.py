"""How a number is written: its pattern of digits, as spreadsheets have it, and one for each size."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import numpy as np

MOST_DIGITS = 15
"""Digits of a number, which a float holds for sure."""
_SPACE = " \u00a0\u202f"
_CURRENCY = r"(?:[A-Z]{1,2}\$|[$€£¥₹₽₺₩₪฿₫₱]|(?:USD|EUR|GBP|JPY|CHF|INR|CAD|AUD|CNY)(?=[ \u00a0\u202f])|Rs\.?|kr\.?)"
_BEFORE = rf"(?P<before> ?(?:{_CURRENCY}[{_SPACE}]?)?)"
_UNIT = r"(?:[%‰]|[^\W\d_]|[°€$£¥₹₽₺₩₪฿₫₱])(?:[^\W\d_]|[°²³/.%])*"
_AFTER = rf"(?P<after>(?:[{_SPACE}]?{_UNIT}(?: {_UNIT}){{0,2}})? ?)"
_OUTER, _END = r"(?P<outer>-|(?P<bracket>\())?", r"(?(bracket)\))"
CELL = re.compile(rf"{_OUTER}{_BEFORE}(?P<inner>-?)(?P<digits>\d(?:[\d.,'{_SPACE}]*\d)?){_AFTER}{_END}")
"""A number as text, with what is before and after its digits."""
_FORM = re.compile(
    rf"{_OUTER}{_BEFORE}(?:#(?P<group>[.,'{_SPACE}])##)?0"
    rf"(?:(?P<bare>\[)?(?P<point>[.,])(?(bare)\])(?P<places>0*#*))?{_AFTER}{_END}"
)
_STYLES = ((",", "."), ("", "."), (".", ","), ("", ","), *((group, point) for group in "'" + _SPACE for point in ".,"))
"""What stands between thousands, and before decimals; of two that write the same text the earlier one is taken."""
WAYS = tuple((*style, bare) for bare in (False, True) for style in _STYLES)
"""The same, with whether whole numbers are written without decimals though others have two or more."""
_POWERS = {"": 0, "k": 3, "K": 3, "m": 6, "M": 6, "B": 9, "bn": 9, "T": 12}
"""Powers of ten that letters behind the digits stand for, where numbers are written by their size."""


class Numeral(NamedTuple):
    """What a pattern says: how a negative number is told, what is before and after, marks, decimals."""

    outer: str  # what it has before all else: a sign, or a bracket, of which there is one behind all, too; else nothing
    before: str
    group: str
    point: str
    least: int  # decimals, of which those above are not written where they are zeros
    most: int
    after: str
    bare: bool  # whole numbers are written without decimals, though others have two or more

    @classmethod
    def parse(cls, form: str) -> Numeral | None:
        """The pattern that a text is; None where it is none."""
        match = _FORM.fullmatch(form)
        if match is None or (match["group"] is not None and match["group"] == match["point"]):
            return None
        places = match["places"] or ""
        if (
            (match["point"] and not places)
            or len(places) > MOST_DIGITS
            or (match["outer"] == "-" and not match["before"])
        ):
            return None
        if match["bare"] and places.count("0") < 2:
            return None
        return cls(
            match["outer"] or "",
            match["before"],
            match["group"] or "",
            match["point"] or ("," if match["group"] == "." else "."),
            places.count("0"),
            len(places),
            match["after"],
            bool(match["bare"]),
        )

    @classmethod
    def find(cls, cells: Sequence[re.Match[str]], way: tuple[str, str, bool], *, outer: str) -> Numeral | None:
        """The pattern of a way to write, where writing what it reads of all `CELL`s gives the same texts again."""
        (group, point, bare), one = way, cells[0]
        if group and not any(group in cell["digits"] for cell in cells):
            return None
        decimals = {len(cell["digits"].partition(point)[2]) for cell in cells}
        least = min(decimals - {0}, default=0) if bare else min(decimals)
        found = cls(outer, one["before"], group, point, least, max(decimals), one["after"], bare)
        return found if cls.parse(str(found)) is not None and _writes(found, cells) else None

    @property
    def plain(self) -> bool:
        """Whether it is how numbers are written that would not have been left as text."""
        marked = self.before.strip() or self.after.strip() or self.group or self.outer
        return not marked and (self.point == "." or not self.most)

    def __str__(self) -> str:
        point = f"[{self.point}]" if self.bare else self.point
        places = point + "0" * self.least + "#" * (self.most - self.least) if self.most else ""
        thousands = f"#{self.group}##0" if self.group else "0"
        return self._framed(f"{self.before}{thousands}{places}{self.after}")

    def _framed(self, written: str) -> str:
        return f"{self.outer}{written}{')' if self.outer == '(' else ''}"

    def number(self, text: str) -> float:
        """The number that a text says; NaN where it is not of the form, whatever its decimals and its thousands are."""
        match = CELL.fullmatch(text)
        if match is None or (match["before"], match["after"]) != (self.before, self.after):
            return np.nan
        if match["bracket"] and self.outer != "(":
            return np.nan
        digits = match["digits"]
        whole, mark, places = digits.partition(self.point)
        whole = whole.replace(self.group, "") if self.group else whole
        if not whole.isdecimal() or (mark and not places.isdecimal()) or len(whole) + len(places) > MOST_DIGITS:
            return np.nan
        size = float(f"{whole}.{places or 0}")
        return -size if match["outer"] or match["inner"] else size

    def text(self, value: float) -> str:
        """How a number is written."""
        digits = f"{abs(value):{',' if self.group else ''}.{self.most}f}"
        whole, _, places = digits.partition(".")
        places = places[: self.least] + places[self.least :].rstrip("0")
        if self.bare and not places.strip("0"):
            places = ""
        written = whole.replace(",", self.group) + (self.point + places if places else "")
        sign = "-" if value < 0 and any(digit in "123456789" for digit in digits) else ""
        told = f"{self.before}{'' if self.outer else sign}{written}{self.after}"
        return self._framed(told) if sign else told


class Sized(NamedTuple):
    """Patterns by the size of a number, which letters behind the digits tell: €0|€0K|€0.#M.

    Of two with the same letter the second one is of two digits before the point or more: 0.0M|0M.
    """

    parts: tuple[Numeral, ...]

    @classmethod
    def parse(cls, form: str) -> Sized | None:
        """The patterns that a text is; None where it is none."""
        parts = [Numeral.parse(part) for part in form.split("|")]
        known = tuple(part for part in parts if part is not None and part.after in _POWERS)
        powers = [_POWERS[part.after] for part in known]
        units = dict.fromkeys(part.after for part in known)
        sound = len(known) == len(parts) and powers == sorted(powers) and len(set(powers)) == len(units) > 1
        alike = len({(part.outer, part.before) for part in known}) == 1
        return cls(known) if sound and alike and all(powers.count(power) <= 2 for power in powers) else None

    @classmethod
    def find(cls, cells: Sequence[re.Match[str]], *, outer: str) -> Sized | None:
        """The patterns, where writing what they read of all `CELL`s gives the same texts again."""
        units = sorted({cell["after"] for cell in cells} & _POWERS.keys(), key=lambda unit: _POWERS[unit])
        if units[:1] == [""] and units[1:] not in (["k"], ["K"]) and len(units) < 3:  # 7 and 5B are numbers of houses
            return None
        parts: list[Numeral] = []
        for unit in units:
            same = [cell for cell in cells if cell["after"] == unit]
            parts += _alike([same], outer=outer) or _alike(_by_digits(same), outer=outer)
        sized = cls(tuple(parts))
        return sized if cls.parse(str(sized)) is not None and _writes(sized, cells) else None

    @property
    def plain(self) -> bool:
        """Whether it is how numbers are written that would not have been left as text."""
        return False

    def __str__(self) -> str:
        return "|".join(map(str, self.parts))

    def number(self, text: str) -> float:
        """The number that a text says; NaN where it is of none of the patterns."""
        said = ((part.number(text), _POWERS[part.after]) for part in self.parts)
        exact = ((Decimal(repr(number)), power) for number, power in said if not np.isnan(number))
        return next((float(number.scaleb(power)) for number, power in exact), np.nan)

    def text(self, value: float) -> str:
        """How a number is written: as its size says, or the next one where it is rounded up to that."""
        starts = [10.0 ** _POWERS[part.after] for part in self.parts]
        starts = [10 * start if start in starts[:place] else start for place, start in enumerate(starts)]
        place = max((place for place, start in enumerate(starts) if abs(value) >= start), default=0)
        while True:
            part = self.parts[place]
            text = part.text(value / 10 ** _POWERS[part.after])
            if place + 1 == len(starts) or abs(self.number(text)) < starts[place + 1]:
                return text
            place += 1


def _by_digits(cells: Sequence[re.Match[str]]) -> list[list[re.Match[str]]]:
    """Those of one digit before the point, and those of more."""
    return [[cell for cell in cells if cell["digits"][1:2].isdecimal() == many] for many in (False, True)]


def _alike(groups: Sequence[Sequence[re.Match[str]]], *, outer: str) -> list[Numeral]:
    """The patterns of groups of cells that are written in the same way; none where a group has none."""
    for way in WAYS if all(groups) else ():
        found = [Numeral.find(group, way, outer=outer) for group in groups]
        known = [numeral for numeral in found if numeral is not None]
        if len(known) == len(groups):
            return known
    return []


def _writes(form: Numeral | Sized, cells: Sequence[re.Match[str]]) -> bool:
    """Whether what is read of all texts is written as they are."""
    numbers = [form.number(cell.string) for cell in cells]
    return all(
        not np.isnan(number) and form.text(number) == cell.string for number, cell in zip(numbers, cells, strict=True)
    )
