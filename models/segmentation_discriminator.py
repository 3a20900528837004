"""The discriminator of OASIS (Schönfeld, Sushko et al., "You Only Need Adversarial Supervision for
Semantic Image Synthesis", ICLR 2021): a U-Net that tells the label of each pixel, or that the pixel
is synthesised."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pix2pixhd.models.blocks import Convolution
from pix2pixhd.models.conditioning import pad_to_stride
from pix2pixhd.models.discriminators import Activations
from pix2pixhd.models.spectral import folded

WIDTHS = (2, 2, 4, 4, 8, 8)  # filters of the blocks that go down, in units of ndf


class SegmentationDiscriminator(nn.Module):
    """Maps images [N, in_channels, H, W] of any size to one list of activations, as a pyramid of
    one scale does: those of all blocks, then the logits, [N, label_nc + 1, H, W], of which channel
    0 says fake and k + 1 says label k.

    It has no normalisation; as published all convolutions but `logits` have spectral
    normalisation, which is put on from outside.
    """

    def __init__(self, in_channels: int, label_nc: int, ndf: int = 64) -> None:
        super().__init__()
        widths = [ndf * width for width in WIDTHS]
        self.down = nn.ModuleList(
            ResidualBlock(inputs, outputs, "down", is_first=not level)
            for level, (inputs, outputs) in enumerate(pairwise([in_channels, *widths]))
        )
        self.up = nn.ModuleList([ResidualBlock(widths[-1], widths[-2], "up")])
        for inputs, outputs in zip(widths[-2::-1], [*widths[-3::-1], ndf], strict=True):
            self.up.append(ResidualBlock(2 * inputs, outputs, "up"))
        self.logits = Convolution(ndf, label_nc + 1, kernel_size=1)

    def forward(self, image: Tensor) -> list[Activations]:
        height, width = image.shape[-2:]
        x = pad_to_stride(image, 2 ** len(WIDTHS), least=1)
        downs: Activations = []
        for block in self.down:
            x = block(x)
            downs.append(x)
        ups: Activations = []
        for number, block in enumerate(self.up):
            x = block(torch.cat([downs[-1 - number], x], dim=1) if number else x)
            ups.append(x)
        return [[*downs, *ups, self.logits(x)[..., :height, :width]]]

    def renamed(self, weights: Mapping[str, Any]) -> Mapping[str, Any]:
        """A state dict of the published layout as one of this network; any other as it is."""
        named = {}
        for name, value in weights.items():
            name = re.sub(r"^body_(up|down)\.(\d+)\.(conv[12])\.\d+\.", r"\1.\2.\3.", name)
            name = re.sub(r"^body_(up|down)\.(\d+)\.conv_s\.", r"\1.\2.shortcut.", name)
            named[name.replace("layer_up_last.", "logits.")] = value
        return folded(named)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, each after LeakyReLU; [N, in_channels, H, W] to
    [N, out_channels, h, w].

    The shortcut's 1x1 convolution, where channels change, is taken at the lower resolution: it may
    change places with both the 2x2 mean and the nearest enlargement.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        direction: Literal["down", "up"],  # half or twice the resolution
        is_first: bool = False,  # sees an image: nothing before its first convolution
    ) -> None:
        super().__init__()
        self.conv1 = Convolution(in_channels, out_channels, kernel_size=3, padding=1)
        self.conv2 = Convolution(out_channels, out_channels, kernel_size=3, padding=1)
        changes = in_channels != out_channels
        self.shortcut = Convolution(in_channels, out_channels, 1) if changes else nn.Identity()
        self.direction, self.is_first = direction, is_first

    def forward(self, x: Tensor) -> Tensor:
        inner = x if self.is_first else F.leaky_relu(x, 0.2)
        if self.direction == "up":
            inner = self.conv1(F.interpolate(inner, scale_factor=2.0))
        else:
            inner = self.conv1(inner)
        inner = self.conv2(F.leaky_relu(inner, 0.2, inplace=True))
        if self.direction == "up":
            return inner + F.interpolate(self.shortcut(x), scale_factor=2.0)
        return F.avg_pool2d(inner, 2) + self.shortcut(F.avg_pool2d(x, 2))
