"""Training on a table: which rows are held out, when it is over, and that it goes on where it was."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch

from scorewise.allocation import LevelDensity
from scorewise.network import TableDenoiser
from scorewise.principal import LEVELS
from scorewise.tabular.codec import Codec
from scorewise.tabular.table import to_arrow
from scorewise.tabular.training import FIRST_CHECK, LOWEST, TOLERANCE, Training, held_rows, training_steps, wide_steps
from scorewise.train import State

WIDTH = 32


def _noise(rows: int) -> pd.DataFrame:
    """Columns that have nothing to do with each other: what a network learns beside the margins is by heart."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.normal(size=(rows, 4)), columns=list("abcd")).assign(k=rng.choice(list("xyz"), rows))


def _related(rows: int) -> pd.DataFrame:
    """The same with columns that follow from the first one but for a little noise: there is much to learn."""
    table = _noise(rows)
    return table.assign(
        b=table["a"] + 0.1 * table["b"], c=table["a"] - 0.1 * table["c"], k=np.where(table["a"] > 0, *"xy")
    )


def _training(
    rows: int,
    steps: int,
    minutes: float | None = None,
    hold: bool = True,
    make: Callable[[int], pd.DataFrame] = _noise,
) -> Training:
    table = to_arrow(make(rows))
    codec = Codec.fit(table)
    encoded = codec.compact(table)
    network = TableDenoiser(codec.layout, codec.moments(encoded), WIDTH, 1, torch.Generator().manual_seed(0))
    state = State(network, LevelDensity(LOWEST, LEVELS[0]), network.hidden_matrices())
    return Training(state, codec, encoded, steps, 5, 0, minutes, hold)


@pytest.fixture(scope="module", name="overfitted")
def _overfitted() -> Training:
    training = _training(200, 600)
    for _ in training.run():
        pass
    return training


def _risen(training: Training) -> int:
    """Place of the check at which the loss was seen to have risen: it and the one before are worse than the least."""
    risk, se = (np.array(training.trace[key]) for key in ("new rows", "new rows se"))
    margin = np.maximum(2 * se, TOLERANCE * risk.min())
    return next(k for k in range(2, len(risk)) if (risk > risk[: k + 1].min() + margin)[k - 1 : k + 1].all())


def test_training_ends_when_the_loss_on_new_rows_has_risen(overfitted: Training) -> None:
    risk, checks = overfitted.trace["new rows"], overfitted.trace["check"]
    at = _risen(overfitted)
    began = int(checks[at])
    assert checks[-1] == overfitted.state.step == began + math.ceil(max(20, began / 4)) < 600
    assert risk[at + 1] < 0.5 * (risk[at] + min(risk))  # it went back to parameters from before the rise
    assert risk[checks.index(overfitted.ended)] <= min(risk) + 2 * max(overfitted.trace["new rows se"])
    said = overfitted.reason()
    assert f"The loss of 20 rows held out was seen after {began} steps to have risen beyond doubt." in said
    assert f"the rate fell to 0 in {overfitted.state.step - began} more" in said
    assert f"is that of step {overfitted.ended:,}" in said


def test_at_the_end_the_rate_has_fallen_to_nothing(overfitted: Training) -> None:
    for optimizer, peak in zip(overfitted.state.optimizers, overfitted.state.peaks, strict=True):
        assert optimizer.lr < 0.05 * peak


def test_a_rise_of_no_consequence_ends_nothing() -> None:
    training = _training(200, 24)
    for _ in training.run():
        pass
    risk, se = (np.array(training.trace[key]) for key in ("new rows", "new rows se"))
    assert (risk > risk.min() + 2 * se)[-2:].all()  # it can be seen
    assert (risk < 1.005 * risk.min()).all()
    assert training.ended == training.state.step == 24
    assert "was as good as the least" in training.reason()


def test_a_late_ending_is_not_longer_than_what_was_left() -> None:
    training = _training(200, 72)
    for _ in training.run():
        pass
    assert "to have risen beyond doubt" in training.reason()
    assert training.state.step == training.trace["check"][-1] == 72


def test_the_model_is_that_of_the_last_check_before(overfitted: Training) -> None:
    assert overfitted.holdout is not None
    at = overfitted.trace["check"].index(overfitted.ended)
    kept = overfitted.holdout.measured[at]
    overfitted.holdout.check(10_000, overfitted.denoiser, overfitted.state.parameters)
    assert torch.equal(overfitted.holdout.measured.pop(), kept)
    overfitted.holdout.steps.pop()


def test_held_out_rows_are_not_trained_on() -> None:
    training, all_rows = _training(400, 10), _training(400, 10, hold=False)
    assert training.holdout is not None
    assert all_rows.holdout is None
    assert training.holdout.rows == 40
    kept = {tuple(row) for row in training.rows.low.tolist()}
    assert len(kept) == len(training.rows.low) == 360
    assert kept < {tuple(row) for row in all_rows.rows.low.tolist()}
    held = torch.cat([x for x, *_ in training.holdout.pieces])[: training.holdout.rows, :4]
    cells = [torch.special.ndtri(part.clamp(1e-7, 1 - 1e-7)) for part in (training.rows.low, training.rows.high)]
    inside = ((held[:, None] >= cells[0] - 1e-4) & (held[:, None] <= cells[1] + 1e-4)).all(2)
    assert not bool(inside.any())  # no held-out row lies in the cell of a training row


