"""The scatter of labels against mixtures whose conditional variance is known."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from scorewise.estimate import Estimate
from scorewise.label_noise import floor, variance_map


class Line(NamedTuple):
    x: Tensor
    x_t: Tensor
    level: Tensor
    mean: Tensor
    variance: Tensor


SIGMAS = torch.tensor([0.3, 0.8, 4.0], dtype=torch.float64)
SPREAD = 0.1


def _posterior(x_t: Tensor, sigma_t: Tensor) -> tuple[Tensor, Tensor]:
    """Of the mixture 0.5 N(-1, SPREAD) + 0.5 N(1, SPREAD): mean and variance of x given x_t, in closed form."""
    h = sigma_t.square()
    gain = SPREAD / (SPREAD + h)
    right = torch.sigmoid(2 * x_t / (SPREAD + h))
    mean = gain * x_t + (1 - gain) * (2 * right - 1)
    return mean, gain * h + 4 * (1 - gain).square() * right * (1 - right)


def _line(size: int, seed: int) -> Line:
    generator = torch.Generator().manual_seed(seed)
    sign = 2.0 * torch.randint(2, (size,), generator=generator) - 1
    x = sign + SPREAD**0.5 * torch.randn(size, generator=generator, dtype=torch.float64)
    level = torch.randint(3, (size,), generator=generator)
    x_t = x + SIGMAS[level] * torch.randn(size, generator=generator, dtype=torch.float64)
    return Line(x, x_t, level, *_posterior(x_t, SIGMAS[level]))


def _near(found: Estimate, truth: Tensor, slack: float = 0.0) -> None:
    assert ((found.value - truth).abs() < 4 * found.se + slack).all()


def test_the_map_is_the_closed_form_of_a_mixture() -> None:
    line, other = _line(120_000, 0), _line(120_000, 1)
    measured = variance_map((line.x - line.mean).square(), line.x_t, line.level, 20)
    known = variance_map(line.variance, line.x_t, line.level, 20)
    assert measured.position.shape == measured.cells.value.shape == (3, 20)
    _near(Estimate(measured.cells.value - known.cells.value, measured.cells.se), torch.zeros(3, 20))
    _near(measured.constant, torch.stack([other.variance[other.level == k].mean() for k in range(3)]), slack=3e-3)
    # the constant model is wrong where the components are told apart from some places only
    parts = [line.variance[line.level == k] for k in range(3)]
    truth = torch.stack([part.var() / part.mean().square() for part in parts])
    _near(measured.dispersion, known.dispersion.value)
    assert (measured.dispersion.value[:2] > 4 * measured.dispersion.se[:2]).all()
    assert measured.dispersion.value[1] > 0.4
    assert measured.dispersion.value[2] < 0.01
    # wide cells hide some of it, narrow ones show it
    assert (known.dispersion.value < truth).all()
    torch.testing.assert_close(
        variance_map(line.variance, line.x_t, line.level, 400).dispersion.value, truth, rtol=0.02, atol=0
    )


def test_the_map_is_a_loop_over_cells() -> None:
    line = _line(60, 0)
    square = (line.x - line.mean).square()
    found = variance_map(square, line.x_t, line.level, 3)
    for level in range(3):
        rows = sorted((float(p), float(s)) for p, s, k in zip(line.x_t, square, line.level, strict=True) if k == level)
        for cell in range(3):
            inside = [row for rank, row in enumerate(rows) if rank * 3 // len(rows) == cell]
            assert float(found.cells.value[level, cell]) == pytest.approx(sum(s for _, s in inside) / len(inside))
            assert float(found.position[level, cell]) == pytest.approx(sum(p for p, _ in inside) / len(inside))


def test_gaussian_rows_show_no_dispersion() -> None:
    """The conditional variance of Gaussian rows is constant within a level; 100 maps, unbiased and honest."""
    generator = torch.Generator().manual_seed(0)
    scores = []
    for _ in range(100):
        normal = torch.randn(2, 400, generator=generator, dtype=torch.float64)
        found = variance_map(normal[0].square(), normal[1], torch.zeros(400, dtype=torch.long), 8).dispersion
        scores.append([float(found.value), float(found.se)])
    value, se = torch.tensor(scores).T
    assert abs(float(value.mean())) < 4 * float(value.std()) / 10
    assert float(se.mean()) == pytest.approx(float(value.std()), rel=0.5)


def test_a_cell_of_two_rows_is_refused() -> None:
    with pytest.raises(ValueError, match=r"every group must have 15 rows or more, however: sizes=\[14\]"):
        variance_map(torch.ones(14), torch.arange(14.0), torch.zeros(14, dtype=torch.long), 5)


def test_the_floor_is_the_closed_form_and_the_excess_is_the_squared_error() -> None:
    line = _line(60_000, 2)
    error = torch.tensor([0.3, 0.1, 0.0], dtype=torch.float64)[line.level] * line.x_t.sin()
    square = (line.x - line.mean - error).square()
    found = floor(square, line.variance, line.level)
    grid = torch.linspace(-30, 30, 200_001, dtype=torch.float64)
    total = SPREAD + SIGMAS.square()[:, None]
    density = 0.5 * sum(torch.exp(-(grid - c).square() / (2 * total)) / (2 * math.pi * total).sqrt() for c in (-1, 1))
    closed = torch.trapezoid(density * _posterior(grid, SIGMAS[:, None])[1], grid)
    _near(found.floor, closed)
    excess = torch.stack([error[line.level == k].square().mean() for k in range(3)])
    _near(found.excess, excess)
    _near(found.share, excess / (excess + closed))
    assert found.share.value[0] > 4 * found.share.se[0]
    torch.testing.assert_close(found.loss.value - found.floor.value, found.excess.value)
    paired = (found.loss.se.square() + found.floor.se.square()).sqrt()
    assert (found.excess.se < paired).all()


def test_the_share_is_a_loop_over_levels() -> None:
    line = _line(40, 0)
    square = (line.x - 0.5 * line.x_t).square()
    found = floor(square, line.variance, line.level)
    for level in range(3):
        rows = [(float(s), float(v)) for s, v, k in zip(square, line.variance, line.level, strict=True) if k == level]
        n = len(rows)
        share = 1 - sum(v for _, v in rows) / sum(s for s, _ in rows)
        assert float(found.share.value[level]) == pytest.approx(share)
        without = [1 - (sum(v for _, v in rows) - v) / (sum(s for s, _ in rows) - s) for s, v in rows]
        mean = sum(without) / n
        jackknife = math.sqrt((n - 1) / n * sum((one - mean) ** 2 for one in without))
        assert float(found.share.se[level]) == pytest.approx(jackknife, rel=0.2)


def test_data_alone_give_a_bracket_of_the_floor() -> None:
    """Row C1: E tr C_S = E tr C - E|D_S - D|^2, and E|x_I - D_(S without I)|^2 = E tr C + E|D_(S without I) - D|^2."""
    generator = torch.Generator().manual_seed(3)
    sets, size, sigma = 4_000, 12, 0.7
    line = _line(sets * size, 4)
    rows = line.x.reshape(sets, size)
    own = torch.randint(size, (sets, 1), generator=generator)
    x = rows.gather(1, own)[:, 0]
    x_t = x + sigma * torch.randn(sets, generator=generator, dtype=torch.float64)
    mean, variance = _posterior(x_t, torch.tensor(sigma, dtype=torch.float64))
    logit = -(x_t[:, None] - rows).square() / (2 * sigma**2)
    inside = logit.softmax(1)
    centre = (inside * rows).sum(1)
    low = (inside * (rows - centre[:, None]).square()).sum(1)
    left = (logit.scatter(1, own, -math.inf).softmax(1) * rows).sum(1)
    high = (x - left).square()
    level = torch.zeros(sets, dtype=torch.long)
    for bound, shift in ((low, -(centre - mean).square()), (high, (left - mean).square())):
        gap = floor(bound, variance + shift, level).excess
        _near(gap, torch.zeros(1))
    square = (x - mean - 0.2).square()  # a model that is off by 0.2 everywhere
    shares = [floor(square, bound, level).share for bound in (high, variance, low)]
    assert float(shares[0].value) < float(shares[1].value) < float(shares[2].value)
    assert all(float(one.se) < 0.05 for one in shares)
    _near(floor(square, variance, level).excess, torch.tensor([0.04], dtype=torch.float64))


def test_predicted_covariances_make_the_same_map(noisy_scores: Callable[..., Any]) -> None:
    draw = noisy_scores(20_000, seed=0)
    level, place = (draw.sigma_t > 1).long(), draw.x_t.norm(dim=1)
    square = (draw.label - draw.score).square().sum(1)
    measured, predicted = (
        variance_map(one, place, level, 6) for one in (square, draw.cov.diagonal(dim1=1, dim2=2).sum(1))
    )
    _near(Estimate(measured.cells.value - predicted.cells.value, measured.cells.se), torch.zeros(2, 6))
    assert (predicted.cells.se < measured.cells.se).all()
