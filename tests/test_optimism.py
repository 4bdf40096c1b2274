"""Estimates of the optimism against what it is, in linear regressions where that is known."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scorewise.covariance import Diagonal
from scorewise.descent import Path
from scorewise.optimism import adam_step_sizes, covariance_penalty, extrapolation, row_weights, snapshot_optimism
from scorewise.spectrum import discrete
from scorewise.tangent import tangent_kernel

ROWS, P, D, NOISE = 60, 8, 2, 0.7
TRUTH = torch.linspace(-1, 1, P * D, dtype=torch.float64).reshape(P, D)


class Linear:
    """Rows whose label is linear in the clean row but for noise; every look at a row noises its inputs anew."""

    def __init__(self, seed: int, rows: int = ROWS) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.x = torch.randn(rows, P, generator=generator, dtype=torch.float64)
        self.y = self.x @ TRUTH + NOISE * torch.randn(rows, D, generator=generator, dtype=torch.float64)

    def residual(self, call: Callable[..., Any], row: Tensor, generator: torch.Generator) -> Tensor:
        x_t = self.x[row] + 0.5 * torch.randn(len(row), P, generator=generator, dtype=torch.float64)
        outputs: Tensor = call(x_t)
        return outputs - self.y[row]

    def train(self, steps: int, rate: float, weight: Tensor) -> Tensor:
        """Gradient descent on the exact mean over the noise of the inputs."""
        theta = torch.zeros(P, D, dtype=torch.float64)
        gram = (self.x * weight[:, None]).T @ self.x / len(self.x) + 0.25 * torch.eye(P, dtype=torch.float64)
        for _ in range(steps):
            theta = theta - rate * (gram @ theta - (self.x * weight[:, None]).T @ self.y / len(self.x))
        return theta

    def losses(self, theta: Tensor) -> Tensor:
        """Mean loss of each row over the noise of its inputs, per coordinate."""
        return ((self.x @ theta - self.y).square().sum(1) + 0.25 * theta.square().sum()) / D


def _network(theta: Tensor) -> nn.Linear:
    network = nn.Linear(P, D, bias=False).double()
    with torch.no_grad():
        network.weight.copy_(theta.T)
    return network


def _gap(data: Linear, theta: Tensor) -> Tensor:
    """Loss of new rows minus that of training rows."""
    new = ((theta - TRUTH).square().sum() + NOISE**2 * D + 0.25 * theta.square().sum()) / D
    return new - data.losses(theta).mean()


@pytest.mark.parametrize("steps", [3, 40])
def test_snapshots_tell_the_optimism_of_a_network_that_is_its_own_kernel(steps: int) -> None:
    rate, found, gaps = 0.1, [], []
    endless = TRUTH / 1.25 * (1 - (1 - rate * 1.25) ** steps)  # what endlessly many rows give: its gap has mean 0
    for seed in range(30):
        data = Linear(seed)
        theta = data.train(steps, rate, torch.ones(ROWS))
        network = _network(theta)
        sizes = [torch.full((D, P), rate * steps, dtype=torch.float64)]
        generator = torch.Generator().manual_seed(seed)
        estimate = snapshot_optimism(network, data.residual, ROWS, sizes, generator, batch=ROWS, probes=3, products=P)
        found.append(estimate.value)
        gaps.append(_gap(data, theta) - _gap(data, endless))
    estimates, exact = torch.stack(found), torch.stack(gaps)
    error = ((estimates - exact).var() / 30).sqrt()
    assert abs(float((estimates - exact).mean())) < 4 * float(error) + 0.15 * float(exact.mean())
    assert float(exact.mean()) > 3 * float(error)


def test_a_snapshot_is_the_trace_that_it_stands_for_and_leaves_the_network_alone() -> None:
    data = Linear(0)
    network = _network(data.train(20, 0.1, torch.ones(ROWS)))
    before = network.weight.detach().clone()
    sizes = torch.rand(D, P, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 3
    residual = data.x @ network.weight.detach().T - data.y
    shared = torch.einsum("na,np->nap", residual, data.x) + 0.25 * network.weight.detach()  # mean over the input noise
    second = shared.flatten(1).T @ shared.flatten(1) / ROWS
    curvature = torch.block_diag(*[data.x.T @ data.x / ROWS + 0.25 * torch.eye(P, dtype=torch.float64)] * D)
    root = sizes.flatten().sqrt()
    values, vectors = torch.linalg.eigh(root[:, None] * curvature * root)
    trace = torch.einsum("pk,pq,qk,k->", vectors, root[:, None] * second * root, vectors, -(-values).expm1() / values)
    generator = torch.Generator().manual_seed(2)
    found = snapshot_optimism(
        network, data.residual, ROWS, [sizes], generator, batch=1_500, probes=50, copies=1, products=D * P
    )
    assert abs(float(found.value - 2 / (ROWS * D) * trace)) < 4 * float(found.se)
    assert float(found.se) < 0.2 * float(found.value)
    torch.testing.assert_close(network.weight.detach(), before)
    assert network.weight.grad is None


def test_weights_are_two_and_their_mean_is_one() -> None:
    weight = row_weights(1000, generator=torch.Generator().manual_seed(0))
    assert float(weight.mean()) == pytest.approx(1)
    assert sorted(set(weight.tolist())) == pytest.approx([0.25, 975 / 900])
    assert int((weight == 0.25).sum()) == 100
    assert float(1 / weight.square().mean()) == pytest.approx(0.94, abs=0.005)
    other = row_weights(1000, generator=torch.Generator().manual_seed(1))
    assert bool((other != weight).any())


def test_extrapolation_is_the_least_squares_line_at_zero() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.rand(50, generator=generator, dtype=torch.float64) + 0.3
    losses = torch.randn(50, generator=generator, dtype=torch.float64)
    design = torch.stack([torch.ones_like(weight), weight], 1)
    line = torch.linalg.lstsq(design, losses[:, None]).solution[:, 0]
    factor = extrapolation(weight)
    torch.testing.assert_close((factor * losses).mean(), line[0])
    torch.testing.assert_close(factor.mean(), torch.ones((), dtype=torch.float64))


@pytest.mark.parametrize(("light", "share"), [(0.25, 0.1), (0.75, 0.5), (0.0, 0.2)])
def test_rows_of_unequal_weight_tell_the_loss_of_new_rows(light: float, share: float) -> None:
    risks, exact, training = [], [], []
    for seed in range(400):
        data = Linear(seed)
        weight = row_weights(ROWS, light, share, torch.Generator().manual_seed(seed))
        theta = data.train(40, 0.1, weight)
        losses = data.losses(theta)
        risks.append((extrapolation(weight) * losses).mean())
        training.append(losses.mean())
        exact.append(_gap(data, theta) + losses.mean())
    risk, truth, train = torch.stack(risks), torch.stack(exact), torch.stack(training)
    error = float((risk - truth).std()) / 20
    gap = float((truth - train).mean())
    assert abs(float((risk - truth).mean())) < 4 * error + 0.1 * gap
    assert gap > 6 * error


def test_unequal_weights_are_needed() -> None:
    with pytest.raises(ValueError, match=r"weight must differ between rows, however: var\(weight\)=0"):
        extrapolation(torch.ones(5))
    for light, share in ((0.25, 0.0), (1.0, 0.1), (-0.1, 0.1), (0.25, 1.0)):
        with pytest.raises(
            ValueError, match="there must be light rows and others, and light must be below 1, however: rows=50"
        ):
            row_weights(50, light, share)


def test_the_response_to_shifted_labels_is_the_covariance_penalty() -> None:
    """For a linear smoother its mean is `2 tr(q s) / N`, which is the optimism at the training points."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    truth = x[:, :2].sin()
    one = Diagonal(torch.ones_like(truth))
    path = Path(tangent_kernel(x, x), truth, one)
    rate, step = 1 / float(path.values.max()), torch.tensor([60])
    found = []
    for _ in range(300):
        shift, noise = NOISE * torch.randn(2, 40, 2, generator=generator, dtype=torch.float64)
        labels = truth + noise
        fitted = Path(tangent_kernel(x, x), labels + 0.3 * shift, one).fitted(rate, step)[0]
        found.append(covariance_penalty(fitted - labels, shift, 0.3).mean())
    sample = torch.stack(found)
    exact = 2 * NOISE**2 * float(-discrete(path.values, rate, step).expm1().sum()) / 40
    assert abs(float(sample.mean()) - exact) < 4 * float(sample.std()) / 300**0.5
    assert exact > 8 * float(sample.std()) / 300**0.5


def test_the_step_sizes_of_adam_are_what_it_moves_by_under_a_constant_gradient() -> None:
    start, slope = torch.tensor([1.0, -2.0], dtype=torch.float64), torch.tensor([0.3, -40.0], dtype=torch.float64)
    p = torch.nn.Parameter(start.clone())
    optimizer = torch.optim.Adam([p], lr=0.05, betas=(0.9, 0.99), eps=1e-3)
    for _ in range(7):
        p.grad = slope.clone()
        optimizer.step()
    torch.testing.assert_close(adam_step_sizes(optimizer)[0] * slope, start - p.detach())
