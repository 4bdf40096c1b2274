"""AdamW against torch's, and what a training does not import."""

import subprocess
import sys

import torch
from torch import nn

from scorewise.optimiser import AdamW


def test_adamw_is_torchs_to_the_bit() -> None:
    generator = torch.Generator().manual_seed(0)
    mine = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((4, 3), (5,), (2, 2))]
    theirs = [nn.Parameter(p.detach().clone()) for p in mine]
    ours = AdamW(mine, 0.1, betas=(0.8, 0.95), weight_decay=0.3)
    other = torch.optim.AdamW(theirs, 0.1, betas=(0.8, 0.95), weight_decay=0.3, fused=True)
    for step in range(20):
        ours.lr = other.param_groups[0]["lr"] = 0.1 / (1 + step)
        for p, q in zip(mine, theirs, strict=True):
            p.grad = torch.randn(p.shape, generator=generator)
            q.grad = p.grad.clone()
        if step % 3 == 0:
            mine[1].grad = theirs[1].grad = None  # is left where it is, decay and all
        ours.step()
        other.step()
    for p, q in zip(mine, theirs, strict=True):
        assert torch.equal(p, q)
        assert ours.state[p].keys() == other.state[q].keys()


def test_a_training_does_not_import_torchs_compiler() -> None:
    code = """
import sys, torch
from scorewise.allocation import LevelDensity
from scorewise.network import Layout, Moments, TableDenoiser
from scorewise.train import State, train
edges, values = torch.tensor([[-9.0, 0.0, 9.0]]).repeat(2, 1), torch.linspace(-9, 9, 33).double().repeat(2, 1)
moments = Moments(torch.zeros(2), torch.eye(2), torch.zeros(0), edges, values)
network = TableDenoiser(Layout(2, ()), moments, 8, 1)
state = State(network, LevelDensity(0.01, 10.0), network.hidden_matrices())
rows = torch.randn(16, 2)
assert len(list(train(state, lambda step, generator: rows, 16, lambda step: step / 2, seed=0))) == 2
assert not any(name.startswith("torch._dynamo") for name in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
