"""Spectral normalisation: what is divided, by how much, and what files hold of it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from tiny_models import CPU, TINY, take_step, tiny_batch, tiny_model
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from pix2pixhd.engine.averages import begin_averages, update_averages
from pix2pixhd.engine.optimizers import Optimizers
from pix2pixhd.engine.render import render
from pix2pixhd.engine.runtime import Runtime
from pix2pixhd.engine.step import compute_gradients, forward
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.models.spectral import loading_plain, plain_copy, plain_state_dict
from pix2pixhd.options.fields import replaced
from pix2pixhd.options.train_options import TrainOptions


def convolutions(network: nn.Module) -> list[nn.Module]:
    return [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]


def singular_value(module: nn.Module) -> float:
    """The largest one of the weight, [outputs, inputs * rows * columns], that convolutions take."""
    first = 1 if isinstance(module, nn.ConvTranspose2d) else 0
    weight = module.weight.detach().movedim(first, 0).flatten(1)
    return torch.linalg.matrix_norm(weight, 2).item()


def trained(steps: int = 2, **flags: Any) -> Pix2PixHDModel:
    model = tiny_model(**flags)
    optimizers = Optimizers(model, 1e-2, beta1=0.5)
    for step in range(steps):
        take_step(model, optimizers, tiny_batch(seed=step))
    return model


@pytest.mark.parametrize("netG", ["global", "local"])
@pytest.mark.parametrize("networks", ["D", "GD"])
def test_all_convolutions_but_the_generator_s_output(netG: str, networks: str) -> None:
    model, plain = tiny_model(netG=netG, spectral_norm=networks), tiny_model(netG=netG)
    *inner, output = convolutions(model.netG)
    assert output.out_channels == 3 and not is_parametrized(output)
    of_G = inner if networks == "GD" else []
    assert all(is_parametrized(module) == (networks == "GD") for module in inner)
    for module in [*convolutions(model.netD), *of_G]:
        assert singular_value(module.eval()) == pytest.approx(1, rel=0.05)
    for letter, network in plain.trained_networks().items():  # what is divided is the same
        ours = {
            name.replace(".parametrizations.weight.original", ".weight"): parameter
            for name, parameter in model.trained_networks()[letter].named_parameters()
        }
        assert ours.keys() == dict(network.named_parameters()).keys()
        for name, parameter in network.named_parameters():
            assert torch.equal(ours[name], parameter), name


def test_all_but_the_logits_of_the_segmentation_discriminator() -> None:
    network = tiny_model(netD="segmentation", spectral_norm="D", ganFeat_loss=False).netD
    left = [m for m in convolutions(network) if not is_parametrized(m)]
    assert left == [network.logits]


def test_gradients_pass_through_the_division() -> None:
    """Of W / s(W), none goes along W: what a longer W changes is taken away again."""
    model = trained(spectral_norm="GD")
    for _ in range(30):  # until the singular vectors are those
        model.netD(torch.zeros(1, 8, 16, 24))
    gradients = compute_gradients(model, CPU, tiny_batch()).gradients["D"]
    for parameter, gradient in gradients.items():
        if parameter.ndim == 4:
            along = (parameter * gradient).sum().abs()
            assert along < 1e-2 * parameter.norm() * gradient.norm() != 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_step_in_float32_for_each_look(dtype: torch.dtype) -> None:
    """Of the power method, whatever convolutions compute in."""
    model = tiny_model(spectral_norm="GD")
    before = deepcopy(model)
    runtime = Runtime(torch.device("cpu"), dtype)
    outputs = forward(model, runtime, tiny_batch())
    assert outputs.judgement.pred_real[0][-1].dtype == dtype
    for network, looks in ((before.netD, 2), (before.netG, 1)):  # at fake and real
        for module in convolutions(network):
            for _ in range(looks):
                module.weight  # noqa: B018
    assert model.state_dict().keys() == before.state_dict().keys()
    for name, value in before.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


def test_rendering_takes_no_step() -> None:
    model = trained(spectral_norm="GD")
    before = deepcopy(model.state_dict())
    render(model, tiny_batch())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"netG": "local", "norm": "batch"},
        {"upsample": "resize", "pad_down": "reflect", "z_dim": 2},
    ],
)
def test_plain_weights_render_the_same_in_a_plain_network(flags: dict[str, Any]) -> None:
    model, plain = trained(spectral_norm="GD", **flags), tiny_model(seed=9, **flags)
    before = deepcopy(model.state_dict())
    for letter, network in plain.trained_networks().items():
        network.load_state_dict(plain_state_dict(model.trained_networks()[letter]))
    assert model.training and model.netD.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    torch.testing.assert_close(render(plain, tiny_batch()), render(model, tiny_batch()))
    pair = torch.rand(1, 8, 16, 24)
    torch.testing.assert_close(plain.eval().netD(pair), model.eval().netD(pair))


def test_loading_plain_weights_keeps_the_optimizers_parameters() -> None:
    model, other = trained(spectral_norm="GD"), trained(steps=5, spectral_norm="GD")
    optimizers, batch = Optimizers(model, 1e-2, beta1=0.5), tiny_batch(seed=7)
    names = [name for name, _ in model.named_parameters()]
    found, random = [*model.parameters()], torch.get_rng_state()
    for letter, network in model.trained_networks().items():
        with loading_plain(network):
            network.load_state_dict(plain_state_dict(other.trained_networks()[letter]))
    assert [name for name, _ in model.named_parameters()] == names
    assert all(mine is now for mine, now in zip(found, model.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), random)  # else processes would find other vectors
    torch.testing.assert_close(render(model, batch), render(other, batch), rtol=0, atol=1e-2)
    before = deepcopy(model.state_dict())
    take_step(model, optimizers, batch)
    after = model.state_dict()
    originals = [name for name in after if name.endswith("original")]
    assert originals and not any(torch.equal(after[name], before[name]) for name in originals)


def test_a_plain_copy_leaves_the_network_as_it_was() -> None:
    model = trained(spectral_norm="GD")
    before, batch = deepcopy(model.state_dict()), tiny_batch()
    copy = plain_copy(model.netG)
    assert copy.state_dict().keys() == tiny_model().netG.state_dict().keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    other = trained(spectral_norm="GD")
    for one in (model, other):
        take_step(one, Optimizers(one, 1e-2, beta1=0.5), batch)
    for name, value in other.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


def test_an_average_is_of_plain_weights() -> None:
    model = tiny_model(spectral_norm="GD")
    begin_averages(model)
    average = model.averaged["G_ema"]
    expected = deepcopy(average.state_dict())
    optimizers = Optimizers(model, 1e-2, beta1=0.5)
    for seen in (2, 4):
        take_step(model, optimizers, tiny_batch(seed=seen))
        update_averages(model, 0.3, seen, batch=2)
        decay = 0.5 ** (2 / min(0.3, 0.05 * seen))
        plain = plain_state_dict(model.netG)
        expected = {n: decay * value + (1 - decay) * plain[n] for n, value in expected.items()}
    for name, value in average.state_dict().items():
        torch.testing.assert_close(value, expected[name])


def test_blocks_are_not_normalised_twice() -> None:
    flags = TINY | {"spectral_norm": "GD", "checkpoint_activations": True}
    [line] = replaced(TrainOptions(), flags).problems()
    assert "--spectral_norm GD with --checkpoint_activations" in line
    assert not [*replaced(TrainOptions(), flags | {"spectral_norm": "D"}).problems()]
