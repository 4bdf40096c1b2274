"""The command line of benchmarks shown in docs/performance.md, and of those of them that measure table by table."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from machine import machine

Tables = dict[str, list[dict[str, Any]]]


def arguments(description: str, out: Path) -> argparse.ArgumentParser:
    """Give a parser of what all of them take: the JSON file, and whether to print what the page shows of it."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, default=out)
    parser.add_argument("--markdown", action="store_true", help="print what docs/performance.md shows; measure nothing")
    return parser


def run_against(
    description: str,
    script: Path,
    names: Sequence[str],
    measure: Callable[[str], dict[str, Any]],
    markdown: Callable[[dict[str, Any]], str],
) -> None:
    """Measure tables with the package and, if it is given, with one of another folder; write what was found as JSON.

    A table that is in the JSON file of the script is measured again only if it is named. The file describes the machine
    of each table that was measured on another one than most.
    """
    parser = arguments(description, script.with_suffix(".json"))
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(names))
    parser.add_argument("--against", metavar="SRC", help="folder that holds another version of the package")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one)))
        return
    if options.markdown:
        print(markdown(json.loads(options.out.read_text(encoding="utf-8"))["tables"]))
        return
    written = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
    found: dict[str, Any] = written.get("tables", {})
    machines: dict[str, Any] = dict.fromkeys(found, written.get("machine")) | written.get("other machines", {})
    for name in options.tables or [name for name in names if name not in found]:
        before = {"before": _elsewhere(script, name, options.against)} if options.against else {}
        found[name] = {**before, "this": measure(name)}
        print(name, found[name], flush=True)
        machines[name] = machine()
        most = max(machines.values(), key=list(machines.values()).count)
        others = {other: one for other, one in machines.items() if one != most}
        text = json.dumps({"tables": found, "machine": most, "other machines": others}, indent=1) + "\n"
        options.out.write_text(text, encoding="utf-8")


def _elsewhere(script: Path, name: str, source: str) -> dict[str, Any]:
    """Measure one table with the package of another folder, in a process of its own."""
    command = [sys.executable, str(script), "--one", name]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": source}, stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def run(
    description: str,
    default: list[str],
    out: Path,
    measure: Callable[[str], Iterator[dict[str, Any]]],
    markdown: Callable[[Tables], str],
) -> None:
    """Measure the tables named on the command line and write them as JSON, or print what the page shows of the file."""
    parser = arguments(description, out)
    parser.add_argument("tables", nargs="*", metavar="TABLE", default=default)
    options = parser.parse_args()
    if options.markdown:
        print(markdown(json.loads(options.out.read_text(encoding="utf-8"))["tables"]))
        return
    torch.set_num_threads(1)
    found: Tables = {}
    for name in options.tables:
        found[name] = []
        for one in measure(name):
            found[name].append(one)
            print(name, one, flush=True)
    options.out.write_text(json.dumps({"tables": found, "machine": machine()}, indent=1) + "\n", encoding="utf-8")
