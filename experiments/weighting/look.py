"""How figures look: small type, and colours that colour-blind readers tell apart (Okabe, Ito, 2008)."""

from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999", "#8C6D1F", "#5D3A9B")
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), "-", "--", "-.")
TYPE = {
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "legend.fontsize": 7,
}


def panels(rows: int, columns: int, width: float = 2.1, height: float = 1.9, **options: Any) -> tuple[Figure, Any]:
    """Make a grid of axes, always two-dimensional, `width` by `height` inches each."""
    mpl.rcParams.update(TYPE)
    return plt.subplots(rows, columns, figsize=(width * columns, height * rows), squeeze=False, **options)


def line(axis: Axes, x: Any, y: Any, index: int, label: str | None = None, band: Any = None, **options: Any) -> None:
    """Draw one of several lines, told apart by colour and dash, with a band of so much on either side."""
    axis.plot(x, y, color=COLOURS[index], linestyle=DASHES[index], label=label, **options)
    if band is not None:
        axis.fill_between(x, y - band, y + band, color=COLOURS[index], alpha=0.15, linewidth=0)


def plain_ticks(axis: Axes, which: str) -> None:
    """Write the numbers of a logarithmic axis out, few enough to be read; call it when all is drawn."""
    scale = axis.xaxis if which == "x" else axis.yaxis
    low, high = scale.get_view_interval()
    scale.set_major_locator(
        LogLocator(subs=(1, 2, 5) if high < 50 * low else (1,)) if high > 3 * low else MaxNLocator(3)
    )
    scale.set_major_formatter("{x:g}")
    scale.set_minor_locator(NullLocator())
    scale.set_minor_formatter(NullFormatter())


def legend_below(figure: Figure, axis: Axes, columns: int) -> None:
    """Put one legend for all panels under the figure."""
    handles, labels = axis.get_legend_handles_labels()
    figure.tight_layout()
    figure.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncol=columns)
