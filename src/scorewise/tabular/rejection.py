"""Which of the rows that a model samples are kept: those that boosted trees do not take for synthetic, in balance."""

from collections.abc import Mapping
from typing import Any

import lightgbm
import numpy as np
from scipy.optimize import brentq
from torch import Tensor

from scorewise.tabular import boosting, rows
from scorewise.tabular.raking import Raking, rake
from scorewise.tabular.schema import Cells
from scorewise.tabular.store import part, prefixed
from scorewise.tabular.trees import Trees

FEWEST_ROWS = 2_000
"""Rows of the table, and of each sample, below which no trees are tried: of fewer they keep what is like its rows."""
MOST_CELLS = 10_000_000
"""Rows of a side by features that the trees are fitted to."""
BLOCK_ROWS = 4_096
"""Rows whose differences are made at once, in twice the precision that is kept."""
DIFFERENCES = 120
ROUNDS, PATIENCE, HELD_OUT = 1_000, 50, 0.1
"""Most rounds of boosting, rounds without gain after which it ends, and the share of rows that tells."""
MOST_WORK = 150_000
"""Rounds by features: a wide table has fewer rounds."""
SETTINGS = {**boosting.SETTINGS, "objective": "binary", "learning_rate": 0.15, "min_data_in_leaf": 100}
BEYOND_DOUBT = 3.0
"""Standard errors of the gain on rows held out that the trees must reach."""
FARTHEST = 4.0
"""Largest absolute log-ratio that the trees are believed."""
CAPPED, MOST_CANDIDATES = 0.1, 2.0
"""Share of the sampled rows whose ratio may be above the cap, and the most candidates that a kept row may take."""


class Rejection:
    """Keep each sampled row with the probability `min(1, w / cap)`.

    `w` estimates how much more frequent rows like this one are in the table than in what the model samples: trees that
    tell real rows from sampled ones give it, since the log-odds of a classifier of two equally large classes are the
    log-ratio of their densities, and factors of the columns' bins correct it (`raking`), so that what is kept has the
    table's margins. With a cap above all ratios what is kept would be distributed as the table is; the cap is lower, so
    that few candidates are needed, and rows above it stay too rare, by the factor `w / cap`.

    Args:
        pairs: positions of the number columns whose differences the trees are shown, shape (2, P).
        trees: over the columns and the differences; their sum is a log-ratio.
        raking: factors of the bins.
        log_cap: logarithm of the cap.
        candidates: sampled rows for each kept one, on average.

    Reference: Azadi, Olsson, Darrell, Goodfellow, Odena, "Discriminator rejection sampling", 2019, section 3 (the
    capped and raked ratio is derived here).
    """

    def __init__(self, pairs: np.ndarray, trees: Trees, raking: Raking, log_cap: float, candidates: float) -> None:
        self.pairs = pairs
        self.trees = trees
        self.raking = raking
        self.log_cap = log_cap
        self.candidates = candidates
        self._booster = trees.booster()

    def kept(self, cells: Cells, places: np.ndarray, threads: int = 1) -> np.ndarray:
        """Tell which rows are kept.

        Args:
            cells: columns of sampled rows, shape (N,).
            places: a number for each row, uniform between 0 and 1, shape (N,).
            threads: the number of threads; it does not change the result.

        Returns:
            Shape (N,), bool.
        """
        ratio = _log_ratio(self._booster, _features(cells, self.pairs), threads)
        kept: np.ndarray = places < np.exp(ratio + self.raking.log_factors(cells) - self.log_cap)
        return kept

    def to_json(self) -> dict[str, Any]:
        """Give what is not an array; together with `arrays` it is the rejection."""
        return {
            "pairs": self.pairs.tolist(),
            "features": self.trees.features,
            "raking": self.raking.to_json(),
            "log_cap": self.log_cap,
            "candidates": self.candidates,
        }

    def arrays(self) -> dict[str, Tensor]:
        """Give the arrays by name."""
        return prefixed("trees.", self.trees.arrays()) | prefixed("raking.", self.raking.arrays())

    @classmethod
    def from_parts(cls, said: Mapping[str, Any], arrays: Mapping[str, Tensor], columns: Cells) -> "Rejection":
        """Rebuild a rejection from `to_json` and `arrays`.

        Args:
            said: the plain form.
            arrays: the arrays by name.
            columns: cells of the table's columns, of any number of rows.

        Returns:
            The rejection.

        Raises:
            KeyError: if a part is missing.
            ValueError: if a part does not fit the columns.
        """
        pairs = np.array(said["pairs"], dtype=np.intp).reshape(2, -1)
        raking = Raking.from_parts(said["raking"], part(arrays, "raking."))
        numbers, categories = list(columns.numbers), list(columns.categories)
        known = list(raking.bins.edges) == numbers and list(raking.bins.levels) == categories
        known = known and pairs.min(initial=0) >= 0 and pairs.max(initial=-1) < len(numbers)
        if not known or said["features"] != len(numbers) + len(categories) + pairs.shape[1]:
            raise ValueError("the trees that choose among rows are of other columns than the codec's")
        trees = Trees.from_arrays(said["features"], part(arrays, "trees."))
        log_cap, candidates = float(said["log_cap"]), float(said["candidates"])
        if not (abs(log_cap) <= FARTHEST and 1 <= candidates < np.inf):
            raise ValueError(f"of rows with a cap of {log_cap} and {candidates} candidates none would be kept")
        return cls(pairs, trees, raking, log_cap, candidates)


