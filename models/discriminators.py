"""PatchGAN discriminators on a pyramid of resolutions (paper, section 3.2)."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from pix2pixhd.models.blocks import NORM_LAYERS, Convolution, NormLayer, average_pool, normalised

MAX_FILTERS = 512

Activations = list[Tensor]
"""What one discriminator sees: every layer's activations, or the last one's alone. The last
tensor, [N, 1, h, w], holds the logits, one for each patch."""


def patch_layers(
    in_channels: int,  # of condition and image together
    ndf: int,  # filters of the first layer
    n_layers: int,  # convolutions of the front, of which all but the last have stride 2
    norm_layer: NormLayer,
) -> list[list[nn.Module]]:
    """The layers of a PatchGAN: C64-C128-C256-C512 and a convolution to one channel.

    A layer is convolution, normalisation and activation. With the defaults, a patch's receptive
    field is 70x70. Padding is 2, as in the released code: maps grow by one pixel a layer.
    """
    convolution = partial(Convolution, kernel_size=4, padding=2)
    activation = partial(nn.LeakyReLU, 0.2, inplace=True)
    layers: list[list[nn.Module]] = [[convolution(in_channels, ndf, stride=2), activation()]]
    filters = ndf
    for n in range(1, n_layers + 1):
        inputs, filters = filters, min(filters * 2, MAX_FILTERS)
        middle = convolution(inputs, filters, stride=2 if n < n_layers else 1)
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
        norm: str = "instance",  # a row of NORM_LAYERS
        return_features: bool = True,  # every layer's activations, for feature matching
    ) -> None:
        super().__init__()
        self.num_D = num_D
        self.n_layers = n_layers
        self.return_features = return_features
        # Two kinds of names in published checkpoints: layer by layer, or one for each scale.
        for scale in range(num_D):
            layers = patch_layers(in_channels, ndf, n_layers, NORM_LAYERS[norm])
            if return_features:
                for index, layer in enumerate(layers):
                    self.add_module(f"scale{scale}_layer{index}", nn.Sequential(*layer))
            else:
                flat = [module for layer in layers for module in layer]
                self.add_module(f"layer{scale}", nn.Sequential(*flat))
        self.downsample = average_pool()

    def forward(self, pair: Tensor) -> list[Activations]:
        results = []
        for scale in reversed(range(self.num_D)):
            results.append(self._one_scale(scale, pair))
            if scale > 0:
                pair = self.downsample(pair)
        return results

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
