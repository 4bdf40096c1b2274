import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from scorewise.allocation import (
    LevelDensity,
    Rule,
    as_it_is,
    gradient_variance,
    log_levels,
    log_normal,
    log_uniform,
    loss_slope,
    minimum_variance,
    table_levels,
)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_bases_are_the_distributions_they_are_named_after() -> None:
    edges = torch.linspace(-7, 5, 13, dtype=torch.float64)
    normal = log_normal(-1.2, 1.2)(edges)
    for mass, low, high in zip(normal, edges[:-1], edges[1:], strict=True):
        grid = torch.linspace(float(low), float(high), 2_001, dtype=torch.float64)
        height = torch.exp(-(grid + 1.2).square() / (2 * 1.44)) / (1.2 * math.sqrt(2 * math.pi))
        assert float(mass) == pytest.approx(float(torch.trapezoid(height, grid)), rel=1e-6)
    torch.testing.assert_close(log_uniform(edges), torch.ones(12, dtype=torch.float64))


def test_draws_follow_a_log_normal_base() -> None:
    density = LevelDensity(0.001, 100, base=log_normal(-1, 1))
    sigma_t, weight = density.draw(1_000, _generator())
    u = torch.special.ndtr(sigma_t.log() + 1)
    counts = torch.histc(u, 20, 0, 1)
    assert counts.min() >= 47
    assert counts.max() <= 53
    torch.testing.assert_close(weight, torch.ones(1_000))


@pytest.mark.parametrize("rule", [as_it_is, minimum_variance, loss_slope])
def test_draws_have_one_level_in_each_part_of_the_density(rule: Rule) -> None:
    density = LevelDensity(0.1, 10, base=log_uniform, rule=rule, buckets=7)
    levels = torch.logspace(-1, 1, 700)
    density.observe(levels, levels.square())
    sigma_t, weight = density.draw(500, _generator())
    share = density.density.double()
    position = (sigma_t.double() / 0.1).log() / math.log(100) * 7
    bucket = position.long().clamp(0, 6)
    cdf = share.cumsum(0)[bucket] - share[bucket] * (1 - (position - bucket))
    assert torch.equal((cdf.sort().values * 500 + 0.5e-3).long(), torch.arange(500))
    assert not torch.equal(sigma_t, sigma_t.sort().values)
    torch.testing.assert_close(weight.double(), (density.base / density.density).double()[bucket])
    assert float(weight.max()) <= 1 / density.explore + 1e-5


def test_the_least_variance_is_that_of_the_theory() -> None:
    """Row D5: V(pi*) = (sum base sqrt(m2))^2 - |G|^2, and no perturbed density has less."""
    generator = _generator()
    base = torch.rand(16, generator=generator, dtype=torch.float64) + 0.1
    base = base / base.sum()
    gradients = torch.randn(16, 3, generator=generator, dtype=torch.float64).exp()  # of 16 levels, without noise
    square = gradients.square().sum(1)
    total = float((base[:, None] * gradients).sum(0).square().sum())
    best = minimum_variance(base, square)
    best = best / best.sum()
    least = gradient_variance(base, best, square, total)
    assert float(least) == pytest.approx(float((base * square.sqrt()).sum() ** 2 - total), rel=1e-12)
    for _ in range(2_000):
        other = best * (0.3 * torch.randn(16, generator=generator, dtype=torch.float64)).exp()
        assert gradient_variance(base, other / other.sum(), square, total) > least
    for other in (base, torch.full_like(base, 1 / 16)):
        assert gradient_variance(base, other, square, total) > 1.05 * least
    # the formula is the variance of the weighted gradient, level by level
    weighted = base[:, None] / best[:, None] * gradients
    mean = (best[:, None] * weighted).sum(0)
    assert float((best * (weighted - mean).square().sum(1)).sum()) == pytest.approx(float(least), rel=1e-12)


def _gradient(sigma_t: Tensor, generator: torch.Generator) -> Tensor:
    """A gradient of two parameters whose size depends on the level: m2 = (1 + 9 / (1 + sigma^2))^2 * 2."""
    size = 1 + 9 / (1 + sigma_t.square())
    return size[:, None] * torch.randn(len(sigma_t), 2, generator=generator)


@pytest.mark.parametrize("base", [log_uniform, log_normal(-1.2, 1.2)], ids=["log-uniform", "EDM"])
def test_the_running_estimate_finds_the_best_density(base: Callable[[Tensor], Tensor]) -> None:
    density = LevelDensity(0.05, 20, base=base, buckets=12, momentum=0.95, explore=0.02)
    generator = _generator()
    for _ in range(400):
        sigma_t, _ = density.draw(256, generator)
        density.observe(sigma_t, _gradient(sigma_t, generator).square().sum(1))
    edges = torch.linspace(math.log(0.05), math.log(20), 12 * 400 + 1).exp()[:-1].reshape(12, 400)
    square = (2 * (1 + 9 / (1 + edges.square())).square()).mean(1)
    often = density.base > 0.01
    torch.testing.assert_close(density.mean_square[often], square[often], rtol=0.25, atol=0)
    best = density.base * square.sqrt()
    best = best / best.sum()
    torch.testing.assert_close(density.density, best, rtol=0.2, atol=0.003)
    found = gradient_variance(density.base, density.density, square)
    assert found < 1.01 * gradient_variance(density.base, best, square)
    # and measured: the variance of weighted gradients, against that of draws from the base
    measured = []
    for one in (LevelDensity(0.05, 20, base=base, buckets=12, rule=as_it_is), density):
        sigma_t, weight = one.draw(100_000, generator)
        squares = (weight[:, None] * _gradient(sigma_t, generator)).square().sum(1)
        measured.append((float(squares.mean()), float(squares.std()) / math.sqrt(100_000)))
    expected = [float(gradient_variance(density.base, pi, square)) for pi in (density.base, density.density)]
    for (value, se), truth in zip(measured, expected, strict=True):
        assert abs(value - truth) < 4 * se + 0.03 * truth  # m2 is not quite constant within a bucket
    assert measured[1][0] < measured[0][0] - 4 * math.hypot(measured[0][1], measured[1][1])


