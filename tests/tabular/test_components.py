"""Principal components of encoded rows."""

import numpy as np
import pytest
import torch

from scorewise.principal import LEVELS
from scorewise.tabular.components import MOST_COMPONENTS, MOST_EXACT, fit_principal


def _one_hot(rows: int, levels: int = 200) -> torch.Tensor:
    """Two categories of as many levels each, of which one is the other in half of the rows."""
    rng = np.random.default_rng(0)
    codes = np.minimum(rng.geometric(0.02, size=(rows, 2)), levels) - 1
    codes[: rows // 2, 1] = codes[: rows // 2, 0]
    return torch.from_numpy(np.concatenate([np.eye(levels, dtype=np.float32)[codes[:, i]] for i in (0, 1)], 1))


@pytest.mark.parametrize(
    ("rows", "levels", "kept"), [(4_000, 200, MOST_COMPONENTS), (500, 200, 50), (1_000, MOST_EXACT, 100)]
)
def test_wide_rows_have_their_largest_components_and_an_even_rest(rows: int, levels: int, kept: int) -> None:
    x = _one_hot(rows, levels)
    state = torch.get_rng_state()
    found = fit_principal(x)
    assert torch.equal(torch.get_rng_state(), state)
    exact = np.linalg.eigh(np.cov(x.T.double().numpy()))
    variance, basis = exact.eigenvalues[::-1], exact.eigenvectors[:, ::-1]
    assert found.basis.shape == (2 * levels, kept)
    np.testing.assert_allclose(found.variance.flip(0)[:10], variance[:10], rtol=1e-3)
    np.testing.assert_allclose(np.abs(found.basis[:, -1].numpy() @ basis[:, 0]), 1, atol=1e-3)
    assert float(found.rest) == pytest.approx(variance[kept:].mean(), rel=1e-3 if levels < MOST_EXACT else 0.1)
    np.testing.assert_allclose(found.basis.T @ found.basis, np.eye(kept), atol=1e-4)


@pytest.mark.parametrize("rows", [1, 9])
def test_a_few_rows_have_a_mean_and_a_variance_alone(rows: int) -> None:
    x = _one_hot(rows)
    found = fit_principal(x)
    assert found.basis.shape == (400, 0)
    torch.testing.assert_close(found.mean, x.mean(0))
    assert float(found.rest) == pytest.approx(np.var(x.numpy(), axis=0, ddof=min(rows - 1, 1)).mean(), rel=1e-4)


def test_columns_that_change_together_raise_the_level() -> None:
    rng = np.random.default_rng(0)
    apart = torch.from_numpy((rng.random((5_000, 1)) < 0.1).astype(np.float32))
    assert float(fit_principal(apart.repeat(1, 4)).level) == LEVELS[0]
    assert float(fit_principal(apart.repeat(1, 100)).level) > LEVELS[0]


def test_no_column_has_no_component() -> None:
    assert fit_principal(torch.zeros(50, 0)).basis.shape == (0, 0)
