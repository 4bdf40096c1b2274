"""Trainings of doubled length: which one is kept, that each is a training from the start, and that they go on."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
import torch

from scorewise.allocation import LevelDensity
from scorewise.network import TableDenoiser
from scorewise.principal import LEVELS
from scorewise.tabular.codec import Codec
from scorewise.tabular.lengths import FEW_ROWS, HALVINGS, Lengths, halvings
from scorewise.tabular.table import to_arrow
from scorewise.tabular.training import LOWEST, Training
from scorewise.train import State

LONGEST = 160


def _training(related: bool, minutes: float | None = None, hold: bool = True) -> Training:
    """Columns that follow from the first, but for a little noise; or unrelated columns."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(1_000, 4)), columns=list("abcd"))
    if related:
        table = table.assign(b=table["a"] + 0.1 * table["b"], c=table["a"] ** 2 - 0.1 * table["c"])
    arrow = to_arrow(table.assign(k=rng.choice(list("xyz"), len(table))))
    codec = Codec.fit(arrow)
    rows = codec.compact(arrow)
    network = TableDenoiser(codec.layout, codec.moments(rows), 32, 1, torch.Generator().manual_seed(0))
    state = State(network, LevelDensity(LOWEST, LEVELS[0]), network.hidden_matrices())
    return Training(state, codec, rows, LONGEST, 5, 0, minutes, hold)


def _run(lengths: Lengths) -> Lengths:
    steps = [step.step for step in lengths.run()]
    assert steps == list(range(1, lengths.step + 1))
    return lengths


@pytest.fixture(scope="module", name="short")
def _short() -> Lengths:
    return _run(Lengths(_training(related=False), 2))


@pytest.fixture(scope="module", name="long")
def _long() -> Lengths:
    return _run(Lengths(_training(related=True), 2))


def _gain(shorter: Training, longer: Training) -> tuple[float, float]:
    """Mean over the held-out rows of what the longer training gains, and its standard error."""
    losses = []
    for training in (shorter, longer):
        assert training.holdout is not None
        losses.append(training.holdout.measured[training.trace["check"].index(training.ended)].numpy())
    gain = losses[0] - losses[1]
    return float(gain.mean()), float(gain.std(ddof=1) / np.sqrt(len(gain)))


def test_where_there_is_nothing_to_learn_the_shortest_training_is_kept(short: Lengths) -> None:
    assert short.before is not None
    gain, error = _gain(short.before, short.current)
    assert gain <= error
    assert short.chosen is short.before
    assert short.chosen.steps == LONGEST // 4
    assert short.step == LONGEST // 4 + LONGEST // 2  # the longest was not tried
    assert short.reason() == (
        f"{short.before.reason()} A training of {LONGEST // 2} steps was no better on the rows held out."
    )
    assert f"its full length, {LONGEST // 4} steps" in short.reason()


def test_as_long_as_rows_held_out_gain_trainings_get_longer(long: Lengths) -> None:
    assert long.before is not None
    gain, error = _gain(long.before, long.current)
    assert gain > error
    assert long.chosen is long.current
    assert long.chosen.steps == LONGEST
    assert long.step == LONGEST // 4 + LONGEST // 2 + LONGEST
    assert long.reason() == long.current.reason()
    assert "the longest training of a table of this size" in long.reason()


def test_each_training_begins_at_the_start(long: Lengths) -> None:
    alone = _training(related=True)
    for _ in alone.run():
        pass
    assert long.chosen.trace["new rows"] == alone.trace["new rows"]
    for one, other in zip(long.chosen.state.parameters, alone.state.parameters, strict=True):
        assert torch.equal(one, other)


def test_one_length_is_the_training_as_it_was_given() -> None:
    training = _training(related=False)
    lengths = Lengths(training, 0)
    assert lengths.current is training is lengths.chosen
    for _ in itertools.islice(lengths.run(), 30):
        pass
    assert training.state.step == lengths.step == 30


def test_without_rows_held_out_the_shortest_training_is_the_only_one() -> None:
    lengths = _run(Lengths(_training(related=True, hold=False), 2))
    assert lengths.before is None
    assert lengths.step == lengths.chosen.steps == LONGEST // 4
    assert f"its full length, {LONGEST // 4} steps. No rows were held out" in lengths.reason()


def test_one_more_training_is_begun_where_the_loss_is_least_at_the_end_and_kept_where_it_helps() -> None:
    lengths = _run(Lengths(_training(related=True), 0, 2 * LONGEST))
    assert lengths.before is not None
    assert lengths.before.falls
    assert (lengths.before.steps, lengths.current.steps) == (LONGEST, 2 * LONGEST)
    gain, error = _gain(lengths.before, lengths.current)
    assert lengths.chosen is (lengths.current if gain > error else lengths.before)
    resumed = Lengths(_training(related=True), 0, 2 * LONGEST)
    resumed.restore(lengths.tensors(), lengths.facts())
    assert resumed.reason() == lengths.reason()
    assert resumed.current.steps == 2 * LONGEST


