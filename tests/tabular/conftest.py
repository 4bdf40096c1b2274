"""Reports to judge and to draw, a reader of pages, and how networks are asked."""

from __future__ import annotations

import math
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
import torch

from scorewise.network import TableDenoiser
from scorewise.tabular.page import render
from scorewise.tabular.report import ColumnReport, Report
from scorewise.tabular.score import METRICS, Score

VOID = {"meta", "link", "br", "hr", "img", "input", "col", "wbr"}
NAN = math.nan


class Page(HTMLParser):
    """Every element with its attributes and its path, and the text; fails on a tag that closes another one."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str], tuple[str, ...]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.elements.append((tag, {name: value or "" for name, value in attrs}, tuple(self.open)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [found for name, found, _ in self.elements if name == tag and wanted.items() <= found.items()]


def make_scores(**changes: Score) -> dict[str, Score]:
    usual = {
        "shapes": Score(0.0075, 0.0004, 0.0071, 0.0005),
        "trends": Score(0.0126, 0.0006, 0.0118, 0.0006),
        "trends_legacy": Score(0.021, 0.001, 0.019, 0.001),
        "detection_linear": Score(0.998, 0.004, 0.996, 0.004),
        "detection": Score(0.512, 0.004, 0.501, 0.004),
        "detection_differences": Score(0.521, 0.004, 0.502, 0.004),
        "utility": Score(0.781, 0.004, 0.787, 0.004),
        "alpha_precision": Score(0.991, 0.003, 0.994, 0.003),
        "beta_recall": Score(0.487, 0.004, 0.495, 0.004),
        "closer_to_train": Score(0.503, 0.004, 0.5, 0.004),
        "exact_copies": Score(0.0008, 0.0002, 0.0013, 0.0002),
        "singled_out": Score(0.031, 0.001, 0.029, 0.003),
        "missing_patterns": Score(0.004, 0.001, 0.004, 0.001),
    }
    return {**usual, **changes}


def make_number(name: str, error: float = 0.01, bins: int = 5, missing: bool = False, seed: int = 0) -> ColumnReport:
    generator = np.random.default_rng(seed)
    real, synthetic = generator.dirichlet(np.ones(bins + missing), size=2).tolist()
    labels = [str(k) for k in range(bins)] + ["missing"] * missing
    return make_column(name, "number", error, labels, real, synthetic)


def make_category(name: str, error: float = 0.01, levels: tuple[str, ...] = ("a", "b")) -> ColumnReport:
    share = 1 / len(levels)
    return make_column(name, "category", error, list(levels), [share] * len(levels), [share] * len(levels))


def make_column(
    name: str, kind: str, error: float, labels: list[str], real: list[float], synthetic: list[float]
) -> ColumnReport:
    given: dict[str, Any] = {"kind": kind}
    return ColumnReport(
        name=name, error=error, se=0.001, floor=0.008, labels=labels, real=real, synthetic=synthetic, **given
    )


def matrix(size: int, seed: int) -> list[list[float | None]]:
    half = np.random.default_rng(seed).random((size, size)) / 30
    both = (half + half.T) / 2
    return [[None if row == other else float(both[row, other]) for other in range(size)] for row in range(size)]


def make_report(columns: tuple[ColumnReport, ...] | None = None, **changes: Any) -> Report:
    shown = (
        (make_number("age"), make_number("debt", 0.05, missing=True), make_category("sex", 0.002))
        if columns is None
        else columns
    )
    names = tuple(one.name for one in shown)
    steps = [float(step) for step in range(10, 1010, 10)]
    usual: dict[str, Any] = {
        "rows": {"real": 27000, "synthetic": 27000, "test": 3000},
        "target": "sex",
        "scores": make_scores(),
        "skipped": {},
        "columns": shown,
        "pair_names": names,
        "pair_errors": matrix(len(names), 0),
        "pair_floors": matrix(len(names), 1),
        "trace": {
            "step": steps,
            "loss": [1 + 1 / step for step in steps],
            "numbers": [0.5 + 1 / step for step in steps],
            "categories": [2 + 1 / step for step in steps],
            "seconds": [step / 4 for step in steps],
        },
        "about": {"table": "credit", "scorewise": "0.1.0", "seed": "0", "stopped": "The loss had gone flat."},
    }
    return Report(**{**usual, **changes})


CASES = {
    "usual": make_report(),
    "no trace": make_report(trace=None),
    "empty trace": make_report(trace={"step": [], "loss": []}),
    "one step": make_report(trace={"step": [1.0], "loss": [0.5]}),
    "flat trace": make_report(trace={"step": [0.0, 1.0], "loss": [0.5, 0.5], "numbers": [NAN, NAN]}),
    "no test": make_report(
        rows={"real": 9, "synthetic": 9}, target=None, about={}, skipped={"utility": "no test rows"}
    ),
    "one column": make_report(columns=(make_number("only"),)),
    "two columns": make_report(columns=(make_number("one"), make_category("two"))),
    "nothing": make_report(columns=(), scores={}, trace=None, about={}),
    "not a number": make_report(
        columns=(
            make_column("x", "number", NAN, ["0", "1", "missing"], [NAN, 1.0, 0.0], [NAN] * 3),
            make_column("y", "category", NAN, ["a"], [NAN], [NAN]),
            make_column("z", "number", NAN, [], [], []),
        ),
        scores={metric.key: Score(NAN, NAN, NAN, NAN) for metric in METRICS},
        pair_errors=[[None, NAN, 0.5], [NAN, None, 0.1], [0.5, 0.1, None]],
        pair_floors=[[None, None, NAN], [None, None, None], [NAN, None, None]],
        trace={"step": [1.0, 2.0, 3.0], "loss": [NAN, 1.0, 2.0], "seconds": [NAN]},
    ),
    "no errors of scores": make_report(scores={metric.key: Score(0.4, NAN) for metric in METRICS}),
    "extremes": make_report(scores={metric.key: Score(1.0, 1.0, 0.0, 1.0) for metric in METRICS}),
    "hundred columns": make_report(columns=tuple(make_number(f"column {k}", k / 1000, seed=k) for k in range(100))),
    "other scripts": make_report(
        columns=(make_number("顧客の年齢"), make_category("عمر العميل", levels=("ä" * 200, "\u200b", "")))
    ),
}


@pytest.fixture(scope="session")
def scores() -> Callable[..., dict[str, Score]]:
    """A maker of scores, all of them usual but for those that are given."""
    return make_scores


@pytest.fixture(scope="session")
def number() -> Callable[..., ColumnReport]:
    """A maker of number columns of a report."""
    return make_number


@pytest.fixture(scope="session")
def category() -> Callable[..., ColumnReport]:
    """A maker of category columns of a report."""
    return make_category


@pytest.fixture(scope="session")
def column() -> Callable[..., ColumnReport]:
    """A maker of columns of a report, from their shares."""
    return make_column


@pytest.fixture(scope="session")
def report() -> Callable[..., Report]:
    """A maker of reports, usual in all that is not given."""
    return make_report


@pytest.fixture(scope="session")
def cases() -> dict[str, Report]:
    """Reports that a page could break on, by what is odd about them."""
    return CASES


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Report:
    """Each of the cases in turn."""
    return CASES[request.param]


@pytest.fixture(scope="session")
def page_of() -> Callable[[Report], Page]:
    """A report's page, rendered and parsed."""

    def parse(measured: Report) -> Page:
        return Page(render(measured))

    return parse


@pytest.fixture(scope="session")
def levels_of() -> Callable[[TableDenoiser], list[float]]:
    """A list that a network adds the noise level of each of its evaluations to."""

    def watch(network: TableDenoiser) -> list[float]:
        seen: list[float] = []

        def note(_: object, inputs: tuple[torch.Tensor], __: object) -> None:
            (angles,) = inputs
            sine, cosine = angles[0, 0], angles[0, angles.shape[1] // 2]  # of a quarter of the logarithm
            seen.append(math.exp(4 * math.atan2(float(sine), float(cosine))))

        network.clock.register_forward_hook(note)
        return seen

    return watch
