"""Fit, sample and score real tables with default settings; write what was measured as JSON.

    SCOREWISE_DATA_HOME=... python benchmarks/fidelity.py [--out benchmarks/fidelity.json] [TABLE ...]

Each table is split once into train and test (Credit Default and Adult as published, the others 9 to 1 by seed 0), the
synthesizer is fitted to the training rows with its defaults, as many rows are sampled, and every score is measured
beside its floor. Tables run one after another, each in a process of its own, so that peak memory is that of one table.
A table that is in the JSON file already is measured again only if it is named. Fits and scores can be made apart, on
two machines: with `--fit-only` the synthetic tables and what was measured of the fits stay in the folder, and
`--score-only` goes on from there. `--markdown` prints the README's table from the JSON file and measures nothing.
"""

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from machine import machine
from shown import SCORES
from splits import TABLES, split

from scorewise.datasets import DATASETS
from scorewise.tabular.report import evaluate
from scorewise.tabular.synthesizer import Synthesizer


def fit(name: str, seed: int, minutes: float | None, folder: Path) -> None:
    """Fit one table (for so many minutes at most, where a limit is given) and sample it; leave both in a folder."""
    train, test = split(name)
    clocks = [(time.perf_counter(), time.process_time())]
    synthesizer = Synthesizer(seed=seed, target=DATASETS[name].target, time_limit=minutes).fit(train)
    clocks.append((time.perf_counter(), time.process_time()))
    synthetic = synthesizer.sample(train.num_rows, seed=seed)
    clocks.append((time.perf_counter(), time.process_time()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    ticks = [(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(clocks)]
    facts = {
        "rows": {"train": train.num_rows, "test": test.num_rows},
        "columns": train.num_columns,
        "encoded width": synthesizer.codec_.layout.width,
        "parameters": sum(p.numel() for p in synthesizer.network_.parameters()),
        "steps": int(max(synthesizer.trace_["step"][-1:] + synthesizer.trace_["check"][-1:])),
        "ended": synthesizer.stopped_,
        "seed": seed,
        "time limit in minutes": minutes,
        "fit seconds": round(ticks[0][0], 1),
        "fit CPU seconds": round(ticks[0][1], 1),
        "sample seconds": round(ticks[1][0], 1),
        "sample CPU seconds": round(ticks[1][1], 1),
        "peak MB of fit and sample": round(peak),
        "machine": machine(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(synthetic, folder / f"{name}.parquet")
    (folder / f"{name}.json").write_text(json.dumps({"facts": facts, "trace": synthesizer.trace_}))


def score(name: str, folder: Path) -> dict[str, object]:
    """Score what `fit` left."""
    train, test = split(name)
    left = json.loads((folder / f"{name}.json").read_text())
    synthetic = pq.read_table(folder / f"{name}.parquet")
    target, seed = DATASETS[name].target, left["facts"]["seed"]
    report = evaluate(train, synthetic, test=test, target=target, seed=seed, trace=left["trace"])
    scores = {key: score._asdict() for key, score in report.scores.items()}
    return {**left["facts"], "scores": scores, "skipped": report.skipped}


LEFT_OUT = ("alpha_precision", "exact_copies", "singled_out", "missing_patterns")
SHOWN = {key: shown for key, shown in SCORES.items() if key not in LEFT_OUT}


def markdown(results: dict[str, dict[str, Any]]) -> str:
    """Lay the results out as the table of the README, with a sentence about the machine."""
    head = ["table", "rows x columns", "fit s", "CPU s", "sample s", "MB", *(title for title, _, _ in SHOWN.values())]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, found in results.items():
        size = f"{found['rows']['train']:,} x {found['columns']}"
        measured = ("fit seconds", "fit CPU seconds", "sample seconds", "peak MB of fit and sample")
        digits = (0, 0, 1, 0)
        times = [f"{found[key]:,.{places}f}" for key, places in zip(measured, digits, strict=True)]
        cells = []
        for key, (_, scale, digits_shown) in SHOWN.items():
            one = found["scores"].get(key)
            cells.append(
                f"{scale * one['value']:.{digits_shown}f} [{scale * one['floor']:.{digits_shown}f}]" if one else ""
            )
        cut = "the time limit of" in found["ended"]
        label = f"{name} (cut at {found['time limit in minutes']:g} minutes)" if cut else name
        lines.append("| " + " | ".join([label, size, *times, *cells]) + " |")
    machines: dict[str, list[str]] = {}
    for name, found in results.items():
        about = found["machine"]
        machines.setdefault(
            f"{about['processor']}, {about['cores']} cores, {about['instructions']}, bfloat16 used: "
            f"{about['bfloat16 used']}; torch {about['torch']}, threads a process: {about['threads']}"
            + (f"; {about['gpu']}" if "gpu" in about else ""),
            [],
        ).append(name)
    if len(machines) == 1:
        return "\n".join([*lines, "", f"Machine: {next(iter(machines))}."])
    return "\n".join([*lines, "", *(f"* {', '.join(names)}: {machine}." for machine, names in machines.items())])


def main() -> None:
    """Measure the tables named on the command line, or all that are not in the file."""
    parser = argparse.ArgumentParser(description="Fidelity of the synthesizer with default settings.")
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time-limit", type=float, metavar="MINUTES", help="cut the training; noted in the JSON file")
    parser.add_argument("--folder", type=Path, help="where synthetic tables are left; by default they are not kept")
    parser.add_argument("--fit-only", action="store_true", help="score nothing; needs --folder")
    parser.add_argument("--score-only", action="store_true", help="fit nothing; needs --folder")
    parser.add_argument("--one", choices=("fit", "score"), help=argparse.SUPPRESS)
    parser.add_argument("--markdown", action="store_true", help="print the README's table from the JSON file")
    options = parser.parse_args()
    if options.markdown:
        print(markdown(json.loads(options.out.read_text())))
        return
    if options.one == "fit":
        fit(options.tables[0], options.seed, options.time_limit, options.folder)
        return
    if options.one == "score":
        print(json.dumps(score(options.tables[0], options.folder)))
        return
    if (options.fit_only or options.score_only) and options.folder is None:
        parser.error("--fit-only and --score-only need --folder.")
    results = json.loads(options.out.read_text()) if options.out.exists() else {}
    with tempfile.TemporaryDirectory() as passing:
        folder = options.folder or Path(passing)
        for name in options.tables or [name for name in TABLES if name not in results]:
            command = [sys.executable, __file__, name, "--folder", str(folder), "--seed", str(options.seed)]
            if options.time_limit is not None:
                command += ["--time-limit", str(options.time_limit)]
            if not options.score_only:
                subprocess.run([*command, "--one", "fit"], check=True)
            if options.fit_only:
                continue
            run = subprocess.run([*command, "--one", "score"], stdout=subprocess.PIPE, text=True, check=True)
            results[name] = json.loads(run.stdout.splitlines()[-1])
            part = options.out.with_suffix(".part")
            part.write_text(json.dumps({k: results[k] for k in TABLES if k in results}, indent=1) + "\n")
            part.replace(options.out)
            print(name, {key: round(score["value"], 4) for key, score in results[name]["scores"].items()})


if __name__ == "__main__":
    main()
