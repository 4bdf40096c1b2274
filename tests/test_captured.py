"""Graphs of kernels do what the functions that they were recorded from do."""

import pytest
import torch
from torch import Tensor

from scorewise.captured import WARM_CALLS, Captured


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that CUDA sees")
def test_a_captured_function_follows_its_inputs_and_changes_tensors_in_place() -> None:
    total = torch.zeros(3, device="cuda")
    runs = []

    def add(x: Tensor, y: Tensor) -> Tensor:
        runs.append(1)
        total.add_(x)
        return x * y

    captured, expected = Captured(add), torch.zeros(3)
    for step in range(3 * WARM_CALLS):
        x, y = torch.arange(3.0) + step, torch.full((3,), float(step))
        found = captured(x.cuda(), y.cuda())
        assert found is not None
        torch.testing.assert_close(found.cpu(), x * y)
        expected += x
        torch.testing.assert_close(total.cpu(), expected)
    assert len(runs) == WARM_CALLS + 1
