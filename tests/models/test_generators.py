"""One property a test, over pix2pixHD's generators; test_generator_table.py has all of them."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import pytest
import torch
from torch import nn

from pix2pixhd.models.blocks import (
    NORM_LAYERS,
    Convolution,
    ReflectedConvolution,
    TransposedConvolution,
    average_pool,
)
from pix2pixhd.models.generators import GENERATORS, Generator, joined
from pix2pixhd.models.initialisation import initialise
from pix2pixhd.options.base_options import ModelOptions
from pix2pixhd.options.fields import replaced

NAMES = ("global", "local", "unet")
CASES = [(name, {}) for name in NAMES] + [("local", {"n_local_enhancers": 2})]
REMEDIES = {"upsample": "resize", "pad_down": "reflect"}
CASES += [(name, REMEDIES | {"z_dim": 3}) for name in NAMES]
MAPS, FEATURES = 4, 1  # channels
TINY = {"ngf": 2, "n_downsample_global": 2, "n_blocks_global": 1}
every_generator = pytest.mark.parametrize(
    ("name", "changes"), CASES, ids=lambda value: value if isinstance(value, str) else ""
)
every_norm = pytest.mark.parametrize("norm", NORM_LAYERS)
dropout_or_not = pytest.mark.parametrize("use_dropout", [False, True])


def build(name: str, changes: dict[str, Any]) -> Generator:
    torch.manual_seed(0)
    options = replaced(ModelOptions(), TINY | {"netG": name} | changes)
    generator = GENERATORS[name](options, MAPS, FEATURES)
    initialise(generator)
    return generator


def inputs_for(generator: Generator) -> tuple[torch.Tensor, ...]:
    """Maps, features and noise, as small as they may be, and a little wider."""
    rows = generator.least_strides
    height, width = rows * generator.stride, (rows + 1) * generator.stride
    maps, features = torch.rand(2, MAPS, height, width), torch.rand(2, FEATURES, height, width)
    return maps, features, torch.randn(2, generator.noise_dim)


@every_generator
@every_norm
@dropout_or_not
def test_output_is_a_finite_image_of_the_input_size(
    name: str, changes: dict[str, Any], norm: str, use_dropout: bool
) -> None:
    generator = build(name, changes | {"norm": norm, "use_dropout": use_dropout})
    inputs = inputs_for(generator)
    image = generator(*inputs)
    assert image.shape == (2, 3, *inputs[0].shape[-2:])
    assert image.isfinite().all()


@every_generator
def test_output_is_bounded(name: str, changes: dict[str, Any]) -> None:
    generator = build(name, changes)
    with torch.no_grad():
        for parameter in list(generator.parameters())[-2:]:  # of the output convolution
            parameter.mul_(1000)
    image = generator(*inputs_for(generator))
    assert 0.99 < image.abs().max() <= 1


@every_generator
@every_norm
@dropout_or_not
def test_every_parameter_gets_a_gradient(
    name: str, changes: dict[str, Any], norm: str, use_dropout: bool
) -> None:
    generator = build(name, changes | {"norm": norm, "use_dropout": use_dropout, "ngf": 4})
    generator(*inputs_for(generator)).square().sum().backward()
    for key, parameter in generator.named_parameters():
        if norm == "instance" and not parameter.requires_grad:
            assert key.endswith("bias") and parameter.grad is None, key
            continue
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        if key.endswith("weight"):  # a bias before a normalisation has a gradient of about 0
            assert parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize(
    ("name", "changes", "stride"),
    [
        ("global", {"n_downsample_global": 4}, 16),
        ("global", {"n_downsample_global": 1}, 2),
        ("local", {"n_downsample_global": 2}, 8),
        ("local", {"n_downsample_global": 2, "n_local_enhancers": 2}, 16),
    ],
)
def test_stride(name: str, changes: dict[str, Any], stride: int) -> None:
    assert build(name, changes).stride == stride


@every_generator
def test_dropout_acts_in_training_alone(name: str, changes: dict[str, Any]) -> None:
    generator = build(name, changes | {"use_dropout": True})
    inputs = inputs_for(generator)
    assert not torch.equal(generator(*inputs), generator(*inputs))
    generator.eval()
    assert torch.equal(generator(*inputs), generator(*inputs))


@every_generator
def test_dropout_keeps_the_keys(name: str, changes: dict[str, Any]) -> None:
    plain, dropping = (build(name, changes | {"use_dropout": flag}) for flag in (False, True))
    assert list(plain.state_dict()) == list(dropping.state_dict())


@pytest.mark.parametrize("name", (*NAMES, "unet_128"))
def test_noise_is_the_same_for_all_pixels_and_joined_to_the_maps(name: str) -> None:
    generator = build(name, {"z_dim": 3})
    maps, features, noise = inputs_for(generator)
    planes = noise[:, :, None, None] * torch.ones(2, 3, *maps.shape[2:])
    of_planes = GENERATORS[name](
        replaced(ModelOptions(), TINY | {"netG": name}), MAPS, FEATURES + 3
    )
    of_planes.load_state_dict(generator.state_dict())
    image = generator(maps, features, noise)
    assert torch.equal(image, of_planes(maps, torch.cat([features, planes], dim=1)))
    assert not torch.equal(image, generator(maps, features, -noise))


@pytest.mark.parametrize("like", [torch.contiguous_format, torch.channels_last])
def test_what_is_joined_is_like_the_maps(like: torch.memory_format) -> None:
    maps = torch.rand(2, 4, 5, 6).to(torch.bfloat16, memory_format=like)
    for more in ([torch.rand(2, 3)], [torch.rand(2, 1, 5, 6), None, torch.rand(2, 2)]):
        found = joined(maps, *more)
        assert found.shape == (2, 7, 5, 6) and found.dtype == torch.bfloat16
        assert found.is_contiguous(memory_format=like)


@pytest.mark.parametrize("name", NAMES)
def test_remedies_keep_the_keys_and_leave_no_transposed_convolution(name: str) -> None:
    plain, other = build(name, {}), build(name, REMEDIES)
    assert list(plain.state_dict()) == list(other.state_dict())
    halvings = plain.stride.bit_length() - 1
    for generator, transposed in ((plain, halvings), (other, 0)):
        modules = list(generator.modules())
        assert sum(isinstance(m, TransposedConvolution) for m in modules) == transposed
        halving = [m for m in modules if isinstance(m, Convolution) and m.stride == (2, 2)]
        is_reflected = [isinstance(m, ReflectedConvolution) for m in halving]
        assert is_reflected == [generator is other] * halvings


@every_generator
def test_channels_in_and_out(name: str, changes: dict[str, Any]) -> None:
    generator = build(name, changes | {"output_nc": 1})
    assert generator(*inputs_for(generator)).shape[1] == 1


def test_the_flag_offers_what_the_table_has() -> None:
    assert set(get_args(get_type_hints(ModelOptions)["netG"])) == set(GENERATORS)


def test_local_enhancer_adds_the_inner_features_to_its_own() -> None:
    generator = build("local", {"n_local_enhancers": 2})
    inputs = inputs_for(generator)
    condition = torch.cat(inputs[:2], dim=1)
    half = average_pool()(condition)
    inner = generator.model(average_pool()(half))
    inner = generator.model1_2(generator.model1_1(half) + inner)
    expected = generator.model2_2(generator.model2_1(condition) + inner)
    assert torch.equal(generator(*inputs), expected)


def test_outermost_prefixes_name_the_last_stage() -> None:
    generator = build("local", {"n_local_enhancers": 2})
    outermost = {
        name.split(".")[0]
        for name, _ in generator.named_parameters()
        if name.startswith(generator.outermost_prefixes)
    }
    assert outermost == {"model2_1", "model2_2"}


def test_unet_has_a_path_at_full_resolution() -> None:
    """Nothing comes up to it, and yet the image is made of the maps."""
    generator = build("unet", {})
    for up in generator.up:
        nn.init.zeros_(up[0].weight)
    maps, features, _ = inputs_for(generator)
    image, other = generator(maps, features), generator(maps.flip(-1), features)
    assert (image - other).abs().max() > 0.01
