"""Two denoisers that share the noise levels."""

import pytest
import torch

from scorewise.difference import REACH
from scorewise.experts import Experts
from scorewise.network import Group, Layout, Moments, TableDenoiser

LAYOUT = Layout(2, (Group(1, 3),))


def _denoiser(seed: int, layout: Layout = LAYOUT) -> TableDenoiser:
    edges = torch.tensor([[-40.0, -0.5, 0.1, 40.0], [-40.0, 0.0, 1.0, 40.0]])
    values = torch.linspace(-REACH, REACH, 101).double().repeat(2, 1)
    prior = torch.full((layout.slots,), 1 / 3).log()
    moments = Moments(torch.zeros(2), torch.tensor([[1.0, 0.8], [0.8, 1.0]]), prior, edges, values)
    network = TableDenoiser(layout, moments, 16, 1, torch.Generator().manual_seed(seed))
    torch.nn.init.normal_(network.outlet.weight, generator=torch.Generator().manual_seed(seed))
    return network


def _rows() -> torch.Tensor:
    return torch.randn(5, LAYOUT.width, generator=torch.Generator().manual_seed(2))


def test_each_denoiser_has_its_side_of_the_border() -> None:
    coarse, fine = _denoiser(0), _denoiser(1)
    both = Experts(coarse, fine, 0.1)
    for level, chosen in ((0.0999, fine), (0.1, coarse), (3.0, coarse)):
        for levels in (torch.tensor([level]), torch.full((5,), level)):
            torch.testing.assert_close(both(_rows(), levels).mean, chosen(_rows(), levels).mean, rtol=0, atol=0)


def test_levels_on_both_sides_are_refused() -> None:
    both = Experts(_denoiser(0), _denoiser(1), 0.1)
    with pytest.raises(ValueError, match=r"one side of 0\.1, however: from 0\.05 to 0\.2"):
        both(_rows(), torch.tensor([0.05, 0.2, 0.2, 0.2, 0.2]))


def test_denoisers_of_other_layouts_are_refused() -> None:
    with pytest.raises(ValueError, match="must have one layout"):
        Experts(_denoiser(0), _denoiser(1, Layout(2, (Group(1, 2),))), 0.1)


def test_levels_of_categories_are_shifted_on_both_sides() -> None:
    both = Experts(_denoiser(0), _denoiser(1), 0.1)
    x_t, shift = torch.zeros(1, LAYOUT.width), torch.tensor([1.0, 0.0, -0.5])
    for level in (0.09, 0.5):
        at = torch.tensor([level])
        before = both(x_t, at).mean[0, 2:]
        both.shift_logits(shift)
        expected = (before.log() + shift).softmax(0)
        torch.testing.assert_close(both(x_t, at).mean[0, 2:], expected)
        both.shift_logits(-shift)
