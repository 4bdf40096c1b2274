"""Named tables, encoded as the synthesizer does, where they are on disk."""

import os
from pathlib import Path

import torch
from torch import Tensor

from scorewise import datasets
from scorewise.tabular.codec import Codec
from scorewise.tabular.schema import Schema
from scorewise.tabular.table import to_arrow


def on_disk(*names: str) -> bool:
    """Whether `SCOREWISE_DATA_HOME` names a folder that has the files of all these tables."""
    home = os.environ.get(datasets.HOME, "")
    return bool(home) and all((Path(home) / str(datasets.DATASETS[name].file)).is_file() for name in names)


def encoded(name: str, rows: int) -> Tensor:
    """The first rows of a named table, encoded, float64, shape (rows, D)."""
    data = to_arrow(datasets.load(name)).slice(0, rows)
    return torch.from_numpy(Codec.fit(data, Schema.infer(data, datasets.DATASETS[name].target)).encode(data))
