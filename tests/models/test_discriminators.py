"""The pyramid of PatchGANs: its layers, its scales, and what a patch sees."""

from __future__ import annotations

import pytest
import torch

from pix2pixhd.models.blocks import NORM_LAYERS, Convolution, average_pool
from pix2pixhd.models.discriminators import MultiscaleDiscriminator


@pytest.mark.parametrize("norm", NORM_LAYERS)
@pytest.mark.parametrize("n_layers", [1, 3])
@pytest.mark.parametrize("num_D", [1, 3])
def test_scales_and_layers(num_D: int, n_layers: int, norm: str) -> None:
    network = MultiscaleDiscriminator(5, ndf=2, n_layers=n_layers, num_D=num_D, norm=norm)
    scales = network(torch.rand(2, 5, 32, 48))
    assert [len(activations) for activations in scales] == [n_layers + 2] * num_D
    for activations in scales:
        filters = [2 * 2**n for n in range(n_layers + 1)] + [1]
        assert [layer.shape[:2] for layer in activations] == [(2, n) for n in filters]
        assert all(layer.isfinite().all() for layer in activations)
    sum(activations[-1].square().sum() for activations in scales).backward()
    for name, parameter in network.named_parameters():
        if norm == "instance" and not parameter.requires_grad:
            assert name.endswith("bias") and parameter.grad is None, name
            continue
        assert parameter.grad is not None, name
        if name.endswith("weight"):
            assert parameter.grad.abs().sum() > 0, name


def test_filters_double_up_to_512() -> None:
    with torch.device("meta"):
        network = MultiscaleDiscriminator(4, ndf=64, n_layers=5, num_D=1)
    widths = [w.shape[0] for name, w in network.named_parameters() if name.endswith("weight")]
    assert widths == [64, 128, 256, 512, 512, 512, 1]


def test_finest_scale_comes_first_and_scale_0_is_the_coarsest() -> None:
    network = MultiscaleDiscriminator(5, ndf=2, num_D=3)
    pair = torch.rand(1, 5, 64, 64)
    before = network(pair)
    heights = [activations[0].shape[2] for activations in before]
    assert heights == [33, 17, 9]
    torch.nn.init.zeros_(network.scale0_layer0[0].weight)
    after = network(pair)
    changed = [not torch.equal(a[0], b[0]) for a, b in zip(before, after, strict=True)]
    assert changed == [False, False, True]


def test_each_scale_sees_the_picture_at_half_the_resolution() -> None:
    network = MultiscaleDiscriminator(5, ndf=2, num_D=2)
    alone = MultiscaleDiscriminator(5, ndf=2, num_D=1)
    alone.load_state_dict(
        {name: w for name, w in network.state_dict().items() if name.startswith("scale0")}
    )
    pair = torch.rand(1, 5, 32, 32)
    assert torch.equal(network(pair)[1][-1], alone(average_pool()(pair))[0][-1])


def test_layers_are_convolution_normalisation_and_leaky_relu() -> None:
    network = MultiscaleDiscriminator(5, ndf=2, num_D=1)
    pair = torch.randn(1, 5, 32, 32)
    activations = network(pair)[0]
    first = torch.nn.functional.conv2d(
        pair, network.scale0_layer0[0].weight, network.scale0_layer0[0].bias, stride=2, padding=2
    )
    assert torch.allclose(activations[0], torch.where(first > 0, first, 0.2 * first), atol=1e-6)
    for layer in activations[1:-1]:  # undoing LeakyReLU shows the normalised map
        mean = torch.where(layer > 0, layer, layer / 0.2).mean(dim=(2, 3))
        assert torch.allclose(mean, torch.zeros_like(mean), atol=1e-4)
    assert activations[-1].std() > 0
    assert type(network.scale0_layer4[-1]) is Convolution  # logits


def test_receptive_field_of_a_patch_is_70() -> None:
    # Batch normalisation in evaluation: instance normalisation would tie all pixels together.
    network = MultiscaleDiscriminator(3, ndf=2, num_D=1, norm="batch").eval()
    picture = torch.rand(1, 3, 160, 160, requires_grad=True)
    logits = network(picture)[0][-1]
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    seen = picture.grad.abs().sum(dim=(0, 1)).nonzero()
    height, width = (seen.max(dim=0).values - seen.min(dim=0).values + 1).tolist()
    assert (height, width) == (70, 70)


def test_without_features_the_same_logits_under_the_other_names() -> None:
    featured, plain = (
        MultiscaleDiscriminator(5, ndf=2, num_D=2, return_features=flag) for flag in (True, False)
    )
    assert {name.split(".")[0] for name in plain.state_dict()} == {"layer0", "layer1"}
    assert all(name.startswith("scale") for name in featured.state_dict())
    plain.load_state_dict(
        dict(zip(plain.state_dict(), featured.state_dict().values(), strict=True))
    )
    pair = torch.rand(1, 5, 32, 32)
    results = plain(pair)
    assert [len(activations) for activations in results] == [1, 1]
    for mine, others in zip(results, featured(pair), strict=True):
        assert torch.equal(mine[-1], others[-1])


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 5)])
def test_images_of_a_few_pixels_at_many_scales(size: tuple[int, int], norm: str) -> None:
    network = MultiscaleDiscriminator(in_channels=2, ndf=2, num_D=4, norm=norm)
    results = network(torch.randn(1, 2, *size))
    assert len(results) == 4
    assert all(torch.isfinite(layer).all() for scale in results for layer in scale)
