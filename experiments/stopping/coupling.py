"""Coupling: how far a network is from its kernel path, over widths and steps.

    python -m experiments.stopping.coupling [--quick] [--out FOLDER]

A two-layer network of the theory, both layers trained by full-batch gradient descent on 32 noisy rows of a mixture in
two dimensions, step size three quarters of one over the largest eigenvalue of the limit kernel. Distances are those of
`scorewise.coupling`; slopes are exponents of the width.
"""

from typing import Any

import torch
from experiments.result import rounded, run, spread
from experiments.stopping.population import mixture
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from scorewise.coupling import coupling, slope
from scorewise.covariance import Diagonal
from scorewise.descent import Path
from scorewise.regression import lift
from scorewise.shallow import TwoLayer
from scorewise.tangent import tangent_kernel

ROWS, LOW, HIGH = 32, 0.15, 1.5
MEASURES = {
    "limit": "network to limit-kernel path",
    "initial": "network to initial-kernel path",
    "weights": "change of weights",
    "kernel": "change of kernel",
}


def experiment(quick: bool) -> tuple[dict[str, Any], Figure]:
    """Measure and draw."""
    widths = [2**k for k in (range(7, 10) if quick else range(8, 17))]
    steps = [3, 30] if quick else [3, 30, 300]
    seeds = range(2 if quick else 4)
    found = torch.zeros(len(seeds), len(MEASURES), len(steps), len(widths), dtype=torch.float64)
    for s in seeds:
        draw = mixture(2).draw(ROWS, LOW, HIGH, torch.Generator().manual_seed(s))
        inputs = lift(draw.x_t, draw.t, LOW)
        gram = tangent_kernel(inputs, inputs)
        one = Diagonal(torch.ones_like(draw.label))
        rate = 1 / float(Path(gram, draw.label, one).values.max())
        for w, width in enumerate(widths):
            generator = torch.Generator().manual_seed(1000 + s)
            network = TwoLayer(4, 2, width, train_output=True, generator=generator, dtype=torch.float64)
            # the largest eigenvalue of a finite network exceeds the limit's, by up to a quarter at these widths
            for t, at in enumerate(coupling(network, inputs, draw.label, one, gram, 0.75 * rate, steps)):
                found[s, :, t, w] = torch.tensor([getattr(at, name) for name in MEASURES])
    slopes = slope(torch.tensor(widths, dtype=torch.float64), found)
    figure, axes = plt.subplots(1, len(MEASURES), figsize=(3 * len(MEASURES), 3.6), sharex=True)
    for m, (axis, title) in enumerate(zip(axes, MEASURES.values(), strict=True)):
        for t, step in enumerate(steps):
            mean, error = found[:, m, t].mean(0), found[:, m, t].std(0)
            label = f"{step} steps, slope {float(slopes[:, m, t].mean()):.2f}"
            axis.errorbar(widths, mean, error, marker="o", markersize=3, capsize=2, label=label)
        guide = found[:, m].mean() * (torch.tensor(widths) / widths[0]) ** -0.5
        axis.plot(widths, guide, "k:", linewidth=0.8, label="width^(-1/2)")
        axis.set(xscale="log", yscale="log", title=title, xlabel="width")
        axis.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.27))
    figure.tight_layout()
    result = {
        "rows": ROWS,
        "widths": widths,
        "steps": steps,
        "seeds": list(seeds),
        "slopes": {
            name: {str(step): spread(slopes[:, m, t]) for t, step in enumerate(steps)}
            for m, name in enumerate(MEASURES)
        },
        "distances": {
            name: {str(step): rounded(found[:, m, t].mean(0)) for t, step in enumerate(steps)}
            for m, name in enumerate(MEASURES)
        },
    }
    return result, figure


if __name__ == "__main__":
    run(__file__, __doc__, experiment)
