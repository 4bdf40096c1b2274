"""Descent along the nearest orthogonal matrix: an optimiser for the hidden layers of a network."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from scorewise.optimiser import Optimiser

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


class Muon(Optimiser):
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
        super().__init__(matrices, lr)
        self.momentum, self.weight_decay, self.dtype = momentum, weight_decay, dtype
        for p in self.parameters:
            if p.ndim != 2:
                raise ValueError(
                    f"matrices must have two dimensions, however: shape={tuple(p.shape)}. "
                    "Leave vectors to another optimiser."
                )

    @torch.no_grad()
    def step(self) -> None:
        """Move all matrices that have a gradient."""
        shapes: dict[torch.Size, dict[nn.Parameter, Tensor]] = {}
        for p, gradient in self.gradients().items():
            running = self.state.setdefault(p, {}).setdefault("momentum", torch.zeros_like(p))
            running.lerp_(gradient, 1 - self.momentum)
            shapes.setdefault(p.shape, {})[p] = torch.lerp(gradient, running, self.momentum)
        for shape, matrices in shapes.items():
            size = -self.lr * 0.2 * math.sqrt(max(shape))
            stacked = torch.stack(list(matrices.values()))
            for p, update in zip(matrices, orthogonalise(stacked.to(self.dtype or stacked.dtype)), strict=True):
                p.mul_(1 - self.lr * self.weight_decay).add_(update.to(p.dtype) * size)
