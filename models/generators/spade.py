"""The generator of SPADE (Park, Liu, Wang and Zhu, "Semantic Image Synthesis with
Spatially-Adaptive Normalization", CVPR 2019): labels scale and shift normalised features."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pix2pixhd.models.blocks import (
    Convolution,
    Float32Tanh,
    InstanceNorm,
    NormLayer,
    SpectralConvolution,
)
from pix2pixhd.models.conditioning import memory_format_of
from pix2pixhd.models.generators.base import Generator, joined
from pix2pixhd.models.initialisation import zero_biases
from pix2pixhd.models.spectral import folded
from pix2pixhd.options.spade_options import DOUBLINGS, SpadeNorm, parse_crop_size, parse_norm_G
from pix2pixhd.util.errors import UserError

if TYPE_CHECKING:
    from pix2pixhd.options.base_options import ModelOptions

HIDDEN = 128  # filters that see the labels, in each layer

FREE_NORMS: dict[str, NormLayer] = {  # without scales and shifts of their own
    "instance": InstanceNorm,
    "batch": partial(nn.BatchNorm2d, affine=False),
    "syncbatch": partial(nn.BatchNorm2d, affine=False),  # see engine.batch_norm
}


class Stage(NamedTuple):
    """A residual block of a generator."""

    name: str
    inputs: float  # channels, in units of ngf
    outputs: float
    doubles: bool = True  # what it is given is enlarged before


class Spade(nn.Module):
    """SPADE(x, m) = n(x) (1 + gamma(m)) + beta(m), with n a normalisation (section 3.1).

    x is [N, channels, H, W], m is [N, map_channels, H, W].
    """

    def __init__(self, channels: int, map_channels: int, norm: SpadeNorm) -> None:
        super().__init__()
        convolution = partial(Convolution, kernel_size=norm.kernel, padding=norm.kernel // 2)
        self.param_free_norm = FREE_NORMS[norm.kind](channels)
        self.mlp_shared = nn.Sequential(convolution(map_channels, HIDDEN), nn.ReLU())
        self.mlp_gamma = convolution(HIDDEN, channels)
        self.mlp_beta = convolution(HIDDEN, channels)

    def forward(self, x: Tensor, maps: Tensor) -> Tensor:
        hidden = self.mlp_shared(maps)
        return self.param_free_norm(x) * (1 + self.mlp_gamma(hidden)) + self.mlp_beta(hidden)


class SpadeBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, each after SPADE and LeakyReLU; the shortcut's, where
    channels change, after SPADE alone (appendix A). [N, inputs, H, W] to [N, outputs, H, W]."""

    def __init__(self, inputs: int, outputs: int, map_channels: int, norm: SpadeNorm) -> None:
        super().__init__()
        convolution = SpectralConvolution if norm.is_spectral else Convolution
        middle = min(inputs, outputs)
        self.conv_0 = convolution(inputs, middle, kernel_size=3, padding=1)
        self.conv_1 = convolution(middle, outputs, kernel_size=3, padding=1)
        self.norm_0 = Spade(inputs, map_channels, norm)
        self.norm_1 = Spade(middle, map_channels, norm)
        self.changes = inputs != outputs
        if self.changes:
            self.conv_s = convolution(inputs, outputs, kernel_size=1, bias=False)
            self.norm_s = Spade(inputs, map_channels, norm)

    def forward(self, x: Tensor, maps: Tensor) -> Tensor:
        inner = self.conv_0(F.leaky_relu(self.norm_0(x, maps), 0.2))
        inner = self.conv_1(F.leaky_relu(self.norm_1(inner, maps), 0.2))
        return inner + (self.conv_s(self.norm_s(x, maps)) if self.changes else x)


