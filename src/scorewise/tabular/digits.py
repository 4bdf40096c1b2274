"""Digits: a category of many levels as two categories of fewer."""

from typing import NamedTuple

import numpy as np

DIRECT_LEVELS = 192


class Digits(NamedTuple):
    """A code of many levels as two categories: a group of levels, and the member of the group.

    The most frequent levels are groups of one; the others stand together in the order of the levels.

    Attributes:
        group: group of each level, shape (K,).
        member: member of the group, 0 for a group of one, shape (K,).
    """

    group: np.ndarray
    member: np.ndarray

    @classmethod
    def fit(cls, codes: np.ndarray, count: int) -> "Digits":
        """Give the `DIRECT_LEVELS` most frequent levels a group each, and share out the others.

        Args:
            codes: code of each row, shape (N,).
            count: number of levels, K.

        Returns:
            The digits.
        """
        frequency = np.bincount(codes, minlength=count)
        direct = np.sort(np.argsort(-frequency, kind="stable")[:DIRECT_LEVELS])
        rare = np.setdiff1d(np.arange(count), direct)
        members = int(np.ceil(np.sqrt(len(rare))))
        group, member = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        group[direct] = np.arange(len(direct))
        group[rare] = len(direct) + np.arange(len(rare)) // members
        member[rare] = 1 + np.arange(len(rare)) % members
        return cls(group, member)

    def join(self, group: np.ndarray, member: np.ndarray) -> np.ndarray:
        """Find the level of each (group, member); in a group without that member, its nearest one.

        Args:
            group: shape (N,).
            member: shape (N,).

        Returns:
            Codes, shape (N,).
        """
        level = np.full((int(self.group.max()) + 1, int(self.member.max()) + 1), -1)
        level[self.group, self.member] = np.arange(len(self.group))
        known = level >= 0
        columns = np.arange(level.shape[1])
        nearest = np.where(known[:, None, :], np.abs(columns[:, None] - columns[None, :])[None], level.shape[1] + 1)
        filled = np.take_along_axis(level, nearest.argmin(2), 1)
        joined: np.ndarray = filled[group, member]
        return joined
