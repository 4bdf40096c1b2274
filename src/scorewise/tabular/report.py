"""The report: everything that is measured about a synthetic table, as one value."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from scorewise.tabular import histogram, metrics, rows
from scorewise.tabular.calendar import with_parts
from scorewise.tabular.defect import TableError
from scorewise.tabular.metrics import METRICS, UTILITY_OF_NUMBERS, Metric, Score, Shapes, Trends, UnmeasuredError
from scorewise.tabular.page import render
from scorewise.tabular.schema import Cells, Schema
from scorewise.tabular.table import to_arrow, write_whole

FORMAT = 1
FEWEST_ROWS = 40  # so that each half of the real table has twenty


@dataclass(frozen=True)
class ColumnReport:
    """One column: its error and the shares of both tables in the bars of one histogram."""

    name: str
    kind: str
    error: float
    se: float
    floor: float | None
    labels: list[str]
    real: list[float]
    synthetic: list[float]


@dataclass(frozen=True)
class Report:
    """What was measured about a synthetic table.

    Attributes:
        rows: The number of rows of each table: "real", "synthetic", and "test" where there is one.
        target: The column that `utility` predicts.
        scores: Each measured score by its key in `METRICS`.
        skipped: Why the others were not measured.
        columns: Each column, in the order of the table.
        pair_names: The columns of the pairs, in the order of the table.
        pair_errors: The error of each pair, symmetric; None where a pair is not measured.
        pair_floors: The same between two halves of the real table.
        trace: The training curves of the model, lists under the names of `Training.trace`.
        about: Free facts: versions, seed, seconds.
    """

    rows: dict[str, int]
    target: str | None
    scores: dict[str, Score]
    skipped: dict[str, str]
    columns: tuple[ColumnReport, ...]
    pair_names: tuple[str, ...]
    pair_errors: list[list[float | None]]
    pair_floors: list[list[float | None]]
    trace: dict[str, list[float]] | None
    about: dict[str, str]

    def metric(self, key: str) -> Metric:
        """Say what a score of this report means; utility has another unit for a number than for a category.

        Args:
            key: the key of the score.

        Returns:
            The metric.

        Raises:
            KeyError: there is no such metric.
        """
        if key == UTILITY_OF_NUMBERS.key and ("number", self.target) in {(c.kind, c.name) for c in self.columns}:
            return UTILITY_OF_NUMBERS
        for metric in METRICS:
            if metric.key == key:
                return metric
        raise KeyError(f"A score must be one of {', '.join(m.key for m in METRICS)}, however: {key!r}. Choose one.")

    def to_json(self) -> dict[str, Any]:
        """Give the report as plain dicts, lists, strings and numbers; what is not finite becomes None.

        Returns:
            The plain form.
        """
        return {
            "format": FORMAT,
            "rows": dict(self.rows),
            "target": self.target,
            "scores": {key: _plain(score._asdict()) for key, score in self.scores.items()},
            "skipped": dict(self.skipped),
            "columns": [_plain(vars(column)) for column in self.columns],
            "pair_names": list(self.pair_names),
            "pair_errors": _plain(self.pair_errors),
            "pair_floors": _plain(self.pair_floors),
            "trace": _plain(self.trace),
            "about": dict(self.about),
        }

    @staticmethod
    def from_json(said: Mapping[str, Any]) -> Report:
        """Read what `to_json` gave.

        Args:
            said: the plain form.

        Returns:
            The report.

        Raises:
            ValueError: the form is not that of a report.
        """
        fields = {*Report.__dataclass_fields__, "format"}
        if not isinstance(said, Mapping) or set(said) != fields or said["format"] != FORMAT:
            found = sorted(map(str, said)) if isinstance(said, Mapping) else type(said).__name__
            form = said.get("format") if isinstance(said, Mapping) else None
            raise ValueError(
                f"A report must hold format={FORMAT} and {', '.join(sorted(fields - {'format'}))}, however: "
                f"format={form!r} and {found}. Measure it again with `scorewise evaluate`."
            )
        try:
            return Report(
                rows=dict(said["rows"]),
                target=said["target"],
                scores={key: _score(score) for key, score in said["scores"].items()},
                skipped=dict(said["skipped"]),
                columns=tuple(_column(column) for column in said["columns"]),
                pair_names=tuple(said["pair_names"]),
                pair_errors=[list(row) for row in said["pair_errors"]],
                pair_floors=[list(row) for row in said["pair_floors"]],
                trace=said["trace"] and {key: [_number(x) for x in line] for key, line in said["trace"].items()},
                about=dict(said["about"]),
            )
        except (TypeError, AttributeError, KeyError) as error:
            raise ValueError(
                f"A report must have the fields that `Report.to_json` writes, however: {error}. "
                "Measure it again with `scorewise evaluate`."
            ) from error

    def to_html(self, path: str | Path) -> None:
        """Write the report as one HTML page that needs nothing but itself; the file is there whole, or not at all.

        Args:
            path: the file to write.
        """
        write_whole(Path(path), render(self).encode())


def evaluate(
    real: Any,
    synthetic: Any,
    *,
    test: Any = None,
    target: str | None = None,
    schema: Schema | None = None,
    seed: int = 0,
    trace: Mapping[str, list[float]] | None = None,
    stopped: str | None = None,
    threads: int = 1,
) -> Report:
    """Hold a synthetic table against the real one.

    Every score has a standard error, and a floor: the same score between two random halves of the real table. The
    halves have half the rows each, so that a good synthetic table of full size comes out below the floor. The floor of
    utility is a model trained on the real rows; of closer_to_train, 1/2; of exact_copies and singled_out, the share
    among the test rows or, without them, among the real rows, each held against all the others.

    Args:
        real: the rows that the generator was fitted to, a pandas, polars or pyarrow table with 40 rows or more.
        synthetic: the synthetic rows, with the same columns; 20 or more.
        test: real rows that the generator has not seen; without them utility and closer_to_train are skipped.
        target: the column that utility predicts; the target of `schema` by default.
        schema: what the columns are; found in `real` by default.
        seed: the seed of all that is drawn: halves, folds, groups, subsamples.
        trace: the training curves of the model, carried into the report.
        stopped: why its training ended where it did, likewise.
        threads: the number of threads of the gradient boosting; more than one slows it
            down on busy cores. It changes no score.

    Returns:
        The report. What cannot be measured is in `skipped`, with the reason.

    Raises:
        TableError: a table has too few rows or other columns, or the target is not one of them.
    """
    start = time.perf_counter()
    frames = {"real": real, "synthetic": synthetic, "test": test}
    tables = {name: to_arrow(frame) for name, frame in frames.items() if frame is not None}
    _require_rows(tables)
    schema = Schema.infer(tables["real"], target) if schema is None else schema
    target = schema.target if target is None else target
    if target is not None and target != schema.target:
        schema = Schema.from_json({**schema.to_json(), "target": target})
    cells = {name: _cells(schema, table, name) for name, table in tables.items()}
    shown = {name: with_parts(schema, one) for name, one in cells.items()}
    scores, skipped, shapes, trends = _measure(cells, shown, target, seed, threads)
    order = schema.learnable
    return Report(
        rows={name: table.num_rows for name, table in tables.items()},
        target=target,
        scores=scores,
        skipped=skipped,
        columns=tuple(_column_report(schema, name, cells, *shapes) for name in order),
        pair_names=tuple(order),
        pair_errors=_matrix(trends[0], order),
        pair_floors=_matrix(trends[1], order),
        trace=None if trace is None else {key: [float(x) for x in line] for key, line in trace.items()},
        about=_about(tables, seed, time.perf_counter() - start) | ({} if stopped is None else {"stopped": stopped}),
    )


def _require_rows(tables: Mapping[str, pa.Table]) -> None:
    for name, least in (("real", FEWEST_ROWS), ("synthetic", FEWEST_ROWS // 2), ("test", 1)):
        if name in tables and tables[name].num_rows < least:
            raise TableError(
                f"The {name} table must have {least} rows or more, however: N={tables[name].num_rows}. Give more rows."
            )


def _cells(schema: Schema, table: pa.Table, name: str) -> Cells:
    try:
        return schema.cells(table)
    except TableError as error:
        raise TableError(f"The {name} table: {error}") from error


def _measure(
    cells: Mapping[str, Cells], shown: Mapping[str, Cells], target: str | None, seed: int, threads: int
) -> tuple[dict[str, Score], dict[str, str], tuple[Shapes, Shapes], tuple[Trends | None, Trends | None]]:
    """All scores with their floors, in the order of `METRICS`, and why the others are not there.

    Boosted trees judge what they are shown, the other scores the cells of the table.
    """
    real, synthetic, test = cells["real"], cells["synthetic"], cells.get("test")
    first, second = rows.halves(real, np.random.default_rng(seed))
    halves_shown = rows.halves(shown["real"], np.random.default_rng(seed))

    shapes = metrics.shapes(real, synthetic, seed=seed), metrics.shapes(first, second, seed=seed)
    pairs: dict[str, Trends] = {}

    def trends(key: str, measure: Callable[..., Trends]) -> Callable[[Cells, Cells], Score]:
        def score(ours: Cells, theirs: Cells) -> Score:
            found = measure(ours, theirs, seed=seed)
            pairs[key if ours is real else f"{key} floor"] = found
            return found.score

        return score

    def halved(
        measure: Callable[[Cells, Cells], Score],
        given: Mapping[str, Cells] = cells,
        halves: tuple[Cells, Cells] = (first, second),
    ) -> Callable[[], Score]:
        def score() -> Score:
            found = measure(given["real"], given["synthetic"])
            try:
                return found.against(measure(*halves))
            except UnmeasuredError:
                return found

        return score

    def seeded(measure: Callable[..., Score]) -> Callable[[], Score]:
        return halved(lambda ours, theirs: measure(ours, theirs, seed=seed))

    def boosted(measure: Callable[..., Score]) -> Callable[[], Score]:
        return halved(lambda ours, theirs: measure(ours, theirs, seed=seed, threads=threads), shown, halves_shown)

    def utility() -> Score:
        if target is None:
            raise UnmeasuredError(
                "Utility needs a column to predict, however: target=None. Name the column as the target."
            )
        if test is None:
            raise UnmeasuredError(_no_test("Utility"))
        found = metrics.utility(shown["synthetic"], shown["test"], target, seed=seed, threads=threads)
        return found.against(metrics.utility(shown["real"], shown["test"], target, seed=seed, threads=threads))

    def closer_to_train() -> Score:
        if test is None:
            raise UnmeasuredError(_no_test("Closer to train"))
        return metrics.closer_to_train(real, test, synthetic, seed=seed)

    def against_others(measure: Callable[[Cells, Cells | None], Score]) -> Callable[[], Score]:
        def score() -> Score:
            return measure(real, synthetic).against(measure(real, test))

        return score

    measures: dict[str, Callable[[], Score]] = {
        "shapes": lambda: shapes[0].score.against(shapes[1].score),
        "trends": halved(trends("trends", metrics.trends)),
        "trends_legacy": halved(trends("trends_legacy", metrics.trends_legacy)),
        "detection_linear": seeded(metrics.detection_linear),
        "detection": boosted(metrics.detection),
        "detection_differences": boosted(metrics.detection_differences),
        "utility": utility,
        "alpha_precision": seeded(metrics.alpha_precision),
        "beta_recall": seeded(metrics.beta_recall),
        "closer_to_train": closer_to_train,
        "exact_copies": against_others(metrics.exact_copies),
        "singled_out": against_others(metrics.singled_out),
        "missing_patterns": seeded(metrics.missing_patterns),
    }
    scores: dict[str, Score] = {}
    skipped: dict[str, str] = {}
    for metric in METRICS:
        try:
            scores[metric.key] = measures[metric.key]()
        except UnmeasuredError as error:
            skipped[metric.key] = str(error)
    return scores, skipped, shapes, (pairs.get("trends"), pairs.get("trends floor"))


def _no_test(what: str) -> str:
    return f"{what} needs real rows that no model has seen, however: test=None. Hold out rows and give them as test."


def _column_report(
    schema: Schema, name: str, cells: Mapping[str, Cells], shapes: Shapes, floors: Shapes
) -> ColumnReport:
    column = schema.column(name)
    real, synthetic = cells["real"], cells["synthetic"]
    if column.kind == "number":
        bars = histogram.numbers(column, real.numbers[name], synthetic.numbers[name])
    else:
        bars = histogram.categories(column, real.categories[name], synthetic.categories[name])
    score = shapes.columns[name]
    return ColumnReport(name, column.kind, score.value, score.se, floors.columns[name].value, *bars)


def _matrix(trends: Trends | None, order: list[str]) -> list[list[float | None]]:
    if trends is None:
        return [[None] * len(order) for _ in order]
    place = [trends.names.index(name) for name in order]
    plain: list[list[float | None]] = _plain(trends.errors[np.ix_(place, place)].tolist())
    return plain


def _about(tables: Mapping[str, pa.Table], seed: int, seconds: float) -> dict[str, str]:
    libraries = ("scorewise", "numpy", "scikit-learn", "lightgbm", "torch")
    versions = [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in libraries)]
    about = {
        "seed": str(seed),
        "seconds of evaluation": f"{seconds:.1f}",
        "versions": ", ".join(versions),
    }
    if max(table.num_rows for table in tables.values()) > rows.ROWS_AT_MOST:
        about["rows compared"] = f"at most {rows.ROWS_AT_MOST:,} a side in detection, utility, alpha and beta"
    return about


def _plain(value: Any) -> Any:
    """Numbers that JSON has, None for the others; lists and dicts of them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _score(said: Mapping[str, Any]) -> Score:
    return Score(_number(said["value"]), _number(said["se"]), said["floor"], said["floor_se"])


def _column(said: Mapping[str, Any]) -> ColumnReport:
    column = ColumnReport(**said)
    return replace(column, error=_number(column.error), se=_number(column.se))
