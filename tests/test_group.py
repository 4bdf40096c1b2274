import pytest
import torch

from scorewise.estimate import Estimate
from scorewise.group import by_group, group_means, group_sizes, stacked


def test_groups_are_means_of_their_own_rows() -> None:
    generator = torch.Generator().manual_seed(0)
    samples = torch.randn(30, 2, generator=generator, dtype=torch.float64)
    group = torch.randint(3, (30,), generator=generator)
    found = group_means(samples, group)
    for label in range(3):
        rows = [row for row, its in zip(samples, group.tolist(), strict=True) if its == label]
        one = Estimate.of_mean(torch.stack(rows))
        torch.testing.assert_close(found.value[label], one.value)
        torch.testing.assert_close(found.se[label], one.se)


def test_rows_of_a_group_keep_their_order() -> None:
    group = torch.tensor([1, 0, 2, 0, 1])
    assert by_group(group).tolist() == [1, 3, 0, 4, 2]
    assert group_sizes(group, least=1) == [2, 2, 1]


@pytest.mark.parametrize("group", [[0, 0, 1], [0, 0, 2, 2]])
def test_a_group_of_too_few_rows_is_refused(group: list[int]) -> None:
    with pytest.raises(ValueError, match=r"every group must have 2 rows or more, however: sizes=\[2, [01]"):
        group_means(torch.ones(len(group)), torch.tensor(group))


def test_estimates_are_stacked_side_by_side() -> None:
    found = stacked([Estimate(torch.tensor(1.0), torch.tensor(0.1)), Estimate(torch.tensor(2.0), torch.tensor(0.2))])
    assert found.value.tolist() == [1, 2]
    torch.testing.assert_close(found.se, torch.tensor([0.1, 0.2]))
