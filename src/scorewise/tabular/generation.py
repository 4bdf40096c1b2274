"""Rows out of a network: chunks of noise through the reverse process, each block of one-hot coordinates a code."""

from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from scorewise.allocation import table_levels
from scorewise.experts import Experts
from scorewise.network import TableDenoiser
from scorewise.sample import multistep
from scorewise.tabular.codec import Chosen, Codec
from scorewise.tabular.training import HIGHEST, LOWEST

T = TypeVar("T")

CHUNK_ROWS = 1_024
GPU_FEATURES = 2**23
"""What the network reads in a chunk on a GPU, rows by features: it bounds the memory, and the launches of kernels."""
SAMPLER_STEPS = 24


def generate(
    network: TableDenoiser | Experts, codec: Codec, n: int, noise: Callable[[int], Tensor]
) -> Iterator[tuple[int, Chosen]]:
    """Sample rows chunk by chunk.

    Args:
        network: the denoiser.
        codec: of the table.
        n: number of rows.
        noise: gives the next B rows of standard normal noise, shape (B, D), such as `NormalSequence.draw`.

    Yields:
        The number of rows made so far and the new ones, at most `chunk_rows`.
    """
    device, size = next(network.parameters()).device, chunk_rows(network)
    bf16 = prefers_bf16(device)
    levels = table_levels(LOWEST, HIGHEST, SAMPLER_STEPS)
    for first in range(0, n, size):
        x = HIGHEST * noise(size).to(device)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            for state in multistep(lambda x, t: network(x, t[:1]), x, levels):  # all rows are at one level
                x = state.x
        yield min(n, first + size), codec.choose(x[: n - first].float().cpu().numpy())


def chunk_rows(network: TableDenoiser | Experts) -> int:
    """Rows that are sampled together: `CHUNK_ROWS`, on a GPU a multiple of that, by `GPU_FEATURES`."""
    if next(network.parameters()).device.type != "cuda":
        return CHUNK_ROWS
    return CHUNK_ROWS * max(1, GPU_FEATURES // (CHUNK_ROWS * network.features))


def joined(chunks: Sequence[Chosen]) -> Chosen:
    """Put chunks of rows together.

    Args:
        chunks: one or more.

    Returns:
        All their rows.
    """
    return Chosen(*(np.concatenate(parts) for parts in zip(*chunks, strict=True)))


def returned(steps: Generator[object, None, T]) -> T:
    """Run a generator to its end.

    Args:
        steps: the generator.

    Returns:
        What it returns.
    """
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


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
