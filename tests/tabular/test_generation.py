from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pytest
import torch

from scorewise.network import TableDenoiser
from scorewise.principal import LEVELS
from scorewise.quasirandom import NormalSequence
from scorewise.tabular import generation
from scorewise.tabular.codec import Chosen, Codec
from scorewise.tabular.generation import CHUNK_ROWS, generate, joined, prefers_bf16
from scorewise.tabular.table import to_arrow
from scorewise.tabular.training import LOWEST


def _untrained() -> tuple[TableDenoiser, Codec]:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"level": rng.choice(list("abcd"), 900, p=[0.4, 0.3, 0.2, 0.1]), "size": rng.normal(size=900)})
    codec = Codec.fit(frame)
    moments = codec.moments(codec.compact(to_arrow(frame)))
    return TableDenoiser(codec.layout, moments, 16, 1, torch.Generator().manual_seed(0)).eval(), codec


def _made(n: int, seed: int) -> Chosen:
    network, codec = _untrained()
    return joined([chunk for _, chunk in generate(network, codec, n, NormalSequence(codec.layout.width, seed).draw)])


def test_a_row_depends_on_the_seed_and_its_place_alone() -> None:
    long, short, other = _made(CHUNK_ROWS + 30, 1), _made(40, 1), _made(40, 2)
    assert (len(long.scores), len(short.codes)) == (CHUNK_ROWS + 30, 40)
    np.testing.assert_array_equal(long.scores[:40], short.scores)
    np.testing.assert_array_equal(long.codes[:40], short.codes)
    assert not np.array_equal(other.scores, short.scores)


def test_rows_start_with_the_covariance_of_the_table() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], 5_000).T
    frame = pd.DataFrame({"x": x, "y": y, "up": np.where(x + 0.1 * rng.normal(size=5_000) > 0, "yes", "no")})
    codec = Codec.fit(frame)
    moments = codec.moments(codec.compact(to_arrow(frame)))
    network = TableDenoiser(codec.layout, moments._replace(covariance=torch.eye(2)), 16, 1).eval()
    noise = NormalSequence(codec.layout.width, 0)
    made = joined([chunk for _, chunk in generate(network, codec, 32 * CHUNK_ROWS, noise.draw)])
    # this network takes columns for independent, and so only shrinks what the noise has left of what ties them
    assert np.corrcoef(made.scores.T)[0, 1] == pytest.approx(0.9 / (1 + LEVELS[0] ** 2), abs=0.015)
    apart = made.scores[made.codes[:, 0] == 1, 0].mean() - made.scores[made.codes[:, 0] == 0, 0].mean()
    assert abs(apart) > 0.03


@pytest.mark.parametrize(("level", "evaluations"), [(LEVELS[0], 19), (LEVELS[-1], 24)])
def test_rows_that_start_higher_take_more_evaluations(
    level: float, evaluations: int, levels_of: Callable[[TableDenoiser], list[float]]
) -> None:
    network, codec = _untrained()
    network.rows.level.fill_(level)
    seen = levels_of(network)
    made = joined([chunk for _, chunk in generate(network, codec, 50, NormalSequence(codec.layout.width, 0).draw)])
    assert len(made.codes) == 50
    assert len(seen) == evaluations
    assert seen == sorted(seen, reverse=True)
    assert seen[0] == pytest.approx(level)
    assert seen[-1] == pytest.approx(LOWEST)


@pytest.fixture(name="threads", params=[2, 5])
def _threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_chunks_on_threads_of_their_own_are_those_of_one_thread_in_order(threads: int) -> None:
    many = _made(6 * CHUNK_ROWS + 30, 1)
    assert torch.get_num_threads() == threads
    torch.set_num_threads(1)
    one = _made(6 * CHUNK_ROWS + 30, 1)
    np.testing.assert_array_equal(many.scores, one.scores)
    np.testing.assert_array_equal(many.codes, one.codes)


def test_no_thread_has_others_work_for_it(threads: int) -> None:
    network, codec = _untrained()
    seen: set[int] = set()
    network.inlet.register_forward_hook(lambda *_: seen.add(torch.get_num_threads()))
    list(generate(network, codec, threads * CHUNK_ROWS, NormalSequence(codec.layout.width, 0).draw))
    assert seen == {1}


def test_what_a_thread_raises_is_raised_and_threads_are_as_before(threads: int) -> None:
    network, codec = _untrained()
    rows = generate(network, codec, 2 * CHUNK_ROWS, lambda n: torch.zeros(n, codec.layout.width + 1))
    with pytest.raises(ValueError, match="noise must have one coordinate per encoded coordinate"):
        list(rows)
    assert torch.get_num_threads() == threads


def test_no_more_chunks_are_made_at_once_than_fit_into_memory(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network, codec = _untrained()
    monkeypatch.setattr(generation, "MOST_FEATURES", 2 * CHUNK_ROWS * network.features)
    noise = NormalSequence(codec.layout.width, 0)
    drawn: list[int] = []

    def draw(rows: int) -> torch.Tensor:
        drawn.append(rows)
        return noise.draw(rows)

    first = next(iter(generate(network, codec, 9 * CHUNK_ROWS, draw)))
    assert first[0] == CHUNK_ROWS
    assert len(drawn) == 2 <= threads


def test_a_network_that_is_the_posterior_of_independent_columns_makes_their_margins() -> None:
    made = _made(8 * CHUNK_ROWS, 0)
    network, _ = _untrained()
    shares = np.bincount(made.codes[:, 0], minlength=4) / len(made.codes)
    np.testing.assert_allclose(shares, network.log_prior.exp().numpy(), atol=0.015)
    assert abs(made.scores.mean()) < 0.01
    assert abs(made.scores.std() - 1) < 0.02


def test_bf16_is_preferred_only_where_it_may_be_faster() -> None:
    assert not prefers_bf16(torch.device("meta"))
