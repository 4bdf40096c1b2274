"""The posterior over finitely many rows: exact for these rows under any noise, and what it says of their population."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple, final

import torch
from torch import Tensor

from scorewise.covariance import Covariance, Dense, Diagonal, Symmetric
from scorewise.estimate import Estimate
from scorewise.noise import Draw, Gaussian, LocationScale, Noise
from scorewise.posterior import Posterior
from scorewise.symmetric import pack, unpack

CHUNK = 2**19
"""Numbers per temporary: queries times rows times coordinates that are looked at together."""
KEPT = 2**24
"""Log-weights that are kept for the second pass; more are computed again."""


def exact(rows: Tensor, noise: Noise | None = None, kind: type[Dense] | type[Diagonal] = Dense) -> "Empirical":
    """Exact denoiser of the empirical distribution of finitely many rows: one softmax over the rows.

    The rows are gone through in chunks, so memory does not grow with their number. It is the oracle of the tests. As
    a weight to train with it is biased: on the training rows it underestimates the variance of the population by
    exactly the mean squared error of its own mean (`bracket`), and at small noise it collapses onto single rows
    (`Empirical.effective_size`).

    Args:
        rows: shape (N, D).
        noise: what makes rows noisy; variance-exploding Gaussian by default.
        kind: `Dense` for covariances in full, `Diagonal` for the variances of the coordinates alone.

    Returns:
        The denoiser. Sums are in float64; the covariances have `h_t / alpha_t^2` times the resolution of the dtype
        (1e-12 in float64, 1e-5 in float32) added to the diagonal, to stay invertible.

    Raises:
        ValueError: if there are no rows.
    """
    if rows.ndim != 2 or len(rows) == 0:
        raise ValueError(f"rows must have shape (N, D) with N > 0, however: rows.shape={tuple(rows.shape)}.")
    return Empirical(rows, Gaussian() if noise is None else noise, kind)


@final
class Empirical:
    """The posterior over finitely many rows; made by `exact`."""

    def __init__(self, rows: Tensor, noise: Noise, kind: type[Dense] | type[Diagonal]) -> None:
        self.rows, self.noise, self.kind = rows, noise, kind

    def __call__(self, x_t: Tensor, t: Tensor) -> Posterior:
        """Give the posterior of the clean row.

        Args:
            x_t: noisy rows, shape (B, D).
            t: times, shape (B,).

        Returns:
            Mean and covariance on shape (D,).
        """
        return self._row(x_t, t, None)

    def leave_one_out(self, draw: Draw) -> Posterior:
        """Give the posterior over all rows but the one that each noisy row came from.

        Args:
            draw: a noisy batch of these rows, with its `row`.

        Returns:
            Mean and covariance on shape (D,).

        Raises:
            ValueError: if the draw does not know its rows, or there is only one row.
        """
        if draw.row is None or len(self.rows) < 2:
            raise ValueError(
                "leave_one_out needs the row of each draw and at least 2 rows, however: "
                f"draw.row={'None' if draw.row is None else 'given'}, {len(self.rows)=}. Pass row to Noise.draw."
            )
        return self._row(draw.x_t, draw.t, draw.row)

    def belief(self, label: Callable[[Draw], Tensor], x_t: Tensor, t: Tensor) -> Posterior:
        """Give the posterior of any label: its mean and covariance over the rows that may be behind `x_t`.

        Args:
            label: of a noisy batch, such as `Target(noise, order).label`; returns shape (batch, *E).
            x_t: noisy rows, shape (B, D).
            t: times, shape (B,).

        Returns:
            Mean and covariance on E. With the kind `Dense`, labels of two or more event dimensions are taken as
            symmetric tensors. The resolution of the dtype times the label's mean square is added to the diagonal.
        """
        shape = label(Draw(self.rows[:1], x_t[:1], t[:1], torch.zeros(1, device=t.device).long())).shape[1:]
        symmetric = len(shape) > 1 and self.kind is Dense

        def values(where: slice) -> Tensor:
            x = self.rows[where]
            b, n = len(x_t), len(x)
            index = torch.arange(where.start, where.start + n, device=x.device)
            pairs = Draw(x.repeat(b, 1), x_t.repeat_interleave(n, 0), t.repeat_interleave(n), index.repeat(b))
            found = label(pairs)
            return (pack(found) if symmetric else found.flatten(1)).double().reshape(b, n, -1)

        mean, second, square = self._moments(x_t, t, None, values)
        cov = self._covariance(second, square.mean(1))
        if symmetric:
            assert isinstance(cov, Dense)
            return Posterior(unpack(self._back(mean), shape[0], len(shape)), Symmetric(cov, shape[0], len(shape)))
        if isinstance(cov, Diagonal):
            cov = Diagonal(cov.variance.reshape(-1, *shape))
        return Posterior(self._back(mean).reshape(-1, *shape), cov)

    def effective_size(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Count the rows that a posterior rests on: `1 / sum_i w_i^2` of its weights w.

        Args:
            x_t: noisy rows, shape (B, D).
            t: times, shape (B,).

        Returns:
            Between 1 and N, shape (B,). Where it is near 1 the covariance says nothing about the population.
        """
        one, two = self._log_sums(x_t, t, (1, 2))
        return self._back((2 * one - two).exp())

    def log_prob(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give the log-density of noisy rows, `log (1/N) sum_i q(x_t | x_i)`.

        Args:
            x_t: noisy rows, shape (B, D).
            t: times, shape (B,).

        Returns:
            In nats, shape (B,).
        """
        (total,) = self._log_sums(x_t, t, (1,))
        count = torch.tensor(len(self.rows), dtype=torch.float64, device=x_t.device)
        return self._back(total - count.log())

    def _log_sums(self, x_t: Tensor, t: Tensor, powers: tuple[int, ...]) -> Tensor:
        # log sum_i q(x_t | x_i)^p, shape (powers, B), added up along the way: small tensors kept for every chunk would
        # lie between the large ones and hold the heap open
        sums = x_t.new_full((len(powers), len(x_t)), -torch.inf, dtype=torch.float64)
        for _, log_q in self._chunks(x_t, t, None, 1):
            part = torch.stack([(p * log_q).logsumexp(1) for p in powers])
            sums = torch.stack([sums, part]).logsumexp(0)
        return sums

    def _row(self, x_t: Tensor, t: Tensor, left_out: Tensor | None) -> Posterior:
        rows = self.rows.double()
        centre = rows.mean(0)
        mean, second, square = self._moments(x_t, t, left_out, lambda where: rows[where] - centre)
        scale = square.mean(1)
        if isinstance(self.noise, LocationScale):
            schedule = self.noise.schedule
            scale = (schedule.sigma(t) / schedule.alpha(t)).square()
        return Posterior(self._back(mean + centre), self._covariance(second, scale))

    def _moments(
        self, x_t: Tensor, t: Tensor, left_out: Tensor | None, values: Callable[[slice], Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        # of values (n, F) or (B, n, F): mean (B, F), central second moment (B, F, F) or (B, F), mean square (B, F)
        shape = values(slice(0, 1)).shape
        width = shape[-1]
        wide = width if len(shape) == 3 or self.kind is Dense else 1
        kept: list[tuple[slice, Tensor]] | None = [] if len(x_t) * len(self.rows) <= KEPT else None
        top = x_t.new_full((len(x_t), 1), -torch.inf, dtype=torch.float64)
        total, sums = top.exp(), top.exp().expand(-1, 2 * width)
        for where, log_q in self._chunks(x_t, t, left_out, wide):
            if kept is not None:
                kept.append((where, log_q))
            peak = torch.maximum(top, log_q.detach().max(1, keepdim=True).values)
            floor = peak.clamp(min=torch.finfo(peak.dtype).min)  # where nothing is possible yet: exp(-inf) below
            w, shrink, v = (log_q - floor).exp(), (top - floor).exp(), values(where)
            total = total * shrink + w.sum(1, keepdim=True)
            sums = sums * shrink + _sum(w, torch.cat([v, v.square()], -1))
            top = peak
        if not bool((top > -torch.inf).all()):
            raise ValueError(
                "each noisy row must be possible under the noise given some row, however: "
                f"{int((top == -torch.inf).sum())} of {len(x_t)} are not. Draw them with this noise from these rows."
            )
        mean, square = (sums / total)[:, :width], (sums / total)[:, width:]
        if self.kind is Diagonal:
            return mean, (square - mean.square()).clamp(min=0), square
        second = torch.zeros_like(mean)[..., None] * mean[:, None]
        for where, log_q in kept if kept is not None else self._chunks(x_t, t, left_out, wide):
            w, centred = (log_q - top).exp() / total, values(where) - mean[:, None]  # (B, n, F)
            second = second + torch.einsum("bn,bni,bnj->bij", w, centred, centred)
        return mean, second, square

    def _chunks(self, x_t: Tensor, t: Tensor, left_out: Tensor | None, width: int) -> Iterator[tuple[slice, Tensor]]:
        # log q(x_t | rows[where]) of the noisy rows, shape (B, n), for one part of the rows after the other
        noisy, rows = x_t.double(), self.rows.double()
        log_q, wide = self._pairs(noisy, rows, (t.double() if t.is_floating_point() else t)[:, None])
        step = max(1, CHUNK // (len(x_t) * max(width, wide)))
        for start in range(0, len(rows), step):
            where = slice(start, min(start + step, len(rows)))
            found = log_q(where)
            if left_out is not None:
                index = torch.arange(where.start, where.stop, device=left_out.device)
                found = found.masked_fill(left_out[:, None] == index, -torch.inf)
            yield where, found

    def _pairs(self, x_t: Tensor, rows: Tensor, t: Tensor) -> tuple[Callable[[slice], Tensor], int]:
        # how the log-densities of pairs are found, and how many numbers that takes for a pair
        plain = (lambda where: self.noise.log_prob(x_t[:, None], rows[where], t)), x_t.shape[1]
        if not isinstance(self.noise, Gaussian):
            return plain
        # squared distances by one matrix product lose the digits that h_t is smaller than the squares of the rows
        alpha_t, h_t = self.noise.schedule.alpha(t), self.noise.schedule.sigma(t).square()
        centre = rows.mean(0)
        near, far = x_t - alpha_t * centre, rows - centre
        here, there = near.square().sum(1, keepdim=True), far.square().sum(1)
        if bool((h_t < 1e-8 * (here + alpha_t.square() * there.max())).any()):
            return plain

        def log_q(where: slice) -> Tensor:
            squares = here + alpha_t.square() * there[where] - 2 * (alpha_t * near) @ far[where].mT
            return -0.5 * squares / h_t - 0.5 * rows.shape[1] * (2 * math.pi * h_t).log()

        return log_q, 1

    def _covariance(self, second: Tensor, scale: Tensor) -> Covariance:
        ridge = (1e-12 if self.rows.dtype == torch.float64 else 1e-5) * scale
        if self.kind is Dense:
            return Dense(self._back(second + torch.diag_embed(ridge[:, None].expand(second.shape[:2]))))
        return Diagonal(self._back(second + ridge[:, None]))

    def _back(self, value: Tensor) -> Tensor:
        return value.to(self.rows.dtype)


def _sum(w: Tensor, values: Tensor) -> Tensor:
    # weights (B, n) and values (n, F) or (B, n, F) -> (B, F)
    return w @ values if values.ndim == 2 else torch.einsum("bn,bnf->bf", w, values)


class Bracket(NamedTuple):
    """The mean posterior variance of a population, `E tr Cov[x | x_t]`, held between two estimates from a sample.

    Attributes:
        lower: `E tr C_S`, over the posterior that knows the row itself; too small by exactly `E |D_S - D|^2`.
        upper: `E |x - D'|^2`, the residual of the posterior D' that does not; too large by exactly `E |D' - D|^2`.
    """

    lower: Estimate
    upper: Estimate


def bracket(
    rows: Tensor, noise: Noise, t: Tensor, generator: torch.Generator | None = None, groups: int = 20
) -> Bracket:
    """Hold `E tr Cov[x | x_t]` of the population between two estimates, from the rows alone.

    D is the population's posterior mean, `D_S` that of the rows S. Both identities hold for every number of rows
    (derived: the variance of a mean of conditional expectations, and the orthogonality of a fresh row's residual).

    Args:
        rows: independent rows of the population, shape (N, D).
        noise: what makes rows noisy.
        t: one time, shape ().
        generator: source of randomness, on the device of the rows.
        groups: number of groups of the delete-a-group jackknife, which gives the standard errors over both rows and
            noise.

    Returns:
        The two estimates; their biases have known signs, which the standard errors do not contain.

    Raises:
        ValueError: if there are fewer than 2 rows per group, or fewer than 2 groups.
    """
    if groups < 2 or len(rows) < 2 * groups:
        raise ValueError(
            f"groups must be at least 2, with at least 2 rows each, however: {groups=}, {len(rows)=}. "
            "Take fewer groups or more rows."
        )
    index = torch.arange(len(rows), device=rows.device)
    draw = noise.draw(rows, t.expand(len(rows)), generator, index)
    whole = _bracket_of(noise, draw)
    parts = torch.stack([_bracket_of(noise, _without(draw, index % groups == group)) for group in range(groups)])
    se = ((groups - 1) / groups * (parts - parts.mean(0)).square().sum(0)).sqrt()
    return Bracket(Estimate(whole[0], se[0]), Estimate(whole[1], se[1]))


def _without(draw: Draw, left_out: Tensor) -> Draw:
    keep = ~left_out
    return Draw(draw.x[keep], draw.x_t[keep], draw.t[keep], torch.arange(int(keep.sum()), device=keep.device))


def _bracket_of(noise: Noise, draw: Draw) -> Tensor:
    rows = exact(draw.x, noise, Diagonal)
    residual = draw.x - rows.leave_one_out(draw).mean
    return torch.stack([rows(draw.x_t, draw.t).cov.trace.mean(), residual.square().sum(1).mean()])
