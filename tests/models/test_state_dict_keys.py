"""Default-size networks have the names and shapes of published checkpoints."""

from __future__ import annotations

import json

import pytest
import torch
from shared_data import shared

from pix2pixhd.models import create_discriminator, create_generator
from pix2pixhd.options.parsing import parse_train

GENERATORS = ("G_global_512p", "G_local_1024p", "G_local_2048p", "G_feat_512p")
DISCRIMINATORS = ("D_2scale", "D_3scale", "D_2scale_nofeat")


def test_every_recorded_generator_and_discriminator_is_compared() -> None:
    recorded = json.loads(shared("reference", "state_dict_keys.json").read_text())
    assert {name for name in recorded if name[0] in "GD"} == {*GENERATORS, *DISCRIMINATORS}


@pytest.mark.parametrize("name", GENERATORS + DISCRIMINATORS)
def test_names_and_shapes(name: str) -> None:
    recorded = json.loads(shared("reference", "state_dict_keys.json").read_text())[name]
    options = parse_train(recorded["flags"].split())
    with torch.device("meta"):
        if name in GENERATORS:
            network: torch.nn.Module = create_generator(options.model)
        else:
            featured = options.loss.ganFeat_loss
            network = create_discriminator(options.model, options.discriminator, featured)
    shapes = {key: list(value.shape) for key, value in network.state_dict().items()}
    assert shapes == recorded["state_dict"]
