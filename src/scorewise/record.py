"""What training shows on the way: mean losses of blocks of steps, with errors robust to rows met repeatedly."""

from typing import NamedTuple, final

import torch
from torch import Tensor


class Seen(NamedTuple):
    """What one step of training shows of its batch, before the step is taken.

    Attributes:
        row: index of the clean row of each noisy one, shape (B,).
        square: squared whitened residual per coordinate of each, shape (B,); its floor is 1 under the true covariance.
        start: the same of a prediction that knows nothing of single rows, such as the untrained network's, shape (B,).
            Its noise is taken off that of `square`, so the nearer the better; zeros do no harm.
    """

    row: Tensor
    square: Tensor
    start: Tensor


class Means(NamedTuple):
    """Mean losses of blocks of steps.

    Attributes:
        step: last step of each block, shape (T,).
        value: mean loss of each, shape (T,).
        influence: what each group of rows adds to the error of each mean, shape (T, G): the squared standard error of
            any combination `c' value` is `sum((c' influence)^2)`.
    """

    step: Tensor
    value: Tensor
    influence: Tensor

    def difference_se(self, against: int) -> Tensor:
        """Standard errors of the differences to one block, rows met in both counted once, shape (T,)."""
        return (self.influence - self.influence[against]).square().sum(1).sqrt()


@final
class Record:
    """Mean losses over blocks of steps, each a fixed share longer than all steps before it.

    The label noise of a row stays the same however often the row is met, so errors are those of means over rows: sums
    are kept for groups of rows, single rows as long as there are few.

    Args:
        factor: what the losses of each row are multiplied by in `weighted`, of mean 1, shape (N,).
        growth: length of a block, relative to all steps before it.
        groups: largest number of groups; row i belongs to group i modulo their number.

    Raises:
        ValueError: if the growth is not positive.
    """

    def __init__(self, factor: Tensor, growth: float = 0.1, groups: int = 4096) -> None:
        if growth <= 0:
            raise ValueError(f"growth must be positive, however: {growth=}. Blocks of a tenth are a good start.")
        self.factor = factor.double()
        self.growth = growth
        self.step = 0
        self._ends: list[int] = [0]
        self._open = factor.new_zeros(4, min(len(factor), groups), dtype=torch.float64)
        self._blocks: list[Tensor] = []
        self._start = torch.zeros_like(self._open[:2])

    def add(self, seen: Seen) -> bool:
        """Take in what a step shows.

        Args:
            seen: rows and their losses.

        Returns:
            Whether a block ended with this step.
        """
        row = seen.row.to(self.factor.device)
        factor = self.factor[row]
        start = seen.start.detach().to(factor)
        excess = seen.square.detach().to(factor) - start
        one = torch.ones_like(factor)
        group = row % self._open.shape[1]
        self._open.index_add_(1, group, torch.stack([excess, one, factor * excess, factor]))
        self._start.index_add_(1, group, torch.stack([start, one]))
        self.step += 1
        if self.step - self._ends[-1] < self.growth * self._ends[-1]:
            return False
        self._ends.append(self.step)
        self._blocks.append(self._open.clone())
        self._open.zero_()
        return True

    @property
    def plain(self) -> Means:
        """Mean losses of the rows as training meets them."""
        return self._means(0)

    @property
    def weighted(self) -> Means:
        """Mean losses of the rows times their factors."""
        return self._means(2)

    def _means(self, kind: int) -> Means:
        blocks = torch.stack(self._blocks)
        excess, of_excess = _mean(blocks[:, kind], blocks[:, kind + 1])
        start, of_start = _mean(*self._start)
        return Means(torch.tensor(self._ends[1:], device=excess.device), excess + start, of_excess + of_start)


def _mean(total: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Ratio of sums over groups, shape (*, G) to (*), and what each group adds to its error, shape (*, G)."""
    value = total.sum(-1) / weight.sum(-1)
    return value, (total - weight * value[..., None]) / weight.sum(-1)[..., None]
