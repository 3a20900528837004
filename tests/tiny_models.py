"""Models of a few hundred weights, and batches for them."""

from __future__ import annotations

from typing import Any

import torch

from pix2pixhd.engine.builders import perceptual_loss
from pix2pixhd.engine.optimizers import Optimizers
from pix2pixhd.engine.runtime import Runtime
from pix2pixhd.engine.step import StepFunction, compute_gradients, train_step
from pix2pixhd.models import create_model
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.options.fields import replaced
from pix2pixhd.options.train_options import TrainOptions
from pix2pixhd.util.batch import Batch

LR = 2e-4
CPU = Runtime(torch.device("cpu"))

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
    return model_of(options, seed)


def model_of(options: TrainOptions, seed: int = 0, **more: Any) -> Pix2PixHDModel:
    """The model that the options describe, perceptual loss included."""
    vgg = perceptual_loss(options.loss, num_images=options.model.num_images)
    return create_model(options.model, options.discriminator, options.loss, seed, vgg=vgg, **more)


def tiny_batch(size: tuple[int, int] = (16, 24), count: int = 2, seed: int = 0) -> Batch:
    """Labels 0 to 3, instances and images of random pixels."""
    random = torch.Generator().manual_seed(seed)
    one_channel = (count, 1, *size)
    return Batch(
        label=torch.randint(0, 4, one_channel, generator=random, dtype=torch.uint8),
        path=[f"{number}.png" for number in range(count)],
        inst=torch.randint(0, 9, one_channel, generator=random, dtype=torch.int32),
        image=torch.rand((count, 3, *size), generator=random) * 2 - 1,
    )


def take_step(
    model: Pix2PixHDModel,
    optimizers: Optimizers,
    batch: Batch,
    weight_G: float = 1.0,
    weight_D: float = 1.0,
) -> dict[str, torch.Tensor]:
    """One update from the gradients, each times a weight; returns the losses' terms."""
    found = compute_gradients(model, CPU, batch, scale=optimizers.scale())
    gradients = {
        name: {p: weight * gradient for p, gradient in found.gradients[name].items()}
        for name, weight in (("G", weight_G), ("D", weight_D))
    }
    optimizers.update(gradients)
    return found.terms


def take_steps(
    model: Pix2PixHDModel,
    runtime: Runtime,
    steps: list[tuple[Batch, float, bool]],
    compute: StepFunction | None = None,
) -> list[dict[str, torch.Tensor]]:
    """Train as `train.py` does, each step with another scale of the gradients; returns the terms.

    Args:
        steps: a batch, a learning rate, and whether the outermost enhancer trains alone.
        compute: takes the place of `compute_gradients`.
    """
    torch.manual_seed(5)
    optimizers = Optimizers(model, LR, beta1=0.5, scale_gradients=True)
    found = []
    for number, (batch, rate, alone) in enumerate(steps):
        optimizers.set_learning_rate(rate)
        model.train_outermost_alone(alone)
        optimizers.scale()  # there is none before it is asked for
        optimizers.scaler.update(2.0 ** (6 + number % 3))
        found.append(train_step(model, optimizers, runtime, batch, compute=compute)[1])
    return found
