"""Descent along the nearest orthogonal matrix: an optimiser for the hidden layers of a network."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

_QUINTIC = 3.4445, -4.7750, 2.0315


def orthogonalise(matrices: Tensor, steps: int = 4) -> Tensor:
    """Move the singular values of matrices towards 1, keeping their singular vectors.

    Newton-Schulz iteration with a quintic polynomial, `X <- a X + b (X X') X + c (X X')^2 X`, from `X / |X|_F`. After
    four steps singular values of 5 % of the norm and more lie between about 0.6 and 1.25, smaller ones below.

    Args:
        matrices: shape (M, R, C).
        steps: number of iterations.

    Returns:
        Approximately orthogonal matrices, shape (M, R, C).

    Reference: Jordan, Jin, Boza, You, Cesista, Newhouse, Bernstein, "Muon: an optimizer for hidden layers in neural
    networks", 2024.
    """
    a, b, c = _QUINTIC
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum whose update of each matrix is orthogonalised and scaled to the size of AdamW's.

    NOTE[DIFF]: torch has an optimiser of this name from 2.9 on. It iterates in bfloat16, which is slower than float32
    on some CPUs, and one matrix at a time; here equal shapes are iterated together, in the dtype that is asked for.

    Args:
        matrices: parameters with two dimensions.
        lr: learning rate, in the scale of AdamW's.
        momentum: decay of the running mean of the gradient, in [0, 1).
        weight_decay: decoupled weight decay.
        dtype: in which the update is orthogonalised; None for that of the weights.

    Raises:
        ValueError: if a parameter does not have two dimensions.

    Reference: Liu et al., "Muon is scalable for LLM training", 2025, eq. 4 (the factor 0.2 sqrt(max(R, C))).
    """

    def __init__(
        self,
        matrices: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.dtype = dtype
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(
                        f"matrices must have two dimensions, however: shape={tuple(p.shape)}. "
                        "Leave vectors to another optimiser."
                    )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Move all matrices that have a gradient; a closure is not called."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[nn.Parameter]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    shapes.setdefault(p.shape, []).append(p)
            for shape, matrices in shapes.items():
                updates = []
                for p in matrices:
                    running = self.state[p].setdefault("momentum", torch.zeros_like(p))
                    running.lerp_(p.grad, 1 - group["momentum"])
                    updates.append(torch.lerp(p.grad, running, group["momentum"]))  # type: ignore[arg-type]
                size = -group["lr"] * 0.2 * math.sqrt(max(shape))
                stacked = torch.stack(updates)
                for p, update in zip(matrices, orthogonalise(stacked.to(self.dtype or stacked.dtype)), strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=size)
