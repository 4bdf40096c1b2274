"""Every core function keeps to the device of what it is given.

Where there is a GPU, its results are held against the CPU's. Everywhere, the same functions are run with another
default device than that of their arguments: a tensor that is made without saying where would not fit the others.
"""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from scorewise import lanczos, parameterisation
from scorewise.assumed import constant_flow, constant_v, covariance, edm, erd, min_snr, p2, sigmoid, snr, weight
from scorewise.control_variate import antithetic_loss, control_variate_loss
from scorewise.coupling import coupling, slope
from scorewise.covariance import Blocks, Covariance, Dense, Diagonal, Simplex, Spectral, Symmetric, clipped
from scorewise.descent import Path
from scorewise.empirical import bracket, exact
from scorewise.estimate import Estimate
from scorewise.form import Full, Pure, Sliced, random_directions
from scorewise.head import CovarianceHead, LevelHead, VarianceHead, second_moment_loss
from scorewise.jacobian import jacobian_covariance, jacobian_diagonal, jacobian_trace
from scorewise.localisation import fit_intervals
from scorewise.location import GeneralizedNormal, Laplace, Logistic, MultivariateT, StudentT, Uniform
from scorewise.memory import memorised_variance, window
from scorewise.noise import Draw, Gaussian, LocationScale
from scorewise.optimism import covariance_penalty, extrapolation, row_weights, snapshot_optimism
from scorewise.parameterisation import convert
from scorewise.posterior import Mixture, gaussian, mixture, negative_log_likelihood
from scorewise.record import Record, Seen
from scorewise.regression import lift, localise, project, radius, score
from scorewise.schedule import cosine, discrete, flow, ou, ve, vp
from scorewise.shallow import TwoLayer
from scorewise.spectrum import flow as flow_decay
from scorewise.spectrum import from_quadrature, risk
from scorewise.stopping import discrepancy, gcv, geometric_steps, held_out, rademacher, sharp, sure
from scorewise.tangent import empirical_kernel, hidden_kernel, kernel_operator, output_kernel, tangent_kernel
from scorewise.target import Target, centred_label
from scorewise.watch import extrapolated, penalised, reached, watch
from scorewise.weighting import (
    from_rows,
    gaussian_weight,
    heuristic,
    heuristic_estimate,
    level_means,
    per_level,
    precision_bounds,
    regularised,
    scalar,
)

Place = Callable[..., Tensor]
"""Random numbers of a shape and a seed, the same on every device."""


def _place(device: str) -> Place:
    def numbers(*shape: int, seed: int = 0) -> Tensor:
        generator = torch.Generator("cpu").manual_seed(seed)
        return torch.randn(*shape, generator=generator, dtype=torch.float64, device="cpu").to(device)

    return numbers


def _times(place: Place) -> Tensor:
    return place(5, seed=9).sigmoid() * 0.8 + 0.1


def _draw(place: Place) -> Draw:
    x = place(5, 2)
    return Draw(x, x + place(5, 2, seed=1), _times(place), (place(5) * 0).long())


def _mixture(place: Place) -> Mixture:
    roots = place(3, 2, 2)
    return mixture(place(3).softmax(0), place(3, 2), roots @ roots.mT + torch.diag_embed(place(3, 2).exp()), ou())


def _schedules(place: Place) -> list[Tensor]:
    t = _times(place)
    table = discrete(place(20).sigmoid())
    smooth = [f for s in (ve(), vp(), cosine(), ou(), flow()) for f in (s.alpha(t), s.sigma(t), s.log_snr_rate(t))]
    return [*smooth, table.alpha((10 * t).long())]


def _noises(place: Place) -> list[Tensor]:
    draw, found = _draw(place), []
    kinds: list[LocationScale] = [
        Gaussian(ou()),
        Laplace(),
        Logistic(vp()),
        StudentT(4),
        MultivariateT(4),
        GeneralizedNormal(3),
        Uniform(),
    ]
    for noise in kinds:
        found.append(noise.log_prob(draw.x_t, draw.x, draw.t))
        generator = torch.Generator(draw.x.device).manual_seed(0)
        assert torch.isfinite(noise.draw(draw.x, draw.t, generator).x_t).all()
        if noise.max_order > 0:
            found.append(heuristic(noise, draw.t, 2))
    return found


def _covariances(place: Place) -> list[Tensor]:
    root, v = place(5, 2, 2), place(5, 2, seed=1)
    matrix = root @ root.mT + torch.diag_embed(v.exp())
    kinds: list[Covariance] = [
        Diagonal(v.exp()),
        Spectral(torch.linalg.qr(root).Q, v.exp()),
        Dense(matrix),
        Symmetric(Dense(matrix), 2, 1),
        clipped(root, v[:, 0].exp(), 2 * v[:, 0].exp()),
        scalar(Dense(matrix)),
        regularised(Dense(matrix), v[:, 0].exp()),
        gaussian_weight(torch.linalg.qr(root[0]).Q, v[0].exp(), v[:, 0].exp()),
        Blocks([Simplex(v[:, None].log_softmax(-1))], [(1, 2)]).affine(v[:, 0].exp(), v[:, 0].exp()),
    ]
    questions = []
    for cov in kinds:
        questions += [cov @ v, cov.solve(v), cov.diag, cov.trace, cov.inverse_trace, cov.logdet, cov.matrix_form()]
        questions.append(cov.whiten(v).square().sum(1))
    return questions


