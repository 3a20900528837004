"""E: from a photograph to a few numbers for each instance in it (paper, section 3.4)."""

from __future__ import annotations

from torch import Tensor, nn

from pix2pixhd.models.blocks import PUBLISHED, Layers, encoder_decoder


class Encoder(nn.Module):
    """Maps an image [N, in_channels, H, W] to features [N, feat_num, H, W] in [-1, 1].

    The features are those of pixels, not pooled yet: see `instance_average`. H and W must be
    multiples of `stride`, and at least twice as large.
    """

    def __init__(
        self,
        in_channels: int = 3,  # of the image
        feat_num: int = 3,  # features of a pixel
        nef: int = 16,  # filters of the first layer
        n_downsample: int = 4,  # times the resolution is halved
        layers: Layers = PUBLISHED,
    ) -> None:
        super().__init__()
        self.stride = 2**n_downsample
        self.model = encoder_decoder(in_channels, feat_num, nef, n_downsample, layers)

    def forward(self, image: Tensor) -> Tensor:
        return self.model(image)