class SpadeGenerator(Generator):
    """From the maps at the lowest resolution, or from a latent vector, through blocks that each see
    the maps at their own resolution, resized to the nearest pixel.

    With noise and without `latent_size`, noise is joined to the maps wherever these are seen.
    """

    least_strides = 1

    def __init__(
        self,
        map_channels: int,  # of maps and features together
        out_channels: int,  # of the image
        ngf: int,  # filters of the last block of the published ones
        stages: Sequence[Stage],
        norm: SpadeNorm,
        noise_dim: int = 0,
        latent_size: tuple[int, int] | None = None,  # rows and columns of the only images that a
        # generator makes whose first layer sees noise alone
    ) -> None:
        super().__init__()
        self.stride = 2 ** sum(stage.doubles for stage in stages)
        self.noise_dim, self.fixed_size = noise_dim, latent_size
        self.stages = stages
        first = _filters(stages[0].inputs, ngf)
        self.first_channels = first
        if latent_size is None:
            map_channels += noise_dim
            self.fc: nn.Module = Convolution(map_channels, first, kernel_size=3, padding=1)
        else:
            pixels = math.prod(side // self.stride for side in latent_size)
            self.fc = nn.Linear(noise_dim, first * pixels)
        for stage in stages:
            sizes = _filters(stage.inputs, ngf), _filters(stage.outputs, ngf)
            self.add_module(stage.name, SpadeBlock(*sizes, map_channels, norm))
        last = _filters(stages[-1].outputs, ngf)
        self.conv_img = Convolution(last, out_channels, kernel_size=3, padding=1)
        self.tanh = Float32Tanh()
        zero_biases(self)

    def forward(
        self, maps: Tensor, features: Tensor | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """
        Raises:
            UserError: the maps are of another size than the images that it makes.
        """
        size = maps.shape[-2:]
        maps = joined(maps, features)
        if self.fixed_size is not None:
            assert noise is not None
            x = self._from_latent(noise, size).to(maps.dtype)
        else:
            if noise is not None:
                maps = _spread(noise, maps)
            if size == (self.stride, self.stride):
                # Statistics of a single pixel say nothing; normalisation refuses them.
                maps = F.pad(maps, (0, self.stride, 0, 0), mode="replicate")
            x = self.fc(_resized(maps, [side // self.stride for side in maps.shape[-2:]]))
        for stage in self.stages:
            if stage.doubles:
                x = F.interpolate(x, scale_factor=2.0)
            x = getattr(self, stage.name)(x, _resized(maps, x.shape[-2:]))
        return self.tanh(self.conv_img(F.leaky_relu(x, 0.2)))[..., : size[1]]

    def _from_latent(self, noise: Tensor, size: torch.Size) -> Tensor:
        assert self.fixed_size is not None
        height, width = self.fixed_size
        if size != (height, width):
            raise UserError(
                f"--crop_size {width}x{height}: --use_vae makes images of this size, and one, "
                f"filled up to multiples of {self.stride}, is {size[1]}x{size[0]}; scale images "
                "to it (--resize_or_crop, --loadSize)"
            )
        rows, columns = (side // self.stride for side in self.fixed_size)
        return self.fc(noise).view(len(noise), self.first_channels, rows, columns)

    def renamed(self, weights: Mapping[str, Any]) -> Mapping[str, Any]:
        return folded(weights)


def _filters(width: float, ngf: int) -> int:
    return max(1, int(width * ngf))


def _resized(maps: Tensor, size: Sequence[int]) -> Tensor:
    """To the nearest pixel, [N, C, *size]: what lies between labels is no label."""
    return maps if maps.shape[-2:] == tuple(size) else F.interpolate(maps, tuple(size))


def _spread(noise: Tensor, maps: Tensor) -> Tensor:
    """Noise, [N, C'], for all pixels, before the maps, as published: [N, C' + C, H, W]."""
    planes = noise[..., None, None].expand(-1, -1, *maps.shape[2:]).to(maps.dtype)
    return joined(planes.contiguous(memory_format=memory_format_of(maps)), maps)


def build_spade(options: ModelOptions, map_channels: int, feature_channels: int) -> Generator:
    layers, size = options.num_upsampling_layers, None
    stages = [
        Stage("head_0", 16, 16, doubles=False),
        Stage("G_middle_0", 16, 16),
        Stage("G_middle_1", 16, 16, doubles=layers != "normal"),
        *(Stage(f"up_{n}", 16 / 2**n, 8 / 2**n) for n in range(5 if layers == "most" else 4)),
    ]
    assert sum(stage.doubles for stage in stages) == DOUBLINGS[layers]
    if options.use_vae:
        width, height = parse_crop_size(options.crop_size)
        size = height, width
    return SpadeGenerator(
        map_channels + feature_channels,
        options.output_nc,
        options.ngf,
        stages,
        parse_norm_G(options.norm_G),
        options.z_dim,
        size,
    )
