"""Suites of experiments: the scripts of the clone that the package runs from, by suite and name."""

import ast
import importlib.util
import sys
from pathlib import Path
from typing import NamedTuple


class SuiteError(ValueError):
    """An experiment cannot be run: what must hold, what was found, what to do."""


class Script(NamedTuple):
    """One experiment.

    Attributes:
        suite: folder of `experiments/`.
        name: of the script, without `.py`.
        title: first line of what the script says of itself.
    """

    suite: str
    name: str
    title: str


def find_clone(package: Path) -> Path:
    """Find the clone that a package lies in.

    Args:
        package: folder of the package.

    Returns:
        The root of the clone, which has `experiments/` and `src/`.

    Raises:
        SuiteError: if the package does not lie in the `src/` of a clone with experiments.
    """
    root = package.resolve().parent.parent
    if package.resolve().parent.name != "src" or not (root / "experiments").is_dir():
        raise SuiteError(
            f"Experiments must be run from a clone, however: this package is installed in {package}. "
            "Clone the repository, and install it with pip install -e '.[experiments]'."
        )
    return root


def list_scripts(clone: Path) -> list[Script]:
    """List the experiments of a clone: scripts that run as a module, in folders of `experiments/`.

    Args:
        clone: root of the clone.

    Returns:
        The experiments, sorted by suite and name.
    """
    found = []
    for path in sorted((clone / "experiments").glob("*/*.py")):
        text = path.read_text(encoding="utf-8")
        if '__name__ == "__main__"' in text:
            title = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
            found.append(Script(path.parent.name, path.stem, title))
    return found


def choose(scripts: list[Script], suite: str | None, name: str | None) -> list[Script]:
    """Choose experiments by suite and name.

    Args:
        scripts: all that there are.
        suite: a suite, or None for all.
        name: an experiment of the suite, or None for all.

    Returns:
        One or more of them.

    Raises:
        SuiteError: if there are no such experiments.
    """
    suites = sorted({script.suite for script in scripts})
    if suite is not None and suite not in suites:
        raise SuiteError(f"SUITE must be one of {', '.join(suites)}, however: {suite}. Choose one of these.")
    chosen = [script for script in scripts if suite in {None, script.suite}]
    names = [script.name for script in chosen]
    if name is not None and name not in names:
        raise SuiteError(f"NAME must be one of {', '.join(names)}, however: {name}. Choose one of these.")
    return [script for script in chosen if name in {None, script.name}]


def invocation(script: Script, quick: bool, out: Path | None) -> list[str]:
    """Write the command that runs an experiment in the root of its clone.

    Args:
        script: the experiment.
        quick: whether in its small form.
        out: folder of JSON and figure, or None for the experiment's own.

    Returns:
        The words of the command.

    Raises:
        SuiteError: if matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise SuiteError(
            "Experiments need matplotlib, however: it is not installed. "
            "Run pip install -e '.[experiments]' in the clone."
        )
    words = [sys.executable, "-m", f"experiments.{script.suite}.{script.name}"]
    return [*words, *(["--quick"] if quick else []), *(["--out", str(out.absolute())] if out else [])]
