"""Measure one cell: write its job, run the worker, score what it made, hold the scores against sdmetrics."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from benchmarks.peers import environments
from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.cells import Cell
from benchmarks.peers.environments import PeerError
from benchmarks.splits import source, split

from scorewise.datasets import DATASETS
from scorewise.tabular.schema import Schema

ROOT = Path(__file__).parents[2]
WORKERS = Path(__file__).parent / "workers"
QUICK_ROWS = 1_000


def measure(cell: Cell, quick: bool = False) -> dict[str, Any]:
    """Fit, sample and score; what an interrupted call has finished is not done again.

    Args:
        cell: what to fit.
        quick: whether to take a thousand rows of the table only.

    Returns:
        What was measured, for the file.

    Raises:
        PeerError: the peer failed, with the end of what it said.
    """
    peer = PEERS[cell.peer]
    folder = (
        environments.home() / "work" / ("quick" if quick else "whole") / cell.key.replace("/", "_").replace(" ", "_")
    )
    prepare(cell, folder, quick)
    if not (folder / "facts.json").exists():
        python = sys.executable if peer.environment is None else str(environments.python_of(peer.environment))
        command = [python, str(WORKERS / peer.worker), str(folder), *peer.arguments]
        run_worker(command, folder, cell.key, isolated=peer.environment is not None)
    run_worker([sys.executable, "-m", "benchmarks.peers.score", str(folder)], folder, f"scoring {cell.key}")
    facts, found = (json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("facts", "scores"))
    if (folder / "typed.parquet").exists():
        python = str(environments.python_of("sdmetrics"))
        run_worker(
            [python, str(WORKERS / "run_sdmetrics.py"), str(folder)], folder, f"sdmetrics of {cell.key}", isolated=True
        )
        found["sdmetrics"] = json.loads((folder / "sdmetrics.json").read_text(encoding="utf-8"))
    shutil.rmtree(folder)
    del facts["samples"]
    return {**cell._asdict(), **facts, **found}


def prepare(cell: Cell, folder: Path, quick: bool) -> None:
    """Write the files of a job, unless a worker has finished the very same one.

    Identifiers are left out of the files: no generator is asked for them, and no score looks at them. Constants are
    categories.
    """
    train, test = split(cell.table)
    if quick:
        train = train.slice(0, QUICK_ROWS)
    target = DATASETS[source(cell.table)].target
    kinds = {column.name: column.kind for column in Schema.infer(train, target).columns}
    identifiers = [name for name, kind in kinds.items() if kind == "identifier"]
    job = {
        **cell._asdict(),
        "target": target,
        "categories": [name for name, kind in kinds.items() if kind in {"category", "constant"}],
        "numbers": [name for name, kind in kinds.items() if kind == "number"],
    }
    said, path = json.dumps(job, indent=1) + "\n", folder / "job.json"
    if (folder / "facts.json").exists() and path.read_text(encoding="utf-8") == said:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, table in (("train", train), ("test", test)):
        pq.write_table(table.drop_columns(identifiers), folder / f"{name}.parquet")
    path.write_text(said, encoding="utf-8")


def run_worker(command: list[str], folder: Path, what: str, *, isolated: bool = False) -> None:
    """Run a program with one thread, its output in a log beside the job; isolated, it sees no package of ours."""
    single = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    inherited = {name: value for name, value in os.environ.items() if not (isolated and name == "PYTHONPATH")}
    log = folder / "log.txt"
    with log.open("w", encoding="utf-8") as out:
        done = subprocess.run(
            command, cwd=ROOT, env={**inherited, **single}, stdout=out, stderr=subprocess.STDOUT, check=False
        )
    if done.returncode != 0:
        end = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
        raise PeerError(f"{what} must end well, however: exit status {done.returncode}: {' | '.join(end)}. See {log}.")
