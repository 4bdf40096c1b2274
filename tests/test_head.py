"""Heads trained on residuals whose second moment is known."""

import pytest
import torch
from torch import Tensor, nn

from scorewise.covariance import Covariance, Diagonal
from scorewise.head import Clock, CovarianceHead, LevelHead, VarianceHead, second_moment_loss
from scorewise.noise import Gaussian
from scorewise.posterior import Mixture, Posterior, mixture, negative_log_likelihood
from scorewise.schedule import ou, ve

SCHEDULE = ve()


def _mixture() -> Mixture:
    means = torch.tensor([[1.0, 0.0], [-1.0, 0.5]])
    covariances = torch.tensor([[[0.3, 0.1], [0.1, 0.1]], [[0.1, 0.0], [0.0, 0.4]]])
    return mixture(torch.tensor([0.6, 0.4]), means, covariances, SCHEDULE)


def _rows(size: int, generator: torch.Generator) -> Tensor:
    rows = _mixture()
    parts = torch.multinomial(rows.weights, size, True, generator=generator)
    noise = torch.randn(size, 2, generator=generator)
    roots = torch.linalg.cholesky(torch.tensor([[[0.3, 0.1], [0.1, 0.1]], [[0.1, 0.0], [0.0, 0.4]]]))
    return torch.tensor([[1.0, 0.0], [-1.0, 0.5]])[parts] + (roots[parts] @ noise[:, :, None])[..., 0]


def _train(head: nn.Module, steps: int, second_moment: bool = False, bias: float = 0.0) -> None:
    """Fit a head to the noise of the label eps, around the exact mean moved by a bias."""
    generator = torch.Generator().manual_seed(1)
    size, batch = 40_000, 400
    times = (torch.rand(size, generator=generator) * 3 - 1.5).exp()
    draw = Gaussian(SCHEDULE).draw(_rows(size, generator), times, generator)
    residuals = (_mixture()(draw.x_t, times).mean - draw.x) / times[:, None] + bias
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        start = step * batch % size
        x_t, t, residual = (tensor[start : start + batch] for tensor in (draw.x_t, times, residuals))
        cov: Covariance = head(x_t, t)
        if second_moment:
            loss = second_moment_loss(cov, residual)  # type: ignore[arg-type]
        else:
            loss = negative_log_likelihood(Posterior(0 * residual, cov), residual)
        optimizer.zero_grad()
        loss.mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()


def _truth(t: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Noisy rows, and the covariance of the label eps given each."""
    generator = torch.Generator().manual_seed(2)
    draw = Gaussian(SCHEDULE).draw(_rows(size, generator), t, generator)
    return draw.x_t, _mixture()(draw.x_t, t).cov.matrix_form() / t.square()[:, None, None]


@pytest.mark.parametrize("bias", [0.0, 0.5])
def test_a_level_head_learns_the_mean_squared_residual(bias: float) -> None:
    # C3: exp(u) -> E[tr C_y + |b|^2 | t] / d, so it is not the floor where the mean is off
    head = LevelHead(SCHEDULE)
    _train(head, 400, bias=bias)
    for level in (0.3, 1.0, 3.0):
        t = torch.full((20_000,), level)
        _, truth = _truth(t, 20_000)
        expected = float(truth.diagonal(dim1=1, dim2=2).mean()) + bias**2
        assert float(head.log_variance(t[:1]).exp().detach()) == pytest.approx(expected, rel=0.08)


def test_a_row_head_learns_the_trace_and_a_coordinate_head_the_diagonal() -> None:
    t = torch.full((4_000,), 0.7)
    x_t, truth = _truth(t, 4_000)
    diagonal = truth.diagonal(dim1=1, dim2=2)
    expected = diagonal.mean(1)
    spread = float((expected / expected.mean() - 1).abs().median())
    one, each = (VarianceHead(2, SCHEDULE, e, 32, generator=torch.Generator().manual_seed(0)) for e in (False, True))
    _train(one, 500)
    _train(each, 500)
    with torch.no_grad():
        found, every = one(x_t, t).diag, each(x_t, t).diag
    assert float((found[:, 0] / expected - 1).abs().median()) < 0.5 * spread
    assert torch.equal(found[:, 0], found[:, 1])
    errors = (every / diagonal - 1).abs().median(0).values
    assert (errors < 0.6 * (expected[:, None] / diagonal - 1).abs().median(0).values).all()


@pytest.mark.parametrize("second_moment", [True, False])
def test_a_covariance_head_learns_the_matrix(second_moment: bool) -> None:
    t = torch.full((2_000,), 0.7)
    x_t, truth = _truth(t, 2_000)
    head = CovarianceHead(2, SCHEDULE, 32, generator=torch.Generator().manual_seed(0))
    _train(head, 600, second_moment)
    with torch.no_grad():
        found = head(x_t, t).matrix
    constant = (truth - truth.mean(0)).square().sum((1, 2)).mean()
    assert (found - truth).square().sum((1, 2)).mean() < 0.3 * constant


def test_second_moment_loss_is_least_at_the_second_moment() -> None:
    generator = torch.Generator().manual_seed(0)
    residual = torch.randn(20_000, 2, generator=generator, dtype=torch.float64).exp() - 1  # of no Gaussian law
    moment = residual.mT @ residual / len(residual)
    factor = torch.linalg.cholesky(moment).requires_grad_()
    head = CovarianceHead(2, ou())
    cov = head(torch.zeros(1, 2), torch.ones(1))
    assert isinstance(cov.matrix, Tensor)
    loss = second_moment_loss(type(cov)((factor @ factor.mT)[None]), residual).mean()
    (gradient,) = torch.autograd.grad(loss, factor)
    assert gradient.tril().abs().max() < 1e-9 * float(loss.detach())


@pytest.mark.parametrize(
    "head", [LevelHead(SCHEDULE), VarianceHead(3, ou()), VarianceHead(3, ou(), each=True), CovarianceHead(3, ou())]
)
def test_heads_are_covariances_of_the_right_shape_from_birth(head: nn.Module) -> None:
    cov = head(torch.ones(5, 3), torch.rand(5, generator=torch.Generator().manual_seed(0)) + 0.1)
    assert isinstance(cov, Covariance)
    assert cov.diag.shape == (5, 3)
    assert cov.whiten(torch.ones(5, 3)).shape == (5, 3)
    if isinstance(cov, Diagonal):
        torch.testing.assert_close(cov.diag, torch.ones(5, 3))  # log-variance 0


def test_the_clock_tells_levels_apart_and_is_even_in_the_logarithm() -> None:
    t = torch.logspace(-3, 2, 30)
    features = Clock(SCHEDULE)(t)
    assert features.shape == (30, Clock(SCHEDULE).width)
    assert torch.pdist(features).min() > 0.05
    torch.testing.assert_close(features[:, 1], t.log() / 4)
