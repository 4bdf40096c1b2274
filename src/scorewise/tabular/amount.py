"""Numbers that are written as text, with a currency, a percent sign or a unit: read, and written to the letter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import pyarrow as pa

MOST_DIGITS = 15
"""Digits of a number, which a float holds for sure."""
_SPACE = " \u00a0\u202f"
_CURRENCY = r"(?:[A-Z]{1,2}\$|[$€£¥₹₽₺₩₪฿₫₱]|(?:USD|EUR|GBP|JPY|CHF|INR|CAD|AUD|CNY)(?=[ \u00a0\u202f])|Rs\.?|kr\.?)"
_BEFORE = rf"(?P<before>(?:{_CURRENCY}[{_SPACE}]?)?)"
_UNIT = r"(?:[%‰]|[^\W\d_]|[°€$£¥₹₽₺₩₪฿₫₱])(?:[^\W\d_]|[°²³/.%])*"
_AFTER = rf"(?P<after>(?:[{_SPACE}]?{_UNIT}(?: {_UNIT}){{0,2}})?)"
_SIGNED = r"(?P<{0}>-?)"
_CELL = re.compile(
    rf"{_SIGNED.format('outer')}{_BEFORE}{_SIGNED.format('inner')}(?P<digits>\d(?:[\d.,'{_SPACE}]*\d)?){_AFTER}"
)
_FORM = re.compile(
    rf"{_SIGNED.format('outer')}{_BEFORE}(?:#(?P<group>[.,'{_SPACE}])##)?0(?:(?P<point>[.,])(?P<places>0*#*))?"
    rf"{_AFTER}"
)
_STYLES = ((",", "."), ("", "."), (".", ","), ("", ","), *((group, point) for group in "'" + _SPACE for point in ".,"))
"""What stands between thousands, and before decimals; of two that write the same text the earlier one is taken."""
_FEW = 16  # cells that are looked at before all of them are


class _Form(NamedTuple):
    """What a form says: sign before all else or before the digits, what is before and after, marks, decimals."""

    outer: bool
    before: str
    group: str
    point: str
    least: int  # decimals, of which those above are not written where they are zeros
    most: int
    after: str

    @classmethod
    def parse(cls, form: str) -> _Form | None:
        match = _FORM.fullmatch(form)
        if match is None or (match["group"] is not None and match["group"] == match["point"]):
            return None
        places = match["places"] or ""
        if (match["point"] and not places) or len(places) > MOST_DIGITS or (match["outer"] and not match["before"]):
            return None
        return cls(
            match["outer"] == "-",
            match["before"],
            match["group"] or "",
            match["point"] or ("," if match["group"] == "." else "."),
            places.count("0"),
            len(places),
            match["after"],
        )

    @property
    def plain(self) -> bool:
        """Whether it is how numbers are written that would not have been left as text."""
        return not (self.before or self.after or self.group) and (self.point == "." or not self.most)

    def __str__(self) -> str:
        places = self.point + "0" * self.least + "#" * (self.most - self.least) if self.most else ""
        thousands = f"#{self.group}##0" if self.group else "0"
        return f"{'-' if self.outer else ''}{self.before}{thousands}{places}{self.after}"

    def number(self, text: str) -> float:
        """The number that a text says; NaN where it is not of the form, whatever its decimals and its thousands are."""
        match = _CELL.fullmatch(text)
        if match is None or (match["before"], match["after"]) != (self.before, self.after):
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
        written = whole.replace(",", self.group) + (self.point + places if places else "")
        sign = "-" if value < 0 and any(digit in "123456789" for digit in digits) else ""
        outer, inner = (sign, "") if self.outer else ("", sign)
        return f"{outer}{self.before}{inner}{written}{self.after}"


def find_form(distinct: pa.Array[Any], *, plain: bool = False) -> str | None:
    """Find the form in which all of the texts are written as amounts.

        write(read(distinct, form), form) == distinct    to the letter

    A form is a pattern of digits as spreadsheets have it, with what all texts have before and after it: a currency
    before, and a percent sign, a currency or a unit after. `0` is a number without decimals, `0.00` one with two,
    `0.##` one with up to two and no zero at the end, `0.0#` one with one or two. `#,##0` has a mark between thousands,
    which may be a comma, a point, an apostrophe or a space, and the mark before decimals may be a comma. So there are
    `$#,##0.00`, `0.#%`, `#.##0,00 €` and `0 months`. A sign stands before the digits; with one before the form, before
    all else: `-$0.00`. Texts of digits alone, and with a decimal point, are none unless that is allowed: they are
    codes, or were asked to be text.

    Where texts can be told either way, the earlier way is taken of: commas between thousands, a decimal point, points
    between thousands, a decimal comma.

    Args:
        distinct: (L,) texts, all different, none missing.
        plain: Whether texts of digits alone, and with a decimal point, have a form.

    Returns:
        The form; None where there is none.
    """
    if len(distinct) == 0:
        return None
    places: Any = np.linspace(0, len(distinct) - 1, _FEW).astype(np.int64)
    few = cast("list[str]", distinct.take(pa.array(places)).to_pylist())
    if any(_CELL.fullmatch(text) is None for text in few):
        return None
    texts = cast("list[str]", distinct.to_pylist())
    cells = [_CELL.fullmatch(text) for text in texts]
    seen = [cell for cell in cells if cell is not None]
    around = {(cell["before"], cell["after"]) for cell in seen}
    if len(seen) < len(cells) or len(around) > 1:
        return None
    [(before, after)] = around
    outer = before != "" and any(cell["outer"] for cell in seen)
    forms = (_styled(texts, seen, (outer, before, after), style) for style in _STYLES)
    return next((str(form) for form in forms if form is not None and (plain or not form.plain)), None)


def _styled(
    texts: Sequence[str], cells: Sequence[re.Match[str]], around: tuple[bool, str, str], style: tuple[str, str]
) -> _Form | None:
    """The form with some separators, where writing what it reads gives the same texts again."""
    (outer, before, after), (group, point) = around, style
    if group and not any(group in cell["digits"] for cell in cells):
        return None
    decimals = [len(cell["digits"].partition(point)[2]) for cell in cells]
    one = _Form(outer, before, group, point, min(decimals), max(decimals), after)
    if _Form.parse(str(one)) is None:
        return None
    numbers = map(one.number, texts)
    same = all(not np.isnan(number) and one.text(number) == text for number, text in zip(numbers, texts, strict=True))
    return one if same else None


def is_form(form: object) -> bool:
    """Tell whether a value is a form that `find_form` may give, a plain one or not.

    >>> is_form("$#,##0.00"), is_form("0.#%"), is_form("0.00"), is_form("%Y-%m-%d")
    (True, True, True, False)

    Args:
        form: The value.

    Returns:
        Whether it is.
    """
    return isinstance(form, str) and _Form.parse(form) is not None


def read(text: pa.Array[Any], form: str) -> pa.Array[Any]:
    """Read text as numbers.

    Args:
        text: (N,) texts, of type large_string.
        form: The form; thousands may be apart or not, and decimals may be others, whatever it says.

    Returns:
        (N,) float64; null where the text has not what the form has before and after the digits, or is no number.
    """
    one, encoded = _parsed(form), cast("Any", text.dictionary_encode())
    numbers = np.array([one.number(cell) for cell in encoded.dictionary.to_pylist()], dtype=np.float64)
    read: pa.Array[Any] = pa.array(numbers, mask=np.isnan(numbers)).take(encoded.indices)
    return read


def write(numbers: pa.Array[Any], form: str) -> pa.Array[Any]:
    """Write numbers as text, the inverse of `read`.

    Args:
        numbers: (N,) float64; they are rounded to the decimals of the form.
        form: The form.

    Returns:
        (N,) texts of type large_string, null where a number is missing.
    """
    one, encoded = _parsed(form), cast("Any", numbers.dictionary_encode())
    texts = pa.array([one.text(number) for number in encoded.dictionary.to_pylist()], pa.large_string())
    written: pa.Array[Any] = texts.take(encoded.indices)
    return written


def _parsed(form: str) -> _Form:
    one = _Form.parse(form)
    if one is None:
        raise ValueError(f"form must be one that `find_form` gives, however: {form!r}. Take it from a schema.")
    return one
