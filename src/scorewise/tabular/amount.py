"""Numbers that are written as text, with a currency, a percent sign or a unit: read, and written to the letter."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pyarrow as pa

from scorewise.tabular.numeral import CELL, WAYS, Numeral, Sized

_FEW = 16  # cells that are looked at before all of them are


def find_form(distinct: pa.Array[Any], *, plain: bool = False) -> str | None:
    """Find the form in which all of the texts are written as amounts.

        write(read(distinct, form), form) == distinct    to the letter

    A form is a pattern of digits as spreadsheets have it, with what all texts have before and after it: a currency
    before, and a percent sign, a currency or a unit after; and a space on either side. `0` is a number without
    decimals, `0.00` one with two, `0.##` one with up to two and no zero at the end, `0.0#` one with one or two,
    `0[.]00` one with two, but for whole numbers, which have none. `#,##0` has a mark between thousands, which may be a
    comma, a point, an apostrophe or a space, and the mark before decimals may be a comma. So there are `$#,##0.00`,
    `0.#%`, `#.##0,00 €` and `0 months`. A sign stands before the digits; with one before the form, before all else:
    `-$0.00`, and where negative numbers are in brackets, the form is: `($0.00)`. Where letters tell thousands, millions
    or billions, there is a pattern for each size: `€0|€0K|€0.#M`, or two, of which the second is of two digits before
    the point or more: `0.0M|0M`. Texts of digits alone, and with a decimal point, are none unless that is allowed: they
    are codes, or were asked to be text.

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
    if any(CELL.fullmatch(text) is None for text in few):
        return None
    texts = cast("list[str]", distinct.to_pylist())
    cells = [CELL.fullmatch(text) for text in texts]
    seen = [cell for cell in cells if cell is not None]
    before, after = ({cell[side] for cell in seen} for side in ("before", "after"))
    if len(seen) < len(cells) or len(before) > 1:
        return None
    signs = {cell["outer"] for cell in seen}
    outer = "(" if "(" in signs else "-" if "-" in signs and before != {""} else ""
    if len(after) > 1:
        sized = Sized.find(seen, outer=outer)
        return None if sized is None else str(sized)
    forms = (Numeral.find(seen, way, outer=outer) for way in WAYS)
    return next((str(form) for form in forms if form is not None and (plain or not form.plain)), None)


def is_form(form: object) -> bool:
    """Tell whether a value is a form that `find_form` may give, a plain one or not.

    >>> is_form("$#,##0.00"), is_form("0.#%"), is_form("0.00"), is_form("%Y-%m-%d")
    (True, True, True, False)
    >>> is_form("€0|€0K|€0.#M"), is_form("€0|$0K"), is_form("0 kg|0 t")
    (True, False, False)

    Args:
        form: The value.

    Returns:
        Whether it is.
    """
    return isinstance(form, str) and (Numeral.parse(form) or Sized.parse(form)) is not None


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


def _parsed(form: str) -> Numeral | Sized:
    one = Numeral.parse(form) or Sized.parse(form)
    if one is None:
        raise ValueError(f"form must be one that `find_form` gives, however: {form!r}. Take it from a schema.")
    return one
