"""What a model samples is compared with the table, and rows are kept so that they are nearer to it."""

import copy
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from scipy.stats import ks_2samp

from scorewise.network import TableDenoiser
from scorewise.quasirandom import NormalSequence
from scorewise.relay import returned
from scorewise.tabular.calibration import ROWS_A_STEP, Calibration, calibration_rows
from scorewise.tabular.codec import Codec
from scorewise.tabular.correction import EVALUATIONS_OF_CANDIDATES, Correction, correct
from scorewise.tabular.generation import CHUNK_ROWS, EVALUATIONS, generate, joined
from scorewise.tabular.table import to_arrow

ROWS, STEPS = 6_000, 2_000


def _frame(rows: int, correlation: float) -> pd.DataFrame:
    """Two numbers, of which one goes with the size of the other, and a category that goes with its sign."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, rows))
    y = correlation * (np.abs(x) - np.sqrt(2 / np.pi)) / np.sqrt(1 - 2 / np.pi) + np.sqrt(1 - correlation**2) * y
    kind = np.where(rng.random(rows) < 0.5, np.where(x > 0, "up", "down"), rng.choice(["up", "down", "odd"], rows))
    return pd.DataFrame(
        {
            "id": range(7, rows + 7),
            "x": x.round(2),
            "y": y.round(2),
            "kind": kind if correlation else rng.permutation(kind),
        }
    )


def _untrained(frame: pd.DataFrame) -> tuple[TableDenoiser, Codec, pa.Table]:
    """A network of independent columns."""
    table = to_arrow(frame)
    codec = Codec.fit(table)
    moments = codec.moments(codec.compact(table))
    moments = moments._replace(covariance=torch.eye(len(moments.mean), dtype=moments.covariance.dtype))
    return TableDenoiser(codec.layout, moments, 16, 1, torch.Generator().manual_seed(0)).eval(), codec, table


@pytest.fixture(scope="module", name="tied")
def _tied() -> tuple[TableDenoiser, Codec, Correction]:
    network, codec, table = _untrained(_frame(ROWS, 0.7))
    return network, codec, returned(correct(network, codec, table, STEPS, seed=0))


def test_rows_that_are_kept_are_nearer_to_the_table(tied: tuple[TableDenoiser, Codec, Correction]) -> None:
    network, codec, correction = tied
    real, n = _frame(ROWS, 0.7), 8_000
    without = Correction(correction.calibration, None, correction.unseen)
    plain, kept = (returned(one.sample(network, codec, n, 1)).to_pandas() for one in (without, correction))
    assert (len(plain), len(kept)) == (n, n)
    assert correction.rejection is not None
    slopes = [frame["x"].abs().corr(frame["y"]) for frame in (real, kept, plain)]
    assert slopes[0] > slopes[1] > slopes[2] + 0.25
    means = [frame.groupby("kind")["x"].mean() for frame in (real, kept, plain)]
    gaps = [mean["up"] - mean["down"] for mean in means]
    assert gaps[0] > gaps[1] > gaps[2] + 0.4
    for name in ("x", "y"):
        assert ks_2samp(kept[name], real[name]).statistic < 0.03
    shares = [frame["kind"].value_counts(normalize=True).sort_index() for frame in (real, kept)]
    assert (shares[0] - shares[1]).abs().max() < 0.02


def test_the_rows_of_a_larger_sample_begin_with_those_of_a_smaller_one(
    tied: tuple[TableDenoiser, Codec, Correction],
) -> None:
    network, codec, correction = tied
    long, short, other = (
        returned(correction.sample(network, codec, n, seed)) for n, seed in ((3 * CHUNK_ROWS + 7, 4), (50, 4), (50, 5))
    )
    assert long.num_rows == 3 * CHUNK_ROWS + 7
    assert long.slice(0, 50).drop(["id"]).equals(short.drop(["id"]))
    assert not other.equals(short)
    for seed in range(10):
        many, few = (returned(correction.sample(network, codec, n, seed)).drop(["id"]) for n in (150, 40))
        assert many.slice(0, 40).equals(few)
    assert len(set(long["id"].to_pylist())) == long.num_rows
    steps = list(correction.sample(network, codec, 2 * CHUNK_ROWS, 4))
    assert steps == sorted(steps)
    assert steps[-1] == 2 * CHUNK_ROWS


def test_rows_are_chosen_as_they_are_sold(tied: tuple[TableDenoiser, Codec, Correction]) -> None:
    network, codec, correction = tied
    calibration = correction.calibration
    moved = Calibration(
        calibration.quantiles - 1.0, calibration.ratios, calibration.spacings
    )  # takes scores for higher
    steps = [
        list(one.sample(network, codec, 3_000, 1))
        for one in (correction, Correction(moved, correction.rejection, correction.unseen))
    ]
    assert steps[0] != steps[1]


@pytest.fixture(name="threads", params=[1, 3])
def _threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_threads_do_not_change_the_rows(tied: tuple[TableDenoiser, Codec, Correction], threads: int) -> None:
    network, codec, correction = tied
    made = returned(correction.sample(network, codec, 4 * CHUNK_ROWS, 2))
    assert torch.get_num_threads() == threads
    torch.set_num_threads(2)
    assert made.equals(returned(correction.sample(network, codec, 4 * CHUNK_ROWS, 2)))


def test_a_model_that_is_right_keeps_every_row_and_is_calibrated_on_such_rows() -> None:
    network, codec, table = _untrained(_frame(4_000, 0.0))
    steps = correct(network, codec, table, STEPS, seed=0)
    seen: list[int] = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            correction: Correction = end.value
            break
    assert correction.rejection is None
    assert seen == sorted(seen)
    assert seen[-1] == 4 * calibration_rows(4_000, STEPS)  # two samples, and a calibration of either kind of rows
    noise = NormalSequence(codec.layout.width, 3)
    made = joined([chunk for _, chunk in generate(network, codec, 500, noise.draw)])
    assert returned(correction.sample(network, codec, 500, 3)).equals(correction.calibration.restore(codec, made, 3))


def test_few_rows_are_calibrated_alone(levels_of: Callable[[TableDenoiser], list[float]]) -> None:
    network, codec, table = _untrained(_frame(900, 0.9))
    twin = copy.deepcopy(network)
    assert list(correct(network, codec, table, STEPS, seed=0))[-1] == calibration_rows(900, STEPS)
    levels = levels_of(twin)
    assert returned(correct(twin, codec, table, STEPS, seed=0)).rejection is None
    assert len(levels) == EVALUATIONS * calibration_rows(900, STEPS) / CHUNK_ROWS


def test_a_brief_training_is_not_followed_by_a_longer_correction() -> None:
    network, codec, table = _untrained(_frame(2_010, 0.98))
    brief = 2_010 // ROWS_A_STEP
    few, many = (returned(correct(copy.deepcopy(network), codec, table, n, seed=0)).rejection for n in (brief, STEPS))
    assert few is not None
    assert many is not None
    assert len(few.trees.leaves) <= brief < len(many.trees.leaves)  # no more rounds than steps
    steps = correct(network, codec, table, brief - 1, seed=0)
    assert list(steps)[-1] == calibration_rows(2_010, brief)  # one comparison
    assert returned(correct(network, codec, table, brief - 1, seed=0)).rejection is None


def test_candidates_take_fewer_evaluations(
    tied: tuple[TableDenoiser, Codec, Correction], levels_of: Callable[[TableDenoiser], list[float]]
) -> None:
    network, codec, correction = tied
    twin = copy.deepcopy(network)
    levels = levels_of(twin)
    returned(correction.sample(twin, codec, 5, 0))
    assert len(levels) == EVALUATIONS_OF_CANDIDATES
    assert levels == sorted(levels, reverse=True)


def test_seeds_of_a_fit_draw_other_rows() -> None:
    network, codec, table = _untrained(_frame(2_000, 0.8))
    caps = []
    for seed in (0, 1):
        rejection = returned(correct(network, codec, table, STEPS, seed)).rejection
        assert rejection is not None
        caps.append(rejection.log_cap)
    assert caps[0] != caps[1]
