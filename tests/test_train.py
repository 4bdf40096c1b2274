"""Training on data whose best denoiser is known."""

import pytest
import torch
from torch import Tensor

from scorewise.allocation import LevelDensity
from scorewise.binned import Binned
from scorewise.covariance import Blocks, Diagonal, Simplex
from scorewise.empirical import exact
from scorewise.network import Group, Layout, Moments, TableDenoiser
from scorewise.noise import Gaussian
from scorewise.posterior import Posterior
from scorewise.train import DivergedError, State, Step, loss, train

LAYOUT = Layout(1, (Group(1, 2),))


def _rows(size: int, generator: torch.Generator) -> Tensor:
    """A category and a number that is -1 or 1 with it, give or take 0.3."""
    code = (torch.rand(size, generator=generator) < 0.5).long()
    number = 2 * code - 1 + 0.3 * torch.randn(size, generator=generator)
    return torch.cat([number[:, None], torch.nn.functional.one_hot(code, 2).float()], 1)


def _state() -> State:
    edges = torch.tensor([[-40.0, -1.0, 0.0, 1.0, 40.0]])
    values = torch.zeros(1, 101, dtype=torch.float64)
    moments = Moments(torch.zeros(1), torch.full((1, 1), 1.09), torch.full((2,), 0.5).log(), edges, values)
    network = TableDenoiser(LAYOUT, moments, 32, 1, torch.Generator().manual_seed(0))
    return State(network, LevelDensity(0.01, 10), network.hidden_matrices())


def _train(state: State, stop: int, total: int = 300) -> list[Step]:
    steps = []
    for step in train(state, lambda _, generator: _rows(64, generator), 64, lambda done: done / total, seed=0):
        steps.append(step)
        if step.step == stop:
            break
    return steps


def test_loss_is_the_negative_log_likelihood() -> None:
    generator = torch.Generator().manual_seed(0)
    variance = torch.rand(3, 2, generator=generator, dtype=torch.float64) + 0.1
    log_p = torch.randn(3, 1, 4, generator=generator, dtype=torch.float64).log_softmax(-1)
    mean = torch.cat([torch.zeros(3, 2), log_p.exp()[:, 0]], 1)
    number = torch.randn(3, 2, generator=generator, dtype=torch.float64)
    y = torch.cat([number, torch.eye(4, dtype=torch.float64)[:3]], 1)
    found = loss(Posterior(mean, Blocks([Diagonal(variance), Simplex(log_p)], [(2,), (1, 4)])), y)
    normal = -torch.distributions.Normal(0.0, variance.sqrt()).log_prob(number).sum(1)
    constant = torch.log(torch.tensor(2 * torch.pi, dtype=torch.float64))
    torch.testing.assert_close(found.numbers + found.logdet + constant, normal)
    torch.testing.assert_close(found.categories, -log_p[torch.arange(3), 0, torch.arange(3)])
    torch.testing.assert_close(found.total, found.numbers + found.logdet + found.categories)


def test_margins_have_a_share_in_what_is_minimised() -> None:
    centre, spread = torch.tensor([[0.2], [-1.0]]), torch.tensor([[0.5], [0.3]])
    margins = Binned.tilted(torch.zeros(2, 1, 2), torch.tensor([[-40.0, 0.0, 40.0]]), centre, spread)
    y = torch.tensor([[0.3], [0.4]])
    found = loss(Posterior(margins.mean, Blocks([Diagonal(torch.ones(2, 1))], [(1,)]), margins), y)
    share = torch.special.ndtr(centre / spread)[:, 0]  # of the bin above 0, where both labels are
    torch.testing.assert_close(found.margins, -share.log())
    torch.testing.assert_close(found.objective, found.numbers - 0.03 * share.log())


def test_what_a_step_minimises_is_the_objective_margins_included() -> None:
    first, *_ = _train(_state(), 1)
    assert first.loss > first.numbers + first.categories + 0.009  # four bins that the noise hides in part


def test_loss_needs_blocks() -> None:
    with pytest.raises(TypeError, match="cov must be Blocks, however: Diagonal"):
        loss(Posterior(torch.zeros(1, 1), Diagonal(torch.ones(1, 1))), torch.zeros(1, 1))


def test_training_approaches_the_exact_denoiser() -> None:
    state = _state()
    rows = _rows(2_000, torch.Generator().manual_seed(1))
    sigma_t = torch.full((500,), 0.8)
    draw = Gaussian().draw(rows[:500], sigma_t, torch.Generator().manual_seed(2))
    best = exact(rows)(draw.x_t, sigma_t).mean

    def error() -> float:
        with torch.no_grad():
            return float((state.network(draw.x_t, sigma_t).mean - best).square().mean())

    before = error()
    _train(state, 300)
    state.finish()
    assert error() < 0.2 * before


