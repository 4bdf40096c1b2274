"""Functions whose kernels a GPU launches together, as one graph, instead of one after another from Python."""

from collections.abc import Callable

import torch
from torch import Tensor

WARM_CALLS = 3


class Captured:
    """A function of tensors on a CUDA device that is recorded as a CUDA graph at its fourth call, and replayed from it.

    The first calls run it as it is, on a stream of their own, so that libraries set themselves up and whatever it
    allocates for good is there. Recording runs nothing; from then on a call copies its inputs to where the recorded
    kernels read them and launches all of these at once. What the function does in Python (conditions, counters) is
    not repeated: it must do the same at every call, without ever waiting for the device, and change tensors in place.

    Args:
        function: maps tensors of the same shapes at every call to a tensor, or changes others in place; or both.

    Reference: Ng, Feldman, Luitjens, Nguyen, Hilbert, "Accelerating PyTorch with CUDA graphs", 2021.
    """

    def __init__(self, function: Callable[..., Tensor | None]) -> None:
        self.function = function
        self._calls = 0
        self._inputs: tuple[Tensor, ...] = ()
        self._output: Tensor | None = None
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, *inputs: Tensor) -> Tensor | None:
        """Call the function.

        Args:
            inputs: one or more tensors, on the device.

        Returns:
            What it returns. A recorded result is overwritten by the next call.
        """
        with torch.cuda.device(inputs[0].device):
            if self._calls < WARM_CALLS:
                self._calls += 1
                return self._aside(inputs)
            if self._graph is None:
                self._graph = self._recorded(inputs)
            for place, given in zip(self._inputs, inputs, strict=True):
                place.copy_(given)
            self._graph.replay()
            return self._output

    def _aside(self, inputs: tuple[Tensor, ...]) -> Tensor | None:
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            found = self.function(*inputs)
        torch.cuda.current_stream().wait_stream(stream)
        return found

    def _recorded(self, inputs: tuple[Tensor, ...]) -> torch.cuda.CUDAGraph:
        self._inputs = tuple(given.clone() for given in inputs)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._output = self.function(*self._inputs)
        return graph
