import pytest
import torch

from scorewise.covariance import Blocks, Diagonal, Simplex, Spectral
from scorewise.difference import REACH
from scorewise.network import ABSENT, Group, Layout, Moments, TableDenoiser, softmax
from scorewise.posterior import gaussian
from scorewise.principal import Principal

LAYOUT = Layout(2, (Group(1, 2), Group(2, 3)))


def _moments() -> Moments:
    covariance = torch.tensor([[1.0, 0.8], [0.8, 1.0]])
    prior = torch.tensor([0.3, 0.7, 0.2, 0.5, 0.3, 0.4, 0.6, 0.0]).log()
    edges = torch.tensor([[-40.0, -0.5, 0.1, 40.0], [-40.0, 0.0, 1.0, 40.0]])
    values = torch.linspace(-REACH, REACH, 101).double().repeat(2, 1)
    return Moments(torch.tensor([0.1, -0.2]), covariance, prior.clamp(min=ABSENT), edges, values)


def _network() -> TableDenoiser:
    return TableDenoiser(LAYOUT, _moments(), 16, 2, torch.Generator().manual_seed(0))


def test_it_starts_as_the_exact_denoiser_of_independent_normal_numbers_and_categories() -> None:
    generator = torch.Generator().manual_seed(1)
    sigma_t = torch.tensor([0.3, 0.8, 2.0])
    x_t = torch.randn(3, LAYOUT.width, generator=generator)
    posterior = _network()(x_t, sigma_t)
    numbers = gaussian(torch.zeros(2), torch.eye(2))(x_t[:, :2], sigma_t)
    torch.testing.assert_close(posterior.mean[:, :2], numbers.mean, atol=1e-5, rtol=0)
    logits = x_t[:, 4:7] / sigma_t[:, None] ** 2 + _moments().log_prior[2:5]
    torch.testing.assert_close(posterior.mean[:, 4:7], logits.softmax(1))


def test_posterior_is_made_of_one_spectral_and_one_simplex_per_group() -> None:
    posterior = _network()(torch.zeros(4, LAYOUT.width), torch.ones(4))
    assert isinstance(posterior.cov, Blocks)
    assert [type(part) for part in posterior.cov.parts] == [Spectral, Simplex, Simplex]
    assert posterior.mean.shape == posterior.cov.diag.shape == (4, LAYOUT.width)


def test_margins_are_beliefs_about_the_numbers_and_their_mean_is_corrected() -> None:
    network = _network()
    x_t, sigma_t = torch.zeros(3, LAYOUT.width), torch.tensor([0.1, 1.0, 10.0])
    torch.nn.init.normal_(network.outlet.weight, generator=torch.Generator().manual_seed(0))
    posterior = network(x_t, sigma_t)
    assert posterior.margins is not None
    assert posterior.margins.probabilities.shape == (3, 2, 3)
    assert not torch.allclose(posterior.margins.mean, posterior.mean[:, :2])
    with torch.no_grad():
        network.outlet.weight[:2] = 0
    posterior = network(x_t, sigma_t)
    assert posterior.margins is not None
    torch.testing.assert_close(posterior.margins.mean, posterior.mean[:, :2])


def test_shifted_logits_tilt_the_posterior_at_every_level() -> None:
    network, shift = _network(), torch.tensor([0.0, 0.5, 0.0, -0.3, 1.0, 0.0, 0.0, 0.0])
    sigma_t = torch.tensor([0.3, 0.8, 20.0])
    x_t = torch.randn(3, LAYOUT.width, generator=torch.Generator().manual_seed(1))
    before = network(x_t, sigma_t).mean
    network.shift_logits(shift)
    after = network(x_t, sigma_t).mean
    torch.testing.assert_close(after[:, :2], before[:, :2])
    tilted = before[:, 4:7] * shift[2:5].exp()
    torch.testing.assert_close(after[:, 4:7], tilted / tilted.sum(1, keepdim=True))


def test_slots_that_no_level_uses_have_no_mass() -> None:
    posterior = _network()(torch.full((1, LAYOUT.width), 3.0), torch.tensor([0.2]))
    assert float(posterior.mean[0, -1].detach()) == 0.0


def test_no_slot_is_so_unlikely_that_exp_is_slow() -> None:
    posterior = _network()(torch.randn(50, LAYOUT.width, generator=torch.Generator().manual_seed(0)), torch.ones(50))
    assert isinstance(posterior.cov, Blocks)
    for part in posterior.cov.parts[1:]:
        assert isinstance(part, Simplex)
        assert float(part.log_p.detach().min()) > -45  # of padding, too


def test_probabilities_sum_to_one_at_all_levels() -> None:
    sigma_t = torch.tensor([0.002, 0.1, 80.0])
    x_t = torch.randn(3, LAYOUT.width, generator=torch.Generator().manual_seed(0)) * sigma_t[:, None]
    mean = _network()(x_t, sigma_t).mean
    torch.testing.assert_close(mean[:, 4:7].sum(1), torch.ones(3))
    assert torch.isfinite(mean).all()


