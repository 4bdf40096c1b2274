"""Coupling: how far a network trained by gradient descent is from the kernel path it should follow."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from scorewise.covariance import Covariance
from scorewise.descent import Path
from scorewise.shallow import gradient_descent
from scorewise.tangent import empirical_kernel


class Coupling(NamedTuple):
    """Distances after a number of steps, each relative to the size of what it is a distance from.

    Attributes:
        step: number of steps.
        limit: network to the path of the limit kernel, `|f - f_limit| / |f_limit|` in the weighted norm of the rows.
        initial: network to the path of its own tangent kernel at the start.
        weights: `|theta_T - theta_0| / |theta_0|` of the trained parameters.
        kernel: `|K_T - K_0| / |K_0|` of its tangent kernel, in the Frobenius norm.
    """

    step: int
    limit: float
    initial: float
    weights: float
    kernel: float


def coupling(
    network: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    assumed: Covariance,
    gram: Tensor,
    rate: float,
    steps: Sequence[int],
) -> Iterator[Coupling]:
    """Train a network by gradient descent and compare it with its kernel paths on the way.

    Paths start where the network starts: they are those of the labels minus its first outputs.

    Args:
        network: what is trained, in place.
        inputs: shape (n, p).
        labels: shape (n, D).
        assumed: covariance of each label that the weight assumes, n of them on shape (D,).
        gram: limit kernel of the inputs, shape (n, n).
        rate: step size.
        steps: numbers of steps to compare at, increasing, from 1 on.

    Yields:
        The distances at each of the steps.
    """
    first = network(inputs).detach()
    kernel = empirical_kernel(network, [inputs])
    compared = torch.tensor(list(steps), device=labels.device)
    paths = [Path(k, labels - first, assumed).fitted(rate, compared) for k in (gram, kernel)]
    start = _trained(network)
    outputs = gradient_descent(network, lambda: network(inputs), labels, assumed, rate)
    for done, f in enumerate(outputs):
        if done in steps:
            moved = assumed.whiten(f - first)
            at = list(steps).index(done)
            limit, initial = (float((moved - path[at]).norm() / path[at].norm()) for path in paths)
            drift = float((empirical_kernel(network, [inputs]) - kernel).norm() / kernel.norm())
            yield Coupling(done, limit, initial, float((_trained(network) - start).norm() / start.norm()), drift)
        if done >= max(steps):
            return


def slope(x: Tensor, y: Tensor) -> Tensor:
    """Slope of a straight line through `(log x, log y)` by least squares: the exponent of a power law.

    Args:
        x: positive numbers, shape (K,).
        y: positive numbers, shape (*, K).

    Returns:
        Slopes, shape (*).
    """
    u = x.log() - x.log().mean()
    return (y.log() * u).sum(-1) / u.square().sum()


def _trained(network: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters() if p.requires_grad])
