"""The parts of the networks against their definitions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.blocks import (
    NORM_LAYERS,
    Float32Tanh,
    InstanceNorm,
    ResnetBlock,
    downsampling,
    first_convolution,
    initialise,
    output_convolution,
    pyramid_pooling,
    upsampling,
)


@pytest.mark.parametrize("norm", NORM_LAYERS)
def test_residual_block_adds_to_its_input(norm: str) -> None:
    block = ResnetBlock(4, NORM_LAYERS[norm])
    x = torch.randn(2, 4, 5, 6)
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(block(x), x)  # no ReLU after the sum either: x has negative values


def test_residual_branch_ends_in_normalisation_not_in_relu() -> None:
    x = torch.randn(1, 4, 6, 6)
    branch = ResnetBlock(4, NORM_LAYERS["instance"])(x) - x
    assert branch.min() < 0
    assert torch.allclose(branch.mean(dim=(2, 3)), torch.zeros(1, 4), atol=1e-5)


def without_norm(channels: int) -> nn.Module:
    return nn.Identity()


@pytest.mark.parametrize(
    ("layers", "reflects"),
    [
        (first_convolution(2, 3, without_norm), True),
        (output_convolution(2, 3), True),
        ([ResnetBlock(2, without_norm)], True),
        (downsampling(2, without_norm), False),
    ],
)
def test_padding(layers: list[nn.Module], reflects: bool) -> None:
    """A constant picture stays constant under reflection padding, not under zero padding."""
    torch.manual_seed(0)
    network = nn.Sequential(*layers)
    initialise(network)
    y = network(torch.ones(1, 2, 8, 8))
    assert torch.allclose(y, y[..., 2:3, 2:3].expand_as(y), atol=1e-5) == reflects


def test_sampling_layers_halve_and_double() -> None:
    norm = NORM_LAYERS["instance"]
    x = torch.randn(1, 4, 6, 10)
    assert nn.Sequential(*downsampling(4, norm))(x).shape == (1, 8, 3, 5)
    assert nn.Sequential(*upsampling(2, norm))(x).shape == (1, 2, 12, 20)


def test_normalisation_and_relu_end_each_convolution() -> None:
    instance = NORM_LAYERS["instance"]
    for layers in (first_convolution(4, 4, instance), downsampling(4, instance)):
        kinds = [type(layer) for layer in layers[-2:]]
        assert kinds == [InstanceNorm, nn.ReLU]
    assert type(output_convolution(4, 3)[-1]) is Float32Tanh
    assert not instance(4).state_dict()
    assert set(NORM_LAYERS["batch"](4).state_dict()) >= {"weight", "bias", "running_mean"}


def test_dropout_is_between_the_convolutions_and_keeps_the_keys() -> None:
    plain, dropping = (ResnetBlock(2, NORM_LAYERS["instance"], flag) for flag in (False, True))
    assert plain.state_dict().keys() == dropping.state_dict().keys()
    kinds = [type(layer) for layer in dropping.conv_block]
    first, last = (i for i, kind in enumerate(kinds) if kind is nn.Conv2d)
    assert first < kinds.index(nn.Dropout) < last
    assert dropping.conv_block.dropout.p == 0.5


def test_pyramid_pooling_does_not_count_padding() -> None:
    x = torch.randn(1, 1, 5, 6)
    y = pyramid_pooling()(x)
    assert y.shape == (1, 1, 3, 3)
    for row in range(3):
        for column in range(3):
            top, left = max(2 * row - 1, 0), max(2 * column - 1, 0)
            window = x[0, 0, top : 2 * row + 2, left : 2 * column + 2]
            assert torch.isclose(y[0, 0, row, column], window.mean(), atol=1e-6)


def test_initial_weights() -> None:
    torch.manual_seed(0)
    conv, transposed = nn.Conv2d(32, 64, 3), nn.ConvTranspose2d(64, 32, 3)
    norm = nn.BatchNorm2d(4096)
    nn.init.ones_(norm.bias)
    biases = conv.bias.clone()
    initialise(nn.Sequential(conv, nn.Sequential(transposed), norm))
    for layer in (conv, transposed):
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert layer.weight.mean().item() == pytest.approx(0.0, abs=1e-3)
    assert norm.weight.mean().item() == pytest.approx(1.0, abs=2e-3)
    assert norm.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert not norm.bias.any()
    assert torch.equal(conv.bias, biases)
