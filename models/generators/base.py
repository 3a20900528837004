"""What every generator is, and what a row of the table is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pix2pixhd.models.blocks import NORM_LAYERS, Layers
from pix2pixhd.models.conditioning import memory_format_of

if TYPE_CHECKING:
    from pix2pixhd.options.base_options import ModelOptions


class Generator(nn.Module):
    """From label maps, and what else it asks for, to an image.

    `forward(maps, features, noise)` returns [N, out_channels, H, W] in [-1, 1]:

    - maps: [N, C, H, W], one-hot labels (or an image) and instance boundaries;
    - features: [N, feat_num, H, W] in [-1, 1], or None in a run without features;
    - noise: [N, noise_dim] from N(0, 1), or None where `noise_dim` is 0.

    H and W must be multiples of `stride`, and `least_strides` of them at least. All buffers must be
    persistent: a trained generator is built without values, which its file then gives.
    """

    stride: int
    least_strides: int = 2  # reflection padding at the lowest resolution needs two pixels
    # Rows and columns of the only images that it makes, if there are such.
    fixed_size: tuple[int, int] | None = None
    # Numbers of noise for each image; the model draws them.
    noise_dim: int = 0
    # Of each input; they come in one tensor, see `image`.
    num_images: int = 1
    # Names begin so of the parameters that train alone during --niter_fix_global, if any do.
    outermost_prefixes: tuple[str, ...] = ()
    # Whether rendering is evaluation as usual in a generator that would render as it trains.
    evaluates: bool = False

    def renamed(self, weights: Mapping[str, Any]) -> Mapping[str, Any]:
        """A state dict of the published layout as one of this network; any other as it is."""
        return weights

    def image(self, outputs: Tensor, number: int = 0) -> Tensor:
        """One of the images that `forward` returns: where there are several, their channels are
        grouped by colour, [N, out_channels * num_images, H, W]."""
        return outputs if self.num_images == 1 else outputs[:, number :: self.num_images]


BuildGenerator = Callable[["ModelOptions", int, int], Generator]
"""A row of GENERATORS: from the options, the channels of the maps and those of the features (0 in a
run without) to a generator. It alone reads the options that are this generator's own."""


def sizes_of(options: ModelOptions, map_channels: int, feature_channels: int) -> dict[str, Any]:
    """Arguments that the constructors of all generators here have, by name."""
    return {
        "in_channels": map_channels + feature_channels,
        "out_channels": options.output_nc,
        "ngf": options.ngf,
        "n_downsample": options.n_downsample_global,
        "n_blocks": options.n_blocks_global,
        "layers": layers_of(options),
        "noise_dim": options.z_dim,
    }


def layers_of(options: ModelOptions) -> Layers:
    """Those that generator and encoder are made of."""
    norm = NORM_LAYERS[options.norm]
    return Layers(norm, options.upsample, options.pad_down, options.use_dropout)


def joined(maps: Tensor, *more: Tensor | None) -> Tensor:
    """Maps and features, noise or an image as one input, [N, C + channels of `more`, H, W], in the
    precision and the memory format of the maps. Noise, [N, C'], is the same for all pixels."""
    parts, size, like = [maps], maps.shape[2:], memory_format_of(maps)
    for part in more:
        if part is not None:
            part = part if part.dim() == 4 else part[..., None, None].expand(-1, -1, *size)
            parts.append(part.to(maps.dtype, memory_format=like))
    return torch.cat(parts, dim=1) if len(parts) > 1 else maps
