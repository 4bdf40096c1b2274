import numpy as np
import pandas as pd
import torch

from scorewise.network import TableDenoiser
from scorewise.quasirandom import NormalSequence
from scorewise.tabular.codec import Chosen, Codec
from scorewise.tabular.generation import CHUNK_ROWS, generate, joined, prefers_bf16
from scorewise.tabular.table import to_arrow


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


def test_a_network_that_is_the_posterior_of_independent_columns_makes_their_margins() -> None:
    made = _made(8 * CHUNK_ROWS, 0)
    network, _ = _untrained()
    shares = np.bincount(made.codes[:, 0], minlength=4) / len(made.codes)
    np.testing.assert_allclose(shares, network.log_prior.exp().numpy(), atol=0.015)
    assert abs(made.scores.mean()) < 0.01
    assert abs(made.scores.std() - 1) < 0.02


def test_bf16_is_preferred_only_where_it_may_be_faster() -> None:
    assert not prefers_bf16(torch.device("meta"))
