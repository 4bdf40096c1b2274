"""Neural tangent kernels: in closed form for a two-layer ReLU network, and empirical for any module."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, jvp, vjp, vmap

from scorewise.estimate import Estimate
from scorewise.lanczos import Operator

Kernel = Callable[[Tensor, Tensor], Tensor]
"""A kernel of inputs, shapes (N, p) and (M, p), to its matrix, shape (N, M). Kernels are added as functions are."""

Read = Callable[[Any], Tensor]
"""What of a module's output is meant, shape (N, D). Composed with `whiten` of N covariances it weights the kernel."""


def hidden_kernel(x: Tensor, z: Tensor) -> Tensor:
    """Tangent kernel of the hidden weights of an infinitely wide two-layer ReLU network.

    `k(x, z) = x'z (pi - phi) / (2 pi)` with phi the angle between x and z. It is the limit for
    `f(x) = m^(-1/2) sum_r a_r relu(w_r' x)`, `w_r ~ N(0, I)`, `a_r = +-1`, when the w are trained. Different outputs
    with signs of their own do not interact: for D outputs the kernel is `k I_D`.

    Args:
        x: inputs, with a coordinate 1 where the network has a bias, shape (N, p).
        z: inputs, shape (M, p).

    Returns:
        The matrix, shape (N, M), in squared units of the inputs.

    Reference: Cho, Saul, "Kernel methods for deep learning", 2009, section 2 (order 0); derived here.
    """
    product, _, angle = _angles(x, z)
    return product * (math.pi - angle) / (2 * math.pi)


def output_kernel(x: Tensor, z: Tensor) -> Tensor:
    """Tangent kernel of the output weights of an infinitely wide two-layer ReLU network.

    `k(x, z) = |x| |z| (sin phi + (pi - phi) cos phi) / (2 pi)`, to be added to `hidden_kernel` when the `a_r` are
    trained too.

    Args:
        x: inputs, with a coordinate 1 where the network has a bias, shape (N, p).
        z: inputs, shape (M, p).

    Returns:
        The matrix, shape (N, M), in squared units of the inputs.

    Reference: Cho, Saul, "Kernel methods for deep learning", 2009, eq. 6 (order 1).
    """
    product, norms, angle = _angles(x, z)
    return (norms * angle.sin() + (math.pi - angle) * product) / (2 * math.pi)


def tangent_kernel(x: Tensor, z: Tensor) -> Tensor:
    """Tangent kernel of a two-layer ReLU network that trains both layers: `hidden_kernel + output_kernel`.

    Args:
        x: inputs, shape (N, p).
        z: inputs, shape (M, p).

    Returns:
        The matrix, shape (N, M), in squared units of the inputs.
    """
    product, norms, angle = _angles(x, z)
    return (norms * angle.sin() + 2 * (math.pi - angle) * product) / (2 * math.pi)


