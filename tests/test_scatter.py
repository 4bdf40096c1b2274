"""Scatter from inner products against the same of the vectors themselves, one row at a time."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from scorewise.replicate import Replicates
from scorewise.scatter import (
    Clusters,
    Grouped,
    Scatter,
    clustered_slopes,
    grouped_slopes,
    of_slopes,
    split_clusters,
    split_groups,
    squared_mean,
    variance,
)


def _vectors(n: int, seed: int = 0, width: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    scale = torch.linspace(0.5, 2, width, dtype=torch.float64)
    return 0.4 + scale * torch.randn(n, width, generator=generator, dtype=torch.float64)


def _scatter(vectors: Tensor) -> Scatter:
    return Scatter(vectors.square().sum(1)[None], (vectors @ vectors.mean(0))[None])


def _naive_variance(vectors: Tensor) -> float:
    mean = sum(vectors) / len(vectors)
    return sum(float((v - mean).square().sum()) for v in vectors) / (len(vectors) - 1)


def _naive_squared_mean(vectors: Tensor) -> float:
    n = len(vectors)
    return sum(float(vectors[i] @ vectors[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))


@pytest.mark.parametrize(
    ("statistic", "naive"), [(variance, _naive_variance), (squared_mean, _naive_squared_mean)], ids=["variance", "mean"]
)
def test_statistics_and_their_replicates_are_those_of_the_vectors(
    statistic: Callable[[Scatter], Replicates], naive: Callable[[Tensor], float]
) -> None:
    vectors = _vectors(9)
    found = statistic(_scatter(vectors))
    assert float(found.whole[0]) == pytest.approx(naive(vectors), rel=1e-12)
    for i in range(9):
        assert float(found.without[0, i]) == pytest.approx(naive(vectors[torch.arange(9) != i]), rel=1e-10)


def test_slopes_are_inner_products_in_expectation_over_all_signs() -> None:
    vectors = _vectors(5)
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 4)
    found, exact = of_slopes(signs @ vectors.mT), _scatter(vectors)
    torch.testing.assert_close(found.square.mean(0), exact.square[0])
    torch.testing.assert_close(found.along.mean(0), exact.along[0])


def _grouped(vectors: Tensor, sizes: list[int]) -> Grouped:
    return Grouped(_scatter(vectors), tuple(_scatter(part) for part in torch.split(vectors, sizes)))


def test_variance_is_within_plus_between_groups_exactly() -> None:
    """Row D2 of the theory: for the finite population itself, with every divisor n, to rounding."""
    vectors, sizes = _vectors(12), [3, 4, 5]
    parts = torch.split(vectors, sizes)
    total = sum(float((v - vectors.mean(0)).square().sum()) for v in vectors) / 12
    within = sum(_naive_variance(part) * (len(part) - 1) for part in parts) / 12
    between = sum(len(part) / 12 * float((part.mean(0) - vectors.mean(0)).square().sum()) for part in parts)
    assert total == pytest.approx(within + between, rel=1e-14)
    found = split_groups(_grouped(vectors, sizes))
    assert float(found.total.value) == pytest.approx(total * 12 / 11, rel=1e-12)
    assert float(found.within.value) == pytest.approx(
        sum(len(part) * _naive_variance(part) for part in parts) / 12, rel=1e-12
    )
    assert float(found.between.value) == pytest.approx(float(found.total.value - found.within.value), rel=1e-12)


def test_split_by_groups_is_unbiased_and_its_errors_are_honest() -> None:
    generator = torch.Generator().manual_seed(1)
    centres = torch.tensor([[1.0, 0.0], [-1.0, 1.0], [0.0, 0.5]], dtype=torch.float64)
    spread = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    share = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    mean = share @ centres
    truth = [float(share @ (2 * spread.square())), float(share @ (centres - mean).square().sum(1))]
    scores = []
    for _ in range(300):
        group = torch.multinomial(share, 60, replacement=True, generator=generator)
        normal = torch.randn(60, 2, generator=generator, dtype=torch.float64)
        vectors = centres[group] + spread[group, None] * normal
        order = group.argsort(stable=True)
        found = split_groups(_grouped(vectors[order], torch.bincount(group).tolist()))
        values = (found.within, found.between)
        scores.append([float((one.value - true) / one.se) for one, true in zip(values, truth, strict=True)])
    z = torch.tensor(scores)
    assert (z.mean(0).abs() < 4 * z.std(0) / 300**0.5 + 0.2).all()  # skewed estimates: z has a mean of its own
    assert (z.std(0) - 1).abs().max() < 0.3


def test_groups_are_found_by_their_labels() -> None:
    slopes = _vectors(10, width=2).mT
    group = torch.tensor([2, 0, 1, 0, 1, 2, 0, 1, 2, 0])
    found = grouped_slopes(slopes, group)
    for label, part in enumerate(found.parts):
        torch.testing.assert_close(part.square, of_slopes(slopes[:, group == label]).square)
        torch.testing.assert_close(part.along, of_slopes(slopes[:, group == label]).along)
    torch.testing.assert_close(found.total.square.sum(), slopes.square().sum())


def test_label_and_row_shares_follow_from_clusters() -> None:
    """Row F5: n Var(batch mean) = Var_x(E_z g) + E Var_z(g) / m, by simulation of 4,000 batches."""
    generator = torch.Generator().manual_seed(2)

    def batch(n: int, m: int) -> Tensor:
        x = torch.randn(n, 1, 3, generator=generator, dtype=torch.float64)
        z = torch.randn(n, m, 3, generator=generator, dtype=torch.float64)
        return 0.3 + 0.5 * x + (1 + 0.5 * x) * z  # the label's noise depends on the row

    m, n = 4, 3_000
    table = batch(n, m)
    means = table.mean(1)
    within = torch.stack([torch.tensor(_naive_variance(cluster), dtype=torch.float64) for cluster in table])
    found = split_clusters(Clusters(_scatter(means), within[None], m))
    assert abs(float(found.between.value) - 3 * 0.25) < 4 * float(found.between.se)
    assert abs(float(found.label.value) - 3 * 1.25) < 4 * float(found.label.se)
    assert abs(float(found.share.value) - 5 / 6) < 4 * float(found.share.se)
    for copies in (1, 4):
        batches = torch.stack([batch(10, copies).mean((0, 1)) for _ in range(4_000)])
        measured = 10 * batches.var(0).sum()
        claimed = found.between.value + found.label.value / copies
        error = float(measured) * (2 / 3 / 4_000) ** 0.5 + float(found.between.se + found.label.se)
        assert abs(float(measured - claimed)) < 4 * error


def test_clusters_of_slopes_are_tables_of_rows_and_copies() -> None:
    slopes = _vectors(12, width=2).mT
    found = clustered_slopes(slopes, 3)
    for k in range(2):
        for i in range(4):
            cluster = slopes[k, 3 * i : 3 * i + 3]
            assert float(found.within[k, i]) == pytest.approx(float(cluster.var()))
            assert float(found.means.square[k, i]) == pytest.approx(float(cluster.mean() ** 2))


def test_too_few_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match="a scatter must have 3 vectors or more, however: n=2"):
        variance(of_slopes(torch.ones(1, 2)))
    with pytest.raises(ValueError, match=r"every group must have 3 rows or more, however: sizes=\[4, 2\]"):
        grouped_slopes(torch.ones(1, 6), torch.tensor([0, 0, 0, 0, 1, 1]))


@pytest.mark.parametrize(("rows", "copies"), [(6, 1), (7, 2), (4, 2)])
def test_rows_that_are_no_clusters_are_refused(rows: int, copies: int) -> None:
    with pytest.raises(ValueError, match=f"at least 3 whole clusters .* however: {rows=}, {copies=}"):
        clustered_slopes(torch.ones(1, rows), copies)
