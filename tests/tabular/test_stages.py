"""The two stages of a fit: when there is a second one, that it helps, and that it goes on where it was."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from scorewise.allocation import LevelDensity
from scorewise.experts import Experts
from scorewise.network import TableDenoiser
from scorewise.principal import LEVELS
from scorewise.tabular.codec import Codec
from scorewise.tabular.lengths import Lengths
from scorewise.tabular.stages import BORDER, LENGTH, Stages
from scorewise.tabular.table import to_arrow
from scorewise.tabular.training import LOWEST, Training
from scorewise.train import State

STEPS = 100


def _training(rows: int = 400, minutes: float | None = None, hold: bool = True) -> Training:
    """Two columns that differ by about one hundredth or three: by which of them shows at small noise alone."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=rows)
    apart = np.where(rng.random(rows) < 0.5, 0.01, 0.03) + rng.normal(0, 1e-4, rows)  # recurring ones would be gaps
    table = to_arrow(pd.DataFrame({"a": a, "b": a + apart, "k": rng.choice(list("xy"), rows)}))
    codec = Codec.fit(table)
    encoded = codec.compact(table)
    network = TableDenoiser(codec.layout, codec.moments(encoded), 32, 1, torch.Generator().manual_seed(0))
    state = State(network, LevelDensity(LOWEST, LEVELS[0]), network.hidden_matrices())
    return Training(state, codec, encoded, STEPS, 3, 0, minutes, hold)


def _once(minutes: float | None = None, hold: bool = True) -> Lengths:
    return Lengths(_training(minutes=minutes, hold=hold), 0)


@pytest.fixture(scope="module", name="whole")
def _whole() -> Stages:
    stages = Stages(_once())
    steps = [step.step for step in stages.run()]
    assert steps == list(range(1, stages.step + 1))
    return stages


def test_small_noise_is_learned_further_by_a_copy(whole: Stages) -> None:
    assert whole.fine is not None
    risk = whole.trace["fine new rows"]
    assert whole.trace["fine check"][0] == 0
    assert risk[whole.trace["fine check"].index(whole.fine.ended)] < 0.99 * risk[0]
    network = whole.network
    assert isinstance(network, Experts)
    assert network.border == BORDER
    assert f"trained on it for {whole.fine.ended:,} steps more" in whole.reason()


def test_the_first_stage_is_as_without_a_second(whole: Stages) -> None:
    alone = _training()
    for _ in alone.run():
        pass
    for one, other in zip(alone.state.parameters, whole.coarse.state.parameters, strict=True):
        assert torch.equal(one, other)
    assert whole.trace["new rows"] == alone.trace["new rows"]


def test_both_stages_hold_out_the_same_rows(whole: Stages) -> None:
    assert whole.fine is not None
    assert whole.coarse.holdout is not None
    assert whole.fine.holdout is not None
    first, second = (torch.cat([x for x, *_ in stage.holdout.pieces]) for stage in (whole.coarse, whole.fine))
    assert torch.equal(first, second)
    assert max(float(levels.max()) for *_, levels in whole.fine.holdout.pieces) <= BORDER
    assert whole.fine.rows is whole.coarse.rows


def test_the_second_stage_has_batches_and_noise_of_its_own(whole: Stages) -> None:
    own, same = (whole.coarse.refined(BORDER, 10, 1.0, None) for _ in range(2))
    same.batches = whole.coarse.batches
    for stage in (own, same):
        assert len(list(itertools.islice(stage.run(), 3))) == 3
    pairs = zip(own.state.parameters, same.state.parameters, strict=True)
    assert not all(torch.equal(one, other) for one, other in pairs)


def test_without_rows_held_out_there_is_one_stage() -> None:
    stages = Stages(_once(hold=False))
    assert len(list(stages.run())) == STEPS == stages.expected
    assert stages.fine is None
    assert isinstance(stages.network, TableDenoiser)
    with pytest.raises(ValueError, match="there are none"):
        stages.coarse.refined(BORDER, 10, 1.0, None)


def test_a_time_limit_that_ends_the_first_stage_leaves_out_the_second() -> None:
    stages = Stages(_once(minutes=1e-4))
    for _ in stages.run():
        pass
    assert stages.fine is None
    assert "time limit" in stages.reason()


def test_a_copy_that_gets_worse_is_dropped() -> None:
    stages = Stages(_once())
    for _ in stages.lengths.run():
        pass
    stages.fine = stages.coarse.refined(BORDER, 40, 3_000.0, None)
    for _ in stages.run():
        pass
    assert stages.fine.trace["new rows"][-1] > stages.fine.trace["new rows"][0]
    assert stages.network is stages.coarse.state.network
    assert stages.reason().endswith("A copy trained on small noise alone was no better there.")


def test_the_copy_is_of_the_training_that_was_chosen() -> None:
    lengths = Lengths(_training(), 1)
    for _ in lengths.run():
        pass
    assert lengths.before is not None
    assert lengths.current.holdout is not None
    lengths.current.holdout.measured = [loss + 1_000 for loss in lengths.current.holdout.measured]
    assert lengths.chosen is lengths.before
    stages = Stages(lengths)
    assert stages.expected == STEPS // 2 + STEPS + round(LENGTH * STEPS // 2)
    for _ in stages.run():
        pass
    assert stages.fine is not None
    assert stages.coarse is lengths.before
    assert stages.fine.trace["new rows"][0] == lengths.before.refined(BORDER, 1, 1.0, None).trace["new rows"][0]
    assert stages.step == STEPS // 2 + STEPS + stages.fine.state.step


@pytest.mark.parametrize("taken", [30, STEPS + 25])
def test_a_fit_goes_on_where_it_was(whole: Stages, taken: int) -> None:
    stopped = Stages(_once())
    for _ in itertools.islice(stopped.run(), taken):
        pass
    resumed = Stages(_once())
    resumed.restore({name: tensor.clone() for name, tensor in stopped.tensors().items()}, stopped.facts())
    assert resumed.step == taken
    for _ in resumed.run():
        pass
    for one, other in zip(whole.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(one, other)
    assert resumed.trace["fine new rows"] == whole.trace["fine new rows"]
    assert resumed.reason() == whole.reason()
