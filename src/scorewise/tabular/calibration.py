"""Calibration: what a model's own margins are like, and what makes its scores normal and its levels as frequent."""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from scipy.special import ndtr
from torch import Tensor

from scorewise.experts import Experts
from scorewise.network import TableDenoiser
from scorewise.quasirandom import NormalSequence
from scorewise.tabular.codec import Chosen, Codec
from scorewise.tabular.generation import CHUNK_ROWS, EVALUATIONS, generate, joined
from scorewise.tabular.ratio import GRID, Ratio, adjustment, fit_ratios
from scorewise.tabular.relation import Combination
from scorewise.tabular.spacing import Spacing, fit_spacings

LEVELS = np.linspace(-2.5, 2.5, 21)
"""Normal scores between which the map is linear."""
FEWEST_ROWS, MOST_ROWS, ROWS_A_STEP = 4_096, 30_000, 30
MOST_SHIFT = 1.0
LEVEL_TURNS = 2
MARGIN_TURNS = 4
"""Times that margins are fitted to the rows that count by the maps before."""
SEQUENCES = LEVEL_TURNS + 2
"""Sequences of noise that a seed has for corrections: one for each turn, and one for a sample of their result."""


def calibration_rows(rows: int, steps: int) -> int:
    """Number of rows to sample for a comparison, from the size of the table and the length of the training alone.

    As many as the table has, `MOST_ROWS` at most, and `ROWS_A_STEP` for each step of training, but `FEWEST_ROWS` at
    least, since a sample may be larger than the table: sampling them takes less than a quarter of the time that
    training took, if it was not so brief that these are the least.

    Args:
        rows: rows of the table.
        steps: steps of training.

    Returns:
        Number of rows.
    """
    return max(FEWEST_ROWS, min(rows, MOST_ROWS, ROWS_A_STEP * steps))


def brief(rows: int, steps: int) -> bool:
    """Whether a training was so brief that fewer rows would have to be sampled than are, to keep to its time.

    Args:
        rows: rows of the table.
        steps: steps of training.

    Returns:
        Whether `ROWS_A_STEP` for each step are fewer than the rows of the table, and than `FEWEST_ROWS`.
    """
    return ROWS_A_STEP * steps < min(rows, FEWEST_ROWS)


