"""Differences between columns as features: how far apart numbers, or sums of them, are in the units of the table."""

import torch
from torch import Tensor, nn

REACH = 5.5
"""Normal scores that a table of values covers, on both sides of 0."""
LARGEST = 1e18
"""Absolute value that larger ones count as: float32 holds sums of squares of such values."""


class Differences(nn.Module):
    """Differences of the expected values of pairs of columns, in units of how uncertain they are.

    Normal scores do not show whether two columns of one unit (a bill and a payment, a start and an end) are close. From
    a table of the inverse distribution function v of each column the feature of a pair is
    `asinh((E v_i - E v_j) / sqrt(d_i^2 + d_j^2 + r^2)) / 2`, with `E v = (2 v(m) + v(m + s) + v(m - s)) / 4` and
    `d = (v(m + s) - v(m - s)) / 2` for a normal belief N(m, s^2) about the score, and r the larger resolution of the
    two columns. Of three columns whose signed sum is of interest (a total and its parts) it is that sum, likewise.

    Shape:
        Input: means m (B, n), standard deviations s (B, 1). Output: (B, P + T).

    Args:
        values: v at normal scores that are even between `-REACH` and `REACH`, float64, shape (n, G).
        pairs: indices i and j of the pairs, shape (2, P).
        sums: indices of the terms of sums, shape (3, T); None for no sums.
        signs: signs of these terms, shape (3, T).
    """

    values: Tensor
    resolution: Tensor
    pairs: Tensor
    sums: Tensor
    signs: Tensor
    rows: Tensor

    def __init__(self, values: Tensor, pairs: Tensor, sums: Tensor | None = None, signs: Tensor | None = None) -> None:
        super().__init__()
        values = values.clamp(-LARGEST, LARGEST)
        jumps = values.diff(dim=1)
        smallest = torch.where(jumps > 0, jumps, torch.inf).amin(1).nan_to_num(posinf=0.0)
        grid = values.shape[1]
        broad = values[:, int(0.57 * grid)] - values[:, int(0.43 * grid)]  # between scores of about -0.75 and 0.75
        resolution = torch.maximum(smallest, 1e-4 * broad).clamp(min=1e-15)
        self.register_buffer("values", values.float(), persistent=False)
        self.register_buffer("resolution", resolution.float(), persistent=False)
        self.register_buffer("pairs", pairs)
        self.register_buffer("sums", pairs.new_zeros(3, 0) if sums is None else sums, persistent=False)
        self.register_buffer("signs", torch.zeros(3, 0) if signs is None else signs, persistent=False)
        self.register_buffer("rows", torch.arange(len(values)) * grid, persistent=False)

    @property
    def features(self) -> int:
        """Number of features, P + T."""
        return self.pairs.shape[1] + self.sums.shape[1]

    @property
    def sound(self) -> bool:
        """Whether all terms are numbers that there are: positions may come from a file."""
        places = torch.cat([self.pairs.flatten(), self.sums.flatten()])
        return bool(((places >= 0) & (places < len(self.values))).all())

    def _at(self, z: Tensor) -> Tensor:
        last = self.values.shape[1] - 1
        place = ((z + REACH) * (last / (2 * REACH))).clamp(0, last)
        below = place.detach().long().clamp(0, last - 1)
        low, high = (self.values.view(-1)[below + self.rows + step] for step in (0, 1))
        return low + (place - below) * (high - low)

    def forward(self, centre: Tensor, spread: Tensor) -> Tensor:
        low, middle, high = self._at(centre - spread), self._at(centre), self._at(centre + spread)
        value, deviation = (2 * middle + low + high) / 4, (high - low) / 2
        squares = deviation.square()
        i, j = self.pairs
        apart = value.index_select(1, i) - value.index_select(1, j)
        scale = squares.index_select(1, i) + squares.index_select(1, j) + self.floor(self.pairs)
        if self.sums.shape[1]:
            signed = zip(self.sums, self.signs, strict=True)
            sums = torch.stack([sign * value.index_select(1, k) for k, sign in signed]).sum(0)
            scales = torch.stack([squares.index_select(1, k) for k in self.sums]).sum(0)
            apart = torch.cat([apart, sums], 1)
            scale = torch.cat([scale, scales + self.floor(self.sums)], 1)
        return _asinh(apart / scale.sqrt()) / 2

    def floor(self, places: Tensor) -> Tensor:
        """Give the squared resolution of each combination of numbers, at whose positions (m, P) it stands, (P,)."""
        return self.resolution[places].amax(0).square()


def _asinh(x: Tensor) -> Tensor:
    # `torch.asinh` goes element by element on a CPU, and so does `torch.where`; of `abs` the derivative at 0 would be 0
    one = x.new_ones(())
    sign = torch.copysign(one, x.detach())
    size = x * sign
    return sign * (size + torch.hypot(size, one)).log()


def strongest_pairs(covariance: Tensor, most: int) -> Tensor:
    """Choose pairs of coordinates by the size of their correlation.

    Args:
        covariance: shape (n, n).
        most: largest number of pairs.

    Returns:
        Indices, shape (2, P), P the smaller of `most` and n (n - 1) / 2, in lexicographic order.
    """
    n = len(covariance)
    pairs = torch.triu_indices(n, n, 1)
    scale = covariance.diagonal().clamp(min=1e-12).sqrt()
    size = (covariance / scale[:, None] / scale)[pairs[0], pairs[1]].abs()
    chosen = size.sort(descending=True, stable=True).indices[:most].sort().values
    return pairs[:, chosen]
