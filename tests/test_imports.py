"""The order of imports that docs/design.md states, read from that page and held against the source."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "scorewise"
OUTER = ("tabular", "datasets", "terminal", "cli")  # all else is the core: torch and the standard library, nothing more


def parse_order(page: str) -> dict[str, set[str]]:
    """Of each module that the page's sentence names, the modules that it may import.

    `a, b <- c (d <- e; d <- f) <- g`: c stands for d, e, f together; what is further left may be imported.
    """
    sentence = re.search(r"Imports go strictly downwards: `([^`]+)`", page)
    assert sentence is not None, "docs/design.md must hold the sentence 'Imports go strictly downwards: `...`'"
    text = sentence[1]
    inner: dict[str, list[str]] = {}
    for name, body in re.findall(r"(\w+)\s*\(([^)]*)\)", text):
        inner[name] = body.split(";")
    outer = re.sub(r"\s*\([^)]*\)", "", text)
    allowed: dict[str, set[str]] = {}
    members = {name: set(re.findall(r"\w+", " ".join(chains))) for name, chains in inner.items()}
    for chain in [outer, *(chain for chains in inner.values() for chain in chains)]:
        before: set[str] = set()
        for level in chain.split("<-"):
            here = set().union(*(members.get(name, {name}) for name in re.findall(r"\w+", level)))
            for name in here:
                allowed.setdefault(name, set()).update(before)
            before |= here
    for _ in allowed:  # transitive closure
        for name, earlier in allowed.items():
            earlier.update(*(allowed[one] for one in tuple(earlier)))
            assert name not in earlier, f"docs/design.md orders {name} before itself"
    return allowed


def modules(package: Path) -> dict[str, Path]:
    """Every module below the package by its dotted name within it; '' is the package itself."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def statements(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports that are run at some time: all but those under `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and ast.unparse(child.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for other in child.orelse:
                yield from statements(other)
        else:
            yield from statements(child)


def imported(package: Path, name: str, path: Path) -> Iterator[str]:
    """Dotted names of what a module imports; a name of this package's begins with the package's name."""
    known = modules(package)
    for statement in statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
            continue
        source = statement.module or ""
        if statement.level:
            parts = [package.name, *name.split(".")] if name else [package.name]
            parts = parts[: len(parts) - statement.level + (path.name == "__init__.py")]
            source = ".".join([*parts, *([source] if source else [])])
        for alias in statement.names:
            full = f"{source}.{alias.name}"
            yield full if full.removeprefix(f"{package.name}.") in known else source


def violations(package: Path, allowed: dict[str, set[str]]) -> list[str]:
    """One sentence for each import that is against the order."""
    found = []
    edges: dict[str, set[str]] = {}
    for name, path in modules(package).items():
        core = name.partition(".")[0] not in OUTER
        for target in imported(package, name, path):
            top = target.partition(".")[0]
            inside = target.removeprefix(package.name).removeprefix(".")
            if top != package.name:
                if core and top not in sys.stdlib_module_names | {"torch"}:
                    found.append(f"{name or package.name}, of the core, imports {target}")
                continue
            edges.setdefault(name, set()).add(inside)
            if core and inside.partition(".")[0] in OUTER:
                found.append(f"{name or package.name}, of the core, imports {target}")
            elif path.name != "__init__.py" and inside.rpartition(".")[2] not in allowed.get(_last(name), set()):
                found.append(f"{name} imports {target}")
    found += [f"{name} imports itself, by way of others" for name in edges if name in _reached(edges, name)]
    return found


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _reached(edges: dict[str, set[str]], start: str) -> set[str]:
    reached: set[str] = set()
    waiting = list(edges.get(start, ()))
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(edges.get(name, ()))
    return reached


@pytest.fixture(scope="module")
def allowed() -> dict[str, set[str]]:
    return parse_order((ROOT / "docs" / "design.md").read_text(encoding="utf-8"))


def test_every_module_has_its_place_in_the_order(allowed: dict[str, set[str]]) -> None:
    there = {_last(name) for name, path in modules(PACKAGE).items() if path.name != "__init__.py"}
    assert "cli" in there
    assert there - set(allowed) == set(), "add these modules to the order in docs/design.md, section 2"
    assert set(allowed) - there == set(), "docs/design.md, section 2, names modules that are not there"


def test_no_two_modules_share_a_name() -> None:
    names = [_last(name) for name, path in modules(PACKAGE).items() if path.name != "__init__.py"]
    assert len(names) == len(set(names))


def test_imports_go_strictly_downwards(allowed: dict[str, set[str]]) -> None:
    assert violations(PACKAGE, allowed) == []


def test_the_order_is_read_as_it_is_written() -> None:
    allowed = parse_order("Imports go strictly downwards: `a, b <- c <- big (d <- e; d\n<- f) <- g`. More.")
    assert allowed == {
        "a": set(),
        "b": set(),
        "c": {"a", "b"},
        "d": {"a", "b", "c"},
        "e": {"a", "b", "c", "d"},
        "f": {"a", "b", "c", "d"},
        "g": {"a", "b", "c", "d", "e", "f"},
    }


@pytest.mark.parametrize(
    ("module", "source", "sentence"),
    [
        ("noise.py", "from scorewise.train import step", "noise imports scorewise.train"),
        ("noise.py", "from scorewise import train", "noise imports scorewise.train"),
        ("noise.py", "from .train import step", "noise imports scorewise.train"),
        ("noise.py", "from . import train", "noise imports scorewise.train"),
        ("noise.py", "import scorewise.train", "noise imports scorewise.train"),
        ("noise.py", "def f():\n    from scorewise import train", "noise imports scorewise.train"),
        ("noise.py", "import numpy as np", "noise, of the core, imports numpy"),
        ("noise.py", "try:\n    import pandas\nexcept ImportError:\n    pass", "noise, of the core, imports pandas"),
        ("noise.py", "from scorewise.tabular.table import read", "noise, of the core, imports scorewise.tabular.table"),
        (
            "__init__.py",
            "from scorewise.tabular import table",
            "scorewise, of the core, imports scorewise.tabular.table",
        ),
        ("train.py", "from scorewise import Name", "train imports scorewise"),
        ("tabular/table.py", "from ..cli import main", "tabular.table imports scorewise.cli"),
        ("tabular/table.py", "from . import schema", "tabular.table imports scorewise.tabular.schema"),
        ("tabular/schema.py", "from . import schema", "tabular.schema imports itself, by way of others"),
    ],
)
def test_a_planted_violation_is_caught(module: str, source: str, sentence: str, tmp_path: Path) -> None:
    allowed = parse_order("Imports go strictly downwards: `noise <- train <- tabular (table <- schema) <- cli`")
    package = tmp_path / "scorewise"
    clean = {
        "__init__.py": "from scorewise.noise import Noise",
        "noise.py": "import math\nimport torch.nn\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from scorewise.train import Step",
        "train.py": "from scorewise.noise import Noise\nfrom . import noise",
        "tabular/__init__.py": "from .table import read",
        "tabular/table.py": "import numpy\nfrom scorewise.noise import Noise",
        "tabular/schema.py": "from .table import read\nfrom ..train import Step",
        "cli.py": "import typer\nfrom scorewise.tabular.schema import Schema",
    }
    for name, text in clean.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    assert violations(package, allowed) == []
    (package / module).write_text(clean[module] + "\n" + source)
    assert sentence in violations(package, allowed)
