"""The weights of the literature for a scheduler of the kind that diffusers has, whatever it predicts.

Such a scheduler holds `alphas_cumprod` and `config.prediction_type`. The weight of Min-SNR, say, is one thing for the
noise and another for v; here the label is looked up once, and one conversion does the rest.
"""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from scorewise.assumed import Assumed, min_snr, p2, snr, weight
from scorewise.parameterisation import clean, epsilon, velocity
from scorewise.schedule import discrete

LABELS = {"epsilon": epsilon, "v_prediction": velocity, "sample": clean}


def loss_weight(scheduler: Any, timesteps: Tensor, assumed: Assumed) -> Tensor:
    """Weigh the squared error of what the network predicts at these steps, shape (B,)."""
    label = LABELS[scheduler.config.prediction_type](discrete(scheduler.alphas_cumprod))
    return weight(assumed, label, timesteps)


if __name__ == "__main__":
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    timesteps = torch.tensor([10, 250, 500, 900])
    for prediction_type in LABELS:
        scheduler = SimpleNamespace(
            alphas_cumprod=(1 - betas).cumprod(0), config=SimpleNamespace(prediction_type=prediction_type)
        )
        for name, assumed in (("SNR", snr()), ("Min-SNR-5", min_snr(5.0)), ("P2", p2())):
            weights = "  ".join(f"{w:10.4g}" for w in loss_weight(scheduler, timesteps, assumed).tolist())
            print(f"{prediction_type:>12}  {name:>9}  {weights}")
