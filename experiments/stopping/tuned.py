"""Credit Default, guided by the theory against heavily tuned heuristics: the same network, four ways to train it.

    SCOREWISE_DATA_HOME=... python -m experiments.stopping.tuned [--quick] [--out FOLDER]

* guided: the synthesizer's defaults: the derived weight, levels drawn for least variance, training ended by rows held
  out; nothing is tuned.
* tuned: learning rate, optimiser, weighting (of the literature's heuristics), distribution of levels, average of the
  parameters, weight decay and length are searched by Optuna (tree-structured Parzen estimator) in trials of three
  minutes at most; the trial wins whose samples gradient boosting tells least from 3,000 further rows, which the guided
  training is not given. The winner is trained again with each seed.
* TabDDPM: its default weighting and levels (noise prediction, even times of the cosine schedule), learning rate 1e-3,
  AdamW, no average of parameters.
* EDM: its default weighting, levels, learning rate 1e-3 and average of parameters, no weight decay.

The heuristics train on all rows for the longest training of a table of this size; their papers' own lengths, hours on
a GPU, are left out. The rate warms up and falls along half a cosine in all four. 4,000 training rows, 3 seeds, scores
against 3,000 test rows; CPU seconds of all that each needs, the search included. Two fits run at a time, one thread
each.
"""

import time
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
import pyarrow as pa
import torch
from experiments.data import on_disk
from experiments.result import COLOURS, rounded, run, spread
from experiments.weighting.synthesizer import WEIGHTS
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from scorewise import datasets
from scorewise.allocation import Base, LevelDensity, as_it_is, log_normal
from scorewise.network import Layout, Moments, TableDenoiser
from scorewise.tabular import metrics
from scorewise.tabular.codec import Codec, Compact
from scorewise.tabular.lengths import Lengths
from scorewise.tabular.report import evaluate
from scorewise.tabular.schema import Schema
from scorewise.tabular.synthesizer import DEPTH, WIDTH, Synthesizer
from scorewise.tabular.table import to_arrow
from scorewise.tabular.training import LOWEST, Training, training_steps
from scorewise.train import State

TARGET = datasets.DATASETS["credit_default_train"].target
ROWS, FURTHER, TRIALS, MINUTES = 4_000, 3_000, 30, 3.0
HEURISTICS = ("EDM", "heuristic", "constant", "Min-SNR-5")
SHOWN = {
    "shapes": "shapes error",
    "trends": "trends error",
    "detection_linear": "logistic detection",
    "detection": "detection AUC",
    "detection_differences": "detection, differences",
    "utility": "utility AUC",
    "alpha_precision": "alpha-precision",
    "beta_recall": "beta-recall",
    "closer_to_train": "closer to train",
}


class Settings(NamedTuple):
    """A heuristic way to train; levels are `None` for even times of the cosine schedule, else centre and spread."""

    weight: str
    levels: tuple[float, float] | None
    learning_rate: float
    average: float
    weight_decay: float
    orthogonal: bool
    length: float


DEFAULTS = {
    "TabDDPM": Settings("heuristic", None, 1e-3, 0.0, 1e-4, False, 1.0),
    "EDM": Settings("EDM", (-1.2 + float(np.log(2)), 1.2), 1e-3, 0.98, 0.0, False, 1.0),
}
"""EDM's levels are for data of deviation 1/2, ours have 1; its average has a half-life of a twentieth of training."""


def even_times(edges: Tensor) -> Tensor:
    """Masses of levels of even times under the cosine schedule, `sigma = tan(pi t / 2)`."""
    return (2 / torch.pi * edges.exp().atan()).diff()


