"""Measure how often margins give values of few rows, and new ones, beside rows held out; write it as JSON.

    SCOREWISE_DATA_HOME=... python benchmarks/recurring.py [--against SRC] [--out FILE] [--markdown] [TABLE ...]

Of each number column of which a hundredth of the rows or more has a value of its own, values are drawn from its margin
as it was fitted to the training rows: which share is new, that of one training row alone, or that of two. The same is
counted of the test rows. With `--against` margins of the package in another folder are measured, too. A table that is
in the JSON file is measured again only if it is named.
"""

from pathlib import Path
from typing import Any

import numpy as np
from command import run_against
from splits import TABLES, split

from scorewise.tabular.codec import Codec

DRAWS, FEWEST = 200_000, 0.01
KINDS = {"new": 0, "of one row": 1, "of two rows": 2}


def shares(values: np.ndarray, known: np.ndarray, counts: np.ndarray) -> list[float]:
    """Which share of values so many rows have, for each of `KINDS`."""
    rows = np.append(counts, 0)[np.where(np.isin(values, known), np.searchsorted(known, values), len(known))]
    return [float(np.mean(rows == count)) for count in KINDS.values()]


def measure(name: str) -> dict[str, Any]:
    """Mean shares of the columns of one table among test rows, and how far margins are from them on average."""
    train, test = split(name)
    codec = Codec.fit(train)
    sides = [codec.schema.cells(table).numbers for table in (train, test)]
    drawn = np.random.default_rng(0).random(DRAWS)
    held, off = [], []
    for column, number in codec.structure.numbers.items():
        if column not in sides[0] or number.gap is not None or number.free is not None:
            continue
        step = number.marginal.step or 1e-12  # so that what is rounded otherwise is equal
        known, new = (np.rint(side[column][~np.isnan(side[column])] / step) for side in sides)
        values, counts = np.unique(known, return_counts=True)
        if np.count_nonzero(counts == 1) < FEWEST * len(known):
            continue
        theirs = shares(new, values, counts)
        ours = shares(np.rint(number.marginal.invert(drawn) / step), values, counts)
        held.append(theirs)
        off.append(np.abs(np.subtract(ours, theirs)))
    found = {"columns": len(held)}
    return found | {
        kind: {"test rows": float(np.mean(one)), "off by": float(np.mean(other))}
        for kind, one, other in zip(KINDS, np.transpose(held), np.transpose(off), strict=True)
    }


def markdown(found: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Lay the shares out as a table, in percent."""
    heads = ["table", "", "columns", *(f"{kind}, test rows; margins off by" for kind in KINDS)]
    lines = ["| " + " | ".join(heads) + " |", "|---|---|" + "--:|" * (len(heads) - 2)]
    for name, ways in found.items():
        for way, one in ways.items():
            cells = [f"{100 * one[kind]['test rows']:.1f}; {100 * one[kind]['off by']:.1f}" for kind in KINDS]
            lines.append("| " + " | ".join([f"`{name}`", way, str(one["columns"]), *cells]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure the tables named on the command line."""
    run_against("How often margins give values of few rows.", Path(__file__), TABLES, measure, markdown)


if __name__ == "__main__":
    main()
