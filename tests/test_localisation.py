"""Kernel regressions that stop by themselves, whole and in intervals."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from scorewise.covariance import Covariance, Dense
from scorewise.descent import Path
from scorewise.localisation import divide, fit, fit_intervals
from scorewise.regression import lift, localise, project
from scorewise.stopping import discrepancy, geometric_steps, sure
from scorewise.tangent import tangent_kernel


def _parts(draw: Any) -> tuple[Tensor, Tensor, Callable[[Tensor], Covariance]]:
    return lift(draw.x_t, draw.t, 0.15), draw.label, lambda rows: Dense(draw.cov[rows])


def test_a_fit_is_the_path_at_the_step_of_the_rule(problem: Callable[..., Any]) -> None:
    draw = problem(60, 0)
    inputs, labels, cov = _parts(draw)
    every = torch.arange(60)
    for rule in (sure, discrepancy):
        found = fit(tangent_kernel, inputs, labels, cov(every), cov(every), rule, last=10_000)
        path = Path(tangent_kernel(inputs, inputs), labels, cov(every))
        rate = 1 / float(path.values.max())
        stop = rule(path.spectrum(path.levels(cov(every))), rate, geometric_steps(10_000))
        assert found.stop.step == stop.step
        assert found.rate == rate
        others = lift(*problem(9, 1)[:2], 0.15)
        expected = path.predict(tangent_kernel(others, inputs), rate, torch.tensor([stop.step]))[0]
        torch.testing.assert_close(found(others), expected)


def test_one_interval_is_no_division_and_several_are_fits_of_their_own(problem: Callable[..., Any]) -> None:
    draw, other = problem(90, 0), problem(30, 1)
    inputs, labels, cov = _parts(draw)
    every = torch.arange(90)
    others = lift(other.x_t, other.t, 0.15)
    one = fit_intervals(tangent_kernel, inputs, labels, draw.t, cov, cov)
    whole = fit(tangent_kernel, inputs, labels, cov(every), cov(every))
    torch.testing.assert_close(one(others, other.t), whole(others))
    three = fit_intervals(tangent_kernel, inputs, labels, draw.t, cov, cov, count=3)
    predicted = three(others, other.t)
    low, high = three.edges.tolist()
    for k, (left, right) in enumerate([(-1.0, low), (low, high), (high, 9.0)]):
        rows = ((draw.t > left) & (draw.t <= right)).nonzero()[:, 0]
        assert len(rows) == 30
        alone = fit(tangent_kernel, inputs[rows], labels[rows], cov(rows), cov(rows))
        at = (other.t > left) & (other.t <= right)
        torch.testing.assert_close(predicted[at], alone(others[at]))
        assert three.fits[k].stop.step == alone.stop.step


def test_it_learns_the_score(problem: Callable[..., Any]) -> None:
    """Stopped by SURE it is close to the truth on new rows; not stopped it is much further off."""
    draw, new = problem(300, 0), problem(500, 1)
    inputs, labels, cov = _parts(draw)
    every = torch.arange(300)
    found = fit(tangent_kernel, inputs, labels, cov(every), cov(every))
    predict = localise(lambda x_t, t: found(lift(x_t, t, 0.15)), lambda t: 20 + 0 * t, bound=4.0)
    others = lift(new.x_t, new.t, 0.15)
    stopped = (predict(new.x_t, new.t) - new.mean).square().mean()
    weights = found.path.weights(found.rate, torch.tensor([10**7]))[0]
    never = (project(tangent_kernel(others, inputs) @ weights, 4.0) - new.mean).square().mean()
    assert float(stopped) < 0.1 * float(new.mean.var())
    assert float(never) > 5 * float(stopped)


def test_intervals_hold_equally_many_rows() -> None:
    level = torch.rand(1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    edges = divide(level, 8)
    assert torch.bucketize(level, edges).bincount().tolist() == [125] * 8
    assert len(divide(level, 1)) == 0
    with pytest.raises(ValueError, match="count must lie between 1 and the rows, however: count=0, rows=1000"):
        divide(level, 0)
