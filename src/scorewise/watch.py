"""When to stop a network that is trained on fresh noise: rules that read a record of training, as it goes on."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch

from scorewise.estimate import Estimate
from scorewise.interpolation import interpolate
from scorewise.record import Means, Record, Seen
from scorewise.stopping import Stop

BLOCKS = 3
"""Blocks that are averaged."""

PATIENCE = 2.0
"""How much longer than to the best step training must have gone on; the lowest of many noisy values is too low."""

ERRORS = 2.0
"""How many standard errors worse the last ones must be, once anything has been learned beyond doubt."""

DOUBT = 4.0
"""How many standard errors are beyond doubt: for having learned, or for being worse where little can be learned."""


class Verdict(NamedTuple):
    """What a rule says after a block of steps.

    Attributes:
        stop: the best step so far, and the estimated risk of all blocks.
        best: whether it is the block that just ended, so that the parameters are worth a copy.
        done: whether training on would not help.
    """

    stop: Stop
    best: bool
    done: bool


Rule = Callable[[Record], Verdict]
"""Reads a record at the end of a block."""


def watch(seen: Iterable[Seen], record: Record, rule: Rule) -> Iterator[Verdict]:
    """Apply a rule to a running training, at the end of each block of steps.

    The caller owns the loop: `seen` is a generator that trains and yields what each step shows; whoever stops asking
    for verdicts stops the training. A copy of the parameters is made where a verdict is `best`.

    Args:
        seen: what each step shows.
        record: where it is kept.
        rule: what decides.

    Yields:
        A verdict for each block.
    """
    for one in seen:
        if record.add(one):
            yield rule(record)


def extrapolated(record: Record) -> Verdict:
    """Stop when the loss, extrapolated to rows that are not trained on, has risen from its minimum.

    The record must have been made with the `extrapolation` of the weights that the rows are trained with.

    Args:
        record: of the training so far.

    Returns:
        The verdict.
    """
    return _least(record.weighted, None, "least loss extrapolated to rows of weight 0")


def penalised(optimism: Callable[[], Estimate], first: int = 100, growth: float = 1.0) -> Rule:
    """Stop when the training loss plus its optimism has risen from its minimum.

    The residuals of training rows are smaller than those of new ones, and so is an optimism Omega that is estimated
    from them; in proportion to the loss it is `Omega / (1 - Omega / loss)` of new rows, as in generalised
    cross-validation.

    Args:
        optimism: estimates the optimism of the loss as the network now stands; `snapshot_optimism`.
        first: step from which on it is estimated; before it is taken to rise from 0.
        growth: how much longer training must have become before it is estimated again; in between it goes with the
            logarithm of the steps.

    Returns:
        The rule; it keeps the estimates that it has made, so it is for one training only.
    """
    made = {0: (0.0, 0.0)}  # value and standard error by the step of a snapshot

    def rule(record: Record) -> Verdict:
        means = record.plain
        if record.step >= max(first, (1 + growth) * max(made)):
            value, se = optimism()
            inflation = 1 / (1 - value / means.value[-1]).clamp(min=0.1)
            made[record.step] = float(value * inflation), float(se * inflation.square())
        knots = means.value.new_tensor(list(made)).add(1).log()
        values, errors = means.value.new_tensor(list(made.values())).T
        at = means.step.to(means.value).add(1).log()
        penalty = Estimate(interpolate(at, knots, values), interpolate(at, knots, errors))
        return _least(means, penalty, "least training loss plus optimism")

    return rule


def reached(floor: float) -> Rule:
    """Stop when the training loss reaches its floor: the discrepancy principle on running means.

    Args:
        floor: loss of the best prediction there is: 1 if the residuals are whitened by the true covariance; from data
            alone it is bracketed only, loosely so in many dimensions.

    Returns:
        The rule.
    """

    def rule(record: Record) -> Verdict:
        means = record.plain
        below = means.value <= floor
        done = bool(below.any())
        index = int(below.long().argmax()) if done else len(below) - 1
        reason = "the training loss reaches its floor" if done else "the training loss is above its floor so far"
        unknown = torch.full_like(means.value, torch.nan)
        se = means.influence.square().sum(1).sqrt()
        stop = Stop(int(means.step[index]), means.step, means.value - floor, unknown, unknown, se, reason)
        return Verdict(stop, index == len(below) - 1, done)

    return rule


def _least(means: Means, penalty: Estimate | None, reason: str) -> Verdict:
    """Judge by the minimum of the risk over windows of blocks, each window named by its last step."""
    count = len(means.value)
    window = torch.ones(count, count, dtype=torch.float64, device=means.value.device).tril().triu(1 - BLOCKS)
    window = window / window.sum(1, keepdim=True)
    risk, influence = window @ means.value, window @ means.influence
    variance = torch.zeros_like(risk)
    if penalty is not None:
        risk, variance = risk + window @ penalty.value, window @ penalty.se.square()
    best = int(risk.argmin())
    se = ((influence - influence[best]).square().sum(1) + (variance + variance[best])).sqrt()
    rise = (risk - risk[best]) / se.clamp(min=torch.finfo(se.dtype).tiny)
    enough = ERRORS if float(rise[0]) > DOUBT else DOUBT
    done = float(rise[-1]) > enough and int(means.step[-1]) >= PATIENCE * int(means.step[best])
    unknown = torch.full_like(risk, torch.nan)
    stop = Stop(int(means.step[best]), means.step, risk, unknown, unknown, se, reason)
    return Verdict(stop, best == count - 1, done)
