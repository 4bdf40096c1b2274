"""Measure a training step and a sampling step of the default network beside their floor; write it as JSON.

    SCOREWISE_DATA_HOME=... python benchmarks/step.py [--against SRC] [--turns 12] [--out benchmarks/step.json]

The network is the one that the training rows of Credit Default get, in batches of 1,024 rows; products are in bfloat16
on CPUs where the package has them so, else in float32. The floor is what the matrix products need at the measured rate
of the largest ones, and what the bytes that must move need at the measured bandwidth of memory. A part's time is
exclusive of the parts within it. With `--against` the package in another folder is measured too, in a process of its
own: both processes take turns, so that other load on the machine meets both alike. Times are of one thread's CPU clock;
medians with quartiles over the turns.
"""

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import torch
from command import arguments
from machine import machine
from torch import Tensor

from scorewise import allocation, binned, difference, network, noise, orthogonal, train
from scorewise.datasets import load
from scorewise.tabular import synthesizer
from scorewise.tabular.codec import Codec, Compact
from scorewise.tabular.generation import EVALUATIONS, generate, prefers_bf16
from scorewise.tabular.schema import Schema
from scorewise.tabular.table import to_arrow
from scorewise.tabular.training import LOWEST

ROWS, STEPS_A_TURN = 1_024, 5
FUSED = find_spec("scorewise.tabular.fused") is not None  # versions to compare with may lack it
NEWTON_SCHULZ = 4 * 3  # products for each hidden matrix: four iterations of three


class Parts:
    """CPU seconds of named parts of a program, each without the parts within it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._within: list[float] = []

    def timed(self, label: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function so that its time counts for a part."""

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self._within.append(0.0)
            since = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.thread_time() - since
                self.seconds[label] += spent - self._within.pop()
                if self._within:
                    self._within[-1] += spent

        return wrapped

    @contextmanager
    def measured(self, denoiser: network.TableDenoiser) -> Iterator[None]:
        """Time the parts of training and sampling while the context lasts."""
        owners: list[tuple[Any, str, str]] = [
            (network, "truncated", "masses and moments of bins"),
            (difference.Differences, "forward", "differences"),
            (binned.Binned, "tilted" if FUSED else "__init__", "binned mean"),
            (binned.Binned, "cross_entropy", "losses"),
            (network.TableDenoiser, "forward", "features, categories, whitening"),
            (train, "loss", "losses"),
            (torch.Tensor, "backward", "backward"),
            (torch.nn.utils, "clip_grad_norm_", "clipping"),
            (orthogonal.Muon, "step", "Muon"),
            (getattr(train, "AdamW", torch.optim.AdamW), "step", "AdamW"),  # torch's own in versions to compare with
            (train.State, "move", "average"),
            (noise.Gaussian, "draw", "noise"),
            (Codec, "expand", "expansion of the batch"),
            (allocation.LevelDensity, "draw", "levels"),
            (allocation.LevelDensity, "observe", "levels"),
            (denoiser.inlet, "forward", "inlet"),
            (denoiser.outlet, "forward", "outlet"),
            *((block, "forward", "blocks") for block in denoiser.blocks),
        ]
        if FUSED:
            loops = import_module("scorewise.tabular.loops")
            owners += [
                (import_module("scorewise.tabular.fused").Fused, "forward", "features, categories, whitening"),
                (loops, "features", "what is read, in one loop"),
                (loops, "beliefs", "what is believed, in one loop"),
                (loops, "gradients", "its gradients, in one loop"),
            ]
        with ExitStack() as stack:
            for owner, name, label in owners:
                stack.enter_context(patch.object(owner, name, self.timed(label, getattr(owner, name))))
            yield


