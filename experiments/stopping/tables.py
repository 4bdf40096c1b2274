"""The tables of `docs/stopping.md`, made from the JSON files of the experiments: `python -m experiments.stopping`.

A table stands between the lines `<!-- table: NAME -->` and `<!-- end -->` of the page.
"""

import json
import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "stopping.md"
Found = dict[str, Any]


def number(x: float | None, digits: int = 2) -> str:
    """A number, or a dash where there is none."""
    return "–" if x is None or x != x else f"{x:.{digits}f}"


def percent(x: Found) -> str:
    """A share with its standard error, in percent."""
    return f"{100 * x['mean']:.1f} ± {100 * x['se']:.1f}"


def measured(x: Found, digits: int = 2) -> str:
    """A mean with its standard error."""
    return f"{x['mean']:.{digits}f} ± {x['se']:.{digits}f}"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Lines of a table in Markdown."""
    head = list(head)
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def rules(found: Found) -> str:
    """Risk over the oracle's: geometric means over settings with 95 % intervals, the worst setting in brackets."""
    summary = found["summary of risk over oracle"]

    def cell(one: Found) -> str:
        mean, error = one["geometric mean"], 1.96 * one["se of its logarithm over settings"]
        low, high = mean * math.exp(-error), mean * math.exp(error)
        return f"{mean:.2f} [{low:.2f}, {high:.2f}] ({one['worst setting']:.2f})"

    return table(["weight", *summary["none"]], [[w, *map(cell, summary[w].values())] for w in summary])


def weights(found: Found) -> str:
    """Unweighted risk at the stop of SURE, over that without weight."""
    ratios = found["unweighted risk at SURE over that without weight"]
    return table(
        ["weight", "geometric mean", "least", "greatest"],
        [[w, *(number(x) for x in one.values())] for w, one in ratios.items()],
    )


def copies(found: Found) -> str:
    """Excess risk in percent."""
    kinds = list(found["results"][0]["excess risk"])
    return table(
        ["rows × copies", *kinds],
        [
            [f"{one['rows']} × {one['copies']}", *(percent(one["excess risk"][kind]) for kind in kinds)]
            for one in found["results"]
        ],
    )


def coupling(found: Found) -> str:
    """Exponents of the width."""
    return table(
        ["distance", *(f"{step} steps" for step in found["steps"])],
        [[name, *(measured(one) for one in by_step.values())] for name, by_step in found["slopes"].items()],
    )


def rates(found: Found) -> str:
    """Exponents of the rows on the line."""
    exponents = found["exponents on the line"]
    rules = list(exponents["kink"])
    return table(
        ["target", *rules],
        [
            [f, *(f"{one['value']:.2f} ± {one['se']:.2f}" for one in by_rule.values())]
            for f, by_rule in exponents.items()
        ],
    )


def scores(found: Found) -> str:
    """Error of the score and of samples by the number of rows."""
    lines = zip(found["rows"]["scores"], found["error of the score"], found["sliced Wasserstein distance"], strict=True)
    return table(
        ["rows", "error of the score", "sliced Wasserstein distance"],
        [[str(n), measured(error, 3), measured(distance, 3)] for n, error, distance in lines],
    )


def localisation(found: Found) -> str:
    """Risk over that of one interval, unweighted norm."""
    cells = [one for one in found["results"] if one["norm"] == "unweighted" and one["intervals"] > 1]
    sizes = sorted({one["rows"] for one in cells})
    lines: dict[tuple[str, int], list[str]] = {}
    for one in cells:
        lines.setdefault((one["weight"], one["intervals"]), []).append(measured(one["relative to one interval"]))
    return table(
        ["weight, intervals", *(f"{n} rows" for n in sizes)],
        [[f"{w}, K = {k}", *c] for (w, k), c in sorted(lines.items())],
    )


def overfit(found: Found) -> str:
    """Steps of least loss and of memorisation, medians are not taken: one number a seed."""
    rows = []
    for name, path in found["paths"].items():
        for n, one in path.items():
            if n.isdigit():
                least = ", ".join(f"{step:,}" for step in one["best step"])
                times = ", ".join("–" if t is None else f"{t:,.0f}" for t in one["memorisation step"])
                rows.append([name, n, least, times])
        exponent = path["exponent of the memorisation step in the rows"]
        rows.append([name, "exponent", "", number(exponent)])
    return table(["path", "rows", "step of least loss on new rows", "step of memorisation"], rows)


