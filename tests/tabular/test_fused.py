import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from scorewise.covariance import Blocks, Simplex
from scorewise.difference import REACH
from scorewise.experts import Experts
from scorewise.network import ABSENT, LEAST_LOG_ODDS, Group, Layout, Moments, TableDenoiser
from scorewise.posterior import Posterior
from scorewise.tabular.fused import Fused, fastest
from scorewise.train import loss

LAYOUTS = {
    "numbers and categories": Layout(4, (Group(2, 3), Group(1, 11))),
    "one number": Layout(1, ()),
    "no numbers": Layout(0, (Group(3, 2), Group(1, 5))),
}
LEVELS = (4.0, 0.7, 0.1, 0.002)


def _moments(layout: Layout, bins: int = 7) -> Moments:
    generator = torch.Generator().manual_seed(0)
    n, slots = layout.numbers, layout.slots
    root = torch.randn(n, n, generator=generator)
    covariance = root @ root.T / max(n, 1) + 0.1 * torch.eye(n)
    prior = torch.rand(slots, generator=generator).clamp(min=1e-3).log()
    if slots:
        prior[-1] = ABSENT
    inner = torch.randn(n, bins - 1, generator=generator).sort(1).values
    far = torch.full((n, 1), 40.0)
    values = (torch.linspace(-REACH, REACH, 301).double().repeat(n, 1) + 0.2).exp()
    several = n > 2
    sums = torch.tensor([[0], [1], [2]]) if several else torch.zeros(3, 0, dtype=torch.int64)
    signs = torch.tensor([[1.0], [-1.0], [1.0]]) if several else torch.zeros(3, 0)
    mean = torch.randn(n, generator=generator)
    return Moments(mean, covariance, prior, torch.cat([-far, inner, far], 1), values, sums, signs)


def _network(layout: Layout, seed: int = 0) -> TableDenoiser:
    generator = torch.Generator().manual_seed(seed)
    network = TableDenoiser(layout, _moments(layout), 16, 2, generator)
    torch.nn.init.normal_(network.outlet.weight, std=0.7, generator=generator)
    if layout.slots:
        with torch.no_grad():  # of the slot that no level uses: as likely as others, where nothing keeps it out
            network.outlet.bias[layout.width - 1] = -LEAST_LOG_ODDS
    return network


def _batch(layout: Layout, rows: int = 300) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    numbers = torch.randn(rows, layout.numbers, generator=generator)
    levels = [
        torch.nn.functional.one_hot(
            torch.randint(0, group.slots - 1, (rows, group.members), generator=generator), group.slots
        ).flatten(1)
        for group in layout.groups
    ]
    clean = torch.cat([numbers, *levels], 1).float()
    sigma_t = torch.logspace(-2.7, 0.6, rows)
    return clean, clean + sigma_t[:, None] * torch.randn(clean.shape, generator=generator), sigma_t


def _parts(posterior: Posterior) -> list[Tensor]:
    margins = posterior.margins
    assert isinstance(posterior.cov, Blocks)
    assert margins is not None
    logs = [part.log_p for part in posterior.cov.parts if isinstance(part, Simplex)]
    return [posterior.mean, *logs, margins.log_evidence, margins.mean, margins.mass, margins.probabilities]


def _gradients(denoiser: torch.nn.Module, network: TableDenoiser, batch: tuple[Tensor, Tensor, Tensor]) -> list[Tensor]:
    clean, x_t, sigma_t = batch
    losses = loss(denoiser(x_t, sigma_t), clean)
    weights = torch.linspace(0.5, 2, len(clean)).to(clean)
    objective = losses.numbers + losses.categories + losses.margins
    return list(torch.autograd.grad((objective * weights).sum(), list(network.parameters())))


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> Layout:
    return LAYOUTS[request.param]


