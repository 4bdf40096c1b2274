"""Measure training and sampling on a GPU beside its floor, and beside the same on this machine's CPU; write JSON.

    SCOREWISE_DATA_HOME=... python benchmarks/gpu.py [--threads 2] [--out benchmarks/gpu.json] [--markdown]

The network is the default one for the training rows of Credit Default, in batches of 1,024 rows, trained as
`Synthesizer.fit` does. On the GPU a step is launched as graphs and, in turns with that, kernel by kernel; on the CPU it
is run with so many threads. A step's time is wall time from one step to the next, all that Python does included, its
median over the turns. Three floors are stated: operations over the measured rate of large bfloat16 products, bytes over
the measured bandwidth of the card's memory, and the number of kernels times what the smallest kernel takes in a graph.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from command import arguments
from machine import machine
from step import Worker
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from scorewise.datasets import load
from scorewise.network import TableDenoiser
from scorewise.quasirandom import NormalSequence
from scorewise.tabular.generation import EVALUATIONS, chunk_rows, generate
from scorewise.tabular.schema import Schema
from scorewise.tabular.synthesizer import Synthesizer
from scorewise.tabular.table import to_arrow
from scorewise.tabular.training import BATCH_ROWS, Training
from scorewise.train import Step, train

TURNS, GPU_STEPS, CPU_STEPS = 7, 200, 10
SAMPLED = {"cuda": 27_000, "cpu": 4_096}


class Measured:
    """A training and a sampling on one device."""

    def __init__(self, device: str) -> None:
        table = to_arrow(load("credit_default_train"))
        synthesizer = Synthesizer(seed=0, target="default", device=device)
        self.device = torch.device(device)
        self.network: TableDenoiser
        self.training: Training
        self.network, self.training, _ = synthesizer._prepare(table, Schema.infer(table, "default"), self.device)
        self.steps = self.training.run()

    def launched_one_by_one(self) -> Iterator[Step]:
        """Go on with the same training, kernel by kernel."""
        training = self.training

        def batch(step: int, generator: torch.Generator) -> Tensor:
            rows = type(training.rows)(*(part[: training.size] for part in training.rows))
            return training.codec.expand(rows, generator)

        return train(training.state, batch, training.size, lambda step: step / 1e6, 0, training.bf16)

    def step(self, steps: Iterator[Step], count: int) -> float:
        """Mean seconds of so many steps."""
        since = time.perf_counter()
        for _ in range(count):
            next(steps)
        self._wait()
        return (time.perf_counter() - since) / count

    def sampling(self) -> float:
        """Seconds of a sampled row."""
        rows = SAMPLED[self.device.type]
        since = time.perf_counter()
        noise = NormalSequence(self.training.codec.layout.width, 0)
        for _ in generate(self.network, self.training.codec, rows, noise.draw):
            pass
        return (time.perf_counter() - since) / rows

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def _seconds(run: Callable[[], object], times: int) -> float:
    for _ in range(3):
        run()
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    found = []
    for _ in range(times):
        begin.record()
        run()
        end.record()
        end.synchronize()
        found.append(begin.elapsed_time(end) / 1e3)
    return statistics.median(found)


def ceilings() -> dict[str, float]:
    """Measure what the card can do: operations and bytes a second, seconds of the smallest kernel in a graph."""
    a, b = (torch.randn(8_192, 8_192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    source = torch.randn(2**28, device="cuda")
    target, small = torch.empty_like(source), torch.zeros(32, device="cuda")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(1_000):
            small.add_(1)
    return {
        "operations a second": 2 * 8_192**3 / _seconds(lambda: a @ b, 20),
        "bytes a second": 2 * 4 * 2**28 / _seconds(lambda: target.copy_(source), 20),
        "seconds of the smallest kernel": _seconds(graph.replay, 20) / 1_000,
    }


def kernels(run: Callable[[], object]) -> tuple[int, float]:
    """Count the kernels, copies and fills of a function on the GPU, and the seconds that they take together."""
    with profile(activities=[ProfilerActivity.CUDA]) as found:
        run()
        torch.cuda.synchronize()
    events = [event for event in found.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    return len(events), sum(event.self_device_time_total for event in events) / 1e6


def measure(threads: int) -> dict[str, Any]:
    """Measure both devices in turns."""
    torch.set_num_threads(threads)
    needed = Worker().floor()
    limits = ceilings()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    gpu, cpu = Measured("cuda"), Measured("cpu")
    single = gpu.launched_one_by_one()
    for warmed, steps in ((gpu, gpu.steps), (gpu, single), (cpu, cpu.steps)):
        warmed.step(steps, 30 if warmed is gpu else 3)
        warmed.sampling()
    found: dict[str, list[float]] = {name: [] for name in ("graphs", "kernels", "cpu", "gpu row", "cpu row")}
    for _ in range(TURNS):
        found["graphs"].append(gpu.step(gpu.steps, GPU_STEPS))
        found["kernels"].append(gpu.step(single, GPU_STEPS // 4))
        found["cpu"].append(cpu.step(cpu.steps, CPU_STEPS))
        found["gpu row"].append(gpu.sampling())
        found["cpu row"].append(cpu.sampling())
    count, busy = kernels(lambda: [next(single) for _ in range(5)])
    middle = {name: statistics.quantiles(values, method="inclusive") for name, values in found.items()}
    evaluations = EVALUATIONS / chunk_rows(gpu.network)
    return {
        "card": torch.cuda.get_device_name(),
        "ceilings": limits,
        "training step": {
            "operations": needed["operations of a training step"],
            "bytes": needed["bytes of a training step"],
            "kernels": count / 5,
            "ms, all kernels together": 1e3 * busy / 5,
            "ms, floor by operations": 1e3 * needed["operations of a training step"] / limits["operations a second"],
            "ms, floor by bytes": 1e3 * needed["bytes of a training step"] / limits["bytes a second"],
            "ms, floor by kernels": 1e3 * count / 5 * limits["seconds of the smallest kernel"],
            "ms, launched as graphs, quartiles": [1e3 * value for value in middle["graphs"]],
            "ms, launched one by one, quartiles": [1e3 * value for value in middle["kernels"]],
            "ms, on the CPU, quartiles": [1e3 * value for value in middle["cpu"]],
            "rows a second": BATCH_ROWS / middle["graphs"][1],
            "rows a second on the CPU": BATCH_ROWS / middle["cpu"][1],
        },
        "sampling": {
            "rows a chunk": chunk_rows(gpu.network),
            "ms an evaluation of a chunk": 1e3 * middle["gpu row"][1] / evaluations,
            "rows a second": 1 / middle["gpu row"][1],
            "rows a second on the CPU": 1 / middle["cpu row"][1],
        },
        "MB of the card at most": torch.cuda.max_memory_allocated() / 2**20,
        "machine": machine(),
    }


def markdown(found: dict[str, Any]) -> str:
    """Lay the result out as the table of docs/performance.md."""
    step, sampling = found["training step"], found["sampling"]
    times = {
        "launched as graphs": step["ms, launched as graphs, quartiles"],
        "launched one by one": step["ms, launched one by one, quartiles"],
        f"on {found['machine']['threads']} cores": step["ms, on the CPU, quartiles"],
    }
    lines = ["| training step | ms | rows a second |", "|---|--:|--:|"]
    for name, (low, middle, high) in times.items():
        lines.append(f"| {name} | {middle:.2f} ({low:.2f} to {high:.2f}) | {1e3 * BATCH_ROWS / middle:,.0f} |")
    for name in ("floor by kernels", "floor by bytes", "floor by operations"):
        lines.append(f"| {name} | {step[f'ms, {name}']:.3f} | |")
    lines += ["", "| sampling | rows a second |", "|---|--:|"]
    lines.append(f"| {found['card']} | {sampling['rows a second']:,.0f} |")
    lines.append(f"| on {found['machine']['threads']} cores | {sampling['rows a second on the CPU']:,.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure; write the JSON file."""
    parser = arguments("Training and sampling on a GPU, beside the CPU.", Path(__file__).with_suffix(".json"))
    parser.add_argument("--threads", type=int, default=2, help="threads on the CPU")
    options = parser.parse_args()
    if options.markdown:
        print(markdown(json.loads(options.out.read_text(encoding="utf-8"))))
        return
    found = measure(options.threads)
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
