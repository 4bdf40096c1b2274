"""Values that a table does not have: how many of the rows to come have one, and what such values look like."""

import numpy as np

MOST_DISCOUNT, LONE = 0.99, 2
"""The share of its rows that a value gives at most, and rows of values whose discount is their own."""
MOST_NEW = 2.0
"""Rows that a new value stands for at most, unless those of the table keep more."""
STRATA, FEWEST_VALUES = 4, 30
"""Parts of the values by how dense they are, and values in each."""
MODULI = (2, 5, 10, 12, 20, 25, 50, 60, 100, 250, 300, 500, 900, 1_000, 3_600)
FEWEST_NATS, LEAST_GAIN = 10.0, 0.05
"""What endings must tell of all values together, and of each, to be kept."""
FREQUENT = 3, 2
"""How many values have a frequent ending: more than these, and these times chance."""
NEIGHBOURS, FEWEST_ROWS = 10, 20
"""Values to each side by which it is told how dense they are, and rows without which it is not told."""
OFTEN = 2.0, 0.1, 0.55
"""How much more often than chance has it values recur that are from a list: these times, and this share of the rows;
and the share of the rows in which they do at least."""
NO_ENDINGS = np.zeros(1, dtype=bool)
"""What `endings` gives where none are frequent."""
MOST_PLACES, PLACES_A_ROW = 4_000, 8
"""New places of a column between which none need be, and most values of a column whose endings are kept; and new places
for each row that is to have one of them, so that few rows meet in one."""


