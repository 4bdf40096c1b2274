"""Corrected samples: what a trained model's rows are compared with the table in, and rows so corrected."""

import math
from collections.abc import Callable, Generator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from scipy.special import ndtr
from torch import Tensor

from scorewise.experts import Experts
from scorewise.network import TableDenoiser
from scorewise.quasirandom import NormalSequence
from scorewise.relay import relayed
from scorewise.tabular import rows
from scorewise.tabular.calendar import with_parts
from scorewise.tabular.calibration import SEQUENCES, Calibration, brief, calibrate, calibration_rows
from scorewise.tabular.codec import Chosen, Codec
from scorewise.tabular.generation import EVALUATIONS, chunk_rows, generate, joined
from scorewise.tabular.rejection import FEWEST_ROWS, ROUNDS, Rejection, fit_rejection
from scorewise.tabular.schema import Cells
from scorewise.tabular.unseen import Unseen, find_unseen

EVALUATIONS_OF_CANDIDATES = 13
"""Evaluations of the network for a row that may be rejected: what fewer of them err by is mended by the choice."""
PILOT_ROWS = 2_048
"""Rows of the model that tell what of all that no row of the table has it makes."""


class Correction(NamedTuple):
    """What is corrected of the rows that a model samples.

    Attributes:
        calibration: makes the margins those of the table.
        rejection: which rows are kept; None for all.
        unseen: what no row of the table has; rows that have it are not kept.
    """

    calibration: Calibration
    rejection: Rejection | None
    unseen: Unseen

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
        candidates = (1.0 if rejection is None else rejection.candidates) / self.unseen.left
        keep = self._keep(codec) if rejection is not None or self.unseen else None
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
        return self.calibration.restore(codec, joined(found).take(np.arange(n)), seed)

    def _keep(self, codec: Codec) -> Callable[[Chosen, Tensor], Chosen]:
        """What picks the rows of a chunk, by one coordinate more of the noise where trees choose among them."""

        def keep(made: Chosen, more: Tensor) -> Chosen:
            cells = codec.schema.cells(self.calibration.restore(codec, made))
            kept = self.unseen.allowed(codec.schema, cells)
            if self.rejection is not None:
                places = ndtr(more[:, 0].double().numpy())
                kept &= self.rejection.kept(with_parts(codec.schema, cells), places, torch.get_num_threads())
            return made.take(kept)

        return keep


def correct(
    network: TableDenoiser | Experts, codec: Codec, table: pa.Table, steps: int, seed: int
) -> Generator[int, None, Correction]:
    """Compare what a model samples with the table, and learn what to correct.

    Rows that have what no row of the table has (`Unseen`) count for nothing. A model is calibrated, and trees learn
    which of its rows to keep, in no more rounds than the training had steps. Where they find nothing to tell its rows
    from the table's, or there are too few rows to try, or the training was so brief that the samples would take longer
    (`brief`), all are kept: then each is made with more evaluations of the network, and the model is calibrated on such
    rows.

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
    schema, cells, compared = codec.schema, codec.schema.cells(table), codec.compared(table)
    count, before = calibration_rows(table.num_rows, steps), 0
    chosen = table.num_rows >= FEWEST_ROWS and not brief(table.num_rows, steps)
    evaluations = EVALUATIONS_OF_CANDIDATES if chosen else EVALUATIONS
    determined = codec.structure.determined
    unseen = find_unseen(schema, cells, seed, determined.formulas if codec.clip else (), determined.joint)
    if unseen:
        some = min(count, PILOT_ROWS)
        noise = NormalSequence(codec.layout.width, -1 - SEQUENCES * seed)
        first = joined([chunk for _, chunk in generate(network, codec, some, noise.draw, evaluations)])
        unseen = unseen.narrowed(schema, schema.cells(codec.restore(first)))
        before, count = some, math.ceil(count / unseen.left)
        yield before

    def allowed(made: Chosen) -> np.ndarray:
        return unseen.steady.allowed(schema, schema.cells(codec.restore(made)))

    only = allowed if unseen.steady else None
    if chosen:
        calibrating = calibrate(network, codec, compared, count, seed, evaluations, only)
        calibration, seen = yield from relayed(calibrating, lambda made: before + made)
        before += count
        noise = NormalSequence(codec.layout.width, -SEQUENCES * (seed + 1))
        samples: list[list[Chosen]] = [[seen], []]
        for sample in samples:
            for made, chunk in generate(network, codec, count, noise.draw, evaluations):
                sample.append(chunk)
                yield before + made
            before += count
        told, fresh = (_shown(codec, calibration, unseen, joined(sample)) for sample in samples)
        rejection = fit_rejection(
            with_parts(schema, cells), told, fresh, seed, torch.get_num_threads(), min(ROUNDS, steps)
        )
        if rejection is not None:
            return Correction(calibration, rejection, unseen)
    calibrating = calibrate(network, codec, compared, count, seed, EVALUATIONS, only)
    calibration, _ = yield from relayed(calibrating, lambda made: before + made)
    return Correction(calibration, None, unseen)


def _shown(codec: Codec, calibration: Calibration, unseen: Unseen, made: Chosen) -> Cells:
    """What the trees that choose among rows are shown of a sample: its rows without what no row of the table has."""
    cells = codec.schema.cells(calibration.restore(codec, made))
    return with_parts(codec.schema, rows.take(cells, np.flatnonzero(unseen.allowed(codec.schema, cells))))
