import numpy as np
import pandas as pd
import pytest
import torch

from scorewise.network import TableDenoiser
from scorewise.quasirandom import NormalSequence
from scorewise.relay import returned
from scorewise.tabular.calibration import (
    LEVELS,
    SEQUENCES,
    Calibration,
    brief,
    calibrate,
    calibration_rows,
    level_shift,
)
from scorewise.tabular.codec import Chosen, Codec
from scorewise.tabular.generation import generate, joined
from scorewise.tabular.ratio import GRID, Ratio
from scorewise.tabular.relation import Combination
from scorewise.tabular.spacing import Spacing
from scorewise.tabular.table import to_arrow


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


def test_a_longer_training_is_calibrated_on_more_rows_and_on_more_than_the_table_has_if_it_is_short() -> None:
    assert calibration_rows(500, 10_000) == 4_096
    assert calibration_rows(500, 10) == 4_096
    assert calibration_rows(5_000, 10_000) == 5_000
    assert calibration_rows(27_000, 10) == 4_096
    assert calibration_rows(27_000, 400) == 12_000
    assert calibration_rows(27_000, 3_427) == 27_000
    assert calibration_rows(1_000_000, 8_456) == 30_000


def test_a_training_is_brief_beside_the_rows_that_are_sampled() -> None:
    assert [brief(3_000, steps) for steps in (99, 100)] == [True, False]
    assert [brief(1_000_000, steps) for steps in (136, 137)] == [True, False]


def test_levels_are_shifted_to_their_shares_as_far_as_chance_does_not_explain_it() -> None:
    expected = np.array([0.5, 0.3, 0.15, 0.05])
    found = np.array([0.55, 0.3, 0.1, 0.05])
    shift = level_shift(expected, np.rint(found * 30_000))
    tilted = found * np.exp(shift)
    np.testing.assert_allclose(tilted / tilted.sum(), expected, atol=0.004)
    assert (level_shift(expected, np.rint(found * 60)) == 0).all()
    assert (level_shift(expected, np.rint(expected * 30_000)) == 0).all()
    assert (level_shift(np.ones(1), np.array([500])) == 0).all()


def test_shifts_of_right_shares_are_mostly_none_and_of_absent_levels_bounded() -> None:
    rng = np.random.default_rng(0)
    expected = rng.dirichlet(np.ones(50))
    moved = [np.any(level_shift(expected, rng.multinomial(9_000, expected))) for _ in range(200)]
    assert np.mean(moved) < 0.1
    absent = level_shift(np.array([0.5, 0.4, 0.1]), np.array([500, 500, 0]))
    assert absent[2] == 1.0


