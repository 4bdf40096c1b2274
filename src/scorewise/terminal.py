"""What a command shows. Progress goes to the standard error, what came of it to the standard output."""

import math
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

import typer

from scorewise.relay import relayed, returned

if TYPE_CHECKING:
    from scorewise.tabular.report import Report
    from scorewise.tabular.synthesizer import Progress

T = TypeVar("T")

LINE_SECONDS = 10.0  # where there is no terminal, one line of progress every so many seconds
_BARS = "▁▂▃▄▅▆▇█"
_STYLES = {"good": "green", "fair": "yellow", "poor": "red"}


def say(sentence: str) -> None:
    """Print a line on the standard error.

    Args:
        sentence: the line
    """
    typer.echo(sentence, err=True)


def follow(steps: "Generator[Progress, None, T]", title: str, quiet: bool) -> T:
    """Run a generator to its end, showing how far it is, how fast, and how long it still takes.

    On a terminal, a bar on the standard error; elsewhere a line every ten seconds; nothing where `quiet`.

    Args:
        steps: what is to be run
        title: what is being done, one word
        quiet: show nothing

    Returns:
        What the generator returns.
    """
    if quiet:
        return _exhaust(steps, lambda progress: None)
    if not sys.stderr.isatty():
        return _exhaust(steps, _Lines(title))
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    with Bars(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"), console=Console(stderr=True)
    ) as bars:
        task = bars.add_task(title, total=None, state="")

        def show_bar(progress: "Progress") -> None:
            bars.update(task, completed=progress.done, total=progress.total, state=_state(progress))

        return _exhaust(steps, show_bar)


def tell(stopped: str, risks: Sequence[float]) -> None:
    """Say on the standard error why a training ended, with the curve of the loss on rows held out, if any were.

    Args:
        stopped: why, in sentences
        risks: loss on held-out rows at every check, in nats per column
    """
    say(f"Trained. {stopped}")
    if len(risks) > 1:
        say(f"Loss on new rows, in nats per column: {risks[0]:.3f} {_bars(risks)} {risks[-1]:.3f}")


def _bars(values: Sequence[float]) -> str:
    """A curve in one line of text, a bar a value, on a logarithmic scale over the least one."""
    least, span = min(values), max(values) - min(values)
    heights = [math.log1p(99 * (value - least) / (span or 1.0)) / math.log(100) for value in values]
    return "".join(_BARS[round(height * (len(_BARS) - 1))] for height in heights)


def show(report: "Report") -> None:
    """Print a report on the standard output: the verdict in words, then every score with its error and floor.

    Args:
        report: the report
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from scorewise.tabular.figure import figure
    from scorewise.tabular.metrics import METRICS
    from scorewise.tabular.verdict import verdict

    console = Console(width=None if sys.stdout.isatty() else 100, highlight=False)
    for level, sentence in verdict(report):
        console.print(Text.assemble((level, _STYLES[level]), "  ", sentence))
    table = Table(box=None, pad_edge=False)
    table.add_column("score")
    table.add_column("value", justify="right")
    table.add_column("floor", justify="right")
    table.add_column("best")
    for metric in (report.metric(known.key) for known in METRICS):
        if metric.key in report.scores:
            score = report.scores[metric.key]
            value, floor = figure(metric, score.value, score.se), figure(metric, score.floor, score.floor_se)
            table.add_row(metric.title, value, floor, metric.better)
    console.print()
    console.print(table)
    for metric in (report.metric(known.key) for known in METRICS):
        if metric.key in report.skipped:
            console.print(Text(f"{metric.title}: not measured. {report.skipped[metric.key]}"))
    console.print("The floor is the same score between real rows and other real rows; ± is one standard error.")


class _Lines:
    """Progress as plain lines: the first at once, then one every `LINE_SECONDS` at most."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.due = time.monotonic()

    def __call__(self, progress: "Progress") -> None:
        if time.monotonic() >= self.due:
            self.due = time.monotonic() + LINE_SECONDS
            say(f"{self.title}: {_state(progress)}")


def _exhaust(steps: "Generator[Progress, None, T]", show_one: "Callable[[Progress], None]") -> T:
    with closing(steps):  # an interruption between two items reaches the generator too
        return returned(relayed(steps, show_one))


def _state(progress: "Progress") -> str:
    parts = [f"{progress.done:,} of {progress.total:,} {progress.unit}", f"{progress.rate:,.1f} {progress.unit}/s"]
    if progress.rate > 0 and progress.total > progress.done:
        seconds = round((progress.total - progress.done) / progress.rate)
        parts.append(f"{seconds // 60}:{seconds % 60:02} left")
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.4f}")
    if progress.message:
        parts.append(progress.message)
    return ", ".join(parts)
