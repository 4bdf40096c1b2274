"""What was aimed at on the headline table, and what was reached there."""

import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.peers.catalogue import HEADLINE
from benchmarks.peers.cells import Found
from benchmarks.peers.lead import Race
from benchmarks.shown import SCORES

SHORT_FITS = tuple(Path(__file__).parents[1] / f"fidelity_bf16_four_seed_{seed}.json" for seed in range(3))
"""Fits that end within five minutes on two cores, written by `benchmarks/fidelity.py` with a limit of four."""
SHORT, LONG = "two cores, in five minutes", "one core, to its own end"


class Aim(NamedTuple):
    """One score or cost, the bounds that it was to keep, and what it came to.

    Attributes:
        title: what it is.
        least: the least that it may be; None for no bound.
        most: the most that it may be; None for no bound.
        reached: the mean over fits.
        digits: decimals that are shown.
        of: which fits.
    """

    title: str
    least: float | None
    most: float | None
    reached: float
    digits: int
    of: str

    @property
    def held(self) -> bool:
        """Whether it keeps its bounds."""
        return (self.least is None or self.reached >= self.least) and (self.most is None or self.reached <= self.most)

    @property
    def bounds(self) -> str:
        """The bounds in words."""
        least, most = (None if bound is None else f"{bound:,.{self.digits}f}" for bound in (self.least, self.most))
        return f"{least} to {most}" if least and most else f"at least {least}" if least else f"at most {most}"


AIMED = (
    ("detection", None, 0.60, SHORT),
    ("detection_differences", None, 0.65, SHORT),
    ("detection", None, 0.55, LONG),
    ("detection_differences", None, 0.58, LONG),
    ("shapes", None, 0.65, LONG),
    ("trends", None, 0.90, LONG),
    ("detection_linear", 0.99, None, LONG),
    ("utility", 0.770, None, LONG),
    ("beta_recall", 0.47, 0.51, LONG),
    ("closer_to_train", 0.49, 0.51, LONG),
)
"""Key of a score, its bounds as it is shown, and which fits it is of."""
MOST_SHARE, MOST_SECONDS, MOST_MB = 1 / 20, 10.0, 1_000.0


def short_fits() -> list[Found]:
    """What was measured of the fits that end within five minutes."""
    return [json.loads(path.read_text(encoding="utf-8"))[HEADLINE] for path in SHORT_FITS]


def aims(short: Sequence[Found], long: Sequence[Found], race: Race) -> list[Aim]:
    """Set what was reached beside what was aimed at.

    Args:
        short: fits on two cores that end within five minutes.
        long: fits on one core that end by themselves.
        race: against the other generator that ends with the best detection AUC.

    Returns:
        The aims.
    """
    fits, found = {SHORT: short, LONG: long}, []
    for key, least, most, of in AIMED:
        title, scale, digits = SCORES[key]
        reached = scale * statistics.mean(fit["scores"][key]["value"] for fit in fits[of])
        found.append(Aim(title, least, most, reached, digits, of))
    share = math.inf if race.own is None else race.own / race.seconds
    found.append(Aim("share of the time of the best other one, to its detection", None, MOST_SHARE, share, 3, LONG))
    seconds = statistics.mean(fit["sample seconds"] for fit in short)
    found.append(Aim("seconds that a sample of 27,000 rows takes", None, MOST_SECONDS, seconds, 1, SHORT))
    for of, some in fits.items():
        peak = max(fit["peak MB of fit and sample"] for fit in some)
        found.append(Aim("MB of fit and sample, at most", None, MOST_MB, peak, 0, of))
    return found
