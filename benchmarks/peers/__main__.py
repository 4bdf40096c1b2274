"""Measure scorewise against its peers on the same rows, one core each, with everybody's defaults.

    SCOREWISE_DATA_HOME=... python -m benchmarks.peers [--tables NAME ...] [--peers NAME ...] [--lanes 2]

Each cell (a table, a generator, a seed) is a process of its own on one core with one thread; `--lanes` are so many
cells at a time. Environments are made as they are needed. A cell that is in the JSON file is not measured again; one
that was cut off goes on after its last finished part, so the command can be given again at any time. `--quick` takes a
thousand rows and six CPU seconds, in files of its own. `--markdown` measures nothing: it fills the tables of
`docs/benchmarks.md` and draws its figure.
"""

import argparse
import os
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

from benchmarks.peers import cells, environments
from benchmarks.peers.catalogue import BUDGETS, HEADLINE, MINUTES, PEERS
from benchmarks.peers.cells import Cell
from benchmarks.peers.environments import PeerError
from benchmarks.peers.figure import draw
from benchmarks.peers.measure import measure
from benchmarks.peers.tables import PAGE, filled
from benchmarks.splits import SHORT, TABLES

RESULTS = Path(__file__).parent / "results.json"
FIGURE = PAGE.parent / "benchmarks.png"
QUICK_MINUTES = 0.1


def run(plan: Iterable[Cell], path: Path, lanes: int, quick: bool) -> int:
    """Measure the cells that are not in the file; return how many failed."""
    lock, lane = threading.Lock(), count()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []

    def pin() -> None:
        """Keep a lane, and the processes that it starts, on one core."""
        if cores:
            os.sched_setaffinity(0, {cores[next(lane) % len(cores)]})

    def one(cell: Cell) -> bool:
        with lock:
            if cell.key in cells.read(path):
                return True
        try:
            found = measure(cell, quick)
        except PeerError as error:
            print(f"failed: {error}", file=sys.stderr, flush=True)
            return False
        with lock:
            cells.add(path, cell.key, found)
        last = found["curve"][-1] if found["curve"] else None
        said = (
            f"{last['fit CPU seconds']:.0f} CPU s, detection {last['detection']['value']:.3f}" if last else "no model"
        )
        print(f"{cell.key}: {found['ended']}, {said}", flush=True)
        return True

    with ThreadPoolExecutor(lanes, initializer=pin) as pool:
        return sum(not done for done in pool.map(one, plan))


def main() -> None:
    """Measure, or fill the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = (*TABLES, *SHORT)
    parser.add_argument("--tables", nargs="+", choices=known, default=known, metavar="NAME", help=", ".join(known))
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), metavar="NAME", help=", ".join(PEERS))
    parser.add_argument("--minutes", type=float, default=MINUTES, help="CPU minutes that a training may take")
    parser.add_argument("--lanes", type=int, default=1, help="cells at a time, one core each")
    parser.add_argument("--results", type=Path, help="the JSON file")
    parser.add_argument("--quick", action="store_true", help="see that everything runs")
    parser.add_argument("--markdown", action="store_true", help="fill docs/benchmarks.md from the JSON file")
    options = parser.parse_args()
    cores = os.cpu_count() or 1
    if not 1 <= options.lanes <= cores:
        parser.error(f"--lanes must be from 1 to the number of cores, {cores}, however: {options.lanes}.")
    path = options.results or (environments.home() / "quick.json" if options.quick else RESULTS)
    if options.markdown:
        results = cells.read(path)
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
        draw(results, FIGURE)
        return
    minutes = QUICK_MINUTES if options.quick else options.minutes
    budgets = [minutes / 2] if options.quick else [budget for budget in BUDGETS if budget < minutes]
    wanted = {PEERS[name].environment for name in options.peers} - {None} | {"sdmetrics"}
    for name in sorted(wanted):
        environments.make(name)
    tables = sorted(options.tables, key=lambda name: name != HEADLINE)
    failed = run(cells.planned(tables, options.peers, minutes, budgets), path, options.lanes, options.quick)
    if failed:
        sys.exit(f"{failed} cells failed and are not in {path}. Give the command again to try them again.")


if __name__ == "__main__":
    main()
