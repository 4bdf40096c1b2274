"""The named weights: their published formulas, one conversion for every label, and what each is exact for."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from scorewise import parameterisation
from scorewise.assumed import (
    Assumed,
    constant,
    constant_flow,
    constant_v,
    covariance,
    edm,
    erd,
    learned,
    min_snr,
    p2,
    sigmoid,
    snr,
    weight,
)
from scorewise.head import LevelHead
from scorewise.noise import Gaussian
from scorewise.parameterisation import Parameterisation, convert
from scorewise.posterior import gaussian
from scorewise.schedule import Schedule, cosine, flow, ou, ve, vp

SCHEDULES = {"ve": ve(), "vp": vp(), "ou": ou(), "flow": flow()}
LABELS: dict[str, Callable[[Schedule], Parameterisation]] = {
    "clean": parameterisation.clean,
    "score": parameterisation.score,
    "epsilon": parameterisation.epsilon,
    "velocity": parameterisation.velocity,
    "flow velocity": parameterisation.flow_velocity,
    "edm": lambda schedule: parameterisation.edm(0.5, schedule),
}
NAMED: dict[str, Assumed] = {
    "constant": constant(parameterisation.clean),
    "snr": snr(),
    "edm": edm(0.5),
    "constant v": constant_v(),
    "constant flow": constant_flow(),
    "min-snr": min_snr(5),
    "p2": p2(1, 0.5),
    "sigmoid": sigmoid(2),
    "erd": erd(parameterisation.epsilon),
    "learned": learned(lambda t: t.sin(), parameterisation.velocity),
}
T = torch.tensor([0.02, 0.1, 0.4, 0.8], dtype=torch.float64)


@pytest.fixture(params=SCHEDULES, name="schedule")
def _schedule(request: pytest.FixtureRequest) -> Schedule:
    return SCHEDULES[request.param]


@pytest.fixture(params=NAMED, name="assumed")
def _assumed(request: pytest.FixtureRequest) -> Assumed:
    return NAMED[request.param]


class _Network(nn.Module):
    def __init__(self, seed: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(3, 8).double(), nn.Linear(8, 2).double()
        generator = torch.Generator().manual_seed(seed)
        for p in self.parameters():
            p.data = torch.randn(p.shape, generator=generator, dtype=torch.float64)

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        found: Tensor = self.outer(self.inner(torch.cat([x_t, t[:, None]], 1)).tanh())
        return found


@pytest.mark.parametrize("native", LABELS.values(), ids=LABELS)
def test_parameter_gradients_are_the_same_in_every_parameterisation(
    assumed: Assumed, schedule: Schedule, native: Callable[[Schedule], Parameterisation]
) -> None:
    # a network predicts one label; its output, converted to each other label, is weighed there
    network = _Network(0)
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    draw = Gaussian(schedule).draw(x, T, torch.Generator().manual_seed(2))
    gradients = []
    for make in LABELS.values():
        label = make(schedule)
        predicted = convert(network(draw.x_t, T), native(schedule), label, draw.x_t, T)
        loss = (weight(assumed, label, T) * (predicted - label.label(draw)).square().sum(1)).sum()
        gradients.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(network.parameters()))]))
    for other in gradients[1:]:
        assert float((other - gradients[0]).abs().max()) < 1e-10 * float(gradients[0].abs().max())


def test_a_weight_is_the_inverse_of_its_covariance(assumed: Assumed, schedule: Schedule) -> None:
    x_t = torch.randn(4, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for make in LABELS.values():
        cov = covariance(assumed, make(schedule), x_t, T)
        expected = weight(assumed, make(schedule), T) * x_t.square().sum(1)
        torch.testing.assert_close(cov.whiten(x_t).square().sum(1), expected)


def test_the_heuristic_in_every_parameterisation(schedule: Schedule) -> None:
    # theory 2.6, the column of heuristic weights
    alpha_t, sigma_t = schedule.alpha(T), schedule.sigma(T)
    h_t = sigma_t.square()
    c_out = sigma_t / alpha_t * 0.5 / (h_t / alpha_t**2 + 0.25).sqrt()
    expected = {
        "score": h_t,
        "epsilon": torch.ones_like(T),
        "clean": alpha_t**2 / h_t,
        "velocity": alpha_t**2 / (alpha_t**2 + h_t) ** 2,
        "edm": c_out**2 * alpha_t**2 / h_t,
        "flow velocity": alpha_t**2 / (alpha_t + sigma_t) ** 2,
    }
    for name, make in LABELS.items():
        torch.testing.assert_close(weight(snr(), make(schedule), T), expected[name])


def test_min_snr_is_that_of_its_paper_for_all_three_labels() -> None:
    # with v the published formula is min(SNR, gamma) / (SNR + 1), not min(SNR, gamma) / SNR
    for schedule in (vp(), cosine()):
        ratio = (schedule.alpha(T) / schedule.sigma(T)).square()
        cut = ratio.clamp(max=5)
        assert (ratio > 5).any()
        assert (ratio < 5).any()
        torch.testing.assert_close(weight(min_snr(5), parameterisation.clean(schedule), T), cut)
        torch.testing.assert_close(weight(min_snr(5), parameterisation.epsilon(schedule), T), cut / ratio)
        torch.testing.assert_close(weight(min_snr(5), parameterisation.velocity(schedule), T), cut / (ratio + 1))


def test_p2_and_sigmoid_are_those_of_their_papers_for_the_noise(schedule: Schedule) -> None:
    ratio = (schedule.alpha(T) / schedule.sigma(T)).square()
    label = parameterisation.epsilon(schedule)
    torch.testing.assert_close(weight(p2(2, 0.5), label, T), (2 + ratio) ** -0.5)
    torch.testing.assert_close(weight(p2(1, 0), label, T), torch.ones_like(T))
    torch.testing.assert_close(weight(sigmoid(2), label, T), torch.sigmoid(2 - ratio.log()))


@pytest.mark.parametrize(
    ("assumed", "label"),
    [
        (constant(parameterisation.clean), "clean"),
        (snr(), "epsilon"),
        (constant_v(), "velocity"),
        (constant_flow(), "flow velocity"),
        (edm(0.5), "edm"),
    ],
)
def test_constants_are_one_for_their_own_label(assumed: Assumed, label: str, schedule: Schedule) -> None:
    torch.testing.assert_close(weight(assumed, LABELS[label](schedule), T), torch.ones_like(T))


def test_edm_is_optimal_for_isotropic_gaussian_rows(schedule: Schedule) -> None:
    # B6, to 1e-10: EDM's weight is Cov[x|x_t]^-1 at every x_t
    x_t = torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rows = gaussian(torch.ones(3).double(), 0.25 * torch.eye(3).double(), schedule)
    found = weight(edm(0.5), parameterisation.clean(schedule), T)[:, None].expand(4, 3)
    torch.testing.assert_close(found, 1 / rows(x_t, T).cov.diag, rtol=1e-10, atol=0)
    sigma_t = T
    published = (sigma_t**2 + 0.25) / (sigma_t * 0.5) ** 2
    torch.testing.assert_close(weight(edm(0.5), parameterisation.clean(ve()), T), published, rtol=1e-10, atol=0)


def test_constant_v_is_optimal_for_unit_gaussian_rows_and_variance_preserving_noise() -> None:
    for schedule in (vp(), ou()):
        ratio = (schedule.alpha(T) / schedule.sigma(T)).square()
        found = weight(constant_v(), parameterisation.clean(schedule), T)
        torch.testing.assert_close(found, ratio + 1)
        torch.testing.assert_close(found, weight(edm(1), parameterisation.clean(schedule), T))


def test_erd_is_that_of_its_code_and_depends_on_the_label() -> None:
    # G1 and G2, up to constants, under a variance-preserving schedule
    schedule = cosine()
    alpha_t, sigma_t = schedule.alpha(T), schedule.sigma(T)
    code = {
        "clean": alpha_t,
        "epsilon": sigma_t,
        "velocity": 2**0.5 * alpha_t * sigma_t,
        "flow velocity": torch.ones_like(T),
    }
    on_clean = {"clean": alpha_t, "epsilon": alpha_t**2 / sigma_t, "velocity": 2**0.5 * alpha_t / sigma_t}
    for name, expected in code.items():
        label = LABELS[name](schedule)
        torch.testing.assert_close(weight(erd(LABELS[name]), label, T), expected)
        if name in on_clean:
            found = weight(erd(LABELS[name]), parameterisation.clean(schedule), T)
            torch.testing.assert_close(found, on_clean[name])


def test_a_learned_weight_is_edm2s_on_its_label_and_carries_no_gradient() -> None:
    head = LevelHead(ve()).double()
    nn.init.normal_(head.outlet.weight, generator=torch.Generator().manual_seed(0))
    f = LABELS["edm"]
    found = weight(learned(head.log_variance, f), f(ve()), T)
    torch.testing.assert_close(found, (-head.log_variance(T)).exp().detach())
    assert not found.requires_grad
    on_clean = weight(learned(head.log_variance, f), parameterisation.clean(ve()), T)
    torch.testing.assert_close(on_clean, found * (T**2 + 0.25) / (0.5 * T) ** 2)
