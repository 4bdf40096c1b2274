"""Measure what watching a training costs beside its steps; write it as JSON.

    python benchmarks/watching.py [--turns 7] [--out benchmarks/watching.json]

A residual network of the size that the synthesizer trains, in batches of 1,024 rows. A step, its record and a snapshot
of the tangent kernel are timed in turns, so that other load on the machine meets all alike; the spread is over the
turns. Shares are those of a training of 5,000 steps.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from machine import machine
from torch import Tensor, nn

from scorewise.estimate import Estimate
from scorewise.optimism import adam_step_sizes, extrapolation, row_weights, snapshot_optimism
from scorewise.record import Record, Seen
from scorewise.watch import extrapolated

ROWS, COLUMNS, BATCH = 20_000, 40, 1_024
STEPS, FIRST = 5_000, 100  # of the training; of the first snapshot, the others at twice as many each


class Residual(nn.Module):
    """Four residual blocks of width 256."""

    def __init__(self, width: int = 256) -> None:
        super().__init__()
        self.inlet = nn.Linear(COLUMNS + 1, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
            for _ in range(4)
        )
        self.outlet = nn.Linear(width, COLUMNS)

    def forward(self, x_t: Tensor, sigma_t: Tensor) -> Tensor:
        """Correct the whitened noisy row, shapes (B, D) and (B, 1)."""
        h = self.inlet(torch.cat([x_t / (1 + sigma_t.square()).sqrt(), sigma_t.log()], 1))
        for block in self.blocks:
            h = h + block(h)
        out: Tensor = self.outlet(h)
        return out


class Training:
    """A training that is watched."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(0)
        self.rows = torch.randn(ROWS, COLUMNS, generator=self.generator)
        torch.manual_seed(0)
        self.network = Residual()
        self.optimizer = torch.optim.Adam(self.network.parameters(), 1e-3)
        self.weight = row_weights(ROWS, generator=self.generator).float()
        self.steps = 0

    def whitened(self, call: Callable[..., Tensor], row: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Outputs and labels for some rows with fresh noise."""
        x = self.rows[row]
        sigma_t = (3 * torch.rand(len(row), 1, generator=generator) - 2).exp()
        x_t = x + sigma_t * torch.randn(x.shape, generator=generator)
        variance = 1 + sigma_t.square()
        return call(x_t, sigma_t), (x - x_t / variance) * variance.sqrt() / sigma_t

    def residual(self, call: Callable[..., Tensor], row: Tensor, generator: torch.Generator) -> Tensor:
        """Whitened residuals."""
        output, label = self.whitened(call, row, generator)
        return output - label

    def optimism(self) -> Estimate:
        """Estimate the optimism of the network as it stands."""
        sizes, generator = adam_step_sizes(self.optimizer), torch.Generator().manual_seed(self.steps)
        return snapshot_optimism(self.network, self.residual, ROWS, sizes, generator)

    def train(self) -> Iterator[Seen]:
        """Train for ever, one step an item."""
        while True:
            row = torch.randint(ROWS, (BATCH,), generator=self.generator)
            output, label = self.whitened(self.network, row, self.generator)
            squares = (output - label).square()
            loss = 0.5 * (self.weight[row] * squares.sum(1)).mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.steps += 1
            yield Seen(row, squares.detach().mean(1), label.square().mean(1))


def measure(turns: int) -> dict[str, list[float]]:
    """CPU seconds of a step, of recording and judging a step, and of a snapshot; one of each a turn."""
    found: dict[str, list[float]] = {"step": [], "record": [], "snapshot": []}
    training = Training()
    steps = training.train()
    batches = [next(steps) for _ in range(20)]
    for _ in range(turns):
        begin = time.process_time()
        for _ in range(20):
            batches.append(next(steps))
        found["step"].append((time.process_time() - begin) / 20)
        begin = time.process_time()
        record = Record(extrapolation(training.weight.double()))
        for i in range(STEPS):
            if record.add(batches[i % len(batches)]):
                extrapolated(record)
        found["record"].append((time.process_time() - begin) / STEPS)
        begin = time.process_time()
        training.optimism()
        found["snapshot"].append(time.process_time() - begin)
    return found


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = {name: torch.tensor(times) for name, times in measure(arguments.turns).items()}
    snapshots = 1 + int(torch.tensor(STEPS / FIRST).log2())
    shares = {
        "extrapolated": found["record"] / found["step"],
        "penalised": (found["record"] + found["snapshot"] * snapshots / STEPS) / found["step"],
    }
    result = {
        "steps": STEPS,
        "snapshots": snapshots,
        "turns": arguments.turns,
        "parameters": sum(p.numel() for p in Residual().parameters()),
        "CPU milliseconds": {name: spread(1e3 * times) for name, times in found.items()},
        "share of the training": {name: spread(times) for name, times in shares.items()},
        "machine": machine(),
    }
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def spread(samples: Tensor) -> dict[str, float]:
    """Give median and quartiles."""
    low, median, high = samples.quantile(torch.tensor([0.25, 0.5, 0.75])).tolist()
    return {"median": round(median, 5), "lower quartile": round(low, 5), "upper quartile": round(high, 5)}


if __name__ == "__main__":
    main()