def test_importance_keeps_the_expected_loss_and_lowers_its_variance() -> None:
    density = LevelDensity(0.01, 10, momentum=0.5)
    generator = _generator()

    def residual(sigma_t: Tensor) -> Tensor:
        return torch.where(sigma_t > 1, 6.0, 1.0)

    plain = []
    for _ in range(100):
        sigma_t, weight = LevelDensity(0.01, 10).draw(512, generator)
        plain.append((weight * residual(sigma_t), weight * sigma_t.log()))
        density.observe(sigma_t, residual(sigma_t).square())
    raised = []
    for _ in range(100):
        sigma_t, weight = density.draw(512, generator)
        raised.append((weight * residual(sigma_t), weight * sigma_t.log()))
    assert (sigma_t > 1).float().mean() > 0.4  # twice the share that the base gives
    for i in (0, 1):
        means = [torch.stack([batch[i].mean() for batch in batches]) for batches in (plain, raised)]
        error = math.hypot(*(float(m.std()) / 10 for m in means))
        assert abs(float(means[0].mean() - means[1].mean())) < 4 * error + 2e-3
    assert torch.cat([batch[0] for batch in raised]).var() < 0.5 * torch.cat([batch[0] for batch in plain]).var()


def test_levels_of_the_slope_rule_are_even_in_the_loss() -> None:
    """For Gaussian rows the loss is sigma^2 / (1 + sigma^2): drawn by its slope, the loss of the draws is uniform."""
    density = LevelDensity(0.01, 100, base=log_uniform, rule=loss_slope, explore=1e-3)
    levels = torch.logspace(-2, 2, 6_400)
    density.observe(levels, levels.square() / (1 + levels.square()))
    sigma_t, _ = density.draw(2_000, _generator())
    loss = sigma_t.square() / (1 + sigma_t.square())
    counts = torch.histc(loss, 10, 0, 1)
    assert counts.min() > 180
    assert counts.max() < 220


def test_a_rule_that_gives_nothing_leaves_the_base() -> None:
    density = LevelDensity(0.1, 10, rule=loss_slope)
    density.observe(torch.logspace(-1, 1, 640), torch.logspace(1, -1, 640))  # a loss that falls everywhere
    assert torch.equal(density.density, density.base)


def test_a_rule_that_learns_nothing_stays_at_the_base() -> None:
    density = LevelDensity(0.1, 10, rule=as_it_is)
    density.observe(torch.tensor([0.2, 5.0]), torch.tensor([1.0, 100.0]))
    torch.testing.assert_close(density.density, density.base)


def test_density_refuses_a_range_that_is_none() -> None:
    with pytest.raises(ValueError, match=r"0 < low < high, however: low=1, high=0\.5"):
        LevelDensity(1, 0.5)


@pytest.mark.parametrize(("explore", "buckets"), [(0.0, 64), (1.1, 64), (0.1, 1)])
def test_density_refuses_weights_without_bound_and_a_single_bucket(explore: float, buckets: int) -> None:
    with pytest.raises(ValueError, match=rf"explore <= 1 and buckets >= 2 must hold, however: {explore=}, {buckets=}"):
        LevelDensity(0.1, 10, explore=explore, buckets=buckets)


@pytest.mark.parametrize(
    "base",
    [torch.Tensor.sum, torch.zeros_like, lambda edges: edges.diff() * 0, lambda edges: edges[1:]],
    ids=["a number", "one mass too many", "no mass", "negative masses"],
)
def test_density_refuses_a_base_that_is_none(base: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(
        ValueError, match=r"base must return a mass of 0 or more for each of 64 buckets, not all 0, howev"
    ):
        LevelDensity(0.1, 10, base=base)


def test_levels_fall_evenly_in_the_logarithm_and_end_at_zero() -> None:
    levels = log_levels(0.002, 80, 18)
    assert levels[0] == pytest.approx(80)
    assert levels[-2] == pytest.approx(0.002)
    assert levels[-1] == 0
    ratios = levels[1:-1] / levels[:-2]
    torch.testing.assert_close(ratios, ratios[:1].expand_as(ratios))
    with pytest.raises(ValueError, match="steps must be at least 2, however: steps=1"):
        log_levels(0.002, 80, 1)


def test_levels_of_tables_are_quantiles_of_their_mixture() -> None:
    low, high, steps = 0.002, 80.0, 33
    levels = table_levels(low, high, steps)
    assert levels.shape == (steps + 1,)
    torch.testing.assert_close(levels[[0, -2, -1]], torch.tensor([high, low, 0.0], dtype=torch.float64))
    draws = torch.randn(10**6, generator=torch.Generator().manual_seed(0), dtype=torch.float64).mul(2).sub(0.5)
    draws = draws[(draws > math.log(low)) & (draws < math.log(high))]
    for k, log_level in enumerate(levels[:-1].log().tolist()):
        even = (math.log(high) - log_level) / math.log(high / low)
        assert 0.3 * even + 0.7 * float((draws > log_level).double().mean()) == pytest.approx(k / (steps - 1), abs=2e-3)
    with pytest.raises(ValueError, match="steps must be at least 2, however: steps=1"):
        table_levels(low, high, 1)
