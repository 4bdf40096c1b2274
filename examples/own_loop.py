"""Your own training loop, with the regularised optimal weight in the place of a heuristic one.

The network predicts the noise, as yours may. The weight is the inverse of the covariance that the clean row has given
the noisy one: here from the rows themselves, which is exact for small tables and needs nothing to be trained.
"""

import torch
from torch import Tensor, nn

from scorewise.empirical import exact
from scorewise.noise import Gaussian
from scorewise.parameterisation import clean, convert, epsilon
from scorewise.schedule import ou
from scorewise.weighting import from_rows


def train(rows: Tensor, steps: int, gamma: float = 0.1, seed: int = 0) -> nn.Module:
    """Train a network that predicts the noise of `cat(x_t, t)`."""
    generator = torch.Generator().manual_seed(seed)
    network = nn.Sequential(nn.Linear(rows.shape[1] + 1, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2))
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    noise = Gaussian(ou())
    weight = from_rows(exact(rows, noise), gamma)
    for _ in range(steps):
        x = rows[torch.randint(len(rows), (256,), generator=generator)]
        t = 0.1 + 1.9 * torch.rand(len(x), generator=generator)
        draw = noise.draw(x, t, generator)
        predicted = network(torch.cat([draw.x_t, t[:, None]], 1))
        residual = x - convert(predicted, epsilon(ou()), clean(ou()), draw.x_t, t)
        loss = weight(draw.x_t, t).whiten(residual).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


if __name__ == "__main__":
    angles = torch.linspace(0, 2 * torch.pi, 500)
    rows = torch.stack([angles.cos(), (2 * angles).sin()], 1)  # a figure of eight
    network = train(rows, steps=300)
    t = torch.full((len(rows),), 0.5)
    draw = Gaussian(ou()).draw(rows, t, torch.Generator().manual_seed(1))
    with torch.no_grad():
        predicted = network(torch.cat([draw.x_t, t[:, None]], 1))
    found = convert(predicted, epsilon(ou()), clean(ou()), draw.x_t, t)
    best = exact(rows, Gaussian(ou()))(draw.x_t, t).mean
    error = float((found - best).square().mean() / (rows - best).square().mean())
    print(f"squared distance to the exact denoiser, in units of its own error: {error:.3f}")
