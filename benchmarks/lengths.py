"""Measure trainings of different lengths on short tables, and which of them a fit keeps; write it as JSON.

    SCOREWISE_DATA_HOME=... python benchmarks/lengths.py [--out FILE] [--markdown] [TABLE ...]

Of each table so many rows are taken at random, and as many others to test with. A fit is made at a quarter of the
longest training, at half of it and at all of it, each to its end with its second stage, and as many rows as it was
trained on are sampled and scored. The loss is that of the rows held out at the end of the first stage; what it gains
over half the length has the standard error of the difference. A fit by default tries the lengths in this order and
keeps the last one before a gain that is no more than its standard error.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from command import Tables, run
from shown import SCORES
from stages import KEYS, scored

from scorewise.datasets import DATASETS, load
from scorewise.tabular.lengths import FEW_ROWS, HALVINGS, Lengths
from scorewise.tabular.synthesizer import Synthesizer
from scorewise.tabular.table import to_arrow
from scorewise.tabular.training import Training

ROWS = (1_000, 3_000)
TABLES = ("magic", "online_news_15cols", "adult", "shoppers", "credit_default")


class Halved(Synthesizer):
    """A synthesizer that trains at one length: the longest one, halved so many times."""

    times: int
    made: Training

    def _lengths(self, training: Training, rows: int) -> Lengths:
        self.made = training.anew(training.steps >> self.times, None)
        return Lengths(self.made, 0)


def measure(name: str) -> Iterator[dict[str, Any]]:
    """Fit and score each length, each number of rows."""
    table = to_arrow(load(name))
    order = np.random.default_rng(0).permutation(table.num_rows)
    for rows in ROWS:
        train, test = (table.take(np.sort(order[first : first + rows])) for first in (0, rows))
        losses: list[np.ndarray] = []
        kept, over = 0, False
        found = []
        for times in range(HALVINGS, -1, -1):
            fitted, began = Halved(seed=0, target=DATASETS[name].target, device="cpu"), time.process_time()
            fitted.times = times
            fitted.fit(train)
            seconds, held = time.process_time() - began, fitted.made.holdout
            assert held is not None
            losses.append(held.measured[held.steps.index(fitted.made.ended)].numpy())
            gain, error = _gain(*losses[-2:]) if len(losses) > 1 else (None, None)
            over = over or (gain is not None and error is not None and gain <= error)
            kept = kept if over else len(found)
            found.append(
                {
                    "rows": rows,
                    "steps": fitted.made.steps,
                    "loss": float(losses[-1].mean()),
                    "gain": gain,
                    "gain se": error,
                    "CPU seconds of the fit": round(seconds, 1),
                    **scored(fitted, train, test, 0),
                }
            )
        yield from ({**one, "kept": place == kept} for place, one in enumerate(found))


def _gain(shorter: np.ndarray, longer: np.ndarray) -> tuple[float, float]:
    gain = shorter - longer
    return float(gain.mean()), float(gain.std(ddof=1) / len(gain) ** 0.5)


def markdown(tables: Tables) -> str:
    """Lay losses and scores out as a table."""
    titles = " | ".join(SCORES[key][0] for key in KEYS)
    lines = [f"| rows | steps | loss | gain | {titles} | kept |", "|---|" + "--:|" * (len(KEYS) + 3) + "---|"]
    for name, found in tables.items():
        for one in found:
            gain = "" if one["gain"] is None else f"{one['gain']:.4f} ± {one['gain se']:.4f}"
            cells = [f"{SCORES[key][1] * one[key]:.{SCORES[key][2]}f}" for key in KEYS]
            first = f"{one['rows']:,} of `{name}` | {one['steps']:,} | {one['loss']:.4f} | {gain}"
            lines.append(f"| {first} | " + " | ".join(cells) + f" | {'yes' if one['kept'] else ''} |")
    return "\n".join(lines)


def main() -> None:
    """Measure the tables named on the command line."""
    if max(ROWS) >= FEW_ROWS:
        raise ValueError(f"tables must have fewer than {FEW_ROWS:,} rows, however: {ROWS}. Take fewer.")
    run("Trainings of different lengths.", list(TABLES), Path(__file__).with_suffix(".json"), measure, markdown)


if __name__ == "__main__":
    main()
