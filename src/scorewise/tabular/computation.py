"""What computes a number column from others: a formula, a weighted sum, or the time between moments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scorewise.tabular.elapsed import Elapsed
from scorewise.tabular.formula import Formula
from scorewise.tabular.weighted import WeightedSum

Computation = Formula | WeightedSum | Elapsed
"""What computes a column from others."""


def computation_from_json(said: Mapping[str, Any]) -> Computation:
    """Rebuild what computes a column from its `to_json`.

    Args:
        said: the plain form.

    Returns:
        A weighted sum where that has weights, elapsed time where it has a unit, else a formula.

    Raises:
        KeyError: if a field is missing.
        ValueError: if a field does not fit the others.
    """
    if "weights" in said:
        return WeightedSum.from_json(said)
    return Elapsed.from_json(said) if "unit" in said else Formula.from_json(said)
