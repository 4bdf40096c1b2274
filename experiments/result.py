"""What every experiment shares: its options, its JSON file with the machine described, its figure."""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from benchmarks.machine import machine
from torch import Tensor

mpl.use("Agg")
import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Okabe and Ito's colours, which are told apart with any kind of colour vision; C0, C1, ... in the figures."""
mpl.rcParams["axes.prop_cycle"] = cycler(color=COLOURS)
Experiment = Callable[[bool], tuple[dict[str, Any], Figure]]
"""Of whether it is to be quick, to what was measured and a figure of it."""


def run(script: str, text: str, experiment: Experiment) -> None:
    """Run an experiment from the command line and write `<name>.json` and `<name>.png`."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small version, written to a temporary folder")
    parser.add_argument("--out", type=Path, help="folder for JSON and figure")
    arguments = parser.parse_args()
    folder = arguments.out
    if folder is None:
        folder = Path(tempfile.mkdtemp()) if arguments.quick else Path(script).parent / "results"
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    begin, cpu = time.perf_counter(), time.process_time()
    found, figure = experiment(arguments.quick)
    found["quick"] = arguments.quick
    found["seconds"] = round(time.perf_counter() - begin, 1)
    found["CPU seconds"] = round(time.process_time() - cpu, 1)
    found["machine"] = machine()
    name = Path(script).stem
    (folder / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    figure.savefig(folder / f"{name}.png", dpi=130, bbox_inches="tight")
    plt.close(figure)
    print(f"{folder / name}.json")


def spread(samples: Tensor) -> dict[str, Any]:
    """Mean, standard error and standard deviation over seeds along the first axis, rounded for the JSON file."""
    count = len(samples)
    deviation = samples.std(0) if count > 1 else torch.full_like(samples[0], float("nan"))
    return {
        "mean": rounded(samples.mean(0)),
        "se": rounded(deviation / count**0.5),
        "sd": rounded(deviation),
        "seeds": count,
    }


def rounded(x: Tensor) -> Any:
    """Numbers with five significant digits, lists of them for tensors."""
    if x.ndim:
        return [rounded(one) for one in x]
    return float(f"{float(x):.5g}")
