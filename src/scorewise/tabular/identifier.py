"""Identifiers: columns that only tell the rows apart. They are recognised, not learned, and made anew."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scorewise.tabular.defect import TableError

FEWEST_ROWS = 20
LEAST_SHARE_OF_SINGLE = 0.9

_NAMES = frozenset({"id", "ids", "uid", "uuid", "guid", "key", "nbr", "no", "number"})
_CLASSES = (
    string.digits,
    string.digits + "abcdef",
    string.digits + "ABCDEF",
    string.ascii_lowercase,
    string.ascii_uppercase,
    string.ascii_letters,
    string.digits + string.ascii_lowercase,
    string.digits + string.ascii_uppercase,
    string.digits + string.ascii_letters,
)
_MOST_MARKS = 256  # combinations of characters that no training value has
_LONGEST = 64  # characters of a value that are looked at
_ENUMERABLE = 1 << 20


def looks_like_identifier(name: str) -> bool:
    """Tell whether a column name ends in a word such as id, uuid, key, nbr, no or number, or begins with id.

    >>> [looks_like_identifier(name) for name in ("customer_id", "PassengerId", "ID", "number_of_rooms", "paid")]
    [True, True, True, False, False]

    Args:
        name: The column name, its words separated by capitals or anything but letters and digits.

    Returns:
        Whether it does.
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    words = re.findall(r"[^\W_]+", spaced.lower())
    return bool(words) and (words[-1] in _NAMES or words[0] in {"id", "uuid", "guid"})


def is_integer_identifier(values: np.ndarray, name: str) -> bool:
    """Tell whether distinct integers are an identifier.

    They are where they are consecutive, or where n draws from their range r would have been expected to collide
    n^2 / (2 r) >= 10 times and none did (the birthday problem), or where the name looks like an identifier.

    Args:
        values: (n,) distinct integers.
        name: The name of the column.

    Returns:
        Whether they are; never for fewer than 20.
    """
    count = len(values)
    if count < FEWEST_ROWS:
        return False
    width = int(values.max()) - int(values.min()) + 1
    return width == count or count**2 / (2 * width) >= 10 or looks_like_identifier(name)


def is_text_identifier(values: pa.Array[Any]) -> bool:
    """Tell whether texts are an identifier: nine tenths or more of them, and 20 in all or more, are in one cell only.

    >>> is_text_identifier(pa.array([f"Person {i}" for i in range(19)] + ["Person 0"]))
    True

    Args:
        values: (n,) texts, none missing.

    Returns:
        Whether they are.
    """
    counts: Any = pc.value_counts(values).field("counts")
    single = int((counts.to_numpy() == 1).sum())
    return len(values) >= FEWEST_ROWS and single >= LEAST_SHARE_OF_SINGLE * len(values)


def outer_bounds(values: np.ndarray, step: int) -> tuple[int, int]:
    """Give round numbers beyond the smallest and the largest identifier, so that neither is kept.

    Args:
        values: (n,) integers, multiples of the step.
        step: The step.

    Returns:
        A number below all of the values and one above all of them, both multiples of the step.
    """
    unit = step * 10 ** (len(str(len(values))) - 1)
    return (int(values.min()) - 1) // unit * unit, -(-(int(values.max()) + 1) // unit) * unit


