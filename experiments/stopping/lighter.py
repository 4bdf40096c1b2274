"""A rule without held-out rows for the synthesizer's own training: rows that are met less often, extrapolated to never.

    SCOREWISE_DATA_HOME=... python -m experiments.stopping.lighter [--quick] [--out FOLDER]

The rows that the synthesizer would hold out are met a quarter as often as the others instead of never. Their loss and
that of as many others, noised once, are extrapolated along a line in the number of meetings: a row that is never met
would have the loss `l + (l - h) / 3`. The rule reads this as it reads the loss of held-out rows. Training goes on to
its longest length; written are the loss on test rows at the check that the rule keeps, in percent above the least along
the path, and what the extrapolation says of the optimism (loss on test rows less that on rows met often) at the end,
over the true one.
"""

from pathlib import Path
from typing import Any

import torch
from experiments.data import on_disk
from experiments.result import rounded, run
from experiments.stopping.real import Longest, draw, prepared
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from scorewise import datasets
from scorewise.stopping import held_out
from scorewise.tabular.codec import Compact

OFTEN = 4
SETTINGS = [("credit_default", 1_000), ("credit_default", 5_000), ("adult", 5_000), ("magic", 5_000)]


def follow(name: str, rows: int, seed: int) -> dict[str, Any]:
    """Train on one table."""
    train, test = prepared(name, rows, seed)
    training = Longest(seed=seed, target=datasets.DATASETS[name].target).prepare(train, test)
    light, rare = training.holdout, training.held
    assert light is not None
    others = Compact(*(part[: len(rare.low)] for part in training.rows))
    often = training.measured_too(others)
    training.rows = Compact(
        *(torch.cat([part.repeat_interleave(OFTEN, 0), few]) for part, few in zip(training.rows, rare, strict=True))
    )
    for _ in training.run():
        pass
    losses = {
        key: torch.stack(one.measured) for key, one in (("light", light), ("often", often), ("new", training.new))
    }
    never = losses["light"] + (losses["light"] - losses["often"]) / (OFTEN - 1)
    stop = held_out(torch.tensor(light.steps), never, errors=light.errors)
    new = losses["new"].mean(1)
    at = light.steps.index(stop.step)
    optimism = (never - losses["often"]).mean(1) - (never - losses["often"]).mean(1)[0]
    true = (new - losses["often"].mean(1)) - (new - losses["often"].mean(1))[0]
    return {
        "table": name,
        "rows": train.num_rows,
        "longest training": training.steps,
        "kept": stop.step,
        "best": light.steps[int(new.argmin())],
        "excess at the rule": rounded(new[at] / new.min() - 1),
        "excess of the longest training": rounded(new[-1] / new.min() - 1),
        "estimated over true optimism at the end": rounded(optimism[-1] / true[-1]),
        "steps": light.steps,
        "extrapolated": rounded(never.mean(1)),
        "new rows": rounded(new),
    }


def experiment(quick: bool) -> tuple[dict[str, Any], Figure]:
    """Train on some tables, and draw what is extrapolated beside what is true."""
    if not on_disk("credit_default_train", "credit_default_test", "adult", "magic"):
        raise SystemExit(f"The tables must be on disk, however: they are not. Set {datasets.HOME} to their folder.")
    found = []
    for name, rows in [("magic", 300)] if quick else SETTINGS:
        found.append(follow(name, rows, 0))
        print({key: value for key, value in found[-1].items() if not isinstance(value, list)}, flush=True)
    figure, axes = plt.subplots(1, len(found), figsize=(3 * len(found), 2.6), layout="constrained", squeeze=False)
    for axis, one in zip(axes[0], found, strict=True):
        draw(axis, one, {"extrapolated": "C2", "new rows": "C1"})
        axis.set_xlabel("steps")
    axes[0, 0].legend(fontsize=7)
    axes[0, 0].set_ylabel("loss above its least, %")
    return {"seeds": [0], "meetings of the others for one": OFTEN, "results": found}, figure


if __name__ == "__main__":
    run(str(Path(__file__)), __doc__ or "", experiment)
