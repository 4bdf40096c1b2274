"""The benchmark against peers: what it measures in which order, what it resumes, how it reads samples, its tables."""

import importlib
import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from scorewise.tabular.schema import Schema

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"benchmarks.peers.{name}")


def _found(peer: str, seed: int, detection: float, **other: Any) -> dict[str, Any]:
    score = {"value": detection, "se": 0.002, "floor": 0.5, "floor_se": 0.003}
    point = {
        "budget in CPU minutes": 10.0,
        "fit seconds": 620.0,
        "fit CPU seconds": 610.0,
        "sample CPU seconds": 4.0,
        "detection": score,
    }
    return {
        "table": "credit_default",
        "peer": peer,
        "seed": seed,
        "minutes": 10.0,
        "whole": True,
        "ended": "budget",
        "peak MB of fit and sample": 500 + seed,
        "CPU seconds when it was given up": None,
        "curve": [point],
        "scores": {"detection": score},
        "versions": {"torch": "2.13.0"},
        "detail": {},
        "unreadable cells": 0.0,
        "rows": {"train": 27_000, "test": 3_000},
        "columns": 24,
        "yardstick seconds": 1.0,
        "machine": dict.fromkeys(
            ("processor", "cores", "instructions", "bfloat16 used", "torch", "python", "lightgbm"), "said"
        ),
        **other,
    }


def test_ours_and_the_others_take_turns(load: Any) -> None:
    plan = load("cells").planned(["credit_default"], list(load("catalogue").PEERS), 10, (0.5, 1, 2, 5))
    assert len({cell.key for cell in plan}) == len(plan) == 3 + 7 + 7
    places = [k for k, cell in enumerate(plan) if cell.peer != "scorewise"]
    assert all(1 <= after - before <= 5 for before, after in itertools.pairwise(places))
    assert places[0] <= 3
    assert places[-1] >= len(plan) - 4


def test_other_tables_have_the_strongest_alone_and_no_curve(load: Any) -> None:
    plan = load("cells").planned(["adult"], list(load("catalogue").PEERS), 10, (0.5, 1))
    assert {cell.peer for cell in plan} == {"scorewise", "tabular_argn", "tvae"}
    assert all(cell.whole and not cell.budgets and cell.minutes == 5 for cell in plan)
    assert load("cells").planned(["adult"], ["tvae"], 0.1, ())[0].minutes == 0.1


def test_short_tables_have_every_generator_that_ends(load: Any) -> None:
    plan = load("cells").planned(["adult_1000"], list(load("catalogue").PEERS), 10, (0.5, 1))
    assert {cell.peer for cell in plan} == set(load("catalogue").PEERS) - {"forest_diffusion"}
    assert all(cell.whole and not cell.budgets and cell.minutes == 5 for cell in plan)