def test_no_more_training_is_begun_where_the_loss_has_risen_or_no_rows_are_held_out() -> None:
    for related, hold in ((False, True), (True, False)):
        lengths = _run(Lengths(_training(related, hold=hold), 0, 2 * LONGEST))
        assert lengths.before is None
        assert not lengths.current.falls
        assert lengths.chosen.steps == LONGEST


def test_when_the_time_is_over_no_longer_training_is_begun() -> None:
    lengths = _run(Lengths(_training(related=True, minutes=1e-4), 2))
    assert lengths.before is None
    assert lengths.current.steps == LONGEST // 4
    assert lengths.minutes_left == 0
    assert "the time limit of 0.0001 minutes" in lengths.reason()


def test_trainings_share_the_time() -> None:
    lengths = Lengths(_training(related=True, minutes=10.0), 2)
    seconds = 0.0
    running = lengths.run()
    for steps in (LONGEST // 4, LONGEST // 2 - 1):  # the first step of each is that which ends the one before
        for _ in itertools.islice(running, steps):
            pass
        lengths.current.seconds = 60.0
        next(running)
        seconds += 60.0
        assert lengths.before is not None
        assert lengths.current.minutes == pytest.approx(10.0 - seconds / 60)
    resumed = Lengths(_training(related=True, minutes=10.0), 2)
    resumed.restore(lengths.tensors(), lengths.facts())
    assert resumed.current.minutes == lengths.current.minutes
    assert resumed.minutes_left == pytest.approx(lengths.minutes_left)


def test_the_limit_that_is_told_is_that_of_all_trainings() -> None:
    lengths = Lengths(_training(related=True, minutes=10.0), 2)
    for _ in itertools.islice(lengths.run(), LONGEST // 4 + 30):
        pass
    lengths.current.seconds = 600.0
    assert "It ended at the time limit of 10 minutes, 30 steps." in lengths.current.reason()


@pytest.mark.parametrize("taken", [20, LONGEST // 4 + 30, LONGEST // 4 + LONGEST // 2])
def test_trainings_go_on_where_they_were(short: Lengths, taken: int) -> None:
    stopped = Lengths(_training(related=False), 2)
    for _ in itertools.islice(stopped.run(), taken):
        pass
    resumed = Lengths(_training(related=False), 2)
    named = {name: tensor.clone() for name, tensor in stopped.tensors().items()}
    resumed.restore(named, json.loads(json.dumps(stopped.facts())))
    assert resumed.step == taken
    for _ in resumed.run():
        pass
    assert resumed.step == short.step
    assert resumed.reason() == short.reason()
    assert resumed.chosen.trace["new rows"] == short.chosen.trace["new rows"]
    for one, other in zip(resumed.chosen.state.parameters, short.chosen.state.parameters, strict=True):
        assert torch.equal(one, other)


def _at_the_second() -> tuple[Lengths, Training]:
    """Two lengths of which neither has begun, and the shorter one of them."""
    lengths = Lengths(_training(related=False), 2)
    lengths.before, lengths.current = lengths.current, lengths.longest.anew(2 * lengths.current.steps, None)
    return lengths, lengths.before


def _measured(training: Training, *losses: np.ndarray) -> Training:
    """The training with losses of the held-out rows as if they had been measured at steps 20, 40 and so on."""
    assert training.holdout is not None
    training.holdout.steps = [20 * (k + 1) for k in range(len(losses))]
    training.holdout.measured = [torch.from_numpy(one) for one in losses]
    return training


def test_a_gain_within_the_standard_error_is_none() -> None:
    lengths, shorter = _at_the_second()
    rng = np.random.default_rng(0)
    loss, noise = rng.random(50), rng.normal(size=50)
    noise = (noise - noise.mean()) / noise.std(ddof=1) * 50**0.5  # the mean has a standard error of 1
    for gain, longer_is_kept in ((-1.5, False), (0.9, False), (1.1, True)):
        _measured(shorter, loss)
        _measured(lengths.current, loss - gain - noise)
        assert (lengths.chosen is lengths.current) is longer_is_kept


def test_a_training_is_judged_by_the_model_that_it_ends_with() -> None:
    lengths, shorter = _at_the_second()
    loss = np.random.default_rng(0).random(50)
    _measured(shorter, loss)
    _measured(lengths.current, loss - 0.1, loss + 1)  # the rate has carried it away, and it went back
    assert lengths.chosen is lengths.current


def test_what_was_not_measured_is_no_better() -> None:
    lengths, shorter = _at_the_second()
    _measured(shorter, np.ones(50))
    assert lengths.chosen is shorter
    _measured(shorter)
    _measured(lengths.current, np.ones(50))
    assert lengths.chosen is lengths.current


def test_short_tables_alone_are_tried_at_shorter_lengths() -> None:
    assert halvings(FEW_ROWS - 1) == HALVINGS
    assert halvings(FEW_ROWS) == 0
