"""Targets against the exact denoiser: a label's mean given x_t is the belief's mean, and so its covariance."""

import pytest
import torch

from scorewise.covariance import Blocks, Simplex
from scorewise.noise import Draw, GaussianNoise
from scorewise.posterior import Posterior, exact
from scorewise.target import Clean, Score, Target, scaled

ROWS = torch.randn(9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
SIGMA = torch.tensor([0.7], dtype=torch.float64)
X_T = torch.tensor([[0.2, 0.5]], dtype=torch.float64)


@pytest.mark.parametrize("target", [Clean(), Score()])
def test_belief_has_the_mean_and_covariance_of_the_label(target: Target) -> None:
    weights = GaussianNoise().log_prob(X_T, ROWS, SIGMA).softmax(0)
    labels = target.label(Draw(ROWS, X_T.expand(9, 2), SIGMA.expand(9)))
    mean = weights @ labels
    covariance = torch.einsum("n,ni,nj->ij", weights, labels - mean, labels - mean)
    belief = target.belief(exact(ROWS)(X_T, SIGMA), X_T, SIGMA)
    torch.testing.assert_close(belief.mean[0], mean)
    columns = torch.stack([(belief.cov @ u[None])[0] for u in torch.eye(2, dtype=torch.float64)], 1)
    torch.testing.assert_close(columns, covariance)


def test_score_target_is_the_gradient_of_the_noise() -> None:
    x_t = X_T.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(GaussianNoise().log_prob(x_t, ROWS[:1], SIGMA).sum(), x_t)
    torch.testing.assert_close(Score().label(Draw(ROWS[:1], X_T, SIGMA)), gradient)


def test_simplex_cannot_be_scaled() -> None:
    simplex = Simplex(torch.zeros(1, 1, 2).log_softmax(-1))
    posterior = Posterior(torch.zeros(1, 2), Blocks([simplex], [(1, 2)]))
    with pytest.raises(TypeError, match="a Simplex covariance cannot be scaled"):
        Score().belief(posterior, torch.zeros(1, 2), torch.ones(1))
    with pytest.raises(TypeError, match=r"one of the kinds of scorewise\.covariance, however: str"):
        scaled("no covariance", torch.ones(1))  # type: ignore[arg-type]
