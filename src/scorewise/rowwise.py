"""A function of a module's parameters with one value a row, and its derivatives; the module is left as it is."""

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar, final

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap
from torch.utils._pytree import tree_leaves, tree_map

Batch = TypeVar("Batch")
Call = Callable[..., Any]
"""The module as a function of its inputs alone; the parameters are filled in behind it."""


@final
class Rowwise(Generic[Batch]):
    """A function of parameters and of a batch with one value for each row: losses, or whitened residuals.

    `function(call, batch)` calls the module through `call` and returns a tensor of shape (B, *E), for example
    `lambda call, draw: loss(call(draw.x_t, draw.t), draw.x).objective`. A batch is a tensor, or tensors in tuples,
    named tuples (such as a `Draw` that was given its `row`) or dictionaries, all with B rows. Parameters are those that
    require a gradient, as they are at the time of a call; a direction is one vector of all P of them, in the order of
    `module.named_parameters()`.

    Neither parameters, buffers, mode nor `.grad` of the module change; buffers that a forward pass updates are copies.
    A gradient is stopped by `detach`, which both modes of differentiation honour; `torch.no_grad` stops one alone.

    Args:
        module: any module.
        function: of the module as a function and of a batch, to a tensor with one entry a row.
        example: a batch of two rows or more, on which the requirements below are checked.
        tolerance: relative difference up to which two values count as equal in these checks.

    Raises:
        ValueError: if no parameter requires a gradient; if the values are not one a row; if the value of a row depends
            on other rows or changes from call to call (batch normalisation or dropout in training mode); if forward
            and reverse mode disagree.
    """

    def __init__(
        self, module: nn.Module, function: Callable[[Call, Batch], Tensor], example: Batch, tolerance: float = 1e-3
    ) -> None:
        self.module = module
        self.function = function
        if not self._parameters():
            raise ValueError(
                f"module must have a parameter that requires a gradient, however: {type(module).__name__} has none. "
                "Let requires_grad be True for the parameters to diagnose."
            )
        cuda = [p.device for p in self._parameters().values() if p.device.type == "cuda"]
        with torch.random.fork_rng(devices=cuda[:1]):  # dropout, which is refused, must not move the caller's generator
            self._check(example, tolerance)

    def _check(self, example: Batch, tolerance: float) -> None:
        count = rows(example)
        if count < 2:
            raise ValueError(f"example must have two rows or more, however: {count=}. Give a batch as in training.")
        pair, twice = take(example, torch.tensor([0, 1])), take(example, torch.tensor([0, 0]))
        values = self.values(pair)
        if values.shape[:1] != (2,):
            raise ValueError(
                "function must return one value for each row, shape (B, *), however: it returned shape "
                f"{tuple(values.shape)} for B=2. Do not average over the rows."
            )
        size = tolerance * float(values.abs().max())
        for _ in range(4):  # by chance, dropout may do the same twice
            other = self.values(twice)
            if not torch.allclose(values[0], other[0], rtol=tolerance, atol=size, equal_nan=True):
                raise ValueError(
                    "the value of a row must depend on that row alone, however: "
                    f"{values[0].flatten()[:3].tolist()} beside one row and {other[0].flatten()[:3].tolist()} beside "
                    "another. Put batch normalisation and dropout into evaluation mode."
                )
        direction = self.mean_gradient(pair)
        forward = float(self.along(pair, direction)[1].sum())
        reverse = 2 * float(direction.square().sum())
        if abs(forward - reverse) > tolerance * max(abs(forward), abs(reverse)):
            raise ValueError(
                f"forward and reverse mode must agree, however: {forward=:g}, {reverse=:g} along the gradient. "
                "Stop gradients by detach(), not by torch.no_grad()."
            )

    @property
    def width(self) -> int:
        """Number of parameters, P."""
        return sum(p.numel() for p in self._parameters().values())

    def zero(self) -> Tensor:
        """The direction 0 in float64, to sum gradients into, on the device of the parameters, shape (P,)."""
        like = next(iter(self._parameters().values()))
        return torch.zeros(self.width, dtype=torch.float64, device=like.device)

    def values(self, batch: Batch) -> Tensor:
        """Evaluate, without a graph.

        Args:
            batch: B rows.

        Returns:
            Values, shape (B, *E).
        """
        with torch.no_grad():
            return self._evaluate(self._parameters(), batch)

    def along(self, batch: Batch, direction: Tensor) -> tuple[Tensor, Tensor]:
        """Differentiate every row along one direction of the parameters, in one forward-mode pass.

        No gradient of a row is ever stored: the extra memory is one more activation beside each activation.

        Args:
            batch: B rows.
            direction: v, shape (P,).

        Returns:
            Values and their derivatives `d/ds f_i(theta + s v)`, each of shape (B, *E).
        """
        parameters = self._parameters()
        tangents = self._unflattened(direction, parameters)
        value, slope = jvp(lambda one: self._evaluate(one, batch), (parameters,), (tangents,))[:2]
        return value, slope

    def gradients(self, batch: Batch) -> Tensor:
        """Gradient of every row's value (of the sum of its values, if there are several), by `vmap(grad)`.

        A function that asks a tensor of the batch for its truth value cannot be mapped; `along` and `mean_gradient`
        have no such limit.

        Args:
            batch: B rows; B P numbers are held at a time.

        Returns:
            Gradients, shape (B, P).
        """

        def one(parameters: dict[str, Tensor], row: Batch) -> Tensor:
            return self._evaluate(parameters, tree_map(lambda x: x[None], row)).sum()

        found: dict[str, Tensor] = vmap(grad(one), in_dims=(None, 0))(self._parameters(), batch)
        return torch.cat([part.flatten(1) for part in found.values()], 1)

    def mean_gradient(self, batch: Batch) -> Tensor:
        """Gradient of the mean over rows, in one reverse-mode pass.

        Args:
            batch: B rows.

        Returns:
            The gradient, shape (P,).
        """
        count = rows(batch)
        found: dict[str, Tensor] = grad(lambda one: self._evaluate(one, batch).sum() / count)(self._parameters())
        return torch.cat([part.flatten() for part in found.values()])

    def signs(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw a Rademacher direction: every coordinate is -1 or 1, each with probability one half.

        Args:
            generator: source of randomness, on any device.

        Returns:
            The direction on the device of the parameters, shape (P,).
        """
        like = next(iter(self._parameters().values()))
        device = "cpu" if generator is None else generator.device
        bits = torch.randint(0, 2, (self.width,), generator=generator, device=device, dtype=torch.int8)
        return bits.to(like.device, like.dtype) * 2 - 1

    def _parameters(self) -> dict[str, Tensor]:
        return {name: p.detach() for name, p in self.module.named_parameters() if p.requires_grad}

    def _evaluate(self, parameters: dict[str, Tensor], batch: Batch) -> Tensor:
        buffers = {name: b.detach().clone() for name, b in self.module.named_buffers()}

        def call(*args: Any, **kwargs: Any) -> Any:
            return functional_call(self.module, {**buffers, **parameters}, args, kwargs)

        return self.function(call, batch)

    @staticmethod
    def _unflattened(direction: Tensor, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        pieces = torch.split(direction, [p.numel() for p in parameters.values()])
        return {name: piece.reshape(p.shape).to(p) for (name, p), piece in zip(parameters.items(), pieces, strict=True)}


def rows(batch: Any) -> int:
    """Count the rows of a batch.

    Args:
        batch: tensors with the same number of rows.

    Returns:
        The number of rows, B.

    Raises:
        ValueError: if the tensors differ in it.
    """
    found = {len(leaf) for leaf in tree_leaves(batch)}
    if len(found) != 1:
        raise ValueError(f"all tensors of a batch must have the same number of rows, however: {sorted(found)}.")
    return int(found.pop())


def take(batch: Batch, index: Tensor | slice) -> Batch:
    """Pick rows of a batch.

    Args:
        batch: B rows.
        index: of the rows, shape (b,), or a slice.

    Returns:
        The rows, in a batch of the same kind.
    """
    picked: Batch = tree_map(lambda x: x[index.to(x.device) if isinstance(index, Tensor) else index], batch)
    return picked


def chunks(batch: Batch, size: int) -> Iterator[Batch]:
    """Cut a batch into pieces.

    Args:
        batch: B rows.
        size: rows of a piece; the last one may have fewer.

    Yields:
        The pieces, in order.
    """
    for start in range(0, rows(batch), size):
        yield take(batch, slice(start, start + size))