def test_a_resumed_run_repeats_an_uninterrupted_one() -> None:
    whole, part, resumed = _state(), _state(), _state()
    expected = _train(whole, 40, total=40)
    first = _train(part, 17, total=40)
    resumed.restore({name: tensor.clone() for name, tensor in part.tensors().items()})
    assert first + _train(resumed, 40, total=40) == expected
    for one, other in zip(whole.averaged, resumed.averaged, strict=True):
        assert torch.equal(one, other)


def test_a_state_of_another_network_is_refused() -> None:
    tensors = _state().tensors()
    tensors["parameter.0"] = torch.zeros(1)
    with pytest.raises(ValueError, match=r"parameter\.0 must have shape .* however: \(1,\)"):
        _state().restore(tensors)


def test_a_loss_that_is_not_finite_stops_with_the_last_good_parameters() -> None:
    state = _state()

    def batch(step: int, generator: torch.Generator) -> Tensor:
        return _rows(64, generator) * (float("nan") if step == 5 else 1)

    with pytest.raises(DivergedError, match=r"must be finite, however: loss=nan.* at step 6"):
        list(train(state, batch, 64, lambda done: done / 10, seed=0))
    assert state.step == 5
    assert all(bool(torch.isfinite(p).all()) for p in state.parameters)


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that CUDA sees")
ON_GPU = 1_024  # rows of a batch: enough for the mean of a few losses to tell whether they fall


def _gpu_state() -> State:
    made = _state()
    made.network.cuda()
    return State(made.network, made.density, made.network.hidden_matrices())


def _trained_on_gpu(made: State, steps: int, capture: bool, bf16: bool = False, poisoned: int = -1) -> list[Step]:
    def batch(step: int, generator: torch.Generator) -> Tensor:
        x = _rows(ON_GPU, generator).cuda()
        return x * torch.nan if step == poisoned else x

    return list(train(made, batch, ON_GPU, lambda done: done / steps, seed=0, bf16=bf16, capture=capture))


@needs_gpu
@pytest.mark.parametrize("bf16", [False, True])
def test_a_captured_training_is_the_same_training(bf16: bool) -> None:
    plain, captured = _gpu_state(), _gpu_state()
    expected, found = (
        _trained_on_gpu(plain, 60, capture=False, bf16=bf16),
        _trained_on_gpu(captured, 60, capture=True, bf16=bf16),
    )
    tolerance = 3e-2 if bf16 else 1e-3  # rounding differs, and Muon takes small directions as it takes large ones
    for one, other in zip(found[:15], expected[:15], strict=True):
        assert one[1:] == pytest.approx(other[1:], rel=tolerance, abs=tolerance)
    late, expected_late = (sum(step.loss for step in steps[-20:]) / 20 for steps in (found, expected))
    assert late == pytest.approx(expected_late, rel=0.05)
    assert late < 0.9 * sum(step.loss for step in expected[:10]) / 10
    for one, other in zip(captured.averaged, plain.averaged, strict=True):
        torch.testing.assert_close(one, other, rtol=0.1, atol=0.05)


def test_steps_on_a_cpu_cannot_be_captured() -> None:
    with pytest.raises(ValueError, match="capture needs a network on a CUDA device, however: device=device"):
        next(train(_state(), lambda _, generator: _rows(8, generator), 8, lambda done: done / 2, seed=0, capture=True))


@needs_gpu
def test_a_captured_step_that_is_not_finite_is_not_taken() -> None:
    made = _gpu_state()
    with pytest.raises(DivergedError, match="at step 11"):
        _trained_on_gpu(made, 40, capture=True, poisoned=10)
    assert made.step == 10
    assert all(bool(p.isfinite().all()) for p in [*made.parameters, *made.averaged])


def test_rates_in_a_tensor_move_as_numbers_do() -> None:
    moved = []
    for as_tensor in (False, True):
        made = _state()
        for step in range(5):
            generator = torch.Generator().manual_seed(step)
            for p in made.parameters:
                p.grad = torch.randn(p.shape, generator=generator)
            rates = made.rates(step / 5, 0.5)
            made.move(torch.tensor(rates) if as_tensor else rates)
            made.step += 1
        moved.append([*made.parameters, *made.averaged])
    for one, other in zip(*moved, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)
    assert not torch.equal(moved[0][0], _state().parameters[0])
