"""The network of tables on a CPU, with what stands beside its products compiled."""

from typing import Any, overload

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from scorewise.binned import FARTHEST, LEAST_MASS, LEAST_RATIO, Binned
from scorewise.difference import REACH, Differences
from scorewise.experts import Experts
from scorewise.network import ABSENT, LEAST_LOG_ODDS, LEAST_SQUARE, TableDenoiser
from scorewise.posterior import Denoiser, Posterior
from scorewise.tabular import loops

LIMITS = loops.Limits(*(np.float32(limit) for limit in (FARTHEST, LEAST_MASS, LEAST_RATIO, LEAST_LOG_ODDS, REACH)))


class Fused(nn.Module):
    """A `TableDenoiser` on a CPU that goes through a batch in fewer passes; it shares the network's parameters.

    Most of what a CPU does in an evaluation beside the matrix products are passes over arrays of rows by columns by
    bins, which are larger than its caches. Here `loops` makes all that there is to make of a row before the next one.
    Beliefs are those of the network up to rounding, and so are the gradients of parameters. There are no other
    derivatives: not with respect to rows, forwards, of second order, or of many rows apart (`torch.func`).

    Shape:
        As of `TableDenoiser`; rows and levels in float32.

    Args:
        network: the denoiser.

    Raises:
        ValueError: if the network is not on a CPU and in float32.
    """

    def __init__(self, network: TableDenoiser) -> None:
        super().__init__()
        if not _fusible(network):
            held = network.log_prior
            raise ValueError(
                f"network must be on a CPU and in float32, however: {held.device}, {held.dtype}. Call it as it is."
            )
        self.network = network
        self._columns = _columns(network)
        self._sums = _sums(network.differences)
        self._compile()

    @torch.inference_mode(False)
    @torch.enable_grad()
    def _compile(self) -> None:
        """Compile all loops on a batch without rows, so that it is done before anything is timed."""
        x_t, sigma_t = torch.zeros(0, self.network.layout.width), torch.ones(1)
        rows = _rows(x_t, sigma_t)
        given = torch.zeros(0, self.network.outlet.out_features, requires_grad=True)
        posterior = self._believed(rows, self._features(rows, self.network.whitened(x_t, sigma_t)), given, sigma_t)
        assert posterior.margins is not None
        entropies = posterior.margins.cross_entropy(x_t[:, : self.network.layout.numbers])
        torch.autograd.grad(posterior.mean.sum() + entropies.sum(), given)

    def forward(self, x_t: Tensor, sigma_t: Tensor) -> Posterior:
        width = self.network.layout.width
        if x_t.requires_grad or x_t.dtype != torch.float32 or x_t.shape[1:] != (width,):
            raise ValueError(
                f"rows must be in float32, have {width} coordinates and need no derivative, however: "
                f"{x_t.dtype}, {tuple(x_t.shape)}, requires_grad={x_t.requires_grad}. "
                "Encode them by the network's codec, or call the network itself."
            )
        rows = _rows(x_t, sigma_t)
        features = self._features(rows, self.network.whitened(x_t, sigma_t))
        return self._believed(rows, features, self.network.given(features, sigma_t).to(x_t.dtype), sigma_t)

    def _features(self, rows: loops.Rows, whitened: Tensor) -> Tensor:
        features = torch.empty(len(whitened), self.network.features)
        features[:, : whitened.shape[1]] = whitened
        loops.features(rows, self._columns, self._sums, features.numpy())
        return features

    def _believed(self, rows: loops.Rows, features: Tensor, given: Tensor, sigma_t: Tensor) -> Posterior:
        network, n = self.network, self.network.layout.numbers
        correction, mean, log_p, log_evidence = _Beliefs.apply(  # type: ignore[no-untyped-call]
            given, rows, self._columns, torch.is_grad_enabled()
        )
        shape, start, end = (len(given), n, network.bins), network.layout.width, given.shape[1]
        log_ratio, mass = (part[:, start:end].reshape(shape) for part in (given, features))
        margins = _Margins(network.edges, log_ratio, mass, log_evidence, mean[:, :n])
        margins.given, margins.features = given, features
        return network.posterior(margins, correction, [mean[:, n:]], network.by_group(log_p), sigma_t)


def _fusible(network: TableDenoiser | Experts) -> bool:
    return network.log_prior.device.type == "cpu" and network.log_prior.dtype == torch.float32


@overload
def fastest(network: TableDenoiser) -> nn.Module: ...


@overload
def fastest(network: TableDenoiser | Experts) -> Denoiser: ...


