"""Derivatives of rows against one backward pass a row, and a module that is left as it was."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from scorewise.rowwise import Rowwise, chunks, rows, take


class Pairs(NamedTuple):
    x: Tensor
    y: Tensor


def _batch(size: int = 6, seed: int = 0) -> Pairs:
    generator = torch.Generator().manual_seed(seed)
    return Pairs(*torch.randn(2, size, 3, generator=generator, dtype=torch.float64))


def _seeded(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator))
    return module.double()


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(3, 3)
        self.down = nn.Linear(3, 3)
        self.down.weight = self.up.weight

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.down(self.up(x).sin())
        return found


class Counting(nn.Module):
    """Moves buffers at every pass: a count of the passes, and a running average of its weights."""

    count: Tensor
    average: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("average", torch.ones(3, 3))

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        self.average = 0.9 * self.average + 0.1 * self.linear.weight.detach()
        found: Tensor = self.linear(x.sin()) + x @ self.average
        return found


def _frozen() -> nn.Module:
    module = nn.Sequential(nn.Linear(3, 5), nn.SiLU(), nn.Linear(5, 3))
    module[0].weight.requires_grad_(False)
    return module


MODULES: dict[str, Callable[[], nn.Module]] = {
    "two layers": lambda: nn.Sequential(nn.Linear(3, 5), nn.SiLU(), nn.LayerNorm(5), nn.Linear(5, 3)),
    "tied weights": Tied,
    "frozen weights": _frozen,
    "batch normalisation in evaluation": lambda: nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)
    ).eval(),
    "buffers that every pass moves": Counting,
}


def _losses(call: Callable[..., Any], batch: Pairs) -> Tensor:
    return (call(batch.x) - batch.y).square().sum(1) * batch.x[:, 0].exp()


@pytest.fixture(params=MODULES, name="module")
def _module(request: pytest.FixtureRequest) -> nn.Module:
    return _seeded(MODULES[request.param]())


def _naive(module: nn.Module, batch: Pairs) -> tuple[Tensor, Tensor]:
    """Loss and gradient of each row by a loop of backward passes, from the same buffers every time."""
    buffers = {name: b.clone() for name, b in module.named_buffers()}
    parameters = [p for p in module.parameters() if p.requires_grad]
    values, gradients = [], []
    for i in range(len(batch.x)):
        for name, b in module.named_buffers():
            b.copy_(buffers[name])
        value = _losses(module, take(batch, slice(i, i + 1)))[0]
        gradients.append(torch.cat([g.flatten() for g in torch.autograd.grad(value, parameters)]))
        values.append(value.detach())
    for name, b in module.named_buffers():
        b.copy_(buffers[name])
    return torch.stack(values), torch.stack(gradients)


def test_derivatives_are_those_of_a_loop_over_rows(module: nn.Module) -> None:
    """Row D3 of the theory, second line: directional derivatives equal <g_i, v> to rounding."""
    batch = _batch()
    losses = Rowwise(module, _losses, batch)
    values, gradients = _naive(module, batch)
    torch.testing.assert_close(losses.values(batch), values)
    torch.testing.assert_close(losses.gradients(batch), gradients)
    torch.testing.assert_close(losses.mean_gradient(batch), gradients.mean(0))
    direction = losses.signs(torch.Generator().manual_seed(2))
    found, slopes = losses.along(batch, direction)
    torch.testing.assert_close(found, values)
    torch.testing.assert_close(slopes, gradients @ direction, rtol=1e-12, atol=1e-12)
    assert losses.width == gradients.shape[1] == len(losses.zero())


def test_several_values_a_row_have_the_derivatives_of_each() -> None:
    module, batch = _seeded(MODULES["two layers"]()), _batch()
    residuals = Rowwise(module, lambda call, one: call(one.x) - one.y, batch)
    direction = residuals.signs(torch.Generator().manual_seed(2))
    _, slopes = residuals.along(batch, direction)
    step = 1e-6
    pieces = torch.split(direction * step, [p.numel() for p in module.parameters()])
    ends = []
    for sign in (1, -2):
        with torch.no_grad():
            for p, piece in zip(module.parameters(), pieces, strict=True):
                p += sign * piece.reshape(p.shape)
            ends.append(residuals.values(batch))
    torch.testing.assert_close(slopes, (ends[0] - ends[1]) / (2 * step), rtol=1e-6, atol=1e-6)


def test_the_module_and_the_global_generator_are_left_alone(module: nn.Module) -> None:
    batch = _batch()
    for p in module.parameters():
        p.grad = torch.full_like(p, 7.0)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    modes = [part.training for part in module.modules()]
    random = torch.get_rng_state()
    losses = Rowwise(module, _losses, batch)
    losses.values(batch)
    losses.gradients(batch)
    losses.mean_gradient(batch)
    losses.along(batch, losses.signs(torch.Generator().manual_seed(0)))
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
    assert [part.training for part in module.modules()] == modes
    assert all(bool((p.grad == 7).all()) for p in module.parameters() if p.grad is not None)
    assert all(p.grad is not None for p in module.parameters())
    assert torch.equal(torch.get_rng_state(), random)


def test_nothing_has_a_graph_and_an_outer_no_grad_changes_nothing() -> None:
    module, batch = _seeded(MODULES["two layers"]()), _batch()
    losses = Rowwise(module, _losses, batch)
    direction = losses.signs(torch.Generator().manual_seed(2))
    first = [losses.values(batch), losses.gradients(batch), *losses.along(batch, direction)]
    with torch.no_grad():
        second = [losses.values(batch), losses.gradients(batch), *losses.along(batch, direction)]
    for one, other in zip(first, second, strict=True):
        assert not one.requires_grad
        torch.testing.assert_close(one, other)


def test_parameters_are_those_of_the_moment() -> None:
    module, batch = _seeded(MODULES["two layers"]()), _batch()
    losses = Rowwise(module, _losses, batch)
    before = losses.values(batch)
    with torch.no_grad():
        next(module.parameters()).mul_(2)
    torch.testing.assert_close(losses.values(batch), _losses(module, batch).detach())
    assert not torch.allclose(losses.values(batch), before)


def test_signs_are_balanced_and_repeat_with_the_seed() -> None:
    losses = Rowwise(_seeded(nn.Linear(3, 3)), _losses, _batch())
    draws = torch.stack([losses.signs(torch.Generator().manual_seed(seed)) for seed in range(500)])
    assert set(draws.unique().tolist()) == {-1, 1}
    assert (draws.mean(0).abs() < 4 / 500**0.5).all()
    assert torch.equal(draws[0], losses.signs(torch.Generator().manual_seed(0)))


class Meter(TorchDispatchMode):
    """Counts the elements of the largest tensor that any operation gives out."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for one in found if isinstance(found, tuple | list) else (found,):
            if isinstance(one, Tensor):
                self.largest = max(self.largest, one.numel())
        return found


