"""Measure trainings of different lengths on short tables, and which of them a fit keeps; write it as JSON.

    SCOREWISE_DATA_HOME=... python benchmarks/lengths.py [--out FILE] [--markdown] [TABLE ...]

Of each table so many rows are drawn at random, and as many others to test with; small tables are drawn several times.
A fit is made at an eighth of the longest training, a quarter, half and all of it, each to its end with its second
stage, and 1,000 rows, or as many as it was trained on, are sampled and scored. The loss is that of the rows held out
at the end of the first stage; what it gains over half the length has the standard error of the difference. A fit by
default tries the lengths in this order and keeps the last one before a gain that is no more than its standard error.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pyarrow as pa
from command import Tables, run
from shown import SCORES
from stages import KEYS, scored

from scorewise.datasets import DATASETS, load
from scorewise.tabular.lengths import HALVINGS, Lengths, gain
from scorewise.tabular.synthesizer import Synthesizer
from scorewise.tabular.table import to_arrow
from scorewise.tabular.training import FEW_ROWS, Training

ROWS = {100: 4, 1_000: 1, 3_000: 1}
"""Sizes of the tables, and how many tables of each are drawn."""
LEAST_SAMPLED = 1_000
TABLES = ("magic", "online_news_15cols", "adult", "shoppers", "credit_default")


class Halved(Synthesizer):
    """A synthesizer that trains at one length: the longest one, halved so many times."""

    times: int
    made: Training

    def _lengths(self, training: Training, rows: int) -> Lengths:
        self.made = training.anew(training.steps >> self.times, None)
        return Lengths(self.made, 0)


def measure(name: str) -> Iterator[dict[str, Any]]:
    """Fit and score each length, each number of rows, each draw."""
    table = to_arrow(load(name))
    for rows, draws in ROWS.items():
        for draw in range(draws):
            order = np.random.default_rng(draw).permutation(table.num_rows)
            train, test = (table.take(np.sort(order[first : first + rows])) for first in (0, rows))
            yield from _lengths(train, test, DATASETS[name].target, draw)


def _lengths(train: pa.Table, test: pa.Table, target: str | None, draw: int) -> list[dict[str, Any]]:
    trained: list[Training] = []
    found: list[dict[str, Any]] = []
    kept, over = 0, False
    for times in range(HALVINGS, -1, -1):
        fitted, began = Halved(seed=draw, target=target, device="cpu"), time.process_time()
        fitted.times = times
        fitted.fit(train)
        seconds, made = time.process_time() - began, fitted.made
        gained = gain(trained[-1], made) if trained else None
        over = over or (gained is not None and gained[0] <= gained[1])
        kept = kept if over else len(found)
        loss = made.trace["new rows"][made.trace["check"].index(made.ended)]
        facts = {"rows": train.num_rows, "draw": draw, "steps": made.steps, "loss": loss}
        said = {} if gained is None else dict(zip(("gain", "gain se"), gained, strict=True))
        scores = scored(fitted, train, test, draw, max(train.num_rows, LEAST_SAMPLED))
        found.append({**facts, **said, "CPU seconds of the fit": round(seconds, 1), **scores})
        trained.append(made)
    return [{**one, "kept": place == kept} for place, one in enumerate(found)]


def markdown(tables: Tables) -> str:
    """Lay out what is kept, means over the draws; in brackets what the longest training would give."""
    titles = " | ".join(SCORES[key][0] for key in KEYS)
    lines = [f"| rows | steps | loss | {titles} |", "|---|" + "--:|" * (len(KEYS) + 2)]
    for name, found in tables.items():
        for rows in sorted({one["rows"] for one in found}):
            drawn = [one for one in found if one["rows"] == rows]
            most = max(one["steps"] for one in drawn)
            both = [one for one in drawn if one["kept"]], [one for one in drawn if one["steps"] == most]

            def cell(key: str, scale: float, digits: int, both: tuple[list[dict[str, Any]], ...] = both) -> str:
                kept, longest = (f"{scale * mean(one[key] for one in part):,.{digits}f}" for part in both)
                return f"{kept} ({longest})"

            cells = [cell("steps", 1, 0), cell("loss", 1, 3), *(cell(key, *SCORES[key][1:]) for key in KEYS)]
            lines.append(f"| {rows:,} of `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure the tables named on the command line."""
    if max(ROWS) >= FEW_ROWS:
        raise ValueError(f"tables must have fewer than {FEW_ROWS:,} rows, however: {max(ROWS):,}. Take fewer.")
    run("Trainings of different lengths.", list(TABLES), Path(__file__).with_suffix(".json"), measure, markdown)


if __name__ == "__main__":
    main()
