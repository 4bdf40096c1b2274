"""The tables that are measured, and how each is split into training and test rows."""

import numpy as np
import pyarrow as pa

from scorewise.datasets import load
from scorewise.tabular.table import to_arrow

TABLES = ("credit_default", "adult", "shoppers", "magic", "beijing_pm25", "online_news_15cols", "diabetes130")
ADULT_TRAINING_ROWS = 32_561
SHORT_ROWS = 1_000
SHORT = tuple(f"{name}_{SHORT_ROWS}" for name in ("credit_default", "adult", "shoppers", "magic"))
"""Tables of so many of the training rows of longer ones, and of as many others to test with."""


def source(name: str) -> str:
    """Name of the data set that a table is taken from."""
    return name.removesuffix(f"_{SHORT_ROWS}") if name in SHORT else name


def split(name: str) -> tuple[pa.Table, pa.Table]:
    """Give training and test rows of a table: Credit Default and Adult as published, the others 9 to 1 by seed 0."""
    if name in SHORT:
        whole, _ = split(source(name))
        order = np.random.default_rng(0).permutation(whole.num_rows)
        return whole.take(np.sort(order[:SHORT_ROWS])), whole.take(np.sort(order[SHORT_ROWS : 2 * SHORT_ROWS]))
    if name == "credit_default":
        return to_arrow(load("credit_default_train")), to_arrow(load("credit_default_test"))
    table = to_arrow(load(name))
    if name == "adult":
        return table.slice(0, ADULT_TRAINING_ROWS), table.slice(ADULT_TRAINING_ROWS)
    order = np.random.default_rng(0).permutation(table.num_rows)
    count = table.num_rows // 10
    return table.take(np.sort(order[count:])), table.take(np.sort(order[:count]))
