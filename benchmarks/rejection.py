"""Measure what it is worth to keep only rows that boosted trees do not take for synthetic; write it as JSON.

    SCOREWISE_DATA_HOME=... python benchmarks/rejection.py [--out FILE] [--markdown] [TABLE ...]

Each table is fitted within `BRIEF` minutes, and again to its own end. As many rows as the training part has are
sampled and scored, as the fit would have them and with every row kept (calibrated anew on such rows, which take more
evaluations of the network each). A random forest that is given differences is asked as well: rows are chosen by trees
of the kind that measures detection, so a judge of another kind should find less, too.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from calibration import scores
from command import Tables, run
from shown import SCORES
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from splits import split

from scorewise.datasets import DATASETS
from scorewise.relay import returned
from scorewise.tabular import boosting, metrics, rows
from scorewise.tabular.calibration import calibrate, calibration_rows
from scorewise.tabular.detection import DIFFERENCES_AT_MOST
from scorewise.tabular.schema import Cells
from scorewise.tabular.synthesizer import Synthesizer
from scorewise.tabular.table import to_arrow

BRIEF, SEED, FOREST_ROWS = 1.5, 0, 10_000
CHOSEN, EVERY = "rows chosen", "every row kept"
KEYS = ("shapes", "trends", "detection", "detection_differences", "beta_recall", "closer_to_train", "exact_copies")


def forest(real: Cells, synthetic: Cells) -> float:
    """AUC of a random forest over held-out folds, given the differences of the most correlated pairs of numbers."""
    generator = np.random.default_rng(SEED)
    sides = [boosting.features(rows.subsample(cells, FOREST_ROWS, generator)) for cells in (real, synthetic)]
    pairs = boosting.most_correlated(sides[0][:, : len(real.numbers)], DIFFERENCES_AT_MOST)
    matrix = boosting.with_differences(np.concatenate(sides), pairs)
    label = np.repeat([1, 0], [len(side) for side in sides])
    trees = RandomForestClassifier(200, min_samples_leaf=5, random_state=SEED)
    model = make_pipeline(SimpleImputer(strategy="constant", fill_value=-1e9, keep_empty_features=True), trees)
    folds = StratifiedKFold(3, shuffle=True, random_state=SEED)
    return float(roc_auc_score(label, cross_val_predict(model, matrix, label, cv=folds, method="predict_proba")[:, 1]))


def scored(fitted: Synthesizer, train: pa.Table, test: pa.Table) -> dict[str, Any]:
    """Sample as many rows as were trained on, and score them."""
    began = time.process_time()
    synthetic = to_arrow(fitted.sample(train.num_rows, seed=SEED))
    seconds = time.process_time() - began
    real, held, made = (fitted.schema_.cells(table) for table in (train, test, synthetic))
    return {
        "CPU seconds of sampling": round(seconds, 1),
        **scores(real, made),
        "beta_recall": metrics.beta_recall(real, made).value,
        "closer_to_train": metrics.closer_to_train(real, held, made).value,
        "exact_copies": metrics.exact_copies(real, made).value,
        "forest": forest(real, made),
    }


def measure(name: str) -> Iterator[dict[str, Any]]:
    """Score both ways, of a brief and of a whole fit."""
    train, test = split(name)
    for limit in (BRIEF, None):
        fitted = Synthesizer(seed=SEED, target=DATASETS[name].target, time_limit=limit, device="cpu").fit(train)
        facts = {"minutes": limit}
        if fitted.rejection_ is not None:
            found = {"way": CHOSEN, **facts, "candidates": round(fitted.rejection_.candidates, 2)}
            yield {**found, **scored(fitted, train, test)}
            number = calibration_rows(train.num_rows, int(fitted.trace_["step"][-1]))
            compared, fitted.rejection_ = fitted.codec_.compared(train), None
            fitted.calibration_, _ = returned(calibrate(fitted.network_, fitted.codec_, compared, number, SEED))
        yield {"way": EVERY, **facts, "candidates": 1.0, **scored(fitted, train, test)}


def markdown(tables: Tables) -> str:
    """Lay the scores out as a table."""
    titles = [SCORES[key][0] for key in KEYS]
    head = ["| | candidates a row | sampling, CPU s | ", " | ".join(titles), " | a forest, differences |"]
    lines = ["".join(head), "|---|" + "--:|" * (len(KEYS) + 3)]
    for name, found in tables.items():
        for one in sorted(found, key=lambda one: (one["minutes"] is None, one["way"] == CHOSEN)):
            after = "" if one["minutes"] is None else f" after {one['minutes']:g} minutes"
            cells = [f"{one['candidates']:.2f}", f"{one['CPU seconds of sampling']:.1f}"]
            cells += [f"{scale * one[key]:.{digits}f}" for key in KEYS for _, scale, digits in (SCORES[key],)]
            lines.append(f"| `{name}`{after}, {one['way']} | " + " | ".join([*cells, f"{one['forest']:.3f}"]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure the tables named on the command line."""
    default = ["credit_default", "shoppers"]
    run("What choosing among rows is worth.", default, Path(__file__).with_suffix(".json"), measure, markdown)


if __name__ == "__main__":
    main()