def discount(places: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Estimate how many of as many rows to come have each value of a table, and how many have one that it lacks.

    Of :math:`n_c` values of c rows, each turns up in :math:`(c + 1) n_{c + 1} / n_c` of as many rows to come. So a
    value of one or two rows is discounted by the difference to that, if it is less, and those of more rows by what is
    left, all the same: together they give :math:`n_1` rows, since so many of the rows to come have a new value. This
    holds among values that are as dense as each other, so it is done in up to `STRATA` parts of the values by that.
    Where it is more, as where most values have several rows, a value gains the difference, up to as many rows as all
    have on average, from those of more rows that are near it, so that the distribution keeps its shape.

    Args:
        places: increasing values, in any unit, shape (K,).
        counts: rows of each, shape (K,).

    Returns:
        Rows of each value, as many in all as there are, and how many of its are to be those of new values, shape (K,)
        each: 0 where no value is that of a single row, and `MOST_DISCOUNT` of what it has at most.

    Reference: Good, "The population frequencies of species and the estimation of population parameters", Biometrika
    40, 1953, equations 2 and 9; Chen, Goodman, "An empirical study of smoothing techniques for language modeling",
    1999, section 3 (a discount for each of the small counts, and one for all others).
    """
    first, last = _beside(len(places))
    above = np.append(0, np.cumsum(counts))
    with np.errstate(over="ignore"):  # of huge numbers, which are then as far apart as can be
        apart = places[last] - places[first]
    order = np.argsort(apart / (above[last + 1] - above[first]), kind="stable")
    gained, given = np.zeros(len(counts)), np.zeros(len(counts))
    for part in np.array_split(order, int(np.clip(len(order) // FEWEST_VALUES, 1, STRATA))):
        gained[part], given[part] = _discounted(counts[part])
    given = np.minimum(given, MOST_DISCOUNT * counts)
    return _moved(counts, gained, given), given


def _discounted(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What values that are as dense as each other gain, and what they are discounted by, shape (K,) each."""
    having = np.bincount(counts, minlength=LONE + 2).tolist()
    gained, given, left = np.zeros(len(counts)), np.zeros(len(counts)), having[1]
    if left == 0:
        return gained, given
    for count in range(1, LONE + 1):
        more = (count + 1) * having[count + 1] - count * having[count]
        lost = min(max(0, -more), left)
        given[counts == count] = lost / max(1, having[count])
        gained[counts == count] = min(max(0.0, more / max(1, having[count])), max(0.0, counts.mean() - count))
        left -= lost
    given[counts > LONE] = left / max(1, np.count_nonzero(counts > LONE))
    return gained, given


def _moved(counts: np.ndarray, gained: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Rows of increasing values where some gain, from those of more rows among the ones beside them, shape (K,)."""
    near = np.arange(len(counts)) // (2 * NEIGHBOURS)
    spare = np.where(counts > LONE, np.maximum(counts - 1 - given, 0.0), 0.0)
    wanted, there = np.bincount(near, gained), np.bincount(near, spare)
    moved = np.minimum(wanted, there)
    to, of = (moved / np.where(whole > 0, whole, 1.0) for whole in (wanted, there))
    rows: np.ndarray = counts + gained * to[near] - spare * of[near]
    return rows


def _beside(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the first and last of the values around each, shape (count,) each."""
    near = np.arange(count)
    return np.maximum(near - NEIGHBOURS, 0), np.minimum(near + NEIGHBOURS, count - 1)


def kinds(places: np.ndarray, frequent: np.ndarray) -> np.ndarray:
    """Tell values of frequent endings apart.

    Args:
        places: positions of values on their grid, shape (K,).
        frequent: what `endings` gives, shape (M,).

    Returns:
        The remainders that are frequent, -1 for all others, int, shape (K,).
    """
    remainders = (places % len(frequent)).astype(np.int64)
    return np.where(frequent[remainders], remainders, -1)


def discounts(
    places: np.ndarray, counts: np.ndarray, light: np.ndarray, frequent: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate what each value has and by how much it is discounted: nothing, where those of its kind are from a list.

    There is nothing between the values of a list, so what single ones lose falls to those of few rows, in proportion.

    Args:
        places: increasing positions of distinct values on their grid, shape (K,).
        counts: rows of each, shape (K,).
        light: which of them may be discounted, bool, shape (K,).
        frequent: what `endings` gives, shape (M,).

    Returns:
        Rows that each value is to have, and by how many of them it is discounted, shape (K,) each.
    """
    kind, given, rows = kinds(places, frequent), light.copy(), counts.astype(np.float64)
    for one in np.unique(kind[light]).tolist():
        own = kind == one
        if _listed(places[own] // (1 if one < 0 else len(frequent)), counts[own], light[own]):
            given &= ~own
            few = np.flatnonzero(own & light)
            lost, more = np.where(counts[few] == 1, discount(places[few], counts[few])[1], 0), counts[few] > 1
            if more.any():
                rows[few] -= lost
                rows[few[more]] *= 1 + lost.sum() / rows[few[more]].sum()
    found = np.zeros(len(counts))
    for alike in (given & (kind < 0), given & (kind >= 0)):
        rows[alike], found[alike] = discount(places[alike], counts[alike])
    return rows, found


def _listed(places: np.ndarray, counts: np.ndarray, light: np.ndarray) -> bool:
    """Whether values recur so much more often than chance has it that there are none between them.

    Amounts meet where they are dense, so that a row has its value in common with others as often as places around it
    have rows. Codes meet anywhere. Where most rows have a value of their own it is a person's, whatever else recurs.
    """
    rows = counts[light].sum()
    if rows < FEWEST_ROWS:
        return False
    first, last = _beside(len(places))
    taken = (last - first + 1) / (places[last] - places[first] + 1)
    chance = float((counts * taken)[light].sum() / rows)
    return bool(1 - np.count_nonzero(counts[light] == 1) / rows > max(OFTEN[0] * chance + OFTEN[1], OFTEN[2]))


def endings(places: np.ndarray) -> np.ndarray:
    """Find which last digits values have more often than chance: prices end in 99, incomes are multiples of 500.

    Args:
        places: positions of distinct values on their grid, int, shape (K,).

    Returns:
        Which remainders are frequent, bool, shape (M,), by the one of `MODULI` whose remainders foretell each value
        best from the others; `NO_ENDINGS` where none tell enough.
    """
    frequent = NO_ENDINGS
    most = max(FEWEST_NATS, LEAST_GAIN * len(places))
    for modulus in MODULI:
        remainders = places % modulus
        counts = np.bincount(remainders, minlength=modulus)
        gain = float(np.log(modulus * counts[remainders] / (len(places) - 1 + modulus)).sum())
        if gain > most:
            frequent, most = counts > FREQUENT[0] + FREQUENT[1] * len(places) / modulus, gain
    return frequent


def to_gaps(counts: np.ndarray, own: np.ndarray, given: np.ndarray, fits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share out what each value gives: half to the nearest gap on each side, or all to the only one.

    Args:
        counts: rows of each value in the table, shape (K,).
        own: rows that each is to have, with what it gives, shape (K,).
        given: what each gives, in rows, shape (K,).
        fits: new values that there could be between each value and the next, shape (K - 1,).

    Returns:
        What each gap is given, shape (K - 1,): for each new value at most what values keep on average, or `MOST_NEW`
        rows where that is more. And what each value gives then, shape (K,): less where there is no room for as much,
        and more where there is, if that is so of others of as many rows.
    """
    gave = _to_gaps(own, given, fits)[1]
    room = (gave > 0) & (gave >= given)
    wanted, spare = np.where(room, given, gave), np.where(room, MOST_DISCOUNT * own - given, 0.0)
    for alike in (*(counts == count for count in range(1, LONE + 1)), counts > LONE):
        if (most := spare[alike].sum()) > 0:
            wanted[alike] += spare[alike] * min(1.0, (given - gave)[alike].sum() / most)
    return _to_gaps(own, wanted, fits)


def _to_gaps(own: np.ndarray, given: np.ndarray, fits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    gaps, mass, gave = np.flatnonzero(fits > 0), np.zeros(len(fits)), np.zeros(len(given))
    after = np.searchsorted(gaps, np.arange(len(given)))
    sides = [(after > 0, after - 1), (after < len(gaps), after)]
    each = given / np.maximum(sum(there.astype(np.int64) for there, _ in sides), 1)
    taken = [(there, gaps[gap[there]]) for there, gap in sides]
    for there, gap in taken:
        np.add.at(mass, gap, each[there])
    giving = given > 0
    most = max(MOST_NEW, float((own - given)[giving].mean())) if giving.any() else MOST_NEW
    share = np.minimum(1.0, most * fits / np.where(mass > 0, mass, 1.0))
    for there, gap in taken:
        gave[there] += each[there] * share[gap]
    return mass * share, gave


def spread(
    places: np.ndarray, counts: np.ndarray, own: np.ndarray, discounted: np.ndarray, frequent: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Give what values are discounted by to new ones, half to the nearest on each side.

    A value of a frequent ending gives to others of this ending between values of its kind; all other values are of one
    kind.

    Args:
        places: increasing positions of distinct values on their grid, int, shape (K,).
        counts: rows of each in the table, shape (K,).
        own: rows that each is to have, with what it is discounted by, shape (K,).
        discounted: what each is discounted by, in rows, shape (K,).
        frequent: what `endings` gives, shape (M,).

    Returns:
        Increasing places, those of new values among them, and the rows that each stands for, shape (L,) each; there are
        about `MOST_PLACES` new ones at most, or `PLACES_A_ROW` for each row of the discount where that is more, evenly
        spread between each two values where there could be more.
    """
    kind = kinds(places, frequent)
    order = np.lexsort((places, kind))
    old, unit = places[order], np.where(kind[order] < 0, 1, len(frequent))[:-1]
    fits = np.where(np.diff(kind[order]) == 0, np.diff(old) // unit - 1, 0)
    rows, shared = own[order].astype(np.float64), np.zeros(len(fits))
    for alike in np.split(np.arange(len(old)), np.flatnonzero(np.diff(kind[order])) + 1):
        which = order[alike]
        shared[alike[:-1]], gave = to_gaps(counts[which], own[which], discounted[which], fits[alike[:-1]])
        rows[alike] -= gave
    room = shared > 0
    shared, fits = shared[room], fits[room]
    most = max(MOST_PLACES, int(PLACES_A_ROW * discounted.sum()))
    taken = np.minimum(fits, max(1, most // max(1, len(fits))))
    gap = np.repeat(np.arange(len(taken)), taken)
    turn = np.arange(len(gap)) - (np.cumsum(taken) - taken)[gap]
    steps = 1 + ((turn + 0.5) / taken[gap] * fits[gap]).astype(np.int64)
    new = old[:-1][room][gap] + unit[room][gap] * steps
    every, place = np.unique(np.append(old, new), return_inverse=True)
    return every, np.bincount(place, np.append(rows, (shared / taken)[gap]))
