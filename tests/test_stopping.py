"""Stopping rules: one battery for all of them, and each against its own definition."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from scorewise.covariance import Dense, Diagonal
from scorewise.descent import Path
from scorewise.regression import lift
from scorewise.spectrum import Spectrum, curves, discrete, flow, risk, spectrum
from scorewise.stopping import (
    Stop,
    discrepancy,
    gcv,
    geometric_steps,
    held_out,
    rademacher,
    sharp,
    sure,
    truth_norm,
)
from scorewise.tangent import tangent_kernel

RULES = [sure, sharp, rademacher, gcv, discrepancy]
STEPS = geometric_steps(10**6, 120)
Rule = Callable[..., Stop]


def _path(draw: Any, cov: Any) -> tuple[Path, float]:
    inputs = lift(draw.x_t, draw.t, 0.15)
    path = Path(tangent_kernel(inputs, inputs), draw.label, cov)
    return path, 1 / float(path.values.max())


def _flat(values: Tensor, truth: Tensor, noise: float, seed: int) -> Spectrum:
    draw = torch.randn(len(values), 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return spectrum(values, truth[:, None] + noise**0.5 * draw, torch.full_like(draw, noise))


@pytest.fixture(scope="module")
def case(problem: Callable[..., Any]) -> tuple[Spectrum, Tensor, float]:
    """A regression under the optimal weight, the squared truth and the step size."""
    draw = problem(150, 0)
    path, rate = _path(draw, Dense(draw.cov))
    return path.spectrum(path.levels(Dense(draw.cov))), path.project(draw.mean).square().sum(1), rate


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_gives_one_of_the_steps_with_its_curves(rule: Rule, case: tuple[Spectrum, Tensor, float]) -> None:
    stop = rule(case[0], case[2], STEPS)
    assert stop.step in STEPS.tolist()
    for curve in (stop.risk, stop.bias, stop.variance, stop.se):
        assert curve.shape == STEPS.shape
    assert bool(torch.isfinite(stop.variance).all())
    assert len(stop.reason) > 10
    assert bool((stop.variance.diff() >= -1e-12).all())


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("decay", [discrete, flow])
def test_no_rule_is_far_from_the_oracle(rule: Rule, decay: Any, problem: Callable[..., Any]) -> None:
    ratios = []
    for seed in range(5):
        draw = problem(150, seed)
        path, rate = _path(draw, Dense(draw.cov))
        found = path.spectrum(path.levels(Dense(draw.cov)))
        true = risk(found, path.project(draw.mean).square().sum(1), rate, STEPS, decay)
        stop = rule(found, rate, STEPS, decay)
        ratios.append(float(true[STEPS.tolist().index(stop.step)] / true.min()))
    worst = {sure: 1.12, sharp: 1.3, rademacher: 3.0, gcv: 1.2, discrepancy: 1.6}[rule]
    assert sum(ratios) / len(ratios) < worst
    assert float(true[-1] / true.min()) > 4  # never to stop would be far


@pytest.mark.parametrize("rule", RULES)
def test_units_do_not_matter(rule: Rule, problem: Callable[..., Any]) -> None:
    draw, unit = problem(80, 3), 100.0
    for assumed, scaled in (
        (Dense(draw.cov), Dense(unit**2 * draw.cov)),  # the weight goes with the data
        (Diagonal(torch.ones_like(draw.label)), Diagonal(torch.ones_like(draw.label))),  # it does not
    ):
        path, rate = _path(draw, assumed)
        other, other_rate = _path(draw._replace(label=unit * draw.label), scaled)
        stop = rule(path.spectrum(path.levels(Dense(draw.cov))), rate, STEPS)
        same = rule(other.spectrum(other.levels(Dense(unit**2 * draw.cov))), other_rate, STEPS)
        assert stop.step == same.step
    x_unit = Path(tangent_kernel(9 * draw.x_t, 9 * draw.x_t), draw.label, Dense(draw.cov))
    plain = Path(tangent_kernel(draw.x_t, draw.x_t), draw.label, Dense(draw.cov))
    stops = [
        rule(p.spectrum(p.levels(Dense(draw.cov))), 1 / float(p.values.max()), STEPS).step for p in (plain, x_unit)
    ]
    assert stops[0] == stops[1]


@pytest.mark.parametrize("rule", RULES)
def test_more_noise_stops_sooner(rule: Rule) -> None:
    values = torch.arange(1, 201, dtype=torch.float64).pow(-2)
    truth = 3 * values
    few, many = (rule(_flat(values, truth * 10, noise, 0), 1.0, STEPS).step for noise in (0.3, 0.003))
    assert few < many


@pytest.mark.parametrize("rule", [sure, sharp, rademacher, discrepancy])
def test_labels_without_a_truth_are_hardly_fitted(rule: Rule) -> None:
    values = torch.arange(1, 201, dtype=torch.float64).pow(-2)
    found = _flat(values, values * 0, 1.0, 5)
    stop = rule(found, 1.0, STEPS)
    assert float(curves(found, 1.0, torch.tensor([stop.step])).variance) < 0.02


def test_sure_is_unbiased_for_every_weight(problem: Callable[..., Any]) -> None:
    """Mean of `SURE - loss` over label noise at fixed noisy rows, within 4 standard errors of 0 at every step."""
    draw = problem(40, 1)
    factor = torch.linalg.cholesky(draw.cov)
    for assumed in (Diagonal(torch.ones_like(draw.label)), Dense(draw.cov)):
        path, rate = _path(draw, assumed)
        levels, truth = path.levels(Dense(draw.cov)), path.whiten(draw.mean)
        differences = []
        for eps in torch.randn(600, 40, 2, 1, generator=torch.Generator().manual_seed(2), dtype=torch.float64):
            labels = draw.mean + (factor @ eps)[..., 0]
            found = spectrum(path.values, path.project(labels), levels)
            share = -discrete(path.values, rate, STEPS).expm1()[:, :, None]
            loss = (share * path.project(labels) - path.project(draw.mean)).square().sum((1, 2)) / truth.numel()
            differences.append(sure(found, rate, STEPS).risk - loss)
        stacked = torch.stack(differences)
        assert bool((stacked.mean(0).abs() <= 4 * stacked.std(0) / 600**0.5 + 1e-12).all())


def test_sure_under_the_optimal_weight_is_mallows_cp(problem: Callable[..., Any]) -> None:
    draw = problem(60, 2)
    path, rate = _path(draw, Dense(draw.cov))
    stop = sure(path.spectrum(path.levels(Dense(draw.cov))), rate, STEPS)
    fitted = path.fitted(rate, STEPS)
    residual = (path.whiten(draw.label) - fitted).square().mean((1, 2))
    freedom = -discrete(path.values, rate, STEPS).expm1().sum(1)
    torch.testing.assert_close(stop.risk, residual - 1 + 2 * freedom / draw.label.numel())


def test_sharp_bounds_the_bias_of_every_truth_of_its_norm() -> None:
    values = torch.arange(1, 51, dtype=torch.float64).pow(-2)
    for seed in range(20):
        truth = torch.randn(50, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * values.sqrt()
        norm = float((truth.square() / values).mean().sqrt())
        found = spectrum(values, truth[:, None], torch.ones(50, 1, dtype=torch.float64))
        stop = sharp(found, 0.9, STEPS, norm=norm)
        bias = (discrete(values, 0.9, STEPS).exp().square() * truth.square()).mean(1)
        assert bool((bias <= stop.bias * (1 + 1e-9)).all())
        looser = rademacher(found, 0.9, STEPS[1:], norm=norm)
        assert bool((stop.bias[1:] <= looser.bias * (1 + 1e-9)).all())
        assert bool((stop.variance[1:] <= looser.variance * (1 + 1e-9)).all())
    worst = int((values * (discrete(values, 0.9, STEPS[[40]])[0] * 2).exp()).argmax())
    extreme = torch.zeros(50, dtype=torch.float64)
    extreme[worst] = (values[worst] * 50).sqrt()
    bias = (discrete(values, 0.9, STEPS[[40]]).exp().square() * extreme.square()).mean()
    found = spectrum(values, extreme[:, None], torch.ones(50, 1, dtype=torch.float64))
    torch.testing.assert_close(sharp(found, 0.9, STEPS[[40]], norm=1.0).bias[0], bias)


def test_rademacher_for_one_output_and_unit_norm_is_the_published_rule() -> None:
    values, sigma, rate = torch.arange(1, 101, dtype=torch.float64).pow(-2), 0.5, 0.9
    found = _flat(values, values, sigma**2, 0)
    every = torch.arange(3000)
    naive = 0
    for step in every[1:].tolist():
        complexity = float(torch.minimum(values, torch.tensor(1 / (rate * step))).mean().sqrt())
        if complexity > 1 / (2 * math.e * sigma * rate * step):
            naive = step - 1
            break
    assert naive > 3
    assert rademacher(found, rate, every, norm=1.0).step == naive


def test_gcv_reads_the_residual_and_the_degrees_of_freedom_and_no_noise() -> None:
    values = torch.arange(1, 101, dtype=torch.float64).pow(-2)
    found = _flat(values, 5 * values, 0.1, 0)
    stop = gcv(found, 1.0, STEPS)
    share = -discrete(values, 1.0, STEPS).expm1()
    score = ((1 - share).square() @ found.squares / 100) / (1 - share.mean(1)).square()
    torch.testing.assert_close(stop.risk[:60], score[:60])
    assert gcv(found._replace(noise=7 * found.noise), 1.0, STEPS).step == stop.step


def test_gcv_does_not_mistake_rounding_at_the_end_of_the_path_for_a_minimum(problem: Callable[..., Any]) -> None:
    draw = problem(60, 0)
    path, rate = _path(draw, Dense(draw.cov))
    found = path.spectrum(path.levels(Dense(draw.cov)))
    assert gcv(found, rate, geometric_steps(10**12, 200)).step < 1_000
    assert bool(torch.isfinite(gcv(found, rate, geometric_steps(10**12, 200)).risk).all())


def test_gcv_needs_to_know_which_labels_are_noisier(problem: Callable[..., Any]) -> None:
    told, untold = 0.0, 0.0
    for seed in range(6):
        draw = problem(120, seed)
        heuristic = (draw.h_t / draw.alpha_t.square())[:, None].expand(-1, 2)
        path, rate = _path(draw, Diagonal(heuristic))
        found = path.spectrum(path.levels(Dense(draw.cov)))
        true = risk(found, path.project(draw.mean).square().sum(1), rate, STEPS)
        equal = found._replace(noise=torch.ones_like(found.noise))
        at = [STEPS.tolist().index(gcv(one, rate, STEPS).step) for one in (found, equal)]
        told, untold = told + float(true[at[0]] / true.min()) / 6, untold + float(true[at[1]] / true.min()) / 6
    assert told < 1.2
    assert untold > 1.5


def test_discrepancy_stops_where_the_residual_is_first_below_the_noise() -> None:
    values = torch.arange(1, 101, dtype=torch.float64).pow(-2)
    found = _flat(values, 5 * values, 0.1, 0)
    step = discrepancy(found, 1.0, torch.arange(2_000)).step
    at, before = (curves(found, 1.0, torch.tensor([t])).residual for t in (step, step - 1))
    assert float(at) <= 0.1 < float(before)
    never = discrepancy(found._replace(noise=found.noise * 0), 1.0, STEPS)
    assert never.step == int(STEPS[-1])
    assert "stays above the noise; it is the last step" in never.reason


def test_the_norm_is_unbiased_where_the_filter_is_one() -> None:
    values = torch.arange(1, 31, dtype=torch.float64).pow(-1)
    truth = values.clone()
    exact = float((truth.square() / values).mean())
    found = [truth_norm(_flat(values, truth, 0.2, seed), 1.0, 10**5) for seed in range(500)]
    samples = torch.stack([estimate.value for estimate in found])
    assert abs(float(samples.mean()) - exact) < 4 * float(samples.std()) / 500**0.5
    errors = torch.stack([estimate.se for estimate in found])
    assert abs(float(errors.square().mean().sqrt() / samples.std()) - 1) < 0.15


def test_cluster_levels_make_sure_unbiased_for_copies_that_share_a_label() -> None:
    """Labels of copies share half their noise; independence would put the risk far too low."""
    generator = torch.Generator().manual_seed(0)
    clean, copies = 30, 4
    row = torch.arange(clean).repeat_interleave(copies)
    x = torch.randn(clean, 3, generator=generator, dtype=torch.float64)[row]
    x = x + 0.1 * torch.randn(x.shape, generator=generator, dtype=torch.float64)
    truth = x[:, :1].sin()
    path = Path(tangent_kernel(x, x), truth, Diagonal(torch.ones_like(truth)))
    rate = 1 / float(path.values.max())
    right, wrong = [], []
    for _ in range(300):
        shared = torch.randn(clean, 1, generator=generator, dtype=torch.float64)[row]
        noise = (0.5**0.5) * (shared + torch.randn(x.shape[0], 1, generator=generator, dtype=torch.float64))
        labels = path.project(truth + noise)
        share = -discrete(path.values, rate, STEPS).expm1()[:, :, None]
        loss = (share * labels - path.project(truth)).square().sum((1, 2)) / len(row)
        for level, kept in ((path.cluster_levels(noise, row).total, right), (torch.ones_like(labels), wrong)):
            kept.append(sure(spectrum(path.values, labels, level), rate, STEPS).risk - loss)
    unbiased, biased = torch.stack(right), torch.stack(wrong)
    assert bool((unbiased.mean(0).abs() <= 4 * unbiased.std(0) / 300**0.5 + 1e-12).all())
    assert bool((biased.mean(0) < -10 * biased.std(0) / 300**0.5).any())


def test_held_out_takes_the_least_mean_and_pairs_its_error() -> None:
    generator = torch.Generator().manual_seed(0)
    common = 5 * torch.rand(200, generator=generator, dtype=torch.float64)
    offset = torch.tensor([0.3, 0.0, 0.1], dtype=torch.float64)
    squares = common + offset[:, None] + 0.01 * torch.randn(3, 200, generator=generator, dtype=torch.float64)
    stop = held_out(torch.tensor([5, 10, 20]), squares, floor=1.0)
    assert stop.step == 10
    torch.testing.assert_close(stop.risk, squares.mean(1) - 1)
    assert float(stop.se.max()) < 0.002
    assert float(stop.se[1]) == 0
    assert bool(stop.bias.isnan().all())


def test_held_out_takes_the_last_step_that_cannot_be_told_from_the_least() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(4, 400, generator=generator, dtype=torch.float64)
    noise = 0.1 * (noise - noise.mean(1, keepdim=True))
    squares = noise + torch.tensor([0.5, 0.0, 0.005, 0.05], dtype=torch.float64)[:, None]  # errors are about 0.007
    steps = torch.tensor([5, 10, 20, 30])
    assert held_out(steps, squares).step == 10
    assert held_out(steps, squares, errors=2).step == 20
    assert held_out(steps, squares, errors=20).step == 30
    assert "within 2 standard errors" in held_out(steps, squares, errors=2).reason


def test_held_out_takes_the_last_step_within_the_tolerance_or_the_errors_whichever_is_more() -> None:
    noise = torch.randn(4, 400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noise = 0.1 * (noise - noise.mean(1, keepdim=True))
    squares = noise + torch.tensor([2.5, 2.0, 2.005, 2.05], dtype=torch.float64)[:, None]  # errors are about 0.007
    steps = torch.tensor([5, 10, 20, 30])
    found = [held_out(steps, squares, tolerance=share).step for share in (0.002, 0.01, 0.03)]
    assert found == [10, 20, 30]
    assert held_out(steps, squares, errors=2, tolerance=0.002).step == 20
    assert held_out(steps, squares, errors=0.1, tolerance=0.03).step == 30
    assert held_out(steps, squares, tolerance=0.01).reason == "last loss on held-out rows within 1 % of the least"
    assert "3 % of the least" in held_out(steps, squares, tolerance=0.03).reason
    assert "within 2 standard errors or 3 % of" in held_out(steps, squares, errors=2, tolerance=0.03).reason


def test_geometric_steps_are_increasing_whole_numbers() -> None:
    steps = geometric_steps(1000, 30)
    assert steps[0] == 0
    assert steps[1] == 1
    assert steps[-1] == 1000
    assert bool((steps.diff() > 0).all())


@pytest.mark.parametrize("steps", [torch.tensor([3, 1]), torch.tensor([-1, 1]), torch.tensor([], dtype=torch.long)])
@pytest.mark.parametrize("rule", RULES)
def test_steps_must_increase(rule: Rule, steps: Tensor, case: tuple[Spectrum, Tensor, float]) -> None:
    with pytest.raises(ValueError, match="steps must be increasing numbers from 0 on, however: steps"):
        rule(case[0], case[2], steps)


def test_the_estimated_norm_is_near_the_known_one_at_every_draw() -> None:
    k = torch.arange(1, 1025, dtype=torch.float64)
    values = 1 / ((2 * k - 1) * math.pi / 2).square()  # of the first-order Sobolev kernel
    truth = (1024 * values).sqrt() * k.pow(-1.5)
    known = float((truth.square() / values).mean().sqrt())
    for seed in range(20):
        found = _flat(values, truth, 0.25, seed)
        stop = sharp(found, 1 / float(values.max()), STEPS)
        said = float(stop.reason.split("B = ")[1].split()[0])
        assert 0.5 * known < said < 2 * known
