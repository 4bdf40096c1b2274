"""Training on a table: batches of its rows, rows held out, the curves to show, and when it is over."""

import copy
import functools
import time
from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from scorewise.allocation import LevelDensity, as_it_is, log_uniform
from scorewise.holdout import Holdout
from scorewise.network import TableDenoiser
from scorewise.tabular.codec import Codec, Compact
from scorewise.tabular.fused import fastest
from scorewise.train import State, Step, loss, train, warm_up

LOWEST = 0.002
"""Least level of the noise that a network learns; the largest is the one at which rows are nearly normal."""
BATCH_ROWS = 1_024
PASSES, USUAL_ROWS, USUAL_COLUMNS = 190, 27_000, 24
"""Passes over a table of so many rows and columns."""
FEW_ROWS = 4_000
"""Tables of fewer rows are learned by heart most easily."""
TRACE_POINTS = 200
CHECKS = 20
FIRST_CHECK = 20
HELD_SHARE, MOST_HELD, ENOUGH_HELD, FEWEST_HELD = 0.05, 1_000, 50, 10
HELD_STREAM, NEXT_SEED = 2**31, 2**32
ERRORS, TOLERANCE = 2.0, 0.005
FEWEST_WARM = 10
ENDING_SHARE, FEWEST_ENDING = 0.25, 20
CURVES = ("step", "loss", "numbers", "categories", "seconds")
CHECKED = ("check", "new rows", "new rows se")


def training_steps(rows: int, columns: int) -> int:
    """Longest training in optimisation steps of `BATCH_ROWS` rows, from the size of the table alone.

    `190 min(1, (27,000 / rows)^(3/4)) min(1, (24 / columns)^(1/2))` passes over the table, and between 200 and 15,000
    steps: long and wide tables are passed over less often. The steps after which a network starts to memorise its rows
    grow in proportion to their number, so short tables are not passed over more often. The learning rate falls to 0
    over this length; held-out rows may end the training before.

    Args:
        rows: rows of the table.
        columns: learnable columns.

    Returns:
        Number of steps.
    """
    return _bounded(_narrow_steps(rows) * min(1.0, (USUAL_COLUMNS / max(columns, 1)) ** 0.5))


def wide_steps(rows: int, columns: int) -> int | None:
    """Length of another training of a wide table, where new rows would gain by it.

    As many passes over it as over a narrow one, or fewer, so that it is no more work than the training of a table of
    27,000 rows of 24 columns: steps, and columns in each.

    Args:
        rows: rows of the table.
        columns: learnable columns.

    Returns:
        Number of steps; None where that is no longer than `training_steps`, or there are fewer than `FEW_ROWS`.
    """
    affordable = PASSES * USUAL_ROWS / BATCH_ROWS * USUAL_COLUMNS / max(columns, 1)
    steps = _bounded(min(_narrow_steps(rows), affordable))
    return steps if rows >= FEW_ROWS and steps > training_steps(rows, columns) else None


def _narrow_steps(rows: int) -> float:
    rows = max(rows, 1)
    passes: float = PASSES * min(1.0, (USUAL_ROWS / rows) ** 0.75)
    return passes * rows / min(BATCH_ROWS, rows)


def _bounded(steps: float) -> int:
    return int(np.clip(steps, 200, 15_000))


def held_rows(rows: int) -> int:
    """Number of rows to hold out.

    Args:
        rows: rows of the table.

    Returns:
        A twentieth, `MOST_HELD` at most; a tenth where that is fewer than `ENOUGH_HELD`; `FEWEST_HELD` where that is
        more, but 0 where it would be more than a quarter.
    """
    held = max(int(HELD_SHARE * rows), min(int(2 * HELD_SHARE * rows), ENOUGH_HELD), FEWEST_HELD)
    return min(MOST_HELD, held) if rows >= 4 * FEWEST_HELD else 0


