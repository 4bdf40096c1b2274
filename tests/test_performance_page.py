"""What the page about performance says is what was measured."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def test_the_shifts_of_the_sampler_are_those_of_the_file(load: Any) -> None:
    found = json.loads((ROOT / "benchmarks" / "sampler.json").read_text(encoding="utf-8"))
    assert load("sampler").markdown(found["tables"]) in PAGE.read_text(encoding="utf-8")


def test_the_worth_of_the_calibration_is_that_of_the_file(load: Any) -> None:
    found = json.loads((ROOT / "benchmarks" / "calibration.json").read_text(encoding="utf-8"))
    assert load("calibration").markdown(found["tables"]).strip() in PAGE.read_text(encoding="utf-8")


def test_growth_is_that_of_the_file(load: Any) -> None:
    found = json.loads((ROOT / "benchmarks" / "growth.json").read_text(encoding="utf-8"))
    assert load("growth").markdown(found["axes"]) in PAGE.read_text(encoding="utf-8")


def test_the_times_of_a_step_are_those_of_the_file(load: Any) -> None:
    found = json.loads((ROOT / "benchmarks" / "step.json").read_text(encoding="utf-8"))
    tables = load("step").markdown(found)
    page = PAGE.read_text(encoding="utf-8")
    for table in tables.strip().split("\n\n"):
        assert table in page
