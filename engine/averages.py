"""Averages of generator and encoder over their training, which render in their place."""

from __future__ import annotations

from torch.optim.swa_utils import get_ema_multi_avg_fn

from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.models.spectral import plain_copy, plain_state_dict

RAMP = 0.05  # of the images seen, the longest half-life: the first weights are soon forgotten


def begin_averages(model: Pix2PixHDModel) -> None:
    """Give the model averages of its generator and encoder, which begin as copies of them."""
    for name, network in model.trained_networks().items():
        if name != "D":
            model.averaged[f"{name}_ema"] = plain_copy(network).requires_grad_(False)


def update_averages(model: Pix2PixHDModel, half_life: float, seen: int, batch: int) -> None:
    """Let the averages follow a step: nothing to do for a model without.

    Decay and ramp are those of Karras et al., "Training generative adversarial networks with
    limited data" (NeurIPS 2020). Buffers, such as running statistics, are copied.

    Args:
        half_life: images after which a weight counts half.
        seen: images since the start of the training, with those of the step.
        batch: images of the step.
    """
    for name, average in model.averaged.items():
        state = plain_state_dict(model.trained_networks()[name.removesuffix("_ema")])
        names, averaged = zip(*average.named_parameters(), strict=True)
        decay = 0.5 ** (batch / min(half_life, RAMP * seen))
        get_ema_multi_avg_fn(decay)(averaged, [state[one] for one in names], 0)
        for one, buffer in average.named_buffers():
            buffer.copy_(state[one])