def test_forward_mode_holds_no_gradient_of_a_row() -> None:
    """Neither P nor B alone makes a tensor of P x B: the largest is the direction or one layer's activations."""
    wide, count = 128, 64
    module = nn.Sequential(nn.Linear(3, wide), nn.SiLU(), nn.Linear(wide, wide), nn.SiLU(), nn.Linear(wide, 3)).double()
    batch = _batch(count)
    losses = Rowwise(module, _losses, batch)
    direction = losses.signs(torch.Generator().manual_seed(0))
    with Meter() as forward:
        losses.along(batch, direction)
    with Meter() as drawn:
        losses.signs(torch.Generator().manual_seed(0))
    with Meter() as reverse:
        losses.gradients(batch)
    assert max(forward.largest, drawn.largest) <= max(losses.width, count * wide)
    assert reverse.largest == count * losses.width  # what the meter sees where gradients of rows are held


def test_a_batch_may_be_a_dictionary() -> None:
    batch = _batch()
    one = Rowwise(_seeded(nn.Linear(3, 3)), _losses, batch)
    other = Rowwise(one.module, lambda call, named: _losses(call, Pairs(**named)), batch._asdict())
    torch.testing.assert_close(one.gradients(batch), other.gradients(batch._asdict()))


def test_batches_are_counted_picked_and_cut() -> None:
    batch = _batch(5)
    assert rows(batch) == 5
    assert torch.equal(take(batch, torch.tensor([3, 1])).y, batch.y[[3, 1]])
    assert [rows(piece) for piece in chunks(batch, 2)] == [2, 2, 1]
    assert torch.equal(torch.cat([piece.x for piece in chunks(batch, 2)]), batch.x)
    with pytest.raises(ValueError, match=r"same number of rows, however: \[2, 5\]"):
        rows((batch.x, batch.y[:2]))


def test_a_module_without_trained_parameters_is_refused() -> None:
    with pytest.raises(ValueError, match="must have a parameter that requires a gradient, however: Linear has none"):
        Rowwise(nn.Linear(3, 3).double().requires_grad_(False), _losses, _batch())


def test_an_example_of_one_row_is_refused() -> None:
    with pytest.raises(ValueError, match="two rows or more, however: count=1"):
        Rowwise(nn.Linear(3, 3).double(), _losses, _batch(1))


def test_a_mean_over_rows_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one value for each row, shape \(B, \*\), however: it returned shape \(\)"):
        Rowwise(nn.Linear(3, 3).double(), lambda call, batch: _losses(call, batch).mean(), _batch())


@pytest.mark.parametrize("part", [nn.BatchNorm1d(3), nn.Dropout(0.5)], ids=["batch normalisation", "dropout"])
def test_rows_that_depend_on_others_or_on_chance_are_refused(part: nn.Module) -> None:
    module = nn.Sequential(_seeded(nn.Linear(3, 3)), part).double()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with torch.random.fork_rng(devices=[]):
        for seed in range(10):
            random = torch.manual_seed(seed).get_state()
            with pytest.raises(ValueError, match=r"depend on that row alone, however: .* into evaluation mode"):
                Rowwise(module, _losses, _batch())
            assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    Rowwise(module.eval(), _losses, _batch())


def test_a_gradient_that_is_stopped_for_one_mode_alone_is_refused() -> None:
    def half_stopped(call: Callable[..., Any], batch: Pairs) -> Tensor:
        with torch.no_grad():
            weight = call(batch.x).square().sum(1)
        return weight * _losses(call, batch)

    def stopped(call: Callable[..., Any], batch: Pairs) -> Tensor:
        return call(batch.x).square().sum(1).detach() * _losses(call, batch)

    module = _seeded(nn.Linear(3, 3))
    Rowwise(module, stopped, _batch())
    with pytest.raises(
        ValueError, match=r"forward and reverse mode must agree, however: forward=.*Stop gradients by det"
    ):
        Rowwise(module, half_stopped, _batch())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_equals_cpu() -> None:
    module, batch = _seeded(MODULES["two layers"]()), _batch()
    on_cpu = Rowwise(module, _losses, batch)
    direction = on_cpu.signs(torch.Generator().manual_seed(0))
    expected = [on_cpu.gradients(batch), *on_cpu.along(batch, direction)]
    there = Pairs(*(one.cuda() for one in batch))
    on_gpu = Rowwise(module.cuda(), _losses, there)
    assert torch.equal(on_gpu.signs(torch.Generator().manual_seed(0)).cpu(), direction)
    found = [on_gpu.gradients(there), *on_gpu.along(there, direction.cuda())]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.cpu(), other)