def fit_rejection(
    table: Cells, made: Cells, fresh: Cells, seed: int, threads: int = 1, rounds: int = ROUNDS
) -> Rejection | None:
    """Learn which rows to keep.

    The trees are fitted to nine tenths of the rows of the table and of one sample, up to the round that does best on
    the others, and not used where these do not gain beyond doubt. The cap and the factors are those of another sample,
    which the trees have not seen: on rows that they have seen they find the model worse than it is.

    Args:
        table: columns with shape (N,).
        made: the same columns of sampled rows, shape (M,).
        fresh: the same columns of other sampled rows.
        seed: of the trees.
        threads: the number of threads; it does not change the result.
        rounds: most rounds of boosting, of which wide tables have fewer (`MOST_WORK`).

    Returns:
        The rejection, or None where there are fewer than `FEWEST_ROWS` rows, or the trees find nothing.
    """
    if min(map(rows.count, (table, made, fresh))) < FEWEST_ROWS:
        return None
    generator = np.random.default_rng(seed % 2**63)
    some = boosting.features(rows.subsample(table, rows.ROWS_AT_MOST, generator))
    pairs = boosting.most_correlated(some[:, : len(table.numbers)], DIFFERENCES)
    settings = {"seed": seed % 2**31, "num_threads": threads}
    booster = _told_apart(table, made, pairs, generator, settings, rounds)
    if booster is None:
        return None
    ratio = _log_ratio(booster, _features(fresh, pairs), threads)
    log_cap = _log_cap(ratio)

    def kept(log_weight: np.ndarray) -> np.ndarray:
        return np.exp(np.minimum(0.0, log_weight - log_cap))

    raking = rake(table, fresh, ratio, kept)
    candidates = 1 / kept(ratio + raking.log_factors(fresh)).mean()
    return Rejection(pairs, Trees.of(booster), raking, log_cap, float(candidates))


def _told_apart(
    table: Cells,
    made: Cells,
    pairs: np.ndarray,
    generator: np.random.Generator,
    settings: Mapping[str, int],
    rounds: int,
) -> lightgbm.Booster | None:
    """Trees whose sum is the log-ratio of the table's density to the sample's; None if rows held out do not gain."""
    columns = len(table.numbers) + len(table.categories)
    most = MOST_CELLS // (columns + pairs.shape[1])
    sides = [rows.subsample(side, most, generator) for side in (table, made)]
    sizes = [rows.count(side) for side in sides]
    held = generator.random(sum(sizes)) < HELD_OUT
    order = np.argsort(held, kind="stable")  # rows held out come last, so that both parts are views of one matrix
    places, first = np.argsort(order), len(held) - int(held.sum())
    matrix = np.empty((len(held), columns + pairs.shape[1]), dtype=np.float32)
    for side, where in zip(sides, np.split(places, sizes[:1]), strict=True):
        matrix[where] = _features(side, pairs)
    real = np.repeat([True, False], sizes)[order]
    weight = np.repeat([len(held) / (2 * size) for size in sizes], sizes)[order]
    categories = list(range(len(table.numbers), columns))
    seen, judge = (
        lightgbm.Dataset(matrix[some], real[some], weight=weight[some], categorical_feature=categories)
        for some in (slice(first), slice(first, None))
    )
    judge.set_reference(seen)
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    rounds = min(rounds, MOST_WORK // matrix.shape[1])
    booster = lightgbm.train({**SETTINGS, **settings}, seen, rounds, valid_sets=[judge], callbacks=[stop])
    margin = np.where(real[first:], 1.0, -1.0) * booster.predict(matrix[first:], raw_score=True)
    gain = weight[first:] * (np.log(2.0) - np.logaddexp(0.0, -margin))
    doubt = gain.std() / np.sqrt(len(gain))
    return booster if gain.mean() > BEYOND_DOUBT * doubt else None


def _features(cells: Cells, pairs: np.ndarray) -> np.ndarray:
    """The columns and the differences of pairs, which are taken before they are rounded to float32."""
    columns = boosting.features(cells)
    found = np.empty((len(columns), columns.shape[1] + pairs.shape[1]), dtype=np.float32)
    for first in range(0, len(columns), BLOCK_ROWS):
        some = slice(first, first + BLOCK_ROWS)
        with np.errstate(over="ignore"):
            found[some] = boosting.with_differences(columns[some], pairs)
    return found


def _log_ratio(booster: lightgbm.Booster, matrix: np.ndarray, threads: int) -> np.ndarray:
    ratio: np.ndarray = np.clip(booster.predict(matrix, raw_score=True, num_threads=threads), -FARTHEST, FARTHEST)
    return ratio


def _log_cap(ratio: np.ndarray) -> float:
    """The cap that `CAPPED` of the rows exceed, or a lower one at which a kept row takes `MOST_CANDIDATES`."""
    cap = float(np.quantile(ratio, 1 - CAPPED))

    def spare(log_cap: float) -> float:
        return float(np.exp(np.minimum(0.0, ratio - log_cap)).mean() - 1 / MOST_CANDIDATES)

    return cap if spare(cap) >= 0 else float(brentq(spare, ratio.min(), cap))