class Heuristic(Synthesizer):
    """The synthesizer's network, trained in a heuristic way on all rows."""

    def __init__(self, *, settings: Settings, steps: int, seed: int = 0, schema: Any = None) -> None:
        super().__init__(seed=seed, schema=schema, time_limit=MINUTES)
        self.settings = settings
        self.steps = steps

    def _denoiser(self, layout: Layout, moments: Moments) -> TableDenoiser:
        generator = torch.Generator().manual_seed(self.seed)
        return TableDenoiser(layout, moments, WIDTH, DEPTH, generator, WEIGHTS[self.settings.weight])

    def _training(self, network: TableDenoiser, codec: Codec, rows: Compact) -> Training:
        chosen = self.settings
        base: Base = even_times if chosen.levels is None else log_normal(*chosen.levels)
        state = State(
            network,
            LevelDensity(LOWEST, float(network.rows.level), base=base, rule=as_it_is),
            network.hidden_matrices() if chosen.orthogonal else (),
            learning_rate=chosen.learning_rate,
            hidden_rate=2.5 * chosen.learning_rate,  # the ratio of the defaults
            average=chosen.average,
            weight_decay=chosen.weight_decay,
        )
        columns = len(codec.schema.numbers) + len(codec.schema.categories)
        steps = max(1, round(chosen.length * self.steps))
        return Training(state, codec, rows, steps, columns, self.seed, self.time_limit, hold=False)

    def _lengths(self, training: Training, rows: int) -> Lengths:
        return Lengths(training, 0)


class Job(NamedTuple):
    """One fit: settings are None for the guided way; `judged` says whether by the further rows alone."""

    settings: Settings | None
    seed: int
    rows: int
    steps: int
    judged: bool


def tables(rows: int) -> tuple[pa.Table, pa.Table, pa.Table, Schema]:
    """Training, further and test rows, and a schema that knows the levels of all."""
    train, test = (to_arrow(datasets.load(f"credit_default_{part}")) for part in ("train", "test"))
    return train.slice(0, rows), train.slice(rows, FURTHER), test, Schema.infer(pa.concat_tables([train, test]), TARGET)


def perform(job: Job) -> dict[str, Any]:
    """Fit and score; in a process of its own, with one thread."""
    torch.set_num_threads(1)
    train, further, test, schema = tables(job.rows)
    began = time.process_time()
    if job.settings is None:
        fitted = Synthesizer(seed=job.seed, schema=schema)
    else:
        fitted = Heuristic(settings=job.settings, steps=job.steps, seed=job.seed, schema=schema)
    fake = fitted.fit(train).sample(max(train.num_rows, FURTHER), seed=job.seed)
    found: dict[str, Any] = {"CPU seconds": time.process_time() - began, "ended": fitted.stopped_}
    if job.judged:
        cells = (schema.cells(to_arrow(table)) for table in (further, fake.slice(0, FURTHER)))
        found["judged"] = metrics.detection(*cells, seed=job.seed).value
        found["CPU seconds"] = time.process_time() - began
    else:
        report = evaluate(train, fake.slice(0, train.num_rows), test=test, target=TARGET, schema=schema, seed=job.seed)
        found["scores"] = {key: report.scores[key]._asdict() for key in SHOWN}
    return found


def suggest(trial: optuna.Trial) -> Settings:
    """One way to train from the space that is searched."""
    return Settings(
        trial.suggest_categorical("weight", HEURISTICS),
        (trial.suggest_float("centre", -2.0, 0.5), trial.suggest_float("spread", 0.8, 2.0)),
        trial.suggest_float("learning rate", 1e-4, 2e-2, log=True),
        1 - trial.suggest_float("1 - average", 1e-3, 0.5, log=True),
        trial.suggest_float("weight decay", 1e-5, 0.1, log=True),
        trial.suggest_categorical("optimiser", ["Muon and AdamW", "AdamW"]) == "Muon and AdamW",
        trial.suggest_float("length", 0.3, 1.0),
    )


