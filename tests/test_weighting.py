import torch

from scorewise.posterior import gaussian
from scorewise.weighting import gaussian_weight

SIGMAS = torch.tensor([0.01, 0.3, 5.0], dtype=torch.float64)


def test_equal_variances_give_edms_weight() -> None:
    sigma_data = 0.5
    weight = gaussian_weight(torch.eye(2).double(), torch.full((2,), sigma_data**2).double(), SIGMAS)
    edm = (SIGMAS**2 + sigma_data**2) / (SIGMAS * sigma_data) ** 2
    torch.testing.assert_close(1 / weight.diag, edm[:, None].expand(3, 2), rtol=1e-12, atol=0)


def test_it_is_the_covariance_of_the_gaussian_denoiser() -> None:
    root = torch.randn(3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    covariance = root @ root.T
    variance, basis = torch.linalg.eigh(covariance)
    weight = gaussian_weight(basis, variance, SIGMAS)
    posterior = gaussian(torch.zeros(3).double(), covariance)(torch.zeros(3, 3).double(), SIGMAS)
    v = torch.randn(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(weight @ v, posterior.cov @ v)