def _angles(x: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Inner products, products of norms and angles of all pairs, shape (N, M) each."""
    product = x @ z.mT
    norms = x.norm(dim=1)[:, None] * z.norm(dim=1)
    return product, norms, (product / norms.clamp(min=torch.finfo(x.dtype).tiny)).clamp(-1, 1).arccos()


def _identity(output: Any) -> Tensor:
    tensor: Tensor = output
    return tensor


def _trained(module: nn.Module) -> tuple[dict[str, Tensor], Callable[..., Any]]:
    """Split off the parameters that are trained, and make the module a function of them and of its inputs.

    Raises:
        ValueError: if no parameter is trained.
    """
    trained = {name: p.detach().clone() for name, p in module.named_parameters() if p.requires_grad}
    fixed = {name: p.detach() for name, p in module.named_parameters() if not p.requires_grad}
    fixed |= {name: b.detach() for name, b in module.named_buffers()}
    if not trained:
        raise ValueError(
            f"module must have a parameter that requires a gradient, however: {type(module).__name__} has none. "
            "A kernel is the products of the gradients of parameters; let one of them be trained."
        )
    return trained, lambda parameters, *inputs: functional_call(module, {**fixed, **parameters}, inputs)


def jacobian(module: nn.Module, inputs: Sequence[Tensor], read: Read = _identity, chunk: int | None = None) -> Tensor:
    """Derivatives of every output with respect to all trained parameters, row by row.

    Args:
        module: treats the rows of a batch one by one (no batch normalisation).
        inputs: arguments of the module, N rows each, shape (N, *).
        read: picks the output out of what the module returns for one row, as a batch of one.
        chunk: rows at a time; None is all of them.

    Returns:
        J, shape (N, D, P).

    Raises:
        ValueError: if no parameter is trained.
    """
    trained, call = _trained(module)

    def outputs(parameters: dict[str, Tensor], *row: Tensor) -> Tensor:
        return read(call(parameters, *(x[None] for x in row)))[0]

    axes = (None, *[0] * len(inputs))
    derivatives: dict[str, Tensor] = vmap(jacrev(outputs), in_dims=axes, chunk_size=chunk)(trained, *inputs)
    return torch.cat([derivatives[name].flatten(2) for name in trained], 2)


def empirical_kernel(
    module: nn.Module,
    inputs: Sequence[Tensor],
    others: Sequence[Tensor] | None = None,
    read: Read = _identity,
    rows: int = 256,
) -> Tensor:
    """Tangent kernel of a module at its present parameters, `K[i, a, j, b] = <df_a(x_i), df_b(z_j)>`.

    For training rows in the order (row, output) it is `K.flatten(2).flatten(0, 1)`, shape (N D, N D).

    Args:
        module: treats the rows of a batch one by one.
        inputs: arguments of the module, N rows each.
        others: M rows to pair them with; None is the same rows.
        read: picks the output out of what the module returns for a batch.
        rows: rows whose derivatives (D P numbers each) are held at a time, twice.

    Returns:
        K, shape (N, D, M, D).

    Raises:
        ValueError: if no parameter is trained.
    """
    pairs = inputs if others is None else others
    blocks: list[list[Tensor]] = []
    for i, left in enumerate(_cut(inputs, rows)):
        j_left = jacobian(module, left, read)
        line: list[Tensor] = []
        for j, right in enumerate(_cut(pairs, rows)):
            if others is None and j < i:
                line.append(blocks[j][i].permute(2, 3, 0, 1))
                continue
            j_right = j_left if others is None and j == i else jacobian(module, right, read)
            line.append(torch.einsum("nap,mbp->namb", j_left, j_right))
        blocks.append(line)
    return torch.cat([torch.cat(line, 2) for line in blocks])


def _cut(tensors: Sequence[Tensor], rows: int) -> list[tuple[Tensor, ...]]:
    return list(zip(*(torch.split(x, rows) for x in tensors), strict=True))


def kernel_operator(module: nn.Module, inputs: Sequence[Tensor], read: Read = _identity) -> Operator:
    """The empirical tangent kernel as an operator, `v -> J J' v / N`, by one vjp and one jvp a product.

    With `read` composed with `whiten` of the label covariances it is the weighted kernel S whose spectrum the
    stopping rules read: `read=lambda output: cov.whiten(output.mean)`.

    Args:
        module: any module; its trained parameters are copied, so that training on does not change the operator.
        inputs: arguments of the module, N rows each.
        read: picks the output out of what the module returns, shape (N, D).

    Returns:
        The operator on vectors of shape (N D,).

    Raises:
        ValueError: if no parameter is trained.
    """
    trained, call = _trained(module)

    def outputs(parameters: dict[str, Tensor]) -> Tensor:
        return read(call(parameters, *inputs))

    found, pull = vjp(outputs, trained)[:2]

    def product(v: Tensor) -> Tensor:
        tangent: Tensor = jvp(outputs, (trained,), pull(v.reshape(found.shape)))[1]
        return tangent.flatten() / len(found)

    return product


def subsample(
    statistic: Callable[[Tensor], Tensor], rows: int, size: int, repeats: int, generator: torch.Generator | None = None
) -> Estimate:
    """A statistic of a kernel from subsamples of its rows, extrapolated to all rows.

    Sums over the spectrum of `K / n`, such as `(1/n) sum_k min(lambda_k, eps2)`, are off by a term of order `1/n` when
    n rows are taken instead of N. The two halves of every subsample tell its size: with v(n) the statistic of n rows
    the estimate is `v(n) + (v(n) - v(n/2)) (1 - n/N)`. What is left is of order `1/n^2`, and grows where small
    eigenvalues matter, of which a subsample has too few.

    Args:
        statistic: of the indices of the rows taken, shape (n,), to a tensor of any shape.
        rows: number of rows there are, N.
        size: rows of a subsample n, drawn without replacement, even.
        repeats: number of subsamples, at least 2; they are disjoint as long as the rows suffice.
        generator: source of randomness (on the CPU).

    Returns:
        Mean over the subsamples and its standard error, from the spread between them.

    Raises:
        ValueError: if a subsample has no halves or is larger than the data.

    Reference: derived here.
    """
    if not 2 <= size <= rows or size % 2:
        raise ValueError(f"size must be even, from 2 to rows, however: {size=}, {rows=}. Take a smaller subsample.")
    passes = -(-repeats // (rows // size))
    queue = [torch.randperm(rows, generator=generator) for _ in range(passes)]
    subsets = [subset for order in queue for subset in torch.split(order, size) if len(subset) == size][:repeats]
    found = []
    for subset in subsets:
        whole = statistic(subset)
        halves = sum((statistic(half) for half in torch.split(subset, size // 2)), torch.zeros_like(whole)) / 2
        found.append(whole + (whole - halves) * (1 - size / rows))
    return Estimate.of_mean(torch.stack(found))
