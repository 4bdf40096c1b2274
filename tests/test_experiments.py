"""Every experiment runs in its quick form and writes what it measured."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scorewise import datasets

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(
    path for path in (ROOT / "experiments").glob("*/*.py") if "__main__" in path.read_text(encoding="utf-8")
)


LONG = {"synthesizer", "tuned", "real", "lighter"}  # fits tables: a minute


def _cases() -> list[object]:
    return [
        pytest.param(script, marks=[pytest.mark.slow] * (script.stem in LONG), id=f"{script.parent.name}/{script.stem}")
        for script in SCRIPTS
    ]


@pytest.mark.parametrize("script", _cases())
def test_the_quick_form_writes_json_and_a_figure(script: Path, tmp_path: Path) -> None:
    if script.stem in LONG and datasets.HOME not in os.environ:
        pytest.skip(f"needs the real tables: set {datasets.HOME} to their folder")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLCONFIGDIR": str(tmp_path / "matplotlib")}
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error::RuntimeWarning",
            "-m",
            f"experiments.{script.parent.name}.{script.stem}",
            "--quick",
            "--out",
            str(tmp_path),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / f"{script.stem}.json").read_text(encoding="utf-8"))
    assert found["quick"]
    assert found["seeds"]
    assert found["machine"]["processor"]
    assert (tmp_path / f"{script.stem}.png").stat().st_size > 5_000
