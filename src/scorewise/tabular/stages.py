"""The two stages of a fit: a denoiser of all noise levels, then a copy of it that goes on with the small ones."""

from collections.abc import Iterator
from typing import Any, cast

from torch import Tensor

from scorewise.experts import Experts
from scorewise.network import TableDenoiser
from scorewise.tabular import store
from scorewise.tabular.lengths import Lengths
from scorewise.tabular.training import CHECKED, Training
from scorewise.train import Step

BORDER = 0.1
"""Standard deviation of the noise, in normal scores, below which the second denoiser is used."""
LENGTH, RATE = 0.4, 0.5
"""Longest training of the second denoiser, and its learning rates, as shares of those of the first."""


class Stages:
    """A training to its end, and what follows it: a copy of the network is trained at the levels below `BORDER`.

    The second stage is left out where no rows are held out to judge it, and where a time limit ended the first one:
    what time there is helps more at all levels. It is dropped where the rows held out do not gain.

    Args:
        lengths: the training at all levels, or several of different lengths.

    Attributes:
        lengths: the same.
        fine: the training at the small levels; None before it begins.
    """

    def __init__(self, lengths: Lengths) -> None:
        self.lengths = lengths
        self.fine: Training | None = None

    @property
    def coarse(self) -> Training:
        """The training at all levels, of several the chosen one."""
        return self.lengths.chosen

    @property
    def step(self) -> int:
        """Steps taken so far, of both stages."""
        return self.lengths.step + (0 if self.fine is None else self.fine.state.step)

    @property
    def expected(self) -> int:
        """Steps of both stages, as far as is known now."""
        if self.fine is not None:
            return self.lengths.step + _expected(self.fine)
        running = self.lengths.current
        followed = running.holdout is not None and running.minutes is None
        return self.lengths.over[0] + _expected(running) + followed * self._longest()

    def _longest(self) -> int:
        return max(1, round(LENGTH * self.coarse.steps))

    def run(self) -> Iterator[Step]:
        """Train, one step an item.

        Yields:
            What happened in each step; its losses are running means, in nats per column.

        Raises:
            DivergedError: if the loss is not finite.
        """
        if self.fine is None:
            yield from self.lengths.run()
            if not self._followed():
                return
            self.fine = self._second()
        for step in self.fine.run():
            yield step._replace(step=self.step)

    def _followed(self) -> bool:
        held = self.coarse.holdout is not None and len(self.coarse.holdout.steps) > 0
        return held and self.lengths.minutes_left != 0

    def _second(self) -> Training:
        return self.coarse.refined(BORDER, self._longest(), RATE, self.lengths.minutes_left)

    @property
    def network(self) -> TableDenoiser | Experts:
        """The denoiser, once `run` is over."""
        coarse = cast(TableDenoiser, self.coarse.state.network)
        if self.fine is None or not _gained(self.fine):
            return coarse
        return Experts(coarse, cast(TableDenoiser, self.fine.state.network), BORDER)

    @property
    def trace(self) -> dict[str, list[float]]:
        """Curves of the first stage, and of the second its checks, under names that begin with "fine"."""
        checks = {} if self.fine is None else {f"fine {name}": self.fine.trace[name] for name in CHECKED}
        return self.coarse.trace | checks

    def reason(self) -> str:
        """Say in sentences why the training ended where it did."""
        said = self.lengths.reason()
        if self.fine is None:
            return said
        if not _gained(self.fine):
            return f"{said} A copy trained on small noise alone was no better there."
        return f"{said} Noise below {BORDER:g} is left to a copy, trained on it for {self.fine.ended:,} steps more."

    def tensors(self) -> dict[str, Tensor]:
        """All that changes, by name, to be written to a file."""
        named = store.prefixed("coarse.", self.lengths.tensors())
        return named if self.fine is None else named | store.prefixed("fine.", self.fine.tensors())

    def facts(self) -> dict[str, Any]:
        """What is not a tensor, of each stage."""
        fine = None if self.fine is None else [self.fine.trace, self.fine.seconds]
        return {"coarse": self.lengths.facts(), "fine": fine}

    def restore(self, named: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Go on where another fit of the same table was.

        Args:
            named: what its `tensors` returned.
            facts: what its `facts` returned.

        Raises:
            ValueError: if a tensor is missing or has another shape.
        """
        self.lengths.restore(store.part(named, "coarse."), facts["coarse"])
        if facts["fine"] is not None:
            self.fine = self._second()
            self.fine.restore(store.part(named, "fine."), *facts["fine"])


def _gained(fine: Training) -> bool:
    risk, checks = fine.trace["new rows"], fine.trace["check"]
    return risk[checks.index(fine.ended)] < risk[0]


def _expected(stage: Training) -> int:
    step = stage.state.step
    return max(step, min(stage.steps, int(step / max(stage.share(step), 1e-9))))
