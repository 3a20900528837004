"""A U-Net (Ronneberger et al. 2015) of the global generator's layers: a path at full resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from pix2pixhd.models.blocks import (
    PUBLISHED,
    Layers,
    ReflectedConvolution,
    downsampling,
    normalised,
    output_convolution,
    residual_blocks,
    upsampling,
)
from pix2pixhd.models.generators.base import Generator, joined, sizes_of

if TYPE_CHECKING:
    from pix2pixhd.options.base_options import ModelOptions


class UNet(Generator):
    """The global generator, in which what was seen at a resolution on the way down joins what comes
    up to it: edges of the label map need not pass the lowest resolution.

    The first convolution is of 3x3, as full resolution is where the time goes.
    """

    def __init__(
        self,
        in_channels: int,  # of maps and features together
        out_channels: int = 3,  # of the image
        ngf: int = 24,  # filters at full resolution
        n_downsample: int = 3,  # times the resolution is halved
        n_blocks: int = 4,  # residual blocks at the lowest resolution
        layers: Layers = PUBLISHED,
        noise_dim: int = 0,  # further input channels
    ) -> None:
        super().__init__()
        self.stride, self.noise_dim = 2**n_downsample, noise_dim
        widths = [ngf * 2**level for level in range(n_downsample + 1)]
        self.first = _convolution(in_channels + noise_dim, ngf, layers)
        self.down = nn.ModuleList(nn.Sequential(*downsampling(k, layers)) for k in widths[:-1])
        self.blocks = nn.Sequential(*residual_blocks(widths[-1], n_blocks, layers))
        upward = list(reversed(widths[:-1]))
        self.up = nn.ModuleList(nn.Sequential(*upsampling(k, layers)) for k in upward)
        self.join = nn.ModuleList(_convolution(2 * k, k, layers) for k in upward)
        self.last = nn.Sequential(*output_convolution(ngf, out_channels))

    def forward(
        self, maps: Tensor, features: Tensor | None = None, noise: Tensor | None = None
    ) -> Tensor:
        seen = [self.first(joined(maps, features, noise))]  # [N, ngf, H, W], ...
        for down in self.down:
            seen.append(down(seen[-1]))
        x = self.blocks(seen.pop())
        for up, join in zip(self.up, self.join, strict=True):
            x = join(joined(up(x), seen.pop()))
        return self.last(x)


def _convolution(in_channels: int, filters: int, layers: Layers) -> nn.Sequential:
    """3x3 convolution with reflection padding, normalisation, ReLU."""
    convolution = ReflectedConvolution(in_channels, filters)
    return nn.Sequential(*normalised(convolution, layers.norm), nn.ReLU(inplace=True))


def build_unet(options: ModelOptions, map_channels: int, feature_channels: int) -> Generator:
    return UNet(**sizes_of(options, map_channels, feature_channels))
