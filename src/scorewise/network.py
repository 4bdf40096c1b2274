"""The denoising network of tables: noisy numbers and noisy one-hot categories in, a posterior out."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from scorewise.binned import Binned, truncated
from scorewise.covariance import Blocks, Covariance, Simplex
from scorewise.difference import Differences, strongest_pairs
from scorewise.posterior import Posterior
from scorewise.principal import LEVELS, Principal
from scorewise.weighting import gaussian_weight

ABSENT = -1e4
"""Log-frequency of a padding slot: 0 times it is 0, which `-inf` would not give."""
LEAST_LOG_ODDS = -40.0
"""Least log-odds to the likeliest slot that independence may give a slot: it is far less than float32 adds up, and CPUs
take many times as long for an `exp` that is nearly 0."""
LEAST_SQUARE = 1 / 60
"""Least `sigma^2` that the log-odds of slots are divided by."""
PAIRS = 96
"""Pairs of numbers whose difference the network is shown, the most correlated ones."""


Weight = Callable[[Tensor, Tensor, Tensor], Covariance]
"""Of a basis (n, n), variances along it (n,), and levels (B,), to covariances on shape (n,)."""


class Group(NamedTuple):
    """Categories that stand side by side with the same number of slots.

    Attributes:
        members: number of categories, M.
        slots: one-hot coordinates of each, K; a category with fewer levels leaves the last ones empty.
    """

    members: int
    slots: int


class Layout(NamedTuple):
    """What the coordinates of an encoded row are: first the numbers, then the groups of categories.

    Attributes:
        numbers: how many numbers, n.
        groups: the groups of one-hot categories, in order.
    """

    numbers: int
    groups: tuple[Group, ...]

    @property
    def slots(self) -> int:
        """One-hot coordinates of all the categories together."""
        return sum(group.members * group.slots for group in self.groups)

    @property
    def width(self) -> int:
        """Coordinates of an encoded row, D."""
        return self.numbers + self.slots


class Moments(NamedTuple):
    """What the network is told of the data before training.

    Attributes:
        mean: of the numbers, shape (n,).
        covariance: of the numbers, shape (n, n).
        log_prior: log-frequency of each slot of the categories, `ABSENT` for padding, shape (slots,).
        edges: edges of K bins of each number, shape (n, K + 1).
        values: values of each number in the units of the table, at even normal scores between `-REACH` and `REACH`,
            float64, shape (n, G).
        sums: positions of three numbers whose signed sum is of interest, shape (3, T).
        signs: their signs, 1 or -1, shape (3, T).
        rows: of whole encoded rows; None for those of numbers and categories that are independent of one another.
    """

    mean: Tensor
    covariance: Tensor
    log_prior: Tensor
    edges: Tensor
    values: Tensor
    sums: Tensor = torch.zeros(3, 0, dtype=torch.int64)
    signs: Tensor = torch.zeros(3, 0)
    rows: Principal | None = None


class Residual(nn.Module):
    """A residual block, `h + W2 silu(W1 norm(h))`, that starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, width)
        self.down = nn.Linear(width, width)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)

    def forward(self, h: Tensor) -> Tensor:
        changed: Tensor = self.down(nn.functional.silu(self.up(self.norm(h))))
        return h + changed


