"""Models of a few hundred weights, and batches for them."""

from __future__ import annotations

from typing import Any

import torch

from engine.optimizers import Optimizers
from models import create_model
from models.pix2pixhd import Batch, Pix2PixHDModel
from options.fields import replaced
from options.train_options import TrainOptions

TINY = {
    "label_nc": 4,
    "ngf": 2,
    "n_downsample_global": 1,
    "n_blocks_global": 1,
    "n_blocks_local": 1,
    "ndf": 2,
    "n_layers_D": 2,
    "vgg_loss": False,
}


def tiny_model(seed: int = 0, **changes: Any) -> Pix2PixHDModel:
    """A model to train; `changes` are flags by name, e.g. netG="local"."""
    options = replaced(TrainOptions(), TINY | changes)
    return create_model(options.model, options.discriminator, options.loss, seed)


def tiny_batch(size: tuple[int, int] = (16, 24), count: int = 2, seed: int = 0) -> Batch:
    """Labels 0 to 3, instances and images of random pixels."""
    random = torch.Generator().manual_seed(seed)
    one_channel = (count, 1, *size)
    return {
        "label": torch.randint(0, 4, one_channel, generator=random, dtype=torch.uint8),
        "inst": torch.randint(0, 9, one_channel, generator=random, dtype=torch.int32),
        "image": torch.rand((count, 3, *size), generator=random) * 2 - 1,
    }


def take_step(
    model: Pix2PixHDModel,
    optimizers: Optimizers,
    batch: Batch,
    weight_G: float = 1.0,
    weight_D: float = 1.0,
) -> dict[str, torch.Tensor]:
    """One update from the weighted losses; returns their terms."""
    outputs = model(batch)
    terms_G, terms_D = model.generator_losses(outputs), model.discriminator_losses(outputs)
    loss_G = torch.stack(list(terms_G.values())).sum()
    loss_D = torch.stack(list(terms_D.values())).mean()
    optimizers.step(outputs, weight_G * loss_G, weight_D * loss_D)
    return {name: term.detach() for name, term in (terms_G | terms_D).items()}
