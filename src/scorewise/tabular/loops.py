"""Loops over the rows of a batch that numba compiles: what a network of tables reads, and what it believes.

Each is a pass over the caches of one core in the place of many passes over memory: of a row everything is made before
the next one. They hold no lock of the interpreter, so threads can share out the rows. All arrays are contiguous float32
unless said otherwise; what is called out is written, nothing else.

Values that are not finite come through: a row of which one is NaN has NaN in what is made of it. Nothing is checked:
shapes must be as they are said to be, and positions those of numbers.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
from numba import njit

F = np.float32
ORDERED = {"reassoc", "contract", "nsz", "arcp"}
"""What the compiler may change: the order of sums, not what becomes of NaN."""
_ROOT, _DENSITY = F(math.sqrt(0.5)), F(math.sqrt(0.5 / math.pi))
_LOG2E, _LN2_HIGH, _LN2_LOW = F(1 / math.log(2)), F(0.693359375), F(math.log(2) - 0.693359375)
_EXP = tuple(F(1 / math.factorial(k)) for k in range(8))

Function = Callable[..., Any]


class Limits(NamedTuple):
    """Where beliefs are cut. What other modules say is handed over: numba would keep what they said when it compiled.

    Attributes:
        farthest: `binned.FARTHEST`.
        mass: `binned.LEAST_MASS`.
        ratio: `binned.LEAST_RATIO`.
        log_odds: `network.LEAST_LOG_ODDS`.
        reach: `difference.REACH`.
    """

    farthest: F
    mass: F
    ratio: F
    log_odds: F
    reach: F


class Rows(NamedTuple):
    """Noisy rows, and what their levels make of standard normal numbers and of log-odds.

    Attributes:
        x: numbers and slots, shape (B, n + S).
        shrink: `1 / (1 + sigma^2)` of each row, shape (B,).
        spread: `sigma / sqrt(1 + sigma^2)` of each row, shape (B,).
        inverse: `1 / sigma^2` of each row, bounded, shape (B,).
    """

    x: np.ndarray
    shrink: np.ndarray
    spread: np.ndarray
    inverse: np.ndarray


class Columns(NamedTuple):
    """What a network knows of each column by itself.

    Attributes:
        edges: edges of K bins of each number, shape (n, K + 1).
        log_prior: log-frequency of each slot, shape (S,).
        live: 1 for slots that a level uses, 0 for padding, shape (S,).
        counts: slots of each category, of sum S, int64.
        limits: where beliefs are cut.
    """

    edges: np.ndarray
    log_prior: np.ndarray
    live: np.ndarray
    counts: np.ndarray
    limits: Limits


class Sums(NamedTuple):
    """Signed sums of numbers that the network is shown, T in all: differences of pairs, and sums of three.

    Attributes:
        values: of `Differences`, shape (n, G).
        terms: positions of the numbers of a sum, int64, shape (T, 3); a pair's third has the sign 0.
        signs: their signs, shape (T, 3).
        resolution: square of the resolution of each sum, shape (T,).
    """

    values: np.ndarray
    terms: np.ndarray
    signs: np.ndarray
    resolution: np.ndarray


def _compiled(function: Function, **more: Any) -> Function:
    return cast(Function, njit(nogil=True, error_model="numpy", fastmath=ORDERED, **more)(function))


def inlined(function: Function) -> Function:
    """Compile a function into those that call it."""
    return _compiled(function, inline="always")


def embedded(function: Function) -> Function:
    """Compile a function into the machine code of those that call it.

    A copy of its own would be one of several, which the compiler may sum in different orders, and which of them is
    called would depend on whether a process compiled or loaded what another had compiled.
    """
    return _compiled(function, forceinline=True)


def compiled(function: Function) -> Function:
    """Compile a function when it is first called; the result is kept beside the source or in the user's cache.

    Where neither can be written, every process compiles anew.
    """
    try:
        return _compiled(function, cache=True)
    except RuntimeError:  # numba has no place to keep it
        return _compiled(function)


@inlined
def exp(x: F) -> F:
    """`e^x`, to three units in the last place; of less than -87 as of -87."""
    x = F(-87.0) if x < F(-87.0) else x
    n = np.floor(x * _LOG2E + F(0.5))
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    series = _EXP[7]
    series = series * r + _EXP[6]
    series = series * r + _EXP[5]
    series = series * r + _EXP[4]
    series = series * r + _EXP[3]
    series = series * r + _EXP[2]
    series = (series * r + _EXP[1]) * r + _EXP[0]
    return F(series * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32))


@inlined
def erf(x: F, bell: F) -> F:
    """The error function to 4e-7, given `exp(-x^2)`.

    Reference: Abramowitz, Stegun, "Handbook of mathematical functions", 1964, 7.1.26.
    """
    t = F(1) / (F(1) + F(0.3275911) * abs(x))
    series = t * (F(-1.453152027) + t * F(1.061405429))
    series = t * (F(0.254829592) + t * (F(-0.284496736) + t * (F(1.421413741) + series)))
    beyond = F(1) - series * bell
    return beyond if x >= 0 else -beyond


@inlined
def log(x: F) -> F:
    """Natural logarithm of a positive number, to two units in the last place or 1e-7."""
    bits = F(x).view(np.int32)
    # so that the rest is between sqrt(1/2), of which these are the bits, and sqrt(2)
    exponent = np.int32((bits - np.int32(0x3F3504F3)) >> np.int32(23))
    rest = np.int32(bits - np.int32(exponent << np.int32(23))).view(np.float32)
    s = (rest - F(1)) / (rest + F(1))
    z = s * s
    series = F(2) + z * (F(2 / 3) + z * (F(2 / 5) + z * (F(2 / 7) + z * F(2 / 9))))
    found = F(exponent) * _LN2_HIGH + (s * series + F(exponent) * _LN2_LOW)
    return found + F(0) * x  # NaN has bits, too


@inlined
def _ordered(bits: np.int32) -> np.int32:
    # the bits of a float as an integer of the same order, and back: of integers a maximum is made several at a time
    return np.int32(bits ^ np.int32(np.int32(bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))


@embedded
def _largest(row: np.ndarray) -> F:
    top = np.int32(-0x7FFFFFFF)
    for k in range(row.shape[0]):
        at = _ordered(F(row[k]).view(np.int32))
        top = at if at > top else top
    return F(_ordered(top).view(np.float32))


@embedded
def _masses(
    row: np.ndarray, edges: np.ndarray, shrink: F, spread: F, limits: Limits, mass: np.ndarray, bell: np.ndarray
) -> None:
    # masses of the bins, in the first K columns, and exp(-t^2) at their edges in the units of the belief about a number
    n, width = edges.shape
    scale, far = _ROOT / spread, limits.farthest * _ROOT
    for j in range(n):
        centre, edge, t = row[j] * shrink, edges[j], mass[j]
        for k in range(width):
            at = (edge[k] - centre) * scale
            at = -far if at < -far else at
            t[k] = far if at > far else at
    t, e = mass.reshape(-1), bell.reshape(-1)
    for i in range(t.shape[0]):
        at = t[i]
        e[i] = exp(-at * at)
        t[i] = erf(at, e[i])
    for j in range(n):
        at_edges = mass[j]
        for k in range(width - 1):
            within = F(0.5) * (at_edges[k + 1] - at_edges[k])
            at_edges[k] = limits.mass if within < limits.mass else within


@embedded
def _lower(odds: np.ndarray, counts: np.ndarray) -> None:
    # log-odds to the likeliest slot of each category, in place
    first = 0
    for count in counts:
        own = odds[first : first + count]
        top = _largest(own)
        for s in range(count):
            own[s] -= top
        first += count


@embedded
def _odds(
    row: np.ndarray, log_prior: np.ndarray, counts: np.ndarray, inverse: F, limits: Limits, odds: np.ndarray
) -> None:
    # log-odds of each slot to the likeliest of its category, if categories were independent
    for s in range(odds.shape[0]):
        odds[s] = log_prior[s] + row[s] * inverse
    _lower(odds, counts)
    for s in range(odds.shape[0]):
        odds[s] = limits.log_odds if odds[s] < limits.log_odds else odds[s]


@embedded
def _shares(odds: np.ndarray, live: np.ndarray, counts: np.ndarray, totals: np.ndarray, out: np.ndarray) -> None:
    # exponentials in the place of log-odds, what they add up to in each category, and probabilities
    for s in range(odds.shape[0]):
        odds[s] = exp(odds[s])
    first = 0
    for c in range(counts.shape[0]):
        own, total = odds[first : first + counts[c]], F(0)
        for s in range(counts[c]):
            total += own[s]
        totals[c] = total
        kept, p, share = live[first : first + counts[c]], out[first : first + counts[c]], F(1) / total
        for s in range(counts[c]):
            p[s] = own[s] * kept[s] * share
        first += counts[c]


@embedded
def _expected(
    row: np.ndarray, values: np.ndarray, shrink: F, spread: F, limits: Limits, value: np.ndarray, square: np.ndarray
) -> None:
    # expected values of the numbers and their variances, in the units of the table
    last = values.shape[1] - 1
    top, per = F(last), F(last) / (F(2) * limits.reach)
    for j in range(values.shape[0]):
        centre, table = row[j] * shrink, values[j]
        value[j] = F(0)
        low = high = F(0)
        for step in range(3):
            place = (centre + F(step - 1) * spread + limits.reach) * per
            place = place if place > 0 else F(0)  # of NaN, too: it must not lead out of the table
            place = top if place > top else place
            below = np.uint32(min(place, top - F(1)))
            found = table[below] + (place - F(below)) * (table[below + np.uint32(1)] - table[below])
            value[j] += F(0.5) * found if step == 1 else F(0.25) * found
            if step == 0:
                low = found
            high = found
        deviation = F(0.5) * (high - low)
        square[j] = deviation * deviation


@compiled
def features(rows: Rows, columns: Columns, sums: Sums, out: np.ndarray) -> None:
    """Write what the network reads of rows, beside their whitened numbers, which stand in the first n columns.

    That is what `TableDenoiser` describes: the probabilities of independent categories, the masses of the bins, and the
    `Differences` of pairs and of sums.

    Args:
        rows: B of them.
        columns: n numbers and S slots.
        sums: T of them.
        out: shape (B, n + S + n K + T).
    """
    x, shrink, spread, inverse = rows
    edges, log_prior, live, counts, limits = columns
    values, terms, signs, resolution = sums
    n, slots, bins = edges.shape[0], log_prior.shape[0], edges.shape[1] - 1
    mass, bell = np.empty(edges.shape, F), np.empty(edges.shape, F)
    odds, totals, value, square = np.empty(slots, F), np.empty(counts.shape, F), np.empty(n, F), np.empty(n, F)
    for b in range(x.shape[0]):
        _odds(x[b, n:], log_prior, counts, inverse[b], limits, odds)
        _shares(odds, live, counts, totals, out[b, n : n + slots])
        _masses(x[b], edges, shrink[b], spread[b], limits, mass, bell)
        for j in range(n):
            start = n + slots + j * bins
            within, own = mass[j], out[b, start : start + bins]
            for k in range(bins):
                own[k] = within[k]
        _expected(x[b], values, shrink[b], spread[b], limits, value, square)
        apart = out[b, n + slots + n * bins :]
        for p in range(apart.shape[0]):
            total, scale = F(0), resolution[p]
            for i in range(3):
                place = np.uint64(terms[p, i])
                total += signs[p, i] * value[place]
                scale += abs(signs[p, i]) * square[place]
            apart[p] = total / np.sqrt(scale)
        for p in range(apart.shape[0]):
            size = abs(apart[p])
            # of larger ones no float may hold the square
            hypotenuse = size if size > F(1e9) else np.sqrt(size * size + F(1))
            grown = F(0.5) * log(size + hypotenuse)
            apart[p] = grown if apart[p] >= 0 else -grown


@compiled
def beliefs(
    rows: Rows,
    columns: Columns,
    given: np.ndarray,
    mean: np.ndarray,
    log_p: np.ndarray,
    log_evidence: np.ndarray,
    tilted: np.ndarray,
    moved: np.ndarray,
) -> None:
    """Write what follows from what the network gives: `Binned` beliefs about numbers, and those about categories.

    Args:
        rows: B of them.
        columns: n numbers and S slots.
        given: corrections of the numbers, which are not read, logits, log-ratios of the bins, shape (B, n + S + n K).
        mean: out: means of the numbers by their bins, and probabilities of the slots, shape (B, n + S).
        log_p: out: logarithms of the probabilities, padding included, shape (B, S).
        log_evidence: out: as in `Binned`, shape (B, n).
        tilted: out: probabilities of the bins, `exp(r_k) mass_k / Z`, shape (B, n K); or of no rows, if this and the
            next are not wanted.
        moved: out: `exp(r_k) first_k / Z`, shape (B, n K).
    """
    x, shrink, spread, inverse = rows
    edges, log_prior, live, counts, limits = columns
    n, slots, bins = edges.shape[0], log_prior.shape[0], edges.shape[1] - 1
    mass, bell = np.empty(edges.shape, F), np.empty(edges.shape, F)
    odds, totals, ratio, peaks = np.empty(slots, F), np.empty(counts.shape, F), np.empty(n * bins, F), np.empty(n, F)
    wanted = tilted.shape[0] > 0
    for b in range(x.shape[0]):
        logits, log_ratio = given[b, n : n + slots], given[b, n + slots :]
        for j in range(n):
            own, scaled = log_ratio[j * bins : (j + 1) * bins], ratio[j * bins : (j + 1) * bins]
            peaks[j] = _largest(own)
            for k in range(bins):
                scaled[k] = own[k] - peaks[j]
        for i in range(ratio.shape[0]):
            ratio[i] = exp(ratio[i])
        _masses(x[b], edges, shrink[b], spread[b], limits, mass, bell)
        for j in range(n):
            within, density, scaled = mass[j], bell[j], ratio[j * bins : (j + 1) * bins]
            evidence = total = F(0)
            for k in range(bins):
                evidence += scaled[k] * within[k]
                total += scaled[k] * (density[k] - density[k + 1])
            evidence += limits.ratio
            per = F(1) / evidence
            mean[b, j] = x[b, j] * shrink[b] + spread[b] * _DENSITY * total * per
            log_evidence[b, j] = log(evidence) + peaks[j]
            if wanted:
                p, first = tilted[b, j * bins : (j + 1) * bins], moved[b, j * bins : (j + 1) * bins]
                for k in range(bins):
                    p[k] = scaled[k] * per * within[k]
                    first[k] = scaled[k] * per * _DENSITY * (density[k] - density[k + 1])
        _odds(x[b, n:], log_prior, counts, inverse[b], limits, odds)
        for s in range(slots):
            odds[s] += logits[s]
        _lower(odds, counts)
        log_p[b] = odds
        _shares(odds, live, counts, totals, mean[b, n:])
        start = 0
        for c in range(counts.shape[0]):
            lower, logarithm = log_p[b, start : start + counts[c]], log(totals[c])
            for s in range(counts[c]):
                lower[s] -= logarithm
            start += counts[c]


@compiled
def entropies(
    labels: np.ndarray,
    edges: np.ndarray,
    given: np.ndarray,
    features: np.ndarray,
    log_evidence: np.ndarray,
    places: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write the cross-entropies of the bins that labels lie in.

    Args:
        labels: clean numbers, shape (B, n).
        edges: of the bins, as in `Columns`.
        given: as in `beliefs`.
        features: as `features` wrote them; the mass of a bin has the place that its log-ratio has in `given`.
        log_evidence: as `beliefs` wrote it.
        places: out: columns of `given` that hold the log-ratios of these bins, int64, shape (B, n).
        out: in nats, shape (B, n).
    """
    n, bins = edges.shape[0], edges.shape[1] - 1
    first = given.shape[1] - n * bins
    for b in range(labels.shape[0]):
        for j in range(n):
            low, high = 0, bins - 1  # the bin is the number of inner edges that the label reaches
            while low < high:
                middle = (low + high) // 2
                if labels[b, j] >= edges[j, middle + 1]:
                    low = middle + 1
                else:
                    high = middle
            place = first + j * bins + low
            places[b, j] = place
            out[b, j] = log_evidence[b, j] - given[b, place] - log(features[b, place])


