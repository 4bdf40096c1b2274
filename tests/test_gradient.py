"""Gradient noise by three estimators: against loops over rows, against the theory's formula, against each other."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from scorewise.estimate import Estimate
from scorewise.gradient import (
    GradientNoise,
    batch_scatter,
    clustered_scatter,
    gradient_noise,
    grouped_scatter,
    probe,
    row_scatter,
)
from scorewise.replicate import smooth
from scorewise.rowwise import Rowwise, take
from scorewise.scatter import (
    Scatter,
    clustered_slopes,
    grouped_slopes,
    of_slopes,
    split_clusters,
    split_groups,
    squared_mean,
    variance,
)

Batch = dict[str, Tensor]


def _network() -> nn.Module:
    """A small network of (x_t, log sigma), far from trained."""
    generator = torch.Generator().manual_seed(3)
    module = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(0.6 * torch.randn(p.shape, generator=generator))
        module[2].bias += 2
    return module


def _residuals(call: Callable[[Tensor], Tensor], batch: Batch) -> Tensor:
    return (batch["root"] @ (call(batch["input"]) - batch["label"])[:, :, None])[:, :, 0]


def _losses(call: Callable[[Tensor], Tensor], batch: Batch) -> Tensor:
    return 0.5 * _residuals(call, batch).square().sum(1)


def _heuristic(draw: Any) -> Tensor:
    return draw.sigma_t[:, None, None] * torch.eye(2, dtype=torch.float64)


def _optimal(draw: Any) -> Tensor:
    root: Tensor = torch.linalg.cholesky(draw.cov)
    return torch.linalg.inv(root)


def _batch(draw: Any, root: Callable[[Any], Tensor] = _heuristic) -> Batch:
    level = draw.sigma_t.log()[:, None]
    return {"input": torch.cat([draw.x_t, level], 1), "label": draw.label, "root": root(draw)}


def _loop(module: nn.Module, batch: Batch) -> Tensor:
    """Gradient of each row by a backward pass of its own, shape (B, P)."""
    found = []
    for i in range(len(batch["input"])):
        value = _losses(module, take(batch, slice(i, i + 1))).sum()
        found.append(torch.cat([g.flatten() for g in torch.autograd.grad(value, list(module.parameters()))]))
    return torch.stack(found)


def _scatter_of(vectors: Tensor) -> Scatter:
    return Scatter(vectors.square().sum(1)[None], (vectors @ vectors.mean(0))[None])


def _near(found: Estimate, truth: float | Estimate) -> bool:
    value, se = (float(truth.value), float(truth.se)) if isinstance(truth, Estimate) else (truth, 0.0)
    return abs(float(found.value) - value) < 4 * math.hypot(float(found.se), se)


@pytest.mark.parametrize("root", [_heuristic, _optimal], ids=["heuristic", "optimal"])
def test_variance_is_that_of_the_formula(noisy_scores: Callable[..., Any], root: Callable[[Any], Tensor]) -> None:
    """Row D1: tr Cov(g) = E tr[J'W (Sigma + b b') W J] - |E J'W b|^2, both sides from rows of their own."""
    module = _network()
    batch = _batch(noisy_scores(40_000, seed=0), root)
    measured = gradient_noise(row_scatter(Rowwise(module, _losses, batch), batch, chunk=1_000)).variance
    other = noisy_scores(40_000, seed=1)
    inputs, factor = _batch(other, root)["input"], root(other)
    parameters = {name: p.detach() for name, p in module.named_parameters()}
    parts = vmap(jacrev(lambda p, x: functional_call(module, p, (x,))), (None, 0))(parameters, inputs)
    jacobian = factor @ torch.cat([part.flatten(2) for part in parts.values()], 2)  # W^(1/2) J
    bias = module(inputs).detach() - other.score
    second = factor @ (other.cov + bias[:, :, None] * bias[:, None]) @ factor.mT
    rows = torch.einsum("bip,bij,bjp->b", jacobian, second, jacobian)
    drift = torch.einsum("bip,bij,bj->bp", jacobian, factor, bias)
    away = smooth(torch.clone, squared_mean(_scatter_of(drift)))
    formula = Estimate.of_mean(rows)
    value = Estimate(formula.value - away.value, (formula.se.square() + away.se.square()).sqrt())
    assert _near(measured, value)
    assert float(measured.se) < 0.05 * float(measured.value)
    # the parts of the formula are all needed: none is within the error
    assert not _near(measured, formula)
    assert not _near(
        measured, float(torch.einsum("bip,bij,bjp->b", jacobian, factor @ other.cov @ factor.mT, jacobian).mean())
    )