def search(pool: ProcessPoolExecutor, rows: int, steps: int, trials: int) -> tuple[Settings, list[dict[str, Any]]]:
    """Search, two trials at a time; give the best settings and all trials."""
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0, constant_liar=True))
    running: dict[Future[dict[str, Any]], tuple[optuna.Trial, Settings]] = {}
    done: list[dict[str, Any]] = []
    while len(done) < trials:
        while len(running) < 2 and len(done) + len(running) < trials:
            trial = study.ask()
            settings = suggest(trial)
            running[pool.submit(perform, Job(settings, 0, rows, steps, True))] = trial, settings
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            trial, settings = running.pop(future)
            found = future.result()
            study.tell(trial, found["judged"])
            done.append({"settings": settings._asdict(), **found})
            print("trial", len(done), found["judged"], settings, flush=True)
    best = min(done, key=lambda one: one["judged"])
    return Settings(**best["settings"]), done


def experiment(quick: bool) -> tuple[dict[str, Any], Figure]:
    """Search, train all ways with each seed, score."""
    rows, trials, seeds, shorter = (300, 2, (0,), 10) if quick else (ROWS, TRIALS, (0, 1, 2), 1)
    if not on_disk("credit_default_train", "credit_default_test"):
        raise SystemExit(f"Credit Default must be on disk, however: it is not. Set {datasets.HOME} to its folder.")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    steps = training_steps(rows, 24) // shorter
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        ways: dict[str, Settings | None] = {"guided": None, **DEFAULTS}
        fits = {
            (name, seed): pool.submit(perform, Job(settings, seed, rows, steps, False))
            for seed in seeds
            for name, settings in ways.items()
        }
        best, searched = search(pool, rows, steps, trials)
        fits |= {("tuned", seed): pool.submit(perform, Job(best, seed, rows, steps, False)) for seed in seeds}
        results = {key: future.result() for key, future in fits.items()}
    cost = {name: sum(results[name, seed]["CPU seconds"] for seed in seeds) / len(seeds) for name in [*ways, "tuned"]}
    cost["tuned"] += sum(one["CPU seconds"] for one in searched)
    found: dict[str, Any] = {
        "table": "credit_default",
        "rows": rows,
        "longest training": steps,
        "seeds": list(seeds),
        "CPU seconds of one model": {name: round(value, 1) for name, value in cost.items()},
        "search over guided": round(cost["tuned"] / cost["guided"], 1),
        "best settings": best._asdict(),
        "trials": [{**one, "judged": rounded(torch.tensor(one["judged"]))} for one in searched],
        "ended": {f"{name} {seed}": one["ended"] for (name, seed), one in results.items()},
        "scores": {},
    }
    for key in SHOWN:
        cells = {}
        for name in ("guided", "tuned", *DEFAULTS):
            scores = [results[name, seed]["scores"][key] for seed in seeds]
            values = torch.tensor([score["value"] for score in scores], dtype=torch.float64)
            cells[name] = {**spread(values), "each seed": rounded(values)}
        floor = results["guided", seeds[0]]["scores"][key]["floor"]
        found["scores"][key] = {"floor": rounded(torch.tensor(floor)), **cells}
    return found, draw(found, seeds)


def draw(found: dict[str, Any], seeds: Iterable[int]) -> Figure:
    """Each score of each way, one dot a seed, beside the floor."""
    figure, axes = plt.subplots(3, 3, figsize=(9.5, 5.6), layout="constrained")
    names = list(found["CPU seconds of one model"])
    labels = [f"{name}, {found['CPU seconds of one model'][name] / 60:.1f} min" for name in names]
    for axis, (key, title) in zip(axes.flat, SHOWN.items(), strict=True):
        for place, name in enumerate(names):
            values = found["scores"][key][name]["each seed"]
            axis.plot(values, [place] * len(list(seeds)), "o", color=COLOURS[place], markersize=4, alpha=0.8)
        axis.axvline(found["scores"][key]["floor"], color="#999999", linestyle=":", linewidth=1)
        axis.set_yticks(range(len(names)), labels if axis in axes[:, 0] else [""] * len(names), fontsize=8)
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.set_title(title, fontsize=9)
    return figure


if __name__ == "__main__":
    run(str(Path(__file__)), __doc__ or "", experiment)
