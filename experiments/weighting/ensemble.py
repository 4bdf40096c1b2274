"""Many small denoising networks, trained side by side: one for each combination of what is compared and of the seed."""

import itertools
import math

import torch
from torch import Tensor, nn


class Ensemble(nn.Module):
    """M multilayer perceptrons with EDM's preconditioning for rows of variance 1, all of one shape.

    `D = c_skip x_t + c_out F`, with F a network of two hidden layers that starts as 0; members of one seed start alike.

    Shape:
        Input: noisy rows (M, B, D), levels (M, B). Output: posterior means (M, B, D).
    """

    def __init__(self, copies: int, seeds: int, width: int, hidden: int, out: int | None = None) -> None:
        super().__init__()
        sizes = (width + 7, hidden, hidden, width if out is None else out)
        generator = torch.Generator().manual_seed(1)
        self.weights, self.shifts = nn.ParameterList(), nn.ParameterList()
        for index, (before, after) in enumerate(itertools.pairwise(sizes)):
            scale = 0.0 if index == 2 else (3 / before) ** 0.5
            start = scale * (2 * torch.rand(seeds, before, after, generator=generator) - 1)
            self.weights.append(nn.Parameter(start.repeat(copies, 1, 1)))
            self.shifts.append(nn.Parameter(torch.zeros(copies * seeds, 1, after)))

    def outputs(self, x_t: Tensor, sigma_t: Tensor, layers: list[tuple[Tensor, Tensor]] | None = None) -> Tensor:
        """Give what the networks themselves give out, F, shape (M, B, out); note what goes in and out of each layer."""
        level = sigma_t.log()[..., None]
        angles = level * torch.tensor([0.5, 1.0, 2.0])
        scaled = x_t * (1 + sigma_t.square()).rsqrt()[..., None]
        h = torch.cat([scaled, level / 4, angles.sin(), angles.cos()], 2)
        for weight, shift in zip(self.weights, self.shifts, strict=True):
            before, h = h, torch.baddbmm(shift, h, weight)
            if layers is not None:
                layers.append((before, h))
            if weight is not self.weights[-1]:
                h = nn.functional.silu(h)
        return h

    def forward(self, x_t: Tensor, sigma_t: Tensor) -> Tensor:
        total = (1 + sigma_t.square())[..., None]
        return x_t / total + sigma_t[..., None] * total.rsqrt() * self.outputs(x_t, sigma_t)

    def member(self, index: int) -> "Ensemble":
        """Copy one network, M = 1."""
        width = self.weights[0].shape[1] - 7
        one = Ensemble(1, 1, width, self.weights[0].shape[2], self.weights[-1].shape[2])
        with torch.no_grad():
            for mine, all_ in zip(one.parameters(), self.parameters(), strict=True):
                mine.copy_(all_[index : index + 1])
        return one


class Adam:
    """Adam with a learning rate for each member, warmed up and brought to 0 along a cosine."""

    def __init__(self, module: nn.Module, rates: Tensor, steps: int) -> None:
        self.parameters = list(module.parameters())
        self.rates, self.steps, self.step = rates[:, None, None], steps, 0
        self.first = [torch.zeros_like(p) for p in self.parameters]
        self.second = [torch.zeros_like(p) for p in self.parameters]

    @torch.no_grad()
    def advance(self, loss: Tensor) -> None:
        """Take one step down the sum of the members' losses."""
        gradients = torch.autograd.grad(loss, self.parameters)
        self.step += 1
        share = self.step / self.steps
        rate = self.rates * min(1.0, self.step / 50) * 0.5 * (1 + math.cos(math.pi * share))
        for p, g, m, v in zip(self.parameters, gradients, self.first, self.second, strict=True):
            m.lerp_(g, 0.1)
            v.mul_(0.99).addcmul_(g, g, value=0.01)
            corrected = (v / (1 - 0.99**self.step)).sqrt() + 1e-8
            p.sub_(rate / (1 - 0.9**self.step) * m / corrected)


def even_levels(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Draw levels that are log-uniform and stratified, shape (count,)."""
    place = (torch.randperm(count, generator=generator) + torch.rand(count, generator=generator)) / count
    return low * (high / low) ** place.double()
