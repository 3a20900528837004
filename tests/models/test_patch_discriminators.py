"""pix2pix's discriminators: what a patch sees, and images of a few pixels."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pix2pixhd.engine.builders import watch_of
from pix2pixhd.models import create_adversary, create_discriminator
from pix2pixhd.models.blocks import NORM_LAYERS
from pix2pixhd.models.patch_discriminators import PatchDiscriminator, PixelDiscriminator
from pix2pixhd.options.parsing import parse_train


def seen_by_a_patch(network: nn.Module) -> tuple[int, int]:
    # Batch normalisation in evaluation: instance normalisation would tie all pixels together.
    picture = torch.rand(1, 3, 160, 160, requires_grad=True)
    logits = network.eval()(picture)[0][-1]
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    places = picture.grad.abs().sum(dim=(0, 1)).nonzero()
    height, width = (places.max(dim=0).values - places.min(dim=0).values + 1).tolist()
    return height, width


def test_receptive_fields() -> None:
    assert seen_by_a_patch(PatchDiscriminator(3, ndf=2, norm="batch")) == (70, 70)
    assert seen_by_a_patch(PatchDiscriminator(3, ndf=2, n_layers=2, norm="batch")) == (34, 34)
    assert seen_by_a_patch(PixelDiscriminator(3, ndf=2, norm="batch")) == (1, 1)


@pytest.mark.parametrize("norm", NORM_LAYERS)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (23, 24), (32, 48)])
def test_images_of_a_few_pixels(size: tuple[int, int], norm: str) -> None:
    for network in (PatchDiscriminator(2, ndf=2, norm=norm), PixelDiscriminator(2, 2, norm)):
        [activations] = network(torch.randn(1, 2, *size))
        assert len(activations) == (5 if isinstance(network, PatchDiscriminator) else 3)
        assert all(layer.isfinite().all() for layer in activations)
        assert activations[-1].shape[:2] == (1, 1)


@pytest.mark.parametrize(
    ("flags", "layers"),
    [
        ("--netD basic --n_layers_D 5", 5),
        ("--netD n_layers --n_layers_D 2", 4),
        ("--netD pixel --norm_D batch", 3),
        ("--netD basic --norm_D none --norm batch --spectral_norm D", 5),
    ],
)
def test_flags_give_one_scale_with_features_to_match(flags: str, layers: int) -> None:
    options = parse_train(["--ndf", "2", "--label_nc", "4", *flags.split()])
    network = create_discriminator(options.model, options.discriminator, return_features=True)
    [activations] = network(torch.rand(1, 4 + 1 + 3, 32, 32))
    assert len(activations) == layers
    norms = sum(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    assert norms == ("--norm_D batch" in flags)
    adversary = create_adversary(options.model, options.discriminator, options.loss)
    assert adversary.matches_features


def test_a_blind_discriminator_is_known_by_one_scales_loss() -> None:
    blind = {"D_real": 0.25, "D_fake": 0.25}
    for flags, factor in (("--netD basic", 1), ("--num_D 3", 3), ("--scale_reduction mean", 1)):
        watch = watch_of(parse_train(flags.split()))
        lines = [watch.losses({n: factor * v for n, v in blind.items()}) for _ in range(200)]
        assert "cannot tell" in (lines[-1] or ""), flags
