"""What is wrong with a table, said in one sentence."""

from collections import Counter
from collections.abc import Iterable, Mapping


class TableError(ValueError):
    """A table that cannot be used, with what must hold, what was found and what to do."""


def quoted(names: Iterable[object], most: int = 10) -> str:
    """List names for a message: quoted, separated by commas, at most `most` of them.

    >>> quoted(["a", "b", "c"], most=2)
    "'a', 'b' and 1 more"
    """
    shown = [repr(name) for name in names]
    rest = len(shown) - most
    return ", ".join(shown) if rest <= 0 else f"{', '.join(shown[:most])} and {rest} more"


def listed(found: Mapping[str, str], most: int = 10) -> str:
    """List columns and what was found in each of them for a message.

    >>> listed({"a": "complex numbers", "b": "lists"})
    "'a' (complex numbers), 'b' (lists)"
    """
    shown = [f"{name!r} ({what})" for name, what in found.items()]
    rest = len(shown) - most
    return ", ".join(shown) if rest <= 0 else f"{', '.join(shown[:most])} and {rest} more"


def require_distinct_names(names: Iterable[str]) -> None:
    """Refuse a table in which two columns have the same name.

    Args:
        names: The column names.

    Raises:
        TableError: Where a name stands twice or more.
    """
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise TableError(
            f"Column names must be distinct, however: {quoted(twice)} stand more than once. "
            "Rename or drop the duplicates."
        )
