"""The synthesizer's own training on real tables: where held-out rows end it, and where new rows would have.

    SCOREWISE_DATA_HOME=... python -m experiments.stopping.real [--quick] [--out FOLDER]

Each table is cut to 5,000 training rows, Credit Default to 1,000 and 27,000 besides, and trained with the defaults, but
to its longest training whatever the rule says. At every check the loss of the averaged network is measured on the
held-out rows, which the rule reads, and on up to 2,000 test rows, which it does not. Written are the step whose
parameters the rule would have kept, the step at which it would have ended the training, the loss on test rows at the
former and at the end of the longest training in percent above the least along the path, and the share of the training's
time that checking took.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from benchmarks.splits import TABLES, split
from experiments.data import on_disk
from experiments.result import rounded, run
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scorewise import datasets
from scorewise.holdout import Holdout
from scorewise.network import TableDenoiser
from scorewise.tabular.codec import Codec, Compact
from scorewise.tabular.schema import Schema
from scorewise.tabular.synthesizer import Synthesizer
from scorewise.tabular.training import Training

ROWS, NEW_ROWS = 5_000, 2_000


class Watched(Training):
    """A training that is not ended by its held-out rows, with new rows measured beside them."""

    new: Holdout
    held: Compact
    others: tuple[Holdout, ...] = ()
    over: tuple[int, int] | None = None  # the step that the rule keeps, and the one at which it ends
    checking = watching = 0.0  # CPU seconds

    def _held(self, rows: Compact) -> Holdout:
        self.held = rows
        return super()._held(rows)

    def measured_too(self, rows: Compact) -> Holdout:
        """Measure these rows as well, at every check."""
        found = super()._held(rows)
        self.others = (*self.others, found)
        return found

    def _check(self) -> bool:
        began = time.process_time()
        ended = super()._check()
        middle = time.process_time()
        for other in self.others:
            other.check(self.state.step, self.state.network, self.state.averaged)
        self.checking, self.watching = self.checking + middle - began, self.watching + time.process_time() - middle
        if ended and self.over is None:
            self.over = (self.ended, self.state.step)
        return False


class Longest(Synthesizer):
    """The synthesizer's training as far as it may go."""

    def prepare(self, train: pa.Table, test: pa.Table) -> Watched:
        """Encode, make the network, hold rows out."""
        schema = Schema.infer(pa.concat_tables([train, test]), self.target)
        _, training, _ = self._prepare(train, schema, torch.device("cpu"))
        assert isinstance(training, Watched)
        training.new = training.measured_too(training.codec.compact(test))
        return training

    def _training(self, network: TableDenoiser, codec: Codec, rows: Compact) -> Watched:
        usual = super()._training(network, codec, rows)
        return Watched(usual.state, codec, rows, usual.steps, usual.columns, self.seed)


def prepared(name: str, rows: int, seed: int) -> tuple[pa.Table, pa.Table]:
    """So many training rows by chance, and new rows."""
    train, test = split(name)
    shuffled = np.random.default_rng(seed).permutation(train.num_rows)[:rows]
    return train.take(np.sort(shuffled)), test.slice(0, NEW_ROWS)


def follow(name: str, rows: int, seed: int) -> dict[str, Any]:
    """Train on one table."""
    train, test = prepared(name, rows, seed)
    training = Longest(seed=seed, target=datasets.DATASETS[name].target).prepare(train, test)
    began = time.process_time()
    for _ in training.run():
        pass
    spent = time.process_time() - began
    held, new = training.holdout, training.new
    assert held is not None
    steps = torch.tensor(held.steps)
    loss = torch.stack(new.measured).mean(1)
    kept, ended = training.over or (held.stop().step, training.state.step)
    excess = loss / loss.min() - 1
    at = int((steps == kept).nonzero())
    return {
        "table": name,
        "rows": train.num_rows,
        "longest training": training.steps,
        "kept": kept,
        "ended": ended,
        "ended by the held-out rows": training.over is not None,
        "best": int(steps[loss.argmin()]),
        "excess at the rule": rounded(excess[at]),
        "excess of the longest training": rounded(excess[-1]),
        "share of checking": float(f"{training.checking / (spent - training.watching):.2g}"),
        "steps": held.steps,
        "held-out rows": rounded(torch.stack(held.measured).mean(1)),
        "new rows": rounded(loss),
    }


def draw(axis: Axes, one: dict[str, Any], curves: dict[str, str]) -> None:
    """Draw losses, named with their colours, in percent above their least, and the step that was kept."""
    for key, colour in curves.items():
        loss = np.array(one[key])
        axis.plot(one["steps"], 100 * (loss / loss.min() - 1), color=colour, label=key)
    axis.axvline(one["kept"], color="#999999", linestyle=":", label="kept")
    axis.set(title=f"{one['table']}, {one['rows']:,} rows", ylim=(-0.2, 6))
    axis.title.set_fontsize(9)


def experiment(quick: bool) -> tuple[dict[str, Any], Figure]:
    """Train on every table, and draw both losses."""
    if not on_disk("credit_default_train", "credit_default_test", *TABLES[1:]):
        raise SystemExit(
            f"The real tables must be on disk, however: they are not. Set {datasets.HOME} to their folder."
        )
    sizes = [(name, ROWS) for name in TABLES]
    sizes = [("magic", 300)] if quick else [("credit_default", 1_000), *sizes, ("credit_default", 27_000)]
    found = []
    for name, rows in sizes:
        found.append(follow(name, rows, 0))
        print({key: value for key, value in found[-1].items() if not isinstance(value, list)}, flush=True)
    figure, axes = plt.subplots(-(-len(found) // 3), 3, figsize=(9.5, 2.4 * -(-len(found) // 3)), layout="constrained")
    for axis, one in zip(axes.flat, found, strict=False):
        draw(axis, one, {"held-out rows": "C0", "new rows": "C1"})
    for axis in axes.flat[len(found) :]:
        axis.axis("off")
    axes.flat[0].legend(fontsize=7)
    axes.flat[0].set_ylabel("loss above its least, %")
    return {"seeds": [0], "results": found}, figure


if __name__ == "__main__":
    run(str(Path(__file__)), __doc__ or "", experiment)
