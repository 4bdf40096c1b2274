"""Measure how rows are sampled fastest on several cores; write it as JSON.

    SCOREWISE_DATA_HOME=... python benchmarks/threads.py [--out FILE] [--markdown] [TABLE ...]

A network of each table, trained for a few seconds, samples the same rows in three ways, in turns: with one thread, one
chunk at a time with all threads within each operation, and as `Synthesizer.sample` does, a thread a chunk.
Seconds of the wall clock and of all threads' CPU clocks; medians of the turns.
"""

import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from command import Tables, run
from splits import split

from scorewise.datasets import DATASETS
from scorewise.tabular import generation
from scorewise.tabular.synthesizer import Synthesizer

MINUTES, ROWS, TURNS = 0.2, 8_192, 5
THREADS = len(os.sched_getaffinity(0))
WAYS = {"one thread": (1, 0), "all threads within a chunk": (THREADS, 0), "a thread a chunk": (THREADS, None)}
"""Number of threads, and `MOST_FEATURES` in the place of its own value: 0 for one chunk at a time."""


def measure(name: str) -> Iterator[dict[str, Any]]:
    """Sample in each way."""
    torch.set_num_threads(THREADS)
    train, _ = split(name)
    fitted = Synthesizer(seed=0, target=DATASETS[name].target, time_limit=MINUTES, device="cpu").fit(train)
    seconds: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for turn in range(TURNS + 1):
        for way, (threads, most) in list(WAYS.items())[:: 1 if turn % 2 else -1]:
            torch.set_num_threads(threads)
            with patch.object(generation, "MOST_FEATURES", generation.MOST_FEATURES if most is None else most):
                wall, cpu = time.monotonic(), time.process_time()
                fitted.sample(ROWS, seed=turn)
                seconds[way].append((time.monotonic() - wall, time.process_time() - cpu))
    for way, found in seconds.items():
        wall, cpu = (statistics.median(one) for one in zip(*found[1:], strict=True))  # the first turn warms up
        yield {"way": way, "rows": ROWS, "threads": WAYS[way][0], "seconds": round(wall, 3), "CPU": round(cpu, 3)}


def markdown(tables: Tables) -> str:
    """Lay the seconds out as a table."""
    lines = [
        f"| seconds for {ROWS:,} rows, in brackets CPU seconds | " + " | ".join(WAYS) + " |",
        "|---|" + "--:|" * len(WAYS),
    ]
    for name, found in tables.items():
        cells = {one["way"]: f"{one['seconds']:.2f} ({one['CPU']:.2f})" for one in found}
        lines.append(f"| `{name}` | " + " | ".join(cells[way] for way in WAYS) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure the tables named on the command line."""
    out = Path(__file__).with_suffix(".json")
    run("Sampling on several cores.", ["credit_default", "adult", "diabetes130"], out, measure, markdown)


if __name__ == "__main__":
    main()
