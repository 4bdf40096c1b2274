"""Losses of any order whose variance does not blow up at small noise: control variates instead of weights.

`E[T_k | x] = int grad^k q = 0` for `k >= 1`, so whatever does not depend on the noise may multiply `T_k` and be
subtracted. A model of `M_k` changes little between `alpha_t x` and `x_t` when the noise is small, which is where `T_k`
is large. Weights only rebalance that variance over levels and rows; a control variate removes it, at the price of one
or two more evaluations.
"""

from collections.abc import Callable

from torch import Tensor

from scorewise.noise import Draw, LocationScale
from scorewise.target import Target

Model = Callable[[Tensor, Tensor], Tensor]
"""`(x (B, d), t (B,)) -> (B, *E)`, a model of `E[T_k | x_t = x]` in the form of the target."""


def plain_loss(model: Model, target: Target, draw: Draw) -> Tensor:
    """Score a model by its squared error without the constant, `|m(x_t)|^2 - 2 <T_k, m(x_t)>`.

    Its variance grows like `sigma_t^(-2k)` as the noise vanishes.

    Args:
        model: of `E[T_k | x_t]`.
        target: the label.
        draw: a noisy batch.

    Returns:
        `|m - T_k|^2 - |T_k|^2`, shape (B,).
    """
    found = model(draw.x_t, draw.t)
    return _dot(found, found) - 2 * _dot(target.label(draw), found)


def control_variate_loss(model: Model, target: Target, draw: Draw) -> Tensor:
    """Subtract what the model says without noise, `|m(x_t)|^2 - 2 <T_k, m(x_t) - m(alpha_t x)>`.

    It has the mean of `plain_loss`; its variance grows like `sigma_t^(2 - 2k)`: not at all for the score.

    Args:
        model: of `E[T_k | x_t]`.
        target: the label, under location-scale noise.
        draw: a noisy batch.

    Returns:
        Shape (B,).

    Raises:
        TypeError: if the noise is not of location and scale.

    References:
        Meng, Song, Li, Ermon, "Estimating high order gradients of the data distribution by denoising", 2021 (the
        variance-reduced loss of the second order); Wang, Cheng, Li, Zhu, Zhang, "A Wasserstein minimum velocity
        approach to learning unnormalized models", 2020 (the control variate of the first order). Any order: derived.
    """
    found, still = model(draw.x_t, draw.t), model(_location(target, draw), draw.t)
    return _dot(found, found) - 2 * _dot(target.label(draw), found - still)


def antithetic_loss(model: Model, target: Target, draw: Draw) -> Tensor:
    """Use every noise with both signs, `x_+- = alpha_t x +- sigma_t eps`, and the control variate.

    For even k it is `(|m(x_+)|^2 + |m(x_-)|^2) / 2 - <T_k, m(x_+) + m(x_-) - 2 m(alpha_t x)>`; for odd k
    `(|m(x_+)|^2 + |m(x_-)|^2) / 2 - <T_k, m(x_+) - m(x_-)>`. It has the mean of `plain_loss`, and up to k = 2 a
    variance that stays bounded as the noise vanishes.

    Args:
        model: of `E[T_k | x_t]`.
        target: the label, under location-scale noise.
        draw: a noisy batch.

    Returns:
        Shape (B,).

    Raises:
        TypeError: if the noise is not of location and scale.

    Reference: Meng, Song, Li, Ermon, "Estimating high order gradients of the data distribution by denoising", 2021
    (the variance-reduced loss of the second order). Any order: derived.
    """
    location = _location(target, draw)
    plus, minus = model(draw.x_t, draw.t), model(2 * location - draw.x_t, draw.t)
    apart = plus - minus if target.order % 2 else plus + minus - 2 * model(location, draw.t)
    return 0.5 * (_dot(plus, plus) + _dot(minus, minus)) - _dot(target.label(draw), apart)


def _location(target: Target, draw: Draw) -> Tensor:
    if not isinstance(target.noise, LocationScale):
        raise TypeError(
            f"a control variate needs location-scale noise, however: {type(target.noise).__name__}. "
            "Use plain_loss, or a weight."
        )
    return target.noise.schedule.alpha(draw.t)[:, None] * draw.x


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)
