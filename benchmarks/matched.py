"""Measure how a detector takes new rows whose columns are matched to those of the table; write it as JSON.

    SCOREWISE_DATA_HOME=... python benchmarks/matched.py [--out FILE] [--markdown] [TABLE ...]

Nothing is fitted. Rows of a table are compared with other rows of it, once as they are, and once with the values of
each column put in the place of those that have the same rank: then every column is as in the table, and no row is
copied.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from command import Tables, run
from splits import split

from scorewise.tabular import rows
from scorewise.tabular.detection import detection
from scorewise.tabular.privacy import closer_to_train
from scorewise.tabular.schema import Cells, Schema

ROWS = (300, 1_000, 3_000)
NAMES = ("credit_default", "shoppers", "magic")
SCORES = {"detection": 3, "closer to train": 3}
WAYS = ("as they are", "matched")


def matched(table: Cells, other: Cells, generator: np.random.Generator) -> Cells:
    """Give other rows the table's columns, each value by its rank among them; ties fall at random.

    Args:
        table: columns with shape (N,).
        other: the same columns of as many rows.
        generator: breaks ties.

    Returns:
        Columns with shape (N,).
    """

    def one(own: np.ndarray, values: np.ndarray) -> np.ndarray:
        placed = np.empty_like(own)
        placed[np.lexsort((generator.random(len(values)), values))] = np.sort(own)
        return placed

    columns = [
        {name: one(own, given[name]) for name, own in held.items()} for held, given in zip(table, other, strict=True)
    ]
    return Cells(*columns)


def measure(name: str) -> Iterator[dict[str, Any]]:
    """Score new rows against rows of the table, in samples of several sizes."""
    whole, _ = split(name)
    cells = Schema.infer(whole).cells(whole)
    for count in (count for count in ROWS if 3 * count <= whole.num_rows):
        generator = np.random.default_rng(count)
        table, other, held = (
            rows.take(cells, some) for some in np.split(generator.permutation(whole.num_rows)[: 3 * count], 3)
        )
        for way, made in zip(WAYS, (other, matched(table, other, generator)), strict=True):
            scores = detection(table, made), closer_to_train(table, held, made)
            found = {key: {"value": score.value, "se": score.se} for key, score in zip(SCORES, scores, strict=True)}
            yield {"rows": count, "way": way, **found}


def markdown(tables: Tables) -> str:
    """Lay the scores out as a table."""
    heads = ["table", "rows", *(f"{key}, {way}" for key in SCORES for way in WAYS)]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "--:|" * (len(heads) - 1)]
    for name, found in tables.items():
        for count in dict.fromkeys(one["rows"] for one in found):
            ways = {one["way"]: one for one in found if one["rows"] == count}
            scores = [(ways[way][key], digits) for key, digits in SCORES.items() for way in WAYS]
            cells = [f"{score['value']:.{digits}f} ± {score['se']:.{digits}f}" for score, digits in scores]
            lines.append("| " + " | ".join([f"`{name}`", f"{count:,}", *cells]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure the tables named on the command line."""
    out = Path(__file__).with_suffix(".json")
    run("How a detector takes columns that are matched.", list(NAMES), out, measure, markdown)


if __name__ == "__main__":
    main()