def test_rows_equal_a_loop_of_backward_passes(noisy_scores: Callable[..., Any]) -> None:
    module, batch = _network(), _batch(noisy_scores(40, seed=0))
    gradients = _loop(module, batch)
    losses = Rowwise(module, _losses, batch)
    expected = _scatter_of(gradients)
    for chunk in (7, 64):
        found = row_scatter(losses, batch, chunk)
        torch.testing.assert_close(found.square, expected.square)
        torch.testing.assert_close(found.along, expected.along)
    read = gradient_noise(expected)
    centred = gradients - gradients.mean(0)
    trace = sum(float(row.square().sum()) for row in centred) / 39
    signal = float(gradients.mean(0).square().sum()) - trace / 40
    assert float(read.variance.value) == pytest.approx(trace)
    assert float(read.squared_mean.value) == pytest.approx(signal)
    assert float(read.signal.value) == pytest.approx(signal / trace)
    assert float(read.critical_batch.value) == pytest.approx(trace / signal)


def test_groups_equal_a_loop_over_levels(noisy_scores: Callable[..., Any]) -> None:
    module, draw = _network(), noisy_scores(60, seed=0)
    batch, level = _batch(draw), (draw.sigma_t > 1).long()
    gradients = _loop(module, batch)
    found = grouped_scatter(Rowwise(module, _losses, batch), batch, level, chunk=16)
    for label, part in enumerate(found.parts):
        expected = _scatter_of(gradients[level == label])
        torch.testing.assert_close(part.square, expected.square)
        torch.testing.assert_close(part.along, expected.along)
    ordered = torch.cat([gradients[level == 0], gradients[level == 1]])
    torch.testing.assert_close(found.total.along, _scatter_of(ordered).along)
    split = split_groups(found)
    within = sum(float((level == k).sum()) * float(gradients[level == k].var(0).sum()) for k in (0, 1)) / 60
    assert float(split.within.value) == pytest.approx(within)
    assert float(split.total.value) == pytest.approx(float(gradients.var(0).sum()))


def test_clusters_equal_a_loop_over_clean_rows(noisy_scores: Callable[..., Any]) -> None:
    module, batch = _network(), _batch(noisy_scores(12, seed=0, copies=3))
    gradients = _loop(module, batch)
    losses = Rowwise(module, _losses, batch)
    for chunk in (1, 8, 64):
        found = clustered_scatter(losses, batch, 3, chunk)
        means = torch.stack([gradients[3 * i : 3 * i + 3].mean(0) for i in range(12)])
        torch.testing.assert_close(found.means.square, _scatter_of(means).square)
        torch.testing.assert_close(found.means.along, _scatter_of(means).along)
        within = torch.stack([gradients[3 * i : 3 * i + 3].var(0).sum() for i in range(12)])
        torch.testing.assert_close(found.within[0], within)


def test_batches_are_the_two_batch_estimator(noisy_scores: Callable[..., Any]) -> None:
    """Row D3, third line: (|G_b|^2 - |G_B|^2) / (1/b - 1/B), with |G_b|^2 averaged over the parts of the batch."""
    module, batch = _network(), _batch(noisy_scores(60, seed=0))
    losses = Rowwise(module, _losses, batch)
    gradients = _loop(module, batch)
    small = sum(float(gradients[5 * i : 5 * i + 5].mean(0).square().sum()) for i in range(12)) / 12
    large = float(gradients.mean(0).square().sum())
    found = gradient_noise(batch_scatter(losses, batch, 5), 5)
    assert float(found.variance.value) == pytest.approx((small - large) / (1 / 5 - 1 / 60))
    assert float(found.squared_mean.value) == pytest.approx((60 * large - 5 * small) / 55)
    one = gradient_noise(batch_scatter(losses, batch, 1), 1)
    for mine, expected in zip(one, gradient_noise(row_scatter(losses, batch)), strict=True):
        torch.testing.assert_close(mine.value, expected.value)
        torch.testing.assert_close(mine.se, expected.se)


