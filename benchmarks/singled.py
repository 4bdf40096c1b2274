"""Measure how many sampled numbers are those of a single row of a short table; write it as JSON.

    SCOREWISE_DATA_HOME=... python benchmarks/singled.py [--out FILE] [--markdown] [TABLE ...]

Each table is fitted with defaults, one seed, with the discount of values that few rows have and without it: then a grid
has no values but the table's.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from command import Tables, run
from shown import SCORES
from splits import SHORT, source, split

from scorewise.datasets import DATASETS
from scorewise.tabular import discounting
from scorewise.tabular.report import evaluate
from scorewise.tabular.synthesizer import Synthesizer

KEYS = ("shapes", "detection", "closer_to_train")
WAYS = {"no value that is not in the table": 0.0, "values discounted": discounting.MOST_DISCOUNT}


def measure(name: str) -> Iterator[dict[str, Any]]:
    """Fit, sample as many rows as the table has, and score, each way."""
    train, test = split(name)
    target = DATASETS[source(name)].target
    for way, most in WAYS.items():
        discounting.MOST_DISCOUNT = most
        synthetic = Synthesizer(seed=0, target=target).fit(train).sample(train.num_rows, seed=1)
        scores = evaluate(train, synthetic, test=test, target=target).scores
        singled = scores["singled_out"]
        found = {"singled_out": singled.value, "of other rows": singled.floor, "se": singled.se}
        yield {"way": way, **found, **{key: scores[key].value for key in KEYS}}


def markdown(tables: Tables) -> str:
    """Lay the scores out as a table."""
    heads = ["table", "", "singled out %", "other real rows %", *(SCORES[key][0] for key in KEYS)]
    lines = ["| " + " | ".join(heads) + " |", "|---|---|" + "--:|" * (len(heads) - 2)]
    for name, found in tables.items():
        for one in found:
            cells = [f"`{name}`", one["way"], f"{100 * one['singled_out']:.1f}", f"{100 * one['of other rows']:.1f}"]
            cells += [f"{scale * one[key]:.{digits}f}" for key in KEYS for _, scale, digits in (SCORES[key],)]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure the tables named on the command line."""
    out = Path(__file__).with_suffix(".json")
    run("How many sampled numbers are those of a single row.", list(SHORT), out, measure, markdown)


if __name__ == "__main__":
    main()
