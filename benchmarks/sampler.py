"""Measure how far few evaluations of the sampler are from many; write it as JSON.

    SCOREWISE_DATA_HOME=... python benchmarks/sampler.py [--out benchmarks/sampler.json] [--markdown] [TABLE ...]

The default network is trained for 250 steps on each table, and 2,048 rows are sampled from the same starting points
with each ladder of levels, with and without the corrector, with each number of evaluations, and with 200 even in log
sigma. In 200 random directions of the normal scores the mean and the second moment are compared with those of the 200
evaluations: root mean square of the shifts over directions, in standard errors of a mean over 27,000 rows, and the
standard error of a shift, which the sampled rows are too few to be without. The stochastic sampler raises the level by
a tenth before each step; its own noise is in its error.
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
from scorewise.posterior import Denoiser
from scorewise.sample import multistep
from scorewise.tabular.codec import Codec
from scorewise.tabular.generation import CHUNK_ROWS
from scorewise.tabular.schema import Schema
from scorewise.tabular.synthesizer import Synthesizer
from scorewise.tabular.training import HIGHEST, LOWEST

ROWS, STEPS, DIRECTIONS, REFERENCE, LARGE, CHURN = 2_048, 250, 200, 200, 27_000, 0.1
LADDERS = {"even in log sigma": log_levels, "table_levels": table_levels}
COUNTS = (16, 20, 24)
COMPARED = [
    *(("even in log sigma", True, count, 0.0) for count in COUNTS),
    *(("table_levels", correct, count, 0.0) for correct in (False, True) for count in COUNTS),
    ("table_levels", True, 24, CHURN),
]
"""Ladder, whether steps are corrected, evaluations and churn."""


class Briefly(Synthesizer):
    """The synthesizer's network after a short training."""

    def trained(self, name: str, steps: int) -> tuple[TableDenoiser, Codec]:
        """Train on a table."""
        train, _ = split(name)
        network, training, _ = self._prepare(train, Schema.infer(train, self.target), torch.device("cpu"))
        training.steps = steps
        for _ in training.run():
            pass
        return network.eval(), training.codec


def sampled(
    denoiser: Denoiser, codec: Codec, levels: Tensor, churn: float = 0.0, correct: bool = True
) -> tuple[Tensor, Tensor, float]:
    """Sample; give normal scores (ROWS, n), codes (ROWS, M) and CPU seconds."""
    x = HIGHEST * torch.randn(ROWS, codec.layout.width, generator=torch.Generator().manual_seed(0))
    noise, began, made = torch.Generator().manual_seed(1), time.process_time(), []
    with torch.inference_mode():
        for chunk in x.split(CHUNK_ROWS):
            for state in multistep(denoiser, chunk, levels, churn, noise, correct):
                chunk = state.x
            made.append(chunk)
    seconds = time.process_time() - began
    chosen = codec.choose(torch.cat(made).numpy())
    return torch.from_numpy(chosen.scores).double(), torch.from_numpy(chosen.codes), seconds


def shifts(found: Tensor, reference: Tensor) -> dict[str, dict[str, float]]:
    """Shifts of means and second moments along directions, in standard errors of a mean over LARGE rows."""
    directions = torch.randn(found.shape[1], DIRECTIONS, generator=torch.Generator().manual_seed(2)).double()
    one, other = (scores @ (directions / directions.norm(dim=0)) for scores in (found, reference))
    out = {}
    for name, a, b in (("mean", one, other), ("second moment", one.square(), other.square())):
        shift = (a - b).mean(0) / b.std(0) * LARGE**0.5
        own = (a - b).std(0) / b.std(0) * (LARGE / ROWS) ** 0.5
        out[name] = {"shift": round(float(shift.square().mean().sqrt()), 2), "se": round(float(own.mean()), 2)}
    return out


def measure(name: str) -> Iterator[dict[str, Any]]:
    """Compare ladders and numbers of evaluations on one table."""
    denoiser, codec = Briefly(seed=0, target=DATASETS[name].target).trained(name, STEPS)
    reference, codes, _ = sampled(denoiser, codec, log_levels(LOWEST, HIGHEST, REFERENCE))
    for ladder, correct, evaluations, churn in COMPARED:
        levels = LADDERS[ladder](LOWEST, HIGHEST, evaluations)
        scores, own, seconds = sampled(denoiser, codec, levels, churn, correct)
        yield {
            "ladder": ladder,
            "corrected": correct,
            "evaluations": evaluations,
            "churn": churn,
            **shifts(scores, reference),
            "codes that differ": round(float((own != codes).double().mean()), 4),
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
        cells = [f"{one[key]['shift']:.2f} ± {one[key]['se']:.2f}" for one in row for key in ("mean", "second moment")]
        lines.append("| " + " | ".join([kind, str(first["evaluations"]), *cells]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure the tables named on the command line."""
    tables, out = ["credit_default", "magic", "adult"], Path(__file__).with_suffix(".json")
    run("Few evaluations of the sampler against many.", tables, out, measure, markdown)


if __name__ == "__main__":
    main()