class Training:
    """A training of a denoiser on the rows of a table, to its end or until it ceases to help new rows.

    A twentieth of the rows, `MOST_HELD` at most, is held out (more of few rows: see `held_rows`), and noised once.
    Their loss is measured `CHECKS` times, but for the first steps, in which a network that knows the margins from its
    start may get worse. It has risen where it is `ERRORS` standard errors of the difference and the share `TOLERANCE`
    above the least: less is of no consequence, though many rows may show it. Training then goes back to the parameters
    of the last check before, and from there the learning rate falls to 0 within a quarter as many steps as were taken,
    or what is left of the longest training: parameters of a high rate are noisy, and a sample shows it. The model is
    that of the last check whose loss had not risen.

    Args:
        state: network, density of levels and optimisers.
        codec: of the table.
        rows: all encoded rows, on the network's device.
        steps: longest training.
        columns: learnable columns; losses are shown per column.
        seed: seed of batches and noise, and of which rows are held out.
        minutes: longest time; None for no limit.
        hold: whether rows are held out, if there are enough of them.
        bf16: whether the network runs in bfloat16.

    Attributes:
        trace: curves of the training, in nats per column: lists of equal length under "step", "loss", "numbers",
            "categories" and "seconds"; and under "check", "new rows" and "new rows se", the loss on the held-out rows
            and the standard error of its difference to the least.
        holdout: the held-out rows; None where there are none.
        seconds: how long it took so far.
    """

    def __init__(
        self,
        state: State,
        codec: Codec,
        rows: Compact,
        steps: int,
        columns: int,
        seed: int,
        minutes: float | None = None,
        hold: bool = True,
        bf16: bool = False,
    ) -> None:
        self.state, self.codec = state, codec
        self.steps, self.columns, self.seed, self.minutes, self.bf16 = steps, columns, seed, minutes, bf16
        self.longest, self.limit = steps, minutes
        self.batches = 0  # which of several streams of batches and noise is drawn from
        self._begin()
        shuffled = torch.from_numpy(np.random.default_rng([seed, HELD_STREAM]).permutation(len(rows.low)))
        held = held_rows(len(shuffled)) if hold else 0
        self.rows = _take(rows, shuffled[held:].sort().values)
        self.size = min(BATCH_ROWS, len(self.rows.low))
        self.holdout: Holdout | None = self._held(_take(rows, shuffled[:held])) if held else None

    def _begin(self) -> None:
        self.trace: dict[str, list[float]] = {name: [] for name in (*CURVES, *CHECKED)}
        self.seconds = 0.0
        self._kept: list[Tensor] = []
        self._ending: tuple[int, float] | None = None  # the step and share at which the loss was seen to have risen

    def _held(self, rows: Compact) -> Holdout:
        copies = max(1, self.size // len(rows.low))
        generator = torch.Generator().manual_seed(self.seed)
        repeated = _take(rows, torch.arange(len(rows.low)).repeat(copies))
        return self._hold_out(self.codec.expand(repeated, generator), copies, generator)

    def _hold_out(self, x: Tensor, copies: int, generator: torch.Generator) -> Holdout:
        density = self.state.density
        drawn = LevelDensity(density.low, density.high, base=lambda _: density.base.double(), rule=as_it_is)
        levels = drawn.draw(len(x), generator)[0]
        levels = levels[torch.randperm(len(x), generator=generator)].to(x.device)
        on_device = torch.Generator(x.device).manual_seed(generator.initial_seed())
        return Holdout(x, levels, copies, self._losses, ERRORS, TOLERANCE, on_device)

    def refined(self, border: float, steps: int, rate: float, minutes: float | None) -> "Training":
        """Begin another training: of a copy of the network, at the levels below a border, even in `log sigma`.

        The rows are the same, and so are those held out, but noise and batches are others. The network as it is counts
        as the first check: what does not get better stays.

        Args:
            border: the largest level.
            steps: longest training.
            rate: learning rates, as a share of those of this training.
            minutes: longest time; None for no limit.

        Returns:
            The training.

        Raises:
            ValueError: if no rows are held out, so that nothing would tell whether it helps.
        """
        if self.holdout is None:
            raise ValueError("a network is refined where rows are held out, however: there are none. Give more rows.")
        density = LevelDensity(LOWEST, border, base=log_uniform)
        fine = self._copied(density, rate, steps, minutes)
        fine.batches = self.batches + 1
        x = torch.cat([piece[0] for piece in self.holdout.pieces])
        generator = torch.Generator().manual_seed(self.seed + fine.batches * NEXT_SEED)
        fine.holdout = fine._hold_out(x, self.holdout.copies, generator)
        fine._check()
        return fine

    def anew(self, steps: int, minutes: float | None) -> "Training":
        """Begin another training of the same rows from where this one is, which must not have begun.

        Batches and noise are those of this one as far as both go, and so are the rows held out with their noise.

        Args:
            steps: longest training.
            minutes: longest time; None for no limit.

        Returns:
            The training.
        """
        other = self._copied(copy.deepcopy(self.state.density), 1.0, steps, minutes)
        if self.holdout is not None:
            other.holdout = self.holdout.anew()
        return other

    def _copied(self, density: LevelDensity, rate: float, steps: int, minutes: float | None) -> "Training":
        """A training of a copy of the network that has not begun; its rates are a share of those of this one."""
        other = copy.copy(self)
        network = copy.deepcopy(self.state.network)
        hidden = cast(TableDenoiser, network).hidden_matrices()
        learning, orthogonal = (rate * peak for peak in self.state.peaks)
        other.state = State(network, density, hidden, learning, orthogonal, bf16=self.bf16)
        other.steps, other.minutes = steps, minutes
        other._begin()
        return other

    def _losses(self, network: nn.Module, x: Tensor, x_t: Tensor, sigma_t: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            posterior = network(x_t, sigma_t)
        return loss(posterior, x).objective / self.columns

    def share(self, step: int) -> float:
        """Share of the training that is done after a number of steps, by steps or by time; the rate falls with it."""
        timed = self._timed()
        if self._ending is None:
            return max(step / self.steps, timed)
        began, share = self._ending
        length = min(max(FEWEST_ENDING, ENDING_SHARE * began), self.steps - began)
        return max(share + (1 - share) * (step - began) / length, timed)

    def _timed(self) -> float:
        """Share of the time limit that has passed."""
        return 0.0 if self.minutes is None else self.seconds / (60 * self.minutes)

    def _warm(self, step: int) -> float:
        """Share of the warm-up that is done: by steps, or by time, where its limit shortens the training.

        The warm-up is then as large a part of the time as of the longest training, but `FEWEST_WARM` steps at least.
        """
        return max(warm_up(step), min(warm_up(int(self._timed() * self.steps)), (step + 1) / FEWEST_WARM))

    def run(self) -> Iterator[Step]:
        """Train to the end, one step an item; the network is then what `ended` says.

        Yields:
            What happened in each step; its losses are running means, in nats per column.

        Raises:
            DivergedError: if the loss is not finite.
        """
        state, per_pass = self.state, len(self.rows.low) // self.size
        seed = self.seed + self.batches * NEXT_SEED
        began, first, interval = time.monotonic() - self.seconds, self.state.step, max(1, self.steps // TRACE_POINTS)

        @functools.lru_cache(maxsize=1)
        def order(turn: int) -> Tensor:
            """Rows in the order of one pass over the table."""
            return torch.from_numpy(np.random.default_rng([seed, turn]).permutation(len(self.rows.low)))

        def batch(step: int, generator: torch.Generator) -> Tensor:
            turn, place = divmod(step, per_pass)
            chosen = order(turn)[place * self.size : (place + 1) * self.size]
            return self.codec.expand(_take(self.rows, chosen), generator)

        mean = np.zeros(3)
        on_gpu, denoiser = self.rows.low.device.type == "cuda", self.denoiser
        for step in train(state, batch, self.size, self.share, seed, self.bf16, self._warm, on_gpu, denoiser):
            mean += (np.array(step[1:]) / self.columns - mean) / min(step.step - first, 50)
            before, self.seconds = self.share(step.step - 1), time.monotonic() - began
            if step.step % interval == 0:
                for key, value in zip(CURVES, (step.step, *mean.tolist(), self.seconds), strict=True):
                    self.trace[key].append(value)
            due = int(CHECKS * min(self.share(step.step), 1)) > int(CHECKS * before) and step.step >= FIRST_CHECK
            if due and self._check() and self.share(state.step) < 1:
                self._ending = state.step, self.share(state.step)
                self._return_to_kept()
            yield Step(step.step, *mean.tolist())
        state.finish()
        if self._kept and self.ended < state.step:
            self._return_to_kept()

    @property
    def denoiser(self) -> nn.Module:
        """The network in the form that is fastest where it is."""
        return fastest(cast(TableDenoiser, self.state.network))

    def _return_to_kept(self) -> None:
        with torch.no_grad():
            for p, averaged, kept in zip(self.state.parameters, self.state.averaged, self._kept, strict=True):
                p.copy_(kept)
                averaged.copy_(kept)

    def _check(self) -> bool:
        """Measure the held-out rows, if there are any, and tell whether their loss is first seen to have risen."""
        if self.holdout is None:
            return False
        if self.holdout.check(self.state.step, self.denoiser, self.state.averaged):
            self._kept = [p.clone() for p in self.state.averaged]
        stop = self.holdout.stop()
        for key, values in zip(CHECKED, (stop.steps, stop.risk, stop.se), strict=True):
            self.trace[key] = [float(value) for value in values]
        return self._ending is None and self.holdout.done()

    @property
    def ended(self) -> int:
        """Steps of training that the network has behind it once `run` is over."""
        return self.state.step if self.holdout is None or not self.holdout.steps else self.holdout.stop().step

    @property
    def falls(self) -> bool:
        """Whether the loss of the rows held out was the least of all at the end."""
        held = self.holdout
        return held is not None and bool(held.steps) and self.ended == held.steps[int(held.stop().risk.argmin())]

    def reason(self) -> str:
        """Say in sentences why the training ended where it did."""
        done, limit = self.state.step, f"the longest training of a table of this size, {self.steps:,} steps"
        if self.steps < self.longest:
            limit = f"its full length, {self.steps:,} steps"
        if self.limit is not None and done < self.steps:
            limit = f"the time limit of {self.limit:g} minutes, {done:,} steps"
        if self.holdout is None:
            return f"It ended at {limit}. No rows were held out to end it sooner."
        rows = f"{self.holdout.rows:,} rows held out"
        if not self.holdout.steps:
            return f"It ended at {limit}. The loss of {rows} was not measured in so short a time."
        stop = self.holdout.stop()
        least = f"the least, at step {int(stop.steps[stop.risk.argmin()]):,}"
        kept = f"The model is that of step {self.ended:,}, the last check at which it was as good as {least}."
        if self._ending is not None:
            began = self._ending[0]
            return (
                f"The loss of {rows} was seen after {began:,} steps to have risen beyond doubt. From the best "
                f"parameters the rate fell to 0 in {done - began:,} more. {kept}"
            )
        if self.ended < done:
            return f"It ended at {limit}. The loss of {rows} had risen by then. {kept}"
        best = "was the least of all" if stop.risk[-1] == stop.risk.min() else f"was as good as {least}"
        return f"It ended at {limit}. The loss of {rows} {best}."

    def tensors(self) -> dict[str, Tensor]:
        """All that changes, by name, to be written to a file."""
        kept = {f"kept.{i}": p for i, p in enumerate(self._kept)}
        if self._ending is not None:
            kept["ending"] = torch.tensor(self._ending, dtype=torch.float64)
        return self.state.tensors() | kept | ({} if self.holdout is None else self.holdout.tensors())

    def restore(self, named: dict[str, Tensor], trace: dict[str, list[float]], seconds: float) -> None:
        """Go on where another training of the same table was.

        Args:
            named: what its `tensors` returned.
            trace: its curves.
            seconds: how long it took.

        Raises:
            ValueError: if a tensor is missing or has another shape.
        """
        self.state.restore(named)
        device = self.rows.low.device
        self._kept = [named[f"kept.{i}"].to(device) for i in range(len(self.state.parameters)) if f"kept.{i}" in named]
        if "ending" in named:
            began, share = named["ending"].tolist()
            self._ending = int(began), share
        if self.holdout is not None:
            self.holdout.restore(named)
        self.trace.update(trace)
        self.seconds = seconds


def _take(rows: Compact, chosen: Tensor) -> Compact:
    return Compact(*(part[chosen.to(part.device)] for part in rows))
