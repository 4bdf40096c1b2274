"""Diagnoses of a table's network while it trains, and a training run that does not notice."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from scorewise.allocation import LevelDensity
from scorewise.diagnosis import Diagnosed, Diagnosis, diagnose, diagnosed
from scorewise.gradient import gradient_noise, grouped_scatter, row_scatter
from scorewise.group import group_means
from scorewise.network import Group, Layout, Moments, TableDenoiser
from scorewise.noise import Draw, Gaussian
from scorewise.rowwise import Rowwise
from scorewise.scatter import split_groups
from scorewise.train import State, Step, loss, train

LAYOUT = Layout(2, (Group(1, 3),))


def _rows(size: int, generator: torch.Generator) -> Tensor:
    code = torch.randint(3, (size,), generator=generator)
    numbers = torch.randn(size, 2, generator=generator) + code[:, None]
    return torch.cat([numbers, torch.nn.functional.one_hot(code, 3).float()], 1)


def _state() -> State:
    edges, values = torch.tensor([[-40.0, 0.0, 1.0, 40.0]] * 2), torch.linspace(-1, 1, 101).double().repeat(2, 1)
    moments = Moments(torch.ones(2), torch.eye(2) + 0.5, torch.full((3,), 1 / 3).log(), edges, values)
    network = TableDenoiser(LAYOUT, moments, 16, 1, torch.Generator().manual_seed(0))
    return State(network, LevelDensity(0.05, 5), network.hidden_matrices())


def _steps(state: State, total: int = 12) -> Iterator[Step]:
    return train(state, lambda _, generator: _rows(32, generator), 32, lambda done: done / total, seed=0)


def _draw(size: int, seed: int) -> Draw:
    generator = torch.Generator().manual_seed(seed)
    sigma_t = LevelDensity(0.05, 5).draw(size, generator)[0]
    x = _rows(size, generator)
    return Gaussian().draw(x, sigma_t, generator, torch.arange(size))


def _levels(draw: Draw) -> Tensor:
    return torch.bucketize(draw.t, torch.tensor([0.2, 0.6]))


def _losses(state: State) -> Rowwise[Draw]:
    def evaluate(call: Callable[..., Any], draw: Draw) -> Tensor:
        return loss(call(draw.x_t, draw.t), draw.x).objective

    return Rowwise(state.network, evaluate, _draw(2, 0))


@pytest.fixture(scope="module", name="trained")
def _trained() -> State:
    state = _state()
    for _ in _steps(state):
        pass
    return state


def test_a_diagnosis_is_what_exact_gradients_say(trained: State) -> None:
    losses, draw = _losses(trained), _draw(300, 1)
    level = _levels(draw)
    found = diagnose(losses, draw, level, 60, torch.Generator().manual_seed(0))
    grouped = grouped_scatter(losses, draw, level)
    exact = gradient_noise(row_scatter(losses, draw))
    split = split_groups(grouped)
    pairs = [(getattr(found.noise, name), getattr(exact, name)) for name in ("variance", "squared_mean", "signal")]
    pairs += [(getattr(found.split, name), getattr(split, name)) for name in split._fields]
    per_level = [gradient_noise(part) for part in grouped.parts]
    squares = torch.stack([part.square.mean() for part in grouped.parts])
    for mine, truth in pairs:
        assert abs(float(mine.value - truth.value)) < 4 * float(mine.se)
        assert float(mine.se) < 2.5 * float(truth.se)
    variances = torch.stack([one.variance.value for one in per_level])
    assert ((found.level_variance.value - variances).abs() < 4 * found.level_variance.se).all()
    assert ((found.level_square.value - squares).abs() < 4 * found.level_square.se).all()
    expected = group_means(losses.values(draw).double(), level)
    torch.testing.assert_close(found.loss.value, expected.value)
    torch.testing.assert_close(found.loss.se, expected.se)
    torch.testing.assert_close(group_means(found.square, level).value, found.level_square.value)


def test_a_watched_run_is_the_same_to_the_last_bit() -> None:
    plain, watched = _state(), _state()
    expected = list(_steps(plain))
    losses = _losses(watched)
    generator = torch.Generator().manual_seed(5)
    random = torch.get_rng_state()

    def measure(step: Step) -> Diagnosis:
        draw = _draw(64, step.step)
        return diagnose(losses, draw, _levels(draw), 2, generator)

    found = list(diagnosed(_steps(watched), measure, every=5))
    assert [one.step for one in found] == expected
    assert [one.step.step for one in found if one.found is not None] == [5, 10]
    for one, other in zip(plain.averaged, watched.averaged, strict=True):
        assert torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), random)


def test_measurements_see_the_parameters_of_their_moment() -> None:
    state = _state()
    losses, draw = _losses(state), _draw(64, 0)
    seen = [one.found for one in diagnosed(_steps(state), lambda _: losses.values(draw).mean(), every=4)]
    values = [float(value) for value in seen if value is not None]
    assert len(values) == 3
    assert values[2] < values[1] < values[0]
    assert values[2] == float(losses.values(draw).mean())


def test_any_iterator_is_watched_and_nothing_runs_ahead() -> None:
    ran: list[str] = []

    def steps() -> Iterator[int]:
        for step in range(1, 4):
            ran.append(f"step {step}")
            yield step

    def measure(step: int) -> str:
        ran.append(f"measure {step}")
        return f"after {step}"

    run = diagnosed(steps(), measure, every=2)
    assert ran == []
    assert next(run) == Diagnosed(1, None)
    assert next(run) == (2, "after 2")
    assert ran == ["step 1", "step 2", "measure 2"]
    assert list(run) == [(3, None)]


def test_measuring_after_every_zeroth_step_is_refused() -> None:
    with pytest.raises(ValueError, match="every must be 1 or more, however: every=0"):
        next(diagnosed([1], lambda step: step, every=0))


def test_squares_of_a_diagnosis_teach_a_density_of_levels(trained: State) -> None:
    """`Diagnosis.square` goes into `LevelDensity.observe` as it is, and the density moves towards large gradients."""
    losses, density = _losses(trained), LevelDensity(0.05, 5, buckets=3, momentum=0.0)
    draw = _draw(3_000, 2)
    bucket = ((draw.t / 0.05).log() / torch.tensor(100.0).log() * 3).long().clamp(0, 2)
    found = diagnose(losses, draw, bucket, 4, torch.Generator().manual_seed(0))
    density.observe(draw.t, found.square.float())
    torch.testing.assert_close(density.mean_square.double(), found.level_square.value, rtol=1e-5, atol=1e-5)
    raised = density.density / density.base
    assert torch.equal(raised.argsort(), found.level_square.value.argsort())
