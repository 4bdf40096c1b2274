"""Measure what evenly spread noise and each part of the calibration are worth; write it as JSON.

    SCOREWISE_DATA_HOME=... python benchmarks/calibration.py [--out FILE] [--markdown] [TABLE ...]

The default network is trained for 700 steps on each table, and as many rows as the table has are sampled twice in each
way: from independent noise as they come, with the margins of the numbers mended, from evenly spread noise so, with the
levels of categories mended besides, and with the ratios of columns. Each way is corrected by as many rows of its own.
"""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from command import Tables, run
from sampler import Briefly
from shown import SCORES, mean_and_range
from splits import split
from torch import Tensor

from scorewise.datasets import DATASETS
from scorewise.network import TableDenoiser
from scorewise.quasirandom import NormalSequence
from scorewise.relay import returned
from scorewise.tabular import detection, fidelity
from scorewise.tabular.calibration import Calibration, calibrate
from scorewise.tabular.codec import Chosen, Codec
from scorewise.tabular.generation import generate, joined
from scorewise.tabular.schema import Cells

STEPS, SEEDS = 700, (1, 2)
KEYS = ("shapes", "trends", "detection", "detection_differences")

Noise = Callable[[int, int], Callable[[int], Tensor]]
"""Of a width and a seed, what gives rows of noise."""


def independent(width: int, seed: int) -> Callable[[int], Tensor]:
    """Rows of independent noise."""
    generator = torch.Generator().manual_seed(seed)
    return lambda rows: torch.randn(rows, width, generator=generator)


def even(width: int, seed: int) -> Callable[[int], Tensor]:
    """Rows of a sequence that is spread evenly."""
    return NormalSequence(width, seed).draw


def sampled(network: TableDenoiser, codec: Codec, rows: int, noise: Callable[[int], Tensor]) -> Chosen:
    """Sample from any noise."""
    return joined([chunk for _, chunk in generate(network, codec, rows, noise)])


def scores(real: Cells, synthetic: Cells) -> dict[str, float]:
    """Four scores."""
    return {
        "shapes": fidelity.shapes(real, synthetic).score.value,
        "trends": fidelity.trends(real, synthetic).score.value,
        "detection": detection.detection(real, synthetic).value,
        "detection_differences": detection.detection_differences(real, synthetic).value,
    }


def measure(name: str) -> Iterator[dict[str, Any]]:
    """Score each way of sampling, each seed."""
    train, _ = split(name)
    network, codec = Briefly(seed=0, target=DATASETS[name].target).trained(name, STEPS)
    real, rows, width = codec.schema.cells(train), train.num_rows, codec.layout.width
    mended = copy.deepcopy(network)
    full, _ = returned(calibrate(mended, codec, codec.compared(train), rows, seed=0))

    def margins(noise: Noise) -> Calibration:
        made = sampled(network, codec, rows, noise(width, 0))
        return Calibration.fit(made.scores, codec.present(made))

    ways: list[tuple[TableDenoiser, Noise, dict[str, Calibration]]] = [
        (
            network,
            independent,
            {
                "independent noise": Calibration.identity(codec.layout.numbers),
                "independent noise, margins": margins(independent),
            },
        ),
        (network, even, {"even noise, margins": margins(even)}),
        (
            mended,
            even,
            {
                "even noise, margins, levels": Calibration(full.quantiles),
                "even noise, margins, levels, ratios": Calibration(full.quantiles, full.ratios),
            },
        ),
    ]
    for denoiser, noise, calibrations in ways:
        for seed in SEEDS:
            made = sampled(denoiser, codec, rows, noise(width, seed))
            for way, calibration in calibrations.items():
                synthetic = codec.schema.cells(calibration.restore(codec, made, seed))
                yield {"way": way, "seed": seed, **scores(real, synthetic)}


def markdown(tables: Tables) -> str:
    """Lay the scores out as a table, means of the seeds."""
    lines = []
    for name, found in tables.items():
        lines += [f"| `{name}` | " + " | ".join(SCORES[key][0] for key in KEYS) + " |", "|---|" + "--:|" * len(KEYS)]
        for way in dict.fromkeys(one["way"] for one in found):
            chosen = [one for one in found if one["way"] == way]
            cells = [mean_and_range(key, [one[key] for one in chosen]) for key in KEYS]
            lines.append(f"| {way} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Measure the tables named on the command line."""
    out = Path(__file__).with_suffix(".json")
    run("What each part of the calibration is worth.", ["credit_default"], out, measure, markdown)


if __name__ == "__main__":
    main()