@compiled
def gradients(
    rows: Rows,
    columns: Columns,
    log_p: np.ndarray,
    tilted: np.ndarray,
    moved: np.ndarray,
    of_correction: np.ndarray,
    of_mean: np.ndarray,
    of_log_p: np.ndarray,
    of_log_evidence: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write the gradient with respect to what the network gives, from those with respect to what `beliefs` wrote.

    Args:
        rows: as in `beliefs`.
        columns: as in `beliefs`.
        log_p: as `beliefs` wrote it, like `tilted` and `moved`.
        tilted: of the bins.
        moved: of the bins.
        of_correction: gradient with respect to the corrections, shape (B, n).
        of_mean: with respect to `mean`, shape (B, n + S).
        of_log_p: with respect to `log_p`, shape (B, S).
        of_log_evidence: with respect to `log_evidence`, shape (B, n).
        out: shape (B, n + S + n K).
    """
    spread, live, counts = rows.spread, columns.live, columns.counts
    n, slots = of_log_evidence.shape[1], of_log_p.shape[1]
    bins = tilted.shape[1] // n if n > 0 else 0
    odds = np.empty(slots, F)
    for b in range(out.shape[0]):
        for j in range(n):
            out[b, j] = of_correction[b, j]
            p, first = tilted[b, j * bins : (j + 1) * bins], moved[b, j * bins : (j + 1) * bins]
            own = out[b, n + slots + j * bins : n + slots + (j + 1) * bins]
            shift = F(0)
            for k in range(bins):
                shift += first[k]
            along = of_mean[b, j] * spread[b]
            across = of_log_evidence[b, j] - along * shift
            for k in range(bins):
                own[k] = along * first[k] + across * p[k]
        for s in range(slots):
            odds[s] = exp(log_p[b, s])
        start = 0
        for count in counts:
            p, kept, own = (
                odds[start : start + count],
                live[start : start + count],
                out[b, n + start : n + start + count],
            )
            of_p, of_log = of_mean[b, n + start : n + start + count], of_log_p[b, start : start + count]
            total = F(0)
            for s in range(count):
                total += p[s] * kept[s] * of_p[s] + of_log[s]
            for s in range(count):
                own[s] = of_log[s] + p[s] * (kept[s] * of_p[s] - total)
            start += count
