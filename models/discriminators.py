"""PatchGAN discriminators on a pyramid of resolutions (paper, section 3.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from pix2pixhd.models.blocks import (
    NORM_LAYERS,
    Convolution,
    InstanceNorm,
    NormLayer,
    SpectralConvolution,
    average_pool,
    normalised,
)
from pix2pixhd.models.initialisation import zero_biases
from pix2pixhd.models.spectral import folded

MAX_FILTERS = 512

Activations = list[Tensor]
"""What one discriminator sees: every layer's activations, or the last one's alone. The last
tensor, [N, 1, h, w], holds the logits, one for each patch."""


def patch_layers(
    in_channels: int,  # of condition and image together
    ndf: int,  # filters of the first layer
    n_layers: int,  # convolutions of the front, of which all but the last have stride 2
    norm_layer: NormLayer,
    is_spectral: bool = False,  # inner convolutions have spectral normalisation, and no bias
) -> list[list[nn.Module]]:
    """The layers of a PatchGAN: C64-C128-C256-C512 and a convolution to one channel.

    A layer is convolution, normalisation and activation. With the defaults, a patch's receptive
    field is 70x70. Padding is 2, as in the released code: maps grow by one pixel a layer.
    """
    convolution = partial(Convolution, kernel_size=4, padding=2)
    activation = partial(nn.LeakyReLU, 0.2, inplace=True)
    inner = partial(SpectralConvolution, bias=False) if is_spectral else Convolution
    layers: list[list[nn.Module]] = [[convolution(in_channels, ndf, stride=2), activation()]]
    filters = ndf
    for n in range(1, n_layers + 1):
        inputs, filters = filters, min(filters * 2, MAX_FILTERS)
        stride = 2 if n < n_layers else 1
        middle = inner(inputs, filters, kernel_size=4, stride=stride, padding=2)
        layers.append([*normalised(middle, norm_layer), activation()])
    return [*layers, [convolution(filters, 1, stride=1)]]


class MultiscaleDiscriminator(nn.Module):
    """`num_D` PatchGANs of one architecture; each works at half the resolution of the one before.

    Maps [N, in_channels, H, W] (condition and image, concatenated) to `num_D` lists of
    activations, finest scale first. In the state dict, scale 0 is the coarsest.
    """

    def __init__(
        self,
        in_channels: int,  # of condition and image together
        ndf: int = 64,  # filters of the first layer
        n_layers: int = 3,  # convolutions of the front
        num_D: int = 2,  # scales
        norm: str = "instance",  # a row of NORM_LAYERS, or spectralinstance: SPADE's
        return_features: bool = True,  # every layer's activations, for feature matching
    ) -> None:
        super().__init__()
        self.num_D = num_D
        self.n_layers = n_layers
        self.return_features = return_features
        is_spectral = norm == "spectralinstance"
        norm_layer = InstanceNorm if is_spectral else NORM_LAYERS[norm]
        # Two kinds of names in published checkpoints: layer by layer, or one for each scale.
        for scale in range(num_D):
            layers = patch_layers(in_channels, ndf, n_layers, norm_layer, is_spectral)
            if return_features:
                for index, layer in enumerate(layers):
                    self.add_module(f"scale{scale}_layer{index}", nn.Sequential(*layer))
            else:
                flat = [module for layer in layers for module in layer]
                self.add_module(f"layer{scale}", nn.Sequential(*flat))
        self.downsample = average_pool()
        if is_spectral:
            zero_biases(self)

    def forward(self, pair: Tensor) -> list[Activations]:
        results = []
        for scale in reversed(range(self.num_D)):
            results.append(self._one_scale(scale, pair))
            if scale > 0:
                pair = self.downsample(pair)
        return results

    def renamed(self, weights: Mapping[str, Any]) -> Mapping[str, Any]:
        """A state dict of SPADE's layout as one of this network; any other as it is. There, scale 0
        is the finest."""

        def ours(found: re.Match[str]) -> str:
            scale, layer = self.num_D - 1 - int(found[1]), int(found[2])
            if self.return_features:
                return f"scale{scale}_layer{layer}.0."
            return f"layer{scale}.{max(0, 3 * layer - 1)}."

        pattern = re.compile(r"discriminator_(\d+)\.model(\d+)\.0\.(?:0\.)?")
        return folded({pattern.sub(ours, name): value for name, value in weights.items()})

    def _one_scale(self, scale: int, pair: Tensor) -> Activations:
        if pair.shape[-2:] == (1, 1):
            # Statistics of a single pixel say nothing; normalisation refuses them.
            pair = F.pad(pair, (0, 1, 0, 1), mode="replicate")
        if not self.return_features:
            return [getattr(self, f"layer{scale}")(pair)]
        activations, features = [], pair
        for index in range(self.n_layers + 2):
            features = getattr(self, f"scale{scale}_layer{index}")(features)
            activations.append(features)
        return activations