def _targets(place: Place) -> list[Tensor]:
    draw, found = _draw(place), []
    directions = random_directions(3, draw.x, torch.Generator(draw.x.device).manual_seed(0)) * 0 + place(3, 2)
    posterior = _mixture(place)
    for form in (Full(), Pure(), Sliced(directions)):
        for order in (1, 2, 3, 4):
            target = Target(Gaussian(ou()), order, form)
            belief = target.belief_of_mixture(posterior, draw.x_t, draw.t)
            found += [target.label(draw), belief.mean, belief.cov.diag]
            found.append(Target(Logistic(), min(order, 3), form).label(draw))
        found.append(centred_label(StudentT(4), draw, draw.x, form))
    target = Target(Gaussian(), 2)
    found += [
        f(lambda x, t: x[:, :, None] * x[:, None].sin(), target, draw) for f in (control_variate_loss, antithetic_loss)
    ]
    return found


def _posteriors(place: Place) -> list[Tensor]:
    draw, found = _draw(place), []
    rows = torch.cat([draw.x, place(40, 2, seed=3)])
    root = place(2, 2)
    closed = gaussian(place(2), root @ root.mT, flow())
    for denoiser in (
        closed,
        _mixture(place),
        exact(rows),
        exact(rows, Laplace(), Diagonal),
        jacobian_covariance(closed, flow()),
    ):
        posterior = denoiser(draw.x_t, draw.t)
        found += [posterior.mean, posterior.cov.diag, negative_log_likelihood(posterior, draw.x)]
    sample = exact(rows, Gaussian())
    label = sample.belief(Target(Gaussian(), 2).label, draw.x_t, draw.t)
    found += [label.mean, label.cov.diag, sample.leave_one_out(draw).mean, sample.effective_size(draw.x_t, draw.t)]
    found += [sample.log_prob(draw.x_t, draw.t), from_rows(sample)(draw.x_t, draw.t).diag]
    generator = torch.Generator(rows.device).manual_seed(0)
    sides = bracket(rows, Gaussian(), draw.t[0], generator, 10)
    traces = [f(closed, flow(), draw.x_t, draw.t, 3, generator).value for f in (jacobian_trace, jacobian_diagonal)]
    assert all(torch.isfinite(value).all() for value in (sides.lower.value, sides.upper.se, *traces))
    return found


def _weights(place: Place) -> list[Tensor]:
    draw, found = _draw(place), []
    labels = [
        make(ou())
        for make in (
            parameterisation.clean,
            parameterisation.score,
            parameterisation.epsilon,
            parameterisation.velocity,
            parameterisation.flow_velocity,
            lambda schedule: parameterisation.edm(0.5, schedule),
        )
    ]
    for label in labels:
        found += [label.label(draw), convert(label.label(draw), label, labels[0], draw.x_t, draw.t)]
        for assumed in (snr(), edm(1), min_snr(), p2(), sigmoid(), constant_v(), constant_flow()):
            found.append(weight(assumed, label, draw.t))
        found.append(covariance(erd(parameterisation.velocity), label, draw.x_t, draw.t).diag)
    generator = torch.Generator(draw.x.device).manual_seed(0)
    levels = torch.cat([draw.t[:1] * 0 + 0.1, draw.t[:1] * 0 + 1])
    means = level_means(gaussian(draw.x[0], torch.diag(draw.x[1].exp())), Gaussian(), draw.x, levels, generator)
    estimate = heuristic_estimate(Target(Gaussian(), 2), draw.x, draw.t[0], 2, generator)
    assert torch.isfinite(estimate.value)
    found.append(per_level(means)(draw.x_t, draw.t).diag)
    found += precision_bounds(torch.diag(draw.x[0].exp()), torch.diag(draw.x[1].exp()), draw.t, draw.t)
    return found


def _heads(place: Place) -> list[Tensor]:
    draw, found = _draw(place), []
    for head in (LevelHead(ou()), VarianceHead(2, ou()), VarianceHead(2, ou(), True), CovarianceHead(2, ou())):
        moved = head.to(draw.x.device, torch.float64)
        with torch.no_grad():
            for p in moved.parameters():
                p.copy_(place(p.numel()).reshape(p.shape) * 0.1)
        cov = moved(draw.x_t, draw.t)
        found.append(cov.diag.detach())
    found.append(second_moment_loss(cov, draw.x).detach())
    return found