class Calibration:
    """What makes the margins of a model's numbers, and the ratios of some, those of the table.

    A denoiser that has been trained for minutes gets the margins nearly right; the encoding knows them exactly. With
    Q the model's quantile function of a score, measured on a sample, a monotone map of the score sends `Q(Phi(a))` to a
    for a on a grid, is linear between and a shift beyond. Each shift is shrunk by the share of it that sampling noise
    explains, so a margin that is right is left alone. It moves values within a column only and so keeps the dependence
    (the copula), which ratios then mend where two columns are nearly equal, and spacings where their difference or sum
    has a structure finer than theirs.

    Args:
        quantiles: the model's quantiles at `Phi(LEVELS)`, non-decreasing along the last axis, shape (n, 21).
        ratios: at most one for each column.
        spacings: at most one for each column, applied after its ratio.
    """

    def __init__(self, quantiles: np.ndarray, ratios: Sequence[Ratio] = (), spacings: Sequence[Spacing] = ()) -> None:
        self.quantiles = quantiles
        self.ratios = tuple(ratios)
        self.spacings = tuple(spacings)

    @classmethod
    def identity(cls, numbers: int) -> "Calibration":
        """Leave all scores as they are.

        Args:
            numbers: number of columns, n.

        Returns:
            The calibration.
        """
        return cls(np.tile(LEVELS, (numbers, 1)))

    @classmethod
    def fit(cls, scores: np.ndarray, present: np.ndarray) -> "Calibration":
        """Measure the model's quantiles.

        Args:
            scores: normal scores that the model sampled, shape (N, n).
            present: which of them stand for a value rather than a missing cell, shape (N, n).

        Returns:
            The calibration; a column with fewer than 100 present cells is left as it is.
        """
        quantiles = cls.identity(scores.shape[1]).quantiles
        for i in range(scores.shape[1]):
            column = scores[present[:, i], i]
            if len(column) >= 100:
                p = ndtr(LEVELS)
                shift = np.quantile(column, p) - LEVELS
                density = np.exp(-0.5 * LEVELS**2) / np.sqrt(2 * np.pi)
                noise = p * (1 - p) / (len(column) * density**2)  # variance of a sample quantile
                kept = np.clip(1 - noise / np.maximum(shift**2, 1e-12), 0, 1)
                quantiles[i] = np.maximum.accumulate(LEVELS + kept * shift)
        return cls(quantiles)

    def apply(self, scores: np.ndarray) -> np.ndarray:
        """Map scores.

        Args:
            scores: shape (N, n).

        Returns:
            Calibrated scores, shape (N, n).
        """
        mapped = np.empty_like(scores, dtype=np.float64)
        for i, q in enumerate(self.quantiles):
            column = scores[:, i].astype(np.float64)
            inside = np.interp(column, q, LEVELS)
            inside = np.where(column < q[0], LEVELS[0] + column - q[0], inside)
            mapped[:, i] = np.where(column > q[-1], LEVELS[-1] + column - q[-1], inside)
        return mapped

    def restore(self, codec: Codec, rows: Chosen, seed: int = 0) -> pa.Table:
        """Make a table of rows that the model made.

        Args:
            codec: of the table.
            rows: N rows.
            seed: seed of the identifiers.

        Returns:
            The table.
        """
        chosen = Chosen(self.apply(rows.scores), rows.codes)
        return codec.restore(chosen, seed, adjustment((*self.ratios, *self.spacings)))

    def to_json(self) -> dict[str, list[list[Any]]]:
        """Give what is not an array: child and parent of each ratio and spacing."""
        maps: dict[str, tuple[Ratio | Spacing, ...]] = {"ratios": self.ratios, "spacings": self.spacings}
        return {kind: [[one.child, one.parent.to_json()] for one in some] for kind, some in maps.items()}

    def arrays(self) -> dict[str, Tensor]:
        """Give the arrays by name; together with `to_json` they are the calibration."""
        found = {"quantiles": self.quantiles}
        for i, ratio in enumerate(self.ratios):
            found |= {f"ratio.{i}.cuts": ratio.cuts, f"ratio.{i}.images": ratio.images}
        for i, spacing in enumerate(self.spacings):
            found |= {f"spacing.{i}.made": spacing.made, f"spacing.{i}.images": spacing.images}
        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in found.items()}

    @classmethod
    def from_parts(
        cls, said: Mapping[str, Sequence[Sequence[Any]]], arrays: Mapping[str, Tensor], codec: Codec
    ) -> "Calibration":
        """Rebuild a calibration from `to_json` and `arrays`.

        Args:
            said: the plain form.
            arrays: the arrays by name.
            codec: of the table.

        Returns:
            The calibration.

        Raises:
            KeyError: if a part is missing.
            ValueError: if a part does not fit the codec.
        """
        quantiles = arrays["quantiles"].numpy()
        if quantiles.shape != (len(codec.scored), len(LEVELS)):
            raise ValueError(f"the calibration has shape {quantiles.shape}")
        ratios, spacings = [], []
        for i, (child, parent) in enumerate(said["ratios"]):
            cuts, images = arrays[f"ratio.{i}.cuts"].numpy(), arrays[f"ratio.{i}.images"].numpy()
            if not _follows(child, parent, codec) or images.shape != (len(cuts) + 1, len(GRID)):
                raise ValueError(f"the ratio of {child!r} to {parent} has shapes {cuts.shape} and {images.shape}")
            ratios.append(Ratio(child, Combination.from_json(parent), cuts, images))
        for i, (child, parent) in enumerate(said["spacings"]):
            made, images = arrays[f"spacing.{i}.made"].numpy(), arrays[f"spacing.{i}.images"].numpy()
            if not _follows(child, parent, codec) or made.shape != images.shape or made.ndim != 1 or len(made) < 2:
                raise ValueError(f"the spacing of {child!r} and {parent} has shapes {made.shape} and {images.shape}")
            spacings.append(Spacing(child, Combination.from_json(parent), made, images))
        return cls(quantiles, ratios, spacings)


def _follows(child: str, parent: Mapping[str, int], codec: Codec) -> bool:
    """Whether a column comes after those that it is compared with."""
    return child in codec.scored and set(parent) <= set(codec.scored[: codec.scored.index(child)])


