"""Normal noise that fills space more evenly than independent draws do, for averages with less noise."""

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

MOST_COVERED = 1_024
BITS = SobolEngine.MAXBIT


class NormalSequence:
    """Standard normal rows from a scrambled Sobol sequence, one after another.

    Each row is standard normal by itself, whatever came before: the scrambling makes its place uniform. Together the
    rows are spread evenly, so what a smooth function of them gives on average has less noise than over independent
    rows, most of all where it depends on few coordinates. The rows are on a grid of 2^30 places a coordinate, none
    farther out than 6.2.

    The first `MOST_COVERED` coordinates are of the sequence; those beyond are independent, since an average over so
    many gains little, and places take time.

    Args:
        width: coordinates, D.
        seed: of the scrambling, taken modulo 2^63; another one gives other rows.

    References:
        Owen, "Scrambled net variance for integrals of smooth functions", 1997. Matousek, "On the L2-discrepancy for
        anchored boxes", 1998 (the scrambling).
    """

    def __init__(self, width: int, seed: int) -> None:
        covered, seed = min(width, MOST_COVERED), seed % 2**63
        self._engine = SobolEngine(covered, scramble=True, seed=seed) if covered else None  # type: ignore[no-untyped-call]
        self._rest = width - covered
        self._generator = torch.Generator().manual_seed(seed)

    def draw(self, rows: int) -> Tensor:
        """Draw the next rows.

        Args:
            rows: how many, B.

        Returns:
            Float32, shape (B, D), on the CPU.
        """
        rest = torch.randn(rows, self._rest, generator=self._generator)
        if self._engine is None:
            return rest
        places = self._engine.draw(rows, dtype=torch.float64) + 2.0 ** -(BITS + 1)  # the middle of a place, never 0
        return torch.cat([torch.special.ndtri(places).float(), rest], 1)
