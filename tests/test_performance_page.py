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


def test_the_worth_of_the_second_stage_is_that_of_the_file(load: Any) -> None:
    found = json.loads((ROOT / "benchmarks" / "stages.json").read_text(encoding="utf-8"))
    assert load("stages").markdown(found["tables"]) in PAGE.read_text(encoding="utf-8")


def test_what_is_kept_of_several_lengths_is_that_of_the_file(load: Any) -> None:
    found = json.loads((ROOT / "benchmarks" / "lengths.json").read_text(encoding="utf-8"))
    assert load("lengths").markdown(found["tables"]) in PAGE.read_text(encoding="utf-8")
    for name, each in found["tables"].items():
        for rows in (100, 1_000, 3_000):
            drawn = [one for one in each if one["rows"] == rows]
            longest = max(one["steps"] for one in drawn)
            kept = sum(one["loss"] for one in drawn if one["kept"])
            most = sum(one["loss"] for one in drawn if one["steps"] == longest)
            assert (kept == most) if (name, rows) == ("credit_default", 1_000) else (kept < most)


def test_what_threads_are_worth_is_that_of_the_file(load: Any) -> None:
    found = json.loads((ROOT / "benchmarks" / "threads.json").read_text(encoding="utf-8"))
    assert load("threads").markdown(found["tables"]) in PAGE.read_text(encoding="utf-8")


def test_growth_is_that_of_the_file(load: Any) -> None:
    found = json.loads((ROOT / "benchmarks" / "growth.json").read_text(encoding="utf-8"))
    assert load("growth").markdown(found["axes"]) in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["step.json", "step_bf16.json", "step_amx.json"])
def test_the_times_of_a_step_are_those_of_the_file(load: Any, name: str) -> None:
    found = json.loads((ROOT / "benchmarks" / name).read_text(encoding="utf-8"))
    tables = load("step").markdown(found)
    page = PAGE.read_text(encoding="utf-8")
    for table in tables.strip().split("\n\n"):
        assert table in page


@pytest.mark.parametrize("name", ["fidelity_float32.json", "fidelity_float32_one_core.json", "fidelity_bf16.json"])
def test_what_fits_reach_with_bfloat16_and_without_is_that_of_the_files(load: Any, name: str) -> None:
    found = json.loads((ROOT / "benchmarks" / name).read_text(encoding="utf-8"))
    assert load("fidelity").markdown(found) in PAGE.read_text(encoding="utf-8")


def test_what_relations_are_worth_is_that_of_the_file(load: Any) -> None:
    found = json.loads((ROOT / "benchmarks" / "relations.json").read_text(encoding="utf-8"))
    assert load("relations").markdown(found["tables"]) in PAGE.read_text(encoding="utf-8")


def test_what_the_discount_is_worth_is_that_of_the_file(load: Any) -> None:
    found = json.loads((ROOT / "benchmarks" / "singled.json").read_text(encoding="utf-8"))
    assert load("singled").markdown(found["tables"]) in PAGE.read_text(encoding="utf-8")


def test_how_often_values_recur_is_that_of_the_file(load: Any) -> None:
    found = json.loads((ROOT / "benchmarks" / "recurring.json").read_text(encoding="utf-8"))["tables"]
    assert load("recurring").markdown(found) in PAGE.read_text(encoding="utf-8")
    for ways in found.values():
        for kind in load("recurring").KINDS:
            assert ways["this"][kind]["off by"] <= max(0.03, ways["before"][kind]["off by"])


def test_what_detection_finds_of_matched_columns_is_that_of_the_file(load: Any) -> None:
    found = json.loads((ROOT / "benchmarks" / "matched.json").read_text(encoding="utf-8"))
    assert load("matched").markdown(found["tables"]) in PAGE.read_text(encoding="utf-8")


def test_the_times_on_a_gpu_are_those_of_the_file(load: Any) -> None:
    found = json.loads((ROOT / "benchmarks" / "gpu.json").read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    assert load("gpu").markdown(found) in page
    step = found["training step"]
    assert f"A step has {step['kernels']:.0f} kernels" in page
    assert f"together is {step['ms, all kernels together']:.2f} ms" in page
    assert step["rows a second"] > 10 * step["rows a second on the CPU"]


def test_the_seeds_are_those_of_their_files_and_so_is_the_table_of_the_readme(load: Any) -> None:
    assert load("seeds").markdown() in PAGE.read_text(encoding="utf-8")
    found = json.loads((ROOT / "benchmarks" / "fidelity.json").read_text(encoding="utf-8"))
    assert load("fidelity").markdown(found) in (ROOT / "README.md").read_text(encoding="utf-8")
