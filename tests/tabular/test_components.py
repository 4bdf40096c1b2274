"""Principal components of encoded rows."""

import numpy as np
import pytest

from scorewise.principal import LEVELS
from scorewise.tabular.components import MOST_COMPONENTS, fit_principal


def _one_hot(rows: int) -> np.ndarray:
    """Two categories of 200 levels each, of which one is the other in half of the rows."""
    rng = np.random.default_rng(0)
    codes = np.minimum(rng.geometric(0.02, size=(rows, 2)), 200) - 1
    codes[: rows // 2, 1] = codes[: rows // 2, 0]
    return np.concatenate([np.eye(200, dtype=np.float32)[codes[:, i]] for i in (0, 1)], 1)


@pytest.mark.parametrize(("rows", "kept"), [(4_000, MOST_COMPONENTS), (500, 50)])
def test_wide_rows_have_their_largest_components_and_an_even_rest(rows: int, kept: int) -> None:
    x = _one_hot(rows)
    found = fit_principal(x)
    variance = np.linalg.eigvalsh(np.cov(x.T))[::-1]
    assert found.basis.shape == (400, kept)
    np.testing.assert_allclose(found.variance[:10], variance[:10], rtol=0.02)
    assert float(found.rest) == pytest.approx(variance[kept : min(rows, 400)].mean(), rel=0.3)
    np.testing.assert_allclose(found.basis.T @ found.basis, np.eye(kept), atol=1e-4)


@pytest.mark.parametrize("rows", [1, 9])
def test_a_few_rows_have_a_mean_and_a_variance_alone(rows: int) -> None:
    x = _one_hot(rows)
    found = fit_principal(x)
    assert found.basis.shape == (400, 0)
    np.testing.assert_allclose(found.mean, x.mean(0))
    assert float(found.rest) == pytest.approx(x.var(0).mean())


def test_columns_that_change_together_raise_the_level() -> None:
    rng = np.random.default_rng(0)
    apart = (rng.random((5_000, 1)) < 0.1).astype(np.float32)
    assert float(fit_principal(np.repeat(apart, 4, 1)).level) == LEVELS[0]
    assert float(fit_principal(np.repeat(apart, 100, 1)).level) > LEVELS[0]


def test_no_column_has_no_component() -> None:
    assert fit_principal(np.zeros((50, 0), dtype=np.float32)).basis.shape == (0, 0)
