"""Cells: one generator, fitted once to one table; their order, and the file that they are kept in."""

import json
from collections.abc import Iterable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.peers.catalogue import HEADLINE, MOST_ELSEWHERE, ON_SHORT, OURS, SEEDS, SOONER, STRONGEST
from benchmarks.splits import SHORT

Found = dict[str, Any]


class Cell(NamedTuple):
    """What one fit is of.

    Attributes:
        table: name of the table.
        peer: name of the generator, a key of `PEERS`.
        seed: of the fit.
        minutes: CPU minutes that its training may take.
        budgets: CPU minutes at which snapshots are taken on the way.
        whole: whether all scores are measured; detection alone if not.
    """

    table: str
    peer: str
    seed: int
    minutes: float
    budgets: tuple[float, ...]
    whole: bool

    @property
    def key(self) -> str:
        """Its name in the file."""
        return f"{self.table}/{self.peer}/seed {self.seed}/{self.minutes:g} min"


def planned(tables: Iterable[str], peers: Sequence[str], minutes: float, budgets: Sequence[float]) -> list[Cell]:
    """All cells, in the order in which they are measured.

    On the headline table runs of ours and of the others take turns, so that a machine that gets slower or faster does
    so for both. The schedule of ours depends on its time limit: its curve is made of runs of their own, those of others
    of snapshots of one run. Curves are of one seed.

    Args:
        tables: names of the tables.
        peers: names of the generators.
        minutes: CPU minutes that a training may take; `MOST_ELSEWHERE` at most where it is not the headline table.
        budgets: CPU minutes, less than that, at which the curve of the headline table is read.

    Returns:
        The cells.
    """
    cells: list[Cell] = []
    for table in tables:
        headline = table == HEADLINE
        known = tuple(peers) if headline else ON_SHORT if table in SHORT else STRONGEST
        chosen = [peer for peer in peers if peer in known]
        limit = minutes if headline else min(minutes, MOST_ELSEWHERE)
        curve = tuple(budgets) if headline else ()
        seeds = SEEDS if headline else SEEDS[:1]
        ours = [Cell(table, OURS, seed, limit, (), True) for seed in seeds]
        soon = [budget for budget in SOONER if budget < minutes] if headline else []
        ours += [Cell(table, OURS, SEEDS[0], budget, (), False) for budget in (*soon, *curve)]
        others = [Cell(table, peer, SEEDS[0], limit, curve, True) for peer in chosen if peer != OURS]
        cells += _in_turns(ours if OURS in chosen else [], others)
    return cells


def _in_turns(*groups: Sequence[Cell]) -> list[Cell]:
    """Merge groups so that each is spread evenly over the whole."""
    placed = [((i + 0.5) / len(group), cell) for group in groups for i, cell in enumerate(group)]
    return [cell for _, cell in sorted(placed, key=itemgetter(0))]


def read(path: Path) -> dict[str, Found]:
    """The cells that have been measured, by key; none where there is no file."""
    if not path.exists():
        return {}
    found: dict[str, Found] = json.loads(path.read_text(encoding="utf-8"))
    return found


def add(path: Path, key: str, found: Found) -> None:
    """Add a cell to the file, which is replaced whole."""
    results = read(path) | {key: found}
    part = path.with_suffix(".part")
    part.write_text(json.dumps(dict(sorted(results.items())), indent=1) + "\n", encoding="utf-8")
    part.replace(path)
