"""pix2pix's U-Net (Isola et al., "Image-to-image translation with conditional adversarial
networks", CVPR 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pix2pixhd.models.blocks import (
    NORM_LAYERS,
    BatchNorm,
    Convolution,
    Float32Tanh,
    NormLayer,
    TransposedConvolution,
    normalised,
)
from pix2pixhd.models.generators.base import BuildGenerator, Generator, joined

if TYPE_CHECKING:
    from pix2pixhd.options.base_options import ModelOptions


class UNetBlock(nn.Module):
    """A convolution that halves the resolution, all that lies below it, and one that doubles it.

    Maps [N, C, H, W] to the input joined to what comes up, [N, C + filters[0], H, W]; the outermost
    to an image. Blocks lie in each other, as published names of weights have it.
    """

    def __init__(
        self,
        in_channels: int,
        filters: tuple[int, int],  # that it gives to what lies above, and to what lies below
        inner: UNetBlock | None,  # None: it is the innermost
        norm: NormLayer,
        drops: bool = False,  # dropout of 0.5 at its end
        is_outermost: bool = False,
    ) -> None:
        super().__init__()
        self.inner_blocks: int = inner.inner_blocks + 1 if inner else 0
        self.is_outermost = is_outermost
        # What is normalised by the batch has no bias; published layouts lack the others, too.
        has_bias = norm is NORM_LAYERS["instance"]
        above, below = filters
        down = Convolution(in_channels, below, 4, stride=2, padding=1, bias=has_bias)
        up = TransposedConvolution(
            *(below * 2 if inner else below, above, 4, 2),
            padding=1,
            bias=has_bias or is_outermost,
        )
        for convolution in (down, up):
            if convolution.bias is not None:
                nn.init.zeros_(convolution.bias)
        middle: list[nn.Module] = [inner] if inner else []
        if is_outermost:
            layers = [down, *middle, nn.ReLU(inplace=True), up, Float32Tanh()]
        else:
            # In place, so that the input joins what comes up as activated: a ReLU comes next there.
            layers = [
                nn.LeakyReLU(0.2, inplace=True),
                *(normalised(down, norm) if inner else [down]),
            ]
            layers += [*middle, nn.ReLU(inplace=True), *normalised(up, norm)]
            layers += [nn.Dropout(0.5)] * drops
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor, as_trained: bool) -> Tensor:
        y = x
        for layer in self.model:
            if isinstance(layer, UNetBlock):
                y = layer(y, as_trained)
            elif self.training or not as_trained:
                y = layer(y)
            elif isinstance(layer, nn.Dropout):
                y = y * self._fixed_units(y)
            elif isinstance(layer, BatchNorm):
                # Of each image for itself: what it looks like is not to hang on its neighbours.
                y = F.instance_norm(y, weight=layer.weight, bias=layer.bias, eps=layer.eps)
            else:
                y = layer(y)
        return y if self.is_outermost else joined(x, y)

    def _fixed_units(self, x: Tensor) -> Tensor:
        """Dropout's factors, [C, H, W] of 0 and 2, the same for each image and each rendering."""
        fixed = torch.Generator().manual_seed(self.inner_blocks)
        kept = torch.rand(x.shape[1:], generator=fixed, device="cpu") < 0.5
        return (2 * kept).to(x)


class Pix2PixUNet(Generator):
    """`unet_256` (8 halvings) and `unet_128` (7) of pix2pix, with the published names of weights.

    Dropout is its only noise. It stays on in rendering, where units are dropped by a fixed seed;
    and there, an image is normalised by its own statistics; unless `evaluates`.
    """

    least_strides = 1

    def __init__(
        self,
        in_channels: int,  # of maps and features together
        out_channels: int = 3,  # of the image
        ngf: int = 64,  # filters at half the resolution
        n_downsample: int = 8,  # times the resolution is halved, 5 or more
        norm: str = "instance",  # batch, or none
        use_dropout: bool = False,  # of 0.5, in all blocks of ngf * 8 filters but the innermost
        noise_dim: int = 0,  # further input channels
    ) -> None:
        super().__init__()
        self.stride, self.noise_dim = 2**n_downsample, noise_dim
        layer = NORM_LAYERS[norm]
        widths = [ngf * min(2**level, 8) for level in range(n_downsample)]
        block = None
        for level in range(n_downsample - 1, 0, -1):
            above, below = widths[level - 1 : level + 1]
            drops = use_dropout and above == below and block is not None
            block = UNetBlock(above, (above, below), block, layer, drops)
        inputs = in_channels + noise_dim
        self.model = UNetBlock(inputs, (out_channels, ngf), block, layer, is_outermost=True)

    def forward(
        self, maps: Tensor, features: Tensor | None = None, noise: Tensor | None = None
    ) -> Tensor:
        image: Tensor = self.model(joined(maps, features, noise), not self.evaluates)
        return image

    def renamed(self, weights: Mapping[str, Any]) -> Mapping[str, Any]:
        """With counts of batches, which files of PyTorch before 0.4.1 lack; nothing uses them."""
        means = [name for name in weights if name.endswith(".running_mean")]
        counts = (name.replace("running_mean", "num_batches_tracked") for name in means)
        return {**{name: torch.tensor(0) for name in counts}, **weights}


def _builder(n_downsample: int) -> BuildGenerator:
    def build(options: ModelOptions, map_channels: int, feature_channels: int) -> Generator:
        return Pix2PixUNet(
            map_channels + feature_channels,
            options.output_nc,
            options.ngf,
            n_downsample,
            options.norm,
            options.use_dropout,
            options.z_dim,
        )

    return build


build_unet_256, build_unet_128 = _builder(8), _builder(7)
