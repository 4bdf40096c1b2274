"""Score a sample by sdmetrics, to hold our scores against: `python run_sdmetrics.py FOLDER`.

Reads `train.parquet`, `typed.parquet` and `job.json`, writes `sdmetrics.json`: errors of column shapes and of pair
trends (1 minus the mean score of the quality report, NaN left out), and logistic detection. That one cannot be computed
of a sample with levels that the real table does not have, such as TabularARGN's `_RARE_`, and takes longer than a fit
where all columns together have more than `MOST_LEVELS`; it is null then, with the reason.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from sdmetrics.reports.single_table import QualityReport
from sdmetrics.single_table import LogisticDetection

MOST_LEVELS = 1_000


def main() -> None:
    """Score and write."""
    folder = Path(sys.argv[1])
    said = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    real, synthetic = (pd.read_parquet(folder / f"{name}.parquet") for name in ("train", "typed"))
    kinds = dict.fromkeys(said["categories"], "categorical") | dict.fromkeys(said["numbers"], "numerical")
    metadata = {"columns": {name: {"sdtype": kinds[name]} for name in real}}
    np.random.seed(said["seed"])
    report = QualityReport()
    report.generate(real, synthetic, metadata, verbose=False)
    found = {
        "shapes": 1 - report.get_details("Column Shapes")["Score"].mean(),
        "trends_legacy": 1 - report.get_details("Column Pair Trends")["Score"].mean(),
        "sdmetrics": version("sdmetrics"),
        "detection_linear": None,
    }
    strange = {
        name: sorted(unknown)
        for name in said["categories"]
        if (unknown := set(synthetic[name].dropna().astype(str)) - set(real[name].dropna().astype(str)))
    }
    levels = sum(real[name].nunique() for name in said["categories"])
    if strange:
        found["reason"] = f"levels that the real table does not have: {strange}"
    elif levels > MOST_LEVELS:
        found["reason"] = f"{levels} levels"
    else:
        found["detection_linear"] = LogisticDetection.compute(real, synthetic, metadata)
    (folder / "sdmetrics.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
