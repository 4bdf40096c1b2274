"""Measure how far few evaluations of the sampler are from many; write it as JSON.

    SCOREWISE_DATA_HOME=... python benchmarks/sampler.py [--out benchmarks/sampler.json] [--markdown] [TABLE ...]

The default network is trained for 250 steps on each table, and 2,048 rows are sampled from the same starting points
with each ladder of levels, with and without the corrector, with each number of evaluations, and with 200 even in log
sigma. Starting points are drawn from the normal distribution of the table's mean and covariance, noised. In 200 random
directions of the normal scores the mean and the second moment are compared with those of the 200 evaluations: root mean
square of the shifts over directions, in standard errors of a mean over 27,000 rows, and the standard error of a shift,
which the sampled rows are too few to be without; its square is taken off the mean square. The stochastic sampler raises
the level by a twentieth before steps. It differs from the other by chance in each row, so it is compared with it on
262,144 rows, and the other's shift from the reference is added. Likewise for rows of the table, noised, in the place of
starting points: what they end with would be right, were the network exact.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from command import Tables, run
from splits import split
from torch import Tensor

from scorewise.allocation import log_levels, table_levels
from scorewise.datasets import DATASETS
from scorewise.network import TableDenoiser
from scorewise.sample import multistep
from scorewise.tabular.codec import Codec, Compact
from scorewise.tabular.correction import EVALUATIONS_OF_CANDIDATES
from scorewise.tabular.generation import CHUNK_ROWS, EVALUATIONS, joined
from scorewise.tabular.schema import Schema
from scorewise.tabular.synthesizer import Synthesizer
from scorewise.tabular.training import LOWEST

ROWS, MANY, STEPS, DIRECTIONS, REFERENCE, LARGE, CHURN = 2_048, 262_144, 250, 200, 200, 27_000, 0.05
LADDERS = {"even in log sigma": log_levels, "table_levels": table_levels}
COUNTS = (EVALUATIONS_OF_CANDIDATES, 16, EVALUATIONS)
COMPARED = [
    *(("even in log sigma", True, count, 0.0, False) for count in COUNTS),
    *(("table_levels", correct, count, 0.0, False) for correct in (False, True) for count in COUNTS),
    ("table_levels", True, EVALUATIONS, CHURN, False),
    ("table_levels", True, EVALUATIONS, 0.0, True),
]
"""Ladder, whether steps are corrected, evaluations, churn, and whether it starts from noised rows of the table."""


class Briefly(Synthesizer):
    """The synthesizer's network after a short training."""

    def trained(self, name: str, steps: int) -> tuple[TableDenoiser, Codec, Compact]:
        """Train on a table; give its compact rows as well."""
        train, _ = split(name)
        network, training, rows = self._prepare(train, Schema.infer(train, self.target), torch.device("cpu"))
        training.steps = steps
        for _ in training.run():
            pass
        return network.eval(), training.codec, rows


def sampled(
    denoiser: TableDenoiser,
    codec: Codec,
    levels: Tensor,
    rows: int = ROWS,
    churn: float = 0.0,
    correct: bool = True,
    known: Compact | None = None,
) -> tuple[Tensor, Tensor, float]:
    """Sample, from noised rows if there are any; give normal scores (rows, n), codes (rows, M) and CPU seconds."""
    start, noise = torch.Generator().manual_seed(0), torch.Generator().manual_seed(1)
    began, made = time.process_time(), []
    with torch.inference_mode():
        for _ in range(rows // CHUNK_ROWS):
            x = torch.randn(CHUNK_ROWS, codec.layout.width, generator=start)
            if known is None:
                x = denoiser.rows.noised(x, float(denoiser.rows.level))
            else:
                some = torch.randint(len(known.low), (CHUNK_ROWS,), generator=start)
                x = codec.expand(Compact(*(part[some] for part in known)), start) + denoiser.rows.level * x
            for state in multistep(denoiser, x, levels, churn, noise, correct):
                x = state.x
            made.append(codec.choose(x.numpy()))
    chosen = joined(made)
    return torch.from_numpy(chosen.scores).double(), torch.from_numpy(chosen.codes), time.process_time() - began


def shifts(*pairs: tuple[Tensor, Tensor]) -> dict[str, dict[str, float]]:
    """Shifts of means and second moments along directions, in standard errors of a mean over LARGE rows.

    Args:
        pairs: normal scores, and those that they are compared with, row by row; shifts of several pairs add up.
    """
    directions = torch.randn(pairs[0][0].shape[1], DIRECTIONS, generator=torch.Generator().manual_seed(2)).double()
    directions /= directions.norm(dim=0)
    out = {}
    for name, power in (("mean", 1), ("second moment", 2)):
        shift, variance = torch.zeros(DIRECTIONS).double(), torch.zeros(DIRECTIONS).double()
        for pair in pairs:
            found, reference = ((scores @ directions) ** power for scores in pair)
            apart = (found - reference) * LARGE**0.5 / reference.std(0)
            shift, variance = shift + apart.mean(0), variance + apart.var(0) / len(apart)
        square = float((shift.square() - variance).mean())
        out[name] = {"shift": round(max(square, 0.0) ** 0.5, 2), "se": round(float(variance.sqrt().mean()), 2)}
    return out


def measure(name: str) -> Iterator[dict[str, Any]]:
    """Compare ladders and numbers of evaluations on one table."""
    denoiser, codec, rows = Briefly(seed=0, target=DATASETS[name].target).trained(name, STEPS)
    reference, codes, _ = sampled(denoiser, codec, log_levels(LOWEST, float(denoiser.rows.level), REFERENCE))
    for ladder, correct, evaluations, churn, noised in COMPARED:
        levels = LADDERS[ladder](LOWEST, float(denoiser.rows.level), evaluations)
        scores, own, seconds = sampled(denoiser, codec, levels, correct=correct)
        pairs, differing = [(scores, reference)], own != codes
        if churn or noised:
            same, codes_of_same, _ = sampled(denoiser, codec, levels, MANY, correct=correct)
            scores, own, seconds = sampled(denoiser, codec, levels, MANY, churn, correct, rows if noised else None)
            pairs, differing = [*pairs, (scores, same)], own != codes_of_same
        yield {
            "ladder": ladder,
            "corrected": correct,
            "evaluations": evaluations,
            "churn": churn,
            "noised rows": noised,
            **shifts(*pairs),
            "codes that differ": round(float(differing.double().mean()), 4),
            "CPU seconds": round(seconds, 2),
        }


def markdown(tables: Tables) -> str:
    """Lay the shifts out as a table."""
    names = [f"{name}, {moment}" for name in tables for moment in ("mean", "2nd moment")]
    lines = ["| " + " | ".join(["levels", "evaluations", *names]) + " |", "|---|--:|" + "--:|" * len(names)]
    for row in zip(*tables.values(), strict=True):
        first = row[0]
        kind = first["ladder"] + ("" if first["corrected"] else ", uncorrected")
        kind += f", stochastic ({first['churn']:g})" if first["churn"] else ""
        kind += ", from noised rows" if first["noised rows"] else ""
        cells = [f"{one[key]['shift']:.2f} ± {one[key]['se']:.2f}" for one in row for key in ("mean", "second moment")]
        lines.append("| " + " | ".join([kind, str(first["evaluations"]), *cells]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure the tables named on the command line."""
    tables, out = ["credit_default", "magic", "adult"], Path(__file__).with_suffix(".json")
    run("Few evaluations of the sampler against many.", tables, out, measure, markdown)


if __name__ == "__main__":
    main()
