"""Measure how time and memory grow with rows, columns and category levels; write it as JSON and a figure.

    python benchmarks/growth.py [--out benchmarks/growth.json] [--quick] [--markdown] [AXIS ...]

Made-up tables, half number columns (correlated, a tenth zeros), half categories. Each size runs in a process of its
own, on one thread: encoding is timed once, a training step and the sampling of 1,024 rows as the median of several, the
correction of a network that has had so few steps once. A fit is extrapolated from these: encoding, the longest training
of the table's size, and the correction.
Memory is the peak of the process. An exponent is the slope of a straight line through the logarithms: 1 is linear. Also
measured: seconds to import the package, and of `scorewise --help`, the least of several; with `starts` for the axis
these alone. What is in the file of other axes stays.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import torch
from command import arguments
from machine import machine

from scorewise.relay import returned
from scorewise.tabular.calibration import Calibration, calibration_rows
from scorewise.tabular.correction import correct
from scorewise.tabular.generation import CHUNK_ROWS
from scorewise.tabular.schema import Schema
from scorewise.tabular.synthesizer import Synthesizer
from scorewise.tabular.table import to_arrow
from scorewise.tabular.unseen import Unseen

AXES: dict[str, list[tuple[int, int, int]]] = {  # rows, columns, levels
    "rows": [(rows, 24, 10) for rows in (1_000, 10_000, 100_000, 1_000_000)],
    "columns": [(10_000, columns, 10) for columns in (5, 24, 100, 500)],
    "levels": [(100_000, 24, levels) for levels in (10, 100, 1_000, 10_000)],
}
WARM, TIMED, CHUNKS = 2, 7, 2
STARTS_ALONE = "starts"
PARAMETER = "[torch.nn.Parameter(torch.zeros(1))]"
STARTS = {
    "import scorewise": ["-c", "import scorewise"],
    "import of the synthesizer": ["-c", "from scorewise import Synthesizer"],
    "scorewise --help": ["-m", "scorewise.cli", "--help"],
    "import of torch and an AdamW of ours": [
        "-c",
        f"import torch; from scorewise.optimiser import AdamW; AdamW({PARAMETER}, 1e-3)",
    ],
    "import of torch and an AdamW of torch": ["-c", f"import torch; torch.optim.AdamW({PARAMETER})"],
}


def table(rows: int, columns: int, levels: int) -> pd.DataFrame:
    """Make a table; a quarter of the categories, one at least, have so many levels, the others at most ten."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=rows)
    numbers = columns // 2
    made: dict[str, Any] = {}
    for i in range(numbers):
        values = np.exp(common + rng.normal(size=rows)).round(2)
        made[f"number {i}"] = np.where(rng.random(rows) < 0.1, 0.0, values)
    categories = columns - numbers
    for i in range(categories):
        count = levels if i < max(1, categories // 4) else min(levels, 10)
        place = np.argsort(np.argsort(common + 2 * rng.normal(size=rows))) / rows
        made[f"category {i}"] = np.char.add("level ", (count * place**2).astype(int).astype(str))
    return pd.DataFrame(made)


class Pieces(Synthesizer):
    """The synthesizer, taken apart so that its pieces can be timed."""

    def times(self, frame: pd.DataFrame) -> dict[str, float]:
        """Seconds of encoding, of a step, of sampling a row, of the correction; and how many steps a fit has."""
        began = time.perf_counter()
        arrow = to_arrow(frame)
        network, training, _ = self._prepare(arrow, Schema.infer(arrow), torch.device("cpu"))
        codec = training.codec
        encoded = time.perf_counter()
        steps, ticks = training.run(), []
        for _ in range(WARM + TIMED):
            before = time.perf_counter()
            next(steps)
            ticks.append(time.perf_counter() - before)
        steps.close()
        self.codec_, self.network_, self.kind_ = codec, network.eval(), "pyarrow"
        self.calibration_, self.rejection_ = Calibration.identity(codec.layout.numbers), None
        self.unseen_ = Unseen((), (), {})
        chunks = []
        for seed in range(CHUNKS):
            before = time.perf_counter()
            self.sample(CHUNK_ROWS, seed=seed)
            chunks.append(time.perf_counter() - before)
        before = time.perf_counter()
        returned(correct(self.network_, codec, arrow, training.steps, self.seed))
        return {
            "encoded width": codec.layout.width,
            "steps": training.steps,
            "calibration rows": calibration_rows(arrow.num_rows, training.steps),
            "seconds of the correction": round(time.perf_counter() - before, 1),
            "seconds of encoding": round(encoded - began, 3),
            "seconds of a step": round(median(ticks[WARM:]), 4),
            "seconds of sampling a row": float(f"{median(chunks) / CHUNK_ROWS:.3g}"),
        }


def measure(rows: int, columns: int, levels: int) -> dict[str, Any]:
    """Measure one size in this process."""
    torch.set_num_threads(1)
    found: dict[str, Any] = {"rows": rows, "columns": columns, "levels": levels}
    found |= Pieces(seed=0).times(table(rows, columns, levels))
    trained = found["steps"] * found["seconds of a step"]
    found["seconds of a fit"] = round(found["seconds of encoding"] + trained + found["seconds of the correction"], 1)
    found["peak MB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return found


def exponent(sizes: list[float], values: list[float]) -> float:
    """Slope of the logarithms."""
    return float(f"{np.polyfit(np.log(sizes), np.log(values), 1)[0]:.3g}")


def starts(turns: int = 5) -> dict[str, float]:
    """Least seconds of starting Python with the package."""
    found = {}
    for name, words in STARTS.items():
        times = []
        for _ in range(turns):
            before = time.perf_counter()
            subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
            times.append(time.perf_counter() - before)
        found[name] = round(min(times), 3)
    return found


def draw(axes: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Draw seconds of a fit, of a step and of sampling 1,000 rows, and memory, along each axis."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(axes), figsize=(3.4 * len(axes), 3.2), layout="constrained", squeeze=False)
    for panel, (axis, found) in zip(panels[0], axes.items(), strict=True):
        sizes = [one[axis] for one in found]
        panel.loglog(sizes, [one["seconds of a fit"] for one in found], "o-", label="fit, s")
        panel.loglog(sizes, [one["seconds of encoding"] for one in found], "s-", label="of it encoding, s")
        panel.loglog(
            sizes, [1_000 * one["seconds of sampling a row"] for one in found], "^-", label="1,000 rows sampled, s"
        )
        panel.loglog(sizes, [one["peak MB"] / 1_024 for one in found], "x--", color="#777777", label="memory, GB")
        panel.set_xlabel(axis)
    panels[0, 0].legend(fontsize=7)
    figure.savefig(path, dpi=130)


def markdown(axes: dict[str, dict[str, Any]]) -> str:
    """Lay sizes and exponents out as a table."""
    keys = ("seconds of encoding", "seconds of a step", "steps", "seconds of a fit", "peak MB")
    head = ["rows x columns, levels", "encoding, s", "a step, s", "steps", "a fit, s", "peak MB"]
    lines = ["| " + " | ".join(head) + " |", "|---|" + "--:|" * len(keys)]
    for axis, found in axes.items():
        for one in found["sizes"]:
            size = f"{one['rows']:,} x {one['columns']}, {one['levels']:,}"
            lines.append("| " + " | ".join([size, *(f"{one[key]:,}" for key in keys)]) + " |")
        slopes = [f"{found['exponents'][key]:.2f}" if key in found["exponents"] else "" for key in keys]
        lines.append("| " + " | ".join([f"exponent of the {axis}", *slopes]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure the axes named on the command line, or all."""
    parser = arguments("Growth of time and memory.", Path(__file__).with_suffix(".json"))
    parser.add_argument("axes", nargs="*", metavar="AXIS", help=f"{', '.join(AXES)}; {STARTS_ALONE}")
    parser.add_argument("--quick", action="store_true", help="the two smallest sizes of each axis")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.markdown:
        print(markdown(json.loads(options.out.read_text(encoding="utf-8"))["axes"]))
        return
    if options.one:
        print(json.dumps(measure(*json.loads(options.one))))
        return
    known = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {"axes": {}}
    for axis in [axis for axis in options.axes or AXES if axis != STARTS_ALONE]:
        found = []
        for size in AXES[axis][: 2 if options.quick else None]:
            command = [sys.executable, __file__, "--one", json.dumps(size)]
            run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found.append(json.loads(run.stdout.splitlines()[-1]))
            print(found[-1], flush=True)
        sizes = [one[axis] for one in found]
        known["axes"][axis] = {
            "sizes": found,
            "exponents": {
                key: exponent(sizes, [one[key] for one in found])
                for key in ("seconds of a fit", "seconds of encoding", "seconds of a step", "peak MB")
            },
        }
    known |= {"seconds to start": starts(), "machine": machine()}
    options.out.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    draw({axis: one["sizes"] for axis, one in known["axes"].items()}, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