def test_few_rows_are_all_trained_on() -> None:
    training = _training(39, 3)
    assert training.holdout is None
    assert len(training.rows.low) == 39
    for _ in training.run():
        pass
    assert training.trace["check"] == []
    assert training.reason() == (
        "It ended at the longest training of a table of this size, 3 steps. No rows were held out to end it sooner."
    )


@pytest.mark.parametrize(
    ("rows", "held"),
    [
        (39, 0),
        (40, 10),
        (100, 10),
        (150, 15),
        (300, 30),
        (500, 50),
        (1_000, 50),
        (4_000, 200),
        (20_000, 1_000),
        (10**6, 1_000),
    ],
)
def test_how_many_rows_are_held_out(rows: int, held: int) -> None:
    assert held_rows(rows) == held


def test_a_full_length_is_told_with_the_least_loss() -> None:
    training = _training(2_000, 120, make=_related)
    assert [step.step for step in training.run()] == list(range(1, 121))
    assert training.trace["check"] == list(range(24, 121, 6))
    assert training.ended == training.state.step == 120
    said = training.reason()
    assert "It ended at the longest training of a table of this size, 120 steps. The loss of 100 rows" in said
    for p, averaged in zip(training.state.parameters, training.state.averaged, strict=True):
        assert torch.equal(p, averaged)


def test_a_rise_at_the_very_end_is_told(overfitted: Training) -> None:
    shorter = _training(200, 600)
    steps = int(overfitted.trace["check"][_risen(overfitted) - 1])  # the first of the two checks that were worse
    for step in shorter.run():
        if step.step == steps:
            break
    assert (
        f"The loss of 20 rows held out had risen by then. The model is that of step {shorter.ended:,}"
        in shorter.reason()
    )


def test_nothing_is_judged_in_the_first_steps() -> None:
    training = _training(400, FIRST_CHECK - 1)
    for _ in training.run():
        pass
    assert training.trace["check"] == []
    assert "was not measured" in training.reason()


def test_a_time_limit_is_told() -> None:
    training = _training(400, 10**6, minutes=0.001)
    for _ in training.run():
        pass
    assert f"It ended at the time limit of 0.001 minutes, {training.state.step:,} steps." in training.reason()


def test_a_time_limit_shortens_the_warm_up() -> None:
    training = _training(400, 10**6, minutes=0.03)
    optimizer, peak = training.state.optimizers[0], training.state.peaks[0]
    share, risen = 0.0, []
    for _ in training.run():
        risen.append(optimizer.lr / (peak * (0.5 * (1 + math.cos(math.pi * share)) + 0.01)))
        share = training.share(training.state.step)
    assert len(risen) > 3
    assert risen[0] == pytest.approx(0.01)
    assert risen[1:] == pytest.approx([min(1.0, k / 10) for k in range(2, len(risen) + 1)])


def test_a_time_limit_that_leaves_the_whole_length_leaves_the_warm_up() -> None:
    training = _training(400, 30, minutes=60)
    optimizer, peak = training.state.optimizers[0], training.state.peaks[0]
    for step in training.run():
        factor = 0.5 * (1 + math.cos(math.pi * (step.step - 1) / 30)) + 0.01
        assert optimizer.lr == pytest.approx(peak * step.step / 100 * factor)


@pytest.mark.parametrize("after", [-27, 5], ids=["one check before the rise is seen", "while the rate falls"])
def test_a_training_goes_on_where_it_was(overfitted: Training, after: int) -> None:
    part, resumed = _training(200, 600), _training(200, 600)
    stop = int(overfitted.trace["check"][_risen(overfitted)]) + after
    for step in part.run():
        if step.step == stop:
            break
    saved = {name: tensor.clone() for name, tensor in part.tensors().items()}
    resumed.restore(saved, {key: list(values) for key, values in part.trace.items()}, part.seconds)
    for _ in resumed.run():
        pass
    assert resumed.reason() == overfitted.reason()
    for key in ("check", "new rows", "step"):
        assert resumed.trace[key] == overfitted.trace[key]
    for one, other in zip(resumed.state.parameters, overfitted.state.parameters, strict=True):
        assert torch.equal(one, other)


def test_training_is_longer_for_longer_tables_within_bounds() -> None:
    lengths = [training_steps(rows, 20) for rows in (100, 10_000, 30_000, 10**7)]
    assert lengths == sorted(lengths)
    assert lengths[0] > 0


def test_wide_tables_are_passed_over_less_often_but_once_more_where_it_does_not_take_longer() -> None:
    usual = 24 * training_steps(27_000, 24)
    for rows, columns in ((4_000, 60), (9_000, 50), (5_000, 86)):
        assert training_steps(rows, columns) == pytest.approx(training_steps(rows, 24) * (24 / columns) ** 0.5, abs=1)
        assert wide_steps(rows, columns) == training_steps(rows, 24)  # as often as a narrow one
        assert columns * training_steps(rows, 24) < usual
    more = wide_steps(20_000, 40)
    assert more is not None
    assert training_steps(20_000, 40) < more < training_steps(20_000, 24)
    assert 40 * more == pytest.approx(usual, abs=40)
    for rows, columns in ((3_999, 96), (20_000, 24), (100_000, 48), (20_000, 400)):  # short, narrow, or too much work
        assert wide_steps(rows, columns) is None
