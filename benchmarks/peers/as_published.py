"""Measure scorewise as the papers measure their generators: their splits, twenty sampled tables, their scores.

    SCOREWISE_DATA_HOME=... python -m benchmarks.peers.as_published [TABLE ...]

The protocol is that of TabSyn and TabDiff. Rows are parted 9 to 1 by a permutation of numpy's seed 1234, or of the next
seed where a level would be missing from the training rows; Adult has its published test rows. The columns that are
numbers are those of the papers. One fit, with defaults, draws twenty tables of as many rows as it was given; a score is
the mean over these with its standard deviation, which the training is not in. Shapes, trends and logistic detection are
those of sdmetrics 0.25.0 against the training rows; alpha-precision and beta-recall are ours; utility, of the headline
table alone, is that of `workers/run_xgboost.py` on the test rows.

What is in the JSON file is not measured again, and a run that was cut off goes on after its last finished part.
`python -m benchmarks.peers --markdown` shows the scores beside the published ones.
"""

import argparse
import functools
import json
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from benchmarks import splits
from benchmarks.machine import machine
from benchmarks.peers import cells, environments
from benchmarks.peers.catalogue import HEADLINE
from benchmarks.peers.measure import WORKERS, run_worker

from scorewise.datasets import DATASETS, load
from scorewise.tabular import metrics
from scorewise.tabular.schema import Schema
from scorewise.tabular.synthesizer import Synthesizer
from scorewise.tabular.table import to_arrow

RESULTS = Path(__file__).parent / "as_published.json"
SPLIT_SEED = 1234
SAMPLES = 20
MISSING = "?"
NUMBERS = {
    HEADLINE: ("LIMIT_BAL", "AGE", *(f"{name}_AMT{k}" for name in ("BILL", "PAY") for k in range(1, 7))),
    "adult": ("age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"),
    "shoppers": (
        "Administrative",
        "Administrative_Duration",
        "Informational",
        "Informational_Duration",
        "ProductRelated",
        "ProductRelated_Duration",
        "BounceRates",
        "ExitRates",
        "PageValues",
        "SpecialDay",
    ),
    "magic": ("fLength", "fWidth", "fSize", "fConc", "fConc1", "fAsym", "fM3Long", "fM3Trans", "fAlpha", "fDist"),
    "beijing_pm25": ("pm2.5", "DEWP", "TEMP", "PRES", "Iws", "Is", "Ir"),
}
"""The columns of each table that the papers take for numbers; all others are categories."""


def split(name: str) -> tuple[pa.Table, pa.Table]:
    """Give training and test rows of a table as the papers part them."""
    if name == "adult":
        return splits.split(name)
    table = to_arrow(load(name))
    if name == "beijing_pm25":
        table = table.drop_columns(["No"]).filter(pc.is_valid(table.column("pm2.5")))
    return parted(table, NUMBERS[name])


def parted(table: pa.Table, numbers: Sequence[str]) -> tuple[pa.Table, pa.Table]:
    """Part rows 9 to 1, so that every level of every column that is no number is among the training rows.

    Args:
        table: the rows.
        numbers: names of the columns that are numbers.

    Returns:
        Training and test rows, in the order of the permutation.
    """
    count, seed = table.num_rows * 9 // 10, SPLIT_SEED
    levels = [table.column(column) for column in table.column_names if column not in numbers]
    while True:
        order = np.random.RandomState(seed).permutation(table.num_rows)
        train = pa.array(order[:count])
        if all(pc.count_distinct(column.take(train)) == pc.count_distinct(column) for column in levels):
            return table.take(train), table.take(pa.array(order[count:]))
        seed += 1


