"""The parts of the networks against their definitions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pix2pixhd.engine.runtime import arranges_weights
from pix2pixhd.models import blocks
from pix2pixhd.models.blocks import (
    NORM_LAYERS,
    Convolution,
    Float32Tanh,
    InstanceNorm,
    Layers,
    ReflectedConvolution,
    ReflectionPad,
    ResnetBlock,
    TransposedConvolution,
    average_pool,
    downsampling,
    first_convolution,
    normalised,
    output_convolution,
    reflect_channels_last,
    upsampling,
)
from pix2pixhd.models.initialisation import initialise


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
        (first_convolution(2, 3, Layers(without_norm)), True),
        (output_convolution(2, 3), True),
        ([ResnetBlock(2, without_norm)], True),
        (downsampling(2, Layers(without_norm)), False),
        (downsampling(2, Layers(without_norm, pad_down="reflect")), True),
        (upsampling(1, Layers(without_norm)), False),  # a grid
        (upsampling(1, Layers(without_norm, upsample="resize")), True),
    ],
)
def test_padding(layers: list[nn.Module], reflects: bool) -> None:
    """A constant picture stays constant under reflection padding, not under zero padding."""
    torch.manual_seed(0)
    network = nn.Sequential(*layers)
    initialise(network)
    for parameter in network.parameters():
        if parameter.dim() == 1:  # biases, which were drawn before the seed
            nn.init.uniform_(parameter, 0.2, 0.7)  # of more than 0, where ReLU hides nothing
    y = network(torch.ones(1, 2, 8, 8))
    assert torch.allclose(y, y[..., 2:3, 2:3].expand_as(y), atol=1e-5) == reflects


def test_sampling_layers_halve_and_double() -> None:
    x = torch.randn(1, 4, 6, 10)
    for layers in (Layers(), Layers(upsample="resize", pad_down="reflect")):
        assert nn.Sequential(*downsampling(4, layers))(x).shape == (1, 8, 3, 5)
        assert nn.Sequential(*upsampling(2, layers))(x).shape == (1, 2, 12, 20)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_enlarging_convolution(dtype: torch.dtype) -> None:
    """Against its definition; also with final weights."""
    convolution = ReflectedConvolution(4, 3, scale=2)
    x = torch.randn(2, 4, 5, 6, dtype=dtype).to(memory_format=torch.channels_last)
    large = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    weight, bias = convolution.weight.to(dtype), convolution.bias.to(dtype)
    expected = F.conv2d(F.pad(large, (1, 1, 1, 1), mode="reflect"), weight, bias)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        results = [convolution(x)]
    if arranges_weights(x.device):
        convolution.is_final = True
        with torch.inference_mode():
            results.append(convolution.to(dtype)(x))
    for found in results:
        assert found.dtype == dtype and found.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(found, expected)


def test_normalisation_and_relu_end_each_convolution() -> None:
    instance = NORM_LAYERS["instance"]
    for modules in (first_convolution(4, 4, Layers()), downsampling(4, Layers())):
        kinds = [type(module) for module in modules[-2:]]
        assert kinds == [InstanceNorm, nn.ReLU]
    assert type(output_convolution(4, 3)[-1]) is Float32Tanh
    assert not instance(4).state_dict()
    assert set(NORM_LAYERS["batch"](4).state_dict()) >= {"weight", "bias", "running_mean"}


def test_dropout_is_between_the_convolutions_and_keeps_the_keys() -> None:
    plain, dropping = (ResnetBlock(2, NORM_LAYERS["instance"], flag) for flag in (False, True))
    assert plain.state_dict().keys() == dropping.state_dict().keys()
    kinds = [type(layer) for layer in dropping.conv_block]
    first, last = (i for i, kind in enumerate(kinds) if kind is Convolution)
    assert first < kinds.index(nn.Dropout) < last
    assert dropping.conv_block.dropout.p == 0.5


def test_pyramid_pooling_does_not_count_padding() -> None:
    x = torch.randn(1, 1, 5, 6)
    y = average_pool()(x)
    assert y.shape == (1, 1, 3, 3)
    for row in range(3):
        for column in range(3):
            top, left = max(2 * row - 1, 0), max(2 * column - 1, 0)
            window = x[0, 0, top : 2 * row + 2, left : 2 * column + 2]
            assert torch.isclose(y[0, 0, row, column], window.mean(), atol=1e-6)


@pytest.mark.parametrize("count", [1, 3])
def test_instance_normalisation_in_any_memory_format(count: int) -> None:
    x, cotangent = torch.randn(count, 4, 5, 6) * 3 + 7, torch.randn(count, 4, 5, 6)
    plain_leaf = x.clone().requires_grad_()
    plain = nn.InstanceNorm2d(4)(plain_leaf)
    plain.backward(cotangent)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        leaf = x.clone(memory_format=memory_format).requires_grad_()
        found = InstanceNorm(4)(leaf)
        torch.testing.assert_close(found, plain, rtol=1e-5, atol=1e-5)
        assert found.is_contiguous(memory_format=memory_format)
        found.backward(cotangent)
        torch.testing.assert_close(leaf.grad, plain_leaf.grad, rtol=1e-4, atol=1e-5)


def test_statistics_are_those_of_float32() -> None:
    """Sums of bfloat16 would end at 256 times their summands."""
    torch.manual_seed(0)
    x = (torch.randn(1, 2, 64, 64) + 8).bfloat16()
    expected = nn.InstanceNorm2d(2)(x.float())
    for norm in (InstanceNorm(2), nn.BatchNorm2d(2).train()):
        for memory_format in (torch.contiguous_format, torch.channels_last):
            with torch.autocast("cpu", torch.bfloat16):
                found = norm(x.contiguous(memory_format=memory_format))
            assert (found.float() - expected).abs().max() < 0.06  # rounding of the result


def test_the_image_is_float32_whatever_it_is_made_of() -> None:
    layers = nn.Sequential(*output_convolution(4, 3))
    with torch.autocast("cpu", torch.bfloat16):
        assert layers(torch.randn(1, 4, 8, 8)).dtype == torch.float32


@pytest.mark.parametrize("norm", NORM_LAYERS)
def test_checkpointed_activations_change_nothing_else(norm: str) -> None:
    """Gradients, dropout's draws and running statistics are as without."""
    torch.manual_seed(0)
    blocks = [ResnetBlock(4, NORM_LAYERS[norm], use_dropout=True) for _ in range(2)]
    blocks[1].load_state_dict(blocks[0].state_dict())
    blocks[1].keeps_activations = False
    x = torch.randn(2, 4, 6, 6)
    results = []
    for block in blocks:
        kept: list[torch.Tensor] = []
        torch.manual_seed(1)
        leaf = x.clone().requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, kept=kept: kept.append(tensor) or tensor, lambda tensor: tensor
        ):
            y = block(leaf)
        y.square().sum().backward()
        gradients = [leaf.grad, *(p.grad for p in block.parameters())]
        results.append(([y, *gradients, *block.buffers()], len(kept)))
    (plain, many), (checkpointed, few) = results
    assert few < many / 3
    for found, expected in zip(checkpointed, plain, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("kind", [Convolution, TransposedConvolution])
def test_a_bias_that_normalisation_takes_away_is_kept_but_not_added(
    kind: type[Convolution], norm: str
) -> None:
    convolution, norm_layer = normalised(kind(2, 3, 3), NORM_LAYERS[norm])
    x = torch.randn(2, 2, 6, 6)
    before = convolution(x)
    torch.nn.init.constant_(convolution.bias, 5.0)
    is_batch = norm == "batch"
    assert torch.equal(convolution(x), before) != is_batch
    assert "bias" in convolution.state_dict()
    assert convolution.bias.requires_grad == is_batch
    plain = nn.Conv2d if kind is Convolution else nn.ConvTranspose2d
    added = plain(2, 3, 3)
    added.load_state_dict(convolution.state_dict())
    # Equal after the normalisation, which is why it is left out.
    torch.testing.assert_close(norm_layer(added(x)), norm_layer(convolution(x)))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_reflection_padding_keeps_precision_and_memory_format(
    memory_format: torch.memory_format,
) -> None:
    x = torch.randn(2, 3, 5, 6).to(torch.bfloat16, memory_format=memory_format)
    with torch.autocast("cpu", torch.bfloat16):
        y = ReflectionPad(2)(x)
    assert torch.equal(y, torch.nn.functional.pad(x, (2, 2, 2, 2), mode="reflect"))
    assert y.dtype == torch.bfloat16 and y.is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize("use_dropout", [False, True])
def test_random_states_are_kept_for_dropout_alone(
    use_dropout: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    get = torch.get_rng_state
    monkeypatch.setattr(torch, "get_rng_state", lambda: asked.append(True) or get())
    block = ResnetBlock(4, NORM_LAYERS["instance"], use_dropout)
    block.keeps_activations = False
    block(torch.randn(2, 4, 6, 6, requires_grad=True)).sum().backward()
    assert bool(asked) == use_dropout


def test_reflection_padding_in_two_steps_is_the_same() -> None:
    x = torch.randn(2, 3, 5, 6).to(memory_format=torch.channels_last).requires_grad_()
    expected, found = ReflectionPad(3)(x), reflect_channels_last(x, 3)
    assert torch.equal(found, expected)
    assert found.is_contiguous(memory_format=torch.channels_last)
    cotangent = torch.randn_like(expected)
    gradients = [torch.autograd.grad(y, x, cotangent)[0] for y in (found, expected)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(*first_convolution(5, 16, Layers())),
        nn.Sequential(*output_convolution(16, 3)),
        Convolution(5, 3, 4, stride=2, padding=2),
        ReflectedConvolution(5, 3, scale=2),
    ],
)
def test_channels_filled_up_for_tensor_cores_change_nothing(
    network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = next(m.in_channels for m in network.modules() if isinstance(m, Convolution))
    x = torch.randn(2, inputs, 8, 9).to(memory_format=torch.channels_last).requires_grad_()
    leaves = [x, *(p for p in network.parameters() if p.requires_grad)]
    seen: list[tuple[int, ...]] = []
    conv2d = torch.nn.functional.conv2d

    def noted(x: torch.Tensor, weight: torch.Tensor, *rest: Any) -> torch.Tensor:
        seen.append((x.shape[1], *weight.shape[:2]))
        return conv2d(x, weight, *rest)

    monkeypatch.setattr(torch.nn.functional, "conv2d", noted)
    results = []
    for aligned in (False, True):
        monkeypatch.setattr(blocks, "needs_alignment", lambda _, aligned=aligned: aligned)
        y = network(x)
        results.append([y, *torch.autograd.grad(y.square().sum(), leaves)])
    for found, expected in zip(results[1], results[0], strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert all(channels % 8 == 0 for channels in seen[1])
