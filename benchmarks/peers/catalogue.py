"""The peers: where each is run, and the tables and budgets that it is measured on."""

from typing import NamedTuple


class Peer(NamedTuple):
    """A generator that is measured here.

    Attributes:
        title: how tables name it.
        environment: the name of its environment; None for ours.
        worker: the script that runs it, in `workers/`.
        arguments: what the script is told besides the folder.
        licence: of the peer.
    """

    title: str
    environment: str | None
    worker: str
    arguments: tuple[str, ...]
    licence: str


OURS = "scorewise"
PEERS = {
    OURS: Peer("scorewise", None, "run_scorewise.py", (), "Apache-2.0"),
    "gaussian_copula": Peer("GaussianCopula (SDV)", "sdv", "run_sdv.py", ("gaussian_copula",), "BUSL-1.1"),
    "ctgan": Peer("CTGAN (SDV)", "sdv", "run_sdv.py", ("ctgan",), "BUSL-1.1"),
    "tvae": Peer("TVAE (SDV)", "sdv", "run_sdv.py", ("tvae",), "BUSL-1.1"),
    "tabular_argn": Peer("TabularARGN", "mostlyai", "run_mostlyai.py", (), "Apache-2.0"),
    "tabular_argn_open": Peer(
        "TabularARGN, no value protection", "mostlyai", "run_mostlyai.py", ("open",), "Apache-2.0"
    ),
    "forest_diffusion": Peer("ForestDiffusion", "forest", "run_forest.py", (), "MIT"),
    "arf": Peer("ARF (arfpy)", "arf", "run_arf.py", (), "MIT"),
}
HEADLINE = "credit_default"
STRONGEST = (OURS, "tabular_argn", "tvae")
"""Those that are measured on every table: ours and the strongest of their kinds."""
ON_SHORT = tuple(name for name in PEERS if name != "forest_diffusion")
"""Those that are measured on short tables; ForestDiffusion would take hours for them, too."""
SEEDS = (0, 1, 2)
"""Of ours on the headline table; everything else is measured once, with the first."""
MINUTES, MOST_ELSEWHERE = 10.0, 5.0
"""CPU minutes that a training may take on the headline table, and at most on the others."""
BUDGETS = (0.5, 1.0, 2.0, 5.0)
"""CPU minutes at which the curve of the headline table is read, besides the end of each fit."""
SOONER = (0.1, 0.2, 0.3)
"""Budgets of ours besides: at the half minute it is ahead of where others end."""
NUMBER_TARGETS = frozenset({"beijing_pm25", "online_news_15cols"})
"""Tables whose target is a number: their utility is an error, of which less is better."""
