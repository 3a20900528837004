"""pix2pix's discriminators (Isola et al. 2017, section 3.2.2): one resolution, published names."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from pix2pixhd.models.blocks import NORM_LAYERS, Convolution, normalised
from pix2pixhd.models.conditioning import pad_to_stride
from pix2pixhd.models.discriminators import Activations
from pix2pixhd.models.initialisation import zero_biases


class SingleDiscriminator(nn.Module):
    """Maps [N, in_channels, H, W] (condition and image, concatenated) to a list of one: all layers'
    activations, of which the last, [N, 1, h, w], are the logits."""

    def _one_scale(self, layers: nn.Sequential, x: Tensor, least: int) -> list[Activations]:
        """Of images of `least` pixels a side, which smaller ones are filled up to."""
        activations, x = [], pad_to_stride(x, 1, least)
        for layer in layers:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                activations.append(x)
        return [[*activations, x]]


class PatchDiscriminator(SingleDiscriminator):
    """`basic` and `n_layers`: C64-C128-C256-C512 and a convolution to one channel. Padding is 1:
    maps shrink by one pixel in each of the last two layers. With three layers a patch is 70x70."""

    def __init__(
        self,
        in_channels: int,  # of condition and image together
        ndf: int = 64,  # filters of the first layer
        n_layers: int = 3,  # convolutions of the front
        norm: str = "instance",  # a row of NORM_LAYERS
    ) -> None:
        super().__init__()
        convolution = partial(Convolution, kernel_size=4, padding=1)
        activation = partial(nn.LeakyReLU, 0.2, inplace=True)
        layers = [convolution(in_channels, ndf, stride=2), activation()]
        widths = [ndf * min(2**n, 8) for n in range(n_layers + 1)]
        for n in range(1, n_layers + 1):
            stride = 2 if n < n_layers else 1
            middle = convolution(*widths[n - 1 : n + 1], stride=stride, bias=norm == "instance")
            layers += [*normalised(middle, NORM_LAYERS[norm]), activation()]
        self.least = 3 * 2**n_layers  # so that two pixels are left to be normalised, and a logit
        self.model = nn.Sequential(*layers, convolution(widths[-1], 1))
        zero_biases(self)

    def forward(self, pair: Tensor) -> list[Activations]:
        return self._one_scale(self.model, pair, self.least)


class PixelDiscriminator(SingleDiscriminator):
    """`pixel`: judges each pixel by itself. Logits are as large as the image."""

    def __init__(
        self,
        in_channels: int,  # of condition and image together
        ndf: int = 64,  # filters of the first layer
        norm: str = "instance",  # a row of NORM_LAYERS
    ) -> None:
        super().__init__()
        convolution, has_bias = partial(Convolution, kernel_size=1), norm == "instance"
        self.net = nn.Sequential(
            convolution(in_channels, ndf),
            nn.LeakyReLU(0.2, inplace=True),
            *normalised(convolution(ndf, ndf * 2, bias=has_bias), NORM_LAYERS[norm]),
            nn.LeakyReLU(0.2, inplace=True),
            convolution(ndf * 2, 1, bias=has_bias),
        )
        zero_biases(self)

    def forward(self, pair: Tensor) -> list[Activations]:
        return self._one_scale(self.net, pair, least=2)
