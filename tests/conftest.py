"""What several test modules share: where the real tables are, and an environment that is the same for every test."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
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


class Problem(NamedTuple):
    """Noisy rows of a Gaussian mixture, their labels, and the truth of the regression; see `problem`."""

    x_t: torch.Tensor
    t: torch.Tensor
    alpha_t: torch.Tensor
    h_t: torch.Tensor
    label: torch.Tensor
    row: torch.Tensor
    mean: torch.Tensor
    cov: torch.Tensor


@pytest.fixture(scope="session")
def problem() -> Callable[..., Problem]:
    """A maker of regressions whose truth is known: three Gaussians noised by an Ornstein-Uhlenbeck process.

    Rows of `copies` noisy versions each, at times uniform on [0.15, 1.5]; the posterior is written out here on its own.
    """
    centres = torch.tensor([[2.0, 0.5], [-1.5, 1.0], [-0.5, -2.0]], dtype=torch.float64)
    variances = torch.tensor([0.1, 0.3, 0.05], dtype=torch.float64)
    shares = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)

    def posterior(x_t: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        alpha, h = (-t).exp()[:, None], (1 - (-2 * t).exp())[:, None]
        total = alpha.square() * variances + h
        squares = (x_t[:, None] - alpha[:, None] * centres).square().sum(2)
        weight = (shares.log() - total.log() - squares / (2 * total)).softmax(1)
        gain = (alpha * variances / total)[:, :, None]
        means = centres + gain * (x_t[:, None] - alpha[:, None] * centres)
        mean = (weight[:, :, None] * means).sum(1)
        within = (weight * variances * h / total).sum(1)[:, None, None] * torch.eye(2, dtype=torch.float64)
        centred = means - mean[:, None]
        return mean, within + torch.einsum("bk,bki,bkj->bij", weight, centred, centred)

    def make(rows: int, seed: int, copies: int = 1) -> Problem:
        generator = torch.Generator().manual_seed(seed)
        component = torch.multinomial(shares, rows, replacement=True, generator=generator)
        normal = torch.randn(rows, 2, generator=generator, dtype=torch.float64)
        clean = centres[component] + variances[component].sqrt()[:, None] * normal
        row = torch.arange(rows).repeat_interleave(copies)
        t = 0.15 + 1.35 * torch.rand(len(row), generator=generator, dtype=torch.float64)
        alpha_t, h_t = (-t).exp(), 1 - (-2 * t).exp()
        noise = torch.randn(len(row), 2, generator=generator, dtype=torch.float64)
        x_t = alpha_t[:, None] * clean[row] + h_t.sqrt()[:, None] * noise
        return Problem(x_t, t, alpha_t, h_t, clean[row], row, *posterior(x_t, t))

    return make


class NoisyScores(NamedTuple):
    """Noisy rows of a mixture, the noisy label of their score, and its exact conditional mean and covariance."""

    x_t: torch.Tensor
    sigma_t: torch.Tensor
    label: torch.Tensor
    score: torch.Tensor
    cov: torch.Tensor


@pytest.fixture(scope="session")
def noisy_scores() -> Callable[..., NoisyScores]:
    """A maker of score regressions in the plane whose truth is written out on its own: a mixture of six Gaussians."""
    centres = torch.tensor(
        [[1.0, 0.2], [-0.8, 0.9], [-0.5, -1.1], [0.4, 1.5], [1.6, -0.7], [-1.4, 0.1]], dtype=torch.float64
    )
    variance = 0.1

    def make(size: int, seed: int, sigmas: tuple[float, ...] = (0.8, 1.5), copies: int = 1) -> NoisyScores:
        generator = torch.Generator().manual_seed(seed)

        def normal() -> torch.Tensor:
            return torch.randn(size * copies, 2, generator=generator, dtype=torch.float64)

        clean = centres[torch.randint(len(centres), (size,), generator=generator)] + variance**0.5 * normal()[:size]
        x = clean.repeat_interleave(copies, 0)
        level = torch.randint(len(sigmas), (len(x),), generator=generator)
        sigma_t = torch.tensor(sigmas, dtype=torch.float64)[level]
        h = sigma_t.square()[:, None]
        x_t = x + sigma_t[:, None] * normal()
        weight = (-(x_t[:, None] - centres).square().sum(2) / (2 * (variance + h))).softmax(1)
        gain = (variance / (variance + h))[:, :, None]
        means = centres + gain * (x_t[:, None] - centres)
        mean = (weight[:, :, None] * means).sum(1)
        centred = means - mean[:, None]
        cov = torch.einsum("bn,bni,bnj->bij", weight, centred, centred) + gain * h[:, :, None] * torch.eye(2)
        return NoisyScores(x_t, sigma_t, (x - x_t) / h, (mean - x_t) / h, cov / h.square()[:, :, None])

    return make
