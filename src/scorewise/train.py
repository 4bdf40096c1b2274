"""Training: one loss, and a generator that yields one Step at a time."""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from scorewise.allocation import LevelDensity
from scorewise.captured import Captured
from scorewise.covariance import Blocks, Simplex
from scorewise.noise import Gaussian
from scorewise.optimiser import AdamW, Optimiser
from scorewise.orthogonal import Muon
from scorewise.posterior import Posterior

MARGIN_SHARE = 0.03
"""Weight of the bins' cross-entropy beside the quadratic loss."""
SUMMARY = 4
"""What a step tells beside the squares: loss, norm of the gradient, and the losses of numbers and categories."""
WARM_STEPS = 100
"""Steps over which the learning rate rises, unless `train` is told otherwise."""


class Loss(NamedTuple):
    """Losses of a batch in nats, each of shape (B,).

    Attributes:
        numbers: half the squared norm of the whitened residual.
        logdet: half the log-determinant of the covariance that whitened it; it carries no gradient as long as the
            covariance is a function of the level alone.
        categories: cross-entropy.
        margins: cross-entropy of the bins of numbers.
        square: squared norm of the residual: whitened for numbers, as it stands for categories. Both are the gradient
            with respect to what the network gives out; no unit.
    """

    numbers: Tensor
    logdet: Tensor
    categories: Tensor
    margins: Tensor
    square: Tensor

    @property
    def objective(self) -> Tensor:
        """What is minimised, shape (B,): numbers, categories, and `MARGIN_SHARE` of the margins."""
        return self.numbers + self.categories + MARGIN_SHARE * self.margins

    @property
    def total(self) -> Tensor:
        """Negative log-likelihood of the label under the belief, up to a constant, shape (B,)."""
        return self.numbers + self.logdet + self.categories


def loss(posterior: Posterior, y: Tensor) -> Loss:
    """Negative log-likelihood of labels under beliefs: `0.5 |whiten(y - mean)|^2 + 0.5 logdet`.

    On the simplex the likelihood of a one-hot label is `-log p[y]`, whose gradient with respect to the logits is
    that of the whitened residual.

    Args:
        posterior: beliefs about the labels, on shape (D,), with a `Blocks` covariance.
        y: labels, shape (B, D).

    Returns:
        The losses.

    Raises:
        TypeError: if the covariance is not `Blocks`.

    Reference: Zhang et al., "Why heuristic weighting works", 2025 (denoising score matching as a heteroskedastic
    regression).
    """
    if not isinstance(posterior.cov, Blocks):
        raise TypeError(f"cov must be Blocks, however: {type(posterior.cov).__name__}. Wrap it: Blocks([cov], [(D,)]).")
    numbers = y.new_zeros(len(y))
    logdet, categories, square = numbers, numbers, numbers
    labels, means = posterior.cov.split(y), posterior.cov.split(posterior.mean)
    for part, label, mean in zip(posterior.cov.parts, labels, means, strict=True):
        if isinstance(part, Simplex):
            categories = categories - (label * part.log_p).flatten(1).sum(1)
            square = square + (label - mean.detach()).flatten(1).square().sum(1)
        else:
            squares = part.whiten(label - mean).flatten(1).square().sum(1)
            numbers, square = numbers + 0.5 * squares, square + squares.detach()
            logdet = logdet + 0.5 * part.logdet
    margins = y.new_zeros(len(y))
    if posterior.margins is not None:
        margins = posterior.margins.cross_entropy(posterior.cov.split(y)[0]).sum(1)
    return Loss(numbers, logdet, categories, margins, square)


class DivergedError(RuntimeError):
    """The loss or its gradient is not finite. The state holds the last good parameters."""


class Step(NamedTuple):
    """What happened in one optimisation step.

    Attributes:
        step: steps done so far, from 1.
        loss: importance-weighted mean of what is minimised (`Loss.objective`), in nats per row.
        numbers: its part from numbers.
        categories: its part from categories.
    """

    step: int
    loss: float
    numbers: float
    categories: float


