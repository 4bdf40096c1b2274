"""Dummies: columns of zeros and ones of which no row has two ones, as the one category that they say together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from scorewise.tabular.relation import Function

EXPECTED = 20
"""Rows with two ones, if columns were independent, that make it no accident that there is none."""
FEWEST = 3
"""Columns of a category; of two, one is a function of the other or both are told by three levels as well as by four."""


class Dummies(NamedTuple):
    """A category that a table spreads over columns, one for each level (one-hot), or for each but one.

    Attributes:
        members: columns of two levels, the second of which is "one"; no row has two ones.
        exact: whether every row has a one.
    """

    members: tuple[str, ...]
    exact: bool

    @property
    def name(self) -> str:
        """The name of the category; no column of a table is named so."""
        return "\0one of " + "\0".join(self.members)

    @property
    def levels(self) -> int:
        """Number of codes: one for each member, and one for rows without a one where there are such."""
        return len(self.members) + (not self.exact)

    def codes(self, codes: Mapping[str, np.ndarray]) -> np.ndarray:
        """Give the category.

        Args:
            codes: of each member, 0 or 1, (N,) each.

        Returns:
            Place of the member that is one, int64, shape (N,); the first of several, the last code where there is none.
        """
        found = np.full(len(codes[self.members[0]]), self.levels - 1, dtype=np.int64)
        for place in reversed(range(len(self.members))):
            found[codes[self.members[place]] == 1] = place
        return found

    def functions(self) -> list[Function]:
        """Give the members as functions of the category."""
        tables = np.eye(len(self.members), self.levels, dtype=np.int64)
        return [Function(member, self.name, table) for member, table in zip(self.members, tables, strict=True)]

    def to_json(self) -> dict[str, Any]:
        """Give it as plain values."""
        return {"members": list(self.members), "exact": self.exact}

    @classmethod
    def from_json(cls, said: Mapping[str, Any], levels: Mapping[str, int]) -> Self:
        """Rebuild it from `to_json`.

        Args:
            said: the plain form.
            levels: number of codes of each category.

        Returns:
            The dummies.

        Raises:
            KeyError: if a part is missing.
            ValueError: if members are not columns of two levels, or the category has not as many as it should.
        """
        found = cls(tuple(said["members"]), bool(said["exact"]))
        if any(levels.get(name) != 2 for name in found.members) or levels.get(found.name) != found.levels:
            raise ValueError(f"dummies must be columns of two levels each, however: {said} of {dict(levels)}")
        return found


def find_dummies(codes: Mapping[str, np.ndarray], levels: Mapping[str, int]) -> list[Dummies]:
    """Find columns of two levels of which at most one is "one" in every row.

    A column joins those that it shares no one with where, if it were independent of them, `EXPECTED` rows or more would
    have two ones; or where all that share none make up every row exactly.

    Args:
        codes: of each category, (N,) from 0; missing cells have a code of their own.
        levels: number of codes of each.

    Returns:
        Dummies of `FEWEST` columns or more, each column in one of them at most.
    """
    names = [name for name in codes if levels[name] == 2]
    if len(names) < FEWEST:
        return []
    ones = np.stack([codes[name] for name in names], 1).astype(np.float32)
    both = np.round(ones.T @ ones).astype(np.int64)  # whole numbers below 2^24 rows are exact
    count, rows = np.diag(both), len(ones)
    left = sorted(np.flatnonzero(count).tolist(), key=lambda place: -count[place])
    found: list[Dummies] = []
    while left:
        told, every = [left[0]], [left[0]]
        beside_told, beside_every = both[left[0]] > 0, both[left[0]] > 0
        for place in left[1:]:
            if not beside_every[place]:
                every.append(place)
                beside_every |= both[place] > 0
            if not beside_told[place] and count[place] * count[told].sum() >= EXPECTED * rows:
                told.append(place)
                beside_told |= both[place] > 0
        group = every if count[every].sum() == rows else told
        if len(group) >= FEWEST:
            members = tuple(names[place] for place in sorted(group))
            found.append(Dummies(members, bool(count[group].sum() == rows)))
        taken = set(group if len(group) >= FEWEST else left[:1])
        left = [place for place in left if place not in taken]
    return found
