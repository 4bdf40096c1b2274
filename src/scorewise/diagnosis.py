"""Diagnosis of a training run: what one batch says of noise and signal, at any step, without callbacks.

losses = Rowwise(network, lambda call, draw: loss(call(draw.x_t, draw.t), draw.x).objective, example)
for step, found in diagnosed(train(...), lambda step: diagnose(losses, *fresh(step), probes=2), every=100):
    ...
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from scorewise.estimate import Estimate
from scorewise.gradient import GradientNoise, gradient_noise, probe
from scorewise.group import group_means, stacked
from scorewise.replicate import mean_replicates, smooth
from scorewise.rowwise import Batch, Rowwise
from scorewise.scatter import GroupSplit, grouped_slopes, split_groups, variance

S = TypeVar("S")
D = TypeVar("D")


class Diagnosis(NamedTuple):
    """One batch, diagnosed by forward-mode passes; L levels of noise.

    Attributes:
        loss: mean loss of each level, shape (L,).
        noise: gradient noise of a row, signal and critical batch.
        split: variance of the gradient within and between levels.
        level_variance: variance of the gradient within each level, `tr Cov(g | level)`, shape (L,).
        level_square: mean squared gradient of each level, the m2 by which a density of levels is chosen, shape (L,).
        square: squared gradient of each row, without bias but as noisy as few probes make it, shape (B,); what
            `LevelDensity.observe` takes if the losses carry no importance weights.
    """

    loss: Estimate
    noise: GradientNoise
    split: GroupSplit
    level_variance: Estimate
    level_square: Estimate
    square: Tensor


def diagnose(
    losses: Rowwise[Batch], batch: Batch, level: Tensor, probes: int, generator: torch.Generator | None = None
) -> Diagnosis:
    """Diagnose the losses of a batch, at the cost of one forward-mode pass a probe and the memory of one.

    With the synthesizer's network, two probes of 256 rows cost less than a training step of 1,024 rows, so that a
    diagnosis every 100 steps adds less than 1 % to the training (`benchmarks/diagnose.json`).

    Args:
        losses: losses of rows, shape (B,).
        batch: B rows; fresh ones, so that the gradient is that of the expected loss.
        level: bucket of each row's noise level, integers 0 to L - 1, shape (B,).
        probes: number of Rademacher directions, at least 2.
        generator: source of randomness, on any device.

    Returns:
        The diagnosis. Rows are taken as independent draws.

    Raises:
        ValueError: if there are fewer than two probes, or a level has fewer than three rows.
    """
    values, slopes = probe(losses, batch, probes, generator)
    grouped = grouped_slopes(slopes, level)
    return Diagnosis(
        group_means(values.double(), level),
        gradient_noise(grouped.total),
        split_groups(grouped),
        stacked([smooth(torch.clone, variance(part)) for part in grouped.parts]),
        stacked([smooth(torch.clone, mean_replicates(part.square)) for part in grouped.parts]),
        slopes.square().mean(0),
    )


class Diagnosed(NamedTuple, Generic[S, D]):
    """A step of training, and the measurement that was due after it or None."""

    step: S
    found: D | None


def diagnosed(steps: Iterable[S], measure: Callable[[S], D], every: int) -> Iterator[Diagnosed[S, D]]:
    """Follow a training run and measure after every so many steps.

    The run is not touched: `measure` is called between two steps, while the training generator waits. What it costs is
    up to it: see `benchmarks/diagnose.py` for the cost of `diagnose`.

    Args:
        steps: any iterator of training steps, such as `train(...)`.
        measure: of the step, called after it; a module bound to it has the parameters of that moment.
        every: measure after step number `every`, `2 * every`, ... of the iterator.

    Yields:
        Every step, with the measurement if one was due.

    Raises:
        ValueError: if `every` is less than 1.
    """
    if every < 1:
        raise ValueError(f"every must be 1 or more, however: {every=}. Give the number of steps between measurements.")
    for count, step in enumerate(steps, start=1):
        yield Diagnosed(step, measure(step) if count % every == 0 else None)
