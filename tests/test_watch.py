"""Rules that watch a training, on streams of losses whose course is known, and on a network that memorises."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scorewise.estimate import Estimate
from scorewise.optimism import extrapolation, row_weights
from scorewise.record import Record, Seen
from scorewise.watch import Verdict, extrapolated, penalised, reached, watch

ROWS = 400


def _stream(
    course: Callable[[int], float], steps: int, seed: int = 0, gap: Any = None, weight: Any = None
) -> Iterator[Seen]:
    """Losses along a course; `gap(step) * weight` is taken off the rows of a weight."""
    generator = torch.Generator().manual_seed(seed)
    lasting = 0.3 * torch.randn(ROWS, generator=generator, dtype=torch.float64)
    for step in range(1, steps + 1):
        row = torch.randperm(ROWS, generator=generator)[:64]
        loss = course(step) + lasting[row] + 0.3 * torch.randn(64, generator=generator, dtype=torch.float64)
        if gap is not None:
            loss = loss - gap(step) * weight[row]
        yield Seen(row, loss, lasting[row])


def _falling(step: int) -> float:
    return 1 + 1 / (1 + step / 20)


def _turning(step: int) -> float:
    return _falling(step) + 3e-4 * step


def _last(stream: Iterator[Seen], record: Record, rule: Any) -> Verdict:
    last = None
    for last in watch(stream, record, rule):
        if last.done:
            break
    assert last is not None
    return last


def test_the_loop_is_the_callers() -> None:
    taken: list[int] = []

    def training() -> Iterator[Seen]:
        for step, one in enumerate(_stream(_falling, 1000)):
            taken.append(step)
            yield one

    verdicts = watch(training(), Record(torch.ones(ROWS)), reached(0.0))
    next(verdicts), next(verdicts)
    assert taken == [0, 1]


def test_training_that_gets_better_is_never_stopped() -> None:
    weight = row_weights(ROWS, generator=torch.Generator().manual_seed(0))
    for seed in range(10):
        for record, rule in (
            (Record(extrapolation(weight)), extrapolated),
            (Record(torch.ones(ROWS)), penalised(lambda: Estimate(torch.zeros(()), torch.zeros(())))),
            (Record(torch.ones(ROWS)), reached(0.9)),
        ):
            assert not _last(_stream(_falling, 600, seed), record, rule).done


def test_a_loss_that_turns_on_light_rows_stops_training() -> None:
    weight = row_weights(ROWS, generator=torch.Generator().manual_seed(0))
    steps = []
    for seed in range(10):
        gap = lambda step: 4e-3 * step  # noqa: E731
        stream = _stream(lambda step: _falling(step) + 4e-3 * step, 3000, seed, gap, weight)  # new rows: the course
        last = _last(stream, Record(extrapolation(weight)), extrapolated)
        assert last.done
        assert "extrapolated to rows of weight 0" in last.stop.reason
        steps.append(float(last.stop.step))
    best = 1 + torch.tensor([_falling(t) + 4e-3 * t for t in range(1, 3000)]).argmin()
    assert 0.4 * float(best) < sum(steps) / 10 < 2 * float(best)


def test_a_penalty_that_outgrows_the_loss_stops_training() -> None:
    record = Record(torch.ones(ROWS))
    asked: list[int] = []

    def optimism() -> Estimate:
        asked.append(record.step)
        penalty = torch.tensor(1e-3 * record.step)
        return Estimate(penalty, penalty * 0.02)

    last = _last(_stream(_falling, 3000), record, penalised(optimism, first=10, growth=0.5))
    assert last.done
    exact = torch.tensor([_falling(t) + 1e-3 * t / (1 - 1e-3 * t / _falling(t)) for t in range(1, 500)]).argmin()
    assert 0.5 * float(exact) < last.stop.step < 2 * float(exact)
    assert all(b >= 1.5 * a for a, b in itertools.pairwise(asked))
    assert asked[-1] <= record.step
    i = last.stop.steps.tolist().index(last.stop.step)
    assert float(last.stop.risk[i]) == pytest.approx(float(last.stop.risk.min()))


def test_the_discrepancy_stops_at_the_floor() -> None:
    last = _last(_stream(_falling, 3000), Record(torch.ones(ROWS)), reached(1.2))
    assert last.done
    assert "reaches its floor" in last.stop.reason
    assert 60 < last.stop.step < 160  # 1 / (1 + step / 20) = 0.2 at 80
    first = (last.stop.risk <= 0).long().argmax()
    assert last.stop.step == int(last.stop.steps[first])


def test_chance_does_not_stop_training_before_it_has_begun() -> None:
    weight = row_weights(ROWS, generator=torch.Generator().manual_seed(0))
    stopped = 0
    for seed in range(40):
        stopped += _last(_stream(lambda _: 1.0, 400, seed), Record(extrapolation(weight)), extrapolated).done
    assert stopped <= 1


def test_labels_that_hold_nothing_are_left_once_their_loss_has_risen_beyond_doubt() -> None:
    last = _last(_stream(lambda step: 1 + 1e-3 * step, 2000), Record(torch.ones(ROWS)), extrapolated)
    assert last.done
    assert last.stop.step < 60


def test_best_marks_the_blocks_whose_parameters_are_worth_a_copy() -> None:
    copied = None
    for verdict in watch(_stream(_turning, 3000), Record(torch.ones(ROWS)), extrapolated):
        if verdict.best:
            copied = int(verdict.stop.steps[-1])
        assert copied == verdict.stop.step
        if verdict.done:
            break


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_network_that_memorises_is_stopped_near_its_best(seed: int) -> None:
    """A denoiser of 400 rows of a mixture in 10 dimensions, minibatch Adam, fresh noise: within 2 % of the best."""
    generator = torch.Generator().manual_seed(seed)
    centres = 1.2 * torch.randn(5, 10, generator=torch.Generator().manual_seed(7))

    def sample(size: int) -> Tensor:
        return centres[torch.randint(5, (size,), generator=generator)] + 0.4 * torch.randn(
            size, 10, generator=generator
        )

    rows, new = sample(400), sample(8_000)
    mean, scale = rows.mean(0), rows.std(0)
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(11, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 10))
    nn.init.zeros_(network[-1].weight), nn.init.zeros_(network[-1].bias)

    def whitened(x: Tensor, source: torch.Generator) -> tuple[Tensor, Tensor]:
        x = (x - mean) / scale
        sigma = (3.4 * torch.rand(len(x), 1, generator=source) - 2.5).exp()
        x_t = x + sigma * torch.randn(x.shape, generator=source)
        variance = 1 + sigma.square()
        label = (x - x_t / variance) * variance.sqrt() / sigma
        return network(torch.cat([x_t / variance.sqrt(), sigma.log()], 1)), label

    weight = row_weights(400, generator=torch.Generator().manual_seed(seed))
    record = Record(extrapolation(weight))
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)

    def training() -> Iterator[Seen]:
        for _ in range(4_000):
            row = torch.randint(400, (256,), generator=generator)
            output, label = whitened(rows[row], generator)
            squares = (output - label).square()
            yield Seen(row, squares.detach().mean(1), label.square().mean(1))
            loss = 0.5 * (weight[row] * squares.sum(1)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def risk() -> float:
        with torch.no_grad():
            output, label = whitened(new, torch.Generator().manual_seed(9))
            return float((output - label).square().mean())

    risks, chosen, done = [], 0.0, False
    for verdict in watch(training(), record, extrapolated):
        risks.append(risk())
        if not done:
            chosen = risks[-1] if verdict.best else chosen
            done = verdict.done
    assert done
    assert chosen < 1.02 * min(risks)
    assert risks[-1] > 1.05 * min(risks)
