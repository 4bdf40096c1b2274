"""The tables of `docs/benchmarks.md`, made from the JSON files: what was measured, and what others published.

A table stands between the lines `<!-- table: NAME -->` and `<!-- end -->` of the page.
"""

import functools
import json
import math
import re
import statistics
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from benchmarks.peers.aims import aims, short_fits
from benchmarks.peers.catalogue import BUDGETS, HEADLINE, OURS, PEERS
from benchmarks.peers.cells import Found, read
from benchmarks.peers.lead import Standing, races, standings
from benchmarks.shown import SCORES
from benchmarks.splits import SHORT, TABLES

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
PUBLISHED = Path(__file__).parent / "published.json"
NOTHING = "Nothing has been measured yet."
Results = Mapping[str, Found]

AS_PUBLISHED = Path(__file__).parent / "as_published.json"
PROTOCOL = {
    "shape error %": ("shapes", 100, 2),
    "trend error %": ("trends_legacy", 100, 2),
    "alpha precision %": ("alpha_precision", 100, 2),
    "beta recall %": ("beta_recall", 100, 2),
    "logistic detection": ("detection_linear", 1, 4),
    "utility": ("utility", 1, 3),
}
"""What the papers measure: the key of each score here, and how it is shown."""


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Lines of a table in Markdown; a sentence where it has no rows."""
    head, rows = list(head), [list(row) for row in rows]
    if not rows:
        return NOTHING
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def whole(results: Results, name: str) -> dict[str, list[Found]]:
    """The cells of one table in which every score was asked for, those of the longest budget, by generator."""
    chosen = [found for found in results.values() if found["table"] == name and found["whole"]]
    most = max((found["minutes"] for found in chosen), default=0.0)
    cells = {peer: [one for one in chosen if one["peer"] == peer and one["minutes"] == most] for peer in PEERS}
    return {peer: found for peer, found in cells.items() if found}


def spread(values: list[float], se: float, scale: float, digits: int) -> str:
    """A value with its own standard error; a mean with the standard deviation over fits where there are several."""
    deviation = se if len(values) == 1 else statistics.stdev(values)
    mean = f"{scale * statistics.mean(values):.{digits}f}"
    return mean if math.isnan(deviation) else f"{mean} ± {scale * deviation:.{digits}f}"


def score(cells: list[Found], key: str, scale: float, digits: int) -> str:
    """One score over the fits of a generator; empty where it was not measured."""
    found = [one["scores"][key] for one in cells if key in one["scores"]]
    return spread([one["value"] for one in found], found[0]["se"], scale, digits) if found else ""


def floor(cells: Iterable[list[Found]], key: str, scale: float, digits: int) -> str:
    """The floor of one score, which is the same for all generators."""
    for found in (one["scores"].get(key) for group in cells for one in group):
        if found is not None and found["floor"] is not None:
            return f"{scale * found['floor']:.{digits}f}"
    return ""


def seconds(cells: list[Found], key: str) -> str:
    """A cost of the last snapshot, means over fits; what was spent in vain where there is no model."""
    costs = [one["curve"][-1][key] for one in cells if one["curve"]]
    if costs:
        return f"{statistics.mean(costs):,.0f}"
    return f"({cells[0]['CPU seconds when it was given up']:,.0f})" if key == "fit CPU seconds" else ""


def measured(results: Results, name: str) -> list[list[str]]:
    """Rows of one table: the floor, then each generator."""
    cells = whole(results, name)
    if not cells:
        return []
    floors = [floor(cells.values(), key, *how) for key, (_, *how) in SCORES.items()]
    rows = [["**floor**", "", "", "", "", *(f"**{known}**" if known else "" for known in floors)]]
    for peer, found in cells.items():
        costs = [seconds(found, key) for key in ("fit CPU seconds", "sample CPU seconds")]
        peak = f"{max(one['peak MB of fit and sample'] for one in found):,}"
        ended = ", ".join(dict.fromkeys(one["ended"] for one in found))
        title = PEERS[peer].title + (f", {len(found)} fits" if len(found) > 1 else "")
        rows.append([title, *costs, peak, ended, *(score(found, key, *how) for key, (_, *how) in SCORES.items())])
    shown = [k for k in range(len(rows[0])) if k < 5 or any(row[k] for row in rows[1:])]
    return [[row[k] for k in shown] for row in rows]


def headed(rows: list[list[str]], results: Results, name: str) -> str:
    """A table of `measured` rows with the heads of the columns that they have."""
    cells = whole(results, name).values()
    keys = {key for group in cells for one in group for key in one["scores"]}
    titles = [title for key, (title, *_) in SCORES.items() if key in keys]
    return table(["generator", "fit CPU s", "sample CPU s", "MB", "ended by", *titles], rows)


def headline(results: Results) -> str:
    """Every score of every generator on the headline table."""
    return headed(measured(results, HEADLINE), results, HEADLINE)


def others(results: Results, names: Iterable[str] = TABLES) -> str:
    """The same for the other tables, one after another."""
    parts = []
    for name in names:
        rows = measured(results, name) if name != HEADLINE else []
        if rows:
            one = next(iter(whole(results, name).values()))[0]
            size = f"{one['rows']['train']:,} training rows, {one['columns']} columns"
            parts.append(f"`{name}`, {size}\n\n{headed(rows, results, name)}")
    return "\n\n".join(parts) or NOTHING


def points(results: Results) -> dict[str, dict[float, list[tuple[float, float]]]]:
    """Fit CPU seconds and detection AUC on the headline table, by generator and budget in CPU minutes."""
    found: dict[str, dict[float, list[tuple[float, float]]]] = {}
    for peer in PEERS:
        for one in results.values():
            if one["table"] != HEADLINE or one["peer"] != peer:
                continue
            for point in one["curve"]:
                at = found.setdefault(peer, {}).setdefault(point["budget in CPU minutes"], [])
                at.append((point["fit CPU seconds"], point["detection"]["value"]))
    return found


def curve(results: Results) -> str:
    """Detection AUC by budget, with the CPU seconds that the fit had really cost."""
    found = points(results)
    budgets = sorted(
        {budget for by_budget in found.values() for budget in by_budget} | (set(BUDGETS) if found else set())
    )

    def cell(at: list[tuple[float, float]] | None) -> str:
        if at is None:
            return ""
        cost, auc = (statistics.mean(column) for column in zip(*at, strict=True))
        return f"{auc:.3f} ({cost:,.0f} s)"

    rows = [
        [PEERS[peer].title, *(cell(by_budget.get(budget)) for budget in budgets)] for peer, by_budget in found.items()
    ]
    head = [f"{budget:g} min" for budget in budgets[:-1]] + [
        f"the end, after {budget:g} min at most" for budget in budgets[-1:]
    ]
    return table(["generator", *head], rows)


def race(results: Results) -> str:
    """CPU seconds to the detection AUC at which each other generator ended."""
    rows = []
    for one in races(points(results)):
        own = ["not reached", "", ""]
        if one.own is not None:
            own = [f"{one.reached:.3f}", f"{one.own:,.0f}", f"1/{one.seconds / one.own:,.1f}"]
        rows.append([PEERS[one.peer].title, f"{one.auc:.3f}", f"{one.seconds:,.0f}", *own])
    return table(["generator", "its detection", "its fit CPU s", "ours", "our fit CPU s", "share"], rows)


def lead(results: Results, names: Iterable[str] = TABLES) -> str:
    """On how many scores ours is ahead of every other generator, and where it is not, by how much."""
    rows, every = [], []
    for name in names:
        found = standings(whole(results, name), name)
        every += found
        if found:
            told = "; ".join(filter(None, map(_told, found)))
            rows.append([f"`{name}`", *_counts(found), told])
    if rows:
        rows.append(["all", *_counts(every), ""])
    head = [
        "table",
        "scores",
        "ahead",
        "level",
        "behind",
        "with room",
        "ahead of these",
        "where not ahead, and of whom",
    ]
    return table(head, rows)


def _counts(found: list[Standing]) -> list[str]:
    """How many there are, in each place, and of those that leave room for a lead all and the ones ahead."""
    places, contested = ([one.place for one in some] for some in (found, [one for one in found if one.contested]))
    by_place = (places.count(place) for place in ("ahead", "level", "behind"))
    return [str(count) for count in (len(places), *by_place, len(contested), contested.count("ahead"))]


def _told(one: Standing) -> str:
    """A score on which ours is not ahead, in words; nothing of the others."""
    if one.place == "ahead":
        return ""
    title, scale, digits = SCORES[one.key]
    ours, theirs = (f"{scale * value:.{digits}f}" for value in (one.ours, one.theirs))
    return f"{title} {ours} against {theirs} ± {scale * one.se:.{digits}f} ({PEERS[one.peer].title}): {one.place}"


def aimed(results: Results) -> str:
    """What was aimed at on the headline table, and what was reached."""
    long, to = whole(results, HEADLINE).get(OURS, []), races(points(results))
    if not long or not to:
        return NOTHING
    rows = [
        [one.title, one.of, one.bounds, f"{one.reached:,.{one.digits}f}", "yes" if one.held else "no"]
        for one in aims(short_fits(), long, to[0])
    ]
    return table(["", "fits", "aimed at", "reached", "held"], rows)


def figure(results: Results) -> str:
    """The figure, once there is something to draw."""
    return "![Detection AUC against CPU seconds of the fit](benchmarks.png)" if points(results) else NOTHING


def published() -> Found:
    """What others published."""
    found: Found = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    return found


def protocol(results: Results) -> str:
    """Published figures beside ours, measured in their way; of the headline also the peers of here."""
    parts, mine = [], read(AS_PUBLISHED)
    for name, said in published()["tables"].items():
        if name not in (*mine, HEADLINE):
            continue
        rows = [
            [f"{generator}, published", *(_published(figures.get(key)) for key in PROTOCOL)]
            for generator, figures in said.items()
        ]
        if name in mine:
            rows += _as_published(mine[name])
        if name == HEADLINE:
            rows += _here(results)
        shown = [k for k in range(len(PROTOCOL) + 1) if k == 0 or any(row[k] != "–" for row in rows)]
        head = ["generator", *PROTOCOL]
        parts.append(f"`{name}`\n\n{table([head[k] for k in shown], [[row[k] for k in shown] for row in rows])}")
    return "\n\n".join(parts)


def _published(said: Found | None) -> str:
    """A figure of a paper."""
    if said is None:
        return "–"
    value = f"{said['value']:g}" + (f" ± {said['se']:g}" if "se" in said else "")
    return value + (" (recalled)" if said["source"] == "recalled" else "")


def _as_published(found: Found) -> list[list[str]]:
    """Ours over the sampled tables of one fit; the training rows, where they were scored."""

    def shown(key: str, scale: float, digits: int) -> str:
        values = found["scores"].get(key)
        return spread(values, math.nan, scale, digits) if values else "–"

    rows = [
        [f"scorewise, {len(found['scores']['shapes'])} tables of one fit", *(shown(*how) for how in PROTOCOL.values())]
    ]
    real = found["of the training rows"]
    if real:
        known = (f"{scale * real[key]:.{digits}f}" if key in real else "–" for key, scale, digits in PROTOCOL.values())
        rows.append(["the training rows themselves", *known])
    return rows


def _here(results: Results) -> list[list[str]]:
    """The peers of the headline table that were run here, by one sample of the split of that run."""
    rows = []
    for peer, found in whole(results, HEADLINE).items():
        theirs = found[0].get("sdmetrics")
        if peer == OURS or theirs is None:
            continue
        row = [f"{PEERS[peer].title}, section 2"]
        for key, scale, digits in PROTOCOL.values():
            if key in theirs:
                row.append("–" if theirs[key] is None else f"{scale * theirs[key]:.{digits}f}")
            else:
                row.append("–" if key == "utility" else score(found, key, scale, digits))
        rows.append(row)
    return rows


def means(_: Results) -> str:
    """Published means over twelve tables, of a protocol of their own."""
    rows = [
        [f"{name}, published", *(f"{x:g}" for x in said.values())]
        for name, said in published()["means over 12 tables"].items()
    ]
    return table(["generator", "LightGBM detection score", "shape score", "trend score"], rows)


def crosscheck(results: Results) -> str:
    """The greatest difference between our scores and those of sdmetrics, over all cells."""
    scored = [one for one in results.values() if "sdmetrics" in one]
    rows = []
    for key in ("shapes", "trends_legacy", "detection_linear"):
        apart = [
            abs(one["scores"][key]["value"] - one["sdmetrics"][key])
            for one in scored
            if key in one["scores"] and one["sdmetrics"][key] is not None
        ]
        if apart:
            rows.append([key, str(len(apart)), f"{statistics.median(apart):.4f}", f"{max(apart):.4f}"])
    return table(["score", "samples", "median difference", "greatest difference"], rows)


def versions(results: Results) -> str:
    """Versions of the generators, how far each came, and what could not be read of its samples."""
    rows = []
    for name in (*TABLES, *SHORT):
        for peer, found in whole(results, name).items():
            one = found[0]
            said = ", ".join(f"{package} {version}" for package, version in one["versions"].items())
            far = ", ".join(f"{key}: {value}" for key, value in one["detail"].items() if not isinstance(value, dict))
            lost = one["unreadable cells"]
            cells = "" if lost is None else f"{100 * lost:.3f}"
            rows.append([f"{name}, {PEERS[peer].title}", PEERS[peer].licence, said, far, cells])
    return table(["table, generator", "licence", "versions", "how far it came", "unreadable cells %"], rows)


def unfinished(results: Results) -> str:
    """How long a generator that did not end would take, along the line through its two largest subsets of the rows.

    Of one subset alone no line is drawn: all rows take more than that.
    """
    rows = []
    for one in results.values():
        by_rows = {int(n): cost for n, cost in one["detail"].get("CPU seconds of one noise level by rows", {}).items()}
        if by_rows:
            *shorter, (last, level) = sorted(by_rows.items())
            for fewer, less in shorter[-1:]:
                level += (level - less) / (last - fewer) * (one["rows"]["train"] - last)
            said = ", ".join(f"{n:,} rows: {cost:,.0f} s" for n, cost in by_rows.items())
            hours = one["detail"]["noise levels by default"] * level / 3600
            bound = "" if shorter else "more than "
            rows.append([f"{one['table']}, {PEERS[one['peer']].title}", said, f"{bound}{hours:,.1f}"])
    return table(["table, generator", "one noise level, CPU seconds", "all levels and rows, CPU hours"], rows)


def machine(results: Results) -> str:
    """The machines, the pace that they kept, and how alone the fits were."""
    if not results:
        return NOTHING
    lines = []
    facts = [one["machine"] for one in results.values()]
    for about in [one for k, one in enumerate(facts) if one not in facts[:k]]:
        lines.append(
            f"Machine: {about['processor']}, {about['cores']} cores, {about['instructions']}, bfloat16 used: "
            f"{about['bfloat16 used']}; one thread a process; Python {about['python']}, torch {about['torch']}, "
            f"LightGBM {about['lightgbm']}."
        )
    paces = [one["yardstick seconds"] for one in results.values()]
    shares = [point["fit seconds"] / point["fit CPU seconds"] for one in results.values() for point in one["curve"]]
    lines.append(
        f"The fixed piece of work after each fit took {statistics.median(paces):.2f} s (median; {min(paces):.2f} to "
        f"{max(paces):.2f}). A fit's seconds by the wall clock were at most {max(shares):.2f} times those of the CPU."
    )
    return "\n".join(lines)


MADE: dict[str, Callable[[Results], str]] = {
    "headline": headline,
    "aims": aimed,
    "figure": figure,
    "curve": curve,
    "race": race,
    "lead": lead,
    "others": others,
    "lead_short": functools.partial(lead, names=SHORT),
    "short": functools.partial(others, names=SHORT),
    "protocol": protocol,
    "means": means,
    "crosscheck": crosscheck,
    "unfinished": unfinished,
    "versions": versions,
    "machine": machine,
}


def filled(page: str, results: Results) -> str:
    """The page with its tables made anew."""

    def made(match: re.Match[str]) -> str:
        return f"<!-- table: {match[1]} -->\n\n{MADE[match[1]](results)}\n\n<!-- end -->"

    return re.sub(r"<!-- table: (\w+) -->\n.*?<!-- end -->", made, page, flags=re.DOTALL)
