"""Holdout: rows that are not trained on, noised once; the risk on new rows is read from them along a training."""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from scorewise.noise import Gaussian
from scorewise.stopping import Stop, held_out

Losses = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]
"""Losses, shape (B,), of a network on clean rows (B, D), their noisy versions (B, D) and noise levels (B,)."""

PATIENCE = 2
"""How many checks in a row must be worse than the least before training is over."""

CHUNK = 1_024


class Holdout:
    """Rows that are not trained on, and their losses at every check.

    The noise is drawn once, so that checks differ by what was learned in between alone; errors are those of means over
    rows, however many noisy copies of a row there are.

    Args:
        x: clean rows, each one repeated for its noisy copies: rows 0 to M - 1, then the same again, shape
            (copies * M, D).
        sigma_t: level of each, shape (copies * M,).
        copies: noisy copies of a row.
        losses: what is measured.
        errors: how many standard errors above the least a risk may be and still be taken for as good.
        tolerance: what share of the least it may be above it and still be taken for as good.
        generator: source of the noise, on the device of x.
    """

    def __init__(
        self,
        x: Tensor,
        sigma_t: Tensor,
        copies: int,
        losses: Losses,
        errors: float = 2.0,
        tolerance: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        draw = Gaussian().draw(x, sigma_t, generator)
        parts = (torch.split(part, CHUNK) for part in (x, draw.x_t, sigma_t))
        self.pieces = list(zip(*parts, strict=True))
        self.copies = copies
        self.losses = losses
        self.errors, self.tolerance = errors, tolerance
        self.steps: list[int] = []
        self.measured: list[Tensor] = []

    @property
    def rows(self) -> int:
        """Number of rows held out."""
        return sum(len(piece[0]) for piece in self.pieces) // self.copies

    def anew(self) -> "Holdout":
        """The same rows and noise for another training, with nothing measured yet."""
        other = copy.copy(self)
        other.steps, other.measured = [], []
        return other

    def check(self, step: int, network: nn.Module, parameters: Sequence[Tensor]) -> bool:
        """Measure a network.

        Args:
            step: steps that it was trained for, more than at the check before.
            network: the network; left as it is.
            parameters: measured in the place of its trained ones, in their order.

        Returns:
            Whether it is as good as the best so far, and so is worth a copy.
        """
        names = [name for name, p in network.named_parameters() if p.requires_grad]
        with torch.no_grad():
            stand_in = _Call(network, dict(zip(names, parameters, strict=True)))
            found = torch.cat([self.losses(stand_in, *piece) for piece in self.pieces])
        self.steps.append(step)
        self.measured.append(found.cpu().double().reshape(self.copies, -1).mean(0))
        return self.stop().step == step

    def stop(self) -> Stop:
        """The last check whose risk is as good as the least, of those that there are."""
        steps, measured = torch.tensor(self.steps), torch.stack(self.measured)
        return held_out(steps, measured, errors=self.errors, tolerance=self.tolerance)

    def done(self) -> bool:
        """Whether none of the last `PATIENCE` checks was as good as the least."""
        return len(self.steps) > PATIENCE and self.stop().step < self.steps[-PATIENCE]

    def tensors(self) -> dict[str, Tensor]:
        """What was measured, by name, to be written to a file; empty before the first check."""
        if not self.steps:
            return {}
        return {"held.step": torch.tensor(self.steps), "held.losses": torch.stack(self.measured)}

    def restore(self, named: dict[str, Tensor]) -> None:
        """Take over what another one with the same rows measured; the inverse of `tensors`."""
        if "held.step" in named:
            self.steps, self.measured = named["held.step"].tolist(), list(named["held.losses"])


class _Call(nn.Module):
    """A network with other parameters."""

    def __init__(self, network: nn.Module, parameters: dict[str, Tensor]) -> None:
        super().__init__()
        self.network = network
        self.others = parameters

    def forward(self, *inputs: Tensor) -> object:
        return functional_call(self.network, self.others, inputs)
