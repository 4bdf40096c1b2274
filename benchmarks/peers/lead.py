"""Who is ahead: score by score, and in the time to a given detection AUC."""

import math
import statistics
from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.peers.catalogue import NUMBER_TARGETS, OURS
from benchmarks.peers.cells import Found
from benchmarks.shown import SCORES

from scorewise.tabular.score import METRICS, UTILITY_OF_NUMBERS

KNOWN = {metric.key: metric for metric in METRICS}
ERRORS = 2.0


class Standing(NamedTuple):
    """One score of ours beside that of the best other generator.

    Attributes:
        key: of the score.
        ours: our value, the mean over fits.
        theirs: the best other value.
        peer: whose it is.
        se: standard error of the difference.
        lead: by how much ours is nearer to what is best; negative where it is farther.
        room: how far the best other one is from what is best: no lead can be greater.
    """

    key: str
    ours: float
    theirs: float
    peer: str
    se: float
    lead: float
    room: float

    @property
    def contested(self) -> bool:
        """Whether the best other one leaves room for a lead: more than `ERRORS` standard errors, whatever ours is."""
        return self.room > ERRORS * self.se

    @property
    def place(self) -> str:
        """`ahead`; `level`: not ahead, and within `ERRORS` standard errors; `behind`."""
        return "ahead" if self.lead > 0 else "level" if -self.lead <= ERRORS * self.se else "behind"


def standings(cells: Mapping[str, list[Found]], name: str) -> list[Standing]:
    """Each score that ours and another generator have on one table.

    Args:
        cells: the whole cells of the table, by generator.
        name: of the table.

    Returns:
        The standings; none where ours has not been measured.
    """
    ours = cells.get(OURS, [])
    found = []
    for key in SCORES:
        mine = [one["scores"][key] for one in ours if key in one["scores"]]
        theirs = {
            peer: group[0]["scores"][key] for peer, group in cells.items() if peer != OURS and key in group[0]["scores"]
        }
        if not mine or not theirs:
            continue
        metric = UTILITY_OF_NUMBERS if key == UTILITY_OF_NUMBERS.key and name in NUMBER_TARGETS else KNOWN[key]
        floor = mine[0]["floor"]
        value = statistics.mean(score["value"] for score in mine)
        far = {peer: metric.distance(score["value"], floor) for peer, score in theirs.items()}
        peer = min(far, key=lambda other: far[other])
        se = math.hypot(mine[0]["se"], theirs[peer]["se"])
        lead = far[peer] - metric.distance(value, floor)
        found.append(Standing(key, value, theirs[peer]["value"], peer, se, lead, far[peer]))
    return found


class Race(NamedTuple):
    """How long ours takes to the detection AUC at which another generator ended.

    Attributes:
        peer: the other generator.
        auc: its detection AUC at the end.
        seconds: CPU seconds of its fit.
        reached: our detection AUC after the shortest of our fits that is at most as high; None where none is.
        own: CPU seconds of that fit.
    """

    peer: str
    auc: float
    seconds: float
    reached: float | None
    own: float | None


def races(points: Mapping[str, Mapping[float, list[tuple[float, float]]]]) -> list[Race]:
    """Ours against each other generator, the best detection AUC first.

    Args:
        points: CPU seconds and detection AUC of fits, by generator and budget.

    Returns:
        The races.
    """

    def means(at: list[tuple[float, float]]) -> tuple[float, float]:
        cost, auc = (statistics.mean(column) for column in zip(*at, strict=True))
        return cost, auc

    mine = sorted(means(at) for at in points.get(OURS, {}).values())
    found = []
    for peer, by_budget in points.items():
        if peer == OURS or not by_budget:
            continue
        seconds, auc = means(by_budget[max(by_budget)])
        own, reached = next(((cost, got) for cost, got in mine if got <= auc), (None, None))
        found.append(Race(peer, auc, seconds, reached, own))
    return sorted(found, key=lambda race: race.auc)