def networks(found: Found) -> str:
    """What each rule chose, in percent above the least loss."""
    return table(
        [
            "data, rows",
            "rule",
            "at its choice",
            "against equal weights",
            "at the last step",
            "optimism, of the true one",
            "said done",
        ],
        [
            [
                f"{one['data']}, {one['rows']:,}",
                one["rule"],
                percent(one["excess at the chosen step"]),
                percent(one["excess over the least loss with equal weights"]),
                percent(one["excess at the last step"]),
                number(one["estimated over true optimism at the end"]["mean"]),
                ", ".join("–" if s is None else f"{s:,}" for s in one["step at which it said done"]),
            ]
            for one in found["results"]
        ],
    )


def real(found: Found) -> str:
    """Where the held-out rows end the synthesizer's training, and what that costs on test rows."""
    return table(
        ["table, rows", "longest", "ended", "kept", "best", "above the best, %", "without a rule, %", "checking, %"],
        [
            [
                f"{one['table']}, {one['rows']:,}",
                f"{one['longest training']:,}",
                f"{one['ended']:,}" if one["ended by the held-out rows"] else "–",
                f"{one['kept']:,}",
                f"{one['best']:,}",
                f"{100 * one['excess at the rule']:.2f}",
                f"{100 * one['excess of the longest training']:.2f}",
                f"{100 * one['share of checking']:.1f}",
            ]
            for one in found["results"]
        ],
    )


def lighter(found: Found) -> str:
    """What a rule without held-out rows keeps."""
    return table(
        [
            "table, rows",
            "longest",
            "kept",
            "best",
            "above the best, %",
            "without a rule, %",
            "optimism, of the true one",
        ],
        [
            [
                f"{one['table']}, {one['rows']:,}",
                *(f"{one[key]:,}" for key in ("longest training", "kept", "best")),
                f"{100 * one['excess at the rule']:.2f}",
                f"{100 * one['excess of the longest training']:.2f}",
                number(one["estimated over true optimism at the end"]),
            ]
            for one in found["results"]
        ],
    )


def tuned(found: Found) -> str:
    """Scores of each way to train, and what it took."""
    names = list(found["CPU seconds of one model"])
    digits = {"shapes": 4, "trends": 4}
    rows = [
        [
            key.replace("_", " "),
            number(one["floor"], digits.get(key, 3)),
            *(measured(one[name], digits.get(key, 3)) for name in names),
        ]
        for key, one in found["scores"].items()
    ]
    minutes = [f"{found['CPU seconds of one model'][name] / 60:.1f}" for name in names]
    return table(["score", "floor", *names], [*rows, ["CPU minutes, search included", "", *minutes]])


def watching(found: Found) -> str:
    """Cost of watching, in percent of the training."""
    return table(
        ["rule", "share of the training, %", "quartiles"],
        [
            [
                name,
                f"{100 * one['median']:.2f}",
                f"{100 * one['lower quartile']:.2f} to {100 * one['upper quartile']:.2f}",
            ]
            for name, one in found["share of the training"].items()
        ],
    )


TABLES: dict[str, tuple[str, Callable[[Found], str]]] = {
    "rules": ("rules", rules),
    "weights": ("rules", weights),
    "copies": ("copies", copies),
    "coupling": ("coupling", coupling),
    "rates": ("rates", rates),
    "scores": ("rates", scores),
    "localisation": ("localisation", localisation),
    "overfit": ("overfit", overfit),
    "networks": ("networks", networks),
    "real": ("real", real),
    "lighter": ("lighter", lighter),
    "tuned": ("tuned", tuned),
    "watching": ("watching", watching),
}


def filled(page: str) -> str:
    """The page with its tables made anew."""

    def made(match: re.Match[str]) -> str:
        name = match[1]
        source, draw = TABLES[name]
        folder = ROOT / "benchmarks" if source == "watching" else Path(__file__).parent / "results"
        found = json.loads((folder / f"{source}.json").read_text(encoding="utf-8"))
        return f"<!-- table: {name} -->\n{draw(found)}\n<!-- end -->"

    return re.sub(r"<!-- table: (\w+) -->\n.*?<!-- end -->", made, page, flags=re.DOTALL)
