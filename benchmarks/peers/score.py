"""Score what a worker has left in a folder: `python -m benchmarks.peers.score FOLDER`.

Reads `train.parquet`, `test.parquet`, `job.json`, `facts.json` and the samples; writes `typed.parquet`, the last sample
in the types of the table, and `scores.json`. Before that it measures the machine's pace by a fixed piece of work.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from benchmarks.machine import machine
from benchmarks.peers.typed import typed

from scorewise.tabular import metrics
from scorewise.tabular.report import evaluate
from scorewise.tabular.schema import Schema

SEED = 0
YARDSTICK_STEPS = 400


def yardstick() -> float:
    """Seconds that a fixed piece of work takes: products of matrices as training has them."""
    generator = torch.Generator().manual_seed(SEED)
    rows, weight = torch.randn(1024, 256, generator=generator), torch.randn(256, 256, generator=generator) / 16
    start = time.perf_counter()
    for _ in range(YARDSTICK_STEPS):
        rows = torch.tanh(rows @ weight)
    return time.perf_counter() - start


def scored(folder: Path) -> dict[str, Any]:
    """Score the samples of a folder: every score of the last, detection of those before."""
    pace = yardstick()
    job, facts = (json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("job", "facts"))
    train, test = (pq.read_table(folder / f"{name}.parquet") for name in ("train", "test"))
    schema = Schema.infer(train, job["target"])
    real = schema.cells(train)

    def sample(made: dict[str, Any]) -> tuple[pa.Table, float]:
        return typed(pq.read_table(folder / made["file"]), train)

    curve = []
    for made in facts["samples"][:-1] if job["whole"] else facts["samples"]:
        table, _ = sample(made)
        curve.append({**made, "detection": metrics.detection(real, schema.cells(table), seed=SEED)._asdict()})
    found: dict[str, Any] = {"scores": {}, "skipped": {}, "unreadable cells": None}
    if job["whole"] and facts["samples"]:
        made = facts["samples"][-1]
        table, found["unreadable cells"] = sample(made)
        pq.write_table(table, folder / "typed.parquet")
        report = evaluate(train, table, test=test, target=job["target"], schema=schema, seed=SEED)
        found["scores"] = {key: score._asdict() for key, score in report.scores.items()}
        found["skipped"] = report.skipped
        curve.append({**made, "detection": found["scores"]["detection"]})
    for point in curve:
        del point["file"]
    return {
        "rows": {"train": train.num_rows, "test": test.num_rows},
        "columns": train.num_columns,
        "curve": curve,
        **found,
        "yardstick seconds": round(pace, 3),
        "machine": machine(),
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / "scores.json").write_text(json.dumps(scored(folder), indent=1) + "\n", encoding="utf-8")
