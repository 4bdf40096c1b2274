"""Weights of the loss, written as the covariances they assume. The default is EDM's, in the basis of the data."""

from torch import Tensor

from scorewise.covariance import Spectral


def gaussian_weight(basis: Tensor, variance: Tensor, sigma_t: Tensor) -> Spectral:
    """Conditional covariance of rows that are assumed Gaussian, `Cov[x|x_t] = U diag(lam s2 / (lam + s2)) U'`.

    Its inverse is the optimal weight for Gaussian rows. For `lam = sigma_data^2` in every direction it is EDM's
    weight `(sigma_data^2 + s2) / (sigma_data^2 s2)`; here every principal direction has a variance of its own, so
    that the small differences between strongly correlated columns count as much as the columns themselves.

    Args:
        basis: principal directions U, shape (D, D).
        variance: variances lam along them, shape (D,).
        sigma_t: noise levels, shape (B,).

    Returns:
        The covariances, B of them.

    Reference: Karras et al., "Elucidating the design space of diffusion-based generative models", 2022, Table 1.
    """
    s2 = sigma_t[:, None].square()
    return Spectral(basis, variance * s2 / (variance + s2))