class Worker:
    """A training and a sampling that are measured turn by turn."""

    def __init__(self) -> None:
        table = to_arrow(load("credit_default_train"))
        codec = Codec.fit(table, Schema.infer(table, "default"))
        rows = codec.compact(table)
        generator = torch.Generator().manual_seed(0)
        width, depth = synthesizer.WIDTH, synthesizer.DEPTH
        self.codec, self.denoiser = (
            codec,
            network.TableDenoiser(codec.layout, codec.moments(rows), width, depth, generator),
        )
        density = allocation.LevelDensity(LOWEST, float(self.denoiser.rows.level))
        self.bf16 = prefers_bf16(torch.device("cpu"))
        state = train.State(self.denoiser, density, self.denoiser.hidden_matrices(), bf16=self.bf16)

        def batch(step: int, generator: torch.Generator) -> Tensor:
            first = step * ROWS % (table.num_rows - ROWS)
            return codec.expand(Compact(*(part[first : first + ROWS] for part in rows)), generator)

        form = {"denoiser": import_module("scorewise.tabular.fused").Fused(self.denoiser)} if FUSED else {}
        self.steps = train.train(state, batch, ROWS, lambda step: step / 1e6, seed=0, bf16=self.bf16, **form)

    def train(self) -> dict[str, float]:
        """CPU seconds of a training step, in all and by part."""
        return self._measured(lambda: [next(self.steps) for _ in range(STEPS_A_TURN)], STEPS_A_TURN)

    def sample(self) -> dict[str, float]:
        """CPU seconds of an evaluation in sampling, in all and by part."""
        noise = torch.randn(ROWS, self.codec.layout.width, generator=torch.Generator().manual_seed(0))
        return self._measured(lambda: list(generate(self.denoiser, self.codec, ROWS, lambda _: noise)), EVALUATIONS)

    def losses(self) -> dict[str, float]:
        """Losses of the next ten steps."""
        return {str(step.step): step.loss for step in (next(self.steps) for _ in range(10))}

    def floor(self) -> dict[str, float]:
        """Operations and bytes of both kinds of steps, and the machine's rates."""
        matrices = [m.weight for m in self.denoiser.modules() if isinstance(m, torch.nn.Linear)]
        hidden = self.denoiser.hidden_matrices()
        weights = sum(w.numel() for w in matrices)
        forward = 2 * ROWS * weights
        backward = 2 * forward - 2 * ROWS * self.denoiser.inlet.weight.numel()  # the inlet's input needs no gradient
        muon = sum(NEWTON_SCHULZ * 2 * p.shape[0] ** 2 * p.shape[1] for p in hidden)
        parameters = 4 * sum(p.numel() for p in self.denoiser.parameters())
        kept = 4 * ROWS * sum(w.shape[0] + w.shape[1] for w in matrices)  # what goes into each product and comes out
        return {
            "operations of a training step": forward + backward + muon,
            "of these, of Muon": muon,
            "operations of a sampling step": forward,
            # weights there and back; gradient, two moments and the average, each read and written
            "bytes of a training step": 2 * parameters + 8 * parameters + 3 * kept,
            "bytes of a sampling step": parameters + kept,
            "operations a second": _rate_of_products(torch.bfloat16 if self.bf16 else torch.float32),
            "bytes a second": _bandwidth(),
        }

    def _measured(self, run: Callable[[], object], times: int) -> dict[str, float]:
        parts = Parts()
        with parts.measured(self.denoiser):
            parts.timed("all else", run)()
        each = {label: seconds / times for label, seconds in parts.seconds.items()}
        return {"all": sum(each.values()), **each}


def _rate_of_products(dtype: torch.dtype, size: int = 1_024, times: int = 8) -> float:
    a, b, out = (torch.rand(size, size).to(dtype) for _ in range(3))
    return 2 * size**3 / _fastest(lambda: torch.mm(a, b, out=out), times)


def _bandwidth(megabytes: int = 128, times: int = 8) -> float:
    source, target = torch.zeros(megabytes * 2**20), torch.zeros(megabytes * 2**20)
    return 2 * 4 * source.numel() / _fastest(lambda: target.copy_(source), times)


def _fastest(run: Callable[[], object], times: int) -> float:
    seconds = []
    for _ in range(times):
        since = time.thread_time()
        run()
        seconds.append(time.thread_time() - since)
    return min(seconds)


def work() -> None:
    """Answer each line of standard input, a method of `Worker`, by a line of JSON."""
    torch.set_num_threads(1)
    worker = Worker()
    for line in sys.stdin:
        print(json.dumps(getattr(worker, line.strip())()), flush=True)


