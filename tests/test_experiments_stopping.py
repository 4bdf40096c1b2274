"""What the page about stopping says is what was measured; the distances of its experiments are what they are called."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "stopping.md"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"experiments.stopping.{name}")


def test_the_tables_are_those_of_the_files(load: Any) -> None:
    page = PAGE.read_text(encoding="utf-8")
    tables = load("tables")
    assert len(re.findall(r"<!-- table: (\w+) -->", page)) > 5
    assert tables.filled(page) == page
    assert tables.filled(re.sub(r"\| \d+\.\d+", "| 9.99", page)) == page


def test_every_figure_and_file_that_the_page_links_is_there() -> None:
    for link in re.findall(r"\]\(([^)]+)\)", PAGE.read_text(encoding="utf-8")):
        assert (PAGE.parent / link).exists(), link


def test_training_rows_and_new_rows_are_different_rows(load: Any) -> None:
    population = load("population")
    rows = population.Rows("numbers", torch.arange(50.0)[:, None])
    train, new = rows.split(20, 0)
    assert sorted(torch.cat([train, new])[:, 0].tolist()) == list(range(50))
    train, new = population.mixture(3).split(20, 0)
    assert float(torch.cdist(train, new).min()) > 0


def test_a_population_has_the_scale_that_it_says(load: Any) -> None:
    population = load("population").mixture(4)
    sample = population.sample(100_000, torch.Generator().manual_seed(0))
    assert float(sample.var(0).mean()) == pytest.approx(population.scale, rel=0.01)
