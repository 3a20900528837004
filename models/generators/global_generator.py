"""G1, the global generator (paper, section 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from pix2pixhd.models.blocks import PUBLISHED, Layers, encoder_decoder
from pix2pixhd.models.generators.base import Generator, joined, sizes_of

if TYPE_CHECKING:
    from pix2pixhd.options.base_options import ModelOptions


class GlobalGenerator(Generator):
    """G1 of the paper (section 3.2), after Johnson et al. 2016: down, residual blocks, up."""

    def __init__(
        self,
        in_channels: int,  # of maps and features together
        out_channels: int = 3,  # of the image
        ngf: int = 64,  # filters of the first layer
        n_downsample: int = 4,  # times the resolution is halved
        n_blocks: int = 9,  # residual blocks
        layers: Layers = PUBLISHED,
        noise_dim: int = 0,  # further input channels
    ) -> None:
        super().__init__()
        self.stride, self.noise_dim = 2**n_downsample, noise_dim
        self.model = encoder_decoder(
            in_channels + noise_dim, out_channels, ngf, n_downsample, layers, n_blocks
        )

    def forward(
        self, maps: Tensor, features: Tensor | None = None, noise: Tensor | None = None
    ) -> Tensor:
        return self.model(joined(maps, features, noise))

    def without_output(self) -> nn.Sequential:
        """The network up to its last feature map, [N, ngf, H, W]."""
        output_layers = 3  # padding, convolution, tanh
        return self.model[:-output_layers]


def build_global(options: ModelOptions, map_channels: int, feature_channels: int) -> Generator:
    return GlobalGenerator(**sizes_of(options, map_channels, feature_channels))
