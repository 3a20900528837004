"""The encoder of SPADE's variational auto-encoder (Park et al., CVPR 2019, appendix A; Kingma and
Welling, "Auto-Encoding Variational Bayes", ICLR 2014): a normal distribution for a photograph."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pix2pixhd.models.blocks import InstanceNorm, SpectralConvolution
from pix2pixhd.models.initialisation import zero_biases
from pix2pixhd.models.spectral import folded

SIDE = 256  # of the images that its layers see
WIDTHS = (1, 2, 4, 8, 8, 8)  # of the layers, each of which halves the resolution


class VAEEncoder(nn.Module):
    """Maps images [N, in_channels, H, W] in [-1, 1] of any size to mean and logarithm of the
    variance of z, both [N, z_dim]."""

    stride = 1

    def __init__(self, in_channels: int = 3, filters: int = 64, z_dim: int = 256) -> None:
        super().__init__()
        widths = [in_channels, *(filters * width for width in WIDTHS)]
        for number, (inputs, outputs) in enumerate(pairwise(widths), start=1):
            convolution = SpectralConvolution(inputs, outputs, 3, stride=2, padding=1, bias=False)
            self.add_module(f"layer{number}", nn.Sequential(convolution, InstanceNorm(outputs)))
        pixels = (SIDE // 2 ** len(WIDTHS)) ** 2
        self.fc_mu = nn.Linear(widths[-1] * pixels, z_dim)
        self.fc_var = nn.Linear(widths[-1] * pixels, z_dim)
        zero_biases(self)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = image
        if image.shape[-2:] != (SIDE, SIDE):
            x = F.interpolate(image, (SIDE, SIDE), mode="bilinear")
        for number in range(1, len(WIDTHS) + 1):
            x = F.leaky_relu(self.get_submodule(f"layer{number}")(x), 0.2)
        x = x.flatten(1)
        return self.fc_mu(x).float(), self.fc_var(x).float()

    def renamed(self, weights: Mapping[str, Any]) -> Mapping[str, Any]:
        """A state dict of the published layout as one of this network."""
        return folded(weights)


def sampled(mean: Tensor, log_variance: Tensor) -> Tensor:
    """One z of each distribution, [N, z_dim], with a gradient to both."""
    return mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Of Kullback and Leibler, from N(0, 1): a sum over all of [N, z_dim], as published."""
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
