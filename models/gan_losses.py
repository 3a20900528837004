"""GAN losses and feature matching (paper, section 3.2). To add a GAN loss: a row in GAN_LOSSES.

Losses are computed in float32, whatever precision the networks run in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from pix2pixhd.models.discriminators import Activations

ScaleReduction = Literal["sum", "mean"]


class GanLoss(Protocol):
    """The two sides of a GAN loss: each takes logits of any shape and returns a scalar."""

    def for_generator(self, logits: Tensor) -> Tensor:
        """What the generator minimises, of the logits on its images."""

    def for_discriminator(self, logits: Tensor, is_real: bool) -> Tensor:
        """What the discriminator minimises, of its logits on real images or on fakes."""


@dataclass(frozen=True)
class Targets:
    """The logits' distance to 1 for real and to 0 for fake; the generator wants 1 for its own."""

    distance: Callable[[Tensor, Tensor], Tensor]  # a mean over all logits

    def for_generator(self, logits: Tensor) -> Tensor:
        return self.for_discriminator(logits, is_real=True)

    def for_discriminator(self, logits: Tensor, is_real: bool) -> Tensor:
        logits = logits.float()
        return self.distance(logits, torch.full_like(logits, float(is_real)))


class Hinge:
    """Hinge loss (Lim and Ye 2017): the sides differ, as the generator has no margin to keep."""

    def for_generator(self, logits: Tensor) -> Tensor:
        return -logits.float().mean()

    def for_discriminator(self, logits: Tensor, is_real: bool) -> Tensor:
        logits = logits.float()
        return F.relu(1 - logits if is_real else 1 + logits).mean()


GAN_LOSSES: dict[str, GanLoss] = {
    "lsgan": Targets(F.mse_loss),  # Mao et al. 2017
    "vanilla": Targets(
        F.binary_cross_entropy_with_logits
    ),  # Goodfellow et al. 2014, non-saturating
    "hinge": Hinge(),
}


def over_scales(
    scales: Sequence[Activations],
    loss: Callable[[Tensor], Tensor],
    reduction: ScaleReduction = "sum",  # as in pix2pixHD; or mean, as in SPADE
) -> Tensor:
    """The loss of the logits of each of the discriminators' scales, as one scalar."""
    losses = torch.stack([loss(activations[-1]) for activations in scales])
    return losses.sum() if reduction == "sum" else losses.mean()


def feature_matching(fake: Sequence[Activations], real: Sequence[Activations]) -> Tensor:
    """L1 between the discriminators' activations on fake and real (paper, equation 4), a scalar.

    The last layer, the logits, is left out. Each term weighs 4/(n_layers_D+1)/num_D, as in the
    released code: about the mean over layers and scales, times 4. Only fake receives a gradient.
    """
    n_layers = len(fake[0]) - 1  # n_layers_D + 1
    weight = 4.0 / n_layers / len(fake)
    distances = [
        l1_distance(fake_layer, real_layer)
        for fake_scale, real_scale in zip(fake, real, strict=True)
        for fake_layer, real_layer in zip(fake_scale[:-1], real_scale[:-1], strict=True)
    ]
    return weight * torch.stack(distances).sum()


def l1_distance(fake: Tensor, real: Tensor) -> Tensor:
    """The mean of |fake - real|, tensors of one shape and dtype; a scalar in float32. Differences
    are rounded to the dtype, their sum is not.

    Only fake receives a gradient.
    """
    distance: Tensor = _L1Distance.apply(fake, real.detach())
    return distance


class _L1Distance(torch.autograd.Function):
    """Keeps the activations as they are, which others keep too, for the gradient.

    Autograd would keep differences in float32: 2 GB more for VGG19 on 2048x1024 in bfloat16.
    """

    @staticmethod
    def forward(ctx: Any, fake: Tensor, real: Tensor) -> Tensor:
        ctx.save_for_backward(fake, real)
        return torch.sub(fake, real).abs_().mean(dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        fake, real = ctx.saved_tensors
        return torch.sub(fake, real).sign_().mul_(gradients[0] / fake.numel()), None
