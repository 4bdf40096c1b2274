"""The figure of `docs/benchmarks.md`: detection AUC against the CPU seconds of the fit."""

import statistics
from pathlib import Path

from benchmarks.peers.catalogue import HEADLINE, OURS, PEERS
from benchmarks.peers.tables import Results, points
from experiments.result import COLOURS
from matplotlib import pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

GREY = "#999999"


def draw(results: Results, path: Path) -> None:
    """Draw the curve of each generator on the headline table; nothing where nothing was measured."""
    found = points(results)
    if not found:
        return
    figure, axis = plt.subplots(figsize=(7, 4.2))
    for peer, colour, marker in zip(PEERS, (*COLOURS, GREY), "osD^vxP*", strict=True):
        at = [column for _, column in sorted(found.get(peer, {}).items())]
        if not at:
            continue
        if peer == OURS:
            axis.scatter(*zip(*(point for column in at for point in column), strict=True), s=8, color=colour, alpha=0.5)
        means = [tuple(statistics.mean(values) for values in zip(*column, strict=True)) for column in at]
        axis.plot(*zip(*means, strict=True), color=colour, marker=marker, markersize=5, label=PEERS[peer].title)
    floors = [
        one["scores"]["detection"]["floor"] for one in results.values() if one["table"] == HEADLINE and one["scores"]
    ]
    if floors:
        axis.axhline(
            floors[0], color="k", linewidth=0.7, linestyle=":", label="floor: half against half of the real rows"
        )
    axis.set(
        xscale="log", xlabel="CPU seconds of the fit, one core", ylabel="detection AUC (0.5: cannot be told apart)"
    )
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=130, bbox_inches="tight")
    plt.close(figure)