def test_the_three_estimators_agree(noisy_scores: Callable[..., Any]) -> None:
    """Each from rows of its own, for every quantity, within four standard errors."""
    module = _network()
    batches = [_batch(noisy_scores(3_000, seed=seed)) for seed in range(3)]
    losses = Rowwise(module, _losses, batches[0])
    slopes = probe(losses, batches[1], 20, torch.Generator().manual_seed(0)).slopes
    found: list[GradientNoise] = [
        gradient_noise(row_scatter(losses, batches[0], 500)),
        gradient_noise(of_slopes(slopes)),
        gradient_noise(batch_scatter(losses, batches[2], 10), 10),
    ]
    for quantity in ("variance", "squared_mean", "signal", "critical_batch"):
        exact, probed, batched = (getattr(one, quantity) for one in found)
        assert _near(exact, probed), quantity
        assert _near(exact, batched), quantity
        assert float(exact.se) < 0.15 * float(exact.value), quantity


def test_probes_agree_with_rows_on_the_same_batch_for_every_split(noisy_scores: Callable[..., Any]) -> None:
    """Row D3, first line: E_v Var_i <g_i, v> = tr Cov(g), total and split by levels and by clean rows."""
    module, draw = _network(), noisy_scores(200, seed=0, copies=4)
    batch, level = _batch(draw), (draw.sigma_t > 1).long()
    losses = Rowwise(module, _losses, batch)
    slopes = probe(losses, batch, 100, torch.Generator().manual_seed(1)).slopes
    pairs = [
        (split_groups(grouped_scatter(losses, batch, level)), split_groups(grouped_slopes(slopes, level))),
        (split_clusters(clustered_scatter(losses, batch, 4)), split_clusters(clustered_slopes(slopes, 4))),
    ]
    for exact, probed in pairs:
        for name in exact._fields:
            one, other = getattr(exact, name), getattr(probed, name)
            # the rows are the same, so only the probes differ: far nearer than the error of both allows
            assert abs(float(one.value - other.value)) < 4 * float(other.se), name
            assert float(other.se) < 2 * float(one.se), name


def test_errors_of_probes_are_honest(noisy_scores: Callable[..., Any]) -> None:
    """200 batches of 60 rows, 10 probes each: squared deviations from the truth are as large as claimed."""
    module = _network()
    large = _batch(noisy_scores(20_000, seed=999))
    losses = Rowwise(module, _losses, large)
    truth = gradient_noise(row_scatter(losses, large, 1_000))
    generator = torch.Generator().manual_seed(0)
    found = []
    for seed in range(200):
        batch = _batch(noisy_scores(60, seed=seed))
        found.append(gradient_noise(of_slopes(probe(losses, batch, 10, generator).slopes)))
    for quantity in ("variance", "squared_mean"):
        ones = [getattr(one, quantity) for one in found]
        off = torch.stack([(one.value - getattr(truth, quantity).value).square() for one in ones])
        claimed = torch.stack([one.se.square() for one in ones]).mean()
        assert _near(Estimate.of_mean(off), float(claimed)), quantity
        assert float(Estimate.of_mean(off).se) < 0.25 * float(claimed), quantity


def test_values_of_a_probe_are_the_losses(noisy_scores: Callable[..., Any]) -> None:
    module, batch = _network(), _batch(noisy_scores(10, seed=0))
    found = probe(Rowwise(module, _losses, batch), batch, 2, torch.Generator().manual_seed(0))
    torch.testing.assert_close(found.value, _losses(module, batch).detach())
    assert found.slopes.shape == (2, 10)


def test_a_signal_that_is_not_there_has_an_infinite_critical_batch() -> None:
    vectors = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], dtype=torch.float64)
    found = gradient_noise(_scatter_of(vectors))
    assert found.signal.value < 0
    assert found.critical_batch == (math.inf, math.inf)
    assert float(smooth(torch.clone, variance(_scatter_of(vectors))).value) == pytest.approx(4 / 3)


def test_one_probe_and_parts_of_no_batch_are_refused(noisy_scores: Callable[..., Any]) -> None:
    batch = _batch(noisy_scores(12, seed=0))
    losses = Rowwise(_network(), _losses, batch)
    with pytest.raises(ValueError, match="probes must be 2 or more, however: probes=1"):
        probe(losses, batch, 1)
    for size in (5, 6):
        with pytest.raises(ValueError, match=f"3 or more whole parts, however: rows=12, {size=}"):
            batch_scatter(losses, batch, size)
    with pytest.raises(ValueError, match="at least 3 whole clusters of at least 2 copies, however: rows=12, copies=5"):
        clustered_scatter(losses, batch, 5)
