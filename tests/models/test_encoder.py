"""The encoder's names, shapes and gradients; pooling is in `test_segments.py`."""

from __future__ import annotations

import json

import pytest
import torch
from shared_data import shared

from pix2pixhd.models import create_encoder
from pix2pixhd.models.blocks import (
    NORM_LAYERS,
    Convolution,
    Layers,
    ReflectedConvolution,
    TransposedConvolution,
)
from pix2pixhd.models.encoder import Encoder
from pix2pixhd.models.initialisation import initialise
from pix2pixhd.models.segments import instance_average
from pix2pixhd.options.base_options import ModelOptions
from pix2pixhd.options.fields import replaced


def test_names_and_shapes_are_those_of_published_checkpoints() -> None:
    recorded = json.loads(shared("reference", "state_dict_keys.json").read_text())["E"]
    with torch.device("meta"):
        encoder = Encoder()
    state = encoder.state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == recorded["state_dict"]
    assert sum(p.numel() for p in encoder.parameters()) == recorded["parameters"]


@pytest.mark.parametrize("norm", NORM_LAYERS)
@pytest.mark.parametrize(("in_channels", "feat_num"), [(3, 3), (1, 5)])
def test_features_are_bounded_and_train_every_parameter(
    norm: str, in_channels: int, feat_num: int
) -> None:
    torch.manual_seed(0)
    encoder = Encoder(
        in_channels, feat_num, nef=2, n_downsample=2, layers=Layers(NORM_LAYERS[norm])
    )
    initialise(encoder)
    image = torch.rand(2, in_channels, 2 * encoder.stride, 3 * encoder.stride) * 2 - 1
    ids = torch.randint(0, 3, (2, 1, *image.shape[2:]))
    features = instance_average(encoder(image), ids)
    assert features.shape == (2, feat_num, *image.shape[2:])
    assert 0 < features.abs().max() <= 1
    (features**2).sum().backward()
    for name, parameter in encoder.named_parameters():
        if norm == "instance" and not parameter.requires_grad:
            assert name.endswith("bias") and parameter.grad is None, name
            continue
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_the_options_choose_its_layers() -> None:
    options = replaced(ModelOptions(), {"n_downsample_E": 1, "upsample": "resize"})
    network = create_encoder(options).model
    assert [type(network[n]) for n in (4, 7)] == [Convolution, ReflectedConvolution]
    network = create_encoder(replaced(options, {"upsample": "deconv", "pad_down": "reflect"})).model
    assert [type(network[n]) for n in (4, 7)] == [ReflectedConvolution, TransposedConvolution]
