"""When to stop a network on fresh noise: candidate rules without held-out rows, against the best step.

    python -m experiments.stopping.networks [--quick] [--out FOLDER]

A denoising network is trained by Adam with fresh noise at every step, past the point where the loss on new rows is
least. Candidates, all decided by what training shows:

* plain: the training loss alone (never stops);
* extrapolated: a tenth of the rows has a quarter of the weight, the loss is extrapolated to weight 0;
* halves: the same with half of the rows at three quarters of the weight;
* penalised: training loss plus optimism from the tangent kernel of snapshots;
* shifted: training loss plus the response to labels shifted by a known amount of the prior's label noise;
* floor: the discrepancy principle with the true floor of the loss, which is not known for real data.

Written are the loss on new rows at the step that each chose, over the least loss on its own path and on the path with
equal weights, minus 1; and the optimism that each estimated at the end, over the true one. The last setting is a real
table, encoded, whose floor is not known; it is left out where `SCOREWISE_DATA_HOME` does not name the tables.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from experiments.data import encoded, on_disk
from experiments.result import rounded, run, spread
from experiments.stopping.population import Population, Rows, digits, mixture
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor, nn

from scorewise.estimate import Estimate
from scorewise.optimism import adam_step_sizes, covariance_penalty, extrapolation, row_weights, snapshot_optimism
from scorewise.record import Record, Seen
from scorewise.schedule import ve
from scorewise.watch import Rule, extrapolated, penalised, reached

LOW, HIGH, BATCH, RATE, SHIFT = 0.05, 3.0, 256, 2e-3, 0.3
COLOURS = {"penalised": "C0", "extrapolated": "C2", "halves": "C3", "shifted": "C4"}
STYLES = {"penalised": "--", "extrapolated": "-.", "halves": "-", "shifted": (0, (5, 1))}
TRAININGS = {
    "equal": ("plain", "penalised", "floor"),
    "extrapolated": ("extrapolated",),
    "halves": ("halves",),
    "shifted": ("shifted",),
}
"""Rules that leave training as it is read one and the same training."""


class Network(nn.Module):
    """The whitened correction of the posterior mean that Gaussian rows would have."""

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        sizes = [width + 16, 128, 128, 128, width]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layer = nn.Linear(before, after)
            with torch.no_grad():
                layer.weight.copy_((2 * torch.rand(after, before, generator=generator) - 1) / before**0.5)
                layer.bias.zero_()
            layers += [layer, nn.SiLU()]
        nn.init.zeros_(layers[-2].weight)
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor, sigma_t: Tensor) -> Tensor:
        """Correct scaled noisy rows, shape (B, D), at levels (B, 1)."""
        angle = sigma_t.log() / 2 * torch.logspace(0, 1.2, 8)
        out: Tensor = self.layers(torch.cat([x, angle.sin(), angle.cos()], 1))
        return out


class Training:
    """One training, as some of the candidate rules need it."""

    def __init__(self, source: Population | Rows, rows: int, seed: int, kind: str) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.source, self.count, self.kind = source, rows, kind
        x, new = source.split(rows, seed)
        self.mean = x.mean(0)
        variance, self.basis = torch.linalg.eigh(torch.cov((x - self.mean).T))
        self.variance = variance.clamp(min=1e-3)
        self.rows = self.along(x)
        self.new = self.along(new)
        self.network = Network(source.width, self.generator)
        self.averaged = [p.detach().clone() for p in self.network.parameters()]
        self.optimizer = torch.optim.Adam(self.network.parameters(), RATE)
        chosen = torch.Generator().manual_seed(20_000 + seed)
        light = {"extrapolated": (0.25, 0.1), "halves": (0.75, 0.5)}
        weight = row_weights(rows, *light[kind], chosen) if kind in light else torch.ones(rows, dtype=torch.float64)
        self.record = Record(extrapolation(weight) if kind in light else weight)
        self.weight = weight.float()
        self.shift = torch.randn(rows, source.width, generator=chosen)
        self.responses: list[Tensor] = []
        self.step = 0

    def along(self, x: Tensor) -> Tensor:
        """Centre rows and turn them to the principal axes."""
        return ((x - self.mean) @ self.basis).float()

    def whitened(
        self, call: Callable[..., Tensor], x: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs and labels at fresh noise, and the share of the label's noise that all noisy copies of a row have."""
        lam = self.variance.float()
        sigma_t = LOW * (HIGH / LOW) ** torch.rand(len(x), 1, generator=generator)
        x_t = x + sigma_t * torch.randn(x.shape, generator=generator)
        s2 = sigma_t.square()
        deviation = (lam * s2 / (lam + s2)).sqrt()
        return call(x_t / (lam + s2).sqrt(), sigma_t), (x - lam / (lam + s2) * x_t) / deviation, deviation / lam.sqrt()

    def residual(self, call: Callable[..., Tensor], row: Tensor, generator: torch.Generator) -> Tensor:
        """Whitened residuals at some rows."""
        output, label, _ = self.whitened(call, self.rows[row], generator)
        return output - label

    def optimism(self) -> Estimate:
        """Estimate the optimism from a snapshot."""
        sizes, generator = adam_step_sizes(self.optimizer), torch.Generator().manual_seed(self.step)
        return snapshot_optimism(self.network, self.residual, self.count, sizes, generator, min(512, self.count))

    def response(self) -> Estimate:
        """Estimate the optimism from the shifted labels that were met since the last time."""
        samples = torch.cat(self.responses)
        self.responses.clear()
        return Estimate.of_mean(samples)

    def train(self, steps: int) -> Iterator[Seen]:
        """Train, one step an item; rows come in random order, all once before any comes again."""
        order, at = torch.randperm(self.count, generator=self.generator), 0
        size = min(BATCH, self.count)
        for _ in range(steps):
            if at + size > self.count:
                order, at = torch.randperm(self.count, generator=self.generator), 0
            row = order[at : at + size]
            at += size
            output, label, shared = self.whitened(self.network, self.rows[row], self.generator)
            aim = label
            if self.kind == "shifted":
                shift = shared * self.shift[row]
                self.responses.append(covariance_penalty((output - label).detach(), shift, SHIFT))
                aim = label + SHIFT * shift
            loss = 0.5 * (self.weight[row] * (output - aim).square().sum(1)).mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.step += 1
            with torch.no_grad():
                keep = min(0.99, self.step / (self.step + 9))
                torch._foreach_lerp_(self.averaged, list(self.network.parameters()), 1 - keep)
            yield Seen(row, (output - label).detach().square().mean(1), label.square().mean(1))

    def loss(self, x: Tensor, seed: int) -> float:
        """Loss of the averaged network on given rows, with noise that is the same at every call."""
        names = [name for name, _ in self.network.named_parameters()]
        parameters = dict(zip(names, self.averaged, strict=True))
        with torch.no_grad():
            output, label, _ = self.whitened(
                lambda *inputs: torch.func.functional_call(self.network, parameters, inputs),
                x,
                torch.Generator().manual_seed(seed),
            )
            return float((output - label).square().mean())

    def floor(self, population: Population) -> float:
        """Least possible loss: the mean of the true posterior variance, whitened."""
        generator = torch.Generator().manual_seed(5)
        x = population.sample(2_000, generator)
        sigma_t = LOW * (HIGH / LOW) ** torch.rand(len(x), generator=generator, dtype=torch.float64)
        x_t = x + sigma_t[:, None] * torch.randn(x.shape, generator=generator, dtype=torch.float64)
        cov = population.denoiser(ve())(x_t, sigma_t).cov
        turned = (self.basis.T @ cov.matrix @ self.basis).diagonal(dim1=1, dim2=2)
        s2 = sigma_t[:, None].square()
        return float((turned * (self.variance + s2) / (self.variance * s2)).mean())

    def rules(self) -> dict[str, Rule]:
        """Make the candidates."""
        found = dict.fromkeys(TRAININGS[self.kind], extrapolated)
        if "penalised" in found:
            found["penalised"] = penalised(self.optimism)
        if "shifted" in found:
            found["shifted"] = penalised(self.response)
        if found.pop("floor", None) is not None and isinstance(self.source, Population):
            found["floor"] = reached(self.floor(self.source))
        return found