class TableDenoiser(nn.Module):
    """A residual network around the exact denoiser of independent standard normal numbers and independent categories.

    Numbers: the belief about each one is `Binned`, with log-ratios that the network gives. The mean is that of this
    belief plus a correction `U sqrt(lam s2/(lam+s2)) F` with the network's output F, in the principal basis U of the
    data, with variance lam along a direction: the bins see single columns sharply, F sees how columns move together.
    The covariance is that of the `weight`. The network is shown the masses of the bins before they are tilted, the
    whitened numbers, and the `Differences` of the most correlated columns and of those whose sums matter.
    Categories: the logits are the exact ones of a category that is independent of the rest,
    `x_t / s2 + log prior`, plus the network's output.
    With the output at 0, where training starts, both are the closed-form posteriors.

    Shape:
        Input: noisy rows (B, D), levels (B,), or (1,) for one level of all rows. Output: `Posterior` on shape (D,), its
        covariance a `Blocks` of the weight (numbers) and one `Simplex` per group, its margins the `Binned` beliefs
        about the numbers.

    Args:
        layout: what the D coordinates are.
        moments: moments, bins and values of the numbers, log-frequencies of the categories.
        width: width of the hidden layers.
        depth: number of residual blocks.
        generator: source of randomness of the initial weights.
        weight: covariance that the loss of the numbers is whitened with.

    Raises:
        ValueError: if the moments do not fit the layout.

    References:
        Karras et al., "Elucidating the design space of diffusion-based generative models", 2022, section 5
        (preconditioning); Dieleman et al., "Continuous diffusion for categorical data", 2022 (cross-entropy).
    """

    basis: Tensor
    edges: Tensor
    variance: Tensor
    mean: Tensor
    log_prior: Tensor
    frequencies: Tensor

    def __init__(
        self,
        layout: Layout,
        moments: Moments,
        width: int,
        depth: int,
        generator: torch.Generator | None = None,
        weight: Weight = gaussian_weight,
    ) -> None:
        super().__init__()
        n, slots = layout.numbers, layout.slots
        shapes = {name: tuple(part.shape) for name, part in moments._asdict().items() if isinstance(part, Tensor)}
        expected = {"mean": (n,), "covariance": (n, n), "log_prior": (slots,)}
        wrong = {name: shape for name, shape in expected.items() if shapes[name] != shape}
        apart = moments.rows is not None and len(moments.rows.mean) != layout.width
        if wrong or apart or shapes["edges"][0] != n or shapes["values"][0] != n:
            raise ValueError(
                f"moments must fit the layout (numbers={n}, slots={slots}), however: {shapes}. "
                "Take both from the same codec."
            )
        self.layout = layout
        self.weight = weight
        variance, basis = torch.linalg.eigh(moments.covariance.double()) if n else (torch.ones(0), torch.ones(0, 0))
        self.register_buffer("basis", basis.float())
        self.register_buffer("variance", variance.float().clamp(min=1e-4))
        self.register_buffer("mean", moments.mean.float())
        self.register_buffer("log_prior", moments.log_prior.float())
        self.rows = _independent_rows(moments, variance, basis) if moments.rows is None else moments.rows
        self._padded = [bool((group <= ABSENT).any()) for group in self.by_group(moments.log_prior[None])]
        self.register_buffer("frequencies", torch.logspace(0, 2, 32))
        self.register_buffer("edges", moments.edges.float(), persistent=False)
        self.bins = moments.edges.shape[1] - 1
        pairs = strongest_pairs(moments.covariance, PAIRS)
        self.differences = Differences(moments.values, pairs, moments.sums, moments.signs)
        self.inlet = nn.Linear(n + slots + n * self.bins + self.differences.features, width)
        self.clock = nn.Sequential(nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(Residual(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.outlet = nn.Linear(width, n + slots + n * self.bins)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                bound = module.in_features**-0.5
                with torch.no_grad():
                    module.weight.copy_((torch.rand(module.weight.shape, generator=generator) * 2 - 1) * bound)
                    module.bias.zero_()
        for block in self.blocks:
            nn.init.zeros_(block.down.weight)  # type: ignore[arg-type, union-attr]
        nn.init.zeros_(self.outlet.weight)

    @property
    def features(self) -> int:
        """Number of features of a row that the network reads."""
        return self.inlet.in_features

    def hidden_matrices(self) -> list[nn.Parameter]:
        """The weights between hidden layers."""
        return [p for p in self.blocks.parameters() if p.ndim == 2]

    def shift_logits(self, shift: Tensor) -> None:
        """Make levels of categories more or less frequent in what is sampled.

        The posterior of a category under a prior tilted by `exp(shift)` has its log-odds shifted by as much, at every
        noise level.

        Args:
            shift: of the log-odds of each slot, shape (slots,).
        """
        n = self.layout.numbers
        with torch.no_grad():
            self.outlet.bias[n : n + self.layout.slots] += shift.to(self.outlet.bias)

    def by_group(self, slots: Tensor) -> list[Tensor]:
        """Cut what is told of all slots, (B, slots), into groups, (B, M, K) each."""
        sizes = [group.members * group.slots for group in self.layout.groups]
        pieces = torch.split(slots, sizes, dim=1) if sizes else ()
        return [
            piece.reshape(-1, group.members, group.slots)
            for piece, group in zip(pieces, self.layout.groups, strict=True)
        ]

    def _independent(self, x_t: Tensor, s2: Tensor) -> list[Tensor]:
        """Log-odds of each slot to the likeliest one if categories were independent, `LEAST_LOG_ODDS` or more."""
        logits = torch.addcmul(self.log_prior, x_t, 1 / s2.clamp(min=LEAST_SQUARE))
        return [(piece - piece.amax(-1, keepdim=True)).clamp(min=LEAST_LOG_ODDS) for piece in self.by_group(logits)]

    def _flat(self, shares: Sequence[Tensor]) -> list[Tensor]:
        """Probabilities of the slots of each group, (B, M, K), as (B, M K); those of padding are 0."""
        used = self.by_group(self.log_prior[None] > ABSENT)
        kept = zip(shares, used, self._padded, strict=True)
        return [(share * live if padded else share).flatten(1) for share, live, padded in kept]

    def given(self, features: Tensor, sigma_t: Tensor) -> Tensor:
        """Go through the layers.

        Args:
            features: what the network reads of each row, shape (B, features).
            sigma_t: levels, shape (B,) or (1,).

        Returns:
            Corrections of the numbers, logits, and log-ratios of the bins, shape (B, n + slots + n K).
        """
        angles = (sigma_t.log() / 4)[:, None] * self.frequencies
        h = self.inlet(features) + self.clock(torch.cat([angles.sin(), angles.cos()], 1))
        for block in self.blocks:
            h = block(h)
        out: Tensor = self.outlet(self.norm(h))
        return out

    def whitened(self, x_t: Tensor, sigma_t: Tensor) -> Tensor:
        """Give the noisy numbers along the principal directions in units of their standard deviations, (B, n)."""
        numbers = (x_t[:, : self.layout.numbers] - self.mean) @ self.basis
        return numbers * (self.variance + sigma_t[:, None].square()).rsqrt()

    def posterior(
        self, margins: Binned, correction: Tensor, shares: Sequence[Tensor], log_p: Sequence[Tensor], sigma_t: Tensor
    ) -> Posterior:
        """Put together what is believed of the numbers and of the categories.

        Args:
            margins: beliefs about single numbers.
            correction: of their means, as the network gives it, shape (B, n).
            shares: probabilities of the slots, side by side, (B, slots) in all.
            log_p: their logarithms by group, (B, M, K) each.
            sigma_t: levels, shape (B,) or (1,).

        Returns:
            The belief about rows.
        """
        s2 = sigma_t[:, None].square()
        size = (self.variance * s2 / (self.variance + s2)).sqrt()
        mean = torch.cat([margins.mean + (size * correction) @ self.basis.mT, *shares], 1)
        shapes: Sequence[tuple[int, ...]] = [
            (self.layout.numbers,),
            *((g.members, g.slots) for g in self.layout.groups),
        ]
        cov = self.weight(self.basis, self.variance, sigma_t)
        return Posterior(mean, Blocks([cov, *(Simplex(part) for part in log_p)], shapes), margins)

    def forward(self, x_t: Tensor, sigma_t: Tensor) -> Posterior:
        n = self.layout.numbers
        s2 = sigma_t[:, None].square()
        base = self._independent(x_t[:, n:], s2)
        alone = self._flat([_normalised(odds)[0] for odds in base])
        centre, spread = x_t[:, :n] / (1 + s2), sigma_t[:, None] * (1 + s2).rsqrt()
        moments = truncated(self.edges, centre, spread)
        apart = self.differences(centre, spread)
        features = torch.cat([self.whitened(x_t, sigma_t), *alone, moments[0].flatten(1), apart], 1)
        out = self.given(features, sigma_t).to(x_t.dtype)
        correction, logits, log_ratio = torch.split(out, [n, self.layout.slots, n * self.bins], 1)
        margins = Binned.tilted(log_ratio.reshape(len(x_t), n, self.bins), self.edges, centre, spread, moments)
        beliefs = [softmax(odds + more) for odds, more in zip(base, self.by_group(logits), strict=True)]
        shares = self._flat([p for p, _ in beliefs])
        return self.posterior(margins, correction, shares, [log_p for _, log_p in beliefs], sigma_t)


def _independent_rows(moments: Moments, variance: Tensor, basis: Tensor) -> Principal:
    """Rows of the numbers' moments, and of categories at their frequencies."""
    mean = torch.cat([moments.mean.float(), moments.log_prior.float().exp()])
    beside = torch.zeros(len(moments.log_prior), len(variance))
    return Principal(mean, torch.cat([basis.float(), beside]), variance, torch.zeros(()), torch.tensor(LEVELS[0]))


def softmax(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Give probabilities and their logarithms; torch's own go row by row on a CPU, and these rows have a few entries.

    Args:
        logits: shape (..., K).

    Returns:
        Both of the same shape.
    """
    lower = logits - logits.detach().amax(-1, keepdim=True)
    p, total = _normalised(lower)
    return p, lower - total.log()


def _normalised(log_odds: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities of log-odds to the likeliest, and what the odds add up to."""
    odds = log_odds.exp()
    total = odds.sum(-1, keepdim=True)
    return odds / total, total