def prepare(name: str, folder: Path) -> dict[str, Any]:
    """Fit, leave the real rows and the sampled tables in a folder, and return what was measured on the way."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    train, test = split(name)
    for part, rows in (("train", train), ("test", test)):
        pq.write_table(told(rows, name), folder / f"{part}.parquet")
    start = time.process_time()
    synthesizer = Synthesizer(seed=0, target=DATASETS[name].target).fit(train)
    fitted = time.process_time()
    for k in range(SAMPLES):
        pq.write_table(told(synthesizer.sample(train.num_rows, seed=k), name), folder / f"sample-{k}.parquet")
    return {
        "rows": {"train": train.num_rows, "test": test.num_rows},
        "fit CPU seconds": round(fitted - start, 1),
        "sample CPU seconds": round((time.process_time() - fitted) / SAMPLES, 1),
        "ended": synthesizer.stopped_,
        "machine": machine(),
    }


def told(rows: pa.Table, name: str) -> pa.Table:
    """Give rows every category as text; a missing one is a level of its own, as it is in the papers."""
    columns = [
        rows.column(column)
        if column in NUMBERS[name]
        else pc.fill_null(rows.column(column).cast(pa.large_string()), MISSING)
        for column in rows.column_names
    ]
    return pa.table(columns, names=rows.column_names)


def scores(name: str, k: int, folder: Path) -> dict[str, float]:
    """Score one sampled table."""
    train, sample = (pq.read_table(folder / f"{part}.parquet") for part in ("train", f"sample-{k}"))
    kinds = {column: {"kind": "number" if column in NUMBERS[name] else "category"} for column in train.column_names}
    schema = Schema.infer(train, DATASETS[name].target, kinds)
    real, made = schema.cells(train), schema.cells(sample)
    found = {key: getattr(metrics, key)(real, made, seed=k).value for key in ("alpha_precision", "beta_recall")}
    theirs = _by_worker("sdmetrics", "run_sdmetrics.py", sample, k, folder)
    found |= {key: theirs[key] for key in ("shapes", "trends_legacy", "detection_linear")}
    return found | utility(name, sample, k, folder)


def utility(name: str, rows: pa.Table, seed: int, folder: Path) -> dict[str, float]:
    """Score what boosted trees learn of these rows; nothing of tables other than the headline."""
    if name != HEADLINE:
        return {}
    return {"utility": _by_worker("forest", "run_xgboost.py", rows, seed, folder)["utility"]}


def _by_worker(environment: str, worker: str, rows: pa.Table, seed: int, folder: Path) -> dict[str, Any]:
    """What a worker of another environment says of some rows."""
    name = folder.name
    categories = [column for column in rows.column_names if column not in NUMBERS[name]]
    job = {"seed": seed, "target": DATASETS[name].target, "numbers": NUMBERS[name], "categories": categories}
    (folder / "job.json").write_text(json.dumps(job) + "\n", encoding="utf-8")
    pq.write_table(rows, folder / "typed.parquet")
    python = str(environments.make(environment))
    run_worker([python, str(WORKERS / worker), str(folder)], folder, f"{worker} of {name}", isolated=True)
    out = folder / worker.removeprefix("run_").replace(".py", ".json")
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


def _kept(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a file holds, made if it is not there."""
    if not path.exists():
        path.write_text(json.dumps(make()) + "\n", encoding="utf-8")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def measure(name: str) -> dict[str, Any]:
    """Fit, sample and score one table."""
    folder = environments.home() / "work" / "as_published" / name
    facts = _kept(folder / "facts.json", functools.partial(prepare, name, folder))
    real = functools.partial(utility, name, pq.read_table(folder / "train.parquet"), 0, folder)
    facts["of the training rows"] = _kept(folder / "real.json", real)
    found = [_kept(folder / f"scores-{k}.json", functools.partial(scores, name, k, folder)) for k in range(SAMPLES)]
    shutil.rmtree(folder)
    return {**facts, "scores": {key: [one[key] for one in found] for key in found[0]}}


def main() -> None:
    """Measure the tables named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(NUMBERS))
    chosen = parser.parse_args().tables or list(NUMBERS)
    for name in chosen:
        if name not in NUMBERS:
            parser.error(f"TABLE must be one of {', '.join(NUMBERS)}, however: {name}.")
    for name in chosen:
        if name not in cells.read(RESULTS):
            found = measure(name)
            cells.add(RESULTS, name, found)
            print(name, {key: round(statistics.mean(by), 4) for key, by in found["scores"].items()}, flush=True)


if __name__ == "__main__":
    main()
