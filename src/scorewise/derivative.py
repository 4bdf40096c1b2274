"""Derivatives of the log-density of a noise in the noisy row: closed for Gaussian noise, automatic for the rest."""

from collections.abc import Callable

import torch
from torch import Tensor

from scorewise.noise import Draw, Gaussian, LocationScale, Noise
from scorewise.symmetric import multi_indices, multiplicities, unpack


def in_full(noise: Noise, draw: Draw, order: int) -> list[Tensor]:
    """Differentiate `log q(x_t | x, t)` in `x_t`, whole tensors.

    For Gaussian noise, with `eps = (x_t - alpha_t x) / sigma_t`: `-eps / sigma_t`, `-I / sigma_t^2`, then 0. Else each
    of the `C(d + k - 1, k)` entries that differ is one nested forward derivative.

    Args:
        noise: law of the noisy rows.
        draw: a noisy batch.
        order: the highest order, at least 1.

    Returns:
        `grad^k log q` for k = 1, ..., order; shapes (B, d), (B, d, d), ...
    """
    size, d = draw.x_t.shape
    if isinstance(noise, Gaussian):
        sigma_t = noise.schedule.sigma(draw.t)
        unit = torch.eye(d, dtype=draw.x_t.dtype, device=draw.x_t.device)
        first, second = -noise.standardise(draw) / sigma_t[:, None], -unit / sigma_t.square()[:, None, None]
        return [first, second, *(second.new_zeros(size, *[d] * k) for k in range(3, order + 1))][:order]
    unit = torch.eye(d, dtype=draw.x_t.dtype, device=draw.x_t.device)
    found = []
    for k in range(1, order + 1):
        indices = multi_indices(d, k, draw.x_t.device)
        log_prob = _shifted_log_prob(noise, draw, [unit[indices[:, a]] for a in range(k)])
        entries = _nested(log_prob, k, len(indices), draw)
        found.append(unpack(entries * multiplicities(d, k, entries).sqrt(), d, k))
    return found


def in_directions(noise: Noise, draw: Draw, order: int, directions: Tensor) -> list[Tensor]:
    """Differentiate `log q(x_t + s v | x, t)` in s at 0, once for each direction v.

    Args:
        noise: law of the noisy rows.
        draw: a noisy batch.
        order: the highest order, at least 1.
        directions: v, shape (m, d) or (B, m, d).

    Returns:
        `grad^k log q [v, ..., v]` for k = 1, ..., order, each of shape (B, m).
    """
    v = directions.expand(len(draw.x_t), *directions.shape[-2:])
    if isinstance(noise, Gaussian):
        sigma_t = noise.schedule.sigma(draw.t)[:, None]
        first = -torch.einsum("bmd,bd->bm", v, noise.standardise(draw)) / sigma_t
        return _elementwise(first, -v.square().sum(2) / sigma_t.square(), order)
    return [
        _nested(_shifted_log_prob(noise, draw, [directions] * k), k, directions.shape[-2], draw)
        for k in range(1, order + 1)
    ]


def in_coordinates(noise: Noise, draw: Draw, order: int) -> list[Tensor]:
    """Differentiate `log q` in each coordinate of `x_t` alone: the diagonals of the tensors.

    Args:
        noise: law of the noisy rows. If its coordinates are independent, all are differentiated together.
        draw: a noisy batch.
        order: the highest order, at least 1.

    Returns:
        `d^k log q / d x_t,i^k` for k = 1, ..., order, each of shape (B, d).
    """
    d = draw.x_t.shape[1]
    if isinstance(noise, Gaussian):
        sigma_t = noise.schedule.sigma(draw.t)[:, None]
        first = -noise.standardise(draw) / sigma_t
        return _elementwise(first, -sigma_t.pow(-2).expand_as(first), order)
    if isinstance(noise, LocationScale):
        eps, sigma_t = noise.standardise(draw), noise.schedule.sigma(draw.t)[:, None]
        if noise.log_factors(eps[:1]).shape[1] == d:

            def factors(*shifts: Tensor) -> Tensor:
                return noise.log_factors(eps + sum(shifts) / sigma_t)

            return [_nested(factors, k, d, draw) for k in range(1, order + 1)]
    return in_directions(noise, draw, order, torch.eye(d, dtype=draw.x_t.dtype, device=draw.x_t.device))


def _elementwise(first: Tensor, second: Tensor, order: int) -> list[Tensor]:
    return [first, second, *(torch.zeros_like(first) for _ in range(order - 2))][:order]


def _shifted_log_prob(noise: Noise, draw: Draw, directions: list[Tensor]) -> Callable[..., Tensor]:
    def log_prob(*shifts: Tensor) -> Tensor:
        x_t = draw.x_t[:, None]
        for shift, v in zip(shifts, directions, strict=True):
            x_t = x_t + shift[..., None] * v
        return noise.log_prob(x_t, draw.x[:, None], draw.t[:, None])

    return log_prob


def _nested(function: Callable[..., Tensor], order: int, width: int, draw: Draw) -> Tensor:
    # d^k f / (d s_1 ... d s_k) at 0, elementwise in (B, width): one forward derivative inside the other
    zero = draw.x_t.new_zeros(len(draw.x_t), width)

    def differentiated(*done: Tensor) -> Tensor:
        if len(done) == order:
            return function(*done)
        slope: Tensor = torch.func.jvp(lambda s: differentiated(*done, s), (zero,), (torch.ones_like(zero),))[1]
        return slope

    return differentiated()
