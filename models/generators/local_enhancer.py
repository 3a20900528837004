"""G2, local enhancers around the global generator (paper, section 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from pix2pixhd.models.blocks import (
    PUBLISHED,
    Layers,
    average_pool,
    downsampling,
    first_convolution,
    output_convolution,
    residual_blocks,
    upsampling,
)
from pix2pixhd.models.generators.base import Generator, joined, sizes_of
from pix2pixhd.models.generators.global_generator import GlobalGenerator

if TYPE_CHECKING:
    from pix2pixhd.options.base_options import ModelOptions


class LocalEnhancer(Generator):
    """G2 of the paper (section 3.2) around G1; each of its stages doubles the resolution.

    Stage n of N has the base width ngf * 2^(N-n) and G1 has ngf * 2^N. The input of a stage's
    residual blocks is its own features plus the last features of what lies inside it. Only the
    outermost stage, N, has an output layer.
    """

    def __init__(
        self,
        in_channels: int,  # of maps and features together
        out_channels: int = 3,  # of the image
        ngf: int = 32,  # filters of the first layer of the outermost stage
        n_downsample: int = 4,  # of the global generator
        n_blocks: int = 9,  # residual blocks of the global generator
        n_local_enhancers: int = 1,  # N
        n_blocks_local: int = 3,  # residual blocks of each stage
        layers: Layers = PUBLISHED,
        noise_dim: int = 0,  # further input channels
    ) -> None:
        super().__init__()
        self.stride = 2 ** (n_downsample + n_local_enhancers)
        self.n_local_enhancers, self.noise_dim = n_local_enhancers, noise_dim
        self.outermost_prefixes = (f"model{n_local_enhancers}_",)
        # `model` and `model<n>_<part>` are the names that published checkpoints have.
        width = ngf * 2**n_local_enhancers
        in_channels += noise_dim
        self.model = GlobalGenerator(
            in_channels, out_channels, width, n_downsample, n_blocks, layers
        ).without_output()
        for n in range(1, n_local_enhancers + 1):
            width = ngf * 2 ** (n_local_enhancers - n)
            front = first_convolution(in_channels, width, layers)
            front += downsampling(width, layers)
            back = residual_blocks(width * 2, n_blocks_local, layers)
            back += upsampling(width, layers)
            if n == n_local_enhancers:
                back += output_convolution(width, out_channels)
            self.add_module(f"model{n}_1", nn.Sequential(*front))
            self.add_module(f"model{n}_2", nn.Sequential(*back))
        self.downsample = average_pool()

    def forward(
        self, maps: Tensor, features: Tensor | None = None, noise: Tensor | None = None
    ) -> Tensor:
        pyramid = [joined(maps, features, noise)]
        for _ in range(self.n_local_enhancers):
            pyramid.append(self.downsample(pyramid[-1]))  # [N, C, H / 2, W / 2], ...
        x = self.model(pyramid.pop())  # [N, ngf * 2^N, H / 2^N, W / 2^N]
        for n in range(1, self.n_local_enhancers + 1):
            front, back = getattr(self, f"model{n}_1"), getattr(self, f"model{n}_2")
            x = back(front(pyramid.pop()) + x)  # twice as high and wide
        return x


def build_local(options: ModelOptions, map_channels: int, feature_channels: int) -> Generator:
    return LocalEnhancer(
        **sizes_of(options, map_channels, feature_channels),
        n_local_enhancers=options.n_local_enhancers,
        n_blocks_local=options.n_blocks_local,
    )
