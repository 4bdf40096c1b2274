import math

import pytest
import torch
from scipy.stats import kstest

from scorewise.quasirandom import MOST_COVERED, NormalSequence


def test_rows_drawn_in_pieces_are_those_drawn_at_once() -> None:
    whole, pieces = NormalSequence(7, 3), NormalSequence(7, 3)
    assert torch.equal(whole.draw(96), torch.cat([pieces.draw(64), pieces.draw(32)]))


def test_aligned_rows_fall_into_every_slice_of_equal_probability_once() -> None:
    sequence = NormalSequence(40, 0)
    for _ in range(3):
        slices = (torch.special.ndtr(sequence.draw(256).double()) * 256).floor().long()
        assert torch.equal(slices.sort(0).values, torch.arange(256)[:, None].expand(256, 40))


def test_one_row_is_standard_normal_over_the_seeds() -> None:
    rows = torch.stack([NormalSequence(3, seed).draw(6)[5] for seed in range(2_000)])
    assert all(kstest(column, "norm").pvalue > 1e-3 for column in rows.T.numpy())
    assert (torch.corrcoef(rows.T) - torch.eye(3)).abs().max() < 4 / math.sqrt(2_000)


def test_averages_have_less_noise_than_over_independent_rows() -> None:
    direction = torch.randn(60, generator=torch.Generator().manual_seed(1))

    def shares(rows: torch.Tensor) -> float:
        return float(((rows @ direction) / direction.norm() > 0.5).double().mean())

    found = torch.tensor([shares(NormalSequence(60, seed).draw(1_024)) for seed in range(100)], dtype=torch.float64)
    p = float(torch.special.ndtr(torch.tensor(-0.5, dtype=torch.float64)))
    independent = math.sqrt(p * (1 - p) / 1_024)
    assert abs(float(found.mean()) - p) < 4 * independent / 10
    assert float(found.std()) < 0.6 * independent


@pytest.mark.parametrize("width", [0, 5, MOST_COVERED + 30])
def test_any_width_is_finite_and_repeats(width: int) -> None:
    rows = NormalSequence(width, -2).draw(64)
    assert rows.shape == (64, width)
    assert rows.dtype == torch.float32
    assert rows.isfinite().all()
    assert torch.equal(rows, NormalSequence(width, -2).draw(64))
    if width:
        assert not torch.equal(rows, NormalSequence(width, -1).draw(64))


def test_coordinates_beyond_the_covered_ones_are_standard_normal_and_fresh() -> None:
    sequence = NormalSequence(MOST_COVERED + 30, 0)
    first, second = sequence.draw(512)[:, MOST_COVERED:], sequence.draw(512)[:, MOST_COVERED:]
    assert kstest(torch.cat([first, second]).flatten().numpy(), "norm").pvalue > 1e-3
    assert not torch.equal(first, second)
