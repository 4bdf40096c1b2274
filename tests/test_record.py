"""Means over blocks of steps, and errors that know that rows come back."""

import pytest
import torch
from torch import Tensor

from scorewise.record import Record, Seen

ROWS = 200


def _run(record: Record, steps: int, seed: int, trend: float = 0.0, size: int = 40) -> None:
    """Losses of rows that have a lasting part, sd 1, a passing part, sd 0.3, and a trend."""
    generator = torch.Generator().manual_seed(seed)
    lasting = torch.randn(ROWS, generator=generator, dtype=torch.float64)
    start = torch.randn(ROWS, generator=generator, dtype=torch.float64)
    for step in range(steps):
        row = torch.randperm(ROWS, generator=generator)[:size]
        passing = 0.3 * torch.randn(size, generator=generator, dtype=torch.float64)
        begin = start[row] + torch.randn(size, generator=generator, dtype=torch.float64)
        record.add(Seen(row, 5 + lasting[row] + passing + begin + trend * step, begin + 2))


def test_blocks_grow_in_proportion() -> None:
    record = Record(torch.ones(ROWS), growth=0.5)
    ended = [record.add(Seen(torch.tensor([0]), torch.ones(1), torch.zeros(1))) for _ in range(30)]
    assert [i + 1 for i, end in enumerate(ended) if end] == [1, 2, 3, 5, 8, 12, 18, 27]
    assert record.plain.step.tolist() == [1, 2, 3, 5, 8, 12, 18, 27]
    with pytest.raises(ValueError, match="growth must be positive, however: growth=0"):
        Record(torch.ones(3), growth=0)


def test_means_are_those_of_the_losses() -> None:
    factor = torch.linspace(0.5, 1.5, ROWS, dtype=torch.float64)
    record = Record(factor, growth=0.5)
    generator = torch.Generator().manual_seed(0)
    kept: list[list[tuple[Tensor, Tensor]]] = [[]]
    for _ in range(12):
        row = torch.randint(ROWS, (30,), generator=generator)
        square = torch.rand(30, generator=generator, dtype=torch.float64)
        kept[-1].append((row, square))
        if record.add(Seen(row, square, torch.full((30,), 3.0))):
            kept.append([])
    for means, w in ((record.plain, torch.ones_like(factor)), (record.weighted, factor)):
        naive = []
        for block in kept[:-1]:
            row, square = (torch.cat([pair[i] for pair in block]) for i in (0, 1))
            naive.append(((square - 3) * w[row]).sum() / w[row].sum() + 3)
        torch.testing.assert_close(means.value, torch.stack(naive))


@pytest.mark.parametrize("groups", [4096, 50])
def test_errors_count_a_row_once_however_often_it_is_met(groups: int) -> None:
    values, claimed, differences, of_difference = [], [], [], []
    for seed in range(300):
        record = Record(torch.ones(ROWS), growth=1.0, groups=groups)
        _run(record, 64, seed)
        means = record.plain
        values.append(means.value[-1])
        claimed.append(means.influence[-1].square().sum())
        differences.append(means.value[-1] - means.value[-2])
        of_difference.append(means.difference_se(len(means.value) - 2)[-1].square())
    spread, error = torch.stack(values).std(), torch.stack(claimed).mean().sqrt()
    assert float(error / spread) == pytest.approx(1, abs=0.15)
    assert float(spread) > 0.9 / ROWS**0.5  # 40 * 32 losses of sd 1 would promise 0.03
    spread, error = torch.stack(differences).std(), torch.stack(of_difference).mean().sqrt()
    assert float(error / spread) == pytest.approx(1, abs=0.15)
    assert float(spread) < 0.8 / ROWS**0.5  # what lasts drops out of differences, but for how often rows are met


def test_a_start_that_shares_the_noise_takes_it_off() -> None:
    errors = []
    for share in (0.0, 1.0):
        record = Record(torch.ones(ROWS), growth=1.0)
        generator = torch.Generator().manual_seed(0)
        for _ in range(8):
            noise = torch.randn(ROWS, generator=generator, dtype=torch.float64)
            record.add(Seen(torch.arange(ROWS), noise + 1, share * noise))
        errors.append(float(record.plain.difference_se(0)[-1]))
        assert float(record.plain.value[-1]) == pytest.approx(1, abs=0.2)
    assert errors[1] < 1e-12 < errors[0]