class Process:
    """A worker in a process of its own, with the package of a folder."""

    def __init__(self, source: str | None) -> None:
        place = {} if source is None else {"PYTHONPATH": source}
        command = [sys.executable, __file__, "--work"]
        self.process = subprocess.Popen(
            command, env={**os.environ, **place}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, what: str) -> dict[str, float]:
        """Have a method of the worker run; give what it returns."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(what, file=self.process.stdin, flush=True)
        return cast(dict[str, float], json.loads(self.process.stdout.readline()))

    def end(self) -> None:
        """Let the worker end."""
        self.process.communicate()


def _spread(values: list[float]) -> list[float]:
    """First quartile, median and third quartile in milliseconds."""
    return [round(1e3 * value, 3) for value in statistics.quantiles(values, method="inclusive")]


def _collected(turns: list[dict[str, float]]) -> dict[str, list[float]]:
    labels = sorted(turns[0], key=lambda label: -statistics.median(turn.get(label, 0.0) for turn in turns))
    return {label: _spread([turn.get(label, 0.0) for turn in turns]) for label in labels}


def markdown(result: dict[str, Any]) -> str:
    """Lay the parts out as the table of docs/performance.md: medians, quartiles of the whole."""
    lines = []
    for title in ("training step", "sampling step"):
        found = {
            "this": result[title].get("this, quartiles in ms"),
            "before": result[title].get("other, quartiles in ms"),
        }
        parts = {name: part for name, part in found.items() if part}
        lines += [f"| {title}, ms of one thread | " + " | ".join(parts) + " |", "|---" * (1 + len(parts)) + "|"]
        for label in parts["this"]:
            cells = [part.get(label, [0.0] * 3) for part in parts.values()]
            shown = [f"{m:.1f}" + (f" ({low:.1f} to {high:.1f})" if label == "all" else "") for low, m, high in cells]
            lines.append(f"| {label} | " + " | ".join(shown) + " |")
        needed = result[title]["floor by operations and by bytes in ms"]
        blank = " |" * (len(parts) - 1)
        lines += [f"| floor by operations; by bytes | {needed[0]:.1f}; {needed[1]:.1f} |" + blank, ""]
    return "\n".join(lines)


def main() -> None:
    """Measure; write the JSON file."""
    parser = arguments("A training step and a sampling step beside their floor.", Path(__file__).with_suffix(".json"))
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--against", metavar="SRC", help="folder that holds another version of the package")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work()
        return
    if options.markdown:
        print(markdown(json.loads(options.out.read_text())))
        return
    workers = {"this": Process(None)}
    if options.against:
        workers["other"] = Process(options.against)
    floor = workers["this"].ask("floor")
    losses = {name: worker.ask("losses") for name, worker in workers.items()}
    turns: dict[str, dict[str, list[dict[str, float]]]] = {name: {"train": [], "sample": []} for name in workers}
    for turn in range(options.turns):
        for name in list(workers)[:: 1 if turn % 2 else -1]:
            for what in ("train", "sample"):
                turns[name][what].append(workers[name].ask(what))
    for worker in workers.values():
        worker.end()
    result: dict[str, Any] = {"rows of a batch": ROWS, "evaluations of a sample": EVALUATIONS, "floor": floor}
    for what, title in (("train", "training step"), ("sample", "sampling step")):
        needed = [floor[f"operations of a {title}"] / floor["operations a second"]]
        needed.append(floor[f"bytes of a {title}"] / floor["bytes a second"])
        result[title] = {
            "floor by operations and by bytes in ms": [round(1e3 * seconds, 3) for seconds in needed],
            **{f"{name}, quartiles in ms": _collected(turns[name][what]) for name in workers},
        }
        if options.against:
            ratio = [b["all"] / a["all"] for a, b in zip(turns["this"][what], turns["other"][what], strict=True)]
            result[title]["other / this, quartiles"] = [round(r, 3) for r in statistics.quantiles(ratio)]
    if options.against:
        apart = [abs(losses["this"][key] / losses["other"][key] - 1) for key in losses["this"]]
        result["largest relative difference of ten losses"] = max(apart)
    result["machine"] = {**machine(), "threads": "1"}
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
