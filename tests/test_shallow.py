"""The network of the theory, and gradient descent on it."""

import itertools

import pytest
import torch
from torch import Tensor

from scorewise.covariance import Dense, Diagonal
from scorewise.shallow import TwoLayer, gradient_descent


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _network(width: int = 10, *, train_output: bool = False) -> TwoLayer:
    generator = torch.Generator().manual_seed(0)
    return TwoLayer(4, 2, width, train_output=train_output, generator=generator, dtype=torch.float64)


def test_it_starts_at_zero_and_moves() -> None:
    network, x = _network(), _normal(7, 4)
    assert float(network(x).detach().abs().max()) < 1e-15
    outputs = gradient_descent(network, lambda: network(x), _normal(7, 2), Diagonal(torch.ones(7, 2).double()), 0.1)
    first, second = itertools.islice(outputs, 2)
    assert float(first.abs().max()) < 1e-15
    assert float(second.abs().max()) > 1e-3


def test_it_is_the_sum_over_neurons() -> None:
    network, x = _network(), _normal(3, 4)
    with torch.no_grad():
        network.hidden.add_(_normal(10, 4, seed=2))
    naive = torch.zeros(3, 2, dtype=torch.float64)
    for i, a, r in itertools.product(range(3), range(2), range(10)):
        naive[i, a] += network.signs[a, r].detach() * max(0.0, float(network.hidden[r].detach() @ x[i])) / 10**0.5
    torch.testing.assert_close(network(x).detach(), naive)
    assert bool((network.signs.abs() == 1).all())
    assert not network.signs.requires_grad


def test_an_odd_width_is_refused() -> None:
    with pytest.raises(ValueError, match="width must be even, however: width=7"):
        TwoLayer(4, 2, 7)


@pytest.mark.parametrize("train_output", [False, True])
def test_a_step_is_the_explicit_gradient_of_the_weighted_loss(train_output: bool) -> None:
    network, x, y = _network(train_output=train_output), _normal(5, 4), _normal(5, 2, seed=1)
    root = _normal(5, 2, 2, seed=3)
    cov = Dense(root @ root.mT + torch.eye(2, dtype=torch.float64))
    before, signs = network.hidden.detach().clone(), network.signs.detach().clone()
    outputs = gradient_descent(network, lambda: network(x), y, cov, 0.3)
    next(outputs), next(outputs)
    pull = torch.linalg.solve(cov.matrix, -y[:, :, None])[:, :, 0] / 5  # dL/df at f = 0
    active = x @ before.T > 0
    gradient = torch.einsum("ia,ar,ir,ip->rp", pull, signs, active.double(), x) / 10**0.5
    torch.testing.assert_close(network.hidden.detach(), before - 0.3 * gradient)
    output_gradient = pull.T @ (x @ before.T).relu() / 10**0.5
    expected = signs - 0.3 * output_gradient if train_output else signs
    torch.testing.assert_close(network.signs.detach(), expected)


def test_it_descends() -> None:
    network, x, y = _network(200), _normal(20, 4), _normal(20, 2, seed=1)
    cov = Diagonal(torch.full((20, 2), 0.5).double())
    losses = [
        float((f - y).square().mean())
        for f in itertools.islice(gradient_descent(network, lambda: network(x), y, cov, 0.1), 50)
    ]
    assert all(b < a for a, b in itertools.pairwise(losses))
    assert losses[-1] < 0.6 * losses[0]
