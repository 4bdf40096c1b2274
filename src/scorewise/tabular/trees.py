"""Boosted trees as arrays: kept beside tensors, and read again with nothing taken on trust."""

from collections.abc import Mapping
from typing import NamedTuple

import lightgbm
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

CATEGORICAL = 1
"""The bit of a node's kind that says that it asks for levels rather than for a threshold."""


class Trees(NamedTuple):
    """Binary trees over F features whose values add up, T of them, one after another in each array.

    A tree of L leaves has L - 1 nodes. A child is the number of a node of the same tree, or `-1 - leaf`.

    Attributes:
        features: number of features, F.
        leaves: leaves of each tree, int64, shape (T,).
        feature: what each node asks, int64, shape (nodes,).
        threshold: of each node: up to this value, inclusive, a row goes left; of one that asks for levels, which set of
            levels of the tree goes left; float64, shape (nodes,).
        kind: of each node: whether it asks for levels, and where missing values go, in LightGBM's bits, int64, shape
            (nodes,).
        left, right: children of each node, int64, shape (nodes,).
        value: of each leaf, float64, shape (leaves,).
        sets: number of sets of levels of each tree, int64, shape (T,).
        words: number of 32-bit words of each set, int64, shape (sets,).
        levels: the sets, a bit a level, int64, shape (words,).
    """

    features: int
    leaves: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    kind: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    sets: np.ndarray
    words: np.ndarray
    levels: np.ndarray

    @classmethod
    def of(cls, booster: lightgbm.Booster) -> "Trees":
        """Take the trees out of a model.

        Args:
            booster: of one class, with trees up to its best round.

        Returns:
            The trees.
        """
        found: dict[str, list[npt.NDArray[np.float64]]] = {name: [] for name in _WRITTEN.values()}
        leaves, sets, words = [], [], []
        for block in booster.model_to_string().split("\nTree=")[1:]:
            said = dict(line.split("=", 1) for line in block.split("\n\n")[0].splitlines() if "=" in line)
            leaves.append(int(said["num_leaves"]))
            sets.append(int(said["num_cat"]))
            words.append(np.diff(_numbers(said.get("cat_boundaries", ""))))
            for key, name in _WRITTEN.items():
                found[name].append(_numbers(said.get(key, "")))
        joined = {name: np.concatenate([np.empty(0), *parts]) for name, parts in found.items()}
        joined |= {"leaves": np.array(leaves), "sets": np.array(sets), "words": np.concatenate([np.empty(0), *words])}
        arrays = {name: array.astype(_DTYPES.get(name, np.int64)) for name, array in joined.items()}
        return cls(booster.num_feature(), **arrays)

    @classmethod
    def from_arrays(cls, features: int, arrays: Mapping[str, Tensor]) -> "Trees":
        """Rebuild trees from `arrays`.

        Args:
            features: number of features.
            arrays: the arrays by name.

        Returns:
            The trees.

        Raises:
            KeyError: if an array is missing.
            ValueError: if the arrays are no trees over so many features.
        """
        names = cls._fields[1:]
        trees = cls(features, *(arrays[name].numpy().astype(_DTYPES.get(name, np.int64)) for name in names))
        if not trees._sound():
            raise ValueError(f"{len(trees.leaves)} trees of {features} features have nodes that do not fit together")
        return trees

    def arrays(self) -> dict[str, Tensor]:
        """Give the arrays by name."""
        return {name: torch.from_numpy(np.ascontiguousarray(getattr(self, name))) for name in self._fields[1:]}

    def _sound(self) -> bool:
        """Whether each node and each leaf is reached in one way, and asks what can be asked."""
        nodes = self.leaves - 1
        sizes = {len(getattr(self, name)) for name in _OF_NODES}
        return (
            min(nodes.min(initial=0), self.sets.min(initial=0), self.words.min(initial=0)) >= 0
            and len(self.sets) == len(self.leaves)
            and sizes == {nodes.sum()}
            and [len(self.value), len(self.words), len(self.levels)]
            == [self.leaves.sum(), self.sets.sum(), self.words.sum()]
            and bool(np.isfinite(self.value).all())
            and _within(self.feature, self.features)
            and _within(self.kind, 16)
            and _within(self.levels, 2**32)
            and all(map(self._grown, np.cumsum(nodes) - nodes, nodes, self.sets))
        )

    def _grown(self, start: int, nodes: int, sets: int) -> bool:
        """Whether the nodes from `start` on are a tree, each before its children, that asks for sets that there are."""
        here = slice(start, start + nodes)
        asked = self.threshold[here][self.kind[here] & CATEGORICAL > 0]
        children = np.stack([self.left[here], self.right[here]])
        after = (children < 0) | (children > np.arange(nodes))
        below = [*range(-1 - nodes, 0), *range(1, nodes)] if nodes else []
        whole = _within(asked, sets) and bool((asked == np.floor(asked)).all())
        return whole and bool(after.all()) and np.array_equal(np.sort(children, None), below)

    def booster(self) -> lightgbm.Booster:
        """Make a model that predicts the sum of the leaves."""
        named = " ".join(f"f{i}" for i in range(self.features))
        head = ["tree", "version=v4", "num_class=1", "num_tree_per_iteration=1", "label_index=0"]
        head += [f"max_feature_idx={self.features - 1}", f"feature_names={named}"]
        head += ["feature_infos=" + " ".join(["none"] * self.features), ""]
        blocks, node, leaf, first, word = [], 0, 0, 0, 0
        for i, (leaves, sets) in enumerate(zip(self.leaves.tolist(), self.sets.tolist(), strict=True)):
            words = self.words[first : first + sets]
            parts = {name: getattr(self, name)[node : node + leaves - 1] for name in _OF_NODES}
            parts["value"] = self.value[leaf : leaf + leaves]
            lines = [f"Tree={i}", f"num_leaves={leaves}", f"num_cat={sets}"]
            if sets:
                parts["levels"] = self.levels[word : word + words.sum()]
                lines.append("cat_boundaries=" + _text(np.concatenate([[0], np.cumsum(words)])))
            lines += [f"{key}={_text(parts[name])}" for key, name in _WRITTEN.items() if name in parts]
            blocks += [*lines, "is_linear=0", "shrinkage=1", ""]
            node, leaf, first, word = node + leaves - 1, leaf + leaves, first + sets, word + int(words.sum())
        text = "\n".join([*head, *blocks, "end of trees", "", "parameters:", "end of parameters", ""])
        return lightgbm.Booster(model_str=text)


_OF_NODES = ("feature", "threshold", "kind", "left", "right")
_WRITTEN = {
    "split_feature": "feature",
    "threshold": "threshold",
    "decision_type": "kind",
    "left_child": "left",
    "right_child": "right",
    "leaf_value": "value",
    "cat_threshold": "levels",
}
_DTYPES = {"threshold": np.float64, "value": np.float64}


def _within(values: np.ndarray, end: int) -> bool:
    return bool(((values >= 0) & (values < end)).all())


def _numbers(text: str) -> npt.NDArray[np.float64]:
    return np.array([float(word) for word in text.split()])


def _text(values: np.ndarray) -> str:
    return " ".join(map(repr, values.tolist()))
