"""Two denoisers of the same rows that share the noise levels: what is to be told apart differs with the level."""

from torch import Tensor, nn

from scorewise.difference import Differences
from scorewise.network import TableDenoiser
from scorewise.posterior import Posterior
from scorewise.principal import Principal


class Experts(nn.Module):
    """A denoiser for the levels from a border on, and another one below.

    At high levels a network finds out which columns go together, at small ones what two nearly equal numbers differ
    by. A network of all levels gives the second little of its capacity, and in the loss small levels have little
    weight, so a copy that is trained on them alone does better, and sampling takes no longer.

    Shape:
        Input: noisy rows (B, D), levels (B,) or (1,), all on one side of the border. Output: `Posterior` on shape (D,).

    Args:
        coarse: denoiser of the levels from the border on.
        fine: denoiser of the levels below, of the same layout.
        border: standard deviation of the noise.

    Raises:
        ValueError: if the layouts differ.

    Reference: Balaji et al., "eDiff-I: text-to-image diffusion models with an ensemble of expert denoisers", 2022,
    section 4.2 (a network split by the noise level and trained on).
    """

    def __init__(self, coarse: TableDenoiser, fine: TableDenoiser, border: float) -> None:
        super().__init__()
        if coarse.layout != fine.layout:
            raise ValueError(
                f"both denoisers must have one layout, however: {coarse.layout} and {fine.layout}. Copy one of them."
            )
        self.coarse, self.fine, self.border = coarse, fine, border

    @property
    def log_prior(self) -> Tensor:
        """Log-frequency of each slot of the categories, shape (slots,)."""
        return self.coarse.log_prior

    @property
    def differences(self) -> Differences:
        """What the networks are shown of pairs and sums of columns."""
        return self.coarse.differences

    @property
    def rows(self) -> Principal:
        """The moments of whole encoded rows."""
        return self.coarse.rows

    @property
    def features(self) -> int:
        """Number of features of a row that a network reads."""
        return self.coarse.features

    def shift_logits(self, shift: Tensor) -> None:
        """Make levels of categories more or less frequent in what is sampled; see `TableDenoiser.shift_logits`."""
        self.coarse.shift_logits(shift)
        self.fine.shift_logits(shift)

    def at(self, sigma_t: Tensor) -> TableDenoiser:
        """Give the denoiser that levels belong to.

        Args:
            sigma_t: levels, shape (B,).

        Returns:
            One of the two.

        Raises:
            ValueError: if the levels lie on both sides of the border.
        """
        below = sigma_t < self.border
        if bool(below.any()) and not bool(below.all()):
            raise ValueError(
                f"levels must lie on one side of {self.border:g}, however: from {float(sigma_t.min()):g} to "
                f"{float(sigma_t.max()):g}. Split the rows by their level, or take `coarse`."
            )
        return self.fine if bool(below.all()) else self.coarse

    def forward(self, x_t: Tensor, sigma_t: Tensor) -> Posterior:
        posterior: Posterior = self.at(sigma_t)(x_t, sigma_t)
        return posterior