class State:
    """Everything that training changes, so that a stopped run can go on where it was.

    Args:
        network: the network to train, in place.
        density: density of noise levels, updated in place.
        hidden: the network's matrices between hidden layers, moved by Muon; all else is moved by AdamW.
        learning_rate: peak learning rate of AdamW.
        hidden_rate: peak learning rate of Muon, in the scale of AdamW's.
        average: decay of the exponential moving average of the parameters per step.
        bf16: whether the updates of `hidden` are orthogonalised in bfloat16.
        weight_decay: of AdamW.
    """

    def __init__(
        self,
        network: nn.Module,
        density: LevelDensity,
        hidden: Sequence[nn.Parameter] = (),
        learning_rate: float = 4e-3,
        hidden_rate: float = 1e-2,
        average: float = 0.999,
        bf16: bool = False,
        weight_decay: float = 0.01,
    ) -> None:
        self.network = network
        self.density = density
        self.average = average
        self.step = 0
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.averaged = [p.detach().clone() for p in self.parameters]
        inner = {id(p) for p in hidden}
        others = [p for p in self.parameters if id(p) not in inner]
        self.optimizers: list[Optimiser] = [AdamW(others, learning_rate, weight_decay=weight_decay)]
        if hidden:
            self.optimizers.append(Muon(hidden, hidden_rate, dtype=torch.bfloat16 if bf16 else None))
        self.peaks = [float(optimizer.lr) for optimizer in self.optimizers]

    def rates(self, share: float, warm: float) -> list[float]:
        """What the next step moves by.

        Args:
            share: part of the training that is done, between 0 and 1; the learning rate falls with it along a cosine.
            warm: part of the warm-up that is done, or more than 1; the rate rises with it.

        Returns:
            The learning rate of each optimiser, and the share that the moved parameters have in their average.
        """
        factor = min(1.0, warm) * (0.5 * (1 + math.cos(math.pi * share)) + 0.01)
        keep = min(self.average, (self.step + 1) / (self.step + 10))
        return [*(peak * factor for peak in self.peaks), 1 - keep]

    def move(self, rates: Sequence[float] | Tensor) -> None:
        """Move the parameters along the gradients that are there, and their average along with them.

        Args:
            rates: what `rates` returned, or a tensor of it on the parameters' device.
        """
        *learning, fresh = rates
        for optimizer, rate in zip(self.optimizers, learning, strict=True):
            optimizer.lr = rate
            optimizer.step()
        with torch.no_grad():
            share = [fresh] * len(self.averaged) if isinstance(fresh, Tensor) else fresh
            torch._foreach_lerp_(self.averaged, list[Tensor](self.parameters), share)

    def tensors(self) -> dict[str, Tensor]:
        """All tensors of the state by name, detached, to be written to a file."""
        named = {"step": torch.tensor(self.step), "mean_square": self.density.mean_square, "seen": self.density.seen}
        for i, (p, a) in enumerate(zip(self.parameters, self.averaged, strict=True)):
            named[f"parameter.{i}"], named[f"average.{i}"] = p.detach(), a
            for optimizer in self.optimizers:
                for key, value in optimizer.state.get(p, {}).items():
                    named[f"optimizer.{i}.{key}"] = value
        return named

    def restore(self, named: dict[str, Tensor]) -> None:
        """Take over the tensors of another state.

        Args:
            named: what `tensors` of a state with the same network returned.

        Raises:
            ValueError: if a tensor is missing or has another shape.
        """
        for i, (p, a) in enumerate(zip(self.parameters, self.averaged, strict=True)):
            for key, mine in ((f"parameter.{i}", p), (f"average.{i}", a)):
                if key not in named or named[key].shape != mine.shape:
                    found = tuple(named[key].shape) if key in named else None
                    raise ValueError(
                        f"{key} must have shape {tuple(mine.shape)}, however: {found}. "
                        "Resume with the table and settings that the checkpoint was made with."
                    )
                mine.data.copy_(named[key])
            prefix = f"optimizer.{i}."
            moments = {k.removeprefix(prefix): v.to(p.device) for k, v in named.items() if k.startswith(prefix)}
            owner = next(o for o in self.optimizers if any(p is q for q in o.parameters))
            if moments:
                owner.state[p] = moments
        self.density.mean_square, self.density.seen = named["mean_square"].clone(), named["seen"].clone()
        self.step = int(named["step"])

    def finish(self) -> None:
        """Put the averaged parameters into the network."""
        with torch.no_grad():
            for p, a in zip(self.parameters, self.averaged, strict=True):
                p.copy_(a)


