import torch

from scorewise.difference import REACH, Differences, _asinh, strongest_pairs


def _values(*scales: float) -> torch.Tensor:
    z = torch.linspace(-REACH, REACH, 8_193, dtype=torch.float64)
    return torch.stack([scale * z for scale in scales])


def test_a_linear_column_gives_the_difference_over_its_spread() -> None:
    differences = Differences(_values(3.0, 3.0), torch.tensor([[0], [1]]))
    centre, spread = torch.tensor([[1.0, 0.25], [-1.0, -1.0]]), torch.tensor([[0.5], [0.01]])
    found = differences(centre, spread)
    expected = torch.asinh(torch.tensor([0.75 / (0.5 * 2**0.5), 0.0])) / 2
    torch.testing.assert_close(found[:, 0], expected, atol=2e-3, rtol=0)


def test_it_does_not_depend_on_the_unit_of_the_table() -> None:
    centre, spread = torch.tensor([[0.3, -0.7]]), torch.tensor([[0.2]])
    pairs = torch.tensor([[0], [1]])
    one, other = (Differences(unit * _values(1.0, 2.0), pairs)(centre, spread) for unit in (1.0, 1e6))
    torch.testing.assert_close(one, other)


def test_values_without_spread_are_compared_at_the_resolution_of_the_columns() -> None:
    steps = torch.round(_values(10.0, 10.0))  # integers
    differences = Differences(steps, torch.tensor([[0], [1]]))
    found = differences(torch.tensor([[0.5, 0.1]]), torch.tensor([[1e-4]]))
    torch.testing.assert_close(found, torch.asinh(torch.tensor([[4.0]])) / 2)


def test_a_sum_of_three_is_seen_in_units_of_the_uncertainty_of_all_of_them() -> None:
    pairs, sums, signs = torch.tensor([[0], [1]]), torch.tensor([[2], [0], [1]]), torch.tensor([[1.0], [-1.0], [-1.0]])
    differences = Differences(_values(3.0, 4.0, 12.0), pairs, sums, signs)
    assert differences.features == 2
    centre, spread = torch.tensor([[1.0, 0.25, 0.5], [0.4, 0.6, 0.3]]), torch.tensor([[0.5], [0.01]])
    found = differences(centre, spread)
    torch.testing.assert_close(found[:, :1], Differences(_values(3.0, 4.0, 12.0), pairs)(centre, spread))
    expected = torch.asinh(torch.tensor([(6.0 - 3.0 - 1.0) / (0.5 * 13.0), 0.0])) / 2  # 3, 4, 12: 13 is their length
    torch.testing.assert_close(found[:, 1], expected, atol=2e-3, rtol=0)


def test_a_constant_column_gives_finite_features() -> None:
    found = Differences(_values(0.0, 0.0), torch.tensor([[0], [1]]))(torch.zeros(1, 2), torch.ones(1, 1))
    assert torch.equal(found, torch.zeros(1, 1))


def test_values_that_float32_does_not_hold_count_as_the_largest() -> None:
    z = _values(1.0)[0]
    marked = torch.where(z > 2.0, 1.7e308, z)  # a number that stands for a missing one
    differences = Differences(torch.stack([z, 2 * z, marked, -marked]), torch.tensor([[0, 0, 2], [1, 2, 3]]))
    found = differences(torch.tensor([[0.3, -0.7, 3.0, 3.0]]), torch.tensor([[0.01]]))
    assert found.isfinite().all()
    torch.testing.assert_close(
        found[:, :1],
        Differences(_values(1.0, 2.0), differences.pairs[:, :1])(torch.tensor([[0.3, -0.7]]), torch.tensor([[0.01]])),
    )
    assert found[0, 1] < -10
    assert found[0, 2] > 5
    apart = [differences(torch.tensor([[0.3, -0.7, at, 0.0]]), torch.tensor([[0.01]]))[0, 1] for at in (0.3, 0.5)]
    assert apart[0] == 0
    assert apart[1] < -1  # where it is no such number the column is compared as it was


def test_the_most_correlated_pairs_are_chosen() -> None:
    covariance = torch.tensor([[4.0, 0.2, -1.8], [0.2, 1.0, 0.5], [-1.8, 0.5, 1.0]])
    assert strongest_pairs(covariance, 2).tolist() == [[0, 1], [2, 2]]
    assert strongest_pairs(covariance, 10).tolist() == [[0, 0, 1], [1, 2, 2]]
    assert strongest_pairs(torch.zeros(0, 0), 10).shape == (2, 0)


def test_the_fast_asinh_is_that_of_torch_and_has_its_derivative() -> None:
    x = torch.tensor([-1e30, -50.0, -1e-3, 0.0, 0.2, 7.0, 1e30], dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(_asinh(x), torch.asinh(x), atol=1e-12, rtol=1e-12)
    slopes = [torch.autograd.grad(function(x).sum(), x)[0] for function in (_asinh, torch.asinh)]
    torch.testing.assert_close(slopes[0], slopes[1], atol=1e-12, rtol=1e-9)