def fastest(network: TableDenoiser | Experts) -> Denoiser:
    """Give a denoiser as the function that is fastest where it is.

    Args:
        network: the denoiser.

    Returns:
        On a CPU and in float32 its `Fused` form, else the network itself.
    """
    if not _fusible(network):
        return network
    if not isinstance(network, Experts):
        return Fused(network)
    parts = {part: Fused(part) for part in (network.coarse, network.fine)}
    return lambda x_t, sigma_t: parts[network.at(sigma_t)](x_t, sigma_t)


def _rows(x_t: Tensor, sigma_t: Tensor) -> loops.Rows:
    s2 = sigma_t.square()
    levels = (1 / (1 + s2), sigma_t * (1 + s2).rsqrt(), 1 / s2.clamp(min=LEAST_SQUARE))
    return loops.Rows(x_t.contiguous().numpy(), *(level.expand(len(x_t)).contiguous().numpy() for level in levels))


def _columns(network: TableDenoiser) -> loops.Columns:
    counts = [group.slots for group in network.layout.groups for _ in range(group.members)]
    live = (network.log_prior > ABSENT).float().numpy()
    return loops.Columns(network.edges.numpy(), network.log_prior.numpy(), live, np.array(counts, np.int64), LIMITS)


def _sums(apart: Differences) -> loops.Sums:
    if not apart.sound:
        raise ValueError("differences must be of numbers that there are, however: some are not. Fit the model again.")
    pairs = torch.cat([apart.pairs, apart.pairs[:1]])
    signs = torch.tensor([[1.0], [-1.0], [0.0]]).expand(3, pairs.shape[1])
    terms, signs = (torch.cat(both, 1).T.contiguous() for both in ((pairs, apart.sums), (signs, apart.signs)))
    resolution = torch.cat([apart.floor(apart.pairs), apart.floor(apart.sums)])
    return loops.Sums(apart.values.numpy(), terms.numpy(), signs.numpy(), resolution.numpy())


class _Beliefs(torch.autograd.Function):
    """What the network gives -> corrections, means and probabilities, log-probabilities, log-evidences."""

    @staticmethod
    def forward(
        ctx: Any, given: Tensor, rows: loops.Rows, columns: loops.Columns, differentiable: bool
    ) -> tuple[Tensor, ...]:
        found = given.detach()
        count, n, slots = len(found), len(columns.edges), len(columns.live)
        mean, log_p, log_evidence = (found.new_empty(count, width) for width in (n + slots, slots, n))
        kept = found.new_empty(2, count if differentiable else 0, found.shape[1] - n - slots)
        arrays = [tensor.numpy() for tensor in (found, mean, log_p, log_evidence, *kept)]
        loops.beliefs(rows, columns, *arrays)
        ctx.rows, ctx.columns = rows, columns
        ctx.save_for_backward(log_p, *kept)
        return found[:, :n].clone(), mean, log_p, log_evidence

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        log_p, tilted, moved = ctx.saved_tensors
        out = log_p.new_empty(len(log_p), gradients[0].shape[1] + log_p.shape[1] + tilted.shape[1])
        arrays = [tensor.contiguous().numpy() for tensor in (log_p, tilted, moved, *gradients, out)]
        loops.gradients(ctx.rows, ctx.columns, *arrays)
        return out, None, None, None


class _Margins(Binned):
    """Beliefs about numbers whose cross-entropy is made by one loop."""

    given: Tensor
    features: Tensor

    def cross_entropy(self, y: Tensor) -> Tensor:
        if y.shape != self.log_evidence.shape:
            raise ValueError(
                f"labels must be the numbers of all rows, shape {tuple(self.log_evidence.shape)}, however: "
                f"{tuple(y.shape)}. Take them from the rows that were noised."
            )
        found: Tensor = _Entropies.apply(  # type: ignore[no-untyped-call]
            self.given, self.log_evidence, self.features, self.edges, y.detach()
        )
        return found


class _Entropies(torch.autograd.Function):
    """What the network gives, log-evidences -> cross-entropies of the bins of labels."""

    @staticmethod
    def forward(ctx: Any, given: Tensor, log_evidence: Tensor, features: Tensor, edges: Tensor, y: Tensor) -> Tensor:
        out, places = torch.empty_like(log_evidence), torch.empty(log_evidence.shape, dtype=torch.int64)
        arrays = [t.detach().contiguous().numpy() for t in (y, edges, given, features, log_evidence, places, out)]
        loops.entropies(*arrays)
        ctx.save_for_backward(places)
        ctx.width = given.shape[1]
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (places,) = ctx.saved_tensors
        given = gradient.new_zeros(len(gradient), ctx.width).scatter_(1, places, -gradient)
        return given, gradient, None, None, None
