"""Networks against their kernel paths."""

import pytest
import torch
from torch import Tensor, nn

from scorewise.coupling import coupling, slope
from scorewise.covariance import Diagonal
from scorewise.shallow import TwoLayer
from scorewise.tangent import empirical_kernel, tangent_kernel


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X, Y = _normal(10, 4), _normal(10, 2, seed=1)
COV = Diagonal(_normal(10, 2, seed=2).exp())
GRAM = tangent_kernel(X, X)


def test_distances_fall_as_one_over_root_width_while_training_is_short() -> None:
    widths = 4.0 ** torch.arange(3, 7)
    found = torch.zeros(4, len(widths), dtype=torch.float64)
    for i, width in enumerate(widths):
        for seed in range(4):
            generator = torch.Generator().manual_seed(seed)
            network = TwoLayer(4, 2, int(width), train_output=True, generator=generator, dtype=torch.float64)
            (last,) = coupling(network, X, Y, COV, GRAM, 0.1, [5])
            found[:, i] += torch.tensor([last.limit, last.initial, last.weights, last.kernel]) / 4
    slopes = slope(widths.double(), found)
    assert bool(((slopes + 0.5).abs() < 0.12).all()), slopes
    assert bool((found[:, -1] < 0.1).all())


def test_the_start_of_another_function_is_part_of_the_path() -> None:
    """A linear model is its own kernel path, whatever it starts from."""
    network = nn.Linear(4, 2).double()
    (first, last) = coupling(network, X, Y, COV, GRAM, 0.05, [1, 40])
    assert (first.step, last.step) == (1, 40)
    assert last.initial < 1e-10
    assert last.kernel == pytest.approx(0, abs=1e-12)
    assert last.limit > 0.1  # the limit kernel of another network
    assert last.weights > first.weights > 0


def test_slope_is_the_exponent() -> None:
    x = torch.tensor([1.0, 2.0, 8.0, 64.0])
    torch.testing.assert_close(slope(x, torch.stack([3 * x**-0.5, x**2])), torch.tensor([-0.5, 2.0]))


def test_drift_is_that_of_the_kernel() -> None:
    network = TwoLayer(4, 2, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before, hidden = empirical_kernel(network, [X]), network.hidden.detach().clone()
    (last,) = coupling(network, X, Y, COV, GRAM, 0.1, [7])
    after = empirical_kernel(network, [X])
    assert last.kernel == pytest.approx(float((after - before).norm() / before.norm()))
    assert last.weights == pytest.approx(float((network.hidden.detach() - hidden).norm() / hidden.norm()))
