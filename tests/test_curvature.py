"""The three readings against explicit Jacobians, and against what the theory says of two weights."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scorewise.curvature import Readings, readings
from scorewise.estimate import Estimate
from scorewise.rowwise import Rowwise, rows, take

Batch = dict[str, Tensor]


class Offset(nn.Module):
    """`f = best + theta`: the Jacobian is the identity at every row, and theta = 0 is the optimum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(width, dtype=torch.float64))

    def forward(self, best: Tensor) -> Tensor:
        return best + self.theta


def _residuals(call: Callable[[Tensor], Tensor], batch: Batch) -> Tensor:
    return batch["root"][:, None] * (call(batch["input"]) - batch["label"])


def _near(found: Estimate, truth: float) -> bool:
    return abs(float(found.value) - truth) < 4 * float(found.se)


def test_readings_are_those_of_explicit_jacobians(noisy_scores: Callable[..., Any]) -> None:
    """Only the directions differ between the estimate and the loop over rows, so their scatter must cover the gap."""
    module = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator))
    draw = noisy_scores(12, seed=0)
    batch = {"input": draw.x_t, "label": draw.label, "root": draw.sigma_t}
    residuals = Rowwise(module, _residuals, batch)
    gradients, curvatures = [], []
    for i in range(rows(batch)):
        one = _residuals(module, take(batch, slice(i, i + 1)))[0]
        lines = [torch.autograd.grad(r, list(module.parameters()), retain_graph=True) for r in one]
        jacobian = torch.stack([torch.cat([g.flatten() for g in line]) for line in lines])
        gradients.append(one.detach() @ jacobian)
        curvatures.append(jacobian.mT @ jacobian)
    table, a = torch.stack(gradients), torch.stack(curvatures)
    raw = float(table.var(0).sum())
    trace = float(a.mean(0).trace())
    one_row = float(a.square().sum((1, 2)).mean())
    crossed = float((a.sum(0).square().sum() - a.square().sum()) / (12 * 11))  # tr A_i A_j over pairs i != j
    for size in (1, 4):
        found = readings(residuals, batch, 600, size, torch.Generator().manual_seed(size))
        step = 2 * trace / (crossed + (one_row - crossed) / size)
        expected = Readings(*(Estimate(torch.tensor(v), torch.tensor(0)) for v in (raw, trace, raw / trace**2, step)))
        for mine, truth in zip(found, expected, strict=True):
            assert float(mine.value) == pytest.approx(float(truth.value), rel=0.2)
            assert _near(mine, float(truth.value))


@pytest.mark.parametrize("sigma", [0.4, 0.8, 1.5])
def test_the_heuristic_weight_wins_raw_and_loses_per_unit_of_curvature(
    noisy_scores: Callable[..., Any], sigma: float
) -> None:
    """Row D4: V_heur / V_opt = E[c] / E[1/c] <= (1 - r)^2 raw, E[c] E[1/c] >= 1 per curvature; c = h tr(Sigma) / d."""
    draw = noisy_scores(30_000, seed=0, sigmas=(sigma,))
    c = sigma**2 * draw.cov.diagonal(dim1=1, dim2=2).mean(1)
    r = Estimate.of_mean(sigma**2 * draw.score.square().mean(1))
    weights = {"heuristic": torch.full_like(c, sigma**2), "optimal": sigma**2 / c}
    found = {}
    for name, weight in weights.items():
        batch = {"input": draw.score, "label": draw.label, "root": weight.sqrt()}
        found[name] = readings(Rowwise(Offset(2), _residuals, batch), batch, 40, 1, torch.Generator().manual_seed(1))

    def ratio(quantity: str) -> Estimate:
        one, other = (getattr(found[name], quantity) for name in ("heuristic", "optimal"))
        value = one.value / other.value
        return Estimate(value, value * math.hypot(float(one.se / one.value), float(other.se / other.value)))

    raw, normal = ratio("variance"), ratio("per_curvature")
    assert _near(raw, float(c.mean() / (1 / c).mean()))
    assert _near(normal, float(c.mean() * (1 / c).mean()))
    kept = (1 - r.value).square()
    assert float(raw.value) < float(kept) + 4 * math.hypot(float(raw.se), 2 * float(r.se))
    assert float(raw.value) < 1 - 4 * float(raw.se)
    if sigma < 1:  # where the variance of the label differs enough from place to place for 30,000 rows to tell
        assert float(normal.value) > 1 + 4 * float(normal.se)
    # stable step: 2 / (E w (1 + CV^2)), with CV = 0 for the heuristic within a level
    for name, weight in weights.items():
        spread = 1 + weight.var() / weight.mean().square()
        assert float(found[name].curvature.value) == pytest.approx(2 * float(weight.mean()))
        assert _near(found[name].step, float(2 / (weight.mean() * spread)))


def test_no_reading_per_curvature_depends_on_the_size_of_the_loss(noisy_scores: Callable[..., Any]) -> None:
    draw = noisy_scores(200, seed=0)
    found = []
    for scale in (1.0, 3.0):
        batch = {"input": draw.score, "label": draw.label, "root": scale * draw.sigma_t}
        found.append(readings(Rowwise(Offset(2), _residuals, batch), batch, 4, 2, torch.Generator().manual_seed(0)))
    torch.testing.assert_close(found[1].variance.value, 81 * found[0].variance.value)
    torch.testing.assert_close(found[1].per_curvature.value, found[0].per_curvature.value)
    torch.testing.assert_close(found[1].step.value * 9, found[0].step.value)


def test_the_stable_step_is_where_the_mean_square_stops_falling() -> None:
    """Row F4: with one parameter 2 / (A (1 + CV^2)), exactly; an error falls below this step and grows above it."""
    weight = torch.rand(40, generator=torch.Generator().manual_seed(0), dtype=torch.float64).square() + 0.05
    batch = {"input": torch.zeros(40, 1), "label": torch.zeros(40, 1), "root": weight.sqrt()}
    offset = Offset(1)
    for size in (1, 3):
        limit = float(readings(Rowwise(offset, _residuals, batch), batch, 2, size).step.value)
        mean, square = weight.mean(), weight.square().mean()
        if size == 1:
            assert limit == pytest.approx(float(2 / (mean * (1 + (square - mean**2) / mean**2))), rel=1e-12)
        # a batch without replacement: E of the product of two different rows, not the square of the mean
        pair = (weight.sum() ** 2 - weight.square().sum()) / (40 * 39)
        factor = 1 - 2 * limit * mean + limit**2 * (pair + (square - pair) / size)
        assert float(factor) == pytest.approx(1, rel=1e-12)
        for share, falls in ((0.8, True), (1.2, False)):
            generator = torch.Generator().manual_seed(1)
            error = torch.ones(200_000, dtype=torch.float64)
            for _ in range(10):
                picked = torch.stack(
                    [weight[torch.randint(40, (200_000,), generator=generator)] for _ in range(size)]
                ).mean(0)
                error = error * (1 - share * limit * picked)
            assert (float(error.square().mean()) < 1) == falls


def test_one_pair_of_directions_and_an_empty_batch_are_refused(noisy_scores: Callable[..., Any]) -> None:
    draw = noisy_scores(5, seed=0)
    batch = {"input": draw.score, "label": draw.label, "root": draw.sigma_t}
    residuals = Rowwise(Offset(2), _residuals, batch)
    with pytest.raises(ValueError, match="probes must be 2 or more and size 1 or more, however: probes=1, size=1"):
        readings(residuals, batch, 1)
    with pytest.raises(ValueError, match="however: probes=2, size=0"):
        readings(residuals, batch, 2, 0)