def warm_up(step: int) -> float:
    """Share of the warm-up that is done in the step after so many, or more than 1."""
    return (step + 1) / WARM_STEPS


def train(
    state: State,
    batch: Callable[[int, torch.Generator], Tensor],
    size: int,
    progress: Callable[[int], float],
    seed: int,
    bf16: bool = False,
    warm: Callable[[int], float] = warm_up,
    capture: bool = False,
    denoiser: nn.Module | None = None,
) -> Iterator[Step]:
    """Train by denoising, one step per item of the generator, until `progress` reaches 1.

    Every step has a generator of its own, seeded by `(seed, step)`, so that a run which is stopped and resumed
    repeats exactly what an uninterrupted one does. A step whose loss or gradient is not finite is not taken.

    Args:
        state: what is trained; `state.step` counts on from where it stands.
        batch: gives clean rows of shape (size, D) for a step and a generator, on the network's device.
        size: rows per batch.
        progress: share of the training done after a number of steps; drives the cosine learning rate.
        seed: seed of the run.
        bf16: run the network in bfloat16 where the device does so faster.
        warm: share of the warm-up that is done in the step after a number of them; the learning rate rises with it.
        capture: launch the kernels of a step together (`Captured`), which needs a CUDA device, and a network that never
            waits for it. There are two graphs: gradients that are not finite must be seen before they are followed.
        denoiser: a faster form of the network, of the same parameters; None for the network itself.

    Yields:
        What happened in each step.

    Raises:
        DivergedError: if the loss or its gradient is not finite.
        ValueError: if steps are to be captured and the network is not on a CUDA device.
    """
    noise = Gaussian()
    device = state.parameters[0].device
    if capture and device.type != "cuda":
        raise ValueError(f"capture needs a network on a CUDA device, however: {device=}. Move it, or do not capture.")
    descent: Callable[..., Tensor | None] = functools.partial(_gradients, state, denoiser or state.network, bf16)
    move: Callable[..., Tensor | None] = state.move
    if capture:
        descent, move = Captured(descent), Captured(move)
    while (done := progress(state.step)) < 1:
        generator = torch.Generator().manual_seed((seed * 1_000_003 + state.step) % 2**63)
        x = batch(state.step, generator)
        sigma_t, weight = state.density.draw(size, generator)
        on_device = generator if device.type == "cpu" else torch.Generator(device).manual_seed(generator.initial_seed())
        draw = noise.draw(x, sigma_t.to(device), on_device)
        found = descent(draw.x, draw.x_t, draw.t, weight.to(device))
        assert found is not None
        told = found.cpu()
        total, norm, numbers, categories = told[:SUMMARY].tolist()
        if not math.isfinite(total) or not math.isfinite(norm):
            raise DivergedError(
                f"the loss and its gradient must be finite, however: loss={total:g}, norm={norm:g} at step "
                f"{state.step + 1}. The parameters of the step before are kept; look for extreme values in the table."
            )
        rates = state.rates(done, warm(state.step))
        move(torch.tensor(rates, device=device) if capture else rates)
        state.step += 1
        state.density.observe(sigma_t, told[SUMMARY:])
        yield Step(state.step, total, numbers, categories)


def _gradients(
    state: State, denoiser: nn.Module, bf16: bool, x: Tensor, x_t: Tensor, sigma_t: Tensor, weight: Tensor
) -> Tensor:
    """Put the clipped gradients of a noisy batch into the parameters; return the summary and the squares, (4 + B,)."""
    with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
        posterior = denoiser(x_t, sigma_t)
    losses = loss(posterior, x)
    for p in state.parameters:
        p.grad = None
    objective = (losses.objective * weight).mean()
    objective.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(state.parameters, 5.0)
    numbers, categories = ((part.detach() * weight).mean() for part in (losses.numbers, losses.categories))
    return torch.cat([torch.stack([objective.detach(), norm, numbers, categories]), losses.square.detach()])