def calibrate(
    network: TableDenoiser | Experts,
    codec: Codec,
    cells: Mapping[str, np.ndarray],
    rows: int,
    seed: int,
    evaluations: int = EVALUATIONS,
    allowed: Callable[[Chosen], np.ndarray] | None = None,
) -> Generator[int, None, tuple[Calibration, Chosen]]:
    """Correct a model by what it samples: first the levels of categories, in two turns, then the numbers.

    Each turn has rows of its own, a third of all in whole chunks; those of the last two correct the numbers. There is
    one turn of levels fewer, or none, where the rows of a turn would not fill a chunk. The levels are corrected in the
    network, the numbers by maps.

    Args:
        network: the denoiser; its log-odds of levels are shifted.
        codec: of the table.
        cells: what `Codec.compared` gives of the table.
        rows: number of rows to sample in all, 1 or more.
        seed: 0 or more; another one samples other rows, none of them those of a sample with such a seed.
        evaluations: evaluations of the network for a row.
        allowed: which of some calibrated rows count, (N,) bool; None for all.

    Yields:
        The number of rows made so far.

    Returns:
        The calibration of the numbers, and the rows that it rests on, as the model made them.
    """
    turns = max(0, min(LEVEL_TURNS, rows // CHUNK_ROWS - 1)) if codec.names else 0
    share, before = rows // (turns + 1) // CHUNK_ROWS * CHUNK_ROWS, 0
    chunks: list[Chosen] = []
    for turn in range(turns + 1):
        wanted = share if turn < turns else rows - turns * share
        if turn < LEVEL_TURNS:  # the second shift is small, so that the rows before it count for the numbers, too
            chunks.clear()
        noise = NormalSequence(codec.layout.width, -1 - SEQUENCES * seed - turn)
        for so_far, chunk in generate(network, codec, wanted, noise.draw, evaluations):
            chunks.append(chunk)
            yield before + so_far
        before += wanted
        if turn < turns:
            _, counted = _margins(codec, joined(chunks), allowed)
            shifts = level_shifts(codec, network.log_prior.cpu().numpy(), counted.codes)
            network.shift_logits(torch.from_numpy(shifts))
    made = joined(chunks)
    margins, counted = _margins(codec, made, allowed)
    pairs = [(codec.scored[i], codec.scored[j]) for i, j in network.differences.pairs.T.tolist()]
    mapped = Chosen(margins.apply(counted.scores), counted.codes)
    ratios = fit_ratios(codec, cells, mapped, pairs)
    spacings = fit_spacings(codec, cells, mapped, adjustment(ratios))
    return Calibration(margins.quantiles, ratios, spacings), made


def _margins(codec: Codec, made: Chosen, allowed: Callable[[Chosen], np.ndarray] | None) -> tuple[Calibration, Chosen]:
    """The maps of the margins of the rows that count once they are mapped, and these rows as they were made."""
    margins, counted = Calibration.fit(made.scores, codec.present(made)), made
    if allowed is not None:
        for _ in range(MARGIN_TURNS):
            counted = made.take(allowed(Chosen(margins.apply(made.scores), made.codes)))
            margins = Calibration.fit(counted.scores, codec.present(counted))
    return margins, counted


def level_shifts(codec: Codec, log_prior: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Shifts of the log-odds of all levels that make them as frequent as in the table; see `level_shift`.

    Args:
        codec: of the table.
        log_prior: log-frequency of each slot in the table, shape (slots,).
        codes: codes that the model sampled, shape (N, M).

    Returns:
        Shape (slots,), 0 for padding.
    """
    shifts = np.zeros(codec.layout.slots)
    for i, (start, size) in enumerate(zip(codec.offsets.tolist(), codec.sizes, strict=True)):
        block = slice(start - codec.layout.numbers, start - codec.layout.numbers + size)
        shifts[block] = level_shift(np.exp(log_prior[block]), np.bincount(codes[:, i], minlength=size))
    return shifts


def level_shift(expected: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Shift of the log-odds of a category's levels that makes them as frequent as in the table.

    It is `log(expected / found)`, shrunk for each level by the share that sampling noise explains and `MOST_SHIFT` at
    most, and 0 where the counts of all levels together differ by no more than chance would have it.

    Args:
        expected: shares of the levels in the table, positive, shape (K,).
        counts: how often the model sampled each, shape (K,).

    Returns:
        Shape (K,).
    """
    rows, spare = counts.sum(), len(counts) - 1
    mean = rows * expected
    if ((counts - mean) ** 2 / mean).sum() <= spare + 2 * np.sqrt(2 * spare):
        return np.zeros(len(counts))
    apart = np.log(mean / (counts + 0.5))
    kept = np.clip(1 - (1 - expected) / mean / np.maximum(apart**2, 1e-12), 0, 1)
    shift: np.ndarray = np.clip(kept * apart, -MOST_SHIFT, MOST_SHIFT)
    return shift
