"""Measure what diagnosing a training run costs, beside a training step; write it as JSON.

    python benchmarks/diagnose.py [--out benchmarks/diagnose.json] [--quick]

The network is the synthesizer's by default (width 256, 3 blocks), trained on normal numbers and uniform categories of
the shape of Credit Default; what they hold does not change what a step costs. Each task runs in a process of its own,
on one thread: the time is the CPU seconds of a call, the least of several, after a first one; the memory is by how much
the calls raised the peak of the process above that of a first training step.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from machine import machine
from torch import Tensor

from scorewise.allocation import LevelDensity
from scorewise.diagnosis import diagnose
from scorewise.difference import REACH
from scorewise.gradient import batch_scatter, row_scatter
from scorewise.network import Group, Layout, Moments, TableDenoiser
from scorewise.noise import Gaussian
from scorewise.rowwise import Rowwise, take
from scorewise.train import State, loss, train

ROWS = 1_024
EVERY = 100
LOW, HIGH = 0.002, 80.0
LAYOUT = Layout(14, (Group(10, 12),))


def rows(size: int, generator: torch.Generator) -> Tensor:
    """Draw normal numbers and uniform categories."""
    numbers, (group,) = torch.randn(size, LAYOUT.numbers, generator=generator), LAYOUT.groups
    codes = torch.randint(group.slots, (size, group.members), generator=generator)
    return torch.cat([numbers, torch.nn.functional.one_hot(codes, group.slots).flatten(1).float()], 1)


def tasks() -> dict[str, Callable[[], Any]]:
    """Give what is measured, by name; each call does it once."""
    generator = torch.Generator().manual_seed(0)
    n, (group,) = LAYOUT.numbers, LAYOUT.groups
    edges = torch.special.ndtri(torch.linspace(0, 1, 65)).clamp(-40, 40).repeat(n, 1)
    values = torch.linspace(-REACH, REACH, 8_193).double().repeat(n, 1)
    moments = Moments(torch.zeros(n), torch.eye(n), torch.full((LAYOUT.slots,), 1 / group.slots).log(), edges, values)
    network = TableDenoiser(LAYOUT, moments, 256, 3, generator)
    state = State(network, LevelDensity(LOW, HIGH), network.hidden_matrices())
    x = rows(ROWS, generator)
    steps = train(state, lambda step, source: x, ROWS, lambda done: 0.0, seed=0)
    sigma_t, _ = LevelDensity(LOW, HIGH).draw(ROWS, generator)
    draw = Gaussian().draw(x, sigma_t, generator, torch.arange(ROWS))
    level = draw.t.argsort().argsort() * 8 // ROWS
    losses = Rowwise(network, lambda call, one: loss(call(one.x_t, one.t), one.x).objective, draw)
    small = take(draw, slice(0, 256))
    return {
        "training step": lambda: next(steps),
        **{
            f"diagnose, {probes} probes, {size} rows": partial(
                diagnose, losses, take(draw, slice(0, size)), level[:size], probes, generator
            )
            for probes, size in ((2, ROWS), (8, ROWS), (2, 256))
        },
        "gradients of 256 rows, 32 at a time": partial(row_scatter, losses, small, 32),
        "gradients of 256 rows, 256 at a time": partial(row_scatter, losses, small, 256),
        "gradients of 16 batches of 64 rows": partial(batch_scatter, losses, draw, 64),
    }


def measure(name: str, repeats: int) -> dict[str, float]:
    """Run one task in this process."""
    torch.set_num_threads(1)
    found = tasks()
    found["training step"]()
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found[name]()
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        found[name]()
        seconds.append(time.process_time() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"CPU seconds": round(min(seconds), 4), "MB": round((peak - base) / 1024, 1)}


def main() -> None:
    """Measure every task, each in a process of its own."""
    parser = argparse.ArgumentParser(description="Cost of diagnosing a training run.")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--quick", action="store_true", help="two repeats instead of twenty")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    repeats = 2 if options.quick else 20
    if options.one:
        print(json.dumps(measure(options.one, repeats)))
        return
    results = {}
    for name in tasks():
        command = [sys.executable, __file__, "--one", name, *(["--quick"] if options.quick else [])]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        results[name] = json.loads(run.stdout.splitlines()[-1])
        print(name, results[name])
    step = results["training step"]["CPU seconds"]
    for found in results.values():
        found["training steps"] = round(found["CPU seconds"] / step, 2)
        found[f"overhead in % if every {EVERY} steps"] = round(100 * found["CPU seconds"] / step / EVERY, 2)
    results["training step"].pop(f"overhead in % if every {EVERY} steps")
    report = {"rows of a training step": ROWS, "tasks": results, "machine": machine()}
    options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
