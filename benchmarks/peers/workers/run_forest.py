"""Fit ForestDiffusion with its defaults: `python run_forest.py FOLDER`.

It cannot be stopped in between. Where it does not end within the budget, one of its noise levels is fitted to ever
larger subsets of the rows for half of the budget, all else by default, to say how long all levels and rows would take.
"""

import time
from typing import Any

import numpy as np
import pandas as pd
from ForestDiffusion import ForestDiffusionModel
from protocol import BudgetSpentError, Job, deadline

FEWEST_ROWS, NOISE_LEVELS = 100, 50


class Coded:
    """A table as ForestDiffusion wants it: numbers, with levels as codes, and the label apart if it is a category."""

    def __init__(self, job: Job) -> None:
        self.columns = list(job.train.columns)
        self.levels = {name: pd.Index(job.train[name].dropna().unique()) for name in job.categories}
        self.label = job.target if job.target in self.levels else None
        self.features = [name for name in self.columns if name != self.label]
        codes = {
            name: self.levels[name].get_indexer(job.train[name]) if name in self.levels else job.train[name]
            for name in self.columns
        }
        coded = pd.DataFrame(codes).astype(float)
        for name in self.levels:
            coded[name] = coded[name].where(coded[name] >= 0)
        self.x = coded[self.features].to_numpy()
        self.y = None if self.label is None else coded[self.label].to_numpy()
        binary = [name for name in self.features if name in self.levels and len(self.levels[name]) == 2]
        self.settings: dict[str, Any] = {
            "bin_indexes": [self.features.index(name) for name in binary],
            "cat_indexes": [self.features.index(name) for name in self.levels if name not in (*binary, self.label)],
            "int_indexes": [
                self.features.index(name)
                for name in self.features
                if name not in self.levels and pd.api.types.is_integer_dtype(job.train[name])
            ],
            "seed": job.seed,
        }

    def fit(self, rows: slice | np.ndarray, **settings: Any) -> ForestDiffusionModel:
        """Fit to some rows."""
        label = None if self.y is None else self.y[rows]
        return ForestDiffusionModel(self.x[rows], label_y=label, **self.settings, **settings)

    def frame(self, made: np.ndarray) -> pd.DataFrame:
        """A frame of the rows that were made."""
        names = self.features if self.label is None else [*self.features, self.label]
        frame = pd.DataFrame(made, columns=names)
        for name, levels in self.levels.items():
            codes = frame[name].round().clip(0, len(levels) - 1)
            frame[name] = levels.take(codes.fillna(0).astype(int)).where(codes.notna())
        return frame[self.columns]


def scaling(coded: Coded, rows: int, seconds: float, seed: int) -> dict[str, float]:
    """CPU seconds of fits of one noise level to 100, 200, 400, ... rows, as many as end within some CPU seconds."""
    found: dict[str, float] = {}
    order = np.random.default_rng(seed).permutation(rows)
    count = FEWEST_ROWS
    try:
        with deadline(seconds):
            while count <= rows:
                start = time.process_time()
                coded.fit(order[:count], n_t=1)
                found[str(count)] = round(time.process_time() - start, 2)
                count *= 2
    except BudgetSpentError:
        return found
    return found


def main() -> None:
    """Fit, sample and write."""
    job = Job.from_command_line()
    coded = Coded(job)
    packages = ("ForestDiffusion", "xgboost", "numpy", "pandas")

    def sample(state: ForestDiffusionModel, rows: int) -> pd.DataFrame:
        return coded.frame(state.generate(batch_size=rows))

    job.begin()
    try:
        with deadline(60 * job.minutes):
            job.end(coded.fit(slice(None)))
    except BudgetSpentError:
        job.give_up()
        found = scaling(coded, len(job.train), 30 * job.minutes, job.seed)
        detail = {"noise levels by default": NOISE_LEVELS, "CPU seconds of one noise level by rows": found}
        job.deliver(sample, "did not end", packages, detail)
        return
    job.deliver(sample, "own stop", packages)


if __name__ == "__main__":
    main()