@pytest.mark.parametrize("level", [None, *LEVELS])
def test_beliefs_are_those_of_the_network(layout: Layout, level: float | None) -> None:
    network = _network(layout)
    clean, x_t, sigma_t = _batch(layout)
    if level is not None:  # one for all rows
        x_t, sigma_t = clean + level * (x_t - clean) / sigma_t[:, None], torch.tensor([level])
    with torch.no_grad():
        exact = _parts(copy.deepcopy(network).double()(x_t.double(), sigma_t.double()))
        found, passes = _parts(Fused(network)(x_t, sigma_t)), _parts(network(x_t, sigma_t))
    for mine, theirs, right in zip(found, passes, exact, strict=True):
        assert mine.shape == right.shape
        assert mine.dtype == torch.float32
        if right.numel():
            assert float((mine - right).abs().max()) < 10 * float((theirs - right).abs().max()) + 1e-5


def test_differences_of_numbers_that_no_float_holds_the_square_of_are_those_of_the_network() -> None:
    layout = Layout(3, ())
    moments = _moments(layout)
    values = moments.values * torch.tensor([[1e300], [1.0], [1e30]], dtype=torch.float64)
    network = TableDenoiser(layout, moments._replace(values=values), 16, 2, torch.Generator().manual_seed(0))
    _, x_t, sigma_t = _batch(layout)
    read: list[Tensor] = []
    network.inlet.register_forward_hook(lambda _, inputs, __: read.append(inputs[0]))
    Fused(network)(x_t, sigma_t)
    network(x_t, sigma_t)
    torch.testing.assert_close(*read, atol=1e-5, rtol=1e-4)
    assert float(read[0].abs().max()) > 20  # half a logarithm of 1e18 or more


def test_gradients_of_parameters_are_those_of_the_network(layout: Layout) -> None:
    network, batch = _network(layout), _batch(layout)
    clean, x_t, sigma_t = (part.double() for part in batch)
    twin = copy.deepcopy(network).double()
    exact = _gradients(twin, twin, (clean, x_t, sigma_t))
    for mine, theirs in zip(_gradients(Fused(network), network, batch), exact, strict=True):
        assert float((mine - theirs).norm()) < 2e-5 * float(theirs.norm()) + 1e-7


def test_gradients_of_means_are_those_of_the_network() -> None:
    layout = LAYOUTS["numbers and categories"]  # training learns categories from log-probabilities alone
    network = _network(layout)
    _, x_t, sigma_t = _batch(layout)
    twin = copy.deepcopy(network).double()
    along = torch.randn(x_t.shape, generator=torch.Generator().manual_seed(3))
    pairs = (Fused(network)(x_t, sigma_t), network), (twin(x_t.double(), sigma_t.double()), twin)
    mine, theirs = (torch.autograd.grad((p.mean * along).sum(), list(own.parameters())) for p, own in pairs)
    for one, other in zip(mine, theirs, strict=True):
        assert float((one - other).norm()) < 2e-5 * float(other.norm()) + 1e-7


def test_there_are_no_second_derivatives() -> None:
    network = _network(LAYOUTS["one number"])
    _, x_t, sigma_t = _batch(LAYOUTS["one number"])
    mean = Fused(network)(x_t, sigma_t).mean.sum()
    (first,) = torch.autograd.grad(mean, network.outlet.bias, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        torch.autograd.grad(first.sum(), network.outlet.bias)


def test_an_evaluation_in_bfloat16_is_that_of_the_network() -> None:
    layout = LAYOUTS["numbers and categories"]
    network = _network(layout)
    _, x_t, sigma_t = _batch(layout)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found, same = Fused(network)(x_t, sigma_t), network(x_t, sigma_t)
    assert found.mean.dtype == same.mean.dtype == torch.float32
    apart = (found.mean - same.mean).abs()
    assert float(apart.mean()) < 2e-3
    assert float(apart.max()) < 0.1


def test_rows_in_any_strides_will_do() -> None:
    layout = LAYOUTS["numbers and categories"]
    network = Fused(_network(layout))
    _, x_t, sigma_t = _batch(layout)
    torch.testing.assert_close(network(x_t.T.contiguous().T, sigma_t).mean, network(x_t, sigma_t).mean)


def test_rows_are_independent_of_one_another() -> None:
    layout = LAYOUTS["numbers and categories"]
    network = Fused(_network(layout))
    _, x_t, sigma_t = _batch(layout)
    x_t[7] = torch.nan
    mean = network(x_t, sigma_t).mean
    assert bool(mean[7].isnan().all())
    assert bool(mean[:7].isfinite().all())
    assert bool(mean[8:].isfinite().all())


def test_parameters_that_are_not_finite_show_in_the_loss(layout: Layout) -> None:
    network = _network(layout)
    clean, x_t, sigma_t = _batch(layout)
    with torch.no_grad():
        network.inlet.bias[0] = torch.nan
    losses = loss(Fused(network)(x_t, sigma_t), clean)
    assert bool(losses.objective.isnan().all())


def test_a_network_elsewhere_or_in_other_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match=r"on a CPU and in float32, however: cpu, torch\.float64"):
        Fused(_network(LAYOUTS["one number"]).double())