class Outcome(NamedTuple):
    """What a candidate did: losses on new rows over the least one, minus 1; optimism estimated over the true one."""

    chosen: float
    last: float
    stopped: float
    optimism: float
    loss: float
    curves: Tensor


def outcomes(source: Population | Rows, rows: int, seed: int, kind: str, steps: int) -> dict[str, Outcome]:
    """Train to the end, note where each rule would have stopped."""
    training = Training(source, rows, seed, kind)
    rules = training.rules()
    repeated = training.rows.repeat(max(1, 4_000 // rows), 1)
    curves: list[list[float]] = []
    chosen, done = dict.fromkeys(rules, 0), dict[str, int | None].fromkeys(rules)
    risk: dict[str, Tensor] = {}
    for seen in training.train(steps):
        if not training.record.add(seen):
            continue
        curves.append([training.step, training.loss(training.new, 1), training.loss(repeated, 2)])
        for name, rule in rules.items():
            verdict = rule(training.record)
            risk[name] = verdict.stop.risk
            if done[name] is None and verdict.best:
                chosen[name] = len(curves) - 1
            if done[name] is None and verdict.done:
                done[name] = len(curves) - 1
                chosen[name] = len(curves) - 1 if name == "floor" else chosen[name]
    found = torch.tensor(curves, dtype=torch.float64)
    new, plain = found[:, 1], training.record.plain.value
    gap = (new - found[:, 2])[-1] - (new - found[:, 2])[0]
    out = {}
    for name, at in chosen.items():
        estimated = (risk[name] - plain)[-1] - (risk[name] - plain)[0]
        end = done[name]
        out[name] = Outcome(
            float(new[at] / new.min() - 1),
            float(new[-1] / new.min() - 1),
            float(found[end, 0]) if end is not None else float("nan"),
            float(estimated / gap) if name != "floor" else float("nan"),
            float(new[at]),
            torch.cat([found, risk[name][:, None]], 1),
        )
    return out


def experiment(quick: bool) -> tuple[dict[str, Any], Figure]:
    """Measure and draw."""
    settings: list[tuple[Population | Rows, int, int]] = [(mixture(20), 300, 800), (digits(), 500, 1_500)]
    if quick:
        settings = [(mixture(2), 100, 150)]
    elif on_disk("credit_default_train"):
        settings.append((Rows("credit default train", encoded("credit_default_train", 12_000)), 2_000, 2_000))
    seeds = range(1 if quick else 2)
    figure, axes = plt.subplots(1, len(settings), figsize=(3.6 * len(settings), 3.2), squeeze=False)
    cells = []
    for axis, (source, rows, steps) in zip(axes[0], settings, strict=True):
        by_seed = [
            {k: v for kind in TRAININGS for k, v in outcomes(source, rows, seed, kind, steps).items()} for seed in seeds
        ]
        for kind in by_seed[0]:
            found = [one[kind] for one in by_seed]
            numbers = torch.tensor([one[:4] for one in found], dtype=torch.float64)
            best = torch.tensor([one["plain"].curves[:, 1].min() for one in by_seed])
            cost = torch.tensor([one.loss for one in found]) / best - 1
            cells.append(
                {
                    "data": source.name,
                    "rows": rows,
                    "steps": steps,
                    "rule": kind,
                    "excess at the chosen step": spread(numbers[:, 0]),
                    "excess over the least loss with equal weights": spread(cost),
                    "each seed": rounded(numbers[:, 0]),
                    "excess at the last step": spread(numbers[:, 1]),
                    "step at which it said done": [None if s != s else int(s) for s in numbers[:, 2].tolist()],
                    "estimated over true optimism at the end": spread(numbers[:, 3]),
                }
            )
            curves = found[0].curves[10:]
            if kind == "plain":
                axis.plot(curves[:, 0], curves[:, 1], "k", label="new rows")
                axis.plot(curves[:, 0], curves[:, 2], "k:", label="training rows")
            elif kind != "floor":
                axis.plot(curves[:, 0], curves[:, 3], linestyle=STYLES[kind], color=COLOURS[kind], label=kind)
        axis.set(xscale="log", title=f"{source.name}, {rows} rows", xlabel="steps")
    axes[0, 0].set_ylabel("loss; estimated risk in colour")
    axes[0, 0].legend(fontsize=7)
    figure.tight_layout()
    return {"seeds": list(seeds), "learning rate": RATE, "batch": BATCH, "results": cells}, figure


if __name__ == "__main__":
    run(__file__, __doc__, experiment)