def fresh_integers(rows: int, low: int, high: int, step: int, limits: tuple[int, int], name: str) -> np.ndarray:
    """Make identifiers upwards from the upper bound and, once the type has no more, downwards from the lower one.

    Args:
        rows: How many.
        low: The lower bound, as given by `outer_bounds`.
        high: The upper bound.
        step: The step.
        limits: The smallest and the largest integer of the type.
        name: The name of the column, for the message.

    Returns:
        (rows,) distinct integers, none strictly between the bounds; int64, or uint64 beyond it.

    Raises:
        TableError: Where the type does not hold that many.
    """
    above = max(0, (limits[1] - high) // step + 1)
    below = max(0, (low - limits[0]) // step + 1)
    if above + below < rows:
        raise TableError(
            f"An identifier must have a fresh value for each row, however: {rows} rows, and the integers of {name!r} "
            f"leave {above + below}. Ask for fewer rows, or make the column a wider integer or a category."
        )
    upwards = min(rows, above)
    values = [high + step * i for i in range(upwards)] + [low - step * i for i in range(rows - upwards)]
    return np.array(values, dtype=np.uint64 if limits[1] > np.iinfo(np.int64).max else np.int64)


@dataclass(frozen=True)
class Pattern:
    """Values of one length: the characters that each position may have, and marks that no training value bears.

    A mark is a choice of characters for the positions `marked`; every value made bears one of the marks, so that it
    differs from all training values without any of them being kept.
    """

    share: float
    positions: tuple[str, ...]
    marked: tuple[int, ...]
    marks: tuple[str, ...]

    @property
    def capacity(self) -> int:
        """The number of values that can be made."""
        count = len(self.marks)
        for position, characters in enumerate(self.positions):
            count *= 1 if position in self.marked else len(characters)
        return count

    def make(self, rows: int, generator: np.random.Generator) -> list[str]:
        """Draw distinct values.

        Args:
            rows: How many, at most `capacity`.
            generator: The source of randomness.

        Returns:
            The values, in random order.
        """
        free = [position for position in range(len(self.positions)) if position not in self.marked]
        radices = [len(self.marks), *(len(self.positions[position]) for position in free)]
        digits = _distinct_digits(rows, radices, generator)
        letters = np.empty((rows, len(self.positions)), dtype="<U1")
        marks = np.array([list(mark) for mark in self.marks], dtype="<U1").reshape(len(self.marks), len(self.marked))
        letters[:, list(self.marked)] = marks[digits[:, 0]]
        for column, position in enumerate(free, start=1):
            letters[:, position] = np.array(list(self.positions[position]), dtype="<U1")[digits[:, column]]
        return ["".join(row) for row in letters.tolist()]


@dataclass(frozen=True)
class Patterns:
    """How identifiers of text look: the patterns of their lengths, and the length of the longest."""

    patterns: tuple[Pattern, ...]
    longest: int

    def to_json(self) -> dict[str, Any]:
        """Give the patterns as plain lists, dicts, strings and numbers."""
        return {"longest": self.longest, "patterns": [asdict(pattern) for pattern in self.patterns]}

    @staticmethod
    def from_json(said: Mapping[str, Any]) -> Patterns:
        """Read what `to_json` gave.

        Args:
            said: The plain form.

        Returns:
            The patterns.

        Raises:
            TableError: Where it is not of that form.
        """
        try:
            patterns = tuple(
                Pattern(float(one["share"]), tuple(one["positions"]), tuple(one["marked"]), tuple(one["marks"]))
                for one in said["patterns"]
            )
            longest = int(said["longest"])
        except (KeyError, TypeError, ValueError) as error:
            raise TableError(
                f"The patterns of an identifier must have a length and positions, however: {error!r} in {said!r}. "
                "Leave them as `scorewise schema` gives them."
            ) from error
        if not patterns or not all(pattern.positions and all(pattern.positions) for pattern in patterns):
            raise TableError(
                f"The patterns of an identifier must have characters at each position, however: {said!r}. "
                "Leave them as `scorewise schema` gives them."
            )
        return Patterns(patterns, longest)

    def make(self, rows: int, generator: np.random.Generator) -> list[str]:
        """Draw distinct values that look like the training values and equal none of them.

        The lengths have the shares that they have in training. Where a pattern has too few values left, the rest is
        made one character or more longer than the longest training value.

        Args:
            rows: How many.
            generator: The source of randomness.

        Returns:
            The values, in random order.
        """
        shares = np.array([pattern.share for pattern in self.patterns])
        counts = generator.multinomial(rows, shares / shares.sum())
        values: list[str] = []
        for pattern, count in zip(self.patterns, counts.tolist(), strict=True):
            values += pattern.make(min(count, pattern.capacity), generator)
        if len(values) < rows:
            values += self._longer(rows - len(values)).make(rows - len(values), generator)
        return [values[index] for index in generator.permutation(rows)]

    def _longer(self, rows: int) -> Pattern:
        pattern = self.patterns[0]
        varied = [characters for characters in pattern.positions if len(characters) > 1]
        more = _closure(varied[-1]) if varied else string.digits
        positions = pattern.positions + (more,) * max(1, self.longest + 1 - len(pattern.positions))
        longer = Pattern(1.0, positions, (), ("",))
        while longer.capacity < rows:
            longer = Pattern(1.0, (*longer.positions, more), (), ("",))
        return longer


def patterns_of(values: list[str]) -> Patterns:
    """Find how identifiers of text look, position by position.

    For each length that 20 values or more have (or, where there is none, for all values together), a position keeps the
    characters that were seen there often enough to be all there are, and otherwise the smallest class that holds them:
    digits, hexadecimal digits, lower or upper case letters, letters, both. So a UUID stays a UUID and C0042 stays a
    C and four digits. Only the first 64 characters are looked at.

    Args:
        values: The distinct training values, one or more.

    Returns:
        The patterns, the most frequent first, none of which can make a training value.
    """
    longest = max(map(len, values))
    clipped = [value[:_LONGEST] for value in values]
    lengths = np.array([len(value) for value in clipped])
    sizes = {int(length): int((lengths == length).sum()) for length in np.unique(lengths)}
    kept = sorted(
        (length for length, size in sizes.items() if length > 0 and size >= FEWEST_ROWS),
        key=lambda length: -sizes[length],
    )
    patterns = []
    for length in kept:
        letters = np.array([value for value in clipped if len(value) == length]).view("<u4").reshape(-1, length)
        positions = tuple(_characters(letters[:, position]) for position in range(length))
        marked, marks = _unseen(letters, positions)
        patterns.append(Pattern(sizes[length] / len(values), positions, marked, marks))
    if not patterns:
        usual = max(1, int(np.median(lengths)))
        padded = [[ord(value[position]) for value in clipped if len(value) > position] for position in range(usual)]
        positions = tuple(
            _characters(np.array(letters, dtype="<u4")) if letters else string.digits for letters in padded
        )
        patterns.append(Pattern(1.0, positions, (), ()))
    return Patterns(tuple(patterns), longest)


def _characters(codes: np.ndarray) -> str:
    seen = "".join(map(chr, np.unique(codes).tolist()))
    return seen if len(codes) >= FEWEST_ROWS * len(seen) else _closure(seen)


def _closure(seen: str) -> str:
    """Give the smallest class of characters that holds the letters and digits seen, and the other characters seen."""
    plain = {character for character in seen if character in _CLASSES[-1]}
    other = "".join(character for character in seen if character not in plain)
    if not plain:
        return other
    return next(characters for characters in _CLASSES if plain <= set(characters)) + other


def _unseen(letters: np.ndarray, positions: tuple[str, ...]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Choose positions, and combinations of characters there that no training value has, to leave the most values."""
    varied = [position for position, characters in enumerate(positions) if len(characters) > 1]
    best: tuple[int, tuple[int, ...], tuple[str, ...]] = (0, (), ())
    codes = np.zeros(len(letters), dtype=np.int64)
    total = 1
    free = 1
    for position in varied:
        free *= len(positions[position])
    for count in range(1, len(varied) + 1):
        position = varied[-count]
        alphabet = positions[position]
        if total * len(alphabet) > _ENUMERABLE:
            break
        order = np.argsort([ord(character) for character in alphabet])
        places = np.searchsorted(np.sort([ord(character) for character in alphabet]), letters[:, position])
        codes = codes + order[places] * total
        total *= len(alphabet)
        free //= len(alphabet)
        seen = np.zeros(total, dtype=bool)
        seen[codes] = True
        unseen = np.flatnonzero(~seen)
        if min(len(unseen), _MOST_MARKS) * free > best[0]:
            chosen = unseen[np.linspace(0, len(unseen) - 1, min(len(unseen), _MOST_MARKS)).astype(np.int64)]
            marked = tuple(varied[-count:][::-1])
            marks = tuple(_mark(int(code), [positions[place] for place in marked]) for code in chosen)
            best = (len(marks) * free, marked, marks)
        if len(unseen) >= _MOST_MARKS:  # one more position cannot leave more values
            break
    return best[1], best[2]


def _mark(code: int, alphabets: list[str]) -> str:
    letters = []
    for alphabet in alphabets:
        code, place = divmod(code, len(alphabet))
        letters.append(alphabet[place])
    return "".join(letters)


def _distinct_digits(rows: int, radices: list[int], generator: np.random.Generator) -> np.ndarray:
    """Draw distinct rows of digits, digit j below radices[j], at most as many as there are."""
    digits = (
        np.column_stack([generator.integers(radix, size=rows) for radix in radices])
        if rows
        else np.zeros((0, len(radices)), dtype=np.int64)
    )
    total = 1
    counted = 0
    while counted < len(radices) and total < 64 * rows**2:
        total *= radices[counted]
        counted += 1
    if total <= max(8 * rows, 1 << 16):
        codes = generator.permutation(total)[:rows]
    else:
        codes = np.unique(generator.integers(total, size=2 * rows))
        codes = generator.permutation(codes)[:rows]
    for place in range(counted):
        codes, digits[:, place] = np.divmod(codes, radices[place])
    return digits
