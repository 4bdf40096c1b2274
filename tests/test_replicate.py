"""Standard errors against the scatter that they claim to predict."""

import torch

from scorewise.replicate import Replicates, mean_replicates, smooth


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_replicates_of_a_mean_are_means_without_one_row() -> None:
    samples = torch.randn(2, 7, generator=_generator(), dtype=torch.float64)
    found = mean_replicates(samples)
    torch.testing.assert_close(found.whole, samples.mean(1))
    for i in range(7):
        kept = [j for j in range(7) if j != i]
        torch.testing.assert_close(found.without[:, i], samples[:, kept].mean(1))


def test_one_probe_gives_the_jackknife_which_for_a_mean_is_the_usual_error() -> None:
    samples = torch.randn(1, 40, generator=_generator(), dtype=torch.float64)
    found = smooth(torch.clone, mean_replicates(samples))
    torch.testing.assert_close(found.value, samples.mean())
    torch.testing.assert_close(found.se, samples.std() / 40**0.5)


def test_a_function_is_linearised_at_the_statistics() -> None:
    a, b = torch.randn(2, 1, 60, generator=_generator(), dtype=torch.float64).exp()
    found = smooth(lambda x, y: x / y, mean_replicates(a), mean_replicates(b))
    ratio = a.mean() / b.mean()
    torch.testing.assert_close(found.value, ratio)
    torch.testing.assert_close(found.se, ((a - ratio * b) / b.mean()).std() / 60**0.5)


def test_the_error_of_a_crossed_table_is_that_of_its_mean() -> None:
    """Rows and probes are both drawn at random; 2,000 tables of 12 rows by 5 probes."""
    generator = _generator()

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    for row, probe, interaction in ((1.0, 0.0, 1.0), (0.1, 1.0, 0.5), (0.3, 0.3, 1.0)):
        tables = row * normal(2_000, 1, 12) + probe * normal(2_000, 5, 1) + interaction * normal(2_000, 5, 12)
        claimed = torch.stack([smooth(torch.clone, mean_replicates(table)).se.square() for table in tables])
        truth = row**2 / 12 + probe**2 / 5 + interaction**2 / 60
        error = float(claimed.std()) / 2_000**0.5
        # never below the truth; above it by no more than the larger of two parts is on average above their sum
        assert truth - 4 * error < float(claimed.mean()) < 1.35 * truth


def test_probes_that_disagree_make_the_error_larger() -> None:
    samples = torch.randn(2, 50, generator=_generator(), dtype=torch.float64)
    shifted = samples + torch.tensor([[0.0], [3.0]])
    agree = smooth(torch.clone, mean_replicates(samples))
    differ = smooth(torch.clone, mean_replicates(shifted))
    assert differ.se > agree.se + 1
    assert smooth(torch.clone, Replicates(shifted.mean(1), shifted)).value == differ.value
