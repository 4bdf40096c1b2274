"""What every worker shares: the job that it is given, clocks, snapshots of a model, and the files that it leaves.

A worker is run by the Python of its peer's own environment as `python run_PEER.py FOLDER`. The folder holds
`train.parquet` and `job.json`; the worker leaves `sample-0.parquet`, ... (one a snapshot, the last that of the finished
model) and `facts.json`, which is written last. Only pandas and the standard library are at hand.
"""

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd


class Seconds(NamedTuple):
    """Seconds by the wall clock and of the CPU, children that ended included."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> "Seconds":
        """Read both clocks."""
        times = os.times()
        return cls(time.perf_counter(), times.user + times.system + times.children_user + times.children_system)

    def since(self, start: "Seconds") -> "Seconds":
        """What has passed since an earlier reading."""
        return Seconds(self.wall - start.wall, self.cpu - start.cpu)


class BudgetSpentError(Exception):
    """The CPU seconds of a deadline have passed."""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """End what cannot be asked to end: raise after so many CPU seconds of this process.

    Args:
        seconds: CPU seconds, of the user and of the system.

    Raises:
        BudgetSpentError: they have passed. A long call into compiled code ends first.
    """

    def spent(*_: Any) -> None:
        raise BudgetSpentError(f"A fit must end within {seconds:g} CPU seconds.")

    before = signal.signal(signal.SIGPROF, spent)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


class Snapshot(NamedTuple):
    """A model as it was during the fit: the budget that it stands for, what the fit had cost, and its state."""

    minutes: float
    fit: Seconds
    state: Any


class Job:
    """What to fit: rows, kinds of columns, seed, and how long.

    Attributes:
        train: the training rows.
        categories: names of the columns that are categories.
        numbers: names of those that are numbers.
        target: the column to predict.
        seed: of the fit and of the samples.
        minutes: CPU minutes that the training may take; what comes before and after it is not limited, but measured.
        budgets: CPU minutes, all less than `minutes`, at which snapshots are taken.
    """

    def __init__(self, folder: Path) -> None:
        said = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        self.folder = folder
        self.train = pd.read_parquet(folder / "train.parquet")
        self.categories: list[str] = said["categories"]
        self.numbers: list[str] = said["numbers"]
        self.target: str = said["target"]
        self.seed: int = said["seed"]
        self.minutes: float = said["minutes"]
        self.budgets: list[float] = said["budgets"]
        self.snapshots: list[Snapshot] = []
        self.start = self.training = Seconds.now()
        self.gave_up: Seconds | None = None

    @classmethod
    def from_command_line(cls) -> "Job":
        """Read the job of the folder that is named on the command line."""
        return cls(Path(sys.argv[1]))

    def begin(self) -> None:
        """Start the clocks of the fit, and of its training, as long as `begin_training` is not called."""
        self.start = self.training = Seconds.now()

    def begin_training(self) -> None:
        """Start the clock that the budget is read from, after whatever the fit prepares."""
        self.training = Seconds.now()

    def spent(self) -> Seconds:
        """What the fit has cost so far."""
        return Seconds.now().since(self.start)

    def trained(self) -> Seconds:
        """What the training has cost so far."""
        return Seconds.now().since(self.training)

    def over(self) -> bool:
        """Whether the budget is spent."""
        return self.trained().cpu >= 60 * self.minutes

    def observe(self, state: Callable[[], Any]) -> None:
        """Keep the state of the model if a budget has just been reached."""
        trained = self.trained().cpu
        reached = [budget for budget in self.budgets if trained >= 60 * budget]
        if reached and reached[-1] > max((kept.minutes for kept in self.snapshots), default=0.0):
            self.snapshots.append(Snapshot(reached[-1], self.spent(), state()))

    def end(self, state: Any) -> None:
        """Keep the state of the finished model."""
        self.snapshots.append(Snapshot(self.minutes, self.spent(), state))

    def give_up(self) -> None:
        """Note what the fit had cost when it was ended without a model."""
        self.gave_up = self.spent()

    def deliver(
        self,
        sample: Callable[[Any, int], pd.DataFrame],
        ended: str,
        packages: Iterable[str],
        detail: dict[str, Any] | None = None,
    ) -> None:
        """Sample as many rows as there are training rows from every snapshot, and write all that was made.

        Args:
            sample: of a state and a number of rows.
            ended: what ended the fit: "own stop", "budget" or "did not end".
            packages: those whose versions are to be noted.
            detail: other facts, such as epochs.
        """
        made = []
        for k, (minutes, fit, state) in enumerate(self.snapshots):
            start = Seconds.now()
            frame = sample(state, len(self.train))
            cost = Seconds.now().since(start)
            _plain(frame[list(self.train.columns)]).to_parquet(self.folder / f"sample-{k}.parquet", index=False)
            made.append(
                {
                    "file": f"sample-{k}.parquet",
                    "budget in CPU minutes": minutes,
                    "fit seconds": round(fit.wall, 2),
                    "fit CPU seconds": round(fit.cpu, 2),
                    "sample seconds": round(cost.wall, 2),
                    "sample CPU seconds": round(cost.cpu, 2),
                }
            )
        peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        facts = {
            "samples": made,
            "ended": ended,
            "CPU seconds when it was given up": self.gave_up and round(self.gave_up.cpu, 2),
            "peak MB of fit and sample": round(peak / 1024),
            "versions": {name: version(name) for name in packages},
            "detail": detail or {},
        }
        part = self.folder / "facts.part"
        part.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        part.replace(self.folder / "facts.json")


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame whose columns of objects are text, as Parquet needs it."""

    def text(cell: Any) -> str | None:
        return None if pd.isna(cell) else str(cell)

    qualitative = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    return frame.assign(**{name: frame[name].astype(object).map(text) for name in qualitative})
