"""The U-Net that classes pixels: its blocks, its widths, images of any size."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from pix2pixhd.models.segmentation_discriminator import ResidualBlock, SegmentationDiscriminator


@pytest.mark.parametrize("size", [(64, 128), (13, 70)])
def test_logits_are_as_large_as_the_image_and_every_weight_matters(size: tuple[int, int]) -> None:
    network = SegmentationDiscriminator(3, label_nc=4, ndf=1)
    [activations] = network(torch.rand(2, 3, *size))
    assert [x.shape[1] for x in activations] == [2, 2, 4, 4, 8, 8, 8, 4, 4, 2, 2, 1, 5]
    assert activations[-1].shape == (2, 5, *size)
    activations[-1].square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


def test_padding_does_not_move_the_picture() -> None:
    network, image = SegmentationDiscriminator(3, label_nc=4, ndf=1), torch.rand(1, 3, 13, 70)
    padded = F.pad(image, (0, 58, 0, 51), mode="replicate")
    assert torch.equal(network(image)[0][-1], network(padded)[0][-1][..., :13, :70])


def test_widths_as_published() -> None:
    with torch.device("meta"):
        network = SegmentationDiscriminator(3, label_nc=35)
    inputs_outputs = [b.conv1.weight.shape[1::-1] for b in (*network.down, *network.up)]
    down = [(3, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    up = [(512, 512), (1024, 256), (512, 256), (512, 128), (256, 128), (256, 64)]
    assert inputs_outputs == down + up


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("outputs", [2, 3])
def test_blocks_as_the_formula_has_them(outputs: int, first: bool) -> None:
    """With the shortcut's convolution at the higher resolution, as it is written down."""
    x = torch.randn(1, 2, 4, 6)

    def lrelu(y: torch.Tensor) -> torch.Tensor:
        return torch.where(y > 0, y, 0.2 * y)

    def doubled(y: torch.Tensor) -> torch.Tensor:
        return y.repeat_interleave(2, 2).repeat_interleave(2, 3)

    down = ResidualBlock(2, outputs, "down", is_first=first)
    inner = down.conv2(lrelu(down.conv1(x if first else lrelu(x))))
    expected = F.avg_pool2d(inner + down.shortcut(x), 2)
    assert torch.allclose(down(x), expected, atol=1e-6)
    up = ResidualBlock(2, outputs, "up")
    inner = up.conv2(lrelu(up.conv1(doubled(lrelu(x)))))
    assert torch.allclose(up(x), inner + up.shortcut(doubled(x)), atol=1e-6)
