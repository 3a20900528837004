"""The perceptual loss: L1 between VGG19's activations (paper, section 4)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pix2pixhd.models.gan_losses import l1_distance
from pix2pixhd.util.checkpoint import differing_tensors
from pix2pixhd.util.errors import UserError


class VGGPerceptualLoss(nn.Module):
    """L1 between VGG19 activations of fake and real (paper, section 4; Johnson et al. 2016).

    Takes two images in [-1, 1], [N, 1 or 3, H, W], and returns a scalar; one channel is repeated
    three times, and the border of images below 16 pixels. As in the released code, images are not
    normalised with ImageNet's mean and deviation.

    The gradient for the fake is made with the loss, so that the memory of all activations is free
    again when it returns: 3 GB for 2048x1024 in bfloat16. Real and fake go separately, since a
    backward pass through both would make the gradient for the real as well.
    """

    # Positions in torchvision's `vgg19().features` of relu1_1, relu2_1, relu3_1, relu4_1, relu5_1.
    LAYERS: tuple[int, ...] = (1, 6, 11, 20, 29)
    WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
    term = "G_VGG"  # its name in logs
    measured: Tensor | None  # of a training, which goes on with it; of this loss nothing

    def __init__(
        self,
        weights: dict[str, Tensor],  # under torchvision's names: features.N.weight, features.N.bias
        source: str = "VGG19 weights",  # where they are from, for the message if they do not fit
        layers: tuple[int, ...] | None = None,  # in the place of LAYERS
    ) -> None:
        super().__init__()
        self.layers = layers or self.LAYERS
        self.register_buffer("measured", None)
        from torchvision.models import vgg19

        with torch.device("meta"):
            # The classifier alone is 0.5 GB: nothing is allocated before the weights are there.
            features = vgg19().features[: self.layers[-1] + 1]
        found = {name: weights.get(f"features.{name}") for name in features.state_dict()}
        needed = {name: w.float() for name, w in found.items() if isinstance(w, Tensor)}
        if differing := differing_tensors(features.state_dict(), needed):
            raise UserError(
                f"{source}: not the weights of a VGG19 under torchvision's names "
                f"({differing[0].replace(': ', ' ', 1)}); give such a file, or --no_vgg_loss"
            )
        features.load_state_dict(needed, assign=True)
        self.features = features.requires_grad_(False).eval()

    def forward(
        self,
        fake: Tensor,
        real: Tensor,
        scale: Tensor | None = None,
        classes: Tensor | None = None,
    ) -> Tensor:
        """
        Args:
            fake: with the graph of the generator behind it.
            scale: a scalar that keeps gradients on their way in float16 from vanishing; the
                result's gradient is without it. It is the gradient scaler's, which learns what
                overflows here.
            classes: one-hot labels [N, C, H, W], for a loss of several images of a label map.
        """
        loss = self._loss(fake, real, classes)
        if not (fake.requires_grad and torch.is_grad_enabled()):
            return loss
        (gradient,) = torch.autograd.grad(loss if scale is None else loss * scale, fake)
        gradient = gradient if scale is None else gradient / scale
        found: Tensor = _WithGradient.apply(fake, loss.detach(), gradient)
        return found

    def _loss(self, fake: Tensor, real: Tensor, classes: Tensor | None) -> Tensor:
        with torch.no_grad():
            real_activations = self._activations(real)
        layers = zip(self.WEIGHTS, self._activations(fake), real_activations, strict=True)
        terms = [weight * l1_distance(mine, other) for weight, mine, other in layers]
        return torch.stack(terms).sum()

    def _activations(self, image: Tensor) -> list[Tensor]:
        # Four poolings halve the image, so that it must have 16 pixels each way.
        right, bottom = (max(0, 16 - side) for side in (image.shape[-1], image.shape[-2]))
        x = image.expand(-1, 3, -1, -1)
        if right or bottom:
            x = F.pad(x, (0, right, 0, bottom), mode="replicate")
        activations = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.layers:
                activations.append(x)
        return activations


class _WithGradient(torch.autograd.Function):
    """A scalar whose gradient is known already."""

    @staticmethod
    def forward(ctx: Any, fake: Tensor, loss: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradients[0] * gradient, None, None
