"""The two times of training: one stays, the other grows with the rows."""

import pytest
import torch
from torch import Tensor

from scorewise.coupling import slope
from scorewise.memory import memorised_variance, window
from scorewise.tangent import tangent_kernel

WIDTH, COPIES = 20, 4


def _noisy(rows: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    row = torch.arange(rows).repeat_interleave(COPIES)
    x = torch.randn(rows, WIDTH, generator=generator, dtype=torch.float64)[row]
    x_t = x + 0.5 * torch.randn(x.shape, generator=generator, dtype=torch.float64)
    return torch.cat([x_t, torch.ones(len(row), 1, dtype=torch.float64)], 1), row


def test_memorising_takes_time_in_proportion_to_the_rows_and_learning_does_not() -> None:
    rows = torch.tensor([100, 200, 400])
    found = []
    for n in rows.tolist():
        inputs, row = _noisy(n, 0)
        one = window(tangent_kernel(inputs, inputs), row)
        assert one.common == WIDTH + 1  # in so many dimensions rows of one Gaussian have linear functions in common
        found.append([one.learn, one.memorise])
    learn, memorise = slope(rows.double(), torch.tensor(found, dtype=torch.float64).T).tolist()
    assert abs(learn) < 0.35
    assert 0.9 < memorise < 1.7
    assert found[-1][1] > 20 * found[-1][0]


def test_the_window_is_read_off_a_spectrum_that_is_known() -> None:
    """Copies that are equal make the averaged kernel the kernel of the rows."""
    basis = torch.linalg.qr(torch.randn(30, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).Q
    values = torch.cat([torch.tensor([100.0, 5.0, 4.0]), torch.linspace(0.2, 0.1, 27)]).double()
    row = torch.arange(30).repeat(3)
    gram = (30 * (basis * values) @ basis.T)[row][:, row]
    found = window(gram, row)
    assert found.common == 3
    assert found.learn == pytest.approx(1 / 4)
    assert found.memorise == pytest.approx(1 / 0.15, rel=0.02)


def test_rows_must_be_copied_equally_often() -> None:
    with pytest.raises(ValueError, match="four rows or more equally often, however: rows=5, copies from 1 to 2"):
        window(torch.eye(6), torch.tensor([0, 1, 2, 3, 4, 4]))


def _log_q(x_t: Tensor, rows: Tensor, sigma: float) -> Tensor:
    return -0.5 * torch.cdist(x_t, rows).square() / sigma**2


def test_the_variance_of_a_memorised_denoiser_is_that_over_training_sets() -> None:
    generator = torch.Generator().manual_seed(0)

    def sample(size: int) -> Tensor:
        sign = torch.randint(2, (size, 1), generator=generator, dtype=torch.float64) * 2 - 1
        return sign + 0.4 * torch.randn(size, 2, generator=generator, dtype=torch.float64)

    x_t = torch.tensor([[0.3, 0.1], [1.2, -0.4]], dtype=torch.float64)
    population = sample(200_000)
    mean = _log_q(x_t, population, 0.8).softmax(1) @ population
    samples = []
    for _ in range(1_000):
        rows = sample(500)
        samples.append((_log_q(x_t, rows, 0.8).softmax(1) @ rows - mean).square().sum(1))
    squares = torch.stack(samples)
    error = squares.std(0) / 1_000**0.5
    found = memorised_variance(_log_q(x_t, population, 0.8), population, 500)
    assert bool(((squares.mean(0) - found).abs() < 4 * error + 0.02 * found).all())


def test_the_error_of_a_memorised_score_grows_with_less_noise_as_the_theory_says() -> None:
    rows = torch.special.ndtri((torch.arange(40_000, dtype=torch.float64) + 0.5) / 40_000)[:, None]
    sigmas = torch.tensor([0.02, 0.04, 0.08], dtype=torch.float64)
    errors = []
    for sigma in sigmas.tolist():
        x_t = (1 + sigma**2) ** 0.5 * rows[50::100]  # quantiles of the noisy density
        errors.append(memorised_variance(_log_q(x_t, rows, sigma), rows, 1).mean() / sigma**4)
    assert abs(float(slope(sigmas.square(), torch.stack(errors))) + 1.5) < 0.05  # -(d + 2) / 2 with d = 1
