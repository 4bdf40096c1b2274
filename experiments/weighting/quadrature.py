"""Labels of a one-dimensional mixture under any noise, by quadrature: no sampling error."""

from typing import NamedTuple

import torch
from experiments.weighting.population import Population
from torch import Tensor

from scorewise.form import Pure
from scorewise.location import Laplace, Logistic, StudentT
from scorewise.noise import Draw, Gaussian, LocationScale
from scorewise.target import Target
from scorewise.weighting import heuristic

NOISES: dict[str, LocationScale] = {
    "Gaussian": Gaussian(),
    "logistic": Logistic(),
    "Student t, nu = 5": StudentT(5.0),
    "Laplace": Laplace(),
}


class Conditional(NamedTuple):
    """The label given the noisy row on a grid of noisy rows.

    Attributes:
        x_t: noisy rows, increasing, shape (G,).
        mass: probability of each, shape (G,), of sum 1.
        mean: `E[T_k | x_t]`, shape (G,).
        variance: `Var[T_k | x_t]`, shape (G,).
    """

    x_t: Tensor
    mass: Tensor
    mean: Tensor
    variance: Tensor


def time_of(noise: LocationScale, level: Tensor) -> Tensor:
    """Time at which the noise has the Fisher information of Gaussian noise of this standard deviation."""
    return level / heuristic(noise, torch.ones_like(level)[None], 1)[0].sqrt()


def conditional(
    population: Population, noise: LocationScale, level: Tensor, order: int = 1, grid: int = 801, nodes: int = 800
) -> Conditional:
    """Mean and variance of the label of an order, on a grid that is even near the rows and geometric in the tails."""
    assert population.closed is not None
    t = time_of(noise, level)
    x = torch.linspace(-4, 4, nodes, dtype=torch.float64)
    prior = population.closed.log_prob(x[:, None], torch.zeros_like(x)).softmax(0)
    reach = torch.linspace(-1, 1, grid, dtype=torch.float64)
    x_t = 4 * reach + 0.5 * level * torch.sinh(9 * reach)
    target = Target(noise, order, Pure())
    masses, means, variances = [], [], []
    for part in x_t.split(100):
        pairs = Draw(x.repeat(len(part))[:, None], part.repeat_interleave(nodes)[:, None], t.expand(len(part) * nodes))
        log_q = noise.log_prob(pairs.x_t, pairs.x, pairs.t).reshape(len(part), nodes)
        label = target.label(pairs).reshape(len(part), nodes)
        joint = log_q + prior.log()
        weight = joint.softmax(1)
        mean = (weight * label).sum(1)
        masses.append(joint.logsumexp(1).exp())
        means.append(mean)
        variances.append((weight * (label - mean[:, None]).square()).sum(1))
    density = torch.cat(masses)
    mass = density * torch.gradient(x_t)[0]
    return Conditional(x_t, mass / mass.sum(), torch.cat(means), torch.cat(variances))
