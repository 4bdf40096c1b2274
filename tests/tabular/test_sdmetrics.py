"""Equivalence with sdmetrics 0.25.0, which runs in an environment of its own: it is never a dependency."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scorewise.tabular.metrics import detection_linear, shapes, trends_legacy
from scorewise.tabular.schema import Cells, Schema
from scorewise.tabular.table import to_arrow

VERSION = "0.25.0"

SCRIPT = """
import json, sys, warnings
from pathlib import Path
import numpy as np
import pandas as pd
warnings.filterwarnings("ignore")
from sdmetrics.reports.single_table import QualityReport
from sdmetrics.single_table import LogisticDetection

folder = Path(sys.argv[1])
kinds = json.loads((folder / "kinds.json").read_text())
real, synthetic = (
    pd.read_csv(folder / f"{name}.csv", dtype={name: str for name, kind in kinds.items() if kind == "category"})
    for name in ("real", "synthetic")
)
sdtypes = {"number": "numerical", "category": "categorical"}
metadata = {"columns": {name: {"sdtype": sdtypes[kind]} for name, kind in kinds.items()}}
report = QualityReport()
report.generate(real, synthetic, metadata, verbose=False)
shape = report.get_details("Column Shapes")
pairs = report.get_details("Column Pair Trends")
linear = []
for seed in range(5):
    np.random.seed(seed)
    linear.append(LogisticDetection.compute(real.copy(), synthetic.copy(), metadata))
print(json.dumps({
    "shapes": dict(zip(shape["Column"], 1 - shape["Score"])),
    "pairs": [[a, b, 1 - s] for a, b, s in zip(pairs["Column 1"], pairs["Column 2"], pairs["Score"])],
    "trends": 1 - pairs["Score"].mean(),
    "linear": linear,
}))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment that holds sdmetrics and nothing of this package."""
    home = tmp_path_factory.mktemp("sdmetrics") / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    python = home / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", f"sdmetrics=={VERSION}"]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"sdmetrics=={VERSION} could not be installed: {done.stderr[-300:]}")
    return python


def numbers_and_words(rows: int, seed: int) -> pd.DataFrame:
    """Dependent numbers with missing cells and ties, a heavy tail, categories without missing cells."""
    generator = np.random.default_rng(seed)
    x = np.round(generator.normal(size=rows), 2)
    tail = np.exp(2 * generator.normal(size=rows)) + x
    count = np.where(generator.random(rows) < 0.3, 0, generator.poisson(200, rows))
    word = generator.choice(list("abcdefg"), rows, p=np.arange(1, 8) / 28)
    sign = np.where(x + 0.5 * generator.normal(size=rows) > 0, "plus", "minus")
    x[generator.random(rows) < 0.1] = np.nan
    return pd.DataFrame({"x": x, "tail": tail, "count": count, "word": word, "sign": sign})


def compare(python: Path, folder: Path, real: pd.DataFrame, synthetic: pd.DataFrame) -> tuple[Any, Cells, Cells]:
    """What sdmetrics says of two tables, and their cells."""
    table = to_arrow(real)
    schema = Schema.infer(table)
    kinds = {column.name: column.kind for column in schema.columns}
    assert set(kinds.values()) <= {"number", "category"}
    (folder / "kinds.json").write_text(json.dumps(kinds))
    (folder / "script.py").write_text(SCRIPT)
    real.to_csv(folder / "real.csv", index=False)
    synthetic.to_csv(folder / "synthetic.csv", index=False)
    done = subprocess.run([str(python), "script.py", "."], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1]), schema.cells(table), schema.cells(to_arrow(synthetic))


def require_equal(said: Any, real: Cells, synthetic: Cells) -> None:
    """Shapes and legacy trends agree to 1e-6, column by column and pair by pair; linear detection closely."""
    ours = shapes(real, synthetic)
    assert {name: score.value for name, score in ours.columns.items()} == pytest.approx(said["shapes"], abs=1e-6)
    pairs = trends_legacy(real, synthetic)
    for a, b, error in said["pairs"]:
        assert pairs.errors[pairs.names.index(a), pairs.names.index(b)] == pytest.approx(error, abs=1e-6), (a, b)
    assert pairs.score.value == pytest.approx(said["trends"], abs=1e-6)
    linear = np.mean([detection_linear(real, synthetic, seed=seed).value for seed in range(5)])
    assert linear == pytest.approx(np.mean(said["linear"]), abs=0.02)


@pytest.mark.slow
def test_a_drawn_table_scores_as_in_sdmetrics(python: Path, tmp_path: Path) -> None:
    real, synthetic = numbers_and_words(1500, 0), numbers_and_words(1100, 1)
    synthetic["tail"] *= 1.4
    synthetic["word"] = synthetic["word"].replace("a", "b")
    require_equal(*compare(python, tmp_path, real, synthetic))


@pytest.mark.slow
def test_the_credit_table_scores_as_in_sdmetrics(python: Path, tmp_path: Path, data_home: Path) -> None:
    train = pd.read_parquet(data_home / "credit_default_train.parquet")
    test = pd.read_parquet(data_home / "credit_default_test.parquet")
    require_equal(*compare(python, tmp_path, train, test))
