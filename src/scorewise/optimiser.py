"""Optimisers of a list of parameters: AdamW, and what it shares with the one for hidden layers."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw


class Optimiser:
    """Parameters, the rate at which they are moved, and what is remembered of each.

    NOTE[DIFF]: not a `torch.optim.Optimizer`: to make one imports torch's compiler, which takes longer than the first
    steps of a short fit (`benchmarks/growth.py starts` tells both).

    Args:
        parameters: what is moved.
        lr: learning rate.

    Attributes:
        parameters: a list of them.
        lr: the rate of the next step, a number, or a scalar tensor on the parameters' device.
        state: of each parameter that has been moved, tensors by name.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        self.parameters = list(parameters)
        self.lr: float | Tensor = lr
        self.state: dict[Tensor, dict[str, Tensor]] = {}

    def gradients(self) -> dict[nn.Parameter, Tensor]:
        """Those parameters that have a gradient, with it."""
        return {p: p.grad for p in self.parameters if p.grad is not None}

    def step(self) -> None:
        """Move all parameters that have a gradient."""
        raise NotImplementedError


class AdamW(Optimiser):
    """Adam with decoupled weight decay, as torch computes it.

    Args:
        parameters: what is moved, all on one device.
        lr: learning rate.
        betas: decays of the running means of the gradient and of its square, in [0, 1).
        weight_decay: decoupled weight decay.

    Reference: Loshchilov, Hutter, "Decoupled weight decay regularization", 2019.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(parameters, lr)
        self.betas, self.weight_decay = betas, weight_decay
        self.fused = all(p.device.type in {"cpu", "cuda"} for p in self.parameters)

    @torch.no_grad()
    def step(self) -> None:
        """Move all parameters that have a gradient."""
        moved = self.gradients()
        for p in moved:
            if p not in self.state:
                count = torch.zeros((), device=p.device if self.fused else "cpu")
                self.state[p] = {"step": count, "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
        means, squares, counts = ([self.state[p][key] for p in moved] for key in ("exp_avg", "exp_avg_sq", "step"))
        adamw(
            list[Tensor](moved),
            list(moved.values()),
            means,
            squares,
            [],
            counts,
            fused=self.fused or None,
            amsgrad=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=self.lr,
            weight_decay=self.weight_decay,
            eps=1e-8,
            maximize=False,
        )
