"""What several test modules share: where the real tables are, and an environment that is the same for every test."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

from scorewise import datasets

settings.register_profile("scorewise", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("scorewise")


@pytest.fixture
def data_home() -> Path:
    """The folder of the real tables; the test is skipped where there is none."""
    home = os.environ.get(datasets.HOME, "")
    if not home:
        pytest.skip(f"needs the real tables: set {datasets.HOME} to their folder")
    return Path(home)


@pytest.fixture
def real_table(data_home: Path) -> Callable[[str], pd.DataFrame]:
    """`datasets.load`, skipping the test where a table is not on disk: tests never download."""

    def load(name: str) -> pd.DataFrame:
        file = datasets.DATASETS[name].file
        if file is not None and not (data_home / file).is_file():
            pytest.skip(f"needs {file} in {data_home}")
        return datasets.load(name)

    return load


@pytest.fixture(scope="session")
def small_table() -> Callable[..., pd.DataFrame]:
    """A maker of small tables of many dtypes, with dependences, ties and missing cells."""

    def make(rows: int, seed: int) -> pd.DataFrame:
        generator = np.random.default_rng(seed)
        age = generator.integers(18, 90, rows)
        job = generator.choice(["clerk", "nurse", "none", "pilot"], rows, p=[0.4, 0.3, 0.2, 0.1])
        income = np.where(job == "none", 0.0, np.round(np.exp(generator.normal(10.0, 0.5, rows)) + 50.0 * age, 2))
        income[generator.random(rows) < 0.05] = np.nan
        member = generator.random(rows) < 0.3
        default = (generator.random(rows) < np.where(job == "none", 0.5, 0.1)).astype("int64")
        return pd.DataFrame({"age": age, "income": income, "job": job, "member": member, "default": default})

    return make
