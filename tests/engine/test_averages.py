"""The averages of weights: what they are made of, and what they leave as it is."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from tiny_models import take_step, tiny_batch, tiny_model

from pix2pixhd.engine.averages import begin_averages, update_averages
from pix2pixhd.engine.optimizers import Optimizers
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel

FEATURES = {"instance_feat": True, "nef": 2, "n_downsample_E": 1}


def trained(
    half_life: float, steps: int = 3, alone: bool = False, **flags: Any
) -> tuple[Pix2PixHDModel, list[dict[str, torch.Tensor]]]:
    """A model after some steps of two images, and its weights at first and after each of them."""
    model = tiny_model(**flags)
    if half_life:
        begin_averages(model)
    model.train_outermost_alone(alone)
    optimizers, states = Optimizers(model, 1e-2, beta1=0.5), [deepcopy(model.state_dict())]
    for step in range(steps):
        take_step(model, optimizers, tiny_batch(seed=step))
        update_averages(model, half_life, seen=2 * (step + 1), batch=2)
        states.append(deepcopy(model.state_dict()))
    return model, states


@pytest.mark.parametrize("half_life", [0.15, 1e9])
def test_averages_are_what_a_plain_recomputation_finds(half_life: float) -> None:
    model, states = trained(half_life, norm="batch", **FEATURES)
    assert list(model.averaged) == ["G_ema", "E_ema"]
    for name, average in model.averaged.items():
        buffers = {one for one, _ in average.named_buffers()}
        assert buffers
        for one, found in average.state_dict().items():
            values = [state[f"net{name[0]}.{one}"] for state in states]
            expected = values[0]
            for number, value in enumerate(values[1:], start=1):
                decay = 0.5 ** (2 / min(half_life, 0.05 * 2 * number))
                expected = decay * expected + (1 - decay) * value
            if one in buffers:
                expected = values[-1]
            torch.testing.assert_close(found, expected)
            if one.endswith("1.weight"):
                assert not torch.equal(found, values[-1])


def test_training_is_the_same_with_averages() -> None:
    model, _ = trained(half_life=100.0, use_dropout=True)
    other, _ = trained(half_life=0.0, use_dropout=True)
    for name, weight in other.state_dict().items():
        assert torch.equal(model.state_dict()[name], weight), name


def test_an_average_is_taken_of_the_outermost_enhancer_alone() -> None:
    model, _ = trained(half_life=100.0, alone=True, netG="local")
    before, average = tiny_model(netG="local").netG.state_dict(), model.averaged["G_ema"]
    trains = {name: p.requires_grad for name, p in model.netG.named_parameters()}
    assert {*trains.values()} == {True, False}
    for name, weight in average.state_dict().items():
        assert torch.equal(weight, before[name]) != trains[name], name
