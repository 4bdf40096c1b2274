"""Rows held out: the same noise at every check, errors over rows, and when training is over."""

import pytest
import torch
from torch import Tensor, nn

from scorewise.holdout import Holdout

ROWS, COPIES, D = 60, 3, 2


class Scaled(nn.Module):
    """One factor for all coordinates, and a bias that is not trained."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.25))
        self.register_buffer("bias", torch.tensor(0.5))

    def forward(self, x_t: Tensor, sigma_t: Tensor) -> Tensor:
        return self.factor * x_t + self.bias * sigma_t[:, None]


def _square(network: nn.Module, x: Tensor, x_t: Tensor, sigma_t: Tensor) -> Tensor:
    found: Tensor = (network(x_t, sigma_t) - x).square().mean(1)
    return found


def _holdout(errors: float = 2.0, tolerance: float = 0.0) -> Holdout:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(ROWS, D, generator=generator).repeat(COPIES, 1)
    sigma_t = 0.1 + torch.rand(len(x), generator=generator)
    return Holdout(x, sigma_t, COPIES, _square, errors, tolerance, generator)


def test_a_check_is_the_mean_loss_of_each_row_with_other_parameters() -> None:
    holdout, network = _holdout(), Scaled()
    holdout.check(1, network, [torch.tensor(0.75)])
    assert float(network.factor.detach()) == 0.25
    with torch.no_grad():
        network.factor.copy_(torch.tensor(0.75))
        expected = torch.stack(
            [
                _square(network, *(part[copy * ROWS : (copy + 1) * ROWS] for part in _whole(holdout)))
                for copy in range(COPIES)
            ]
        ).mean(0)
    torch.testing.assert_close(holdout.measured[0].float(), expected)
    assert holdout.rows == ROWS


def _whole(holdout: Holdout) -> tuple[Tensor, ...]:
    return tuple(torch.cat(parts) for parts in zip(*holdout.pieces, strict=True))


def test_checks_differ_by_what_was_learned_alone() -> None:
    holdout, network = _holdout(), Scaled()
    for step in (1, 2):
        holdout.check(step, network, [torch.tensor(0.75)])
    assert torch.equal(*holdout.measured)


def test_training_is_over_after_two_checks_that_are_worse_beyond_doubt() -> None:
    holdout, network = _holdout(), Scaled()
    best = [holdout.check(step, network, [torch.tensor(f)]) for step, f in enumerate([0.2, 0.5, 1.5], 1)]
    assert best == [True, True, False]
    assert not holdout.done()
    assert not holdout.check(4, network, [torch.tensor(2.0)])
    assert holdout.done()
    assert holdout.stop().step == 2
    assert holdout.check(5, network, [torch.tensor(0.5)])  # as good as the best again
    assert not holdout.done()


def test_a_rise_within_the_tolerance_is_as_good_as_the_least() -> None:
    strict, tolerant, network = _holdout(), _holdout(tolerance=0.5), Scaled()
    for holdout in (strict, tolerant):
        for step, factor in enumerate([0.7, 1.0, 1.0], 1):
            holdout.check(step, network, [torch.tensor(factor)])
    risk = strict.stop().risk
    assert 1 < risk[1] / risk[0] < 1.5
    assert (strict.stop().step, tolerant.stop().step) == (1, 3)
    assert (strict.done(), tolerant.done()) == (True, False)


def test_what_was_measured_can_be_written_down_and_taken_over() -> None:
    holdout, other, network = _holdout(), _holdout(), Scaled()
    assert holdout.tensors() == {}
    for step, factor in enumerate([0.2, 0.5, 1.5], 1):
        holdout.check(step, network, [torch.tensor(factor)])
    other.restore(holdout.tensors())
    for one in (holdout, other):
        one.check(4, network, [torch.tensor(2.0)])
    assert torch.equal(torch.stack(holdout.measured), torch.stack(other.measured))
    assert other.done()
    other.restore({})
    assert len(other.steps) == 4


@pytest.mark.parametrize("errors", [0.0, 2.0])
def test_more_noisy_copies_of_a_row_do_not_make_its_error_smaller(errors: float) -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(ROWS, D, generator=generator)
    found = []
    for copies in (1, 200):
        sigma_t = torch.full((ROWS * copies,), 0.3)
        holdout = Holdout(x.repeat(copies, 1), sigma_t, copies, _square, errors, generator=generator)
        for step, factor in enumerate([0.5, 0.0], 1):
            holdout.check(step, Scaled(), [torch.tensor(factor)])
        found.append(float(holdout.stop().se.max()))
    assert found[1] > 0.5 * found[0]
