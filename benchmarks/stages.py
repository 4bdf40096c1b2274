"""Measure what the second stage of a fit is worth, a copy of the network for small noise; write it as JSON.

    SCOREWISE_DATA_HOME=... python benchmarks/stages.py [--out FILE] [--markdown] [TABLE ...]

Each table is fitted by default to its own end, with each seed. As many rows as the training part has are sampled and
scored, from both networks and from the first one alone; each is calibrated by samples of its own. Where the rows held
out do not gain by the copy it is dropped, and there is nothing to compare; nor is there without such rows.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from calibration import scores
from command import Tables, run
from shown import SCORES, mean_and_range
from splits import split

from scorewise.datasets import DATASETS
from scorewise.experts import Experts
from scorewise.relay import returned
from scorewise.tabular import privacy
from scorewise.tabular.correction import correct
from scorewise.tabular.schema import Schema
from scorewise.tabular.synthesizer import Synthesizer
from scorewise.tabular.table import to_arrow

SEEDS = (0, 1)
BOTH, FIRST = "both stages", "the first alone"
KEYS = ("shapes", "trends", "detection", "detection_differences", "closer_to_train")


def scored(
    synthesizer: Synthesizer, train: pa.Table, test: pa.Table, seed: int, rows: int | None = None
) -> dict[str, float]:
    """Sample so many rows, or as many as were trained on, and score them."""
    synthetic = to_arrow(synthesizer.sample(train.num_rows if rows is None else rows, seed=seed))
    return judged(synthesizer.schema_, train, test, synthetic)


def judged(schema: Schema, train: pa.Table, test: pa.Table, synthetic: pa.Table) -> dict[str, float]:
    """Score a sample."""
    real, held, made = (schema.cells(table) for table in (train, test, synthetic))
    return {**scores(real, made), "closer_to_train": privacy.closer_to_train(real, held, made).value}


def measure(name: str) -> Iterator[dict[str, Any]]:
    """Score both ways, each seed."""
    train, test = split(name)
    for seed in SEEDS:
        began = time.process_time()
        fitted = Synthesizer(seed=seed, target=DATASETS[name].target, device="cpu").fit(train)
        facts = {
            "seed": seed,
            "CPU seconds of the fit": round(time.process_time() - began, 1),
            "held-out losses of the copy": fitted.trace_.get("fine new rows", []),  # none without a second stage
        }
        experts = fitted.network_
        if not isinstance(experts, Experts):
            yield {"way": FIRST, **facts, **scored(fitted, train, test, seed)}
            continue
        yield {"way": BOTH, **facts, **scored(fitted, train, test, seed)}
        fitted.network_ = experts.coarse
        corrected = returned(correct(experts.coarse, fitted.codec_, train, int(fitted.trace_["step"][-1]), seed))
        fitted.calibration_, fitted.rejection_, fitted.unseen_ = corrected
        yield {"way": FIRST, "seed": seed, **scored(fitted, train, test, seed)}


def markdown(tables: Tables) -> str:
    """Lay the scores out as a table, means of the seeds."""
    lines = ["| | " + " | ".join(SCORES[key][0] for key in KEYS) + " |", "|---|" + "--:|" * len(KEYS)]
    for name, found in tables.items():
        for way in (FIRST, BOTH):
            chosen = [one for one in found if one["way"] == way]
            if chosen:
                cells = [mean_and_range(key, [one[key] for one in chosen]) for key in KEYS]
                lines.append(f"| `{name}`, {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure the tables named on the command line."""
    out = Path(__file__).with_suffix(".json")
    run("What the second stage of a fit is worth.", ["credit_default"], out, measure, markdown)


if __name__ == "__main__":
    main()
