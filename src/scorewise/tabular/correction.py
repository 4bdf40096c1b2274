"""Corrected samples: what a trained model's rows are compared with the table in, and rows so corrected."""

import math
from collections.abc import Callable, Generator
from typing import NamedTuple

import pyarrow as pa
import torch
from scipy.special import ndtr
from torch import Tensor

from scorewise.experts import Experts
from scorewise.network import TableDenoiser
from scorewise.quasirandom import NormalSequence
from scorewise.relay import relayed
from scorewise.tabular.calendar import with_parts
from scorewise.tabular.calibration import SEQUENCES, Calibration, brief, calibrate, calibration_rows
from scorewise.tabular.codec import Chosen, Codec
from scorewise.tabular.generation import EVALUATIONS, chunk_rows, generate, joined
from scorewise.tabular.rejection import FEWEST_ROWS, ROUNDS, Rejection, fit_rejection
from scorewise.tabular.schema import Cells

EVALUATIONS_OF_CANDIDATES = 13
"""Evaluations of the network for a row that may be rejected: what fewer of them err by is mended by the choice."""


class Correction(NamedTuple):
    """What is corrected of the rows that a model samples.

    Attributes:
        calibration: makes the margins those of the table.
        rejection: which rows are kept; None for all.
    """

    calibration: Calibration
    rejection: Rejection | None

    def sample(
        self, network: TableDenoiser | Experts, codec: Codec, n: int, seed: int
    ) -> Generator[int, None, pa.Table]:
        """Sample rows.

        A candidate depends on the seed and its position alone, and so does whether it is kept.

        Args:
            network: the denoiser.
            codec: of the table.
            n: number of rows.
            seed: 0 or more.

        Yields:
            The number of rows made so far.

        Returns:
            The table.
        """
        rejection, size = self.rejection, chunk_rows(network)
        candidates, keep = (1.0, None) if rejection is None else (rejection.candidates, self._keep(codec, rejection))
        evaluations = EVALUATIONS if rejection is None else EVALUATIONS_OF_CANDIDATES
        noise = NormalSequence(codec.layout.width + (rejection is not None), seed)
        found, made = list[Chosen](), 0
        while made < n:
            wanted = math.ceil((n - made) * candidates / size) * size  # whole chunks, so that none of the noise is left
            for _, chunk in generate(network, codec, wanted, noise.draw, evaluations, keep):
                found.append(chunk)
                made += len(chunk.codes)
                yield min(made, n)
                if made >= n:
                    break
        rows = joined(found)
        return self.calibration.restore(codec, Chosen(rows.scores[:n], rows.codes[:n]), seed)

    def _keep(self, codec: Codec, rejection: Rejection) -> Callable[[Chosen, Tensor], Chosen]:
        """What picks the rows of a chunk, by one coordinate more of the noise."""

        def keep(made: Chosen, more: Tensor) -> Chosen:
            cells = _shown(codec, self.calibration.restore(codec, made))
            kept = rejection.kept(cells, ndtr(more[:, 0].double().numpy()), torch.get_num_threads())
            return Chosen(made.scores[kept], made.codes[kept])

        return keep


def correct(
    network: TableDenoiser | Experts, codec: Codec, table: pa.Table, steps: int, seed: int
) -> Generator[int, None, Correction]:
    """Compare what a model samples with the table, and learn what to correct.

    A model is calibrated, and trees learn which of its rows to keep, in no more rounds than the training had steps.
    Where they find nothing to tell its rows from the table's, or there are too few rows to try, or the training was so
    brief that the samples would take longer (`brief`), all are kept: then each is made with more evaluations
    of the network, and the model is calibrated on such rows.

    Args:
        network: the denoiser; its log-odds of levels are shifted.
        codec: of the table.
        table: the table.
        steps: steps of training.
        seed: 0 or more; another one samples other rows, none of them those of a sample with such a seed.

    Yields:
        The number of rows made so far.

    Returns:
        The correction.
    """
    compared, before = codec.compared(table), 0
    rows = calibration_rows(table.num_rows, steps)
    if table.num_rows >= FEWEST_ROWS and not brief(table.num_rows, steps):
        calibration, seen = yield from calibrate(network, codec, compared, rows, seed, EVALUATIONS_OF_CANDIDATES)
        noise = NormalSequence(codec.layout.width, -SEQUENCES * (seed + 1))
        samples: list[list[Chosen]] = [[seen], []]
        for sample in samples:
            before += rows
            for made, chunk in generate(network, codec, rows, noise.draw, EVALUATIONS_OF_CANDIDATES):
                sample.append(chunk)
                yield before + made
        told, fresh = (_shown(codec, calibration.restore(codec, joined(sample))) for sample in samples)
        rejection = fit_rejection(_shown(codec, table), told, fresh, seed, torch.get_num_threads(), min(ROUNDS, steps))
        if rejection is not None:
            return Correction(calibration, rejection)
        before += rows
    calibrating = calibrate(network, codec, compared, rows, seed, EVALUATIONS)
    calibration, _ = yield from relayed(calibrating, lambda made: before + made)
    return Correction(calibration, None)


def _shown(codec: Codec, table: pa.Table) -> Cells:
    """What the trees that choose among rows are shown of a table."""
    return with_parts(codec.schema, codec.schema.cells(table))
