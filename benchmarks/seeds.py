"""Print what seeds of Credit Default reached on two cores and on a GPU, from what fidelity.py measured.

    python benchmarks/seeds.py

Each file is written by `benchmarks/fidelity.py credit_default --seed SEED --out FILE`, with two threads
(`OMP_NUM_THREADS=2`) on two cores, with `CUDA_VISIBLE_DEVICES=` where the CPU is measured, and with `--time-limit`
where it is cut after so many minutes.
"""

import json
import statistics
from pathlib import Path
from typing import Any

from fidelity import SHOWN

FOLDER = Path(__file__).parent
FILES = {
    title: tuple(f"fidelity_{name}_seed_{seed}.json" for seed in range(3))
    for title, name in (
        ("two cores with AMX, 5 minutes at most", "cpu_five"),
        ("two cores with AMX", "cpu"),
        ("one H200", "gpu"),
        ("two cores of AMD, 4 minutes at most", "bf16_four"),
    )
}


def read(names: tuple[str, ...]) -> list[dict[str, Any]]:
    """What was measured of Credit Default, a file each."""
    return [json.loads((FOLDER / name).read_text(encoding="utf-8"))["credit_default"] for name in names]


def markdown() -> str:
    """Lay the fits out as the table of docs/performance.md, mean ± standard deviation over the seeds."""
    lines = [
        "| | fit s | sample s | MB | " + " | ".join(title for title, _, _ in SHOWN.values()) + " |",
        "|---" * (4 + len(SHOWN)) + "|",
    ]
    for name, files in FILES.items():
        fits = read(files)
        cells = [
            _spread([fit[key] for fit in fits], 1, digits)
            for key, digits in (("fit seconds", 0), ("sample seconds", 1))
        ]
        cells.append(f"{max(fit['peak MB of fit and sample'] for fit in fits):,}")
        for key, (_, scale, digits) in SHOWN.items():
            cells.append(_spread([fit["scores"][key]["value"] for fit in fits], scale, digits))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _spread(values: list[float], scale: float, digits: int) -> str:
    return f"{scale * statistics.mean(values):.{digits}f} ± {scale * statistics.stdev(values):.{digits}f}"


if __name__ == "__main__":
    print(markdown())
