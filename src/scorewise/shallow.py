"""The network of the theory: two layers, ReLU, fixed signs, started at 0, trained by plain gradient descent."""

import math
from collections.abc import Callable, Iterator
from typing import final

import torch
from torch import Tensor, nn

from scorewise.covariance import Covariance


@final
class TwoLayer(nn.Module):
    """A two-layer ReLU network in the scaling of the tangent kernel: `f_a(x) = m^(-1/2) sum_r signs_ar relu(w_r' x)`.

    The hidden weights start normal, the output weights as random signs; neurons come in pairs with the same hidden
    weights and opposite signs, so the network starts as the function 0. As the width m grows its tangent kernel tends
    to `hidden_kernel`, or to `tangent_kernel` where the output weights are trained too, with an error of order
    `m^(-1/2)`.

    Shape:
        Input: (B, p), a coordinate 1 for the bias included (`lift`). Output: (B, D).

    Args:
        inputs: number of inputs, p.
        outputs: number of outputs, D.
        width: number of neurons m, even.
        train_output: train the output weights too.
        generator: source of randomness of the initial weights.
        dtype: of the weights.

    Raises:
        ValueError: if the width is odd.

    Reference: Jacot, Gabriel, Hongler, "Neural tangent kernel", 2018 (scaling); Zhang, Xu, Luo, Ma, "A type of
    generalization error induced by initialization in deep neural networks", 2019 (pairs of opposite neurons).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int,
        *,
        train_output: bool = False,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if width % 2 or width < 2:
            raise ValueError(f"width must be even, however: {width=}. Neurons come in pairs of opposite sign.")
        hidden = torch.randn(width // 2, inputs, generator=generator, dtype=dtype)
        signs = torch.randint(0, 2, (outputs, width // 2), generator=generator).to(dtype) * 2 - 1
        self.hidden = nn.Parameter(hidden.repeat(2, 1))
        self.signs = nn.Parameter(torch.cat([signs, -signs], 1), requires_grad=train_output)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = (x @ self.hidden.mT).relu() @ self.signs.mT
        return out / math.sqrt(self.signs.shape[1])


def gradient_descent(
    network: nn.Module,
    predict: Callable[[], Tensor],
    labels: Tensor,
    assumed: Covariance,
    rate: float,
) -> Iterator[Tensor]:
    """Train by full-batch gradient descent on `(1/2n) sum_i |whiten_i(y_i - f(x_i))|^2`, one step an item, for ever.

    Args:
        network: what is trained, in place.
        predict: its outputs at all n rows, shape (n, D).
        labels: shape (n, D).
        assumed: covariance of each label that the weight assumes, n of them on shape (D,).
        rate: step size; below one over the largest eigenvalue of the weighted kernel it descends.

    Yields:
        The outputs before each step, shape (n, D); the step is taken when the next item is asked for.
    """
    trained = [p for p in network.parameters() if p.requires_grad]
    while True:
        outputs = predict()
        yield outputs.detach()
        loss = assumed.whiten(labels - outputs).square().sum() / (2 * len(labels))
        with torch.no_grad():
            for p, gradient in zip(trained, torch.autograd.grad(loss, trained), strict=True):
                p.sub_(gradient, alpha=rate)
