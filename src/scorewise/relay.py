"""Generators that return something: run to their end, or shown in another way."""

from collections.abc import Callable, Generator
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")
U = TypeVar("U")


def relayed(steps: Generator[S, None, T], shown: Callable[[S], U]) -> Generator[U, None, T]:
    """Run a generator and show each of its items in another way.

    Args:
        steps: the generator.
        shown: what is yielded for an item.

    Yields:
        One item for each of the generator's.

    Returns:
        What the generator returns.
    """
    while True:
        try:
            item = next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        yield shown(item)


def returned(steps: Generator[object, None, T]) -> T:
    """Run a generator to its end.

    Args:
        steps: the generator.

    Returns:
        What it returns.
    """
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
