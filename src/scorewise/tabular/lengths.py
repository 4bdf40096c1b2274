"""How long short tables are trained: a short while, twice that, and so on, as long as rows held out gain by it."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from scorewise.tabular import store
from scorewise.tabular.training import FEW_ROWS, Training
from scorewise.train import Step

HALVINGS = 3
"""Tables of fewer than `FEW_ROWS` rows are trained for less than the longest training first, halved so many times."""


def halvings(rows: int) -> int:
    """How many shorter trainings are tried before the longest one, from the size of the table alone.

    Args:
        rows: rows of the table.

    Returns:
        `HALVINGS` for tables of fewer than `FEW_ROWS` rows, else 0.
    """
    return HALVINGS if rows < FEW_ROWS else 0


class Lengths:
    """Trainings of one network from its start, each twice as long as the one before, until rows held out gain no more.

    The learning rate falls to 0 over each, so a short one is no part of a long one. Where a training of twice the
    length lowers the loss of the rows held out by no more than the standard error of the difference, the shorter one is
    kept: what the longer one has learned beyond it is by heart, and its samples lie closer to the rows of the table.

    There may be one more after the longest, which is begun where the loss is the least of all at the end of that one.

    Args:
        longest: the longest training, not begun.
        times: how many times it is halved for the first one, which is the only one where no rows are held out to tell
            whether a longer one helps.
        more: steps of one more training; None for none.

    Attributes:
        times: how many longer ones there are than the current one.
        current: the training that runs, or ran last.
        before: the one before it, which is the best so far; None where it is the first.
        over: steps and seconds of trainings before the current one.

    Reference: Breiman, Friedman, Olshen, Stone, "Classification and regression trees", 1984, section 3.4.3 (the
    simplest model within one standard error of the best).
    """

    def __init__(self, longest: Training, times: int, more: int | None = None) -> None:
        self.longest = longest
        self.times = times
        self.more = more
        self.before: Training | None = None
        self.over = 0, 0.0
        self.current = self._of(times, longest.minutes)

    def _of(self, times: int, minutes: float | None) -> Training:
        if times == 0 and self.before is None and self.more is None:
            return self.longest
        if times < 0 and self.more is not None:
            return self.longest.anew(self.more, minutes)
        return self.longest.anew(max(1, self.longest.steps >> times), minutes)

    @property
    def chosen(self) -> Training:
        """The best training so far."""
        return self.current if self.before is None or _gains(self.before, self.current) else self.before

    @property
    def step(self) -> int:
        """Steps taken so far, of all trainings."""
        return self.over[0] + self.current.state.step

    @property
    def minutes_left(self) -> float | None:
        """What is left of the longest time, not below 0; None where there is no limit."""
        if self.longest.minutes is None:
            return None
        return max(0.0, self.longest.minutes - (self.over[1] + self.current.seconds) / 60)

    def run(self) -> Iterator[Step]:
        """Train, one step an item.

        Yields:
            What happened in each step; its losses are running means, in nats per column.

        Raises:
            DivergedError: if the loss is not finite.
        """
        while True:
            for step in self.current.run():
                yield step._replace(step=self.step)
            left = self.minutes_left
            last = self.times < (0 if self.more else 1) or self.longest.holdout is None
            if last or left == 0 or self.chosen is not self.current or (self.times == 0 and not self.current.falls):
                return
            self.over = self.step, self.over[1] + self.current.seconds
            self.before, self.times = self.current, self.times - 1
            self.current = self._of(self.times, left)

    def reason(self) -> str:
        """Say in sentences why the training ended where it did."""
        chosen, said = self.chosen, self.chosen.reason()
        if chosen is self.current:
            return said
        return f"{said} A training of {self.current.state.step:,} steps was no better on the rows held out."

    def tensors(self) -> dict[str, Tensor]:
        """All that changes, by name, to be written to a file."""
        named = store.prefixed("current.", self.current.tensors())
        return named if self.before is None else named | store.prefixed("before.", self.before.tensors())

    def facts(self) -> dict[str, Any]:
        """What is not a tensor: lengths that are left, steps and seconds that are over, curves and seconds of each."""
        begun = [self.current] if self.before is None else [self.current, self.before]
        return {"times": self.times, "over": self.over, "begun": [[one.trace, one.seconds] for one in begun]}

    def restore(self, named: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Go on where others of the same table were.

        Args:
            named: what `tensors` returned.
            facts: what `facts` returned.

        Raises:
            ValueError: if a tensor is missing or has another shape.
        """
        minutes = self.longest.minutes
        self.times, (steps, seconds) = facts["times"], facts["over"]
        self.over = steps, seconds
        if len(facts["begun"]) > 1:
            self.before = self._of(self.times + 1, minutes)
            self.before.restore(store.part(named, "before."), *facts["begun"][1])
        self.current = self._of(self.times, None if minutes is None else minutes - seconds / 60)
        self.current.restore(store.part(named, "current."), *facts["begun"][0])


def gain(shorter: Training, longer: Training) -> tuple[float, float] | None:
    """What the rows held out gain by a longer training.

    Args:
        shorter: a training that is over.
        longer: another one of the same rows.

    Returns:
        By how much their mean loss at its end is lower, in nats per column, and the standard error of the difference;
        None where one of them was too short for a loss to be measured.
    """
    before, after = _losses(shorter), _losses(longer)
    if before is None or after is None:
        return None
    each = before - after
    return float(each.mean()), float(each.std() / len(each) ** 0.5)


def _gains(shorter: Training, longer: Training) -> bool:
    """Whether rows held out are fitted better by the longer training, by more than the standard error."""
    found = gain(shorter, longer)
    if found is None:
        return _losses(shorter) is None  # what is too short to be measured is no match for what is longer
    return found[0] > found[1]


def _losses(training: Training) -> Tensor | None:
    held = training.holdout
    return None if held is None or not held.steps else held.measured[held.steps.index(training.ended)]
