"""Reports: what is measured of two tables, and that a report survives being written down."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from scorewise.tabular.defect import TableError
from scorewise.tabular.metrics import METRICS, UTILITY_OF_NUMBERS
from scorewise.tabular.privacy import exact_copies, singled_out
from scorewise.tabular.report import Report, evaluate
from scorewise.tabular.schema import Schema
from scorewise.tabular.table import to_arrow

KEYS = [metric.key for metric in METRICS]


def frame(rows: int, seed: int, missing: float = 0.1) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    income = np.round(np.exp(generator.normal(10, 1, rows)), 2)
    spent = np.where(generator.random(rows) < 0.3, income, np.round(income * generator.random(rows), 2))
    job = generator.choice(["clerk", "smith", "baker", "nurse"], rows, p=[0.4, 0.3, 0.2, 0.1])
    rich = (np.log(income) + 0.5 * generator.normal(size=rows)) > 10
    spent[generator.random(rows) < missing] = np.nan
    start = pd.Timestamp("2024-01-01") + pd.to_timedelta(generator.integers(0, 300, rows), unit="D")
    return pd.DataFrame({"job": job, "income": income, "rich": rich, "spent": spent, "start": start})


@pytest.fixture(scope="module")
def report() -> Report:
    """Another sample of the same source as the synthetic table."""
    tables = {"real": frame(400, 0), "synthetic": frame(300, 1), "test": frame(200, 2)}
    return evaluate(**tables, target="rich", threads=1, trace={"loss": [2, 1]}, stopped="It ended.")


def test_everything_is_measured_of_another_sample_of_the_source(report: Report) -> None:
    assert list(report.scores) == KEYS
    assert report.skipped == {}
    assert report.rows == {"real": 400, "synthetic": 300, "test": 200}
    assert report.target == "rich"
    assert report.trace == {"loss": [2.0, 1.0]}
    assert report.about["stopped"] == "It ended."
    for score in report.scores.values():
        assert score.floor is not None
        assert score.floor_se is not None
        assert abs(score.value - score.floor) < 5 * math.hypot(score.se, score.floor_se) + 0.02
    assert report.scores["exact_copies"].value == 0


def test_columns_and_pairs_stand_in_the_order_of_the_table(report: Report) -> None:
    names = ("job", "income", "rich", "spent", "start")
    assert report.pair_names == names
    assert tuple(column.name for column in report.columns) == names
    assert [column.kind for column in report.columns] == ["category", "number", "category", "number", "number"]
    for column in report.columns:
        assert sum(column.real) == pytest.approx(1)
        assert sum(column.synthetic) == pytest.approx(1)
        assert len(column.labels) == len(column.real) == len(column.synthetic)
        assert column.floor is not None
    errors = np.array(report.pair_errors, dtype=float)
    assert np.isnan(np.diag(errors)).all()
    assert np.array_equal(errors, errors.T, equal_nan=True)
    assert np.nanmean(errors) == pytest.approx(report.scores["trends"].value)
    floors = np.array(report.pair_floors, dtype=float)
    assert np.nanmean(floors) == pytest.approx(report.scores["trends"].floor)
    assert np.mean([column.error for column in report.columns]) == pytest.approx(report.scores["shapes"].value)


def test_the_pair_that_is_off_is_the_one_that_was_broken() -> None:
    broken = frame(400, 1)
    broken["rich"] = np.random.default_rng(0).permutation(broken["rich"])
    found = evaluate(frame(400, 0), broken, threads=1)
    errors = np.array(found.pair_errors, dtype=float)
    worst = np.unravel_index(np.nanargmax(errors), errors.shape)
    assert {found.pair_names[k] for k in worst} == {"income", "rich"}


def test_a_copy_of_the_training_rows_is_found_out() -> None:
    real = frame(400, 0)
    found = evaluate(real, real, test=frame(200, 2), threads=1).scores
    assert found["shapes"].value == 0
    assert found["exact_copies"].value == 1
    assert found["singled_out"].value > 0.1
    assert found["closer_to_train"].value > 0.7
    assert found["beta_recall"].value > 0.9


def test_the_same_seed_gives_the_same_report_and_the_kind_of_frame_does_not_matter() -> None:
    real, synthetic = frame(120, 0), frame(60, 1)
    first = evaluate(real, synthetic, threads=1)
    again = evaluate(pl.from_pandas(real), to_arrow(synthetic), threads=1)
    assert first.scores == again.scores
    assert first.columns == again.columns
    assert evaluate(real, synthetic, seed=1, threads=1).scores["shapes"].floor != first.scores["shapes"].floor


def test_dates_as_text_score_like_dates(tmp_path: Path) -> None:
    tables = [frame(120, seed) for seed in range(3)]
    texts = [table.assign(start=table["start"].dt.strftime("%d.%m.%Y")) for table in tables]
    first, again = (
        evaluate(real, synthetic, test=test, target="start", threads=1) for real, synthetic, test in (tables, texts)
    )
    assert first.scores == again.scores
    assert first.pair_errors == again.pair_errors
    assert first.columns[4].real == again.columns[4].real
    assert re.fullmatch(r"(\d\d\.\d\d\.2024) to (\d\d\.\d\d\.2024)", again.columns[4].labels[1])
    again.to_html(tmp_path / "report.html")
    assert again.columns[4].labels[-1] in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_numbers_may_be_the_largest_there_are() -> None:
    largest = float(np.finfo(np.float64).max)

    def drawn(seed: int, shift: float) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        x = rng.normal(shift, 1, 600)
        marked = np.where(rng.random(600) < 0.2, largest, np.where(rng.random(600) < 0.1, np.nan, x))
        return pd.DataFrame(
            {"x": x, "marked": marked, "wide": largest * np.tanh(x) ** 2, "y": x + rng.normal(size=600)}
        )

    alike, apart = (evaluate(drawn(0, 0.0), drawn(1, shift), test=drawn(2, 0.0), target="y") for shift in (0.0, 1.0))
    assert all(math.isfinite(score.value) for report in (alike, apart) for score in report.scores.values())
    for key in ("shapes", "trends", "detection"):
        assert apart.scores[key].value > 1.2 * alike.scores[key].value
    assert alike.scores["detection_linear"].value > 0.9
    assert alike.scores["beta_recall"].value > apart.scores["beta_recall"].value + 0.05
    assert 0.4 < alike.scores["closer_to_train"].value < 0.6


def test_the_tables_of_the_caller_are_left_alone() -> None:
    tables = [frame(60, seed) for seed in range(3)]
    copies = [table.copy(deep=True) for table in tables]
    evaluate(tables[0], tables[1], test=tables[2], target="rich", threads=1)
    for table, copy in zip(tables, copies, strict=True):
        pd.testing.assert_frame_equal(table, copy)


def test_floors_of_copying_are_those_of_test_rows_or_else_of_each_real_row_against_the_others() -> None:
    real, test = frame(400, 0), frame(100, 2)
    schema = Schema.infer(to_arrow(real))
    train, other = (schema.cells(to_arrow(one)) for one in (real, test))
    for held_out, others in ((test, other), (None, None)):
        found = evaluate(real, frame(400, 1), test=held_out, threads=1).scores
        for measure in (exact_copies, singled_out):
            assert found[measure.__name__].floor == measure(train, others).value


def test_what_is_not_measured_is_said() -> None:
    real, synthetic = frame(60, 0, missing=0), frame(60, 1, missing=0)
    found = evaluate(real, synthetic, target="rich", threads=1)
    assert set(found.skipped) == {"utility", "closer_to_train", "missing_patterns"}
    assert set(found.scores) | set(found.skipped) == set(KEYS)
    assert "however: test=None. Hold out rows" in found.skipped["utility"]
    assert "however: test=None. Hold out rows" in found.skipped["closer_to_train"]
    assert "however: missing=0" in found.skipped["missing_patterns"]
    assert found.scores["exact_copies"].floor == 0
    aimless = evaluate(real, synthetic, test=frame(60, 2), threads=1)
    assert "however: target=None. Name the column" in aimless.skipped["utility"]


def test_a_score_whose_floor_cannot_be_measured_has_none() -> None:
    found = evaluate(frame(60, 0, missing=0), frame(60, 1), threads=1).scores["missing_patterns"]
    assert found.value > 0
    assert found.floor is None
    assert found.floor_se is None


def test_the_target_of_the_schema_is_the_default_and_another_can_be_named() -> None:
    real, synthetic, test = frame(120, 0), frame(120, 1), frame(60, 2)
    schema = Schema.infer(to_arrow(real), "rich")
    assert evaluate(real, synthetic, test=test, schema=schema, threads=1).target == "rich"
    other = evaluate(real, synthetic, test=test, schema=schema, target="income", threads=1)
    assert other.target == "income"
    assert other.metric("utility") == UTILITY_OF_NUMBERS
    assert 0 < other.scores["utility"].value < 2


def test_a_metric_is_looked_up_by_its_key(report: Report) -> None:
    assert [report.metric(key) for key in KEYS] == list(METRICS)
    with pytest.raises(KeyError, match=r"A score must be one of shapes, .*however: 'shape'"):
        report.metric("shape")


def test_identifiers_and_constants_are_not_compared() -> None:
    tables = []
    for seed in range(2):
        table = frame(60, seed)
        table.insert(0, "key", [f"row-{seed}-{k:04d}" for k in range(60)])
        table["one"], table["none"] = "same", np.nan
        tables.append(table)
    assert evaluate(*tables, threads=1).pair_names == ("job", "income", "rich", "spent", "start")


def test_other_columns_few_rows_and_unknown_targets_are_refused() -> None:
    real, synthetic = frame(60, 0), frame(60, 1)
    with pytest.raises(TableError, match=r"The synthetic table: .*however: missing 'spent'"):
        evaluate(real, synthetic.drop(columns="spent"))
    with pytest.raises(TableError, match=r"The test table: .*however: extra 'more'"):
        evaluate(real, synthetic, test=frame(60, 2).assign(more=1))
    with pytest.raises(TableError, match=r"there is no 'incom'\. Did you mean 'income'"):
        evaluate(real, synthetic, target="incom")
    schema = Schema.infer(to_arrow(real))
    with pytest.raises(TableError, match=r"there is no 'incom'\. Did you mean 'income'"):
        evaluate(real, synthetic, target="incom", schema=schema)
    with pytest.raises(TableError, match=r"The real table must have 40 rows or more, however: N=39\. Give more rows"):
        evaluate(frame(39, 0), synthetic)
    with pytest.raises(TableError, match="The synthetic table must have 20 rows or more, however: N=19"):
        evaluate(real, frame(19, 1))
    with pytest.raises(TableError, match="The test table must have 1 rows or more, however: N=0"):
        evaluate(real, synthetic, test=frame(60, 2).head(0))


def test_a_report_survives_json(report: Report) -> None:
    text = json.dumps(report.to_json(), allow_nan=False)
    assert Report.from_json(json.loads(text)) == report


def test_what_is_not_finite_is_written_as_null(report: Report) -> None:
    broken = Report(**{**vars(report), "trace": {"loss": [1.0, math.nan]}})
    said = json.loads(json.dumps(broken.to_json(), allow_nan=False))
    assert said["trace"] == {"loss": [1.0, None]}
    trace = Report.from_json(said).trace
    assert trace is not None
    assert math.isnan(trace["loss"][1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "A report must hold format=1 .*however: format=99"),
        ({"more": 1}, "A report must hold format=1 .*'more'"),
        ({"scores": {"shapes": {"value": 1.0}}}, "the fields that `Report.to_json` writes, however: 'se'"),
        ({"columns": [{"name": "x"}]}, "the fields that `Report.to_json` writes, however: .*missing"),
        ({"rows": None}, "the fields that `Report.to_json` writes"),
    ],
)
def test_what_is_no_report_is_refused(report: Report, change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Report.from_json({**report.to_json(), **change})


def test_a_list_is_no_report() -> None:
    with pytest.raises(ValueError, match="however: format=None and list"):
        Report.from_json([])  # type: ignore[arg-type]


def test_the_page_is_written_whole_and_nothing_else(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("older")
    report.to_html(path)
    assert path.read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.slow
def test_real_rows_of_the_credit_table_score_at_the_floor(data_home: Path) -> None:
    train = pd.read_parquet(data_home / "credit_default_train.parquet")
    test = pd.read_parquet(data_home / "credit_default_test.parquet")
    half = np.random.default_rng(0).permutation(len(train)) < len(train) // 2
    found = evaluate(train[half], train[~half], test=test, target="default", threads=1).scores
    assert found["shapes"].value == pytest.approx(0.0075, abs=0.004)
    assert found["trends"].value == pytest.approx(0.0126, abs=0.006)
    assert found["trends_legacy"].value > 0.05
    assert found["detection"].value == pytest.approx(0.5, abs=0.02)
    assert found["detection_differences"].value == pytest.approx(0.5, abs=0.02)
    assert found["alpha_precision"].value > 0.97
    assert found["beta_recall"].value == pytest.approx(0.494, abs=0.02)
    assert found["closer_to_train"].value == pytest.approx(0.5, abs=0.03)
    assert found["utility"].value == pytest.approx(0.77, abs=0.02)
    assert found["exact_copies"].value < 0.003