def test_rows_that_need_a_derivative_are_refused() -> None:
    _, x_t, sigma_t = _batch(LAYOUTS["one number"])
    network = Fused(_network(LAYOUTS["one number"]))
    with pytest.raises(ValueError, match=r"need no derivative, however.*requires_grad=True"):
        network(x_t.requires_grad_(), sigma_t)
    with pytest.raises(ValueError, match=r"in float32.*torch\.float64"):
        network(x_t.detach().double(), sigma_t.double())


def test_rows_and_labels_of_other_widths_are_refused() -> None:
    layout = LAYOUTS["numbers and categories"]
    network = Fused(_network(layout))
    clean, x_t, sigma_t = _batch(layout)
    with pytest.raises(ValueError, match=rf"have {layout.width} coordinates.*\(300, {layout.width - 1}\)"):
        network(x_t[:, 1:].contiguous(), sigma_t)
    margins = network(x_t, sigma_t).margins
    assert margins is not None
    with pytest.raises(ValueError, match=r"shape \(300, 4\), however: \(300, 3\)"):
        margins.cross_entropy(clean[:, :3])


@pytest.mark.parametrize("place", [-1, 4])
def test_differences_of_numbers_that_are_not_there_are_refused(place: int) -> None:
    network = _network(LAYOUTS["numbers and categories"])
    network.differences.pairs[0, 0] = place
    with pytest.raises(ValueError, match="must be of numbers that there are"):
        Fused(network)


def test_the_fastest_form_of_experts_asks_the_one_that_levels_belong_to() -> None:
    layout = LAYOUTS["numbers and categories"]
    network = Experts(_network(layout, 0), _network(layout, 1), 0.5)
    _, x_t, _ = _batch(layout)
    for level, expert in ((1.0, network.coarse), (0.1, network.fine)):
        t = torch.tensor([level])
        torch.testing.assert_close(fastest(network)(x_t, t).mean, expert(x_t, t).mean, atol=3e-4, rtol=0)


def test_a_network_that_cannot_be_fused_is_its_own_fastest_form() -> None:
    network = _network(LAYOUTS["one number"]).double()
    assert fastest(network) is network


def test_loops_that_another_process_compiled_are_the_same_to_the_bit(tmp_path: Path) -> None:
    program = """
import sys, torch
from scorewise.tabular.fused import Fused
from test_fused import LAYOUTS, _batch, _gradients, _network, _parts

layout = LAYOUTS["numbers and categories"]
network, batch = _network(layout), _batch(layout)
fused = Fused(network)
torch.save([part.detach() for part in (*_parts(fused(*batch[1:])), *_gradients(fused, network, batch))], sys.argv[1])
"""
    folders = (str(Path(__file__).parent), os.environ.get("PYTHONPATH", ""))
    env = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "kept"), "PYTHONPATH": os.pathsep.join(folders)}
    compiled, loaded = tmp_path / "compiled", tmp_path / "loaded"
    for out in (compiled, loaded):
        subprocess.run([sys.executable, "-c", program, str(out)], env=env, check=True)
    assert any((tmp_path / "kept").rglob("*.nbc"))
    for one, other in zip(torch.load(compiled), torch.load(loaded), strict=True):
        assert torch.equal(one, other)