@pytest.mark.parametrize("layout", [Layout(0, (Group(2, 3),)), Layout(3, ())])
def test_tables_of_categories_alone_or_numbers_alone(layout: Layout) -> None:
    n = layout.numbers
    edges, values = torch.tensor([[-40.0, 0.0, 40.0]]).repeat(n, 1), torch.zeros(n, 101, dtype=torch.float64)
    moments = Moments(torch.zeros(n), torch.eye(n), torch.full((layout.slots,), -1.1), edges, values)
    network = TableDenoiser(layout, moments, 16, 1, torch.Generator().manual_seed(0))
    assert network(torch.zeros(2, layout.width), torch.ones(2)).mean.shape == (2, layout.width)


def test_moments_must_fit() -> None:
    wrong = _moments()._replace(mean=torch.zeros(3))
    with pytest.raises(ValueError, match=r"fit the layout \(numbers=2, slots=8\), however: \{'mean': \(3,\)"):
        TableDenoiser(LAYOUT, wrong, 16, 1)


def test_its_derivative_with_respect_to_the_row_is_that_of_finite_differences() -> None:
    network = _network().double()
    torch.nn.init.normal_(network.outlet.weight, std=0.3, generator=torch.Generator().manual_seed(0))
    x_t = torch.randn(3, LAYOUT.width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    sigma_t = torch.tensor([0.4, 1.0, 3.0], dtype=torch.float64)

    def mean(x: torch.Tensor) -> torch.Tensor:
        return network(x, sigma_t).mean

    assert torch.autograd.gradcheck(mean, (x_t.requires_grad_(),), atol=1e-4)


def test_the_weight_of_the_loss_can_be_another_and_leaves_the_mean_alone() -> None:
    def flat(basis: torch.Tensor, variance: torch.Tensor, sigma_t: torch.Tensor) -> Diagonal:
        return Diagonal(torch.ones(len(sigma_t), len(variance)))

    x_t, sigma_t = torch.zeros(3, LAYOUT.width), torch.ones(3)
    other = TableDenoiser(LAYOUT, _moments(), 16, 2, torch.Generator().manual_seed(0), flat)
    network = _network()
    torch.nn.init.normal_(network.outlet.weight, generator=torch.Generator().manual_seed(0))
    other.load_state_dict(network.state_dict())
    posterior = other(x_t, sigma_t)
    assert torch.equal(posterior.cov.diag[:, :2], torch.ones(3, 2))
    assert torch.equal(posterior.mean, network(x_t, sigma_t).mean)


def test_softmax_is_torchs_however_large_the_logits_are() -> None:
    logits = 1e4 * torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found, expected = softmax(logits.requires_grad_()), (logits.softmax(-1), logits.log_softmax(-1))
    torch.testing.assert_close(found, expected)
    weight = torch.rand(5, 2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for one, other in zip(found, expected, strict=True):
        slopes = [torch.autograd.grad((weight * part).sum(), logits, retain_graph=True)[0] for part in (one, other)]
        torch.testing.assert_close(slopes[0], slopes[1])


def test_one_level_serves_all_rows() -> None:
    network = _network()
    torch.nn.init.normal_(network.outlet.weight, generator=torch.Generator().manual_seed(0))
    x_t = torch.randn(5, LAYOUT.width, generator=torch.Generator().manual_seed(1))
    for sigma in (0.01, 1.0, 50.0):
        one, each = network(sigma * x_t, torch.tensor([sigma])), network(sigma * x_t, torch.full((5,), sigma))
        torch.testing.assert_close(one.mean, each.mean, atol=1e-5, rtol=1e-5)
        assert one.margins is not None
        assert each.margins is not None
        torch.testing.assert_close(one.margins.probabilities, each.margins.probabilities, atol=1e-5, rtol=1e-5)


def test_rows_are_independent_unless_their_moments_are_known() -> None:
    rows = _network().rows
    priors = torch.cat([_moments().mean, _moments().log_prior.exp()])
    torch.testing.assert_close(rows.mean, priors)
    root = rows.noised(torch.eye(LAYOUT.width), 0.0) - rows.mean
    expected = torch.zeros(LAYOUT.width, LAYOUT.width)
    expected[:2, :2] = _moments().covariance
    torch.testing.assert_close(root.T @ root, expected, atol=1e-5, rtol=0)
    known = Principal(
        torch.ones(LAYOUT.width), torch.eye(LAYOUT.width)[:, :1], torch.ones(1), torch.zeros(()), torch.ones(())
    )
    network = TableDenoiser(LAYOUT, _moments()._replace(rows=known), 16, 2, torch.Generator().manual_seed(0))
    assert torch.equal(network.rows.mean, known.mean)
    narrow = Principal(torch.ones(3), torch.eye(3), torch.ones(3), torch.zeros(()), torch.ones(()))
    with pytest.raises(ValueError, match="moments must fit the layout"):
        TableDenoiser(LAYOUT, _moments()._replace(rows=narrow), 16, 2)