def _network(place: Place) -> TwoLayer:
    with place(1).device:  # as modules do, it is made on the default device
        network = TwoLayer(4, 2, 6, train_output=True, dtype=torch.float64)
    with torch.no_grad():
        network.hidden.copy_(place(6, 4))
        network.signs.copy_(place(2, 6).sign())
    return network


def _kernels(place: Place) -> list[Tensor]:
    draw = _draw(place)
    inputs = lift(draw.x_t, draw.t)
    found = [hidden_kernel(inputs, inputs), output_kernel(inputs, inputs), score(draw.x, draw.x_t, draw.t, draw.t)]
    ball = localise(lambda x_t, t: x_t, lambda t: radius(t, t, 1.0, 2, 0.1), 1.0)
    found += [project(draw.x, 1.0), ball(draw.x_t, draw.t)]
    network = _network(place)
    gram = empirical_kernel(network, [inputs])
    operator, steps = kernel_operator(network, [inputs]), geometric_steps(50, 5, draw.x.device)
    cov = Diagonal(place(5, 2).exp())
    found += [gram, operator(place(10)), lanczos.top_eigenvalues(operator, place(10), 2, 5).values]
    labels = lanczos.measure(operator, place(1, 10), 10)
    noise = lanczos.measure(operator, place(2, 10), 10)
    spectra = [from_quadrature(labels, noise, 10)]
    for kernel in (tangent_kernel(inputs, inputs), gram):
        path = Path(kernel, draw.x, cov)
        clusters = path.cluster_levels(draw.x, (torch.arange(5, device="cpu") // 2).to(draw.x.device))
        spectra += [path.spectrum(path.levels(cov)), path.spectrum(clusters.total)]
        found.append(path.predict(kernel[:3], 0.5 / float(path.values.max()), steps))
    for spectrum in spectra:
        rate = 0.5 / float(spectrum.values.max())
        for rule in (sure, sharp, rademacher, gcv, discrepancy):
            stop = rule(spectrum, rate, steps)
            found += [stop.risk, stop.variance]
        found.append(risk(spectrum, spectrum.squares, rate, steps, flow_decay))
    found.append(held_out(steps, place(len(steps), 4).square()).risk)
    covariances = [lambda i: Diagonal(torch.ones_like(draw.x[i])), lambda i: Diagonal(cov.variance[i])]
    local = fit_intervals(tangent_kernel, inputs, draw.x, draw.t, *covariances, 2, last=50)
    found.append(local(inputs, draw.t))
    for one in coupling(network, inputs, draw.x, cov, tangent_kernel(inputs, inputs), 1e-3, [1, 3]):
        found.append(draw.t[:1] * 0 + one.limit)
    found.append(slope(draw.t, draw.t.square()))
    return found


def _trainings(place: Place) -> list[Tensor]:
    rows, network = place(8, 2), _network(place)
    weight = row_weights(8, share=0.25, generator=torch.Generator("cpu").manual_seed(0)).to(rows.device)
    record = Record(extrapolation(weight))

    def residual(call: Callable[..., Tensor], row: Tensor, generator: torch.Generator) -> Tensor:
        x = rows[row]
        return call(lift(x, x[:, 0])) - x + 0 * torch.rand(1, generator=generator, dtype=x.dtype, device=x.device)

    def optimism() -> Estimate:
        generator = torch.Generator(rows.device).manual_seed(0)
        sizes = [torch.ones_like(p) for p in network.parameters()]
        return snapshot_optimism(network, residual, 8, sizes, generator, 8)

    def seen() -> Iterator[Seen]:
        for step in range(40):
            yield Seen(place(8).argsort(), place(8, seed=step).square(), place(8, seed=step + 50).square())

    found, guessed = [], penalised(optimism, 10)
    for verdict in watch(seen(), record, extrapolated):
        found += [verdict.stop.risk, reached(0.5)(record).stop.risk]
        assert torch.isfinite(guessed(record).stop.risk).all()  # a snapshot draws by the device's own generator
    found.append(covariance_penalty(rows, rows, 0.5))
    gram = tangent_kernel(lift(rows, rows[:, 0]), lift(rows, rows[:, 0]))
    found.append(place(1) * 0 + window(gram, place(8).argsort()).memorise)
    found.append(memorised_variance(place(3, 8), rows, 8))
    return found


CASES = [_kernels, _trainings, _schedules, _noises, _covariances, _targets, _posteriors, _weights]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__.strip("_"))
def test_nothing_is_made_on_the_default_device(case: Callable[[Place], list[Tensor]]) -> None:
    with torch.device("meta"):
        for value in case(_place("cpu")):
            assert value.device.type == "cpu"


@pytest.mark.parametrize("case", [*CASES, _heads], ids=lambda case: case.__name__.strip("_"))
def test_a_gpu_gives_what_the_cpu_gives(case: Callable[[Place], list[Tensor]]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU that CUDA sees")
    for one, other in zip(case(_place("cuda")), case(_place("cpu")), strict=True):
        assert one.device.type == "cuda"
        torch.testing.assert_close(one.cpu(), other, rtol=1e-6, atol=1e-8)
