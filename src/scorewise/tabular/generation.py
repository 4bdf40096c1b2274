"""Rows out of a network: chunks of noise through the reverse process, each block of one-hot coordinates a code."""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from scorewise.allocation import table_levels
from scorewise.experts import Experts
from scorewise.network import TableDenoiser
from scorewise.principal import LEVELS
from scorewise.sample import multistep
from scorewise.tabular.codec import Chosen, Codec
from scorewise.tabular.fused import fastest
from scorewise.tabular.training import LOWEST

S = TypeVar("S")
T = TypeVar("T")

CHUNK_ROWS = 1_024
MOST_FEATURES = 2**23
"""What the network reads at once, rows by features: it bounds the memory, and the launches of kernels on a GPU."""
EVALUATIONS = 19
"""Evaluations of the network for a row that starts from the least level; a quarter more from the largest."""


def generate(
    network: TableDenoiser | Experts,
    codec: Codec,
    n: int,
    noise: Callable[[int], Tensor],
    evaluations: int = EVALUATIONS,
    keep: Callable[[Chosen, Tensor], Chosen] | None = None,
) -> Iterator[tuple[int, Chosen]]:
    """Sample rows chunk by chunk.

    Args:
        network: the denoiser.
        codec: of the table.
        n: number of rows.
        noise: gives the next B rows of standard normal noise, shape (B, D + E), such as `NormalSequence.draw`; rows are
            made of the first D coordinates.
        evaluations: evaluations of the network for a row, from the least level at which rows are nearly normal.
        keep: picks rows of a chunk, given it and the other E coordinates of its noise, on the thread that made them;
            None for all.

    Yields:
        The number of rows made so far, and those of the new ones that are kept, at most `chunk_rows`.

    Raises:
        ValueError: if the noise has fewer than D coordinates, or other ones that nothing reads.
    """
    device, size, width = next(network.parameters()).device, chunk_rows(network), codec.layout.width
    bf16 = prefers_bf16(device)
    highest = float(network.rows.level)
    denoiser = fastest(network)
    levels = table_levels(LOWEST, highest, round(evaluations * _longer(highest)))

    def started() -> tuple[Tensor, Tensor]:
        # rows at the highest level, and the other coordinates of their noise; not on a thread, which would keep memory
        drawn = noise(size)
        if drawn.shape[1] < width or (keep is None and drawn.shape[1] > width):
            raise ValueError(
                f"noise must have one coordinate per encoded coordinate (D={width}), however: {tuple(drawn.shape)}. "
                "Draw it for this codec."
            )
        return network.rows.noised(drawn[:, :width].to(device), highest), drawn[:, width:]

    def chosen(begun: tuple[Tensor, Tensor], rows: int) -> Chosen:
        x, more = begun
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            for state in multistep(lambda x, t: denoiser(x, t[:1]), x, levels):  # all at one level
                x = state.x
        made = codec.choose(x[:rows].float().cpu().numpy())
        return made if keep is None else keep(made, more[:rows])

    starts = range(0, n, size)
    at_once = min(_fitting(network), torch.get_num_threads()) if device.type == "cpu" else 1
    for first in starts[::at_once]:
        together = starts[first // size :][:at_once]
        chunks = _each_on_a_thread(chosen, [(started(), min(size, n - start)) for start in together])
        for start, chunk in zip(together, chunks, strict=True):
            yield min(n, start + size), chunk


def _longer(highest: float) -> float:
    """How many times the evaluations from the least level a start from another one takes."""
    return 1 + math.log(highest / LEVELS[0]) / math.log(LEVELS[-1] / LEVELS[0]) / 4


def chunk_rows(network: TableDenoiser | Experts) -> int:
    """Rows that are sampled together: `CHUNK_ROWS`, on a GPU a multiple of that, by `MOST_FEATURES`."""
    on_gpu = next(network.parameters()).device.type == "cuda"
    return CHUNK_ROWS * (_fitting(network) if on_gpu else 1)


def _fitting(network: TableDenoiser | Experts) -> int:
    """How many times `CHUNK_ROWS` rows fit into memory at once."""
    return max(1, MOST_FEATURES // (CHUNK_ROWS * network.features))


def _each_on_a_thread(function: Callable[[S, int], T], items: Sequence[tuple[S, int]]) -> list[T]:
    """Map items side by side, a thread each that does all of its work: they wait for one another at the end alone."""
    if len(items) == 1:
        return [function(*items[0])]
    with _one_thread_each(), ThreadPoolExecutor(len(items)) as pool:
        return list(pool.map(function, *zip(*items, strict=True)))


@contextmanager
def _one_thread_each() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def joined(chunks: Sequence[Chosen]) -> Chosen:
    """Put chunks of rows together.

    Args:
        chunks: one or more.

    Returns:
        All their rows.
    """
    return Chosen(*(np.concatenate(parts) for parts in zip(*chunks, strict=True)))


def prefers_bf16(device: torch.device) -> bool:
    """Whether matrix products in bfloat16 are faster than in float32.

    They are on GPUs that support them, on CPUs with AMX, and on AMD's CPUs with AVX-512-BF16.

    NOTE: AVX-512-BF16 on Intel's CPUs without AMX does not qualify: its products were slower than those of float32
    where it was tried; on AMD's they were faster.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device.type != "cpu":
        return False
    if torch.cpu._is_amx_tile_supported():
        return True
    facts = Path("/proc/cpuinfo")
    said = facts.read_text(encoding="utf-8", errors="replace") if facts.exists() else ""
    return "AuthenticAMD" in said and torch.cpu._is_avx512_bf16_supported()
