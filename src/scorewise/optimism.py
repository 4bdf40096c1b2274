"""Optimism: how much lower the loss is on training rows than on new ones, told without new rows.

Training draws fresh noise at every step, but the rows are the same; what a network learns of a row beyond what other
rows tell it lowers the loss on that row alone. Three estimates of the difference: from rows that are trained on with
unequal weights, from the tangent kernel of a snapshot, and from labels that are shifted by a known amount.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp, vjp

from scorewise.estimate import Estimate
from scorewise.lanczos import measure

Residual = Callable[[Callable[..., Any], Tensor, torch.Generator], Tensor]
"""Whitened residuals, shape (B, D), of a network (a function of its inputs), for the clean rows of given indices (B,),
with noise from a generator. The covariance that whitens must carry no gradient."""


def row_weights(rows: int, light: float = 0.25, share: float = 0.1, generator: torch.Generator | None = None) -> Tensor:
    """Weights for the loss of each row: a share of the rows light, the others a little more than 1, of mean 1.

    Every row is trained on. The effective number of rows, `N / mean(w^2)`, is 6 % below N for the defaults.

    Args:
        rows: number of rows, N.
        light: weight of the light ones, in [0, 1); 0 would be to hold them out.
        share: their share.
        generator: which ones; the weights are on its device.

    Returns:
        Weights, shape (N,), in float64.

    Raises:
        ValueError: if no row or every row would be light, or light rows would not be.
    """
    count = round(share * rows)
    if not 0 < count < rows or not 0 <= light < 1:
        raise ValueError(
            f"there must be light rows and others, and light must be below 1, however: {rows=}, {light=}, {share=}. "
            "Take a larger share of so few rows."
        )
    device = None if generator is None else generator.device
    weight = torch.full((rows,), (rows - light * count) / (rows - count), dtype=torch.float64, device=device)
    weight[torch.randperm(rows, generator=generator, device=device)[:count]] = light
    return weight


def extrapolation(weight: Tensor) -> Tensor:
    """Factors that extrapolate the loss of rows to a row that is not trained on.

    A least-squares line through the losses of rows against their weights has at weight 0 the value
    `mean(factor * loss)`, `factor = 1 - mean(w) (w - mean(w)) / var(w)`. To first order in the weights the loss at
    weight 0 is that of new rows; as losses fall ever more slowly with the weight, it is below it, the less the lighter
    the light rows are.

    Args:
        weight: weights that the losses of the rows are trained with, shape (N,).

    Returns:
        Factors of mean 1, shape (N,), for a `Record`.

    Raises:
        ValueError: if all weights are equal.

    Reference: derived here from the infinitesimal jackknife, Jaeckel, "The infinitesimal jackknife", 1972.
    """
    centred = weight - weight.mean()
    variance = centred.square().mean()
    if float(variance) <= 1e-12 * float(weight.mean()) ** 2:
        raise ValueError(f"weight must differ between rows, however: var(weight)={float(variance):g}. Use row_weights.")
    return 1 - weight.mean() * centred / variance


def snapshot_optimism(
    network: nn.Module,
    residual: Residual,
    rows: int,
    step_sizes: Sequence[Tensor],
    generator: torch.Generator,
    batch: int = 512,
    probes: int = 2,
    copies: int = 2,
    products: int = 10,
) -> Estimate:
    """Estimate the optimism of the squared whitened residual from the tangent kernel of a network as it stands.

    `(2 / (N D)) tr[G (1 - exp(-P H)) / H]` in the metric P of the step sizes, with `H = E[J'J]` of the whitened
    network and G the covariance between clean rows of the gradient, averaged over the noise: the label noise that all
    noisy copies of a row share. With P to infinity it is Takeuchi's criterion; the exponential is how much of it
    gradient descent has fitted by now. G enters by gradients with a random sign for each row, two of them with the same
    signs and other noise, so that noise drops out of their product.

    It takes the kernel to have been what it is now. Where features are learned it was smaller before, and the estimate
    is too large: it stops early.

    Args:
        network: trained on the mean over rows of `0.5 |residual|^2`; left as it is.
        residual: of the network at some rows.
        rows: number of clean rows, N.
        step_sizes: sum over all steps so far of each trained parameter's step per unit of gradient, in the order of
            `network.parameters()`: the sum of the learning rates for plain descent, `adam_step_sizes` for Adam.
        generator: source of the rows and of the noise.
        batch: rows that H is taken from, and that each gradient of G is.
        probes: pairs of gradients, at least 2.
        copies: noisy copies of each row that a gradient of G is averaged over.
        products: with H, for each gradient.

    Returns:
        Optimism per coordinate and its standard error over the probes; shape ().

    Reference: Takeuchi, "Distribution of informational statistics and a criterion of model fitting", 1976; the finite
    time and the clusters are derived here.
    """
    trained = {name: p.detach().clone() for name, p in network.named_parameters() if p.requires_grad}
    root = torch.cat([s.expand(p.shape).flatten() for s, p in zip(step_sizes, trained.values(), strict=True)]).sqrt()
    sizes = [p.numel() for p in trained.values()]

    def flat(parameters: dict[str, Tensor]) -> Tensor:
        return root * torch.cat([parameters[name].flatten() for name in trained])

    def unflat(v: Tensor) -> dict[str, Tensor]:
        pieces = torch.split(root * v, sizes)
        return {name: piece.reshape(p.shape) for (name, p), piece in zip(trained.items(), pieces, strict=True)}

    def at(row: Tensor) -> Callable[[dict[str, Tensor]], Tensor]:
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))

        def outputs(parameters: dict[str, Tensor]) -> Tensor:
            again = torch.Generator(generator.device).manual_seed(seed)
            return residual(lambda *inputs: functional_call(network, parameters, inputs), row, again)

        return outputs

    fixed = at(torch.randint(rows, (batch,), generator=generator, device=generator.device))
    found, pull = vjp(fixed, trained)[:2]

    def product(v: Tensor) -> Tensor:
        return flat(pull(jvp(fixed, (trained,), (unflat(v),))[1])[0]) / batch

    def gradient(row: Tensor, sign: Tensor) -> Tensor:
        value, back = vjp(at(row.repeat(copies)), trained)[:2]
        return flat(back(value.detach() * sign.repeat(copies, 1))[0]) / (copies * math.sqrt(len(row)))

    starts = []
    for _ in range(probes):
        row = torch.randperm(rows, generator=generator, device=generator.device)[:batch]
        sign = torch.randint(2, (len(row), 1), generator=generator, device=generator.device) * 2 - 1
        one, other = gradient(row, sign), gradient(row, sign)
        starts += [one + other, one - other]

    def filtered(nodes: Tensor) -> Tensor:
        return torch.where(nodes > 1e-9, -(-nodes).expm1() / nodes.clamp(min=1e-9), 1.0)

    sums = measure(product, torch.stack(starts), products).sums(filtered).reshape(probes, 2)
    return Estimate.of_mean((sums[:, 0] - sums[:, 1]) / 4 * 2 / (rows * found.shape[1]))


def adam_step_sizes(optimizer: torch.optim.Adam) -> list[Tensor]:
    """Steps that Adam took per unit of gradient, for `snapshot_optimism`, as if its preconditioner had been what it is.

    Args:
        optimizer: Adam or AdamW at a learning rate that was constant, with one step taken or more.

    Returns:
        `steps * rate / (sqrt(v) + eps)` of each parameter, with v the bias-corrected mean square of its gradient.

    Reference: Kingma, Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1.
    """
    sizes = []
    for group in optimizer.param_groups:
        for p in group["params"]:
            state = optimizer.state[p]
            steps = float(state["step"])
            mean_square = state["exp_avg_sq"] / (1 - group["betas"][1] ** steps)
            sizes.append(steps * float(group["lr"]) / (mean_square.sqrt() + group["eps"]))
    return sizes


def covariance_penalty(fitted: Tensor, shift: Tensor, size: float) -> Tensor:
    """Optimism of each noisy row from its response to labels that were shifted on purpose: `2 fitted'shift / size`.

    Each clean row has a shift of its own, drawn once with the covariance of the label noise that its noisy copies share
    (not that of one copy, most of which is the noise that is drawn anew); the network is trained on
    `label + size * shift` and so fits a part of the shift, whose mean product with it is the optimism.

    It counts what the fit at the training points owes to their labels. New rows lie elsewhere, where a network that
    memorises is worse still, so it falls short of the optimism on them; how far, `experiments/stopping/networks.py`
    says.

    Args:
        fitted: whitened fitted values, or residuals, which have less noise, shape (B, D).
        shift: whitened shifts, shape (B, D).
        size: factor of the shifts in the labels.

    Returns:
        Optimism per coordinate, its mean over rows being the estimate, shape (B,).

    Reference: Efron, "The estimation of prediction error: covariance penalties and cross-validation", 2004, eq. 2.8.
    """
    return 2 / size * (fitted * shift).mean(1)