def test_short_tables_are_rows_of_the_training_part_of_longer_ones(
    real_table: Callable[[str], pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    real_table("magic")
    monkeypatch.syspath_prepend(str(ROOT))
    splits = importlib.import_module("benchmarks.splits")
    train, test = splits.split("magic_1000")
    whole, _ = splits.split("magic")
    assert train.num_rows == test.num_rows == 1_000
    known = Counter(map(tuple, zip(*whole.to_pydict().values(), strict=True)))
    drawn = Counter(map(tuple, zip(*pa.concat_tables([train, test]).to_pydict().values(), strict=True)))
    assert drawn <= known
    assert splits.source("magic_1000") == splits.source("magic") == "magic"


def test_cells_are_added_to_the_file_and_found_again(load: Any, tmp_path: Path) -> None:
    cells, path = load("cells"), tmp_path / "results.json"
    assert cells.read(path) == {}
    cells.add(path, "b", {"x": 1})
    cells.add(path, "a", {"x": 2})
    assert cells.read(path) == {"a": {"x": 2}, "b": {"x": 1}}
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_what_is_in_the_file_is_not_measured_again_and_a_failure_is_not_kept(
    load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main, cells, path = load("__main__"), load("cells"), tmp_path / "results.json"
    plan = cells.planned(["adult"], ["scorewise", "tabular_argn", "tvae"], 10, ())
    cells.add(path, plan[0].key, {"kept": True})
    called = []

    def measure(cell: Any, quick: bool) -> dict[str, Any]:
        called.append(cell.peer)
        if cell.peer == plan[1].peer:
            raise main.PeerError("it broke")
        return {"ended": "own stop", "curve": []}

    monkeypatch.setattr(main, "measure", measure)
    monkeypatch.setattr(main.os, "sched_setaffinity", lambda *_: None, raising=False)
    assert main.run(plan, path, 1, quick=False) == 1
    assert called == [plan[1].peer, plan[2].peer]
    assert set(cells.read(path)) == {plan[0].key, plan[2].key}
    assert cells.read(path)[plan[0].key] == {"kept": True}
    assert "failed: it broke" in capsys.readouterr().err


def test_samples_are_read_in_the_types_of_the_table(load: Any) -> None:
    like = pa.table({
        "n": pa.array([1, 2], pa.int64()), "x": [0.5, 1.5], "b": [True, False], "t": pa.array(["a", None], pa.string())
    })  # fmt: skip
    sample = pa.table(
        {
            "t": ["a", "b", "c"],
            "n": ["3.0", "_RARE_", "4"],
            "b": ["True", "0", "no"],
            "x": pa.array([1, None, 2], pa.int64()),
        }
    )
    table, lost = load("typed").typed(sample, like)
    assert table.schema == like.schema
    assert table.to_pydict() == {
        "n": [3, None, 4], "x": [1.0, None, 2.0], "b": [True, False, None], "t": ["a", "b", "c"]
    }  # fmt: skip
    assert lost == pytest.approx(2 / 12)
    rounded, none = load("typed").typed(pa.table({"n": [1.6, math.nan]}), like.select(["n"]))
    assert rounded.to_pydict() == {"n": [2, None]}
    assert none <= 0.5


def test_tables_show_floors_and_the_spread_of_several_fits(load: Any) -> None:
    tables = load("tables")
    results = {str(s): _found("scorewise", s, 0.56 + 0.01 * s) for s in range(3)}
    results["t"] = _found("tvae", 0, 0.99)
    detail = {"noise levels by default": 50, "CPU seconds of one noise level by rows": {"100": 10.0, "200": 11.0}}
    lost = {"curve": [], "scores": {}, "ended": "did not end", "CPU seconds when it was given up": 601.0}
    results["f"] = _found("forest_diffusion", 0, 0, **lost, detail=detail)
    said = tables.headline(results)
    assert "| **floor** |" in said
    assert "| scorewise, 3 fits | 610 | 4 | 502 | budget | 0.570 ± 0.010 |" in said
    assert "| TVAE (SDV) | 610 | 4 | 500 | budget | 0.990 ± 0.002 |" in said
    assert "| ForestDiffusion | (601) |  | 500 | did not end |  |" in said
    assert f"| {50 * (11 + 0.01 * 26_800) / 3600:.1f} |" in tables.unfinished(results)
    del detail["CPU seconds of one noise level by rows"]["100"]
    assert f"| more than {50 * 11 / 3600:.1f} |" in tables.unfinished(results)
    assert "0.570 (610 s)" in tables.curve(results)
    assert "at most 1.02 times" in tables.machine(results)


def test_a_score_that_sdmetrics_cannot_compute_is_a_dash(load: Any) -> None:
    tables, theirs = load("tables"), {"shapes": 0.01, "trends_legacy": 0.02, "detection_linear": None}
    results = {"t": _found("tvae", 0, 0.9, sdmetrics=theirs)}
    assert "| TVAE (SDV), section 2 | 1.00 | 2.00 |  |  | – | – |" in tables.protocol(results)
    results["o"] = _found("scorewise", 0, 0.6, sdmetrics={**theirs, "detection_linear": 0.9})
    for one in results.values():
        one["scores"]["detection_linear"] = {"value": 0.8, "se": 0.01, "floor": 1.0}
    assert "| detection_linear | 1 | 0.1000 | 0.1000 |" in tables.crosscheck(results)


def test_who_is_ahead_is_told_by_which_way_is_better_and_by_two_standard_errors(load: Any) -> None:
    def cell(peer: str, **scores: tuple[float, float]) -> list[dict[str, Any]]:
        kept = {key: {"value": value, "se": se, "floor": 0.5} for key, (value, se) in scores.items()}
        return [_found(peer, 0, 0.6, scores=kept)]

    cells = {
        "scorewise": cell(
            "scorewise", detection=(0.47, 0.01), shapes=(0.02, 0.001), beta_recall=(0.48, 0.01), utility=(0.7, 0.01)
        ),
        "tvae": cell("tvae", detection=(0.52, 0.01), shapes=(0.03, 0.001), utility=(0.5, 0.01)),
        "tabular_argn": cell("tabular_argn", detection=(0.6, 0.01), shapes=(0.04, 0.001), beta_recall=(0.1, 0.01)),
    }
    found = {one.key: one for one in load("lead").standings(cells, "beijing_pm25")}
    assert {key: (one.place, one.peer) for key, one in found.items()} == {
        "shapes": ("ahead", "tvae"),
        "detection": ("level", "tvae"),
        "utility": ("behind", "tvae"),
        "beta_recall": ("ahead", "tabular_argn"),
    }
    assert found["detection"].lead == pytest.approx(-0.01)
    assert found["detection"].se == pytest.approx(math.sqrt(2e-4))
    as_auc = {one.key: one for one in load("lead").standings(cells, "adult")}
    assert as_auc["utility"].place == "ahead"
    results = {f"{peer} {k}": one for peer, ones in cells.items() for k, one in enumerate(ones)}
    for one in results.values():
        one["table"] = "beijing_pm25"
    row = load("tables").lead(results).splitlines()[2]
    said = "detection 0.470 against 0.520 ± 0.014 (TVAE (SDV)): level;"
    assert {key for key, one in found.items() if one.contested} == {"shapes", "utility", "beta_recall"}
    assert row.startswith(f"| `beijing_pm25` | 4 | 2 | 1 | 1 | 3 | 2 | {said}")


def test_an_aim_is_held_within_its_bounds(load: Any) -> None:
    aims, lead = load("aims"), load("lead")
    best = {"detection": 0.5, "detection_differences": 0.66, "shapes": 0.0065, "trends": 0.02}
    best |= {"detection_linear": 1.0, "utility": 0.7, "beta_recall": 0.5, "closer_to_train": 0.52}
    fit = {"scores": {key: {"value": value} for key, value in best.items()}}
    fit |= {"sample seconds": 9.0, "peak MB of fit and sample": 1_001}
    found = aims.aims([fit], [fit], lead.Race("tvae", 0.9, 240.0, 0.88, 12.0))
    assert [(one.bounds, one.held) for one in found] == [
        ("at most 0.600", True),
        ("at most 0.650", False),
        ("at most 0.550", True),
        ("at most 0.580", False),
        ("at most 0.65", True),
        ("at most 0.90", False),
        ("at least 0.990", True),
        ("at least 0.770", False),
        ("0.470 to 0.510", True),
        ("0.490 to 0.510", False),
        ("at most 0.050", True),
        ("at most 10.0", True),
        ("at most 1,000", False),
        ("at most 1,000", False),
    ]
    never = aims.aims([fit], [fit], lead.Race("tvae", 0.4, 240.0, None, None))
    assert [one.held for one in never if one.reached == math.inf] == [False]


@pytest.mark.usefixtures("data_home")
def test_the_tables_whose_target_is_a_number_are_named(load: Any) -> None:
    splits, datasets = importlib.import_module("benchmarks.splits"), importlib.import_module("scorewise.datasets")
    numbers = set()
    for name in splits.TABLES:
        target = datasets.DATASETS[name].target
        schema = Schema.infer(splits.split(name)[1], target)
        numbers |= {name for column in schema.numbers if column.name == target}
    assert numbers == load("catalogue").NUMBER_TARGETS


def test_a_race_is_to_where_the_other_one_ended(load: Any) -> None:
    points = {
        "scorewise": {0.1: [(20.0, 0.95), (22.0, 0.93)], 0.5: [(60.0, 0.8)], 10.0: [(600.0, 0.6)]},
        "tvae": {0.5: [(30.0, 0.5)], 10.0: [(630.0, 0.94)]},
        "tabular_argn": {10.0: [(500.0, 0.55)]},
    }
    races = load("lead").races(points)
    assert [race.peer for race in races] == ["tabular_argn", "tvae"]
    assert races[0].own is None
    assert (races[1].own, races[1].reached, races[1].seconds) == (21.0, pytest.approx(0.94), 630.0)


def test_cells_of_a_shorter_budget_are_not_shown_beside_those_of_a_longer(load: Any) -> None:
    results = {"a": _found("tvae", 0, 0.9), "b": _found("tvae", 0, 0.8, minutes=1.0)}
    assert "0.900" in load("tables").headline(results)
    assert "0.850" not in load("tables").headline(results)


def test_the_page_says_what_the_file_says(load: Any) -> None:
    page, tables = PAGE.read_text(encoding="utf-8"), load("tables")
    assert set(re.findall(r"<!-- table: (\w+) -->", page)) == set(tables.MADE)
    assert tables.filled(page, load("cells").read(ROOT / "benchmarks" / "peers" / "results.json")) == page


def test_the_readme_says_on_how_many_scores_ours_is_ahead_and_how_soon(load: Any) -> None:
    results = json.loads((ROOT / "benchmarks" / "peers" / "results.json").read_text(encoding="utf-8"))
    total, ahead, level, behind, room, first = load("tables").lead(results).splitlines()[-1].split(" | ")[1:7]
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"ahead of all of them on {ahead} of {total} scores, level on {level} and behind on {behind}" in readme
    assert f"where the best of them leaves room for a lead, it is ahead on {first} of {room}" in readme
    total, ahead, level, behind = load("tables").MADE["lead_short"](results).splitlines()[-1].split(" | ")[1:5]
    assert f"ahead on {ahead} of {total}, level on {level} and behind on {behind}" in readme
    _, best, seconds, _, ours = load("tables").race(results).splitlines()[2].strip("| ").split(" | ")[:5]
    assert f"{best} after {seconds} seconds, it reaches in {ours} seconds" in readme


def test_every_published_figure_names_its_source(load: Any) -> None:
    said = load("tables").published()
    figures = [figure for of in said["tables"].values() for one in of.values() for figure in one.values()]
    assert figures
    assert all(figure["source"] in said["sources"] for figure in figures)
    assert "(recalled)" in load("tables").protocol({})


def test_ours_as_published_is_a_mean_over_sampled_tables_beside_the_figures_of_the_papers(
    load: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tables = load("tables")
    monkeypatch.setattr(tables, "AS_PUBLISHED", tmp_path / "ours.json")
    by_score = {"shapes": [0.01, 0.02], "trends_legacy": [0.04, 0.04], "utility": [0.76, 0.78]}
    found = {"scores": by_score, "of the training rows": {"utility": 0.77}}
    (tmp_path / "ours.json").write_text(json.dumps({"credit_default": found}), encoding="utf-8")
    scores = {"alpha_precision": {"value": 0.9, "se": 0.01}}
    theirs = {"shapes": 0.1, "trends_legacy": 0.2, "detection_linear": None}
    peers = {"t": _found("tvae", 0, 0.9, scores=scores, sdmetrics=theirs), "o": _found("scorewise", 0, 0.6)}
    said = tables.protocol(peers)
    assert "| scorewise, 2 tables of one fit | 1.50 ± 0.71 | 4.00 ± 0.00 | – | – | – | 0.770 ± 0.014 |" in said
    assert "| the training rows themselves | – | – | – | – | – | 0.770 |" in said
    assert "| TVAE (SDV), section 2 | 10.00 | 20.00 | 90.00 ± 1.00 |  | – | – |" in said
    assert "`magic`" not in said
    magic = {"scores": {"shapes": [0.01, 0.03]}, "of the training rows": {}}
    (tmp_path / "ours.json").write_text(json.dumps({"magic": magic}), encoding="utf-8")
    said = tables.protocol({})
    assert "| generator | shape error % | trend error % | alpha precision % | beta recall % |\n" in said
    assert "| scorewise, 2 tables of one fit | 2.00 ± 1.41 | – | – | – |" in said


@pytest.mark.usefixtures("data_home")
def test_rows_are_parted_as_the_papers_part_them(load: Any) -> None:
    as_published, datasets = load("as_published"), importlib.import_module("scorewise.datasets")
    train, test = as_published.split("magic")
    assert (train.num_rows, test.num_rows) == (17_118, 1_902)
    whole, order = datasets.load("magic"), np.random.RandomState(1234).permutation(19_020)
    assert test.column("fDist").to_pylist() == whole["fDist"].iloc[order[17_118:]].tolist()
    train, test = as_published.split("beijing_pm25")
    assert train.num_rows + test.num_rows == 41_757
    assert "No" not in train.column_names
    for name, numbers in as_published.NUMBERS.items():
        train, _ = as_published.split(name)
        assert set(numbers) < set(train.column_names)


def test_a_level_of_test_rows_alone_takes_the_next_seed(load: Any) -> None:
    row, level = np.arange(100), np.full(100, "many")
    level[np.random.RandomState(1234).permutation(100)[-1]] = "one"
    train, test = load("as_published").parted(pa.table({"row": row, "level": level}), ("row",))
    order = np.random.RandomState(1235).permutation(100)
    assert train.column("row").to_pylist() == order[:90].tolist()
    assert test.column("row").to_pylist() == order[90:].tolist()
    assert "one" in train.column("level").to_pylist()


@pytest.mark.usefixtures("data_home")
def test_categories_are_told_as_text_and_what_is_missing_as_a_level(load: Any) -> None:
    as_published = load("as_published")
    train, _ = as_published.split("adult")
    told = as_published.told(train, "adult")
    assert told.column("workclass").null_count == 0
    assert told.column("workclass").to_pylist().count("?") == train.column("workclass").null_count > 0
    assert told.column("age").equals(train.column("age"))


def test_packages_that_are_not_needed_are_named_in_the_requirements(load: Any) -> None:
    environments = load("environments")
    assert environments.unused("# a note\n# unused: one two\nthree==1\n") == ["one", "two"]
    for name in environments.names():
        lines = (environments.REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        assert all("==" in line for line in lines if not line.startswith("#")), name
    assert {peer.environment for peer in load("catalogue").PEERS.values()} - {None} <= set(environments.names())


def test_an_environment_that_is_not_there_says_how_to_make_it(
    load: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environments = load("environments")
    monkeypatch.setenv(environments.HOME, str(tmp_path))
    with pytest.raises(environments.PeerError, match=r"python -m benchmarks\.peers\.environments sdv"):
        environments.python_of("sdv")
    with pytest.raises(environments.PeerError, match="must be one of"):
        environments.make("nobody")
    assert json.loads(json.dumps(environments.names())) == environments.names()