def _tilted() -> tuple[Codec, TableDenoiser, pd.DataFrame]:
    """A table and an untrained network for it, which has the right shares of levels, but for a tilt."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"level": rng.choice(list("abc"), 4_000, p=[0.5, 0.3, 0.2]), "size": rng.normal(size=4_000)})
    codec = Codec.fit(frame)
    moments = codec.moments(codec.compact(to_arrow(frame)))
    network = TableDenoiser(codec.layout, moments, 16, 1, torch.Generator().manual_seed(0)).eval()
    network.shift_logits(torch.tensor([-0.4, 0.0, 0.5]))
    return codec, network, frame


def test_a_model_is_calibrated_by_what_it_samples() -> None:
    codec, network, frame = _tilted()
    expected = frame["level"].value_counts(normalize=True).sort_index()

    def shares(seed: int) -> pd.Series:
        made = joined(
            [chunk for _, chunk in generate(network, codec, 4_096, NormalSequence(codec.layout.width, seed).draw)]
        )
        return codec.restore(made).to_pandas()["level"].value_counts(normalize=True).sort_index()

    assert (shares(0) - expected).abs().max() > 0.08
    made = list(calibrate(network, codec, {"size": frame["size"].to_numpy()}, 12_288, seed=0))
    assert (made[0], made[-1], made) == (1_024, 12_288, sorted(made))
    assert (shares(0) - expected).abs().max() < 0.02


def test_ratios_of_correlated_columns_are_calibrated_and_restored() -> None:
    rng = np.random.default_rng(0)
    bill = rng.lognormal(8, 1, 4_000)
    near = rng.random(4_000) < 0.3
    paid = bill * np.exp(np.where(near, rng.normal(0.005, 0.0005, 4_000), rng.normal(-0.5, 0.5, 4_000)))
    codec = Codec.fit(pd.DataFrame({"bill": bill, "paid": paid}))
    moments = codec.moments(codec.compact(to_arrow(pd.DataFrame({"bill": bill, "paid": paid}))))
    network = TableDenoiser(
        codec.layout, moments, 16, 1, torch.Generator().manual_seed(0)
    ).eval()  # independent columns
    calibration, seen = returned(calibrate(network, codec, {"bill": bill, "paid": paid}, 4_096, seed=3))
    noise = NormalSequence(codec.layout.width, -1 - 3 * SEQUENCES)
    again = joined([chunk for _, chunk in generate(network, codec, 4_096, noise.draw)])
    np.testing.assert_array_equal(seen.scores, again.scores)  # as the model made them
    assert [(ratio.child, ratio.parent) for ratio in calibration.ratios] == [("paid", Combination.column("bill"))]
    made = joined([chunk for _, chunk in generate(network, codec, 4_096, NormalSequence(codec.layout.width, 0).draw)])
    tables = (codec.restore(made), calibration.restore(codec, made))
    plain, mended = (table.to_pandas().eval("log(paid / bill)") for table in tables)
    assert (plain[plain.abs() < 0.1] - 0.005).abs().median() > 0.03
    assert (mended[mended.abs() < 0.1] - 0.005).abs().median() < 0.015


def test_stripes_of_two_columns_are_calibrated_and_restored() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(200, 60, 4_000).round(1)
    b = (a + 20 * ((rng.normal(0, 80, 4_000) - a) / 20).round() + rng.normal(0, 1, 4_000)).round(1)
    table = to_arrow(pd.DataFrame({"a": a, "b": b}))
    codec = Codec.fit(table)
    network = TableDenoiser(codec.layout, codec.moments(codec.compact(table)), 16, 1, torch.Generator().manual_seed(0))
    calibration = returned(calibrate(network.eval(), codec, codec.compared(table), 4_096, seed=3))[0]
    assert [(one.child, one.parent) for one in calibration.spacings] == [("b", Combination.column("a"))]
    made = joined([chunk for _, chunk in generate(network, codec, 4_096, NormalSequence(codec.layout.width, 0).draw)])
    plain, mended = (
        one.restore(codec, made).to_pandas().eval("b - a") for one in (Calibration(calibration.quantiles), calibration)
    )
    assert (plain - 20 * (plain / 20).round()).abs().median() > 4
    assert (mended - 20 * (mended / 20).round()).abs().median() < 1.5


def test_a_calibration_survives_being_written_and_read_if_it_fits_the_codec() -> None:
    codec = Codec.fit(pd.DataFrame(np.random.default_rng(1).lognormal(size=(60, 2)), columns=["a", "b"]))
    ratio = Ratio("b", Combination.column("a"), np.array([1.0, 2.0]), np.tile(GRID / 2, (3, 1)))
    spacing = Spacing("b", Combination(("a",), (-1,)), np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.5, 2.0]))
    said = Calibration(np.tile(LEVELS, (2, 1)) + 0.1, [ratio], [spacing])
    twin = Calibration.from_parts(said.to_json(), said.arrays(), codec)
    rows = Chosen(np.random.default_rng(0).normal(size=(50, 2)), np.zeros((50, len(codec.names)), dtype=np.int32))
    assert twin.restore(codec, rows).equals(said.restore(codec, rows))
    assert not twin.restore(codec, rows).equals(Calibration(said.quantiles, [ratio]).restore(codec, rows))
    with pytest.raises(ValueError, match=r"the ratio of 'a' to \{'b': 1\} has shapes"):
        Calibration.from_parts({"ratios": [["a", {"b": 1}]], "spacings": []}, said.arrays(), codec)
    with pytest.raises(ValueError, match=r"the spacing of 'a' and \{'b': 1\} has shapes"):
        Calibration.from_parts({"ratios": [], "spacings": [["a", {"b": 1}]]}, said.arrays(), codec)
    with pytest.raises(ValueError, match=r"the calibration has shape \(1, 21\)"):
        Calibration.from_parts({"ratios": [], "spacings": []}, {"quantiles": torch.zeros(1, 21)}, codec)
