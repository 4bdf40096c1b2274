import numpy as np

from scorewise.tabular.calibration import LEVELS, Calibration, calibration_rows


def _sample(seed: int, rows: int = 40_000) -> np.ndarray:
    z = np.random.default_rng(seed).normal(size=(rows, 2))
    return np.stack([0.2 + 1.1 * z[:, 0], z[:, 0] + 0.1 * z[:, 1] ** 2], 1)


def test_scores_of_the_same_model_become_standard_normal() -> None:
    everything = np.ones((40_000, 2), dtype=bool)
    mapped = Calibration.fit(_sample(0), everything).apply(_sample(1))
    assert np.abs(mapped.mean(0)).max() < 4 * np.sqrt(2 / 40_000)
    assert np.abs(mapped.std(0) - 1).max() < 0.02


def test_the_map_is_monotone_so_ranks_and_ties_stay() -> None:
    scores = np.sort(np.concatenate([_sample(0), [[-9.0, -9.0], [9.0, 9.0]]]), 0)
    mapped = Calibration.fit(_sample(1), np.ones((40_000, 2), dtype=bool)).apply(scores)
    assert (np.diff(mapped, axis=0) >= 0).all()


def test_missing_cells_do_not_count() -> None:
    scores = _sample(0)
    present = np.random.default_rng(2).random(scores.shape) < 0.5
    spoilt = np.where(present, scores, 0.0)
    found = Calibration.fit(spoilt, present).quantiles
    np.testing.assert_allclose(found, Calibration.fit(scores, np.ones_like(present)).quantiles, atol=0.1)


def test_identity_and_columns_with_too_few_cells_are_left_alone() -> None:
    scores = _sample(0, 50)
    np.testing.assert_allclose(Calibration.identity(2).apply(scores), scores)
    few = Calibration.fit(scores, np.ones((50, 2), dtype=bool))
    np.testing.assert_array_equal(few.quantiles, np.tile(LEVELS, (2, 1)))


def test_a_longer_training_is_calibrated_on_more_rows_and_never_on_more_than_the_table_has() -> None:
    assert calibration_rows(500, 10_000) == 500
    assert calibration_rows(27_000, 10) == 4_096
    assert calibration_rows(27_000, 400) == 12_000
    assert calibration_rows(27_000, 3_427) == 27_000
    assert calibration_rows(1_000_000, 8_456) == 30_000
